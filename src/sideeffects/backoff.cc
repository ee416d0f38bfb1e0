// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/backoff.h"

#include <algorithm>

#include "core/hash.h"

namespace watchwheel::sideeffects {

core::Duration backoff_delay(const BackoffLimits& limits, std::uint32_t attempt,
                             std::uint64_t seed) {
  core::Duration step = limits.first;
  // Doubling stops at the maximum, so no exponent can overflow however long the store is away.
  for (std::uint32_t i = 1; i < attempt && step < limits.max; ++i) step *= 2;
  step = std::min(step, limits.max);
  const auto half = static_cast<std::uint64_t>(step.count()) / 2;
  const std::uint64_t jitter = core::stable_hash(seed ^ attempt) % (half + 1);
  return step - core::Duration{static_cast<core::Duration::rep>(jitter)};
}

}  // namespace watchwheel::sideeffects
