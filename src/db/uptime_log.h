// SPDX-License-Identifier: Apache-2.0
// db/uptime_log.h - what a report on a window of time needs of each site: `watchwheel report`.
//
// Thread   one at a time. Calls block.
// Bounded  at most `limit` sites a call, with all their events and gaps in the window. A page reads one moment of the store; it holds
//          nobody up.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/responses.h"
#include "core/result.h"
#include "core/uptime.h"

namespace watchwheel::db {

// Of which times response times are known: whole hours or days (UTC) that a window touches.
struct ResponseSpan {
  core::Duration width{};
  core::TimeSpan span{};
};

struct UptimeFilter {
  std::optional<core::SiteId> site{};
  std::optional<std::string> tag{};
  // With the response times of it; as response_span() says.
  std::optional<ResponseSpan> responses{};
};

// How fast the sites answered in one minute, hour or day.
struct ResponsePoint {
  core::WallTime started_at = core::kNoWallTime;
  core::ResponseHistogram responses{};
};

struct SiteHistory {
  core::SiteId id;
  std::string url;
  std::string name;
  std::vector<std::string> tags;
  std::optional<core::Duration> interval;
  bool active = true;
  core::WallTime created_at = core::kNoWallTime;
  core::WallTime updated_at = core::kNoWallTime;
  core::WallTime deleted_at = core::kNoWallTime;  // kNoWallTime: it is there.
  bool seen = false;                              // Something was once known of it.
  std::optional<bool> measured;                   // Nothing: never, or another URL.
  core::WallTime checked_at = core::kNoWallTime;
  std::vector<core::TroubleSpan> troubles;  // Oldest first.
  std::vector<core::TimeSpan> gaps;         // When nobody knew; what goes on is not in it.
  core::ResponseHistogram responses{};      // Of UptimeFilter::responses.
};

class UptimeLog {
 public:
  static constexpr core::Duration kHourlyWindowMax = std::chrono::hours{24 * 8};

  virtual ~UptimeLog() = default;
  // Up to `limit` sites above `after`, in id order, that were there in the window for a moment at least, with what touches it.
  // Fewer than `limit`: there are no more. A site that was removed is told for as long as its record stays.
  [[nodiscard]] virtual core::Result<std::vector<SiteHistory>> page(const UptimeFilter& filter,
                                                                    const core::TimeSpan& window,
                                                                    core::SiteId after,
                                                                    std::size_t limit) = 0;
  // What ended before it may have been removed, so nothing is known of that. kNoWallTime: nothing was.
  [[nodiscard]] virtual core::Result<core::WallTime> known_from() = 0;
  // By the hour where the window is at most kHourlyWindowMax long and hours reach as far as days do; else by the day.
  [[nodiscard]] virtual core::Result<ResponseSpan> response_span(const core::TimeSpan& window) = 0;
  // Of all sites, minute by minute, from `from` on and before `until`, oldest first, at most `limit`.
  [[nodiscard]] virtual core::Result<std::vector<ResponsePoint>> minutes(core::WallTime from,
                                                                         core::WallTime until,
                                                                         std::size_t limit) = 0;
};

}  // namespace watchwheel::db
