// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/retry_policy.h"

#include <algorithm>

#include "core/ensure.h"

namespace watchwheel::sideeffects {
namespace {

using core::Duration;
using Ticks = Duration::rep;

// `from` to `to`, both included. The remainder favours small values by less than one in 2^64 / (to - from).
Duration between(Duration from, Duration to, std::uint64_t random) {
  if (to <= from) return from;
  const auto span = static_cast<std::uint64_t>((to - from).count());
  return from + Duration{static_cast<Ticks>(random % (span + 1))};
}

Duration about(Duration middle, std::uint64_t random) {
  const Duration tenth = middle / 10;
  return between(middle - tenth, middle + tenth, random);
}

Duration doubled(Duration base, Duration cap, std::uint32_t times) {
  if (times >= 62 || base > Duration{cap.count() >> times}) return cap;
  return Duration{base.count() << times};
}

Duration multiplied(Duration base, Duration cap, std::uint64_t factor) {
  // Compared by division: the product may be larger than a tick counter.
  if (factor > static_cast<std::uint64_t>(cap / base)) return cap;
  return base * static_cast<Ticks>(factor);
}

std::uint64_t fourth_power(std::uint64_t n) {
  constexpr std::uint64_t kMost = 50'000;  // 6e18, below 2^63.
  const std::uint64_t bounded = std::min(n, kMost);
  return bounded * bounded * bounded * bounded;
}

Duration before_limits(const RetrySettings& settings, std::uint32_t failed, Duration least,
                       std::uint64_t random) {
  const Duration step = doubled(settings.base, settings.cap, failed - 1);
  switch (settings.kind) {
    case RetryKind::Schedule:
      break;
    case RetryKind::Fixed:
      return settings.base;
    case RetryKind::Linear:
      return multiplied(settings.base, settings.cap, failed);
    case RetryKind::Exponential:
      return step;
    case RetryKind::FullJitter:
      return between(least, step, random);
    case RetryKind::EqualJitter:
      return between(step - step / 2, step, random);
    case RetryKind::Poly4:
      return about(multiplied(settings.base, settings.cap, fourth_power(failed)), random);
  }
  const std::size_t last = settings.schedule.size() - 1;
  return about(settings.schedule[std::min<std::size_t>(failed - 1, last)], random);
}

}  // namespace

Duration retry_delay(const RetrySettings& settings, std::uint32_t failed, std::uint64_t random) {
  failed = std::max(failed, 1U);
  if (settings.kind == RetryKind::Schedule) {
    ENSURE(!settings.schedule.empty(), "a retry schedule has an entry");
    return std::max(before_limits(settings, failed, settings.least, random), settings.least);
  }
  ENSURE(settings.base > Duration::zero() && settings.cap > Duration::zero(),
         "a retry policy's base and cap are above 0");
  const Duration least = std::min(settings.least, settings.cap);
  return std::clamp(before_limits(settings, failed, least, random), least, settings.cap);
}

Duration delay_as_asked(Duration retry_after, std::uint64_t random) {
  return between(retry_after, retry_after + retry_after / 10, random);
}

}  // namespace watchwheel::sideeffects
