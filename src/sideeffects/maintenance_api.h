// SPDX-License-Identifier: Apache-2.0
// sideeffects/maintenance_api.h - maintenance windows: while one covers a site nobody is told that it fails. Checks go on.
//
// Thread   a store: one at a time. Calls block.
// Bounded  kMaintenanceWindowsMax windows that are not over.
// Fails    core::Error. add(): Invalid when it says nothing that can be kept, or when there are too many. remove(): NotFound.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"

namespace watchwheel::sideeffects {

using MaintenanceId = core::Id<struct MaintenanceIdTag, std::uint64_t>;  // 0: not stored yet.

inline constexpr std::size_t kMaintenanceWindowsMax = 1000;

struct MaintenanceWindow {
  MaintenanceId id;
  std::string title;  // For people, at most 256 bytes.

  // Whom it covers: every site, or those named and those with one of the tags (at most 100 of each).
  bool all_sites = false;
  std::vector<core::SiteId> sites;
  std::vector<std::string> tags;

  // Once: from `starts_at` to `ends_at`. Again and again: each of `weekdays` at the local time `at` of `zone`, for `length`; the
  // first one not before `starts_at` and nothing of it after `ends_at`, where these are set.
  core::WallTime starts_at = core::kNoWallTime;
  core::WallTime ends_at = core::kNoWallTime;
  std::uint8_t weekdays = 0;   // Bit 0: Monday … bit 6: Sunday. 0: once.
  std::chrono::minutes at{0};  // After midnight.
  core::Duration length{};     // Time that passes, whatever the local clocks do meanwhile.
  std::string zone;            // "Europe/Berlin"; "" once.

  core::WallTime created_at = core::kNoWallTime;
  std::string created_by;  // At most 128 bytes.

  [[nodiscard]] bool recurring() const { return weekdays != 0; }
  friend bool operator==(const MaintenanceWindow&, const MaintenanceWindow&) = default;
};

class MaintenanceStore {
 public:
  virtual ~MaintenanceStore() = default;

  // Those that are not over at `now`, by id. kNoWallTime: all that there ever were.
  [[nodiscard]] virtual core::Result<std::vector<MaintenanceWindow>> list(core::WallTime now) = 0;
  // Its id is given here.
  [[nodiscard]] virtual core::Result<MaintenanceId> add(const MaintenanceWindow& window) = 0;
  [[nodiscard]] virtual core::Result<void> remove(MaintenanceId id) = 0;
};

}  // namespace watchwheel::sideeffects
