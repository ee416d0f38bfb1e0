// SPDX-License-Identifier: Apache-2.0
#include "app/turn_budget.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

TEST(TurnBudget, IsSpentOnceItsTimeIsUpAndWholeAgainWithTheNextTurn) {
  core::ManualClock clock;
  TurnBudget budget(&clock, 4ms);
  budget.begin();
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(budget.spent());
  clock.advance(4ms);
  std::size_t asked = 1;
  while (!budget.spent()) ASSERT_LT(++asked, 2 * TurnBudget::kAskedPerLook);
  EXPECT_TRUE(budget.spent()) << "it stays so";
  budget.begin();
  EXPECT_FALSE(budget.look());
}

TEST(TurnBudget, AfterALargePieceTheClockIsReadAtOnce) {
  core::ManualClock clock;
  TurnBudget budget(&clock, 4ms);
  budget.begin();
  clock.advance(5ms);
  EXPECT_TRUE(budget.look());
  EXPECT_TRUE(budget.spent());
}

TEST(TurnBudget, WithoutAClockNothingIsSpent) {
  TurnBudget budget(nullptr, 0ms);
  budget.begin();
  for (int i = 0; i < 100; ++i) ASSERT_FALSE(budget.spent());
  EXPECT_FALSE(budget.look());
}

}  // namespace
}  // namespace watchwheel::app
