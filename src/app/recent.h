// SPDX-License-Identifier: Apache-2.0
// app/recent.h - the last minutes of the running daemon: what was done per second, how late checks started, what each lane cost.
//
// Counters and histograms only rise from the start on; after a day a bad minute does not show in them. This keeps readings of
// them, one every kStep, and tells the differences.
//
// Owns     the last kPoints + 1 readings.
// Thread   sample(): one at a time. view(): any; a mutex, held for the copying of some kilobytes.
// Bounded  kPoints + 1 readings of as many lanes as there are.
// Time     steady time, passed in.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"

namespace watchwheel::app {

// What has been counted since the start, at one moment.
struct LaneCounts {
  std::uint64_t done = 0;
  double cpu_s = 0;
  core::HistogramReading lag;
};
struct CountsAt {
  core::SteadyTime at;
  std::vector<LaneCounts> lanes;  // As many at each reading.
  double cpu_s = 0;               // Of the whole process.
};

struct LaneRecent {
  double done_per_second = 0;
  double cpu_share = 0;  // 1: one core, wholly.
  core::HistogramReading lag;
};
struct RecentView {
  core::Duration window{};     // What the figures below are of; 0: nothing is known yet.
  core::HistogramReading lag;  // Of all lanes.
  std::vector<LaneRecent> lanes;
  double cpu_share = 0;  // Of the process.
  // One value for each step, the oldest first.
  core::Duration step{};
  std::vector<double> done_per_second;
  std::vector<double> lag_p99_s;
};

class RecentWindow : core::Pinned {
 public:
  static constexpr core::Duration kStep = std::chrono::seconds{5};
  static constexpr std::size_t kPoints = 60;  // Five minutes.

  // Is it time for the next reading?
  [[nodiscard]] bool due(core::SteadyTime now) const;
  void sample(CountsAt counts);
  [[nodiscard]] RecentView view() const;

 private:
  mutable std::mutex mutex_;
  std::deque<CountsAt> readings_;  // Guarded by mutex_.
};

// What was counted between two readings of one histogram.
[[nodiscard]] core::HistogramReading between(const core::HistogramReading& before,
                                             const core::HistogramReading& after);

// The upper bound of the highest bucket that holds anything: nothing was above it. In +Inf (`beyond`): it was above the last bound.
struct HighestSeen {
  double bound_s = 0;
  bool beyond = false;
};
[[nodiscard]] HighestSeen highest(const core::HistogramReading& reading);

}  // namespace watchwheel::app
