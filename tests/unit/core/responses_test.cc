// SPDX-License-Identifier: Apache-2.0
// Goal: eight bytes tell of many answers what a list of all of them would tell, never too fast, and no slower than their steps allow.
#include "core/responses.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

namespace watchwheel::core {
namespace {

using namespace std::chrono_literals;

TEST(ResponseStep, HoldsEachTimeWithinAFifth) {
  EXPECT_EQ(response_step(0ns), 0U);
  EXPECT_EQ(response_step(1ms), 0U);
  EXPECT_EQ(response_step(1ms + 1ns), 1U);
  EXPECT_EQ(response_step(2ms), 4U);
  EXPECT_EQ(response_step_end(40), 1024ms);
  EXPECT_EQ(response_step(24h), kResponseSteps - 1);
  for (auto took = Duration{1001us}; took < 55s; took = took * 11 / 10) {
    const std::size_t step = response_step(took);
    EXPECT_GE(response_step_end(step), took);
    EXPECT_LT(to_seconds(response_step_end(step)), 1.2 * to_seconds(took));
    EXPECT_LT(response_step_end(step - 1), took);
  }
}

ResponseHistogram of(const ResponseCounts& counts) {
  ResponseHistogram all;
  return all += counts;
}

TEST(ResponseCounts, AreExactForFourSteps) {
  ResponseCounts counts;
  EXPECT_TRUE(counts.empty());
  for (int i = 0; i < 90; ++i) counts.add(100ms);
  for (int i = 0; i < 9; ++i) counts.add(300ms);
  counts.add(9s);
  EXPECT_FALSE(counts.empty());
  const ResponseHistogram all = of(counts);
  EXPECT_EQ(all.total(), 100U);
  EXPECT_EQ(all.counts.at(response_step(100ms)), 90U);
  EXPECT_EQ(all.quantile(0.5), response_step_end(response_step(100ms)));
  EXPECT_EQ(all.quantile(0.90), response_step_end(response_step(100ms)));
  EXPECT_EQ(all.quantile(0.91), response_step_end(response_step(300ms)));
  EXPECT_EQ(all.quantile(0.99), response_step_end(response_step(300ms)));
  EXPECT_EQ(all.quantile(1.0), response_step_end(response_step(9s)));
  EXPECT_EQ(all.quantile(0.0), response_step_end(response_step(100ms)));
  EXPECT_EQ(ResponseHistogram{}.quantile(0.5), std::nullopt);
}

TEST(ResponseCounts, MakeTheClosestTwoOneInTheSlower) {
  ResponseCounts counts;
  for (const Duration took : {Duration{1s}, Duration{100ms}, Duration{10s}, Duration{110ms}})
    counts.add(took);
  ASSERT_NE(response_step(100ms), response_step(110ms)) << "or this shows nothing";
  counts.add(3s);
  const ResponseHistogram all = of(counts);
  EXPECT_EQ(all.total(), 5U);
  EXPECT_EQ(all.counts.at(response_step(100ms)), 0U);
  EXPECT_EQ(all.counts.at(response_step(110ms)), 2U);
  for (const Duration took : {Duration{1s}, Duration{3s}, Duration{10s}})
    EXPECT_EQ(all.counts.at(response_step(took)), 1U) << to_seconds(took);
}

TEST(ResponseCounts, CountNoMoreWhenFull) {
  ResponseCounts counts;
  for (int i = 0; i < 5000; ++i) counts.add(20ms);
  EXPECT_EQ(of(counts).total(), ResponseCounts::kCountMax);
  counts += counts;
  EXPECT_EQ(of(counts).total(), ResponseCounts::kCountMax);
}

// Random answers around a middle, some far off, against the sorted list of them.
TEST(ResponseCounts, TellNoPercentileTooFast) {
  std::mt19937_64 random(20261122);
  for (int round = 0; round < 300; ++round) {
    const double middle = std::exp(std::uniform_real_distribution<>(-6, 2)(random));
    std::lognormal_distribution<> spread(std::log(middle),
                                         std::uniform_real_distribution<>(0, 0.8)(random));
    const int answers = std::uniform_int_distribution<>(1, 200)(random);
    ResponseCounts first;
    ResponseCounts second;
    std::vector<Duration> list;
    for (int i = 0; i < answers; ++i) {
      list.push_back(std::chrono::duration_cast<Duration>(
          std::chrono::duration<double>(std::min(spread(random), 50.0))));
      (i % 2 == 0 ? first : second).add(list.back());
    }
    ResponseHistogram all = of(first);
    all += of(second);
    first += second;
    std::sort(list.begin(), list.end());
    ASSERT_EQ(all.total(), list.size());
    ASSERT_EQ(of(first).total(), list.size());
    for (const double q : {0.5, 0.9, 0.95, 0.99, 1.0}) {
      const auto rank = static_cast<std::size_t>(std::ceil(q * answers)) - 1;
      ASSERT_GE(*all.quantile(q), list.at(rank)) << "round " << round << " q " << q;
      ASSERT_GE(*of(first).quantile(q), list.at(rank)) << "round " << round << " q " << q;
    }
    ASSERT_EQ(all.quantile(1.0), response_step_end(response_step(list.back())))
        << "the slowest is known to its step";
  }
}

}  // namespace
}  // namespace watchwheel::core
