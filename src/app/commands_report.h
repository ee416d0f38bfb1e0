// SPDX-License-Identifier: Apache-2.0
// app/commands_report.h - `watchwheel report`: how long sites were up, down and unknown in a window of time.
//
// Bounded  a page of sites at a time, printed as it is read; by tag, kTagsMax tags.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "app/command.h"
#include "core/uptime.h"
#include "db/uptime_log.h"

namespace watchwheel::app {

inline constexpr std::size_t kTagsMax = 100'000;

struct ReportArgs {
  std::uint64_t site = 0;  // 0: all.
  std::string tag{};       // "": any.
  std::string since{};     // "": the last 30 days. A time, a date, or how long ago.
  std::string until{};     // "": now.
  bool by_tag = false;
  bool json = false;  // One document, written as it is read.
  bool csv = false;
  std::string config{};
};
// kExitBad: --site names none that was there in the window.
[[nodiscard]] int show_report(const ReportArgs& args, Io& io);

// What is known of a site at `now`. Besides its gaps it is unknown from its newest conclusive result on when it is paused, was told
// as unknown, or has not been heard of for `quiet_max`; of one that nobody has ever looked at all is unknown. Whole milliseconds.
[[nodiscard]] core::Uptime site_uptime(const db::SiteHistory& site, const core::TimeSpan& window,
                                       core::WallTime now, core::Duration quiet_max);

// "99.982%", "-" when nothing is known. Rounded down: 100% is all of the known time, and 0% too is told only where nothing was up.
[[nodiscard]] std::string availability_text(const core::Uptime& uptime);

}  // namespace watchwheel::app
