// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/rate_limit.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SteadyTime;

constexpr SteadyTime kBegin{1h};

TEST(RateLimit, NoLimitLetsAllGo) {
  TokenBucket bucket;
  for (int i = 0; i < 100'000; ++i) ASSERT_FALSE(bucket.take(kBegin));
}

TEST(RateLimit, ABurstGoesAtOnceAndThenOneByOne) {
  TokenBucket bucket({.per_minute = 600, .burst = 10});
  for (int i = 0; i < 10; ++i) ASSERT_FALSE(bucket.take(kBegin)) << i;
  ASSERT_EQ(bucket.take(kBegin), kBegin + 100ms);
  ASSERT_EQ(bucket.take(kBegin + 99ms), kBegin + 100ms);
  EXPECT_FALSE(bucket.take(kBegin + 100ms));
  EXPECT_TRUE(bucket.take(kBegin + 100ms));
  // Rest fills it, and no more than full.
  for (int i = 0; i < 10; ++i) ASSERT_FALSE(bucket.take(kBegin + 1h)) << i;
  EXPECT_TRUE(bucket.take(kBegin + 1h));
}

TEST(RateLimit, WhatWasNotSentIsGivenBack) {
  TokenBucket bucket({.per_minute = 6, .burst = 1});
  ASSERT_FALSE(bucket.take(kBegin));
  ASSERT_TRUE(bucket.take(kBegin));
  bucket.give_back();
  EXPECT_FALSE(bucket.take(kBegin));
  EXPECT_TRUE(bucket.take(kBegin));
}

// Sends as fast as it is let, at random moments; the most that went in any minute.
std::size_t most_in_a_minute(std::vector<TokenBucket> processes, std::uint64_t seed) {
  std::mt19937_64 random{seed};
  std::deque<SteadyTime> minute;
  std::size_t most = 0;
  SteadyTime now = kBegin;
  const SteadyTime end = kBegin + 5min;
  while (now < end) {
    for (TokenBucket& process : processes) {
      while (!process.take(now)) minute.push_back(now);
    }
    while (!minute.empty() && now - minute.front() >= 60s) minute.pop_front();
    most = std::max(most, minute.size());
    now += std::chrono::microseconds{random() % (random() % 500 == 0 ? 3'000'000 : 60'000)};
  }
  return most;
}

// AC-WH-4: 600 a minute and a burst of 10 are at most 610 in any minute; by two processes as well as by one.
TEST(RateLimit, KeepsToItsRateInAnyMinute) {
  const RateLimit limit{.per_minute = 600, .burst = 10};
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    const std::size_t one = most_in_a_minute({TokenBucket(limit)}, seed);
    EXPECT_LE(one, 610U);
    EXPECT_GE(one, 580U) << "it lets through what it may";
    const std::size_t two = most_in_a_minute(
        {TokenBucket(share_of(limit, 0, 2)), TokenBucket(share_of(limit, 1, 2))}, seed);
    EXPECT_LE(two, 610U);
    EXPECT_GE(two, 570U);
  }
  EXPECT_LE(most_in_a_minute({TokenBucket({.per_minute = 7, .burst = 1})}, 3), 8U);
}

TEST(RateLimit, SharesComeToTheWhole) {
  for (std::uint32_t processes = 1; processes <= 7; ++processes) {
    const RateLimit whole{.per_minute = 100, .burst = 11};
    std::uint32_t rate = 0;
    std::uint32_t burst = 0;
    for (std::uint32_t i = 0; i < processes; ++i) {
      const RateLimit share = share_of(whole, i, processes);
      rate += share.per_minute;
      burst += share.burst;
    }
    EXPECT_EQ(rate, 100U) << processes;
    EXPECT_EQ(burst, 11U) << processes;
  }
  EXPECT_EQ(share_of({.per_minute = 2, .burst = 1}, 2, 3),
            (RateLimit{.per_minute = 1, .burst = 1}));
  EXPECT_EQ(share_of({}, 1, 3), RateLimit{});
}

}  // namespace
}  // namespace watchwheel::sideeffects
