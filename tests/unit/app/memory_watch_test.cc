// SPDX-License-Identifier: Apache-2.0
#include "app/memory_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace watchwheel::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

struct Lines final : Log {
  void write(LogLevel level, std::string_view line) noexcept override {
    if (level != LogLevel::Info) lines.emplace_back(line);
  }
  bool enabled(LogLevel) const noexcept override { return true; }
  std::vector<std::string> lines;
};

// A process of a budget of 1000, whose memory is what the test says.
class MemoryWatchTest : public ::testing::Test {
 protected:
  void stay(std::uint64_t bytes, core::Duration how_long) {
    resident = bytes;
    for (const core::SteadyTime end = now + how_long; now < end; now += 250ms) watch.look(now);
  }
  std::vector<bool> refused() const {
    const scheduler::MemoryRelief relief = watch.request().relief();
    return std::vector<bool>(relief.refuse.begin(), relief.refuse.end());
  }
  std::uint32_t shrinks() const { return watch.request().shrinks.load(); }

  std::uint64_t resident = 0;
  int trims = 0;
  Lines log;
  core::SteadyTime now{1h};
  MemoryWatch watch{
      1000, {.resident = [this] { return resident; }, .trim = [this] { ++trims; }}, log};
};

TEST_F(MemoryWatchTest, LeavesAProcessWithinItsBudgetAlone) {
  stay(849, 10min);
  EXPECT_EQ(watch.level(), 0);
  EXPECT_THAT(refused(), ElementsAre(false, false, false));
  EXPECT_EQ(shrinks(), 0U);
  EXPECT_EQ(trims, 0);
  EXPECT_TRUE(log.lines.empty());
  EXPECT_EQ(watch.resident_bytes(), 849U);
  EXPECT_NEAR(watch.request().relief().pressure, 0.849, 0.001);
}

TEST_F(MemoryWatchTest, GivesCachesBackFirstAndRefusesNothing) {
  stay(850, 5s);
  EXPECT_EQ(watch.level(), 1);
  EXPECT_THAT(refused(), ElementsAre(false, false, false));
  EXPECT_EQ(shrinks(), 1U);
  EXPECT_EQ(trims, 1);
  stay(850, 60s);  // Again while it lasts, but not at every look.
  EXPECT_EQ(shrinks(), 2U);
  EXPECT_EQ(log.lines.size(), 1U);
}

TEST_F(MemoryWatchTest, RefusesKeptBodiesThenTlsThenAll) {
  stay(930, 3s);
  EXPECT_EQ(watch.level(), 2);
  EXPECT_THAT(refused(), ElementsAre(false, false, true));
  stay(930, 10s);
  EXPECT_THAT(refused(), ElementsAre(false, true, true));
  stay(1001, 1s);
  EXPECT_EQ(watch.level(), 3);
  EXPECT_THAT(refused(), ElementsAre(true, true, true));
  EXPECT_EQ(watch.changes(), 2U);
}

TEST_F(MemoryWatchTest, ComesDownOneLevelAtATimeAndOnlyWhenItHasBeenLowForAWhile) {
  stay(1200, 2s);
  ASSERT_EQ(watch.level(), 3);
  stay(960, 60s);  // Lower, but not by enough.
  EXPECT_EQ(watch.level(), 3);
  stay(100, 5s);
  EXPECT_EQ(watch.level(), 3);
  stay(100, 7s);
  EXPECT_EQ(watch.level(), 2);
  EXPECT_THAT(refused(), ElementsAre(false, true, true)) << "TLS is not let in on the way down";
  stay(100, 11s);
  EXPECT_EQ(watch.level(), 1);
  EXPECT_THAT(refused(), ElementsAre(false, false, false));
  stay(100, 11s);
  EXPECT_EQ(watch.level(), 0);
}

TEST_F(MemoryWatchTest, DoesNotSwingWithAMemoryThatDoes) {
  for (int i = 0; i < 100; ++i) {
    stay(860, 2s);
    stay(800, 2s);
  }
  EXPECT_EQ(watch.changes(), 1U);
  // Each dip is too short.
  for (int i = 0; i < 100; ++i) {
    stay(860, 2s);
    stay(700, 8s);
  }
  EXPECT_EQ(watch.changes(), 1U);
}

TEST_F(MemoryWatchTest, SaysLoudlyAndNotTooOftenThatNothingHelps) {
  stay(3000, 10min);
  EXPECT_EQ(watch.level(), 3);
  EXPECT_GE(log.lines.size(), 9U);
  EXPECT_LE(log.lines.size(), 12U);
  EXPECT_THAT(log.lines.back(),
              HasSubstr("memory_over_budget resident_bytes=3000 budget_bytes=1000"));
  EXPECT_THAT(log.lines.back(), HasSubstr("action=checks_go_on_at_a_floor"));
}

TEST_F(MemoryWatchTest, ChangesNothingWhenItCannotRead) {
  stay(930, 3s);
  stay(0, 10min);
  EXPECT_EQ(watch.level(), 2);
}

// Goal: giving caches back that frees nothing is not done twice a minute for ever.
TEST_F(MemoryWatchTest, ShrinksLessAndLessOftenWhileItFreesNothing) {
  stay(860, 1h);
  EXPECT_LE(shrinks(), 10U);
  const std::uint32_t before = shrinks();
  stay(860, 1h);
  EXPECT_GE(shrinks(), before + 3) << "but it is tried";
  const std::uint32_t calm = shrinks();
  stay(930, 1s);
  EXPECT_EQ(shrinks(), calm + 1) << "a higher level asks at once";
}

// Goal: sites and heap that alone rest above where level 2 ends, or begins, do not keep TLS out for ever.
TEST_F(MemoryWatchTest, LetsTheTiersInAgainWhenRefusingThemFreedNothing) {
  for (const std::uint64_t rests_at : {870U, 940U}) {
    stay(960, 15s);
    ASSERT_EQ(watch.level(), 2);
    ASSERT_THAT(refused(), ElementsAre(false, true, true));
    stay(rests_at, 55s);  // It has lowered the memory, so it goes on.
    EXPECT_THAT(refused(), ElementsAre(false, true, true));
    stay(rests_at, 70s);
    EXPECT_EQ(watch.level(), 2);
    EXPECT_THAT(refused(), ElementsAre(false, false, false)) << rests_at;
    stay(rests_at + 10, 10min);
    EXPECT_THAT(refused(), ElementsAre(false, false, false)) << "a little more is no reason";
    stay(rests_at + 25, 2s);
    EXPECT_THAT(refused(), ElementsAre(false, false, true)) << "it has grown";
    stay(100, 1min);
    ASSERT_EQ(watch.level(), 0);
  }
}

TEST_F(MemoryWatchTest, LeavesLevelThreeWhenRefusingEverythingFreesNoMore) {
  stay(1010, 5s);
  ASSERT_EQ(watch.level(), 3);
  stay(960, 130s);
  EXPECT_EQ(watch.level(), 2);
  EXPECT_THAT(refused(), ElementsAre(false, true, true));
  stay(1001, 1s);
  EXPECT_EQ(watch.level(), 3) << "at once, where it was needed after all";
  stay(1001, 10min);
  EXPECT_EQ(watch.level(), 3);
}

TEST_F(MemoryWatchTest, SaysEveryMinuteThatLargeChecksAreRefused) {
  stay(930, 10min);
  EXPECT_GE(log.lines.size(), 9U);
  EXPECT_LE(log.lines.size(), 12U);
  EXPECT_THAT(log.lines[1], HasSubstr("memory_short resident_bytes=930 budget_bytes=1000"));
  EXPECT_THAT(log.lines.back(), HasSubstr("remedy="));
}

}  // namespace
}  // namespace watchwheel::app
