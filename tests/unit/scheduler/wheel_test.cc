// SPDX-License-Identifier: Apache-2.0
#include "scheduler/wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <string>

namespace watchwheel::scheduler {
namespace {

using core::SiteId;
using core::SiteSlot;
using core::SteadyTime;
using namespace std::chrono_literals;
using Place = SiteTable::Place;

constexpr SteadyTime kStart{1h};

class WheelTest : public testing::Test {
 protected:
  SiteSlot site() { return sites_.add(SiteId{++last_id_}, "http://site.example/", 1min, 0); }

  std::vector<SiteSlot> advance(core::Duration since_start) {
    std::vector<SiteSlot> fired;
    wheel_.advance(kStart + since_start, fired);
    return fired;
  }

  SiteTable sites_{100'000};
  Wheel wheel_{{.tick = 100ms, .horizon = 10s}, sites_, kStart};
  std::uint64_t last_id_ = 0;
};

TEST_F(WheelTest, FiresEachAtItsOwnMomentAndNotBefore) {
  const SiteSlot a = site();
  const SiteSlot b = site();
  wheel_.place(b, kStart + 1070ms);
  wheel_.place(a, kStart + 1030ms);
  EXPECT_TRUE(advance(1029ms).empty());
  EXPECT_EQ(advance(1030ms), (std::vector{a}));
  EXPECT_TRUE(advance(1069ms).empty());
  EXPECT_EQ(advance(1070ms), (std::vector{b}));
  EXPECT_EQ(wheel_.size(), 0U);
  EXPECT_EQ(sites_.timing(a).place, Place::Nowhere);
}

TEST_F(WheelTest, ComesOutOldestFirstAfterALongStall) {
  const SiteSlot c = site();
  const SiteSlot a = site();
  const SiteSlot b = site();
  wheel_.place(c, kStart + 9s);
  wheel_.place(a, kStart + 200ms);
  wheel_.place(b, kStart + 250ms);
  EXPECT_EQ(advance(48h), (std::vector{a, b, c}));
  // Time goes on as if nothing had been.
  wheel_.place(a, kStart + 48h + 5s);
  EXPECT_TRUE(advance(48h + 4999ms).empty());
  EXPECT_EQ(advance(48h + 5s), (std::vector{a}));
}

TEST_F(WheelTest, TakesADueTimeInThePastOrInTheOpenTickWithTheNextTick) {
  ASSERT_TRUE(advance(1050ms).empty());
  const SiteSlot past = site();
  const SiteSlot open = site();
  wheel_.place(open, kStart + 1080ms);
  wheel_.place(past, kStart + 10ms);
  EXPECT_TRUE(advance(1099ms).empty());
  EXPECT_EQ(advance(1100ms), (std::vector{past, open}));
}

TEST_F(WheelTest, KeepsADueTimeBeyondTheHorizon) {
  const SiteSlot far = site();
  wheel_.place(far, kStart + 1h);
  for (core::Duration t = 0s; t < 1h; t += 700ms)
    ASSERT_TRUE(advance(t).empty()) << core::to_seconds(t);
  EXPECT_EQ(wheel_.size(), 1U);
  EXPECT_EQ(advance(1h), (std::vector{far}));
}

// Goal: sites of an interval longer than the horizon do not come back together to be placed again, and a call that finds only such
// is as bounded as any.
TEST_F(WheelTest, WhatIsBeyondTheHorizonIsSpread) {
  std::map<unsigned, int> by_slot;
  for (int i = 0; i < 5000; ++i) {
    const SiteSlot far = site();
    wheel_.place(far, kStart + 1h);
    ++by_slot[sites_.timing(far).holder];
  }
  for (const auto& [slot, sites] : by_slot) EXPECT_LE(sites, 150) << slot;
  std::vector<SiteSlot> fired;
  int calls = 0;
  for (; wheel_.next() <= kStart + 20s && calls < 1000; ++calls)
    wheel_.advance(kStart + 20s, fired, 500);
  EXPECT_GE(calls, 8);
  EXPECT_LT(calls, 100);
  EXPECT_TRUE(fired.empty());
  EXPECT_EQ(advance(1h).size(), 5000U);
}

TEST_F(WheelTest, ARemovedSiteDoesNotFireNorDoesTheNextInItsSlot) {
  const SiteSlot gone = site();
  const SiteSlot other = site();
  wheel_.place(gone, kStart + 500ms);
  wheel_.place(other, kStart + 510ms);
  wheel_.remove(gone);
  sites_.remove(gone);
  const SiteSlot heir = site();
  ASSERT_EQ(heir, gone) << "this test needs the slot to be used again";
  wheel_.place(heir, kStart + 505ms);
  wheel_.remove(heir);
  wheel_.place(heir, kStart + 2s);
  EXPECT_EQ(advance(1s), (std::vector{other}));
  EXPECT_EQ(advance(3s), (std::vector{heir}));
}

TEST_F(WheelTest, CanTakeASiteOutOfTheTickThatIsOpen) {
  const SiteSlot a = site();
  const SiteSlot b = site();
  const SiteSlot c = site();
  wheel_.place(a, kStart + 110ms);
  wheel_.place(b, kStart + 120ms);
  wheel_.place(c, kStart + 130ms);
  EXPECT_EQ(advance(110ms), (std::vector{a}));
  wheel_.remove(b);
  EXPECT_EQ(wheel_.next(), kStart + 130ms);
  wheel_.place(b, kStart + 115ms);  // Back again, into the tick that is open: with the next one.
  EXPECT_EQ(advance(199ms), (std::vector{c}));
  EXPECT_EQ(advance(200ms), (std::vector{b}));
}

TEST_F(WheelTest, NextIsNeverLaterThanTheNextFiring) {
  EXPECT_EQ(wheel_.next(), std::nullopt);
  const SiteSlot a = site();
  wheel_.place(a, kStart + 5050ms);
  EXPECT_EQ(wheel_.next(), kStart + 5s);  // Its tick's beginning, which sorts it ...
  EXPECT_TRUE(advance(5s).empty());
  EXPECT_EQ(wheel_.next(), kStart + 5050ms);  // ... and then the moment itself.
  EXPECT_EQ(advance(5050ms), (std::vector{a}));
  EXPECT_EQ(wheel_.next(), std::nullopt);
}

// Goal: a fleet that crowds one tick once does not hold that memory in every tick it later touches.
TEST_F(WheelTest, MemoryFollowsTheNumberOfEntries) {
  const std::size_t empty = wheel_.bytes();
  std::vector<SiteSlot> crowd;
  for (int i = 0; i < 50'000; ++i) crowd.push_back(site());
  for (const SiteSlot s : crowd) wheel_.place(s, kStart + 1s);
  EXPECT_GT(wheel_.bytes(), empty + 50'000 * 4);
  EXPECT_EQ(advance(2s).size(), 50'000U);
  core::Duration t = 2s;
  for (int round = 0; round < 300; ++round, t += 100ms) {
    wheel_.place(crowd[0], kStart + t + 5s);
    advance(t + 5s);
  }
  // What remains is the buffer of the open tick, 16 bytes an entry, and 16 small spare buffers.
  EXPECT_LT(wheel_.bytes(), empty + 50'000 * 16 * 2 + 16 * 1024);
}

TEST_F(WheelTest, DeathOnOurOwnMistakes) {
  const SiteSlot a = site();
  EXPECT_DEATH(wheel_.remove(a), "not in it");
  wheel_.place(a, kStart + 1s);
  EXPECT_DEATH(wheel_.place(a, kStart + 2s), "two places");
  advance(5s);
  EXPECT_DEATH(advance(1s), "does not turn back");
  EXPECT_DEATH((Wheel{{.tick = 1ms, .horizon = 2h}, sites_, kStart}), "more ticks");
  EXPECT_DEATH((Wheel{{.tick = 0ms, .horizon = 2h}, sites_, kStart}), "two ticks");
}

}  // namespace
}  // namespace watchwheel::scheduler
