// SPDX-License-Identifier: Apache-2.0
// scheduler/pacer.h - how many checks may start now: time x required rate x 1.25, and x 1.45 while
// behind.
//
// What may be saved up is 50 ms' worth, so that no second ever sees more than 1.5 times what is
// required: a stall, however long, is followed by a steady catching up and never by a dump on our
// own network and on those who host many of our sites. A backlog of B checks is gone after at most
// B / (0.45 x required rate): 267 s after two minutes of standing still with intervals of 5 minutes.
// (A fleet that requires less than 16 a second is paced as one that does, and may start 8 at once.)
//
// Owns     an allowance of starts, which grows with time.
// Thread   the lane's.
// Bounded  by 50 ms' worth; 8 at least while not behind.
// Time     steady, passed in.
//
// The rate comes from the wheel alone (ADR 0005).
#pragma once

#include "core/clock.h"

namespace watchwheel::scheduler {

class Pacer {
 public:
  static constexpr double kHeadroom = 1.25;
  static constexpr double kCatchUp = 1.45;  // With what is saved 1.5 in a second.
  static constexpr double kSavedSeconds = 0.05;
  // A required rate below it is taken for this: a handful of sites never wait for each other.
  static constexpr double kRateMin = 16;
  static constexpr double kAllowanceMin = 8;  // What may start at once at the least.

  explicit Pacer(core::SteadyTime now);

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
  core::SteadyTime accrued_until_;
  bool behind_ = false;
  double required_ = kRateMin;
  double rate_ = kRateMin * kHeadroom;
  double allowance_ = kAllowanceMin;
};

}  // namespace watchwheel::scheduler
