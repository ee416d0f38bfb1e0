// SPDX-License-Identifier: Apache-2.0
// Our fault or theirs, with the real lane, judge of the vantage and shard, in virtual time.
#include <gtest/gtest.h>

#include <set>

#include "world.h"

namespace watchwheel::sim {
namespace {

using core::Cause;
using core::Duration;
using core::SteadyTime;
using core::TransitionReason;
using core::VantageState;
using namespace std::chrono_literals;

constexpr double kShare = 0.25;

WorldSettings fleet(std::uint32_t sites, Duration interval, std::size_t canaries) {
  WorldSettings settings;
  settings.sites = sites;
  settings.interval = interval;
  settings.canaries = canaries;
  settings.failure_share = kShare;
  return settings;
}

// Each site on a network of its own, or, where a test says so, in one block.
std::string address_of(std::uint64_t site) {
  return "198." + std::to_string(site / 250 % 250) + "." + std::to_string(site % 250) + ".7";
}

// What the whole network does, and what some of the sites do.
struct Sky {
  bool cut = false;  // Nothing gets through: neither sites nor canaries.
  Cause cut_cause = Cause::ConnectTimeout;
  Duration cut_after = 5s;
  bool canaries_dead = false;
  std::uint64_t failing_up_to = 0;  // Sites 1 to it time out by themselves.
  std::uint64_t one_block_up_to = 0;

  Network network() {
    return [this](std::string_view url, SteadyTime) {
      const std::uint64_t site = World::site_of(url);
      Answer answer{Cause::Ok, 50ms, site == 0 ? "192.0.2.1" : address_of(site)};
      if (site != 0 && site <= one_block_up_to) answer.address = "203.0.113.9";
      if (cut) {
        answer.cause = cut_cause;
        answer.after = cut_after;
      } else if (site == 0 && canaries_dead) {
        answer.cause = Cause::ConnectTimeout;
        answer.after = 3s;
      } else if (site != 0 && site <= failing_up_to) {
        answer.cause = Cause::HttpTimeout;
        answer.after = 10s;
      }
      return answer;
    };
  }
};

struct Told {
  std::size_t opened = 0, down = 0, open = 0, grouped = 0;
  core::WallTime last_confirmed = core::kNoWallTime;
  std::set<core::WallTime> groups;
};

Told told(const World& world) {
  Told told;
  for (const testing::FakeEvent& event : world.store.events()) {
    ++told.opened;
    if (event.row.confirmed_at != core::kNoWallTime) {
      ++told.down;
      told.last_confirmed = std::max(told.last_confirmed, event.row.confirmed_at);
    }
    if (!event.ended()) ++told.open;
    if (event.row.group != core::kNoWallTime) {
      ++told.grouped;
      told.groups.insert(event.row.group);
    }
  }
  return told;
}

// Goal: 30 % of a fleet begin to time out at once while the canaries are well: all of them are told down within interval + 60 s, as
// one outage, and no other.
TEST(SimulatedVantage, ARealMassOutageIsToldWhollyAndAsOne) {
  Sky sky;
  World world(fleet(4000, 300s, 3), sky.network());
  world.run_for(11min);
  sky.failing_up_to = 1200;
  const core::WallTime began = world.clock.wall();
  world.run_for(300s + 60s);
  world.settle();
  const Told all = told(world);
  EXPECT_EQ(all.opened, 1200U);
  EXPECT_EQ(all.down, 1200U);
  EXPECT_LE(all.last_confirmed - began, 360s);
  EXPECT_EQ(all.groups.size(), 1U);
  // With 30 % where 25 % are many, some are confirmed before it is seen.
  EXPECT_GE(all.grouped, 1150U);
  EXPECT_TRUE(world.faults().empty());
  world.run_for(10min);
  EXPECT_EQ(world.vantage().reading().state, VantageState::Healthy) << "nothing new fails any more";
  sky.failing_up_to = 0;
  world.run_for(6min);
  world.settle();
  EXPECT_EQ(told(world).open, 0U);
}

// Goal: a restart in the middle of a mass outage does not make two of it; one that begins long after an older one, of which a few
// sites are still down, is another.
TEST(SimulatedVantage, AMassOutageGoesOnThroughARestart) {
  Sky sky;
  World world(fleet(4000, 300s, 3), sky.network());
  world.run_for(11min);
  sky.failing_up_to = 1600;
  for (int i = 0; i < 24 && told(world).groups.empty(); ++i) world.run_for(10s);
  world.settle();
  const Told before = told(world);
  ASSERT_EQ(before.groups.size(), 1U);
  world.kill_and_restart();
  world.run_for(300s + 60s);
  world.settle();
  const Told all = told(world);
  EXPECT_EQ(all.down, 1600U);
  EXPECT_EQ(all.groups, before.groups);
  EXPECT_GT(all.grouped, before.grouped + 100);

  sky.failing_up_to = 20;
  world.run_for(20min);
  world.kill_and_restart();
  world.run_for(2min);
  sky.failing_up_to = 1600;
  world.run_for(300s + 60s);
  world.settle();
  EXPECT_EQ(told(world).groups.size(), 2U);
}

// Goal: when our own network is cut nobody is called down and hardly an event is opened, however few failures confirm; the fault
// is told once, ends when the network is back, and all sites are asked again soon.
TEST(SimulatedVantage, OurOwnCutNetworkIsNobodysOutage) {
  struct Case {
    Cause cause;
    Duration after;
    std::uint32_t confirm;
  };
  for (const Case& c : {Case{Cause::ConnectUnreachable, 1ms, 1}, Case{Cause::ConnectTimeout, 5s, 1},
                        Case{Cause::DnsServfail, 20ms, 3}, Case{Cause::HttpTimeout, 10s, 2}}) {
    SCOPED_TRACE(core::to_string(c.cause));
    Sky sky;
    WorldSettings settings = fleet(3000, 60s, 3);
    settings.confirm.failures = c.confirm;
    World world(settings, sky.network());
    world.run_for(3min);
    sky.cut_cause = c.cause;
    sky.cut_after = c.after;
    sky.cut = true;
    world.run_for(15min);
    world.settle();
    EXPECT_EQ(told(world).down, 0U);
    EXPECT_EQ(told(world).opened, 0U);
    ASSERT_EQ(world.faults().size(), 1U);
    EXPECT_EQ(world.faults()[0].ended_at, core::kNoWallTime);
    EXPECT_GT(world.faults()[0].withheld, 3000U);
    EXPECT_EQ(
        world.lane().stats().sites[static_cast<std::size_t>(core::SiteState::Unknown)].value(),
        3000);
    sky.cut = false;
    world.run_for(75s);
    world.settle();
    EXPECT_NE(world.faults().at(0).ended_at, core::kNoWallTime);
    EXPECT_EQ(world.faults().size(), 1U);
    EXPECT_EQ(told(world).opened, 0U);
    world.run_for(3s);
    EXPECT_EQ(world.lane().stats().sites[static_cast<std::size_t>(core::SiteState::Up)].value(),
              3000);
    EXPECT_EQ(world.lane().vantage_tally().withheld_sites.value(), 0);
  }
}

TEST(SimulatedVantage, DeadResolversAreAFaultOfTheirOwn) {
  Sky sky;
  World world(fleet(3000, 60s, 3), sky.network());
  world.run_for(3min);
  sky.cut_cause = Cause::ResolverUnreachable;
  sky.cut_after = 3s;
  sky.cut = true;
  world.run_for(10min);
  world.settle();
  EXPECT_EQ(told(world).opened, 0U);
  ASSERT_EQ(world.faults().size(), 1U);
  EXPECT_EQ(world.faults()[0].reason, "resolver");
  sky.cut = false;
  world.run_for(2min);
  EXPECT_NE(world.faults()[0].ended_at, core::kNoWallTime);
}

// Goal: without canaries so many at once are held, visibly; canaries set by a reload settle it, and then they are told.
TEST(SimulatedVantage, WithoutCanariesItIsHeldUntilSomebodyCanSettleIt) {
  Sky sky;
  WorldSettings settings = fleet(2000, 60s, 0);
  World world(settings, sky.network());
  world.run_for(3min);
  sky.failing_up_to = 1000;
  world.run_for(10min);
  world.settle();
  EXPECT_EQ(told(world).down, 0U);
  ASSERT_EQ(world.faults().size(), 1U);
  EXPECT_EQ(world.faults()[0].reason, "correlated");
  EXPECT_NE(world.faults()[0].detail.find("no canaries"), std::string::npos);
  world.set_vantage(3, kShare);
  world.run_for(3min);
  world.settle();
  EXPECT_NE(world.faults()[0].ended_at, core::kNoWallTime);
  EXPECT_EQ(told(world).down, 1000U);
}

// Goal: one hosting provider's block with 40 % of the fleet is the provider's, with and without canaries.
TEST(SimulatedVantage, OneNetworkThatFailsIsTold) {
  for (const std::size_t canaries : {std::size_t{0}, std::size_t{3}}) {
    Sky sky;
    sky.one_block_up_to = 800;
    World world(fleet(2000, 60s, canaries), sky.network());
    world.run_for(3min);
    sky.failing_up_to = 800;
    world.run_for(60s + 60s);
    world.settle();
    EXPECT_EQ(told(world).down, 800U);
    EXPECT_TRUE(world.faults().empty());
  }
}

// Goal: a handful of sites is told of what fails, with canaries and without; with dead canaries not even the first is.
TEST(SimulatedVantage, ASmallFleetIsToldAndBelievesItsCanaries) {
  for (const std::size_t canaries : {std::size_t{0}, std::size_t{3}}) {
    Sky sky;
    World world(fleet(5, 60s, canaries), sky.network());
    world.run_for(3min);
    sky.failing_up_to = 2;
    world.run_for(60s + 60s);
    world.settle();
    EXPECT_EQ(told(world).down, 2U) << canaries;
    EXPECT_TRUE(world.faults().empty());
  }
  Sky sky;
  WorldSettings settings = fleet(5, 60s, 3);
  settings.confirm.failures = 1;
  World world(settings, sky.network());
  world.run_for(3min);
  sky.cut = true;
  sky.cut_cause = Cause::ConnectUnreachable;
  sky.cut_after = 1ms;
  world.run_for(10min);
  world.settle();
  EXPECT_EQ(told(world).opened, 0U);
  EXPECT_EQ(world.faults().size(), 1U);
}

// Goal: canaries that are dead by themselves do not silence a fleet that does well.
TEST(SimulatedVantage, DeadCanariesDoNotBlindAWellFleet) {
  Sky sky;
  World world(fleet(2000, 60s, 3), sky.network());
  world.run_for(3min);
  sky.canaries_dead = true;
  world.run_for(2min);
  sky.failing_up_to = 20;
  world.run_for(60s + 60s);
  world.settle();
  EXPECT_EQ(told(world).down, 20U);
  EXPECT_TRUE(world.faults().empty());
}

// Goal: a network that comes and goes is no outage of anybody, and its faults are told one after the other, each with its end.
TEST(SimulatedVantage, AFlappingNetworkCallsNobodyDown) {
  Sky sky;
  WorldSettings settings = fleet(2000, 60s, 3);
  settings.confirm.failures = 2;
  World world(settings, sky.network());
  world.run_for(3min);
  for (const Duration length : {3s, 20s, 45s, 7s, 90s, 30s}) {
    sky.cut = true;
    world.run_for(length);
    sky.cut = false;
    world.run_for(length + 10s);
  }
  world.run_for(3min);
  world.settle();
  EXPECT_EQ(told(world).down, 0U);
  EXPECT_EQ(told(world).open, 0U);
  EXPECT_GE(world.faults().size(), 1U);
  EXPECT_LE(world.faults().size(), 6U);
  for (const auto& fault : world.faults()) EXPECT_NE(fault.ended_at, core::kNoWallTime);
}

// Goal: what was down before a fault stays down, and ends only by a success; what is edited or removed while its failure waits is
// not told of.
TEST(SimulatedVantage, AnOpenEventOutlivesAFaultAndEditsWin) {
  Sky sky;
  World world(fleet(2000, 60s, 3), sky.network());
  sky.failing_up_to = 3;
  world.run_for(5min);
  world.settle();
  ASSERT_EQ(told(world).down, 3U);
  sky.cut = true;
  world.run_for(5min);
  world.remove(1);
  world.put(2, 60s, false);
  world.run_for(1s);
  world.settle();
  EXPECT_EQ(told(world).opened, 3U);
  EXPECT_EQ(world.store.events_of(core::SiteId{1}).at(0).row.transitions.back().reason,
            TransitionReason::SiteRemoved);
  EXPECT_FALSE(world.store.events_of(core::SiteId{3}).at(0).ended());
  sky.cut = false;
  sky.failing_up_to = 0;
  world.run_for(3min);
  world.settle();
  EXPECT_EQ(world.store.events_of(core::SiteId{3}).at(0).row.transitions.back().reason,
            TransitionReason::Recovered);
}

// Goal: a process killed in the middle of a fault starts blind and still calls nobody down.
TEST(SimulatedVantage, AKillInAFaultCallsNobodyDown) {
  Sky sky;
  World world(fleet(2000, 60s, 3), sky.network());
  world.run_for(3min);
  world.settle();
  sky.cut = true;
  sky.cut_cause = Cause::ConnectUnreachable;
  sky.cut_after = 1ms;
  world.run_for(2min);
  world.kill_and_restart();
  world.run_for(5min);
  world.settle();
  EXPECT_EQ(told(world).opened, 0U);
}

}  // namespace
}  // namespace watchwheel::sim
