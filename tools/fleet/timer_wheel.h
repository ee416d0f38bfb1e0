// SPDX-License-Identifier: Apache-2.0
// fleet/timer_wheel.h - when each connection must be looked at next.
//
// Owns     one timer for each connection number, in slots of one millisecond.
// Thread   the fleet's one thread.
// Bounded  `timers_max` timers, all memory in the constructor; a horizon of kSlots milliseconds,
//          longer waits are cut to it (nothing here waits longer than its caller re-arms).
// Time     steady time, passed in; never backwards.
// Cost     arm, disarm: O(1). advance: O(slots with timers in the time passed).
#pragma once

#include <cstdint>
#include <vector>

#include "fleet/units.h"

namespace watchwheel::fleet {

class TimerWheel {
 public:
  static constexpr std::uint32_t kSlots = 32'768;  // 32.7 s: above the idle limit of 30 s.

  TimerWheel(std::uint32_t timers_max, Time start);

  // (Re)sets the timer to the first tick at or after `due`; one in the past is the next tick.
  void arm(std::uint32_t timer, Time due) noexcept;
  void disarm(std::uint32_t timer) noexcept;

  // Moves time to `now` and appends the timers that fell due to `fired`, oldest tick first. They are
  // disarmed by it.
  void advance(Time now, std::vector<std::uint32_t>& fired);

  // When the soonest timer is due; Time::max() when none is armed.
  [[nodiscard]] Time next() const noexcept;
  [[nodiscard]] std::uint32_t armed() const noexcept { return armed_; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffffU;
  struct Node {
    std::uint32_t next = kNone;
    std::uint32_t previous = kNone;
    std::uint32_t slot = kNone;
  };
  [[nodiscard]] std::uint64_t tick_of(Time time) const noexcept;
  // The first tick after `tick_` whose slot has a timer; the wheel is not empty.
  [[nodiscard]] std::uint64_t next_tick() const noexcept;

  Time start_;
  std::uint64_t tick_ = 0;  // Everything until here has fired.
  std::uint32_t armed_ = 0;
  std::vector<Node> nodes_;
  std::vector<std::uint32_t> heads_;
  std::vector<std::uint64_t> occupied_;  // One bit a slot.
};

}  // namespace watchwheel::fleet
