// SPDX-License-Identifier: Apache-2.0
// support/eventually.h - waits for what another process will do, without a fixed sleep.
#pragma once

#include <algorithm>

#include "core/clock.h"
#include "support/slow_build.h"

namespace watchwheel::testing {

// A limit is for a machine with nothing else to do. Only who waits in vain waits longer for this.
inline constexpr int kPatience = 2 * std::min(kSlowness, 3);

// Looks at `done` every 20 ms, and at most a quarter of the time, until it is true or `limit` (kPatience times) has passed; what it
// was at last. Whoever looks by starting a sanitized program would else take a core from those that are looked at.
template <typename Done>
[[nodiscard]] bool eventually(Done done, core::Duration limit = std::chrono::seconds{30}) {
  const core::SystemClock clock;
  const core::SteadyTime end = clock.steady() + limit * kPatience;
  for (;;) {
    const core::SteadyTime begin = clock.steady();
    if (done()) return true;
    const core::SteadyTime now = clock.steady();
    if (now >= end) return false;
    clock.sleep_for(std::clamp<core::Duration>(3 * (now - begin), std::chrono::milliseconds{20},
                                               std::chrono::milliseconds{500}));
  }
}

}  // namespace watchwheel::testing
