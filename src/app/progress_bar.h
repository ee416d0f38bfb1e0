// SPDX-License-Identifier: Apache-2.0
// app/progress_bar.h - how far a long command is, on one line of a terminal's standard error.
//
// Owns     the line it stands on, until clear(). Nothing at all where it is not shown.
// Thread   the command's, one.
// Bounded  one line of at most `columns`; drawn at most ten times a second, first after a while, so that what is quickly done
//          shows none. The rate is of the last ten seconds.
// Time     steady time of the clock passed in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <ostream>
#include <string>

#include "app/command.h"
#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::app {

struct ProgressStyle {
  bool shown = false;
  bool utf8 = false;
  std::size_t columns = 80;
  core::Duration after = std::chrono::milliseconds{300};  // No line before this has passed.
  std::string doing;                                      // "importing"
  std::string unit;                                       // "sites"
};

class ProgressBar : core::Pinned {
 public:
  ProgressBar(std::ostream& err, ProgressStyle style, const core::Clock& clock);
  ~ProgressBar() { clear(); }

  // `done` units so far, which are `share` (0 to 1) of the whole; without it the whole is not known, and neither bar nor
  // remaining time is shown.
  void update(std::uint64_t done, std::optional<double> share);
  // Takes the line away, so that something else can be written; the next update draws it again.
  void clear();

 private:
  struct Reading {
    core::SteadyTime at;
    std::uint64_t done = 0;
    double share = 0;
  };
  [[nodiscard]] std::string line(const Reading& now, bool whole_known) const;

  std::ostream& err_;
  const ProgressStyle style_;
  const core::Clock& clock_;
  const core::SteadyTime begun_;
  std::deque<Reading> readings_;  // One a second, of the last ten.
  core::SteadyTime drawn_at_ = core::kNoSteadyTime;
  bool on_screen_ = false;
};

// Shown on a terminal only, and not where it was unwanted (--quiet, --json) or where results are written to a terminal too:
// `results` says that the command writes many while it goes on.
[[nodiscard]] ProgressStyle progress_for(const Io& io, bool wanted, bool results, std::string doing,
                                         std::string unit);

// Nothing when there is no telling.
[[nodiscard]] inline std::optional<double> share_of(std::uint64_t done, std::uint64_t all) {
  if (all == 0) return std::nullopt;
  return static_cast<double>(done) / static_cast<double>(all);
}

}  // namespace watchwheel::app
