// SPDX-License-Identifier: Apache-2.0
#include "core/stats.h"

#include <algorithm>

#include "core/ensure.h"

namespace watchwheel::core {

void HistogramReading::merge(const HistogramReading& other) {
  if (other.counts.empty()) return;
  if (counts.empty()) {
    *this = other;
    return;
  }
  ENSURE(bounds_s == other.bounds_s, "only histograms with the same bounds can be merged");
  for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
  sum_s += other.sum_s;
}

std::uint64_t HistogramReading::total() const {
  std::uint64_t n = 0;
  for (const std::uint64_t count : counts) n += count;
  return n;
}

double HistogramReading::quantile(double q) const {
  const std::uint64_t n = total();
  if (n == 0) return 0;
  const double rank = q * static_cast<double>(n);
  double below = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto here = static_cast<double>(counts[i]);
    if (here > 0 && below + here >= rank) {
      if (i == bounds_s.size()) return bounds_s.back();
      const double low = i == 0 ? 0 : bounds_s[i - 1];
      return low + (bounds_s[i] - low) * std::clamp((rank - below) / here, 0.0, 1.0);
    }
    below += here;
  }
  return bounds_s.back();
}

void Histogram::observe(Duration d) {
  const double seconds = std::max(0.0, to_seconds(d));
  const auto bucket = std::lower_bound(kBoundsS.begin(), kBoundsS.end(), seconds) - kBoundsS.begin();
  counts_[static_cast<std::size_t>(bucket)].add();
  sum_s_.store(sum_s_.load(std::memory_order_relaxed) + seconds, std::memory_order_relaxed);
}

HistogramReading Histogram::read() const {
  HistogramReading reading;
  reading.bounds_s.assign(kBoundsS.begin(), kBoundsS.end());
  for (const Counter& count : counts_) reading.counts.push_back(count.value());
  reading.sum_s = sum_s_.load(std::memory_order_relaxed);
  return reading;
}

}  // namespace watchwheel::core
