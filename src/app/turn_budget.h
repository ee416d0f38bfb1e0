// SPDX-License-Identifier: Apache-2.0
// app/turn_budget.h - how much of a loop turn may go into work that can wait for the next.
//
// A count alone does not bound a turn: 512 edits take half a millisecond when they change an
// interval, and half a second when each brings an expression of its own to be compiled.
//
// Thread   the lane's.
// Time     the clock's, read once in kAskedPerLook times; without a clock nothing is ever spent (a
//          simulation's time does not pass within a turn).
#pragma once

#include <cstddef>

#include "core/clock.h"

namespace watchwheel::app {

class TurnBudget {
 public:
  static constexpr std::size_t kAskedPerLook = 8;

  TurnBudget(const core::Clock* clock, core::Duration most) : clock_(clock), most_(most) {}

  // A piece of work begins that may take `most` from now on.
  void begin() {
    asked_ = 0;
    spent_ = false;
    if (clock_ != nullptr) until_ = clock_->steady() + most_;
  }
  // Ask after each piece: true when the rest is for the next turn.
  [[nodiscard]] bool spent() {
    if (clock_ == nullptr || spent_ || ++asked_ % kAskedPerLook != 0) return spent_;
    return look();
  }
  // The same, after a piece that may have been a large one: the clock is read in any case.
  [[nodiscard]] bool look() {
    if (clock_ != nullptr && clock_->steady() >= until_) spent_ = true;
    return spent_;
  }

 private:
  const core::Clock* clock_;
  const core::Duration most_;
  core::SteadyTime until_;
  std::size_t asked_ = 0;
  bool spent_ = false;
};

}  // namespace watchwheel::app
