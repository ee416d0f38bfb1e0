// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/backoff.h"

#include "core/hash.h"
#include "sideeffects/retry_policy.h"

namespace watchwheel::sideeffects {

core::Duration backoff_delay(const BackoffLimits& limits, std::uint32_t attempt,
                             std::uint64_t seed) {
  const RetrySettings settings{.kind = RetryKind::EqualJitter,
                               .base = limits.first,
                               .cap = limits.max,
                               .least = core::Duration::zero(),
                               .schedule = {}};
  return retry_delay(settings, attempt, core::stable_hash(seed ^ attempt));
}

}  // namespace watchwheel::sideeffects
