// SPDX-License-Identifier: Apache-2.0
// A day of a small fleet in virtual time, with everything that goes wrong in one, against the
// simplest possible judge.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iostream>
#include <map>

#include "core/hash.h"
#include "world.h"

namespace watchwheel::sim {
namespace {

using core::Cause;
using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

std::uint64_t seed_from_env() {
  const char* text = std::getenv("WATCHWHEEL_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261121;
}

// When sites fail, by the seed: a third of them never, the others up to three times, from twenty
// seconds to two hours.
class Outages {
 public:
  Outages(std::uint64_t seed, SteadyTime start) : seed_(seed), start_(start) {}

  [[nodiscard]] bool healthy(std::uint64_t site) const { return draw(site, 0) % 3 == 0; }
  [[nodiscard]] bool fails(std::uint64_t site, SteadyTime now) const {
    if (healthy(site)) return false;
    for (std::uint64_t k = 0; k < 1 + draw(site, 1) % 3; ++k) {
      const SteadyTime from = start_ + std::chrono::seconds{draw(site, 10 + k) % 72'000};
      const Duration length = kLengths[draw(site, 20 + k) % kLengths.size()];
      if (now >= from && now < from + length) return true;
    }
    return false;
  }

 private:
  static constexpr std::array<Duration, 5> kLengths{20s, 90s, 10min, 45min, 2h};
  [[nodiscard]] std::uint64_t draw(std::uint64_t site, std::uint64_t what) const {
    return core::stable_hash(seed_ ^ core::stable_hash(site * 100 + what));
  }
  std::uint64_t seed_;
  SteadyTime start_;
};

struct Counts {
  std::size_t events = 0;
  std::size_t confirmed = 0;
  std::size_t ended = 0;
  friend bool operator==(const Counts&, const Counts&) = default;
  friend std::ostream& operator<<(std::ostream& out, const Counts& c) {
    return out << c.events << " events, " << c.confirmed << " confirmed, " << c.ended << " ended";
  }
};

// What the results of one site come to when each is judged at once, with nothing lost and nothing
// late.
Counts judged_at_once(const std::vector<Cause>& results, const core::ConfirmPolicy& policy) {
  Counts counts;
  std::uint32_t failures = 0;
  for (const Cause cause : results) {
    const core::Outcome outcome = core::outcome_of(cause);
    if (outcome == core::Outcome::NotMeasured) continue;
    if (outcome == core::Outcome::Down) {
      if (++failures == 1) ++counts.events;
      if (failures == policy.failures) ++counts.confirmed;
    } else {
      if (failures > 0) ++counts.ended;
      failures = 0;
    }
  }
  return counts;
}

Counts stored(const World& world, std::uint64_t site) {
  Counts counts;
  for (const testing::FakeEvent& event : world.store.events_of(core::SiteId{site})) {
    ++counts.events;
    counts.confirmed += event.row.confirmed_at != core::kNoWallTime ? 1U : 0U;
    counts.ended += event.ended() ? 1U : 0U;
  }
  return counts;
}

// Every event's transitions are numbered without a gap, begin with its opening, and end as the
// event did.
void expect_whole(const testing::FakeEvent& event) {
  ASSERT_FALSE(event.row.transitions.empty());
  EXPECT_EQ(event.row.transitions.front().reason, core::TransitionReason::Opened);
  std::uint32_t seq = 0;
  for (const sideeffects::TransitionRecord& transition : event.row.transitions)
    EXPECT_EQ(transition.seq, ++seq);
  EXPECT_EQ(event.row.transitions_total, seq);
  if (event.ended()) {
    EXPECT_EQ(event.row.transitions.back().after, core::SiteState::Up);
  }
}

Duration longest_gap(const std::vector<Asked>& asked) {
  Duration longest{};
  for (std::size_t i = 1; i < asked.size(); ++i)
    longest = std::max(longest, asked[i].at - asked[i - 1].at);
  return longest;
}

// Goal: over a day with outages, a dead resolver, a store that is away, a wall clock set forth and
// back, a stall and a killed process, the store ends with exactly the events that judging every
// result at once gives, and no site waits longer than its interval but where the process stood
// still. Method: 400 sites at 60 s in virtual time, faults from a printed seed.
TEST(SimulatedDay, EndsWithTheEventsThatItsResultsEarned) {
  const std::uint64_t seed = seed_from_env();
  RecordProperty("seed", std::to_string(seed));
  std::cout << "WATCHWHEEL_SEED=" << seed << "\n";
  constexpr std::uint32_t kSites = 400;
  const SteadyTime start = core::ManualClock().steady();
  const Outages outages(seed, start);
  bool resolver_gone = false;
  World world({.sites = kSites, .interval = 60s, .confirm = {}, .in_flight_max = 0},
              [&](std::string_view url, SteadyTime now) {
                if (resolver_gone) return Answer{Cause::ResolverUnreachable, 4s};
                return outages.fails(World::site_of(url), now) ? Answer{Cause::HttpStatus, 80ms}
                                                               : Answer{Cause::Ok, 120ms};
              });

  world.run_for(6h);
  resolver_gone = true;
  world.run_for(10min);
  resolver_gone = false;
  world.run_for(110min);
  world.store.set_away(true);
  world.run_for(20min);
  world.store.set_away(false);
  world.run_for(100min);
  world.clock.step_wall(1h);
  world.run_for(2h);
  world.clock.step_wall(-1h);
  world.run_for(2h);
  std::map<std::uint64_t, Duration> gaps;
  for (std::uint64_t site = 1; site <= kSites; ++site) gaps[site] = longest_gap(world.asked(site));
  world.stall(150s);
  world.run_for(2h);
  world.kill_and_restart();
  world.run_for(8h);
  world.settle();

  std::size_t asks = 0;
  Counts all;
  for (std::uint64_t site = 1; site <= kSites; ++site) {
    const Counts earned = judged_at_once(world.results(site), world.settings().confirm);
    EXPECT_EQ(stored(world, site), earned) << "site " << site;
    if (outages.healthy(site)) {
      EXPECT_EQ(earned.events, 0U);
    }
    EXPECT_LE(gaps[site], 62s) << "site " << site;
    for (const auto& event : world.store.events_of(core::SiteId{site})) expect_whole(event);
    asks += world.asked(site).size();
    all.events += earned.events;
    all.confirmed += earned.confirmed;
    all.ended += earned.ended;
  }
  EXPECT_GT(all.confirmed, kSites / 2);
  EXPECT_GT(all.events, all.confirmed) << "some outages are too short to be confirmed";
  EXPECT_EQ(all.ended, all.events) << "the last hours are quiet";
  // 1,440 checks a site, quick re-checks and the coming back to the grid after two steps of the
  // clock on top.
  EXPECT_LT(static_cast<double>(asks) / (kSites * 1440.0), 1.03);
  EXPECT_GT(static_cast<double>(asks) / (kSites * 1440.0), 0.99);
  EXPECT_TRUE(world.sink.always_sorted());
  EXPECT_EQ(world.sink.marks().size(), kSites);
  std::size_t answered = 0;
  for (const auto& page : world.gatherer.take(world.clock.wall(), kSites, true))
    answered += page.sites.size();
  EXPECT_GE(answered, kSites) << "of each it was told how fast it was";
}

// Goal: after two and a half intervals of standing still each late check runs once and keeps its
// phase.
TEST(SimulatedStall, LateChecksRunOnceAndKeepTheirPhase) {
  World world({.sites = 50, .interval = 60s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) { return Answer{}; });
  world.run_for(5min);
  world.stall(150s);
  const SteadyTime awake = world.clock.steady();
  world.run_for(5min);
  for (std::uint64_t site = 1; site <= 50; ++site) {
    const auto& asked = world.asked(site);
    const auto first_after =
        std::find_if(asked.begin(), asked.end(), [&](const Asked& a) { return a.at >= awake; });
    ASSERT_NE(first_after, asked.end());
    ASSERT_NE(first_after, asked.begin());
    const Duration phase_before = (asked[2].at - asked[0].at) / 2;
    EXPECT_NEAR(core::to_seconds(phase_before), 60.0, 1.5);
    // From the second one after the stall on, it is back on the grid it had before.
    const Duration off = ((first_after + 1)->at - asked[1].at) % Duration{60s};
    const double seconds = core::to_seconds(off);
    EXPECT_LT(std::min(seconds, 60 - seconds), 1.5) << "site " << site;
    EXPECT_LE((first_after + 1)->at - first_after->at, 61s) << "site " << site;
  }
  // One missed each, and a second one where the stall began within half an interval of the due time.
  EXPECT_GE(world.lane().scheduler().stats().missed.value(), 50U);
  EXPECT_LE(world.lane().scheduler().stats().missed.value(), 100U);
}

// Goal: our own trouble never opens an event, and turns sites unknown once their last result is too
// old.
TEST(SimulatedVantage, NotMeasuredOpensNothingAndSitesTurnUnknown) {
  bool broken = false;
  World world({.sites = 100, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [&](std::string_view, SteadyTime) {
                return broken ? Answer{Cause::LocalNetwork, 10ms} : Answer{};
              });
  world.run_for(2min);
  const auto count = [&](core::SiteState state) {
    return world.lane().stats().sites[static_cast<std::size_t>(state)].value();
  };
  EXPECT_EQ(count(core::SiteState::Up), 100);
  broken = true;
  world.run_for(2min);
  EXPECT_EQ(count(core::SiteState::Unknown), 100);
  EXPECT_EQ(count(core::SiteState::Up), 0);
  EXPECT_TRUE(world.store.events().empty());
  world.settle();
  for (const auto& [site, mark] : world.sink.marks()) EXPECT_FALSE(mark.measured) << site.value;
  broken = false;
  world.run_for(1min);
  world.settle();
  EXPECT_EQ(count(core::SiteState::Up), 100);
  for (const auto& [site, mark] : world.sink.marks()) EXPECT_TRUE(mark.measured) << site.value;
}

// Goal: a timeout seen by a loop that stood still is ours; the same timeout seen by a loop that ran
// is the site's.
TEST(SimulatedOverload, TimeoutsSeenByAStalledLoopAreOurs) {
  World world({.sites = 20, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) {
                return Answer{Cause::HttpTimeout, 10s};
              });
  world.run_for(1s);
  while (world.prober().in_flight() == 0) world.run_for(100ms);
  world.stall(15s);
  const std::uint64_t before = world.lane().stats().overload_discounted.value();
  world.run_for(100ms);
  EXPECT_GT(world.lane().stats().overload_discounted.value(), before);
  EXPECT_TRUE(world.store.events().empty());
  world.run_for(3min);
  EXPECT_EQ(world.store.events().size(), 20U);
}

// Goal: a lane that is always somewhat late, for good, still tells of an outage.
TEST(SimulatedOverload, ALoopThatIsAlwaysSomewhatLateHidesNoOutage) {
  World world({.sites = 20, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) {
                return Answer{Cause::HttpTimeout, 10s};
              });
  for (int i = 0; i < 300; ++i) {
    world.run_for(1s);
    world.stall(300ms);
  }
  EXPECT_GE(world.lane().stats().overload_discounted.value(), 40U);
  EXPECT_EQ(world.store.events().size(), 20U);
}

// Goal: nor does it put the telling off by an interval for each timeout that it takes on itself: the site is asked again soon.
TEST(SimulatedOverload, WhatLatenessMayExplainIsAskedAgainSoon) {
  World world({.sites = 20, .interval = 5min, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) {
                return Answer{Cause::HttpTimeout, 10s};
              });
  // An interval of 231 such steps, and two timeouts taken on ourselves, then the first that is the site's: some 22 s each.
  for (int i = 0; i < 231 + 60; ++i) {
    world.run_for(1s);
    world.stall(300ms);
  }
  EXPECT_GE(world.lane().stats().overload_discounted.value(), 40U);
  EXPECT_EQ(world.store.events().size(), 20U);
}

// Goal: a failing streak survives a killed process: three failures in all confirm, not three after
// the restart.
TEST(SimulatedRestart, StreakGoesOnAfterAKill) {
  World world({.sites = 1, .interval = 60s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) {
                return Answer{Cause::ConnectRefused, 5ms};
              });
  while (world.results(1).size() < 2) world.run_for(1s);
  world.settle();
  ASSERT_EQ(world.store.events().size(), 1U);
  const core::WallTime began = world.store.events().front().row.started_at;
  EXPECT_EQ(world.store.events().front().row.confirmed_at, core::kNoWallTime);
  world.kill_and_restart();
  while (world.results(1).size() < 3) world.run_for(1s);
  world.settle();
  ASSERT_EQ(world.store.events().size(), 1U);
  EXPECT_EQ(world.store.events().front().row.started_at, began);
  EXPECT_NE(world.store.events().front().row.confirmed_at, core::kNoWallTime);
}

// Goal: a process that starts blind (no resolver) does not keep telling what was known before it: sites turn unknown, in the
// store too. They stayed `up` there for good, because a check that was not measured moved the due time that counted.
TEST(SimulatedRestart, BlindAfterARestartSitesTurnUnknown) {
  bool blind = false;
  World world({.sites = 50, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [&](std::string_view, SteadyTime) {
                return blind ? Answer{Cause::ResolverUnreachable, 3s} : Answer{};
              });
  world.run_for(3min);
  world.settle();
  blind = true;
  world.kill_and_restart();
  world.run_for(2min);
  world.settle();
  EXPECT_EQ(world.lane().stats().stale.value(), 50);
  const auto marks = world.sink.marks();
  ASSERT_EQ(marks.size(), 50U);
  for (const auto& [site, mark] : marks) {
    EXPECT_FALSE(mark.measured) << site.value;
    EXPECT_NE(mark.checked_at, core::kNoWallTime) << "when it was last seen is still known";
  }
}

// Goal: a recovery that the store refused for a while is recorded once it takes it, though the healthy site has no more news.
TEST(SimulatedStore, ARecoveryThatWasSetAsideComesAgain) {
  bool failing = true;
  World world({.sites = 1, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [&](std::string_view, SteadyTime) {
                return failing ? Answer{Cause::HttpStatus, 5ms} : Answer{};
              });
  world.run_for(2min);
  world.settle();
  ASSERT_EQ(world.store.events().size(), 1U);
  world.store.set_poison(core::SiteId{1}, true);
  failing = false;
  world.run_for(2min);
  EXPECT_FALSE(world.store.events().front().ended());
  world.store.set_poison(core::SiteId{1}, false);
  world.run_for(3min);
  EXPECT_TRUE(world.store.events().front().ended());
}

// The first failure of site 1, as another lane posts it.
core::SiteFacts failure_seen_by_another_lane(const World& world) {
  core::SiteFacts other;
  other.site = core::SiteId{1};
  other.lane = 7;
  other.seq = 5000;
  other.at = world.clock.wall();
  core::Outage outage;
  outage.started_at = core::from_unix_ms(core::to_unix_ms(world.clock.wall()));
  outage.last_failed_at = outage.started_at;
  outage.failures = 1;
  outage.evidence.cause = Cause::HttpStatus;
  outage.opened_by = outage.evidence;
  other.outages.push_back(outage);
  return other;
}

// Goal: a site that comes to a lane while its event is being committed for the lane before has that event ended when it is up.
TEST(SimulatedMove, AnEventCommittedAfterTheMoveIsFound) {
  World world({.sites = 1, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) { return Answer{}; });
  world.run_for(2min);
  // What the shard commits now for the other lane: its note tells this one of an event it does not know.
  world.post(failure_seen_by_another_lane(world));
  world.run_for(2min);
  world.settle();
  ASSERT_EQ(world.store.events().size(), 1U);
  EXPECT_TRUE(world.store.events().front().ended());
}

// Goal: and one that comes paused has it ended at once, for nothing will be seen of it here.
TEST(SimulatedMove, AnEventCommittedAfterAMoveWithAPauseIsEnded) {
  World world({.sites = 1, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) { return Answer{}; });
  world.put(1, 30s, false);
  world.run_for(2min);
  world.post(failure_seen_by_another_lane(world));
  world.run_for(1s);
  world.settle();
  ASSERT_EQ(world.store.events().size(), 1U);
  EXPECT_TRUE(world.store.events().front().ended());
  EXPECT_EQ(world.store.events_of(core::SiteId{1}).at(0).row.transitions.back().reason,
            core::TransitionReason::Operator);
  EXPECT_FALSE(world.lane().attention().contains(core::SiteId{1})) << "nothing is left of it";
}

// Goal: a site that is removed or paused while it is down has its event closed, with the reason;
// nothing else is asked of it.
TEST(SimulatedEdits, RemovedAndPausedSitesEndTheirEvents) {
  World world({.sites = 3, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, SteadyTime) {
                return Answer{Cause::HttpStatus, 5ms};
              });
  world.run_for(3min);
  world.remove(1);
  world.put(2, 30s, false);
  world.run_for(1min);
  const std::size_t asked_1 = world.asked(1).size();
  const std::size_t asked_2 = world.asked(2).size();
  world.run_for(3min);
  EXPECT_EQ(world.asked(1).size(), asked_1);
  EXPECT_EQ(world.asked(2).size(), asked_2);
  const auto last_reason = [&](std::uint64_t site) {
    return world.store.events_of(core::SiteId{site}).at(0).row.transitions.back().reason;
  };
  EXPECT_EQ(last_reason(1), core::TransitionReason::SiteRemoved);
  EXPECT_EQ(last_reason(2), core::TransitionReason::Operator);
  EXPECT_EQ(last_reason(3), core::TransitionReason::Confirmed);
  world.put(2, 30s, true);
  world.run_for(3min);
  EXPECT_GT(world.asked(2).size(), asked_2) << "resumed";
  EXPECT_EQ(world.store.events_of(core::SiteId{2}).size(), 2U)
      << "a new event, for the old one is over";
}

// Goal: what is told of a site whose URL was edited is about the new URL: its first result is projected as that of a new site is,
// until then nothing of it is counted up, and one that is never seen turns unknown without the time of the old one's check.
TEST(SimulatedEdits, AnotherUrlIsMeasuredAnew) {
  World world({.sites = 2, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view url, SteadyTime) {
                if (url.ends_with("unseen")) return Answer{Cause::LocalResources, 5ms};
                return Answer{};
              });
  world.run_for(3min);
  const core::WallTime edited_at = world.clock.wall();
  world.put(1, 30s, true, core::Priority::Normal, "moved");
  world.put(2, 30s, true, core::Priority::Normal, "unseen");
  world.run_for(20ms);
  EXPECT_EQ(world.lane().sites().row(world.lane().sites().find(core::SiteId{1})).checked,
            core::kNoSteadyTime);
  world.run_for(2min);
  world.settle();
  const auto marks = world.sink.marks();
  EXPECT_TRUE(marks.at(core::SiteId{1}).measured);
  EXPECT_GT(marks.at(core::SiteId{1}).checked_at, edited_at);
  EXPECT_FALSE(marks.at(core::SiteId{2}).measured);
  EXPECT_EQ(marks.at(core::SiteId{2}).checked_at, core::kNoWallTime);
}

// Goal: a mark of the former URL that reaches the store after the edit is not what people are told of the new one. Method: it is
// written behind the edit's back, as the projector does that had it in hand; the new URL cannot be measured.
TEST(SimulatedEdits, ALateMarkOfTheFormerUrlDoesNotStay) {
  World world({.sites = 1, .interval = 30s, .confirm = {}, .in_flight_max = 0},
              [](std::string_view url, SteadyTime) {
                return Answer{url.ends_with("unseen") ? Cause::LocalResources : Cause::Ok, 5ms};
              });
  world.run_for(3min);
  const auto late = world.sink.marks().at(core::SiteId{1});
  ASSERT_TRUE(late.measured);
  world.put(1, 30s, true, core::Priority::Normal, "unseen");
  ASSERT_TRUE(world.sink.write(std::vector{late}));
  world.run_for(2s);
  world.settle();
  const auto mark = world.sink.marks().at(core::SiteId{1});
  EXPECT_FALSE(mark.measured);
  EXPECT_EQ(mark.checked_at, core::kNoWallTime);
  EXPECT_EQ(mark.cause, Cause::Ok);
  EXPECT_EQ(mark.http_status, 0);
}

// Goal: when the machine affords less than the fleet wants, checks wait their turn, oldest first,
// and none is lost.
TEST(SimulatedAdmission, FullPoolDelaysButLosesNothing) {
  World world({.sites = 200, .interval = 10s, .confirm = {}, .in_flight_max = 10},
              [](std::string_view, SteadyTime) {
                return Answer{Cause::Ok, 1s};
              });  // 20/s wanted, 10/s possible.
  world.run_for(10min);
  EXPECT_LE(world.prober().most_in_flight(), 10U);
  std::size_t least = SIZE_MAX;
  std::size_t most = 0;
  for (std::uint64_t site = 1; site <= 200; ++site) {
    least = std::min(least, world.asked(site).size());
    most = std::max(most, world.asked(site).size());
  }
  EXPECT_GE(least, 28U) << "600 s at half the rate is about 30 checks each";
  EXPECT_LE(most - least, 4U) << "the intervals stretch evenly";
  EXPECT_GT(world.lane().scheduler().stats().missed.value(), 0U);
}

}  // namespace
}  // namespace watchwheel::sim
