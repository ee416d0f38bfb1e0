// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/knee.h"

#include <algorithm>
#include <cmath>

namespace watchwheel::rig {
namespace {

constexpr double kUp = 1.6;
// Of what was done at a rate that was not kept: a little below, for lateness costs as well.
constexpr double kBelowDone = 0.97;
// When that was kept: hardly more can be, and to see it fail ends the search.
constexpr double kAboveDone = 1.015;

}  // namespace

std::optional<Trial> KneeSearch::lowest_not_kept() const {
  std::optional<Trial> lowest;
  for (const Trial& trial : trials_) {
    if (!trial.is_kept && (!lowest || trial.offered < lowest->offered)) lowest = trial;
  }
  return lowest;
}

double KneeSearch::knee() const {
  const std::optional<Trial> ceiling = lowest_not_kept();
  double knee = 0;
  for (const Trial& trial : trials_) {
    const bool is_below = !ceiling || trial.offered < ceiling->offered;
    if (trial.is_kept && is_below) knee = std::max(knee, trial.offered);
  }
  return knee;
}

double KneeSearch::done_max() const {
  double most = 0;
  for (const Trial& trial : trials_) most = std::max(most, trial.done);
  return most;
}

std::optional<double> KneeSearch::next() const {
  if (static_cast<int>(trials_.size()) >= limits_.trials_max) return std::nullopt;
  if (trials_.empty()) return std::clamp(limits_.first, limits_.lowest, limits_.highest);

  const double low = knee();
  const std::optional<Trial> high = lowest_not_kept();
  if (!high) {
    if (low >= limits_.highest) return std::nullopt;
    return std::min(low * kUp, limits_.highest);
  }
  if (high->offered <= limits_.lowest) return std::nullopt;
  if (low > 0 && high->offered <= low * (1 + limits_.precision)) return std::nullopt;

  const double floor = std::max(low, limits_.lowest);
  const double margin = 1 + limits_.precision / 2;
  for (const double share : {kBelowDone, kAboveDone}) {
    const double hint = high->done * share;
    if (hint > floor * margin && hint * margin < high->offered) return hint;
  }
  const double middle = low > 0 ? std::sqrt(low * high->offered) : high->offered / 2;
  return std::max(middle, limits_.lowest);
}

}  // namespace watchwheel::rig
