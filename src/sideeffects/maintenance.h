// SPDX-License-Identifier: Apache-2.0
// sideeffects/maintenance.h - when a maintenance window holds, and for whom. Pure but for the zone files that are read.
//
// A window that comes again begins at a time of day of a place. Where the clocks go forward over that time it begins at the
// moment they do; where they go back over it, the first of the two. It lasts as long as was said, not until some local time.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "sideeffects/maintenance_api.h"

namespace watchwheel::sideeffects {

// A window that comes again lasts at most a week, one that comes once a year.
inline constexpr core::Duration kMaintenanceMin = std::chrono::minutes{1};
inline constexpr core::Duration kRecurringMax = std::chrono::hours{7 * 24};
inline constexpr core::Duration kOnceMax = std::chrono::hours{366 * 24};

struct MaintenanceSpan {
  core::WallTime from = core::kNoWallTime;
  core::WallTime until = core::kNoWallTime;
  friend bool operator==(const MaintenanceSpan&, const MaintenanceSpan&) = default;
};

// Whether this machine knows the place: a name of the IANA time zone database.
[[nodiscard]] bool is_time_zone(const std::string& name);

// Invalid, saying what would be right: a window that covers nobody, has no time, lasts too long, is of an unknown zone.
[[nodiscard]] core::Result<void> check_window(const MaintenanceWindow& window);

// The occurrence that holds at `now` (the last to end); nothing: none does. A window whose zone this machine does not know never
// holds: is_time_zone() tells why.
[[nodiscard]] std::optional<MaintenanceSpan> span_at(const MaintenanceWindow& window,
                                                     core::WallTime now);
// The occurrence that holds at `now`, else the next one to come; nothing: it is over.
[[nodiscard]] std::optional<MaintenanceSpan> next_span(const MaintenanceWindow& window,
                                                       core::WallTime now);

// All occurrences with a part between the two, in the order of their beginning. One that comes again is told from when it was made
// on: before that nobody had announced it.
[[nodiscard]] std::vector<MaintenanceSpan> spans_between(const MaintenanceWindow& window,
                                                         core::WallTime from, core::WallTime until);

[[nodiscard]] bool covers(const MaintenanceWindow& window, core::SiteId site,
                          std::span<const std::string> tags);

// "mon,wed" or "daily". 0: anything else.
[[nodiscard]] std::uint8_t parse_weekdays(std::string_view text);
[[nodiscard]] std::string weekdays_text(std::uint8_t weekdays);
// "02:30". Nothing: anything else.
[[nodiscard]] std::optional<std::chrono::minutes> parse_time_of_day(std::string_view text);

// Many windows at one moment. Thread: one. Cost of of(): one look at each window that holds.
class MaintenanceCalendar {
 public:
  MaintenanceCalendar() = default;
  explicit MaintenanceCalendar(std::vector<MaintenanceWindow> windows)
      : windows_(std::move(windows)) {}

  // What holds at `now` is what of() tells until the next call.
  void move_to(core::WallTime now);

  struct Holding {
    MaintenanceId id;
    core::WallTime until = core::kNoWallTime;
  };
  // Of those that cover the site the one that ends last.
  [[nodiscard]] std::optional<Holding> of(core::SiteId site,
                                          std::span<const std::string> tags) const;
  [[nodiscard]] std::size_t holding() const { return now_.size(); }
  [[nodiscard]] const std::vector<MaintenanceWindow>& windows() const { return windows_; }

 private:
  struct Open {
    std::size_t window = 0;
    core::WallTime until = core::kNoWallTime;
  };
  std::vector<MaintenanceWindow> windows_;
  std::vector<Open> now_;
};

}  // namespace watchwheel::sideeffects
