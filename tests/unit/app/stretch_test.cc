// SPDX-License-Identifier: Apache-2.0
#include "app/stretch.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

struct OneLane {
  scheduler::Stats scheduler;
  scheduler::AdmissionStats admission;

  void set(std::size_t priority, double required, double stretch) {
    scheduler.required_by_priority[priority].set(required);
    scheduler.stretch[priority].set(stretch);
  }
  void limit(scheduler::AdmissionReason reason) {
    admission.limited_by.set(static_cast<double>(reason));
  }
  [[nodiscard]] LaneStretch reading() const { return {scheduler, admission}; }
};

TEST(Stretch, IsOneWithoutLanesOrSites) {
  EXPECT_EQ(stretch_of({}).factor, 1);
  const OneLane lane;
  const Stretch stretch = stretch_of({lane.reading()});
  EXPECT_EQ(stretch.factor, 1);
  EXPECT_EQ(stretch.by_priority[2], 1);
  EXPECT_EQ(stretch.limited_by, "");
}

TEST(Stretch, IsTheMeanByRequiredRateAndNamesWhatLimitsTheWorstLane) {
  OneLane a;
  a.set(0, 10, 1);
  a.set(1, 30, 1.2);
  a.limit(scheduler::AdmissionReason::Memory);
  OneLane b;
  b.set(1, 10, 2);
  b.set(2, 50, 3);
  b.limit(scheduler::AdmissionReason::Cpu);
  const Stretch stretch = stretch_of({a.reading(), b.reading()});
  EXPECT_DOUBLE_EQ(stretch.by_priority[0], 1);
  EXPECT_DOUBLE_EQ(stretch.by_priority[1], 1.4);
  EXPECT_DOUBLE_EQ(stretch.by_priority[2], 3);
  EXPECT_DOUBLE_EQ(stretch.factor, (10 + 36 + 20 + 150) / 100.0);
  EXPECT_EQ(stretch.limited_by, "cpu");
}

TEST(Stretch, OnTimeNothingLimits) {
  OneLane lane;
  lane.set(1, 100, 1.001);
  lane.limit(scheduler::AdmissionReason::Descriptors);
  EXPECT_EQ(stretch_of({lane.reading()}).limited_by, "");
}

}  // namespace
}  // namespace watchwheel::app
