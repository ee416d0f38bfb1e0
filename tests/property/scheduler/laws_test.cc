// SPDX-License-Identifier: Apache-2.0
// Goal: what a fleet is promised, whatever the model says: no gap beyond the interval, no burst, no lost phase, every interval
// accounted for. Method: a fleet in virtual time with random turns; results come back after random times; the laws are
// read from when checks were handed out. WATCHWHEEL_SEED replays a failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "property/scheduler/seed.h"
#include "scheduler/phase.h"
#include "scheduler/scheduler.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SiteId;
using core::SiteSlot;
using core::SteadyTime;
using core::WallTime;
using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};
constexpr WallTime kWall = core::from_unix_ms(1'700'000'000'000);

struct HandOut {
  SteadyTime due;
  SteadyTime at;
};

class Fleet {
 public:
  Fleet(std::uint64_t seed, std::size_t sites, Duration interval)
      : interval_(interval), random_(seed) {
    for (std::uint64_t id = 1; id <= sites; ++id) {
      const SiteSlot slot = sites_.add(SiteId{id}, "http://a/", interval, 0);
      scheduler_.add(slot, kWall - 1h, kStart);
      first_due_.push_back(scheduler_.due_time(slot));
    }
    handed_out_.resize(sites);
  }

  // Turns of 1 to `step_max` ms; results after 1 ms to `answer_max`.
  void run_for(Duration time, Duration step_max = 40ms, Duration answer_max = 500ms) {
    for (const SteadyTime end = now_ + time; now_ < end;) turn(random_up_to(step_max), answer_max);
  }
  void stall(Duration time) { turn(time, 500ms); }
  void step_wall(Duration by) { wall_step_ += by; }

  [[nodiscard]] SteadyTime now() const { return now_; }
  [[nodiscard]] const Scheduler& scheduler() const { return scheduler_; }
  [[nodiscard]] const std::vector<std::vector<HandOut>>& handed_out() const { return handed_out_; }
  [[nodiscard]] SteadyTime first_due(std::size_t site) const { return first_due_[site]; }
  [[nodiscard]] SteadyTime due(std::size_t site) const { return scheduler_.due_time(slot(site)); }
  [[nodiscard]] Duration off_grid(SteadyTime t, std::size_t site) const {
    const GridAnchor anchor{.wall = kWall + (now_ - kStart) + wall_step_, .steady = now_};
    return past_grid_point(t, grid_of(sites_.id(slot(site)), interval_), anchor);
  }
  [[nodiscard]] std::size_t size() const { return handed_out_.size(); }
  // The most handed out in any window of this length.
  [[nodiscard]] std::size_t most_within(Duration window, SteadyTime from, SteadyTime to) const {
    std::vector<SteadyTime> times;
    for (const auto& of_site : handed_out_) {
      for (const HandOut& one : of_site) {
        if (one.at >= from && one.at < to) times.push_back(one.at);
      }
    }
    std::sort(times.begin(), times.end());
    std::size_t most = 0;
    for (std::size_t first = 0, last = 0; last < times.size(); ++last) {
      while (times[last] - times[first] >= window) ++first;
      most = std::max(most, last - first + 1);
    }
    return most;
  }

 private:
  static SiteSlot slot(std::size_t site) { return SiteSlot{static_cast<std::uint32_t>(site)}; }
  Duration random_up_to(Duration most) {
    return 1ms + Duration{static_cast<Duration::rep>(random_() %
                                                     static_cast<std::uint64_t>(most.count()))};
  }

  void turn(Duration step, Duration answer_max) {
    now_ += step;
    while (!in_flight_.empty() && in_flight_.begin()->first <= now_) {
      scheduler_.finished(in_flight_.begin()->second, now_, std::nullopt);
      in_flight_.erase(in_flight_.begin());
    }
    scheduler_.turn(now_, kWall + (now_ - kStart) + wall_step_);
    std::array<SiteSlot, 64> out;
    while (const std::size_t n = scheduler_.take_due(out, now_)) {
      for (std::size_t i = 0; i < n; ++i) {
        handed_out_[out[i].value].push_back({scheduler_.due_time(out[i]), now_});
        in_flight_.emplace(now_ + random_up_to(answer_max), out[i]);
      }
    }
  }

  Duration interval_;
  std::mt19937_64 random_;
  SiteTable sites_{100'000};
  Scheduler scheduler_{{}, sites_, kStart, kWall};
  SteadyTime now_ = kStart;
  Duration wall_step_{};
  std::multimap<SteadyTime, SiteSlot> in_flight_;
  std::vector<SteadyTime> first_due_;
  std::vector<std::vector<HandOut>> handed_out_;
};

TEST(SchedulerLaws, AnUndisturbedFleetIsCheckedOnceInEveryIntervalOnTime) {
  const std::uint64_t seed = seed_of(0);
  SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
  constexpr Duration kInterval = 10s;
  Fleet fleet(seed, 3000, kInterval);
  fleet.run_for(5min);
  for (std::size_t site = 0; site < fleet.size(); ++site) {
    const auto& checks = fleet.handed_out()[site];
    const auto due_so_far =
        static_cast<std::size_t>((fleet.now() - fleet.first_due(site)) / kInterval + 1);
    ASSERT_LE(checks.size(), due_so_far);
    ASSERT_GE(checks.size() + 1, due_so_far) << "more than the newest is waiting";
    for (std::size_t i = 0; i < checks.size(); ++i) {
      ASSERT_EQ(checks[i].due, fleet.first_due(site) + static_cast<int>(i) * kInterval);
      ASSERT_GE(checks[i].at, checks[i].due);
      ASSERT_LE(checks[i].at - checks[i].due, 300ms) << "a fleet of 300 a second waits for nobody";
    }
  }
  EXPECT_EQ(fleet.scheduler().stats().missed.value(), 0U);
  // 300 a second on average, spread as the hash spreads; no turn starts a crowd.
  EXPECT_LE(fleet.most_within(1s, kStart + 10s, fleet.now()), 400U);
  EXPECT_LT(fleet.scheduler().stats().lag.read().quantile(0.99), 0.1);
}

// Goal: checks + missed = intervals that went by, for every site, and the phases are what they were before the stalls.
TEST(SchedulerLaws, StallsLoseNoIntervalUncountedAndNoPhase) {
  std::uint64_t missed = 0;
  for (std::uint64_t round = 0; round < 3; ++round) {
    const std::uint64_t seed = seed_of(round);
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    constexpr Duration kInterval = 16s;
    std::mt19937_64 random(seed);
    Fleet fleet(seed, 800, kInterval);
    for (int i = 0; i < 6; ++i) {
      fleet.run_for(1min);
      fleet.stall(std::chrono::milliseconds{random() % 100'000});
    }
    fleet.run_for(3min);
    std::uint64_t checks = 0;
    std::uint64_t elapsed = 0;
    for (std::size_t site = 0; site < fleet.size(); ++site) {
      checks += fleet.handed_out()[site].size();
      // What is due next tells how many points of its grid have passed.
      const Duration since = fleet.due(site) - fleet.first_due(site);
      ASSERT_EQ(since % kInterval, 0s) << "a phase moved";
      elapsed += static_cast<std::uint64_t>(since / kInterval);
      ASSERT_EQ(fleet.off_grid(fleet.due(site), site), 0s);
    }
    missed += fleet.scheduler().stats().missed.value();
    const std::uint64_t accounted = checks + fleet.scheduler().stats().missed.value();
    EXPECT_GE(accounted, elapsed);
    EXPECT_LE(accounted, elapsed + fleet.size()) << "at most the one that each has in flight";
  }
  EXPECT_GT(missed, 1000U);
}

TEST(SchedulerLaws, AStallIsFollowedByCatchingUpNotByADump) {
  const std::uint64_t seed = seed_of(0);
  SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
  constexpr double kRequired = 500;
  Fleet fleet(seed, 5000, 10s);
  fleet.run_for(30s);
  fleet.stall(2min);
  const SteadyTime woke = fleet.now();
  fleet.run_for(60s);
  for (const Duration window :
       {Duration{50ms}, Duration{200ms}, Duration{1s}, Duration{5s}, Duration{20s}}) {
    const double most = 1.5 * kRequired * (core::to_seconds(window) + 0.2) + 1;
    EXPECT_LE(static_cast<double>(fleet.most_within(window, woke, fleet.now())), most)
        << core::to_seconds(window);
  }
  // It does catch up: 10 s of checks waited, and it gains half as much again; after 30 s nothing is late.
  EXPECT_LE(fleet.scheduler().oldest_queued(fleet.now()), 200ms);
  for (std::size_t site = 0; site < fleet.size(); ++site) {
    const auto& checks = fleet.handed_out()[site];
    ASSERT_LE(checks.back().at - checks.back().due, 300ms);
  }
}

// Goal: the wall clock set by an hour, either way and at any time, neither bursts nor starves, and all are home soon after.
TEST(SchedulerLaws, WallClockStepsOfAnHourNeitherBurstNorStarve) {
  for (std::uint64_t round = 0; round < 2; ++round) {
    const std::uint64_t seed = seed_of(round);
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    constexpr Duration kInterval =
        7s;  // An hour is no multiple of it, so everybody's phase is lost.
    constexpr std::size_t kSites = 2100;
    Fleet fleet(seed, kSites, kInterval);
    fleet.run_for(20s);
    for (const Duration step : {Duration{1h}, Duration{-1h}, Duration{-1h}, Duration{1h}}) {
      fleet.step_wall(step);
      fleet.run_for(kInterval * 18);
      for (std::size_t site = 0; site < kSites; ++site)
        ASSERT_EQ(fleet.off_grid(fleet.due(site), site), 0s) << "not home";
    }
    EXPECT_EQ(fleet.scheduler().stats().reanchored.value(), 4U);
    EXPECT_EQ(fleet.scheduler().stats().missed.value(), 0U);
    for (const auto& checks : fleet.handed_out()) {
      for (std::size_t i = 1; i < checks.size(); ++i) {
        ASSERT_LE(checks[i].due - checks[i - 1].due, kInterval + 1ms);
        ASSERT_GE(checks[i].due - checks[i - 1].due, kInterval * 15 / 16);
        ASSERT_LE(checks[i].at - checks[i - 1].at, kInterval + 300ms) << "a gap";
      }
    }
    const double required = kSites / core::to_seconds(kInterval);
    EXPECT_LE(static_cast<double>(fleet.most_within(kInterval, kStart, fleet.now())),
              1.25 * required * core::to_seconds(kInterval));
    EXPECT_LE(static_cast<double>(fleet.most_within(1s, kStart, fleet.now())), 1.5 * required)
        << "a crowd on its way home";
  }
}

}  // namespace
}  // namespace watchwheel::scheduler
