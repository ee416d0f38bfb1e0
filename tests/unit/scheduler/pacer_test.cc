// SPDX-License-Identifier: Apache-2.0
#include "scheduler/pacer.h"

#include <gtest/gtest.h>

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};

int take_all(Pacer& pacer) {
  int n = 0;
  while (n < 1'000'000 && pacer.try_take()) ++n;
  return n;
}

// Starts in ten seconds of turns 10 ms apart, after an empty beginning.
int starts_in_ten_seconds(double required, bool behind) {
  Pacer pacer(100ms, kStart);
  take_all(pacer);
  int n = 0;
  for (Duration t = 10ms; t <= 10s; t += 10ms) {
    pacer.accrue(kStart + t, required, behind);
    n += take_all(pacer);
  }
  return n;
}

TEST(Pacer, AllowsTheRequiredRateAndAQuarterMore) {
  EXPECT_NEAR(starts_in_ten_seconds(1000, false), 12'500, 2);
}
TEST(Pacer, AllowsHalfMoreWhileBehind) {
  EXPECT_NEAR(starts_in_ten_seconds(1000, true), 15'000, 2);
}
TEST(Pacer, AllowsAHandfulOfSitesWithoutWaiting) {
  EXPECT_NEAR(starts_in_ten_seconds(0.1, false), 200, 2);
  EXPECT_NEAR(starts_in_ten_seconds(0.1, true), 240, 2);
}

TEST(Pacer, AStallIsNotFollowedByADump) {
  Pacer pacer(100ms, kStart);
  pacer.accrue(kStart, 1000, false);
  take_all(pacer);
  pacer.accrue(kStart + 2min, 1000, true);
  EXPECT_EQ(take_all(pacer), 300);  // Two ticks at 1500 a second.
  pacer.accrue(kStart + 2min + 1ms, 1000, true);
  EXPECT_LE(take_all(pacer), 2);
}

TEST(Pacer, ReadyAtIsExactlyWhenTheNextMayStart) {
  Pacer pacer(100ms, kStart);
  EXPECT_EQ(pacer.ready_at(kStart), kStart);
  take_all(pacer);
  const SteadyTime ready = pacer.ready_at(kStart);
  EXPECT_GT(ready, kStart);
  EXPECT_LE(ready - kStart, 51ms);  // At 20 a second.
  pacer.accrue(ready - 1us, 0, false);
  EXPECT_FALSE(pacer.try_take());
  pacer.accrue(ready, 0, false);
  EXPECT_TRUE(pacer.try_take());
}

TEST(Pacer, GetsBackWhatDidNotStartAndNoMore) {
  Pacer pacer(100ms, kStart);
  const int first = take_all(pacer);
  pacer.give_back();
  EXPECT_TRUE(pacer.try_take());
  EXPECT_FALSE(pacer.try_take());
  for (int i = 0; i < 1000; ++i) pacer.give_back();
  EXPECT_EQ(take_all(pacer), first);
}

TEST(PacerDeathTest, TimeDoesNotGoBack) {
  Pacer pacer(100ms, kStart);
  EXPECT_DEATH(pacer.accrue(kStart - 1ns, 1, false), "does not go back");
  EXPECT_DEATH((Pacer{0ms, kStart}), "needs a tick");
}

}  // namespace
}  // namespace watchwheel::scheduler
