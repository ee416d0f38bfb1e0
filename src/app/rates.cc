// SPDX-License-Identifier: Apache-2.0
#include "app/rates.h"

#include <algorithm>

namespace watchwheel::app {

void RecentRate::sample(std::uint64_t total, core::SteadyTime now) {
  readings_[count_ % kReadings] = {total, now};
  ++count_;
  if (count_ < 2) return;
  const Reading& oldest = count_ <= kReadings ? readings_[0] : readings_[count_ % kReadings];
  const double seconds = core::to_seconds(now - oldest.at);
  if (seconds > 0)
    rate_.store(static_cast<double>(total - oldest.total) / seconds, std::memory_order_relaxed);
}

}  // namespace watchwheel::app
