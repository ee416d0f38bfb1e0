// SPDX-License-Identifier: Apache-2.0
// app/rates.h - what was done per second lately, from a counter that only rises.
//
// Owns     the last ten readings, one a second.
// Thread   one at a time for sample(); per_second(): any.
// Bounded  kReadings.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "core/clock.h"

namespace watchwheel::app {

class RecentRate {
 public:
  // Call it about once a second.
  void sample(std::uint64_t total, core::SteadyTime now);
  // Over the readings kept; 0 before the second one.
  [[nodiscard]] double per_second() const { return rate_.load(std::memory_order_relaxed); }

 private:
  static constexpr std::size_t kReadings = 11;
  struct Reading {
    std::uint64_t total = 0;
    core::SteadyTime at;
  };
  std::array<Reading, kReadings> readings_{};
  std::size_t count_ = 0;
  std::atomic<double> rate_{0};  // Relaxed: a number for people, it stands for itself.
};

}  // namespace watchwheel::app
