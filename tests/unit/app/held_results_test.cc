// SPDX-License-Identifier: Apache-2.0
#include "app/held_results.h"

#include <gtest/gtest.h>

#include <utility>

namespace watchwheel::app {
namespace {

using core::SteadyTime;
using core::VantageGate;
using core::VantageState;
using namespace std::chrono_literals;

VantageGate::Reading reading(VantageState state, SteadyTime cleared,
                             SteadyTime blind_until = core::kNoSteadyTime) {
  return {
      .state = state, .reason = {}, .cleared = cleared, .blind_until = blind_until, .group = {}};
}

// Goal: the table of what a failure is, by what is known of the vantage.
TEST(JudgeFailure, FollowsTheVerdict) {
  const SteadyTime asked{100s};
  const SteadyTime seen{105s};
  const auto judged = [&](const VantageGate::Reading& vantage, bool is_down = false) {
    return judge_failure(vantage, asked, seen, is_down);
  };
  EXPECT_EQ(judged(reading(VantageState::Healthy, SteadyTime{104s})), Judgement::Wait);
  EXPECT_EQ(judged(reading(VantageState::Healthy, SteadyTime{105s})), Judgement::TheSites);
  EXPECT_EQ(judged(reading(VantageState::Healthy, SteadyTime{104s}), true), Judgement::TheSites)
      << "it is down already";
  EXPECT_EQ(judged(reading(VantageState::Doubt, SteadyTime{104s}), true), Judgement::Wait);
  EXPECT_EQ(judged(reading(VantageState::Doubt, SteadyTime{200s})), Judgement::Wait);
  EXPECT_EQ(judged(reading(VantageState::MassOutage, SteadyTime{0s})), Judgement::TheSites);
  EXPECT_EQ(judged(reading(VantageState::Fault, SteadyTime{200s}), true), Judgement::Ours);
  EXPECT_EQ(judged(reading(VantageState::Healthy, SteadyTime{200s}, SteadyTime{101s})),
            Judgement::Ours)
      << "asked before the fault was over";
  EXPECT_EQ(judged(reading(VantageState::Healthy, SteadyTime{200s}, SteadyTime{100s})),
            Judgement::TheSites);
}

TEST(HeldResults, GivesBackOldestFirstWhatNeedNotWaitAndRefusesWhenFull) {
  HeldResults held(2);
  const auto one = [](std::uint32_t slot, SteadyTime seen) {
    HeldResult result;
    result.slot = core::SiteSlot{slot};
    result.seen = seen;
    result.result.started = seen - 1s;
    result.result.detail = "kept";
    return result;
  };
  EXPECT_TRUE(held.offer(one(1, SteadyTime{10s})));
  EXPECT_TRUE(held.offer(one(2, SteadyTime{20s})));
  HeldResult third = one(3, SteadyTime{30s});
  EXPECT_FALSE(held.offer(std::move(third)));
  EXPECT_EQ(third.result.detail,
            "kept");  // NOLINT(bugprone-use-after-move): refused, so untouched.
  Judgement judgement = Judgement::Wait;
  EXPECT_FALSE(held.take(reading(VantageState::Doubt, SteadyTime{50s}), judgement));
  const auto first = held.take(reading(VantageState::Healthy, SteadyTime{15s}), judgement);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->slot.value, 1U);
  EXPECT_EQ(judgement, Judgement::TheSites);
  EXPECT_FALSE(held.take(reading(VantageState::Healthy, SteadyTime{15s}), judgement));
  EXPECT_TRUE(held.take(reading(VantageState::Fault, SteadyTime{15s}), judgement));
  EXPECT_EQ(judgement, Judgement::Ours);
  EXPECT_EQ(held.size(), 0U);
}

}  // namespace
}  // namespace watchwheel::app
