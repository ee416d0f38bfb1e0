// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/rate_limit.h"

#include <algorithm>

namespace watchwheel::sideeffects {
namespace {

std::uint32_t part_of(std::uint32_t whole, std::uint32_t index, std::uint32_t parts) {
  const std::uint32_t rest = index < whole % parts ? 1 : 0;
  return std::max(whole / parts + rest, 1U);
}

}  // namespace

RateLimit share_of(RateLimit limit, std::uint32_t index, std::uint32_t processes) {
  if (limit.per_minute == 0 || processes <= 1) return limit;
  return {.per_minute = part_of(limit.per_minute, index, processes),
          .burst = part_of(limit.burst, index, processes)};
}

core::Duration TokenBucket::interval() const {
  constexpr core::Duration kMinute = std::chrono::minutes{1};
  const core::Duration::rep rate = limit_.per_minute;
  return core::Duration{(kMinute.count() + rate - 1) / rate};  // Rounded up: never faster.
}

std::optional<core::SteadyTime> TokenBucket::take(core::SteadyTime now) {
  if (limit_.per_minute == 0) return std::nullopt;
  const core::Duration all_but_one = interval() * (std::max(limit_.burst, 1U) - 1);
  const core::SteadyTime full_at = std::max(full_at_, now);
  if (full_at - all_but_one > now) return full_at - all_but_one;
  full_at_ = full_at + interval();
  return std::nullopt;
}

void TokenBucket::give_back() {
  if (limit_.per_minute != 0 && full_at_ != core::kNoSteadyTime) full_at_ -= interval();
}

}  // namespace watchwheel::sideeffects
