// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/knee.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace watchwheel::rig {
namespace {

constexpr KneeSearch::Limits kLimits{6000, 500, 100'000, 0.05, 10};

// An engine that keeps every rate up to `capacity`; above it does `share_beyond` of that.
KneeSearch searched(const KneeSearch::Limits& limits, double capacity, double share_beyond) {
  KneeSearch search(limits);
  while (const auto rate = search.next()) {
    EXPECT_GE(*rate, limits.lowest);
    EXPECT_LE(*rate, limits.highest);
    const bool is_kept = *rate <= capacity;
    search.tell({*rate, is_kept, is_kept ? *rate : capacity * share_beyond});
  }
  return search;
}

class KneeOf : public ::testing::TestWithParam<double> {};

TEST_P(KneeOf, AnEngineThatHoldsItsRateBeyondIsFoundWithinFivePercent) {
  const double capacity = GetParam();
  const KneeSearch search = searched(kLimits, capacity, 1.0);
  EXPECT_LE(search.knee(), capacity);
  EXPECT_GE(search.knee(), capacity / 1.05);
  EXPECT_LE(search.trials().size(), 8U);
  EXPECT_NEAR(search.done_max(), capacity, 1e-6);
}

// Goal: what is done beyond the knee is only a hint; one that collapses there is found too.
TEST_P(KneeOf, AnEngineThatCollapsesBeyondIsFoundToo) {
  const double capacity = GetParam();
  const KneeSearch search = searched(kLimits, capacity, 0.3);
  EXPECT_LE(search.knee(), capacity);
  EXPECT_GE(search.knee(), capacity / 1.1);
}

INSTANTIATE_TEST_SUITE_P(Capacities, KneeOf,
                         ::testing::Values(1500.0, 5000.0, 6000.0, 9700.0, 13'333.0, 31'000.0));

TEST(KneeSearch, EndsWhenItsRangeIsKeptWhole) {
  const KneeSearch search = searched({1000, 100, 5000, 0.05, 10}, 1e9, 1);
  EXPECT_EQ(search.knee(), 5000);
}

TEST(KneeSearch, EndsWithoutAKneeWhenNothingIsKept) {
  const KneeSearch search = searched({6000, 2000, 50'000, 0.05, 10}, 100, 1);
  EXPECT_EQ(search.knee(), 0);
  EXPECT_EQ(search.trials().back().offered, 2000);
}

TEST(KneeSearch, NeverRunsMoreTrialsThanItMay) {
  EXPECT_EQ(searched({6000, 1, 1e9, 0.0001, 4}, 13'000, 0.1).trials().size(), 4U);
}

TEST(KneeSearch, RateKeptAboveOneThatWasNotIsLuck) {
  KneeSearch search(kLimits);
  search.tell({6000, true, 6000});
  search.tell({9600, false, 8000});
  search.tell({12'000, true, 12'000});
  EXPECT_EQ(search.knee(), 6000);
  EXPECT_LT(*search.next(), 9600);
}

}  // namespace
}  // namespace watchwheel::rig
