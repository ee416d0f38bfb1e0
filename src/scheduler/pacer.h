// SPDX-License-Identifier: Apache-2.0
// scheduler/pacer.h - how many checks may start now: time x required rate x 1.25, and x 1.5 while
// behind.
//
// Owns     an allowance of starts, which grows with time.
// Thread   the lane's.
// Bounded  the allowance never exceeds two ticks' worth (or 8): a stall, however long, is followed
//          by a steady catching up and never by a dump on our own network and on those who host
//          many of our sites.
// Time     steady, passed in.
//
// The rate comes from the wheel alone (ADR 0005).
#pragma once

#include "core/clock.h"

namespace watchwheel::scheduler {

class Pacer {
 public:
  static constexpr double kHeadroom = 1.25;
  static constexpr double kCatchUp = 1.5;
  static constexpr double kRateMin =
      20;  // Starts a second, so that a handful of sites never wait for each other.
  static constexpr double kAllowanceMin = 8;  // What may start at once at the least.
  static constexpr int kTicksSaved = 2;

  Pacer(core::Duration tick, core::SteadyTime now);

  // Once a turn. `behind`: checks are waiting for longer than they should.
  void accrue(core::SteadyTime now, double required_per_second, bool behind);
  // True: one check may start, and its allowance is used.
  [[nodiscard]] bool try_take();
  // It did not start after all.
  void give_back();
  // When try_take() will succeed next, if nothing changes: `now` when it would at once.
  [[nodiscard]] core::SteadyTime ready_at(core::SteadyTime now) const;

  [[nodiscard]] double rate() const { return rate_; }
  [[nodiscard]] double allowance_max() const;

 private:
  core::Duration tick_;
  core::SteadyTime accrued_until_;
  double rate_ = kRateMin;
  double allowance_ = kAllowanceMin;
};

}  // namespace watchwheel::scheduler
