// SPDX-License-Identifier: Apache-2.0
#include "core/responses.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace watchwheel::core {
namespace {

using std::chrono::microseconds;

// 1 ms times the step's power of the fourth root of two; rounded, so that all machines have the same.
const std::array<std::int64_t, kResponseSteps>& ends_us() {
  static const std::array<std::int64_t, kResponseSteps> ends = [] {
    std::array<std::int64_t, kResponseSteps> all{};
    for (std::size_t i = 0; i < all.size(); ++i)
      all.at(i) = std::llround(1000.0 * std::exp2(static_cast<double>(i) / 4.0));
    return all;
  }();
  return ends;
}

}  // namespace

std::size_t response_step(Duration took) {
  const auto& ends = ends_us();
  const std::int64_t us = std::chrono::ceil<microseconds>(took).count();
  const auto found = std::lower_bound(ends.begin(), ends.end() - 1, us);
  return static_cast<std::size_t>(found - ends.begin());
}

Duration response_step_end(std::size_t step) {
  return microseconds{ends_us().at(step)};
}

std::uint16_t ResponseCounts::cell(std::size_t step, std::uint32_t count) {
  return static_cast<std::uint16_t>(step << kCountBits | std::min(count, kCountMax));
}

void ResponseCounts::add_step(std::size_t step, std::uint32_t count) {
  if (count == 0) return;
  for (std::uint16_t& known : cells_) {
    if (known == 0 || step_of(known) == step) {
      known = cell(step, count_of(known) + count);
      return;
    }
  }
  // Five steps for four cells: of the closest two the slower one takes both. Of equals the fastest, so that the slow end stays.
  std::array<std::uint16_t, kCellsMax + 1> all{};
  std::copy(cells_.begin(), cells_.end(), all.begin());
  all.back() = cell(step, count);
  std::sort(all.begin(), all.end());  // The step is in the higher bits.
  std::size_t closest = 0;
  for (std::size_t i = 1; i + 1 < all.size(); ++i) {
    if (step_of(all.at(i + 1)) - step_of(all.at(i)) <
        step_of(all.at(closest + 1)) - step_of(all.at(closest)))
      closest = i;
  }
  all.at(closest + 1) =
      cell(step_of(all.at(closest + 1)), count_of(all.at(closest)) + count_of(all.at(closest + 1)));
  std::copy(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(closest), cells_.begin());
  std::copy(all.begin() + static_cast<std::ptrdiff_t>(closest) + 1, all.end(),
            cells_.begin() + static_cast<std::ptrdiff_t>(closest));
}

ResponseCounts& ResponseCounts::operator+=(const ResponseCounts& other) {
  for (const std::uint16_t cell : ResponseCounts(other).cells_)
    add_step(step_of(cell), count_of(cell));
  return *this;
}

ResponseHistogram& ResponseHistogram::operator+=(const ResponseCounts& some) {
  for (const std::uint16_t cell : some.cells_)
    counts.at(ResponseCounts::step_of(cell)) += ResponseCounts::count_of(cell);
  return *this;
}

ResponseHistogram& ResponseHistogram::operator+=(const ResponseHistogram& other) {
  for (std::size_t i = 0; i < counts.size(); ++i) counts.at(i) += other.counts.at(i);
  return *this;
}

std::uint64_t ResponseHistogram::total() const {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

std::optional<Duration> ResponseHistogram::quantile(double q) const {
  const std::uint64_t all = total();
  if (all == 0) return std::nullopt;
  const auto rank = std::clamp<std::uint64_t>(
      static_cast<std::uint64_t>(std::ceil(q * static_cast<double>(all))), 1, all);
  std::uint64_t seen = 0;
  std::size_t step = 0;
  while ((seen += counts.at(step)) < rank) ++step;
  return response_step_end(step);
}

}  // namespace watchwheel::core
