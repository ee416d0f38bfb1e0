// SPDX-License-Identifier: Apache-2.0
// scheduler/overload.h - is there more to do than can be done, and by how much do intervals stretch?
//
// Both are read from what was started, never from how sites answer: a machine that is behind and
// does not start as many checks as are required is overloaded, whatever the reason (admission, the
// loop's own speed). A lane that catches up after a stall starts more than are required: it is
// behind, and not overloaded.
//
// Thread   the lane's.
// Bounded  a few numbers.
// Time     steady, passed in.
#pragma once

#include <array>
#include <cstdint>

#include "core/check_options.h"
#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::scheduler {

class OverloadWatch : core::Pinned {
 public:
  static constexpr core::Duration kWindow = std::chrono::seconds{1};
  static constexpr int kWindows = 5;  // So many in a row, so that a stall or a hiccup is none.

  explicit OverloadWatch(core::SteadyTime now) : window_start_(now) {}

  void started() { ++started_; }
  void not_started() { --started_; }  // Admission had no room for it after all.
  // Once a turn. `behind`: checks are waiting for longer than they should.
  void turn(core::SteadyTime now, double required_per_second, bool behind);
  // From the time when checks have been waiting while too few were started, until none waits any more.
  [[nodiscard]] bool overloaded() const { return overloaded_; }

 private:
  core::SteadyTime window_start_;
  std::int64_t started_ = 0;
  int short_windows_ = 0;
  bool overloaded_ = false;
};

// How much longer intervals are than asked, by priority: 1 is on time, 1.5 is one and a half times
// the interval. A moving mean over half a minute of the routine checks that started; while a priority
// waits and none of it starts, its latest check speaks for it.
class StretchMeter : core::Pinned {
 public:
  static constexpr core::Duration kOver = std::chrono::seconds{30};
  static constexpr core::Duration kEvery = std::chrono::seconds{1};

  explicit StretchMeter(core::SteadyTime now) : read_at_(now) { at_.fill(now); }

  // A routine check started `late`.
  void started(core::Priority priority, core::Duration late, std::uint32_t interval_ms);
  // True once a second: then tell(), for each priority.
  [[nodiscard]] bool due(core::SteadyTime now) const { return now - read_at_ >= kEvery; }
  // `waiting`: how late its latest check is, in intervals; below zero when none waits. `any`: there are sites of it.
  void tell(core::Priority priority, double waiting, bool any, core::SteadyTime now);

  [[nodiscard]] double stretch(core::Priority priority) const;

 private:
  struct Sum {
    double lateness = 0;  // In intervals.
    std::uint64_t checks = 0;
  };
  std::array<Sum, core::kPriorityCount> sums_{};
  std::array<double, core::kPriorityCount> stretch_{1, 1, 1};
  std::array<core::SteadyTime, core::kPriorityCount> at_{};  // When something was last known.
  core::SteadyTime read_at_;
};

}  // namespace watchwheel::scheduler
