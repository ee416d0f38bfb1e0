// SPDX-License-Identifier: Apache-2.0
// When checks start: after a stall, under more load than can be done, and by priority. Everything
// is read from when the network was asked.
#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <vector>

#include "core/hash.h"
#include "scheduler/phase.h"
#include "world.h"

namespace watchwheel::sim {
namespace {

using core::Duration;
using core::Priority;
using core::SteadyTime;
using namespace std::chrono_literals;

struct Group {
  std::uint64_t sites = 0;
  Duration interval{};
  Priority priority = Priority::Normal;

  [[nodiscard]] double per_second() const {
    return static_cast<double>(sites) / core::to_seconds(interval);
  }
};

// A fleet of groups; its sites are numbered through.
class Mixed {
 public:
  Mixed(std::vector<Group> groups, Network network, std::size_t in_flight_max)
      : groups_(std::move(groups)),
        world({.sites = 0,
               .interval = 60s,
               .confirm = {},
               .in_flight_max = in_flight_max,
               .known = true},
              std::move(network)) {
    std::uint64_t site = 0;
    for (const Group& group : groups_) {
      for (std::uint64_t i = 0; i < group.sites; ++i)
        world.put(++site, group.interval, true, group.priority);
    }
    sites_ = site;
  }

  [[nodiscard]] double required() const {
    double sum = 0;
    for (const Group& group : groups_) sum += group.per_second();
    return sum;
  }
  [[nodiscard]] std::uint64_t first_of(std::size_t group) const {
    std::uint64_t first = 1;
    for (std::size_t i = 0; i < group; ++i) first += groups_[i].sites;
    return first;
  }
  [[nodiscard]] std::vector<SteadyTime> starts(SteadyTime from, SteadyTime to) {
    std::vector<SteadyTime> times;
    for (std::uint64_t site = 1; site <= sites_; ++site) {
      for (const Asked& asked : world.asked(site)) {
        if (asked.at >= from && asked.at < to) times.push_back(asked.at);
      }
    }
    std::sort(times.begin(), times.end());
    return times;
  }
  // The most in any second.
  [[nodiscard]] std::size_t most_in_a_second(SteadyTime from, SteadyTime to) {
    const std::vector<SteadyTime> times = starts(from, to);
    std::size_t most = 0;
    for (std::size_t first = 0, last = 0; last < times.size(); ++last) {
      while (times[last] - times[first] >= 1s) ++first;
      most = std::max(most, last - first + 1);
    }
    return most;
  }
  struct Spread {
    double least = 1e9;
    double mean = 0;
    double most = 0;
  };
  // Of the sites of a group: mean time from check to check, in intervals.
  [[nodiscard]] Spread stretch(std::size_t group, SteadyTime from, SteadyTime to) {
    Spread spread;
    double sum = 0;
    const std::uint64_t first = first_of(group);
    for (std::uint64_t site = first; site < first + groups_[group].sites; ++site) {
      const auto& asked = world.asked(site);
      const auto in = [&](const Asked& one) { return one.at >= from && one.at < to; };
      const auto begin = std::find_if(asked.begin(), asked.end(), in);
      auto end = begin;
      while (end != asked.end() && in(*end)) ++end;
      if (end - begin < 2) continue;
      const double mean = core::to_seconds((end - 1)->at - begin->at) /
                          static_cast<double>(end - begin - 1) /
                          core::to_seconds(groups_[group].interval);
      spread.least = std::min(spread.least, mean);
      spread.most = std::max(spread.most, mean);
      sum += mean;
    }
    spread.mean = sum / static_cast<double>(groups_[group].sites);
    return spread;
  }
  // The longest time from a check at or after `from` to the next, in intervals, of a group's sites.
  [[nodiscard]] double longest_gap(std::size_t group, SteadyTime from) {
    Duration longest{};
    const std::uint64_t first = first_of(group);
    for (std::uint64_t site = first; site < first + groups_[group].sites; ++site) {
      const auto& asked = world.asked(site);
      for (std::size_t i = 1; i < asked.size(); ++i) {
        if (asked[i - 1].at >= from) longest = std::max(longest, asked[i].at - asked[i - 1].at);
      }
    }
    return core::to_seconds(longest) / core::to_seconds(groups_[group].interval);
  }
  // The longest that a site of a group had to wait for its first check from `from` on, in intervals.
  [[nodiscard]] double longest_wait(std::size_t group, SteadyTime from) {
    Duration longest{};
    const std::uint64_t first = first_of(group);
    for (std::uint64_t site = first; site < first + groups_[group].sites; ++site) {
      Duration wait = core::Duration::max();
      for (const Asked& asked : world.asked(site))
        if (asked.at >= from) wait = std::min(wait, asked.at - from);
      longest = std::max(longest, wait);
    }
    return core::to_seconds(longest) / core::to_seconds(groups_[group].interval);
  }
  // How many grid points of a group's sites from `from` to `to` had no check within half a second.
  [[nodiscard]] std::size_t grid_points_without_a_check(std::size_t group, SteadyTime from,
                                                        SteadyTime to) {
    const scheduler::GridAnchor anchor{.wall = world.clock.wall(), .steady = world.clock.steady()};
    std::size_t without = 0;
    const std::uint64_t first = first_of(group);
    for (std::uint64_t site = first; site < first + groups_[group].sites; ++site) {
      const scheduler::Grid grid = scheduler::grid_of(core::SiteId{site}, groups_[group].interval);
      const auto& asked = world.asked(site);
      for (SteadyTime at = scheduler::grid_point_after(from, grid, anchor); at < to;
           at += grid.interval) {
        without += std::none_of(asked.begin(), asked.end(), [&](const Asked& one) {
          return one.at >= at && one.at < at + 500ms;
        });
      }
    }
    return without;
  }
  // How far the checks from `from` on are off the site's grid at the most.
  [[nodiscard]] Duration off_grid(std::size_t group, SteadyTime from) {
    const scheduler::GridAnchor anchor{.wall = world.clock.wall(), .steady = world.clock.steady()};
    Duration most{};
    const std::uint64_t first = first_of(group);
    for (std::uint64_t site = first; site < first + groups_[group].sites; ++site) {
      const scheduler::Grid grid = scheduler::grid_of(core::SiteId{site}, groups_[group].interval);
      for (const Asked& asked : world.asked(site)) {
        if (asked.at >= from)
          most = std::max(most, scheduler::past_grid_point(asked.at, grid, anchor));
      }
    }
    return most;
  }

 private:
  std::vector<Group> groups_;
  std::uint64_t sites_ = 0;

 public:
  World world;
};

// ---- After a stall ----

// Goal: after two minutes of standing still no second sees more than one and a half times what is required; the fleet is on its
// phases at once; and every site is seen before an interval has passed, most of them well before.
void stall_and_catch_up(const std::vector<Group>& groups, double seen_within_intervals) {
  constexpr Duration kStall = 2min;
  Mixed fleet(
      groups, [](std::string_view, SteadyTime) { return Answer{}; }, 0);
  fleet.world.run_for(11min);
  const std::uint64_t missed_before = fleet.world.lane().scheduler().stats().missed.value();
  fleet.world.stall(kStall);
  const SteadyTime awake = fleet.world.clock.steady();
  fleet.world.run_for(12min);
  const SteadyTime end = fleet.world.clock.steady();
  EXPECT_LE(fleet.most_in_a_second(awake - 3min, end), fleet.required() * 1.5 + 1);
  // A second more, for a loop that stood still admits nothing until it has run for a while.
  const SteadyTime begun = awake + 1s;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    EXPECT_LE(fleet.longest_wait(i, awake),
              seen_within_intervals + 1 / core::to_seconds(groups[i].interval))
        << "group " << i;
    EXPECT_EQ(fleet.grid_points_without_a_check(i, begun, end - 1s), 0U) << "group " << i;
    EXPECT_LT(fleet.off_grid(i, begun + groups[i].interval), 250ms) << "group " << i;
  }
  const scheduler::Stats& stats = fleet.world.lane().scheduler().stats();
  EXPECT_EQ(stats.overloaded.value(), 0);
  EXPECT_EQ(fleet.world.lane().scheduler().left_over(), 0U);
  // Every grid point that nobody was asked at, nor after it instead, is told.
  double points = 0;
  for (const Group& group : groups)
    points += static_cast<double>(group.sites) * core::to_seconds(kStall) /
              core::to_seconds(group.interval);
  const double instead = static_cast<double>(fleet.starts(awake, end).size()) -
                         fleet.required() * core::to_seconds(end - awake);
  EXPECT_NEAR(static_cast<double>(stats.missed.value() - missed_before), points - instead,
              0.03 * points);
  std::cout << "required " << fleet.required() << "/s, most in a second "
            << fleet.most_in_a_second(awake, end) << ", asked instead " << instead << " of "
            << points << "\n";
}

TEST(SimulatedStall, TenSecondsAreBackInStepWithoutABurst) {
  stall_and_catch_up({{1000, 10s}}, 0.85);
}
TEST(SimulatedStall, AMinuteIsBackInStepWithoutABurst) {
  stall_and_catch_up({{5000, 60s}}, 0.85);
}
TEST(SimulatedStall, FiveMinutesAreBackInStepWithoutABurst) {
  stall_and_catch_up({{15'000, 5min}}, 0.85);
}
TEST(SimulatedStall, AMixedFleetIsBackInStepWithoutABurst) {
  stall_and_catch_up({{300, 10s}, {1500, 60s}, {6000, 5min}}, 1);
}

// ---- More load than can be done ----

// Goal: whatever the overload, as many checks are done as can be, and every interval stretches by the
// same factor; when it ends, everybody is on time again after a bounded time, and on the grid in the
// end. Method: checks take so long that only a part of them can be in flight.
void overload(double factor) {
  SCOPED_TRACE(factor);
  const std::vector<Group> groups{{100, 10s}, {600, 60s}, {3000, 5min}};  // 10 a second each.
  Duration takes = 1s;
  const auto capacity = static_cast<std::size_t>(30 / factor);
  Mixed fleet(
      groups,
      [&](std::string_view, SteadyTime) {
        return Answer{core::Cause::Ok, takes};
      },
      capacity);
  fleet.world.run_for(30min);
  const SteadyTime from = fleet.world.clock.steady();
  fleet.world.run_for(50min);
  const SteadyTime to = fleet.world.clock.steady();
  const double done = static_cast<double>(fleet.starts(from, to).size()) / 3000;
  std::cout << "factor " << factor << ": " << done << " of " << 30 / factor << "/s;";
  EXPECT_GE(done, std::min(30.0, static_cast<double>(capacity)) * 0.97);
  const double wanted = std::max(1.0, 30 / static_cast<double>(capacity));
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Mixed::Spread spread = fleet.stretch(i, from, to);
    std::cout << "  " << core::to_seconds(groups[i].interval) << " s x " << spread.least << ".."
              << spread.mean << ".." << spread.most;
    EXPECT_NEAR(spread.mean, wanted, 0.03 * wanted) << "group " << i;
    EXPECT_GE(spread.least, wanted * 0.95) << "group " << i;
    EXPECT_LE(spread.most, wanted * 1.05) << "group " << i;
  }
  const scheduler::Stats& stats = fleet.world.lane().scheduler().stats();
  std::cout << "  told " << stats.stretch[1].value() << "\n";
  EXPECT_NEAR(stats.stretch[1].value(), wanted, 0.05 * wanted);
  // Every interval that went by is a check, or counted as missed.
  const double gone = 30.0 * core::to_seconds(to - core::ManualClock().steady());
  const double all = static_cast<double>(fleet.starts(SteadyTime{}, to).size());
  EXPECT_NEAR(all + static_cast<double>(stats.missed.value()), gone, 0.03 * gone);

  // The load drops: what waits is gone after at most waiting / (0.45 x required).
  takes = 50ms;
  const std::size_t waiting = fleet.world.lane().scheduler().queued();
  const double bound = 2 + static_cast<double>(waiting) / (0.45 * fleet.required());
  fleet.world.run_for(std::chrono::milliseconds{static_cast<std::int64_t>(bound * 1000)});
  EXPECT_LE(fleet.world.lane().scheduler().oldest_queued(fleet.world.clock.steady()), 250ms);
  const SteadyTime on_time = fleet.world.clock.steady();
  std::cout << "  " << waiting << " waited, on time within " << bound << " s\n";
  EXPECT_LE(bound, 305) << "one interval, of the longest";
  fleet.world.run_for(100min);
  // So few may start eight at once.
  EXPECT_LE(fleet.most_in_a_second(to, fleet.world.clock.steady()), 30 * 1.5 + 8);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    // Those who caught up together come together again, until they have walked home: in sixteen steps of a sixteenth at the most.
    EXPECT_LE(fleet.longest_gap(i, on_time), 1.08) << "group " << i;
    EXPECT_LT(fleet.off_grid(i, on_time + 17 * 5min), 600ms) << "group " << i;
  }
  EXPECT_NEAR(stats.stretch[1].value(), 1, 0.02);
}

TEST(SimulatedOverload, HalfTheLoadIsOnTime) {
  overload(0.5);
}
TEST(SimulatedOverload, OneAndAHalfTimesTheLoadStretchesEvenly) {
  overload(1.5);
}
TEST(SimulatedOverload, ThreeTimesTheLoadStretchesEvenly) {
  overload(3);
}

// Goal: at exactly the load that can be done nobody is late for long and nothing is lost.
TEST(SimulatedOverload, ExactlyTheLoadThatCanBeDone) {
  const std::vector<Group> groups{{100, 10s}, {600, 60s}, {3000, 5min}};
  Mixed fleet(
      groups,
      [](std::string_view, SteadyTime) {
        return Answer{core::Cause::Ok, 1s};
      },
      30);
  fleet.world.run_for(20min);
  const SteadyTime from = fleet.world.clock.steady();
  fleet.world.run_for(60min);
  const SteadyTime to = fleet.world.clock.steady();
  EXPECT_NEAR(static_cast<double>(fleet.starts(from, to).size()) / 3600, 30, 0.9);
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const Mixed::Spread spread = fleet.stretch(i, from, to);
    EXPECT_LE(spread.most, 1.06) << "group " << i;
  }
}

// ---- How old what we tell is ----

// Goal: the newest result of a site that answers is never older than its interval and timeout, without
// running ahead of time: what may be late is the timeout less what the answer took. Method: answers
// take 20 ms to 3 s, another time at each check; with plenty of room, and with as much as is needed just so.
TEST(SimulatedAge, IsAtMostIntervalAndTimeoutWithoutRunningAhead) {
  const auto takes = [](std::string_view url, SteadyTime now) {
    const auto at = static_cast<std::uint64_t>(now.time_since_epoch() / 1s);
    const std::uint64_t drawn = core::stable_hash(World::site_of(url) * 1'000'003 + at);
    return Duration{20ms} + std::chrono::milliseconds{static_cast<std::int64_t>(drawn % 2980)};
  };
  const std::vector<Group> groups{{300, 10s}, {1800, 60s}, {9000, 5min}};  // 30 a second each.
  for (const std::size_t room : {std::size_t{0}, std::size_t{143}}) {      // 90 x 1.51 s = 136.
    Mixed fleet(
        groups,
        [&](std::string_view url, SteadyTime now) {
          return Answer{core::Cause::Ok, takes(url, now)};
        },
        room);
    fleet.world.run_for(30min);
    std::vector<double> beyond;  // Age beyond the interval, just before the next result.
    for (std::size_t i = 0; i < groups.size(); ++i) {
      const std::uint64_t first = fleet.first_of(i);
      for (std::uint64_t site = first; site < first + groups[i].sites; ++site) {
        const auto& asked = fleet.world.asked(site);
        const auto end = [&](const Asked& one) {
          return one.at + takes(World::url_of(site), one.at);
        };
        for (std::size_t k = 1; k < asked.size(); ++k)
          beyond.push_back(
              core::to_seconds(end(asked[k]) - end(asked[k - 1]) - groups[i].interval));
      }
    }
    std::sort(beyond.begin(), beyond.end());
    const auto at = [&](double share) {
      return beyond[static_cast<std::size_t>(share * static_cast<double>(beyond.size() - 1))];
    };
    const core::HistogramReading lag = fleet.world.lane().scheduler().stats().lag.read();
    std::cout << (room == 0 ? "room for all" : "just enough room")
              << ": age beyond the interval p50 " << at(0.5) << " s, p99.9 " << at(0.999)
              << " s, most " << beyond.back() << " s; lag p99.9 " << lag.quantile(0.999) << " s\n";
    EXPECT_LE(beyond.back(), 10);
  }
}

// ---- Priorities ----

// Goal: high stays on time while it can, then normal; low stretches, and is not starved.
TEST(SimulatedPriority, HighStaysOnTimeThenNormalAndLowIsNotStarved) {
  const std::vector<Group> groups{
      {720, 60s, Priority::High}, {1440, 60s}, {1440, 60s, Priority::Low}};  // 12, 24, 24 a second.
  for (const std::size_t capacity : {42U, 20U}) {
    SCOPED_TRACE(capacity);
    Mixed fleet(
        groups,
        [](std::string_view, SteadyTime) {
          return Answer{core::Cause::Ok, 1s};
        },
        capacity);
    fleet.world.run_for(30min);
    const SteadyTime from = fleet.world.clock.steady();
    fleet.world.run_for(90min);
    const SteadyTime to = fleet.world.clock.steady();
    const Mixed::Spread high = fleet.stretch(0, from, to);
    const Mixed::Spread normal = fleet.stretch(1, from, to);
    const Mixed::Spread low = fleet.stretch(2, from, to);
    std::cout << capacity << "/s of 60: high " << high.mean << ", normal " << normal.mean
              << ", low " << low.mean << "\n";
    EXPECT_LE(high.most, 1.02);
    const scheduler::Stats& stats = fleet.world.lane().scheduler().stats();
    if (capacity == 42U) {
      EXPECT_LE(normal.most, 1.03);
      EXPECT_NEAR(low.mean, 4.0, 0.2);  // 6 of its 24 a second.
    } else {
      EXPECT_NEAR(normal.mean, 4.0, 0.3);  // 6 of its 24.
      EXPECT_NEAR(low.mean, 12.0, 1.2);    // A tenth of 20.
    }
    for (const Mixed::Spread& spread : {normal, low}) {
      EXPECT_GE(spread.least, spread.mean * 0.93);
      EXPECT_LE(spread.most, spread.mean * 1.07);
    }
    EXPECT_NEAR(stats.stretch[0].value(), high.mean, 0.05);
    EXPECT_NEAR(stats.stretch[2].value(), low.mean, 0.1 * low.mean);
  }
}

// Goal: in a mass outage on a machine that is too small, looking again does not keep the others from
// being looked at, nor the others suspicion. Method: half the fleet fails and is looked at again every
// second, which alone is more than can be done.
TEST(SimulatedPriority, SuspicionComesFirstAndDoesNotStarveRoutine) {
  bool outage = false;
  Mixed fleet(
      {{600, 60s}, {600, 60s}},
      [&](std::string_view url, SteadyTime) {
        const bool fails = outage && World::site_of(url) <= 600;
        // Never confirmed: success and failure by turns keep it under suspicion.
        return Answer{fails ? core::Cause::HttpStatus : core::Cause::Ok, 1s};
      },
      16);
  fleet.world.run_for(5min);
  outage = true;
  const SteadyTime from = fleet.world.clock.steady();
  fleet.world.run_for(10min);
  const SteadyTime to = fleet.world.clock.steady();
  EXPECT_LE(fleet.stretch(1, from + 2min, to).most, 6) << "routine is starved";
  fleet.world.settle();
  std::size_t down = 0;
  for (std::uint64_t site = 1; site <= 600; ++site) {
    for (const auto& event : fleet.world.store.events_of(core::SiteId{site}))
      down += event.row.confirmed_at != core::kNoWallTime ? 1U : 0U;
  }
  EXPECT_EQ(down, 600U);
}

}  // namespace
}  // namespace watchwheel::sim
