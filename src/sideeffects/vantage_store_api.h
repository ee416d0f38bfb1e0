// SPDX-License-Identifier: Apache-2.0
// sideeffects/vantage_store_api.h - where faults of the vantage are kept: events of their own, beside those of the sites.
// Implemented in db, joined by app.
//
// Thread   one at a time. Calls block.
// Fails    core::Error, as event_store_api.h says.
#pragma once

#include <cstdint>
#include <string>

#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::sideeffects {

// One time of blindness, named by its start. Times are whole milliseconds.
struct VantageEvent {
  core::WallTime started_at = core::kNoWallTime;
  core::WallTime ended_at = core::kNoWallTime;  // kNoWallTime: it goes on.
  std::string reason;                           // A core::VantageReason.
  std::string detail;                           // For a person, at most 512 bytes.
  std::uint64_t withheld = 0;                   // Failures that were not told because of it.
  friend bool operator==(const VantageEvent&, const VantageEvent&) = default;
};

class VantageStore {
 public:
  virtual ~VantageStore() = default;

  // Stores or replaces the event of that start. One that has ended is frozen: a write to it changes nothing.
  [[nodiscard]] virtual core::Result<void> put(const VantageEvent& event) = 0;
  // Ends what is open: the process that opened it is gone, and what it would have seen since nobody knows.
  [[nodiscard]] virtual core::Result<std::uint64_t> close_open(core::WallTime at) = 0;
};

}  // namespace watchwheel::sideeffects
