// SPDX-License-Identifier: Apache-2.0
// bench/rig/knee.h - which rate to try next, to find the highest one that is kept.
//
// Up in large steps until a rate is not kept; what was done at that rate says where the knee must be,
// so that is tried next; then halves. Pure: the caller runs the trials.
//
// A value. Bounded: `trials_max` trials.
#pragma once

#include <optional>
#include <vector>

namespace watchwheel::rig {

struct Trial {
  double offered = 0;    // Checks a second that the sites asked for.
  bool is_kept = false;  // All of them in time.
  double done = 0;       // Checks a second that were made.
};

class KneeSearch {
 public:
  struct Limits {
    double first = 0;
    double lowest = 0;        // Below it nothing is tried.
    double highest = 0;       // Nor above it.
    double precision = 0.05;  // It ends when kept and not kept are this near, as a share.
    int trials_max = 8;
  };

  explicit KneeSearch(const Limits& limits) : limits_(limits) {}

  // Nothing when the knee is known well enough, or out of reach.
  [[nodiscard]] std::optional<double> next() const;
  void tell(const Trial& trial) { trials_.push_back(trial); }

  // The highest rate that was kept, below every rate that was not; 0 when there is none.
  [[nodiscard]] double knee() const;
  // The most that was ever done, kept or not.
  [[nodiscard]] double done_max() const;
  [[nodiscard]] const std::vector<Trial>& trials() const { return trials_; }

 private:
  [[nodiscard]] std::optional<Trial> lowest_not_kept() const;

  Limits limits_;
  std::vector<Trial> trials_;
};

}  // namespace watchwheel::rig
