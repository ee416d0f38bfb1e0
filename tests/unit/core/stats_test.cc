// SPDX-License-Identifier: Apache-2.0
#include "core/stats.h"

#include <gtest/gtest.h>

#include <thread>

namespace watchwheel::core {
namespace {

TEST(Counter, CountsAndIsReadFromAnotherThread) {
  Counter counter;
  std::uint64_t last = 0;
  bool fell = false;
  std::thread writer([&counter] {
    for (int i = 0; i < 10'000; ++i) counter.add();
  });
  while (last < 10'000) {
    const std::uint64_t seen = counter.value();
    fell = fell || seen < last;
    last = seen;
  }
  writer.join();
  EXPECT_FALSE(fell);
  counter.add(5);
  EXPECT_EQ(counter.value(), 10'005U);
}

TEST(Gauge, HoldsTheLastValue) {
  Gauge gauge;
  EXPECT_EQ(gauge.value(), 0);
  gauge.set(2.5);
  EXPECT_EQ(gauge.value(), 2.5);
}

TEST(Histogram, PutsABoundIntoItsOwnBucket) {
  Histogram histogram;
  histogram.observe(1ms);     // le 0.001
  histogram.observe(1001us);  // le 0.0025
  histogram.observe(-5ms);    // Never below zero: le 0.001, and nothing is taken from the sum.
  histogram.observe(60s);     // le 60
  histogram.observe(61s);     // +Inf
  const HistogramReading reading = histogram.read();
  ASSERT_EQ(reading.counts.size(), reading.bounds_s.size() + 1);
  EXPECT_EQ(reading.counts[0], 2U);
  EXPECT_EQ(reading.counts[1], 1U);
  EXPECT_EQ(reading.counts[Histogram::kBoundsS.size() - 1], 1U);
  EXPECT_EQ(reading.counts.back(), 1U);
  EXPECT_EQ(reading.total(), 5U);
  EXPECT_NEAR(reading.sum_s, 0.001 + 0.001001 + 121, 1e-9);
}

TEST(HistogramReading, QuantileLiesInTheBucketOfItsRank) {
  Histogram histogram;
  for (int i = 0; i < 90; ++i) histogram.observe(7ms);  // 0.005 to 0.01
  for (int i = 0; i < 10; ++i) histogram.observe(3s);   // 2.5 to 5
  const HistogramReading reading = histogram.read();
  EXPECT_GT(reading.quantile(0.5), 0.005);
  EXPECT_LE(reading.quantile(0.5), 0.01);
  EXPECT_DOUBLE_EQ(reading.quantile(0.9), 0.01);
  EXPECT_DOUBLE_EQ(reading.quantile(0.95), 3.75);
  EXPECT_DOUBLE_EQ(reading.quantile(1), 5);
}

TEST(HistogramReading, QuantileOfNothingIsZeroAndBeyondTheLastBoundIsThatBound) {
  EXPECT_EQ(HistogramReading{}.quantile(0.5), 0);
  Histogram histogram;
  EXPECT_EQ(histogram.read().quantile(0.99), 0);
  histogram.observe(1h);
  EXPECT_EQ(histogram.read().quantile(0.5), 60);
}

TEST(HistogramReading, MergesWithOthersAndWithNothing) {
  Histogram one;
  Histogram two;
  one.observe(2ms);
  two.observe(2ms);
  two.observe(20s);
  HistogramReading sum;
  sum.merge(one.read());
  sum.merge(two.read());
  sum.merge(HistogramReading{});
  EXPECT_EQ(sum.total(), 3U);
  EXPECT_EQ(sum.counts[1], 2U);
  EXPECT_NEAR(sum.sum_s, 20.004, 1e-9);
}

TEST(HistogramReadingDeathTest, DifferentBoundsCannotBeMerged) {
  HistogramReading one{.bounds_s = {1}, .counts = {0, 0}, .sum_s = 0};
  const HistogramReading two{.bounds_s = {2}, .counts = {0, 0}, .sum_s = 0};
  EXPECT_DEATH(one.merge(two), "same bounds");
}

}  // namespace
}  // namespace watchwheel::core
