// SPDX-License-Identifier: Apache-2.0
// app/turn_rhythm.h - how long a lane lets events gather before it takes a turn.
//
// A lane that is woken for each answer pays for each wake: a switch of threads, caches that went
// cold, and a turn's own work. At some thousand checks a second, a core mostly idle, that is more than
// the check itself. So a lane of a large fleet begins at most one turn in kEvery and takes what came
// meanwhile all at once. The price is exactness: an event is seen up to kEvery after it was there, and
// each phase of a check reads so much longer at the most, half of it in the mean. A lane of fewer
// checks has more time between two events than a turn takes: it is woken for each.
//
// Thread   any; pure.
#pragma once

#include <chrono>

#include "core/clock.h"

namespace watchwheel::app {

struct TurnRhythm {
  static constexpr core::Duration kEvery = std::chrono::milliseconds{2};
  // Checks a second. Each brings some four events.
  static constexpr double kFromRate = 200;

  // When the next turn may begin at the earliest, after one that began at `begun`. `left`: it left
  // answers that are here already, which wait for nothing.
  [[nodiscard]] static core::SteadyTime earliest(core::SteadyTime begun, double checks_per_second,
                                                 bool left) {
    return left || checks_per_second < kFromRate ? begun : begun + kEvery;
  }
};

}  // namespace watchwheel::app
