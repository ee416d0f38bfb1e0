// SPDX-License-Identifier: Apache-2.0
#include "scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

#include "scheduler/phase.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::kNoWallTime;
using core::SiteId;
using core::SiteSlot;
using core::SteadyTime;
using core::WallTime;
using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};
constexpr WallTime kWall = core::from_unix_ms(1'700'000'000'000);
constexpr WallTime kKnown =
    core::from_unix_ms(1'699'999'000'000);  // Checked before, in another process.

class SchedulerTest : public testing::Test {
 protected:
  explicit SchedulerTest(Limits limits = {}) : scheduler_(limits, sites_, kStart, kWall) {}

  SiteSlot add(Duration interval, WallTime last_checked_at = kKnown) {
    const SiteSlot site = sites_.add(SiteId{++last_id_}, "http://site.example/", interval, 0);
    scheduler_.add(site, last_checked_at, now_);
    return site;
  }
  void turn_at(SteadyTime now) {
    now_ = now;
    scheduler_.turn(now_, wall());
  }
  // Time passes, and the lane turns.
  void pass(Duration time) {
    for (const SteadyTime end = now_ + time; now_ < end;) turn_at(std::min(now_ + 1s, end));
  }
  std::vector<SiteSlot> take(std::size_t most = 1000) {
    std::vector<SiteSlot> into(most);
    into.resize(scheduler_.take_due(into, now_));
    return into;
  }
  // Turns every 10 ms until one check is handed out.
  SiteSlot run_to_next(Duration at_most = 2h) {
    for (const SteadyTime end = now_ + at_most; now_ < end;) {
      turn_at(now_ + 10ms);
      std::array<SiteSlot, 1> one;
      if (scheduler_.take_due(one, now_) == 1) return one[0];
    }
    ADD_FAILURE() << "no check was handed out";
    return core::kNoSlot;
  }
  [[nodiscard]] WallTime wall() const { return kWall + (now_ - kStart) + wall_step_; }
  [[nodiscard]] Duration off_grid(SiteSlot site) const {
    const GridAnchor anchor{.wall = wall(), .steady = now_};
    return past_grid_point(scheduler_.due_time(site),
                           grid_of(sites_.id(site), sites_.interval(site)), anchor);
  }

  SiteTable sites_{100'000};
  Scheduler scheduler_;
  SteadyTime now_ = kStart;
  Duration wall_step_{};
  std::uint64_t last_id_ = 0;
};

TEST_F(SchedulerTest, AKnownSiteWaitsForItsNextGridPoint) {
  const SiteSlot site = add(5min);
  EXPECT_EQ(off_grid(site), 0s);
  EXPECT_GT(scheduler_.due_time(site), kStart);
  EXPECT_LE(scheduler_.due_time(site), kStart + 5min);
}

TEST_F(SchedulerTest, ASiteThatIsTakenOverBeginsWithTheFirstGridPointThatIsOurs) {
  const auto taken_over = [&](SteadyTime from) {
    const SiteSlot site = sites_.add(SiteId{++last_id_}, "http://site.example/", 60s, 0);
    scheduler_.take_over(site, from, now_);
    EXPECT_LT(off_grid(site), 1ms);
    return scheduler_.due_time(site);
  };
  const SteadyTime later = taken_over(now_ + 90s);
  EXPECT_GE(later, now_ + 90s);
  EXPECT_LE(later, now_ + 150s);
  const SteadyTime sooner = taken_over(now_ - 20s);  // May have passed: then it is made up for.
  EXPECT_GE(sooner, now_ - 20s);
  EXPECT_LE(sooner, now_ + 40s);
  const SteadyTime once = taken_over(now_ - 10min);  // Ten have passed: one of them counts.
  EXPECT_GT(once, now_ - 60s);
  EXPECT_LE(once, now_);
}

TEST_F(SchedulerTest, ASiteIsHandedOutOnceAtItsDueTimeAndThenEveryInterval) {
  const SiteSlot site = add(10s);
  const SteadyTime first = scheduler_.due_time(site);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(run_to_next(), site);
    EXPECT_EQ(scheduler_.due_time(site), first + i * 10s);
    EXPECT_LT(now_ - scheduler_.due_time(site), 10ms);
    EXPECT_TRUE(take().empty());
    scheduler_.finished(site, now_ + 3s, std::nullopt);
  }
  EXPECT_EQ(scheduler_.stats().due.value(), 5U);
  EXPECT_EQ(scheduler_.stats().missed.value(), 0U);
  EXPECT_EQ(scheduler_.stats().lag.read().total(), 5U);
}

// The example of the style guide: late once, and back in step.
TEST_F(SchedulerTest, AStalledLaneFiresOnceAndKeepsItsPhase) {
  const SiteSlot site = add(60s);
  ASSERT_EQ(run_to_next(), site);
  const SteadyTime first = scheduler_.due_time(site);
  scheduler_.finished(site, now_, std::nullopt);
  turn_at(first + 150s);
  ASSERT_EQ(take(), (std::vector{site}));
  scheduler_.finished(site, now_, std::nullopt);
  EXPECT_EQ(scheduler_.due_time(site), first + 180s);
  EXPECT_EQ(scheduler_.stats().missed.value(), 1U);
  EXPECT_EQ(scheduler_.left_over(), 0U);
}

// Goal: a site that was left over by a stall and is refused, removed or edited is asked when it should, once.
TEST_F(SchedulerTest, WhatAStallLeftOverIsRefusedRemovedAndEditedAsAnyOther) {
  const SiteSlot refused = add(60s);
  const SiteSlot removed = add(60s);
  const SiteSlot edited = add(60s);
  for (int i = 0; i < 3; ++i) scheduler_.finished(run_to_next(), now_, std::nullopt);
  const SteadyTime due = scheduler_.due_time(refused);
  turn_at(now_ + 150s);
  EXPECT_EQ(scheduler_.queued(), 0U);
  EXPECT_EQ(scheduler_.left_over(), 3U);
  scheduler_.remove(removed);
  sites_.remove(removed);
  const std::vector<SiteSlot> taken = take();
  ASSERT_THAT(taken, testing::UnorderedElementsAre(refused, edited));
  for (std::size_t i = taken.size(); i > 0; --i) scheduler_.refused(taken[i - 1]);
  EXPECT_EQ(scheduler_.due_time(refused), due + 120s) << "its phase";
  sites_.set_interval(edited, 30s);
  scheduler_.reschedule(edited, now_);
  EXPECT_THAT(take(), testing::UnorderedElementsAre(refused, edited));
  EXPECT_EQ(scheduler_.left_over(), 0U);
  scheduler_.finished(refused, now_, std::nullopt);
  scheduler_.finished(edited, now_, std::nullopt);
  EXPECT_EQ(scheduler_.due_time(refused), due + 120s);
  EXPECT_EQ(off_grid(edited), 0s);
}

// Goal: after a stall in which a whole fleet fell due no turn takes them all, the next one is at once, and none is forgotten.
TEST_F(SchedulerTest, AfterAStallATurnTakesSomeOfWhatIsDue) {
  constexpr std::uint64_t kFleet = 30'000;
  for (std::uint64_t i = 0; i < kFleet; ++i) (void)add(1min);
  turn_at(now_ + 2min);
  EXPECT_GT(scheduler_.left_over(), 1000U);
  EXPECT_LE(scheduler_.left_over(), 10'000U);
  std::size_t turns = 1;
  for (; scheduler_.left_over() < kFleet; ++turns) {
    ASSERT_LT(turns, 20U);
    ASSERT_EQ(scheduler_.next_turn(now_), now_);
    const std::size_t before = scheduler_.left_over();
    turn_at(now_);
    EXPECT_LE(scheduler_.left_over() - before, 10'000U);
  }
  EXPECT_GE(turns, 3U);
  EXPECT_EQ(scheduler_.stats().due.value(), kFleet);
}

TEST_F(SchedulerTest, ANewSiteWithALongIntervalIsSeenAtOnce) {
  const SiteSlot site = add(6h, kNoWallTime);
  ASSERT_EQ(run_to_next(1s), site);
  // Its second check is on its way to the grid, not an extra one.
  scheduler_.finished(site, now_, std::nullopt);
  EXPECT_LE(scheduler_.due_time(site) - kStart, 6h);
  EXPECT_GE(scheduler_.due_time(site) - kStart, Duration{6h} * 15 / 16);
}

TEST_F(SchedulerTest, ANewFleetIsNotABurst) {
  for (int i = 0; i < 5000; ++i) add(1h, kNoWallTime);
  std::vector<std::uint32_t> per_second(60);
  std::uint32_t total = 0;
  while (now_ < kStart + 60s - 10ms) {
    turn_at(now_ + 10ms);
    for (const SiteSlot site : take()) {
      ++per_second[static_cast<std::size_t>((now_ - kStart) / 1s)];
      ++total;
      scheduler_.finished(site, now_, std::nullopt);
    }
  }
  EXPECT_LE(*std::max_element(per_second.begin(), per_second.end()), 1000 / 60 + 10);
  EXPECT_GE(total, 900U);
  EXPECT_LE(total, 1000U + 5000 / 60 + 30);
}

TEST_F(SchedulerTest, AFleetWithShortIntervalsIsNotHurried) {
  const SiteSlot site = add(1min, kNoWallTime);
  EXPECT_EQ(off_grid(site), 0s);
}

TEST_F(SchedulerTest, SuspectsComeFirstAndEachQueueOldestFirst) {
  for (int i = 0; i < 6; ++i) add(60s);
  turn_at(now_ + 60s);
  const std::vector<SiteSlot> first = take();
  ASSERT_EQ(first.size(), 6U);
  // The last two fail and are looked at again in 30 s; by the time of the next turn all are due again.
  for (std::size_t i = 0; i < 6; ++i) {
    scheduler_.finished(first[i], now_, i >= 4 ? std::optional<Duration>(30s) : std::nullopt);
  }
  turn_at(now_ + 70s);
  const std::vector<SiteSlot> taken = take();
  ASSERT_EQ(taken.size(), 6U);
  const auto due = [this](SiteSlot site) { return scheduler_.due_time(site); };
  EXPECT_TRUE(sites_.timing(taken[0]).suspect && sites_.timing(taken[1]).suspect);
  EXPECT_LE(due(taken[0]), due(taken[1]));
  for (std::size_t i = 3; i < 6; ++i) {
    EXPECT_FALSE(sites_.timing(taken[i]).suspect);
    EXPECT_LE(due(taken[i - 1]), due(taken[i]));
  }
}

TEST_F(SchedulerTest, ARecheckDoesNotMoveThePhase) {
  const SiteSlot site = add(60s);
  ASSERT_EQ(run_to_next(), site);
  const SteadyTime first = scheduler_.due_time(site);
  scheduler_.finished(site, now_, 10s);
  for (int i = 0; i < 5; ++i) {
    ASSERT_EQ(run_to_next(), site);
    ASSERT_LT(now_, first + 60s);
    scheduler_.finished(site, now_, i < 4 ? std::optional<Duration>(9s) : std::nullopt);
  }
  EXPECT_EQ(scheduler_.due_time(site), first + 60s);
  EXPECT_EQ(scheduler_.stats().missed.value(), 0U);
}

TEST_F(SchedulerTest, ARecheckBeyondTheNextGridPointIsThatOneUnderSuspicion) {
  const SiteSlot site = add(10s);
  ASSERT_EQ(run_to_next(), site);
  const SteadyTime first = scheduler_.due_time(site);
  scheduler_.finished(site, now_, 30s);
  EXPECT_EQ(scheduler_.due_time(site), first + 10s);
  ASSERT_EQ(run_to_next(), site);
  scheduler_.finished(site, now_, std::nullopt);
  EXPECT_EQ(scheduler_.due_time(site), first + 20s);
}

TEST_F(SchedulerTest, RechecksAfterAStallDoNotCountTheSameMissTwice) {
  const SiteSlot site = add(60s);
  ASSERT_EQ(run_to_next(), site);
  turn_at(now_ + 200s);  // It was in flight all that time.
  scheduler_.finished(site, now_, 5s);
  EXPECT_EQ(scheduler_.stats().missed.value(), 3U);
  ASSERT_EQ(run_to_next(), site);
  scheduler_.finished(site, now_, 5s);
  ASSERT_EQ(run_to_next(), site);
  scheduler_.finished(site, now_, std::nullopt);
  EXPECT_EQ(scheduler_.stats().missed.value(), 3U);
}

TEST_F(SchedulerTest, WhatIsRefusedComesBackFirstAndItsLagIsObservedOnce) {
  std::vector<SiteSlot> all;
  for (int i = 0; i < 5; ++i) all.push_back(add(10s));
  pass(11s);
  const std::vector<SiteSlot> taken = take();
  ASSERT_EQ(taken.size(), 5U);
  for (std::size_t i = taken.size(); i > 1; --i) scheduler_.refused(taken[i - 1]);
  EXPECT_EQ(scheduler_.queued(), 4U);
  EXPECT_GE(scheduler_.next_turn(now_), now_ + 100ms) << "it would spin";
  const std::vector<SiteSlot> again = take();
  EXPECT_EQ(again, (std::vector(taken.begin() + 1, taken.end())));
  turn_at(now_ + 10ms);
  EXPECT_EQ(scheduler_.stats().lag.read().total(), 5U);
}

TEST_F(SchedulerTest, ARemovedSiteIsForgottenWhereverItIs) {
  const SiteSlot waiting = add(10s);
  const SiteSlot queued = add(10s);
  const SiteSlot out = add(10s);
  pass(11s);
  std::array<SiteSlot, 1> one;
  ASSERT_EQ(scheduler_.take_due(one, now_), 1U);
  ASSERT_EQ(scheduler_.queued(), 2U);
  const SiteSlot fresh = add(10s);
  for (const SiteSlot site : {waiting, queued, out, fresh}) {
    scheduler_.remove(site);
    sites_.remove(site);
  }
  EXPECT_EQ(scheduler_.queued(), 0U);
  EXPECT_EQ(scheduler_.required_per_second(), 0);
  turn_at(now_ + 30s);
  EXPECT_TRUE(take().empty());
}

TEST_F(SchedulerTest, RequiredRateIsTheSumAndSuspectsCountAtTheirRecheck) {
  const SiteSlot a = add(10s);
  add(5min);
  EXPECT_NEAR(scheduler_.required_per_second(), 0.1 + 1.0 / 300, 1e-9);
  sites_.set_interval(a, 20s);
  scheduler_.reschedule(a, now_);
  EXPECT_NEAR(scheduler_.required_per_second(), 0.05 + 1.0 / 300, 1e-9);
  while (run_to_next() != a) FAIL() << "the other is not due yet";
  scheduler_.finished(a, now_, 2s);
  EXPECT_NEAR(scheduler_.required_per_second(), 0.5 + 1.0 / 300, 1e-9);
  ASSERT_EQ(run_to_next(), a);
  scheduler_.finished(a, now_, std::nullopt);
  EXPECT_NEAR(scheduler_.required_per_second(), 0.05 + 1.0 / 300, 1e-9);
  turn_at(now_ + 10ms);
  EXPECT_EQ(scheduler_.stats().required_per_second.value(), scheduler_.required_per_second());
}

TEST_F(SchedulerTest, AShorterIntervalIsSeenSoonButNeverAllAtOnce) {
  std::vector<SiteSlot> all;
  for (int i = 0; i < 600; ++i) all.push_back(add(24h));
  // All have had a check a while ago.
  for (const SiteSlot site : all) {
    scheduler_.remove(site);
    scheduler_.add(site, kKnown, now_);
  }
  for (const SiteSlot site : all) {
    sites_.set_interval(site, 1min);
    scheduler_.reschedule(site, now_);
    EXPECT_GT(scheduler_.due_time(site), now_);
    EXPECT_LE(scheduler_.due_time(site), now_ + 1min);
  }
  std::vector<std::uint32_t> per_ten_seconds(6);
  while (now_ < kStart + 59s) {
    turn_at(now_ + 10ms);
    for (const SiteSlot site : take()) {
      ++per_ten_seconds[static_cast<std::size_t>((now_ - kStart) / 10s)];
      scheduler_.finished(site, now_, std::nullopt);
    }
  }
  for (const std::uint32_t n : per_ten_seconds) EXPECT_LT(n, 150U);  // 100 on average.
}

TEST_F(SchedulerTest, ALongerIntervalCountsFromTheLastCheck) {
  const SiteSlot site = add(1min);
  ASSERT_EQ(run_to_next(), site);
  const SteadyTime last = scheduler_.due_time(site);
  scheduler_.finished(site, now_, std::nullopt);
  turn_at(now_ + 50s);
  sites_.set_interval(site, 1h);
  scheduler_.reschedule(site, now_);
  EXPECT_LE(scheduler_.due_time(site) - last, 1h);
  EXPECT_GE(scheduler_.due_time(site) - last, Duration{1h} * 15 / 16);
}

TEST_F(SchedulerTest, ChangingTheIntervalBackAndForthNeitherDoublesNorStarves) {
  const SiteSlot site = add(1h);
  ASSERT_EQ(run_to_next(), site);
  const SteadyTime last = scheduler_.due_time(site);
  scheduler_.finished(site, now_, std::nullopt);
  for (int i = 0; i < 50; ++i) {
    turn_at(now_ + 1min);
    sites_.set_interval(site, i % 2 == 0 ? 30min : 1h);
    scheduler_.reschedule(site, now_);
    if (scheduler_.queued() != 0) break;
    ASSERT_LE(scheduler_.due_time(site) - last, 1h);
  }
  ASSERT_EQ(run_to_next(1h), site);
  EXPECT_LE(now_ - last, 1h + 1s);
}

TEST_F(SchedulerTest, ANewSiteKeepsItsHurriedCheckWhenItsIntervalIsChanged) {
  const SiteSlot site = add(1h, kNoWallTime);
  sites_.set_interval(site, 24h);
  scheduler_.reschedule(site, now_);
  EXPECT_EQ(run_to_next(1s), site);
}

TEST_F(SchedulerTest, AnHourOfWallClockEitherWayNeitherBurstsNorStarves) {
  const SiteSlot site = add(7min);
  ASSERT_EQ(run_to_next(), site);
  for (const Duration step : {Duration{1h}, Duration{-1h}}) {
    wall_step_ += step;
    turn_at(now_ + 10ms);
    SteadyTime last = scheduler_.due_time(site);
    for (int i = 0; i < 20; ++i) {
      scheduler_.finished(site, now_, std::nullopt);
      ASSERT_EQ(run_to_next(), site);
      const Duration gap = scheduler_.due_time(site) - last;
      EXPECT_LE(gap, 7min + 1ms);
      EXPECT_GE(gap, Duration{7min} * 15 / 16);
      last = scheduler_.due_time(site);
    }
    EXPECT_EQ(off_grid(site), 0s);
  }
  EXPECT_EQ(scheduler_.stats().reanchored.value(), 2U);
  EXPECT_EQ(scheduler_.stats().missed.value(), 0U);
}

TEST_F(SchedulerTest, NextTurnWakesForTheDueTimeAndNotMuchBefore) {
  EXPECT_EQ(scheduler_.next_turn(now_), now_ + 1s);
  const SiteSlot site = add(5min);
  const SteadyTime due = scheduler_.due_time(site);
  int turns = 0;
  while (take().empty()) {
    ASSERT_LE(++turns, 3);
    turn_at(scheduler_.next_turn(now_));
  }
  EXPECT_EQ(now_, due);
}

TEST_F(SchedulerTest, NextTurnWaitsForThePacerWhenChecksAreQueued) {
  for (int i = 0; i < 100; ++i) add(5min);
  pass(5min);
  ASSERT_FALSE(take().empty());
  ASSERT_GT(scheduler_.queued(), 0U);
  EXPECT_GE(scheduler_.oldest_queued(now_), 1s);
  int turns = 0;
  while (scheduler_.queued() > 0) {
    const SteadyTime next = scheduler_.next_turn(now_);
    ASSERT_GT(next, now_) << "it would spin";
    ASSERT_LE(next - now_, 100ms);
    turn_at(next);
    ASSERT_FALSE(take().empty());
    ASSERT_LE(++turns, 100);
  }
  EXPECT_EQ(scheduler_.oldest_queued(now_), 0s);
}

// Goal: while fewer start than are required, each check is followed one interval after its start and the stretch is told;
// afterwards the site is back on its grid. Method: forty sites at a second, and one start in a turn of 50 ms.
TEST_F(SchedulerTest, UnderOverloadAnIntervalIsWholeAndThePhaseComesBack) {
  std::vector<SiteSlot> all;
  for (int i = 0; i < 40; ++i) all.push_back(add(1s));
  std::vector<std::vector<SteadyTime>> started(all.size());
  const auto run = [&](Duration time, std::size_t a_turn) {
    for (const SteadyTime end = now_ + time; now_ < end;) {
      turn_at(now_ + 50ms);
      std::vector<SiteSlot> taken = take(64);
      for (; taken.size() > a_turn; taken.pop_back()) scheduler_.refused(taken.back());
      for (const SiteSlot site : taken) {
        started[site.value].push_back(now_);
        scheduler_.finished(site, now_, std::nullopt);
      }
    }
  };
  run(1min, 1);
  EXPECT_EQ(scheduler_.stats().overloaded.value(), 1);
  for (const auto& times : started) {
    for (std::size_t i = times.size() - 5; i < times.size(); ++i)
      EXPECT_NEAR(core::to_seconds(times[i] - times[i - 1]), 2, 0.11);
  }
  EXPECT_NEAR(scheduler_.stats().stretch[1].value(), 2, 0.2);
  EXPECT_EQ(scheduler_.stats().stretch[0].value(), 1);
  const double gone = 40 * 60;
  double checks = 0;
  for (const auto& times : started) checks += static_cast<double>(times.size());
  EXPECT_NEAR(checks + static_cast<double>(scheduler_.stats().missed.value()), gone, 60);

  run(1min, 64);
  EXPECT_EQ(scheduler_.stats().overloaded.value(), 0);
  for (const SiteSlot site : all) EXPECT_EQ(off_grid(site), 0s);
}

TEST_F(SchedulerTest, APriorityCountsFromTheNextDueTimeOnAndItsRateAtOnce) {
  const SiteSlot high = add(10s);
  const SiteSlot low = add(10s);
  scheduler_.set_priority(high, core::Priority::High);
  scheduler_.set_priority(low, core::Priority::Low);
  pass(11s);
  EXPECT_NEAR(scheduler_.stats().required_by_priority[0].value(), 0.1, 1e-9);
  EXPECT_EQ(scheduler_.stats().required_by_priority[1].value(), 0);
  EXPECT_NEAR(scheduler_.required_per_second(), 0.2, 1e-9);
  EXPECT_EQ(take(), (std::vector{high, low}));
  scheduler_.finished(high, now_, std::nullopt);
  scheduler_.finished(low, now_, std::nullopt);
  scheduler_.set_priority(high, core::Priority::Low);
  scheduler_.set_priority(low, core::Priority::High);
  pass(11s);
  EXPECT_EQ(take(), (std::vector{low, high}));
}

TEST_F(SchedulerTest, DeathOnOurOwnMistakes) {
  const SiteSlot site = add(10s);
  EXPECT_DEATH(scheduler_.add(site, kKnown, now_), "twice");
  EXPECT_DEATH(scheduler_.finished(site, now_, std::nullopt), "not handed out");
  EXPECT_DEATH(scheduler_.refused(site), "not handed out");
  turn_at(now_ + 1s);
  EXPECT_DEATH(scheduler_.turn(now_ - 1ns, kWall), "does not go back");
  scheduler_.remove(site);
  EXPECT_DEATH(scheduler_.remove(site), "not added");
}

}  // namespace
}  // namespace watchwheel::scheduler
