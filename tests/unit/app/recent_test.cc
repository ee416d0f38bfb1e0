// SPDX-License-Identifier: Apache-2.0
#include "app/recent.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;
using core::SteadyTime;

// Two lanes that did `done` checks each, all of them `lag` late.
class Counting {
 public:
  CountsAt at(core::Duration t) {
    CountsAt counts;
    counts.at = SteadyTime{1h} + t;
    counts.cpu_s = 2 * cpu_s_;
    for (int lane = 0; lane < 2; ++lane) counts.lanes.push_back({done_, cpu_s_, lag_.read()});
    return counts;
  }
  void work(int checks, core::Duration lag, double cpu_s) {
    done_ += static_cast<std::uint64_t>(checks);
    cpu_s_ += cpu_s;
    for (int i = 0; i < checks; ++i) lag_.observe(lag);
  }

 private:
  std::uint64_t done_ = 0;
  double cpu_s_ = 0;
  core::Histogram lag_;
};

TEST(RecentWindow, TellsNothingBeforeTheSecondReading) {
  RecentWindow window;
  Counting counting;
  EXPECT_EQ(window.view().window, 0s);
  EXPECT_TRUE(window.due(SteadyTime{1h}));
  window.sample(counting.at(0s));
  EXPECT_EQ(window.view().window, 0s);
  EXPECT_FALSE(window.due(SteadyTime{1h} + 4s));
  EXPECT_TRUE(window.due(SteadyTime{1h} + 5s));
}

TEST(RecentWindow, ForgetsWhatIsOlderThanFiveMinutes) {
  RecentWindow window;
  Counting counting;
  counting.work(1000, 30s, 1);  // A bad time, before the first reading or long ago.
  core::Duration t{};
  for (; t <= 100s; t += 5s) {
    window.sample(counting.at(t));
    counting.work(50, 20s, 2.5);
  }
  EXPECT_GT(window.view().lag.quantile(0.5), 10);
  for (; t <= 500s; t += 5s) {
    window.sample(counting.at(t));
    counting.work(100, 2ms, 1.25);
  }
  const RecentView view = window.view();
  EXPECT_EQ(view.window, 300s);
  EXPECT_EQ(view.done_per_second.size(), 60U);
  EXPECT_DOUBLE_EQ(view.done_per_second.back(), 40);
  EXPECT_LT(view.lag.quantile(0.999), 0.0026);
  EXPECT_FALSE(highest(view.lag).beyond);
  EXPECT_DOUBLE_EQ(highest(view.lag).bound_s, 0.0025);
  ASSERT_EQ(view.lanes.size(), 2U);
  EXPECT_DOUBLE_EQ(view.lanes[1].done_per_second, 20);
  EXPECT_DOUBLE_EQ(view.lanes[1].cpu_share, 0.25);
  EXPECT_DOUBLE_EQ(view.cpu_share, 0.5);
}

TEST(RecentWindow, AClockThatStandsStillAddsNothing) {
  RecentWindow window;
  Counting counting;
  window.sample(counting.at(0s));
  window.sample(counting.at(0s));
  EXPECT_EQ(window.view().window, 0s);
}

TEST(HighestSeen, IsABoundThatNothingWasAbove) {
  core::Histogram histogram;
  EXPECT_EQ(highest(histogram.read()).bound_s, 0);
  histogram.observe(30ms);
  EXPECT_DOUBLE_EQ(highest(histogram.read()).bound_s, 0.05);
  histogram.observe(3min);
  EXPECT_TRUE(highest(histogram.read()).beyond);
  EXPECT_DOUBLE_EQ(highest(histogram.read()).bound_s, histogram.read().bounds_s.back());
}

TEST(Between, NeverGoesBelowZero) {
  core::Histogram histogram;
  histogram.observe(1ms);
  const auto later = histogram.read();
  core::Histogram emptier;
  EXPECT_EQ(between(later, emptier.read()).total(), 0U);
}

}  // namespace
}  // namespace watchwheel::app
