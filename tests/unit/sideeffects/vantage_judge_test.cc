// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/vantage_judge.h"

#include <gtest/gtest.h>

namespace watchwheel::sideeffects {
namespace {

using core::Duration;
using core::SteadyTime;
using core::VantageReason;
using core::VantageState;
using namespace std::chrono_literals;

constexpr Duration kTick = 250ms;

// A fleet seen by the judge: looks a second from so many networks, a share of them failing, and canaries that answer at once.
struct Scene {
  explicit Scene(bool has_canaries, double failure_share = 0.25)
      : judge({.failure_share = failure_share, .has_canaries = has_canaries}, SteadyTime{1h}) {}

  // What goes on: rates are of the whole fleet.
  std::uint32_t networks = 100;
  double rate = 100;
  double failing_share = 0;            // Of the networks: the first ones.
  std::uint32_t failing_networks = 0;  // Or so many of them.
  bool first_looks = false;
  double ours_share = 0;
  std::size_t ours = 0;
  std::uint64_t held = 0;
  bool canaries_pass = true;
  std::uint32_t canaries = 3;

  VantageJudge judge;
  SteadyTime now{1h};
  SteadyTime last_round = core::kNoSteadyTime;
  std::uint32_t rounds = 0;
  double owed = 0;
  std::uint64_t looks_made = 0;

  void step() {
    now += kTick;
    VantageLooks looks;
    looks.held = held;
    owed += rate * core::to_seconds(kTick);
    for (; owed >= 1; owed -= 1) look(looks);
    judge.tick(looks, now);
    const auto round = judge.next_round(last_round);
    if (!round || *round > now) return;
    last_round = now;
    ++rounds;
    judge.on_round({.began = now, .asked = canaries, .failed = canaries_pass ? 0 : canaries});
  }
  void look(VantageLooks& looks) {
    const std::uint64_t n = looks_made++;
    ++looks.results;
    const auto mixed = static_cast<double>((n * 7919) % 1000) / 1000;
    if (mixed < ours_share) {
      ++looks.ours[ours];
      return;
    }
    const auto network = static_cast<std::uint32_t>(n * 37 % networks);
    auto& cell = looks.cells[network];
    const bool fails = network < failing_networks || network < failing_share * networks;
    if (!fails)
      ++cell.up;
    else if (first_looks)
      ++cell.failed_first;
    else
      ++cell.failed;
  }
  void run(Duration how_long) {
    for (Duration passed{}; passed < how_long; passed += kTick) step();
  }
  // How long until it is so; a minute: never.
  Duration until(VantageState wanted) {
    for (Duration passed{}; passed < 60s; passed += kTick) {
      if (judge.state() == wanted) return passed;
      step();
    }
    return 60s;
  }
};

// Goal: with canaries that pass, networks that fail together are a mass outage within two seconds, and are over when no new
// ones come.
TEST(VantageJudge, WithPassingCanariesAMassFailureIsRealWithinSeconds) {
  Scene scene(true);
  scene.run(60s);
  EXPECT_EQ(scene.judge.state(), VantageState::Healthy);
  scene.failing_share = 0.3;
  EXPECT_LE(scene.until(VantageState::MassOutage), 8s);
  EXPECT_EQ(scene.judge.cleared(), scene.now) << "what was held is told";
  scene.run(120s);
  EXPECT_EQ(scene.judge.state(), VantageState::MassOutage) << "while new ones come";
  scene.failing_share = 0;
  scene.run(150s);
  EXPECT_EQ(scene.judge.state(), VantageState::Healthy);
}

TEST(VantageJudge, AWholeNetworkThatFailsIsDoubtedAtOnce) {
  Scene scene(true);
  scene.rate = 2000;
  scene.run(30s);
  scene.failing_share = 1;
  scene.canaries_pass = false;
  EXPECT_LE(scene.until(VantageState::Doubt), 500ms);
  const SteadyTime cleared = scene.judge.cleared();
  EXPECT_LE(scene.until(VantageState::Fault), 3s);
  EXPECT_EQ(scene.judge.reason(), VantageReason::Canaries);
  EXPECT_EQ(scene.judge.cleared(), cleared) << "nothing was cleared meanwhile";
  scene.run(10min);
  EXPECT_EQ(scene.judge.state(), VantageState::Fault);
  scene.failing_share = 0;
  scene.canaries_pass = true;
  const Duration back = scene.until(VantageState::Healthy);
  EXPECT_GE(back, 10s);
  EXPECT_LE(back, 15s);
  EXPECT_EQ(scene.judge.blind_until(), scene.judge.since());
}

// Goal: what failed just before the others did is not cleared: a failure needs a whole span that was well after it.
TEST(VantageJudge, ClearsAFailureOnlyByWhatCameAfterIt) {
  Scene scene(false);
  scene.rate = 2000;
  scene.run(30s);
  EXPECT_EQ(scene.judge.state(), VantageState::Healthy);
  EXPECT_LE(scene.now - scene.judge.cleared(), 2 * kTick);
  EXPECT_GE(scene.now - scene.judge.cleared(), kTick);
}

TEST(VantageJudge, WithoutCanariesItIsHeldWhileItLasts) {
  Scene scene(false);
  scene.run(30s);
  scene.failing_share = 0.5;
  EXPECT_LE(scene.until(VantageState::Doubt), 8s);
  EXPECT_LE(scene.until(VantageState::Fault), 4s);
  EXPECT_EQ(scene.judge.reason(), VantageReason::Correlated);
  scene.run(5min);
  EXPECT_EQ(scene.judge.state(), VantageState::Fault);
  scene.failing_share = 0.02;
  EXPECT_LE(scene.until(VantageState::Healthy), 45s);
}

TEST(VantageJudge, WithoutCanariesAShortBurstIsNoFault) {
  Scene scene(false);
  scene.rate = 1000;
  scene.run(30s);
  scene.failing_share = 0.9;
  scene.run(500ms);
  EXPECT_EQ(scene.judge.state(), VantageState::Doubt);
  scene.failing_share = 0;
  EXPECT_LE(scene.until(VantageState::Healthy), 5s);
}

// Goal: one hosting provider's block with 40 % of the fleet is one voice.
TEST(VantageJudge, OneNetworkIsNotOurs) {
  for (const bool canaries : {true, false}) {
    Scene scene(canaries);
    scene.networks = 60;
    scene.run(30s);
    for (int second = 0; second < 120; ++second) {
      VantageLooks looks;
      looks.results = 100;
      looks.cells[7].failed = 40;
      for (std::size_t i = 0; i < 60; ++i) looks.cells[100 + i].up = 1;
      scene.now += 1s;
      scene.judge.tick(looks, scene.now);
      ASSERT_EQ(scene.judge.state(), VantageState::Healthy);
    }
  }
}

TEST(VantageJudge, AFewSitesAreNoMassWhoeverTheyAre) {
  Scene scene(false);
  scene.networks = 5;
  scene.rate = 0.2;
  scene.run(5min);
  scene.failing_networks = 2;
  for (int i = 0; i < 2400; ++i) {
    scene.step();
    ASSERT_EQ(scene.judge.state(), VantageState::Healthy);
  }
}

TEST(VantageJudge, SmallShareOfALargeFleetIsNoDoubt) {
  Scene scene(false);
  scene.networks = 250;
  scene.rate = 3000;
  scene.failing_share = 0.15;
  for (int i = 0; i < 1000; ++i) {
    scene.step();
    ASSERT_EQ(scene.judge.state(), VantageState::Healthy);
  }
}

// Goal: where there are too few networks to ever fail together, and nobody to ask, a failure waits for nothing.
TEST(VantageJudge, AFewNetworksWithoutCanariesWaitForNothing) {
  Scene few(false);
  few.networks = 3;
  few.run(30s);
  EXPECT_EQ(few.judge.cleared(), few.now);
  Scene more(false);
  more.networks = 6;
  more.run(30s);
  EXPECT_LT(more.judge.cleared(), more.now);
}

// Goal: a new list with many dead sites is told; one of which nothing at all can be reached is ours.
TEST(VantageJudge, FirstLooksTellOnlyWhenNearlyAllFail) {
  Scene dirty(false);
  dirty.first_looks = true;
  dirty.failing_share = 0.6;
  dirty.run(2min);
  EXPECT_EQ(dirty.judge.state(), VantageState::Healthy);
  Scene dead(false);
  dead.first_looks = true;
  dead.failing_share = 1;
  EXPECT_LE(dead.until(VantageState::Fault), 15s);
}

// Goal: our own trouble needs no canary, and none can talk it away: theirs may come from a cache.
TEST(VantageJudge, OurOwnTroubleIsAFaultWithItsReason) {
  const std::array<VantageReason, 3> reasons{VantageReason::Resolver, VantageReason::Network,
                                             VantageReason::Resources};
  for (std::size_t i = 0; i < reasons.size(); ++i) {
    Scene scene(true);
    scene.ours = i;
    scene.run(30s);
    scene.ours_share = 1;
    EXPECT_LE(scene.until(VantageState::Fault), 10s);
    EXPECT_EQ(scene.judge.reason(), reasons[i]);
    scene.run(60s);
    EXPECT_EQ(scene.judge.state(), VantageState::Fault);
    scene.ours_share = 0;
    EXPECT_LE(scene.until(VantageState::Healthy), 40s);
  }
}

TEST(VantageJudge, ASmallFleetAsksItsCanariesForEachFailure) {
  Scene scene(true);
  scene.networks = 3;
  scene.rate = 0.05;
  scene.run(60s);
  const std::uint32_t quiet = scene.rounds;
  EXPECT_LE(quiet, 8U) << "every ten seconds";
  const SteadyTime failed = scene.now;
  scene.held = 1;
  scene.run(2s);
  EXPECT_GE(scene.judge.cleared(), failed);
  EXPECT_EQ(scene.judge.state(), VantageState::Healthy);

  scene.canaries_pass = false;
  const SteadyTime next = scene.now;
  EXPECT_LE(scene.until(VantageState::Fault), 5s);
  EXPECT_LT(scene.judge.cleared(), next) << "not called down by a dead network";
}

TEST(VantageJudge, CanariesThatFailAgainstAWellFleetAreNotBelieved) {
  Scene scene(true);
  scene.run(30s);
  scene.canaries_pass = false;
  scene.run(60s);
  EXPECT_EQ(scene.judge.state(), VantageState::Healthy);
  EXPECT_FALSE(scene.judge.canaries_trusted());
  EXPECT_LE(scene.now - scene.judge.cleared(), 1s) << "failures are cleared by the fleet";
  scene.canaries_pass = true;
  scene.run(15s);
  EXPECT_TRUE(scene.judge.canaries_trusted());
}

TEST(VantageJudge, OneOfThreeCanariesIsNoMajority) {
  EXPECT_TRUE((CanaryRound{.began = {}, .asked = 3, .failed = 1}).passed());
  EXPECT_FALSE((CanaryRound{.began = {}, .asked = 3, .failed = 2}).passed());
  EXPECT_TRUE((CanaryRound{.began = {}, .asked = 2, .failed = 1}).passed());
  EXPECT_FALSE((CanaryRound{.began = {}, .asked = 1, .failed = 1}).passed());
  EXPECT_FALSE((CanaryRound{.began = {}, .asked = 0, .failed = 0}).passed());
}

// Goal: canaries that never come back do not leave us in doubt.
TEST(VantageJudge, DoubtEnds) {
  VantageJudge judge({.failure_share = 0.25, .has_canaries = true}, SteadyTime{1h});
  VantageLooks looks;
  looks.results = 50;
  for (std::size_t i = 0; i < 50; ++i) looks.cells[i].failed = 1;
  SteadyTime now{1h};
  judge.tick(looks, now += 1s);
  EXPECT_EQ(judge.state(), VantageState::Doubt);
  for (int i = 0; i < 52; ++i) judge.tick({}, now += kTick);
  EXPECT_EQ(judge.state(), VantageState::Fault);
}

TEST(VantageJudge, AMassOutageWhoseCanariesFailIsDoubtedAgain) {
  Scene scene(true);
  scene.run(20s);
  scene.failing_share = 0.4;
  scene.until(VantageState::MassOutage);
  scene.failing_share = 1;
  scene.canaries_pass = false;
  EXPECT_LE(scene.until(VantageState::Fault), 6s);
  scene.canaries_pass = true;
  scene.failing_share = 0.4;
  EXPECT_LE(scene.until(VantageState::MassOutage), 20s) << "ours is over, theirs is not";
}

// Goal: canaries that come and go by a reload are heeded, and gone ones leave nobody waiting.
TEST(VantageJudge, TakesANewPolicy) {
  Scene scene(false);
  scene.run(20s);
  scene.failing_share = 0.4;
  scene.until(VantageState::Fault);
  scene.judge.set_policy({.failure_share = 0.25, .has_canaries = true});
  EXPECT_LE(scene.until(VantageState::MassOutage), 20s);
  scene.judge.set_policy({.failure_share = 0.25, .has_canaries = false});
  EXPECT_LE(scene.until(VantageState::Fault), 6s);
  scene.judge.set_policy({.failure_share = 1, .has_canaries = false});
  EXPECT_LE(scene.until(VantageState::Healthy), 59s);
}

}  // namespace
}  // namespace watchwheel::sideeffects
