// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_chain_cache.h"

#include <gtest/gtest.h>

#include <list>
#include <random>
#include <utility>

namespace watchwheel::checker {
namespace {

using namespace std::chrono_literals;

constexpr core::WallTime kNow{std::chrono::hours{24 * 20'000}};
constexpr core::WallTime kFar = kNow + std::chrono::hours{24 * 365};

// The last byte is the part of a chain's hash that spreads lifetimes.
Digest digest(std::uint32_t number, std::uint8_t last = 0) {
  Digest made{};
  for (std::size_t i = 0; i < 4; ++i) made[i] = static_cast<std::uint8_t>(number >> (8 * i));
  made[31] = last;
  return made;
}

TEST(ChainCache, KnowsAChainFromItsVerificationForADay) {
  ChainCache cache(10);
  EXPECT_FALSE(cache.knows(digest(1), kNow));
  cache.remember(digest(1), kNow, kFar);
  EXPECT_TRUE(cache.knows(digest(1), kNow));
  EXPECT_TRUE(cache.knows(digest(1), kNow + 24h - 1s));
  EXPECT_FALSE(cache.knows(digest(1), kNow + 24h));
  EXPECT_FALSE(cache.knows(digest(2), kNow));
}

TEST(ChainCache, LifetimesAreSpreadOverTheLastQuarterOfTheDay) {
  ChainCache cache(10);
  cache.remember(digest(1, 255), kNow, kFar);
  EXPECT_TRUE(cache.knows(digest(1, 255), kNow + 18h));
  EXPECT_FALSE(cache.knows(digest(1, 255), kNow + 18h + 2min));
}

TEST(ChainCache, ChainEndsWithTheFirstOfItsCertificates) {
  ChainCache cache(10);
  cache.remember(digest(1), kNow, kNow + 90s);
  EXPECT_TRUE(cache.knows(digest(1), kNow + 89s));
  EXPECT_FALSE(cache.knows(digest(1), kNow + 90s));
  cache.remember(digest(2), kNow, kNow);
  cache.remember(digest(3), kNow, core::kNoWallTime);
  EXPECT_FALSE(cache.knows(digest(2), kNow));
  EXPECT_FALSE(cache.knows(digest(3), kNow));
}

// A certificate may not be valid yet by a clock that was set back.
TEST(ChainCache, ClockThatWasSetBackKnowsNothing) {
  ChainCache cache(10);
  cache.remember(digest(1), kNow, kFar);
  EXPECT_FALSE(cache.knows(digest(1), kNow - 1s));
  EXPECT_TRUE(cache.knows(digest(1), kNow));
  cache.remember(digest(1), kNow - 1h, kFar);
  EXPECT_TRUE(cache.knows(digest(1), kNow - 1h));
}

TEST(ChainCache, WhenFullTheOneLongestNotSeenGoes) {
  ChainCache cache(3);
  for (std::uint32_t i = 1; i <= 3; ++i) cache.remember(digest(i), kNow, kFar);
  EXPECT_TRUE(cache.knows(digest(1), kNow));
  cache.remember(digest(4), kNow, kFar);
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_TRUE(cache.knows(digest(1), kNow));
  EXPECT_FALSE(cache.knows(digest(2), kNow));
  EXPECT_TRUE(cache.knows(digest(3), kNow));
  EXPECT_TRUE(cache.knows(digest(4), kNow));
}

// Goal: slots, chains in them and the order of age hold together while the cache grows and is full.
// Method: random steps beside a list.
TEST(ChainCache, DoesAsAPlainListDoes) {
  constexpr std::size_t kMax = 300;
  ChainCache cache(kMax);
  std::list<std::uint32_t> newest_first;
  std::mt19937 random(7);
  const auto place = [&](std::uint32_t number) {
    for (auto at = newest_first.begin(); at != newest_first.end(); ++at) {
      if (*at == number) return at;
    }
    return newest_first.end();
  };
  for (int step = 0; step < 20'000; ++step) {
    const auto number = static_cast<std::uint32_t>(random() % 500);
    const auto at = place(number);
    const bool known = at != newest_first.end();
    if (known) newest_first.erase(at);
    if (random() % 2 == 0) {
      ASSERT_EQ(cache.knows(digest(number), kNow), known) << step;
      if (known) newest_first.push_front(number);
    } else {
      cache.remember(digest(number), kNow, kFar);
      newest_first.push_front(number);
      if (newest_first.size() > kMax) newest_first.pop_back();
    }
    if (random() % 2000 == 0) {
      cache.shrink();
      newest_first.resize(newest_first.size() / 4);
    }
    ASSERT_EQ(cache.size(), newest_first.size()) << step;
  }
}

}  // namespace
}  // namespace watchwheel::checker
