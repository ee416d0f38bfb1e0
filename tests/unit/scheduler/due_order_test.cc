// SPDX-License-Identifier: Apache-2.0
#include "scheduler/due_order.h"

#include <gtest/gtest.h>

#include <array>
#include <vector>

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::Priority;
using core::SiteId;
using core::SiteSlot;
using core::SteadyTime;
using namespace std::chrono_literals;

constexpr SteadyTime kNow{1h};

class DueOrderTest : public testing::Test {
 protected:
  SiteSlot put(Duration late, Duration interval, Priority priority = Priority::Normal,
               bool suspect = false) {
    const SiteSlot site = sites_.add(SiteId{++last_id_}, "http://a/", interval, 0);
    SiteTable::Timing& timing = sites_.timing(site);
    timing.due = kNow - late;
    timing.interval_ms = static_cast<std::uint32_t>(interval / 1ms);
    timing.counted_ms = suspect ? 10'000 : timing.interval_ms;
    timing.priority = priority;
    timing.suspect = suspect;
    order_.put(site);
    return site;
  }
  std::vector<SiteSlot> take(std::size_t count) {
    std::vector<SiteSlot> taken;
    for (; count > 0 && !order_.empty(); --count) taken.push_back(order_.take(kNow).site);
    return taken;
  }
  // How many of each priority, suspects apart as the last.
  std::array<int, 4> kinds(std::size_t count) {
    std::array<int, 4> n{};
    for (const SiteSlot site : take(count)) {
      const SiteTable::Timing& timing = sites_.timing(site);
      ++n[timing.suspect ? 3 : static_cast<std::size_t>(timing.priority)];
    }
    return n;
  }

  SiteTable sites_{10'000};
  DueOrder order_{sites_};
  std::uint64_t last_id_ = 0;
};

TEST_F(DueOrderTest, TheLatestRelativeToItsIntervalComesFirst) {
  const SiteSlot half = put(30s, 60s);
  const SiteSlot twice = put(20s, 10s);
  const SiteSlot tenth = put(30s, 300s);
  const SiteSlot once = put(10s, 10s);
  EXPECT_EQ(order_.size(), 4U);
  EXPECT_EQ(order_.oldest(kNow), 30s);
  EXPECT_DOUBLE_EQ(order_.lateness(Priority::Normal, kNow), 2);
  EXPECT_LT(order_.lateness(Priority::Low, kNow), 0);
  EXPECT_EQ(take(4), (std::vector{twice, once, half, tenth}));
  EXPECT_EQ(order_.oldest(kNow), 0s);
}

// Goal: the order of the classes is that of exact lateness, but for the width of a class. Method: every interval from 1 s to
// a day in steps of 7 %, each one interval late but for a little.
TEST_F(DueOrderTest, EveryIntervalFindsItsClass) {
  double interval = 1000;
  for (; interval < 86'400'000; interval *= 1.07) {
    const auto ms = std::chrono::milliseconds{static_cast<std::int64_t>(interval)};
    put(ms, ms);
  }
  const SiteSlot later = put(500ms, 400ms);
  EXPECT_EQ(take(1), std::vector{later});
  while (!order_.empty()) {
    const double lateness = order_.lateness(Priority::Normal, kNow);
    EXPECT_NEAR(lateness, 1, 1e-9);
    (void)take(1);
  }
}

TEST_F(DueOrderTest, OfFourStartsOneIsRoutineInAMassOutage) {
  for (int i = 0; i < 400; ++i) put(20s, 300s, Priority::Normal, true);
  for (int i = 0; i < 200; ++i) put(1s, 300s);
  EXPECT_EQ(kinds(400), (std::array{0, 100, 0, 300}));
  EXPECT_EQ(kinds(200), (std::array{0, 100, 0, 100})) << "each has the rest when the other is done";
}

TEST_F(DueOrderTest, SuspectsAreOldestFirstAndByPriority) {
  const SiteSlot a = put(3s, 300s, Priority::Normal, true);
  const SiteSlot b = put(2s, 10s, Priority::Normal, true);
  const SiteSlot c = put(1s, 10s, Priority::High, true);
  EXPECT_EQ(take(3), (std::vector{c, a, b}));
}

TEST_F(DueOrderTest, HighThenNormalAndATenthForEachThatWaitsLonger) {
  for (int i = 0; i < 300; ++i) {
    put(1s, 60s, Priority::High);
    put(10s, 60s, Priority::Normal);
    put(100s, 60s, Priority::Low);
  }
  EXPECT_EQ(kinds(300), (std::array{241, 29, 30, 0}));
}

TEST_F(DueOrderTest, ALowerPriorityIsNeverBetterOff) {
  for (int i = 0; i < 300; ++i) {
    put(50s, 60s, Priority::High);
    put(10s, 60s, Priority::Low);
  }
  EXPECT_EQ(kinds(300), (std::array{300, 0, 0, 0}));
}

// Goal: what is refused over and over uses up nobody's turn. Method: 64 are taken and 63 put back each time, so that always
// the first alone starts.
TEST_F(DueOrderTest, WhatIsPutBackKeepsItsPlaceAndItsTurn) {
  for (int i = 0; i < 400; ++i) {
    put(20s, 300s, Priority::Normal, true);
    put(1s, 60s, Priority::High);
    put(100s, 60s, Priority::Low);
  }
  std::array<int, 3> n{};
  for (int round = 0; round < 400; ++round) {
    std::vector<DueOrder::Taken> taken;
    for (int i = 0; i < 64; ++i) taken.push_back(order_.take(kNow));
    for (std::size_t i = taken.size(); i > 1; --i) order_.put_back(taken[i - 1]);
    const SiteTable::Timing& timing = sites_.timing(taken[0].site);
    ++n[timing.suspect ? 2 : timing.priority == Priority::High ? 0 : 1];
  }
  EXPECT_EQ(n, (std::array{90, 10, 300}));
}

TEST_F(DueOrderTest, ARemovedSiteIsForgottenAndTheNextStandsAtTheHead) {
  const SiteSlot first = put(30s, 60s);
  const SiteSlot second = put(20s, 60s);
  const SiteSlot third = put(10s, 60s);
  order_.remove(first);
  EXPECT_EQ(order_.oldest(kNow), 20s);
  order_.remove(third);
  EXPECT_EQ(take(3), std::vector{second});
}

// Goal: what is known of a site may change while it waits; where it stands is remembered.
TEST_F(DueOrderTest, AChangeWhileItWaitsDoesNotLoseIt) {
  const SiteSlot site = put(30s, 60s);
  sites_.timing(site).priority = Priority::Low;
  sites_.timing(site).interval_ms = 1000;
  sites_.timing(site).suspect = true;
  const DueOrder::Taken taken = order_.take(kNow);
  EXPECT_EQ(taken.site, site);
  order_.put_back(taken);
  order_.remove(site);
  EXPECT_TRUE(order_.empty());
}

TEST_F(DueOrderTest, DeathOnOurOwnMistakes) {
  EXPECT_DEATH((void)order_.take(kNow), "next of no checks");
}

}  // namespace
}  // namespace watchwheel::scheduler
