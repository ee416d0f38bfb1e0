// SPDX-License-Identifier: Apache-2.0
// fleet/histogram.h - counts milliseconds in buckets less than 1 % wide, for percentiles.
//
// A value. 25 KiB whatever it counted; exact below 256 ms, 1/128 above. add: O(1).
#pragma once

#include <array>
#include <bit>
#include <cstdint>

namespace watchwheel::fleet {

class Histogram {
 public:
  void add(std::uint32_t value_ms) noexcept {
    ++counts_[index_of(value_ms)];
    ++total_;
  }
  [[nodiscard]] std::uint64_t total() const noexcept { return total_; }

  // The value that `share` (0 to 1) of what was counted does not exceed, rounded up to the edge of
  // its bucket; 0 when nothing was counted.
  [[nodiscard]] std::uint32_t at(double share) const noexcept {
    if (total_ == 0) return 0;
    const double wanted = share * static_cast<double>(total_);
    std::uint64_t below = 0;
    for (std::uint32_t i = 0; i < kBuckets; ++i) {
      below += counts_[i];
      if (below > 0 && static_cast<double>(below) >= wanted) return upper_edge(i);
    }
    return upper_edge(kBuckets - 1);
  }

 private:
  static constexpr std::uint32_t kFine = 128;      // Steps in each doubling.
  static constexpr std::uint32_t kDoublings = 25;  // 2^8 ms to 2^32 ms.
  static constexpr std::uint32_t kBuckets = 2 * kFine + (kDoublings - 1) * kFine;

  static std::uint32_t index_of(std::uint32_t value) noexcept {
    if (value < 2 * kFine) return value;
    const auto shift = static_cast<std::uint32_t>(std::bit_width(value)) - 8U;
    return shift * kFine + (value >> shift);
  }
  static std::uint32_t upper_edge(std::uint32_t index) noexcept {
    if (index < 2 * kFine) return index;
    const std::uint32_t shift = index / kFine - 1;
    const std::uint64_t step = index - shift * kFine;
    return static_cast<std::uint32_t>(((step + 1) << shift) - 1);
  }

  std::array<std::uint64_t, kBuckets> counts_{};
  std::uint64_t total_ = 0;
};

}  // namespace watchwheel::fleet
