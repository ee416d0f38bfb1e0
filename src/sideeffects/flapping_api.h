// SPDX-License-Identifier: Apache-2.0
// sideeffects/flapping_api.h - what a store knows of sites that flap. Nothing is kept for it but one wake of each site that does
// (delivery_queue_api.h): it begins, goes on and ends in the transactions that say what is told of it.
//
// Thread   one at a time. Calls block. Changes nothing.
// Fails    core::Error.
#pragma once

#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"

namespace watchwheel::sideeffects {

// Of the wake: "flapping:MS", MS: since when, in milliseconds since the epoch.
inline constexpr std::string_view kFlappingMemo = "flapping:";

struct FlappingSite {
  core::SiteId site;
  core::EventId event;  // In whose tellings it stands who was told.
  core::WallTime since = core::kNoWallTime;
  friend bool operator==(const FlappingSite&, const FlappingSite&) = default;
};

[[nodiscard]] inline std::string flapping_memo(core::WallTime since) {
  return std::string(kFlappingMemo) + std::to_string(core::to_unix_ms(since));
}
// Nothing: it is no such memo.
[[nodiscard]] inline std::optional<core::WallTime> parse_flapping_memo(std::string_view memo) {
  // Beyond this a WallTime overflows.
  constexpr std::int64_t kMsMax = std::numeric_limits<std::int64_t>::max() / 1'000'000;
  if (!memo.starts_with(kFlappingMemo)) return std::nullopt;
  memo.remove_prefix(kFlappingMemo.size());
  std::int64_t ms = 0;
  const auto [end, error] = std::from_chars(memo.data(), memo.data() + memo.size(), ms);
  if (error != std::errc{} || end != memo.data() + memo.size() || ms < 0 || ms > kMsMax)
    return std::nullopt;
  return core::from_unix_ms(ms);
}

// What a site's events say of how steady it was of late.
struct SiteChanges {
  core::SiteId site;
  core::Duration interval{};  // 0: the default's.
  // Confirmed outages: when they were confirmed and when they ended.
  std::vector<core::WallTime> changes;
  // Those of outages of which somebody was told, or will be.
  std::vector<core::WallTime> told;
  // Seems down, down; up, unknown, paused. Unknown, too, of one that was removed.
  core::SiteState state = core::SiteState::Unknown;
};

class FlappingStore {
 public:
  virtual ~FlappingStore() = default;

  // Those of which somebody was told that they flap, and that it is not over yet, by id.
  [[nodiscard]] virtual core::Result<std::vector<FlappingSite>> flapping() = 0;
  // One for each of `sites`, in any order, with changes of the last flap_memory() and maybe older ones.
  [[nodiscard]] virtual core::Result<std::vector<SiteChanges>> changes(
      std::span<const core::SiteId> sites, core::Duration interval, core::WallTime now) = 0;
};

}  // namespace watchwheel::sideeffects
