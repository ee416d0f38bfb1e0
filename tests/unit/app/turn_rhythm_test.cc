// SPDX-License-Identifier: Apache-2.0
#include "app/turn_rhythm.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

constexpr core::SteadyTime kBegun{std::chrono::seconds{100}};

TEST(TurnRhythm, ALaneOfFewChecksIsWokenForEachEvent) {
  EXPECT_EQ(TurnRhythm::earliest(kBegun, 0, false), kBegun);
  EXPECT_EQ(TurnRhythm::earliest(kBegun, TurnRhythm::kFromRate - 1, false), kBegun);
}

TEST(TurnRhythm, ALaneOfManyChecksLetsEventsGather) {
  EXPECT_EQ(TurnRhythm::earliest(kBegun, TurnRhythm::kFromRate, false),
            kBegun + TurnRhythm::kEvery);
}

TEST(TurnRhythm, AnswersThatAreHereAlreadyWaitForNothing) {
  EXPECT_EQ(TurnRhythm::earliest(kBegun, 10'000, true), kBegun);
}

}  // namespace
}  // namespace watchwheel::app
