// SPDX-License-Identifier: Apache-2.0
#include "scheduler/pacer.h"

#include <algorithm>
#include <cmath>

#include "core/ensure.h"

namespace watchwheel::scheduler {

using core::Duration;
using core::SteadyTime;

Pacer::Pacer(SteadyTime now) : accrued_until_(now) {}

double Pacer::allowance_max() const {
  const bool handful = required_ <= kRateMin;
  return std::max(behind_ && !handful ? 1.0 : kAllowanceMin, required_ * kSavedSeconds);
}

void Pacer::accrue(SteadyTime now, double required_per_second, bool behind) {
  ENSURE(now >= accrued_until_, "steady time does not go back");
  behind_ = behind;
  required_ = std::max(required_per_second, kRateMin);
  rate_ = required_ * (behind ? kCatchUp : kHeadroom);
  const Duration elapsed =
      now - accrued_until_;  // However long: the limit of the allowance is what a stall leaves.
  accrued_until_ = now;
  allowance_ = std::min(allowance_max(), allowance_ + core::to_seconds(elapsed) * rate_);
}

bool Pacer::try_take() {
  if (allowance_ < 1) return false;
  allowance_ -= 1;
  return true;
}

void Pacer::give_back() {
  allowance_ = std::min(allowance_max(), allowance_ + 1);
}

SteadyTime Pacer::ready_at(SteadyTime now) const {
  if (allowance_ >= 1) return now;
  // Rounded up, so that whoever wakes then finds a whole start.
  const double wait_ns = std::ceil((1 - allowance_) / rate_ * 1e9) + 1;
  return std::max(now, accrued_until_ + Duration{static_cast<Duration::rep>(wait_ns)});
}

}  // namespace watchwheel::scheduler
