// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/vantage_recorder.h"

#include <gtest/gtest.h>

#include <vector>

#include "support/fake_vantage_store.h"

namespace watchwheel::sideeffects {
namespace {

using watchwheel::testing::FakeVantageStore;
using namespace std::chrono_literals;

VantageEvent event(std::int64_t start, std::uint64_t withheld = 0) {
  return {.started_at = core::from_unix_ms(start),
          .ended_at = core::kNoWallTime,
          .reason = "canaries",
          .detail = "",
          .withheld = withheld};
}

// Goal: what an earlier process left open is closed first; then each event is told, the newest word of it once.
TEST(VantageRecorder, ClosesTheOldAndTellsTheNewestWord) {
  FakeVantageStore store;
  int woken = 0;
  VantageRecorder recorder(store, core::from_unix_ms(50), [&] { ++woken; });
  EXPECT_TRUE(recorder.next_turn().has_value());
  recorder.post(event(100, 1));
  recorder.post(event(100, 2));
  recorder.post(event(200));
  EXPECT_EQ(woken, 3);
  recorder.turn(core::SteadyTime{1h});
  EXPECT_EQ(store.closed, std::vector{core::from_unix_ms(50)});
  ASSERT_EQ(store.puts.size(), 2U);
  EXPECT_EQ(store.puts[0].withheld, 2U);
  EXPECT_FALSE(recorder.next_turn().has_value());
  recorder.turn(core::SteadyTime{2h});
  EXPECT_EQ(store.closed.size(), 1U) << "once";
}

TEST(VantageRecorder, WaitsForAStoreThatIsAwayAndDropsWhatItWillNeverTake) {
  FakeVantageStore store;
  VantageRecorder recorder(store, core::from_unix_ms(50), [] {});
  store.failure = core::Error{core::ErrorKind::Unavailable, "locked"};
  recorder.post(event(100));
  core::SteadyTime now{1h};
  recorder.turn(now);
  ASSERT_TRUE(recorder.next_turn().has_value());
  EXPECT_GT(*recorder.next_turn(), now);
  recorder.turn(now);
  EXPECT_EQ(recorder.errors(), 1U) << "not asked again at once";
  store.failure.reset();
  recorder.turn(now += 10s);
  EXPECT_EQ(store.puts.size(), 1U);
  store.failure = core::Error{core::ErrorKind::Invalid, "constraint"};
  recorder.post(event(200));
  recorder.turn(now += 10s);
  EXPECT_FALSE(recorder.next_turn().has_value());
  EXPECT_EQ(recorder.errors(), 2U);
}

TEST(VantageRecorder, ManyWhileTheStoreIsAwayBecomeOneThatGoesOn) {
  FakeVantageStore store;
  VantageRecorder recorder(store, core::from_unix_ms(50), [] {});
  for (std::int64_t i = 0; i < 1000; ++i) {
    VantageEvent one = event(100 + 10 * i);
    one.ended_at = core::from_unix_ms(105 + 10 * i);
    recorder.post(one);
  }
  recorder.turn(core::SteadyTime{1h});
  ASSERT_EQ(store.puts.size(), VantageRecorder::kWaitingMax);
  EXPECT_EQ(store.puts.back().ended_at, core::from_unix_ms(105 + 9990));
}

}  // namespace
}  // namespace watchwheel::sideeffects
