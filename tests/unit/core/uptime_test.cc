// SPDX-License-Identifier: Apache-2.0
// Goal: every moment of a window is told as exactly one thing, and at the edges as the right one.
#include "core/uptime.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace watchwheel::core {
namespace {

WallTime at(std::int64_t s) {
  return WallTime{std::chrono::seconds{1'700'000'000 + s}};
}
TimeSpan span(std::int64_t from, std::int64_t until) {
  return {at(from), at(until)};
}
constexpr std::int64_t kOpen = -1'000'000;
TroubleSpan outage(std::int64_t from, std::int64_t until) {
  return {at(from), until == kOpen ? kNoWallTime : at(until), true};
}
TroubleSpan suspicion(std::int64_t from, std::int64_t until) {
  return {at(from), until == kOpen ? kNoWallTime : at(until), false};
}

struct Row {
  const char* what;
  std::vector<TroubleSpan> troubles;
  std::vector<TimeSpan> unknown;
  std::vector<TimeSpan> maintenance;
  TimeSpan watched;
  // In seconds, of a window of 100.
  int up, seems_down, down, unknown_s, maintenance_s, unwatched;
  std::uint64_t outages, false_alarms;
  int longest;
};

TEST(UptimeOf, TellsEachMomentOnceAndTheEdgesRight) {
  const TimeSpan always = span(-1000, 1000);
  const Row rows[] = {
      {"nothing happened", {}, {}, {}, always, 100, 0, 0, 0, 0, 0, 0, 0, 0},
      {"an outage inside", {outage(10, 25)}, {}, {}, always, 85, 0, 15, 0, 0, 0, 1, 0, 15},
      {"one that began before", {outage(-50, 25)}, {}, {}, always, 75, 0, 25, 0, 0, 0, 1, 0, 25},
      {"one that ends after", {outage(90, 400)}, {}, {}, always, 90, 0, 10, 0, 0, 0, 1, 0, 10},
      {"one that goes on", {outage(90, kOpen)}, {}, {}, always, 90, 0, 10, 0, 0, 0, 1, 0, 10},
      {"one all the time", {outage(-5, kOpen)}, {}, {}, always, 0, 0, 100, 0, 0, 0, 1, 0, 100},
      {"one that ended as the window began",
       {outage(-9, 0)},
       {},
       {},
       always,
       100,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0},
      {"one that begins as the window ends",
       {outage(100, kOpen)},
       {},
       {},
       always,
       100,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0},
      {"one of no length", {outage(50, 50)}, {}, {}, always, 100, 0, 0, 0, 0, 0, 1, 0, 0},
      {"one of no length as the window begins",
       {outage(0, 0)},
       {},
       {},
       always,
       100,
       0,
       0,
       0,
       0,
       0,
       1,
       0,
       0},
      {"one of no length as it ends",
       {outage(100, 100)},
       {},
       {},
       always,
       100,
       0,
       0,
       0,
       0,
       0,
       0,
       0,
       0},
      {"the clock was set back", {outage(50, 40)}, {}, {}, always, 100, 0, 0, 0, 0, 0, 1, 0, 0},
      {"two, one after the other",
       {outage(10, 20), outage(20, 50)},
       {},
       {},
       always,
       60,
       0,
       40,
       0,
       0,
       0,
       2,
       0,
       30},
      {"a false alarm", {suspicion(10, 20)}, {}, {}, always, 90, 10, 0, 0, 0, 0, 0, 1, 0},
      {"not decided yet", {suspicion(90, kOpen)}, {}, {}, always, 90, 10, 0, 0, 0, 0, 0, 0, 0},
      {"unknown inside", {}, {span(10, 40)}, {}, always, 70, 0, 0, 30, 0, 0, 0, 0, 0},
      {"unknown within an outage",
       {outage(10, 50)},
       {span(20, 30)},
       {},
       always,
       60,
       0,
       30,
       10,
       0,
       0,
       1,
       0,
       30},
      {"an outage that nobody saw",
       {outage(20, 30)},
       {span(10, 40)},
       {},
       always,
       70,
       0,
       0,
       30,
       0,
       0,
       1,
       0,
       0},
      {"unknown twice", {}, {span(10, 40), span(30, 60)}, {}, always, 50, 0, 0, 50, 0, 0, 0, 0, 0},
      {"maintenance over all",
       {outage(10, 50)},
       {span(40, 70)},
       {span(30, 60)},
       always,
       40,
       0,
       20,
       10,
       30,
       0,
       1,
       0,
       20},
      {"added within", {outage(10, 50)}, {}, {}, span(20, 1000), 50, 0, 30, 0, 0, 20, 1, 0, 30},
      {"removed within", {outage(10, 50)}, {}, {}, span(-9, 30), 10, 0, 20, 0, 0, 70, 1, 0, 20},
      {"added after it was over",
       {outage(10, 50)},
       {},
       {},
       span(60, 1000),
       40,
       0,
       0,
       0,
       0,
       60,
       0,
       0,
       0},
      {"not there",
       {outage(10, 50)},
       {span(1, 9)},
       {},
       span(200, 300),
       0,
       0,
       0,
       0,
       0,
       100,
       0,
       0,
       0},
      {"upside down spans", {}, {span(40, 10)}, {span(9, 9)}, always, 100, 0, 0, 0, 0, 0, 0, 0, 0},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.what);
    const Uptime uptime = uptime_of({.window = span(0, 100),
                                     .watched = row.watched,
                                     .troubles = row.troubles,
                                     .unknown = row.unknown,
                                     .maintenance = row.maintenance});
    EXPECT_EQ(uptime.up, std::chrono::seconds{row.up});
    EXPECT_EQ(uptime.seems_down, std::chrono::seconds{row.seems_down});
    EXPECT_EQ(uptime.down, std::chrono::seconds{row.down});
    EXPECT_EQ(uptime.unknown, std::chrono::seconds{row.unknown_s});
    EXPECT_EQ(uptime.maintenance, std::chrono::seconds{row.maintenance_s});
    EXPECT_EQ(uptime.unwatched, std::chrono::seconds{row.unwatched});
    EXPECT_EQ(uptime.outages, row.outages);
    EXPECT_EQ(uptime.false_alarms, row.false_alarms);
    EXPECT_EQ(uptime.longest_down, std::chrono::seconds{row.longest});
    EXPECT_EQ(uptime.total(), 100s);
  }
}

TEST(UptimeOf, AnEmptyWindowHasNothing) {
  const std::vector<TroubleSpan> troubles{outage(-5, kOpen)};
  EXPECT_EQ(uptime_of({.window = span(5, 5),
                       .watched = span(-9, 9),
                       .troubles = troubles,
                       .unknown = {},
                       .maintenance = {}}),
            Uptime{});
}

TEST(Availability, IsOfTheTimeThatIsKnown) {
  EXPECT_EQ((Uptime{.up = 90s, .down = 10s, .unknown = 500s}.availability()), 0.9);
  EXPECT_EQ((Uptime{.up = 1s, .seems_down = 9s}.availability()), 1.0);
  EXPECT_EQ((Uptime{.down = 9s}.availability()), 0.0);
  EXPECT_EQ((Uptime{.seems_down = 9s, .unknown = 5s}.availability()), std::nullopt);
  EXPECT_EQ(Uptime{}.availability(), std::nullopt);
}

// Goal: the sweep over edges is right for any overlap. Method: small random spans against looking at each second by itself.
TEST(UptimeOf, AgreesWithLookingAtEverySecond) {
  std::mt19937 random(202601);
  const auto pick = [&](int low, int high) {
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  for (int round = 0; round < 1000; ++round) {
    SCOPED_TRACE(round);
    std::vector<TroubleSpan> troubles;
    std::vector<TimeSpan> unknown;
    std::vector<TimeSpan> maintenance;
    const auto random_span = [&] {
      const int from = pick(-10, 40);
      return span(from, from + pick(0, 20));
    };
    for (int i = pick(0, 4); i > 0; --i) {
      const TimeSpan one = random_span();
      troubles.push_back({one.from, pick(0, 5) == 0 ? kNoWallTime : one.until, pick(0, 1) == 1});
    }
    for (int i = pick(0, 3); i > 0; --i) unknown.push_back(random_span());
    for (int i = pick(0, 2); i > 0; --i) maintenance.push_back(random_span());
    const UptimeFacts facts{.window = span(0, 30),
                            .watched = span(pick(-10, 20), pick(10, 60)),
                            .troubles = troubles,
                            .unknown = unknown,
                            .maintenance = maintenance};
    Uptime naive;
    for (int s = 0; s < 30; ++s) {
      const auto inside = [&](const TimeSpan& one) {
        return one.from <= at(s) && at(s) < one.until;
      };
      const auto any = [&](const std::vector<TimeSpan>& spans) {
        return std::any_of(spans.begin(), spans.end(), inside);
      };
      const auto in_trouble = [&](bool confirmed) {
        return std::any_of(troubles.begin(), troubles.end(), [&](const TroubleSpan& one) {
          const WallTime end = one.ended_at == kNoWallTime ? at(30) : one.ended_at;
          return one.confirmed == confirmed && inside({one.started_at, end});
        });
      };
      Uptime::Length& share = !inside(facts.watched) ? naive.unwatched
                        : any(maintenance)     ? naive.maintenance
                        : any(unknown)         ? naive.unknown
                        : in_trouble(true)     ? naive.down
                        : in_trouble(false)    ? naive.seems_down
                                               : naive.up;
      share += 1s;
    }
    const Uptime told = uptime_of(facts);
    EXPECT_EQ(told.up, naive.up);
    EXPECT_EQ(told.seems_down, naive.seems_down);
    EXPECT_EQ(told.down, naive.down);
    EXPECT_EQ(told.unknown, naive.unknown);
    EXPECT_EQ(told.maintenance, naive.maintenance);
    EXPECT_EQ(told.unwatched, naive.unwatched);
    EXPECT_LE(told.longest_down, told.down);
    if (HasFailure()) break;
  }
}

TEST(UptimeOf, OfSeveralSitesAddsUp) {
  Uptime sum{.up = 10s, .down = 5s, .outages = 1, .longest_down = 5s};
  sum += Uptime{.up = 1s,
                .seems_down = 2s,
                .down = 3s,
                .unknown = 4s,
                .maintenance = 5s,
                .unwatched = 6s,
                .outages = 7,
                .false_alarms = 8,
                .longest_down = 3s};
  EXPECT_EQ(sum, (Uptime{.up = 11s,
                         .seems_down = 2s,
                         .down = 8s,
                         .unknown = 4s,
                         .maintenance = 5s,
                         .unwatched = 6s,
                         .outages = 8,
                         .false_alarms = 8,
                         .longest_down = 5s}));
}

}  // namespace
}  // namespace watchwheel::core
