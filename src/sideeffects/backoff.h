// SPDX-License-Identifier: Apache-2.0
// sideeffects/backoff.h - how long to leave a store alone that could not be reached.
#pragma once

#include <cstdint>

#include "core/clock.h"

namespace watchwheel::sideeffects {

struct BackoffLimits {
  core::Duration first = std::chrono::milliseconds{100};
  core::Duration max = std::chrono::seconds{5};
};

// The wait after failed attempt number `attempt` (1, 2, 3 …): `first`, doubling up to `max`, of
// which the upper half is jitter, so that several writers that failed together do not come back
// together. Pure; never above `max`.
[[nodiscard]] core::Duration backoff_delay(const BackoffLimits& limits, std::uint32_t attempt,
                                           std::uint64_t seed);

}  // namespace watchwheel::sideeffects
