// SPDX-License-Identifier: Apache-2.0
// core/stats.h - numbers that one thread counts and any thread reads.
//
// Thread   add(), set(), observe(): the one owner. value(), read(): any.
// Cost     a plain load and store, no lock prefix: prometheus-cpp's own histogram takes a mutex and
//          ~100 ns, and the path of a healthy check is to touch no lock. The exposition is made
//          from these when somebody asks. Relaxed is enough everywhere: each number stands for
//          itself, and a scrape that sees one a moment before another is fine.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/clock.h"

namespace watchwheel::core {

class Counter {
 public:
  void add(std::uint64_t n = 1) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

class Gauge {
 public:
  void set(double v) { value_.store(v, std::memory_order_relaxed); }
  [[nodiscard]] double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// A snapshot of one or more histograms with the same bounds.
struct HistogramReading {
  std::vector<double> bounds_s;        // Upper bounds, rising; the last bucket (+Inf) has none.
  std::vector<std::uint64_t> counts;   // bounds_s.size() + 1, not cumulative.
  double sum_s = 0;

  void merge(const HistogramReading& other);  // The bounds must be the same.
  [[nodiscard]] std::uint64_t total() const;
  // The value below which a share `q` (0 to 1) lies, by linear interpolation in its bucket; 0 when
  // empty. In +Inf: the last bound.
  [[nodiscard]] double quantile(double q) const;
};

// Latency in seconds over fixed bounds: 1 ms to 60 s in 1-2.5-5 steps, fit for phases, whole checks
// and schedule lag.
class Histogram {
 public:
  static constexpr std::array<double, 15> kBoundsS{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                   0.5,   1,      2.5,   5,    10,    30,   60};

  void observe(Duration d);
  [[nodiscard]] HistogramReading read() const;

 private:
  std::array<Counter, kBoundsS.size() + 1> counts_{};
  std::atomic<double> sum_s_{0};
};

}  // namespace watchwheel::core
