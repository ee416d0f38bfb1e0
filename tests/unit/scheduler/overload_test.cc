// SPDX-License-Identifier: Apache-2.0
#include "scheduler/overload.h"

#include <gtest/gtest.h>

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::Priority;
using core::SteadyTime;
using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};

class OverloadWatchTest : public testing::Test {
 protected:
  // Turns every 10 ms with so many starts a second.
  void run(Duration time, int starts_per_second, bool behind) {
    for (Duration t = 0ms; t < time; t += 10ms) {
      now_ += 10ms;
      owed_ += starts_per_second;
      for (; owed_ >= 100; owed_ -= 100) watch_.started();
      watch_.turn(now_, 100, behind);
    }
  }
  SteadyTime now_ = kStart;
  int owed_ = 0;
  OverloadWatch watch_{kStart};
};

TEST_F(OverloadWatchTest, IsBeingBehindAndStartingTooFewForAWhile) {
  run(4s, 70, true);
  EXPECT_FALSE(watch_.overloaded());
  run(2s, 70, true);
  EXPECT_TRUE(watch_.overloaded());
}

TEST_F(OverloadWatchTest, IsNotCatchingUp) {
  run(2min, 145, true);
  EXPECT_FALSE(watch_.overloaded());
}

TEST_F(OverloadWatchTest, IsNotStandingStillOnce) {
  run(10s, 100, false);
  now_ += 2min;
  watch_.turn(now_, 100, true);
  run(1min, 145, true);
  EXPECT_FALSE(watch_.overloaded());
}

TEST_F(OverloadWatchTest, IsNotRequiringLittle) {
  run(1min, 20, false);
  EXPECT_FALSE(watch_.overloaded());
}

TEST_F(OverloadWatchTest, LastsUntilNobodyWaits) {
  run(10s, 50, true);
  ASSERT_TRUE(watch_.overloaded());
  run(1min, 145, true);
  EXPECT_TRUE(watch_.overloaded()) << "they still wait for each other";
  run(10ms, 100, false);
  EXPECT_FALSE(watch_.overloaded());
}

TEST_F(OverloadWatchTest, DoesNotCountWhatDidNotStartAfterAll) {
  for (int i = 0; i < 2000; ++i) {
    now_ += 10ms;
    for (int k = 0; k < 64; ++k) watch_.started();
    for (int k = 0; k < 64; ++k) watch_.not_started();
    watch_.turn(now_, 100, true);
  }
  EXPECT_TRUE(watch_.overloaded());
}

class StretchMeterTest : public testing::Test {
 protected:
  void tell_after(Duration time, double waiting = -1, bool any = true) {
    now_ += time;
    EXPECT_TRUE(meter_.due(now_));
    meter_.tell(Priority::Normal, waiting, any, now_);
    EXPECT_FALSE(meter_.due(now_));
  }
  [[nodiscard]] double stretch() const { return meter_.stretch(Priority::Normal); }
  SteadyTime now_ = kStart;
  StretchMeter meter_{kStart};
};

TEST_F(StretchMeterTest, IsOneOnTimeAndFollowsHowLateChecksStart) {
  EXPECT_EQ(stretch(), 1);
  for (int i = 0; i < 180; ++i) {
    meter_.started(Priority::Normal, 5s, 10'000);
    meter_.started(Priority::Normal, 150s, 300'000);
    tell_after(1s);
  }
  EXPECT_NEAR(stretch(), 1.5, 0.01);
  EXPECT_EQ(meter_.stretch(Priority::High), 1);
  for (int i = 0; i < 30; ++i) {
    meter_.started(Priority::Normal, 0s, 10'000);
    tell_after(1s);
  }
  EXPECT_NEAR(stretch(), 1 + 0.5 / 2.718, 0.01) << "a moving mean over half a minute";
}

TEST_F(StretchMeterTest, OfAFewSitesEachCheckCountsWhole) {
  for (int i = 0; i < 299; ++i) tell_after(1s);
  meter_.started(Priority::Normal, 150s, 300'000);
  tell_after(1s);
  EXPECT_NEAR(stretch(), 1.5, 0.01);
}

TEST_F(StretchMeterTest, WhoWaitsAndNeverStartsIsTold) {
  for (int i = 0; i < 300; ++i) tell_after(1s, i / 10.0);
  EXPECT_GT(stretch(), 25);
}

TEST_F(StretchMeterTest, WithoutSitesItIsOne) {
  for (int i = 0; i < 300; ++i) tell_after(1s, 8);
  EXPECT_GT(stretch(), 8);
  tell_after(1s, -1, false);
  EXPECT_EQ(stretch(), 1);
}

}  // namespace
}  // namespace watchwheel::scheduler
