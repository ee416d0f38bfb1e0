// SPDX-License-Identifier: Apache-2.0
// support/eventually.h - waits for what another process will do, without a fixed sleep.
#pragma once

#include "core/clock.h"

namespace watchwheel::testing {

// Looks at `done` every 20 ms until it is true or `limit` has passed; what it was at last.
template <typename Done>
[[nodiscard]] bool eventually(Done done, core::Duration limit = std::chrono::seconds{30}) {
  const core::SystemClock clock;
  const core::SteadyTime end = clock.steady() + limit;
  while (!done()) {
    if (clock.steady() >= end) return false;
    clock.sleep_for(std::chrono::milliseconds{20});
  }
  return true;
}

}  // namespace watchwheel::testing
