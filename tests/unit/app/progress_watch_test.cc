// SPDX-License-Identifier: Apache-2.0
#include "app/progress_watch.h"

#include <gtest/gtest.h>

#include <array>

#include "app/rates.h"

namespace watchwheel::app {
namespace {

using core::SteadyTime;
using namespace std::chrono_literals;

const SteadyTime kStart{100s};

TEST(ProgressWatch, NamesTheLaneThatStandsStillBesideOneThatMoves) {
  ProgressWatch watch(15s);
  std::array<std::uint64_t, 2> turns{1, 1};
  EXPECT_FALSE(watch.look(turns, kStart));
  for (int second = 1; second <= 15; ++second) {
    ++turns[0];
    EXPECT_FALSE(watch.look(turns, kStart + std::chrono::seconds{second})) << second;
  }
  ++turns[0];
  EXPECT_EQ(watch.look(turns, kStart + 16s), std::optional<std::size_t>{1});
  ++turns[1];
  EXPECT_FALSE(watch.look(turns, kStart + 17s)) << "it moves again";
}

TEST(RecentRate, IsOverTheLastTenSeconds) {
  RecentRate rate;
  std::uint64_t total = 0;
  rate.sample(total, kStart);
  EXPECT_EQ(rate.per_second(), 0);
  for (int second = 1; second <= 30; ++second)
    rate.sample(total += 50, kStart + std::chrono::seconds{second});
  EXPECT_DOUBLE_EQ(rate.per_second(), 50);
  for (int second = 31; second <= 40; ++second)
    rate.sample(total += 100, kStart + std::chrono::seconds{second});
  EXPECT_DOUBLE_EQ(rate.per_second(), 100) << "what is older no longer counts";
}

}  // namespace
}  // namespace watchwheel::app
