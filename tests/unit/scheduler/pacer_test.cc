// SPDX-License-Identifier: Apache-2.0
#include "scheduler/pacer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <utility>
#include <vector>

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
  Pacer pacer(kStart);
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
TEST(Pacer, AllowsNearlyHalfMoreWhileBehind) {
  EXPECT_NEAR(starts_in_ten_seconds(1000, true), 14'500, 2);
}
TEST(Pacer, AllowsAHandfulOfSitesWithoutWaiting) {
  EXPECT_NEAR(starts_in_ten_seconds(0.1, false), 200, 2);
  EXPECT_NEAR(starts_in_ten_seconds(0.1, true), 232, 2);
}

TEST(Pacer, AStallIsNotFollowedByADump) {
  Pacer pacer(kStart);
  pacer.accrue(kStart, 1000, false);
  take_all(pacer);
  pacer.accrue(kStart + 2min, 1000, true);
  EXPECT_EQ(take_all(pacer), 50);  // 50 ms of the required rate.
  pacer.accrue(kStart + 2min + 1ms, 1000, true);
  EXPECT_LE(take_all(pacer), 2);
}

// Goal: whatever the turns, no second sees more than one and a half times what is required. Method: turns of random length, the worst
// case first: full, then behind.
TEST(Pacer, NoSecondSeesMoreThanHalfMore) {
  for (const double required : {200.0, 1000.0, 37'000.0}) {
    for (const Duration step : {Duration{1ms}, Duration{7ms}, Duration{30ms}, Duration{130ms}}) {
      Pacer pacer(kStart);
      std::vector<std::pair<SteadyTime, int>> starts;
      for (Duration t = 0ms; t <= 8s; t += step) {
        const bool behind =
            t > 4s;  // Behind only after a time in which all that was allowed was used.
        pacer.accrue(kStart + t, required, behind);
        starts.emplace_back(kStart + t, take_all(pacer));
      }
      double most = 0;
      for (std::size_t i = 0; i < starts.size(); ++i) {
        double within = 0;
        for (std::size_t k = i; k < starts.size() && starts[k].first - starts[i].first < 1s; ++k)
          within += starts[k].second;
        most = std::max(most, within);
      }
      EXPECT_LE(most, required * 1.5) << required << ", " << core::to_ms(step) << " ms";
    }
  }
}

TEST(Pacer, ReadyAtIsExactlyWhenTheNextMayStart) {
  Pacer pacer(kStart);
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
  Pacer pacer(kStart);
  const int first = take_all(pacer);
  pacer.give_back();
  EXPECT_TRUE(pacer.try_take());
  EXPECT_FALSE(pacer.try_take());
  for (int i = 0; i < 1000; ++i) pacer.give_back();
  EXPECT_EQ(take_all(pacer), first);
}

TEST(PacerDeathTest, TimeDoesNotGoBack) {
  Pacer pacer(kStart);
  EXPECT_DEATH(pacer.accrue(kStart - 1ns, 1, false), "does not go back");
}

}  // namespace
}  // namespace watchwheel::scheduler
