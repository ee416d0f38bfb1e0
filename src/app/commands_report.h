// SPDX-License-Identifier: Apache-2.0
// app/commands_report.h - `watchwheel report`: how long sites were up, down, unknown and in maintenance in a window of time, and
// how fast they answered.
//
// Bounded  a page of sites at a time, printed as it is read; by tag, kTagsMax tags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <ostream>
#include <span>
#include <string>
#include <vector>

#include "app/command.h"
#include "core/uptime.h"
#include "db/uptime_log.h"
#include "sideeffects/maintenance_api.h"

namespace watchwheel::app {

inline constexpr std::size_t kTagsMax = 100'000;

struct ReportArgs {
  std::uint64_t site = 0;  // 0: all.
  std::string tag{};       // "": any.
  std::string since{};     // "": the last 30 days. A time, a date, or how long ago.
  std::string until{};     // "": now.
  bool by_tag = false;
  bool minutes = false;  // Only how fast all sites answered, minute by minute.
  bool json = false;     // One document, written as it is read.
  bool csv = false;
  std::string config{};
  // Of a report that is asked for a page at a time: sites above `after`, so many of them, as JSON that says where to go on.
  std::uint64_t after = 0;
  std::size_t limit = 0;        // 0: all.
  core::Duration window_max{};  // 0: any.
};
// kExitBad: --site names none that was there in the window.
[[nodiscard]] int show_report(const ReportArgs& args, Io& io);

// Where a report comes from.
struct ReportSource {
  db::UptimeLog& log;
  std::span<const sideeffects::MaintenanceWindow> windows;
  core::Duration interval{};             // Of sites that have none of their own.
  core::Duration projection_interval{};  // Of the daemon.
};
// Writes it as it is read. Invalid: the window is none. NotFound: --site names none that was there in the window. Else what was
// written is not the whole of it.
[[nodiscard]] core::Result<void> write_report(const ReportArgs& args, const ReportSource& source,
                                              core::WallTime now, std::ostream& out);

// What is known of a site at `now`. Besides its gaps it is unknown from its newest conclusive result on when it is paused, was told
// as unknown, or has not been heard of for `quiet_max`; of one that nobody has ever looked at all is unknown; and what was before
// `known_from`. Whole milliseconds.
[[nodiscard]] core::Uptime site_uptime(const db::SiteHistory& site, const core::TimeSpan& window,
                                       core::WallTime now, core::Duration quiet_max,
                                       std::span<const core::TimeSpan> maintenance = {},
                                       core::WallTime known_from = core::kNoWallTime);

// "99.982%", "-" when nothing is known. Rounded down: 100% is all of the known time, and 0% too is told only where nothing was up.
[[nodiscard]] std::string availability_text(const core::Uptime& uptime);

}  // namespace watchwheel::app
