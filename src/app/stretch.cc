// SPDX-License-Identifier: Apache-2.0
#include "app/stretch.h"

#include "app/totals.h"

namespace watchwheel::app {
namespace {

// Less than this is nobody's concern, and shown as 1.00.
constexpr double kStretched = 1.005;

// A mean of stretches, each by the rate it stands for.
struct Mean {
  double stretched = 0;
  double required = 0;

  void add(double stretch, double rate) {
    stretched += stretch * rate;
    required += rate;
  }
  [[nodiscard]] double value() const { return required > 0 ? stretched / required : 1; }
};

}  // namespace

Stretch stretch_of(const std::vector<LaneStretch>& lanes) {
  Mean all;
  std::array<Mean, core::kPriorityCount> by_priority;
  double most = kStretched;
  Stretch stretch;
  for (const LaneStretch& lane : lanes) {
    Mean of_lane;
    for (std::size_t i = 0; i < core::kPriorityCount; ++i) {
      const double required = lane.scheduler.required_by_priority[i].value();
      const double factor = lane.scheduler.stretch[i].value();
      of_lane.add(factor, required);
      by_priority[i].add(factor, required);
      all.add(factor, required);
    }
    if (of_lane.value() >= most) {
      most = of_lane.value();
      stretch.limited_by = limited_by(lane.admission);
    }
  }
  stretch.factor = all.value();
  for (std::size_t i = 0; i < core::kPriorityCount; ++i)
    stretch.by_priority[i] = by_priority[i].value();
  return stretch;
}

}  // namespace watchwheel::app
