// SPDX-License-Identifier: Apache-2.0
#include "scheduler/phase.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "core/hash.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::from_unix_ms;
using core::SiteId;
using core::SteadyTime;
using core::to_unix_ms;
using core::WallTime;
using namespace std::chrono_literals;

constexpr GridAnchor kAnchor{.wall = from_unix_ms(1'700'000'000'123), .steady = SteadyTime{1h}};

std::int64_t wall_ms(SteadyTime t, const GridAnchor& anchor = kAnchor) {
  return to_unix_ms(anchor.wall + (t - anchor.steady));
}

TEST(Grid, PhaseIsTheStableHashOfTheIdOnTheWallClock) {
  for (const std::uint64_t id : {1ULL, 42ULL, 1'000'000ULL}) {
    const Grid grid = grid_of(SiteId{id}, 5min);
    EXPECT_EQ(grid.phase, std::chrono::milliseconds{core::stable_hash(id) % 300'000});
    const SteadyTime point = grid_point_after(kAnchor.steady, grid, kAnchor);
    EXPECT_EQ(wall_ms(point) % 300'000, static_cast<std::int64_t>(core::stable_hash(id) % 300'000));
  }
}

TEST(Grid, ARestartFindsTheSamePoints) {
  // Another process: its steady clock means something else, and it started 37.5 s later.
  const GridAnchor after{.wall = kAnchor.wall + 37'500ms, .steady = SteadyTime{77s}};
  const Grid grid = grid_of(SiteId{42}, 5min);
  const SteadyTime before_restart = grid_point_after(kAnchor.steady + 37'500ms, grid, kAnchor);
  const SteadyTime after_restart = grid_point_after(after.steady, grid, after);
  EXPECT_EQ(wall_ms(before_restart), wall_ms(after_restart, after));
}

TEST(Grid, SpreadsAFleetEvenlyOverTheInterval) {
  std::array<int, 60> seconds{};
  for (std::uint64_t id = 1; id <= 60'000; ++id) {
    ++seconds[static_cast<std::size_t>(grid_of(SiteId{id}, 1min).phase / 1s)];
  }
  EXPECT_GT(*std::min_element(seconds.begin(), seconds.end()), 800);
  EXPECT_LT(*std::max_element(seconds.begin(), seconds.end()), 1200);
}

TEST(Grid, ThePointAfterIsStrictlyAfterAndWithinAnInterval) {
  const Grid grid = grid_of(SiteId{7}, 10s);
  const SteadyTime point = grid_point_after(kAnchor.steady, grid, kAnchor);
  EXPECT_EQ(grid_point_after(point, grid, kAnchor), point + 10s);
  EXPECT_EQ(grid_point_after(point - 1ns, grid, kAnchor), point);
  EXPECT_EQ(past_grid_point(point, grid, kAnchor), 0s);
  EXPECT_EQ(past_grid_point(point - 1ns, grid, kAnchor), 10s - 1ns);
}

TEST(Grid, HoldsBefore1970Too) {
  const GridAnchor early{.wall = from_unix_ms(-5'000), .steady = SteadyTime{1h}};
  const Grid grid{.interval = 10s, .phase = 3s};
  EXPECT_EQ(past_grid_point(early.steady, grid, early), 2s);  // -7 s is a point.
}

TEST(WallJump, IsMoreThanHalfASecondEitherWay) {
  const SteadyTime later = kAnchor.steady + 10min;
  const WallTime expected = kAnchor.wall + 10min;
  EXPECT_FALSE(wall_jumped(kAnchor, later, expected));
  EXPECT_FALSE(wall_jumped(kAnchor, later, expected + 500ms));
  EXPECT_FALSE(wall_jumped(kAnchor, later, expected - 500ms));
  EXPECT_TRUE(wall_jumped(kAnchor, later, expected + 501ms));
  EXPECT_TRUE(wall_jumped(kAnchor, later, expected - 501ms));
  EXPECT_TRUE(wall_jumped(kAnchor, later, expected - 1h));
}

TEST(FollowingDue, OnTheGridIsExactlyOneInterval) {
  const Grid grid = grid_of(SiteId{7}, 10s);
  const SteadyTime point = grid_point_after(kAnchor.steady, grid, kAnchor);
  EXPECT_EQ(following_due(point, grid, kAnchor), point + 10s);
  // A millisecond beside it is taken for on it, and put right.
  EXPECT_EQ(following_due(point + 1ms, grid, kAnchor), point + 10s);
  EXPECT_EQ(following_due(point - 1ms, grid, kAnchor), point + 10s);
}

// Goal: from anywhere, a site is back on its grid after at most 16 checks, no gap is longer than the interval (but for the
// tolerance), and none is shorter by more than a sixteenth. Method: start at every 50 ms of the interval.
TEST(FollowingDue, WalksHomeFromAnywhereWithoutAGapOrABurst) {
  const Grid grid = grid_of(SiteId{7}, 10s);
  const SteadyTime point = grid_point_after(kAnchor.steady, grid, kAnchor);
  for (Duration off = 0s; off < 10s; off += 50ms) {
    SteadyTime due = point + off;
    int checks = 0;
    while (past_grid_point(due, grid, kAnchor) != 0s) {
      const SteadyTime next = following_due(due, grid, kAnchor);
      ASSERT_LE(next - due, 10s + kGridTolerance) << core::to_ms(off);
      ASSERT_GE(next - due, Duration{10s} - Duration{10s} / kWalkHomePart) << core::to_ms(off);
      due = next;
      ASSERT_LE(++checks, kWalkHomePart) << core::to_ms(off);
    }
    EXPECT_EQ(following_due(due, grid, kAnchor), due + 10s);
  }
}

TEST(NextDue, CountsFromTheDueTimeNotFromTheStart) {
  const Grid grid = grid_of(SiteId{7}, 10s);
  const SteadyTime due = grid_point_after(kAnchor.steady, grid, kAnchor);
  for (const Duration late : {Duration{0s}, Duration{1ms}, Duration{5s}, Duration{9999ms}}) {
    const NextDue next = next_due(due, due + late, grid, kAnchor);
    EXPECT_EQ(next.due, due + 10s);
    EXPECT_EQ(next.last, due);
    EXPECT_EQ(next.missed, 0U);
  }
}

TEST(NextDue, SkipsAndCountsWholeIntervals) {
  const Grid grid = grid_of(SiteId{7}, 10s);
  const SteadyTime due = grid_point_after(kAnchor.steady, grid, kAnchor);
  struct Case {
    Duration late;
    Duration next;
    std::uint64_t missed;
  };
  for (const Case& c : {Case{10s, 20s, 1}, Case{15s, 20s, 1}, Case{19'999ms, 20s, 1},
                        Case{20s, 30s, 2}, Case{1h, 3610s, 360}}) {
    const NextDue next = next_due(due, due + c.late, grid, kAnchor);
    EXPECT_EQ(next.due - due, c.next);
    EXPECT_EQ(next.missed, c.missed);
    EXPECT_EQ(next.last,
              next.due - 10s);  // So that a re-check in between does not count them again.
    EXPECT_EQ(next_due(next.last, due + c.late, grid, kAnchor).missed, 0U);
  }
}

TEST(NextDue, OffTheGridAfterAStallGoesToTheGridAndCountsWhatIsWhole) {
  const Grid grid = grid_of(SiteId{7}, 10s);
  const SteadyTime point = grid_point_after(kAnchor.steady, grid, kAnchor);
  const NextDue next = next_due(point + 5s, point + 5s + 20s, grid, kAnchor);
  EXPECT_EQ(next.due, point + 30s);  // 25 s after it was last due: two whole intervals.
  EXPECT_EQ(next.missed, 2U);
}

// Goal: under overload the interval after a late check is whole, counted from its start; from there it walks home.
TEST(StretchedDue, CountsFromTheStartAndWalksHomeAfterwards) {
  const Grid grid = grid_of(SiteId{7}, 60s);
  const SteadyTime due = grid_point_after(kAnchor.steady, grid, kAnchor);
  const NextDue next = stretched_due(due + 25s, due + 26s, grid, kAnchor);
  EXPECT_EQ(next.due, due + 85s);
  EXPECT_EQ(next.last, due + 25s);
  EXPECT_EQ(next.missed, 0U);
  SteadyTime last = next.due;
  int steps = 0;
  while (past_grid_point(last, grid, kAnchor) != 0s) {
    const NextDue home = next_due(last, last + 1s, grid, kAnchor);
    EXPECT_LE(home.due - last, 60s);
    last = home.due;
    ASSERT_LE(++steps, 16);
  }
}

TEST(StretchedDue, AfterACheckThatTookLongerThanTheIntervalItIsTheNextGridPoint) {
  const Grid grid = grid_of(SiteId{7}, 60s);
  const SteadyTime due = grid_point_after(kAnchor.steady, grid, kAnchor);
  const NextDue next = stretched_due(due + 10s, due + 150s, grid, kAnchor);
  EXPECT_EQ(next.due, due + 180s);
  EXPECT_EQ(next.missed, 2U);
}

}  // namespace
}  // namespace watchwheel::scheduler
