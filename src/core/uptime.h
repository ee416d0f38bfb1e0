// SPDX-License-Identifier: Apache-2.0
// core/uptime.h - how long a site was up, down and unknown within a window, from its events. Pure.
//
// Time     wall times, whole milliseconds as stores keep them, half-open: a moment belongs to what begins at it. Nothing is rounded.
// Cost     O(n log n) of what is given.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/clock.h"

namespace watchwheel::core {

// From `from` up to, and without, `until`. Empty unless from < until.
struct TimeSpan {
  WallTime from = kNoWallTime;
  WallTime until = kNoWallTime;
  friend bool operator==(const TimeSpan&, const TimeSpan&) = default;
};

// An event as far as uptime goes: confirmed, all of it is downtime, from its first failure on.
struct TroubleSpan {
  WallTime started_at = kNoWallTime;
  WallTime ended_at = kNoWallTime;  // kNoWallTime: it goes on.
  bool confirmed = false;
  friend bool operator==(const TroubleSpan&, const TroubleSpan&) = default;
};

// Of one site. Lists may be in any order and overlap.
struct UptimeFacts {
  TimeSpan window;
  TimeSpan
      watched;  // The site's life: from when it was added until it was removed (or the window's end).
  std::span<const TroubleSpan> troubles;
  std::span<const TimeSpan> unknown;  // Nothing conclusive was seen.
  std::span<const TimeSpan> maintenance;
};

// Every moment of the window is in exactly one of these: the first that applies, from `unwatched` upwards.
struct Uptime {
  // Not nanoseconds: a million sites of a month would not fit.
  using Length = std::chrono::milliseconds;
  Length up{};
  Length seems_down{};  // In an event that was not confirmed: it counts for neither side.
  Length down{};
  Length unknown{};  // Of an open event too: what nobody saw is nobody's to tell.
  Length maintenance{};
  Length unwatched{};         // Not yet there, or removed.
  std::uint64_t outages = 0;  // Confirmed events with a part in the window and in the site's life.
  std::uint64_t false_alarms = 0;  // The same, ended without being confirmed.
  Length longest_down{};  // Of one outage, without what is unknown, maintenance, or outside.

  // Of the time that is known: up / (up + down). Nothing when there is none.
  [[nodiscard]] std::optional<double> availability() const;
  [[nodiscard]] Length total() const {
    return up + seems_down + down + unknown + maintenance + unwatched;
  }
  // What several sites had together; the longest of all.
  Uptime& operator+=(const Uptime& other);
  friend bool operator==(const Uptime&, const Uptime&) = default;
};

[[nodiscard]] Uptime uptime_of(const UptimeFacts& facts);

}  // namespace watchwheel::core
