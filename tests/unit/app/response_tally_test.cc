// SPDX-License-Identifier: Apache-2.0
#include "app/response_tally.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

using core::SiteSlot;
using namespace std::chrono_literals;

TEST(ResponseTally, CountsEachSiteUntilItIsClearedAndAllForEver) {
  ResponseTally tally;
  tally.add(SiteSlot{0}, 10ms);
  EXPECT_EQ(tally.bytes(), 0U) << "switched off it takes nothing";
  EXPECT_EQ(tally.all().total(), 0U);
  tally.keep(true);
  for (const std::uint32_t slot : {0U, 4095U, 4096U, 100'000U}) tally.add(SiteSlot{slot}, 10ms);
  tally.add(SiteSlot{4096}, 20ms);
  core::ResponseCounts both;
  both.add(10ms);
  both.add(20ms);
  EXPECT_EQ(tally.of(SiteSlot{4096}), both);
  EXPECT_TRUE(tally.of(SiteSlot{4097}).empty());
  EXPECT_TRUE(tally.of(SiteSlot{9'000'000}).empty());
  tally.clear(SiteSlot{4096});
  tally.clear(SiteSlot{9'000'000});
  EXPECT_TRUE(tally.of(SiteSlot{4096}).empty());
  EXPECT_FALSE(tally.of(SiteSlot{4095}).empty());
  EXPECT_EQ(tally.all().total(), 5U);
  EXPECT_LT(tally.bytes(), 3 * 4096 * 8 + 1000U) << "eight bytes a site, in blocks that are used";
  tally.keep(false);
  EXPECT_EQ(tally.bytes(), 0U);
  EXPECT_TRUE(tally.of(SiteSlot{0}).empty());
  EXPECT_EQ(tally.all().total(), 5U) << "a counter does not run backwards";
}

}  // namespace
}  // namespace watchwheel::app
