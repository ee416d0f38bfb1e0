// SPDX-License-Identifier: Apache-2.0
#include "scheduler/overload.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace watchwheel::scheduler {

using core::Duration;
using core::SteadyTime;

void OverloadWatch::turn(SteadyTime now, double required_per_second, bool behind) {
  if (!behind) {
    overloaded_ = false;
    short_windows_ = 0;
    window_start_ = now;
    started_ = 0;
    return;
  }
  const Duration elapsed = now - window_start_;
  if (elapsed < kWindow) return;
  const bool too_few =
      static_cast<double>(started_) < required_per_second * core::to_seconds(elapsed);
  short_windows_ = too_few ? short_windows_ + 1 : 0;
  if (short_windows_ >= kWindows) overloaded_ = true;
  window_start_ = now;
  started_ = 0;
}

void StretchMeter::started(core::Priority priority, Duration late, std::uint32_t interval_ms) {
  Sum& sum = sums_[static_cast<std::size_t>(priority)];
  sum.lateness += std::max(0.0, core::to_ms(late)) / std::max<std::uint32_t>(interval_ms, 1);
  ++sum.checks;
}

// Weighted by the time for which nothing else was known: of a few sites with long intervals each check
// counts whole.
void StretchMeter::tell(core::Priority priority, double waiting, bool any, SteadyTime now) {
  const auto i = static_cast<std::size_t>(priority);
  read_at_ = now;
  const Sum sum = std::exchange(sums_[i], {});
  if (!any) {
    stretch_[i] = 1;
    at_[i] = now;
    return;
  }
  double seen = sum.checks > 0 ? 1 + sum.lateness / static_cast<double>(sum.checks) : 0;
  if (sum.checks == 0) {
    if (waiting <= 0) return;
    seen = 1 + waiting;
  }
  const double weight = 1 - std::exp(-core::to_seconds(now - at_[i]) / core::to_seconds(kOver));
  stretch_[i] += (seen - stretch_[i]) * weight;
  at_[i] = now;
}

double StretchMeter::stretch(core::Priority priority) const {
  return stretch_[static_cast<std::size_t>(priority)];
}

}  // namespace watchwheel::scheduler
