// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <gtest/gtest.h>

namespace watchwheel::core {
namespace {

TEST(ManualClock, AdvanceMovesBothTimesAndAStepOnlyTheWall) {
  ManualClock clock;
  const SteadyTime steady = clock.steady();
  const WallTime wall = clock.wall();
  clock.advance(1500ms);
  EXPECT_EQ(clock.steady() - steady, 1500ms);
  EXPECT_EQ(clock.wall() - wall, 1500ms);
  clock.step_wall(-1h);
  EXPECT_EQ(clock.steady() - steady, 1500ms);
  EXPECT_EQ(clock.wall() - wall, 1500ms - 1h);
  clock.step_wall(2h);
  EXPECT_EQ(clock.wall() - wall, 1500ms + 1h);
}

TEST(ManualClockDeathTest, SteadyTimeDoesNotGoBack) {
  ManualClock clock;
  EXPECT_DEATH(clock.advance(-1ns), "steady time does not go back");
}

TEST(SystemClock, SteadyTimeNeverFallsAndWallTimeIsOfThisCentury) {
  const SystemClock clock;
  SteadyTime last = clock.steady();
  EXPECT_NE(last, kNoSteadyTime);
  for (int i = 0; i < 1000; ++i) {
    const SteadyTime now = clock.steady();
    ASSERT_GE(now, last);
    last = now;
  }
  EXPECT_GT(clock.wall(), *parse_iso8601("2020-01-01T00:00:00Z"));
}

TEST(WallTime, IsWrittenInUtcWithMilliseconds) {
  EXPECT_EQ(to_iso8601(from_unix_ms(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(to_iso8601(from_unix_ms(1'700'000'000'123)), "2023-11-14T22:13:20.123Z");
  EXPECT_EQ(to_iso8601(from_unix_ms(-1)), "1969-12-31T23:59:59.999Z");
  EXPECT_EQ(to_unix_ms(WallTime{-1ns}), -1);  // Rounds towards the past on both sides of 1970.
  EXPECT_EQ(to_unix_ms(WallTime{1999us}), 1);
}

TEST(WallTime, IsReadBackAsWritten) {
  for (const std::int64_t ms :
       {0LL, 1LL, 1'700'000'000'123LL, -86'400'001LL, 951'782'400'000LL, 9'000'000'000'000LL}) {
    const WallTime t = from_unix_ms(ms);
    const Result<WallTime> read = parse_iso8601(to_iso8601(t));
    ASSERT_TRUE(read) << to_iso8601(t);
    EXPECT_EQ(*read, t);
  }
  EXPECT_EQ(*parse_iso8601("2026-11-20T12:00:00Z"), *parse_iso8601("2026-11-20T12:00:00.000Z"));
  EXPECT_EQ(*parse_iso8601("2026-11-20T12:00:00.5Z") - *parse_iso8601("2026-11-20T12:00:00Z"),
            500ms);
  EXPECT_EQ(
      *parse_iso8601("2026-11-20T12:00:00.000000001Z") - *parse_iso8601("2026-11-20T12:00:00Z"),
      1ns);
}

TEST(WallTime, AnythingElseIsRefusedWithAnExample) {
  for (const char* text :
       {"", "now", "2026-11-20", "2026-11-20 12:00:00Z", "2026-11-20T12:00:00",
        "2026-11-20T12:00:00+01:00", "2026-02-30T12:00:00Z", "2026-13-01T12:00:00Z",
        "2026-00-01T12:00:00Z", "2026-11-20T24:00:00Z", "2026-11-20T12:60:00Z",
        "2026-11-20T12:00:60Z", "2026-11-20T12:00:00.Z", "2026-11-20T12:00:00.0000000001Z",
        "2026- 1- 1T12:00:00Z", "+026-11-20T12:00:00Z", "2026-11-20T12:00:00Zx",
        "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z"}) {
    const Result<WallTime> read = parse_iso8601(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().kind, ErrorKind::Invalid);
    EXPECT_NE(read.error().message.find("2026-11-20T12:00:00Z"), std::string::npos) << text;
  }
}

}  // namespace
}  // namespace watchwheel::core
