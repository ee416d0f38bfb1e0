// SPDX-License-Identifier: Apache-2.0 Goal: the store that everything here is tested against keeps
// the contract of event_store_api.h; if it were lenient, the other tests would prove nothing.
#include "support/fake_store.h"

#include <gtest/gtest.h>

#include <vector>

namespace watchwheel::testing {
namespace {

using core::ErrorKind;
using core::SiteId;
using core::SiteState;
using core::TransitionReason;
using sideeffects::EventWrite;
using namespace std::chrono_literals;

const core::WallTime kT = core::from_unix_ms(1'700'000'000'000);

EventWrite opened(std::uint64_t site, core::WallTime start = kT) {
  EventWrite write;
  write.site = SiteId{site};
  write.started_at = start;
  write.failures = 1;
  write.transitions_total = 1;
  write.transitions.resize(1);
  write.transitions.front().seq = 1;
  return write;
}

EventWrite closed(std::uint64_t site, core::WallTime start = kT) {
  EventWrite write = opened(site, start);
  write.state = SiteState::Up;
  write.ended_at = start + 1min;
  write.transitions.resize(2);
  write.transitions.back().seq = 2;
  write.transitions.back().reason = TransitionReason::FalseAlarm;
  write.transitions_total = 2;
  return write;
}

ErrorKind error_of(FakeEventStore& store, const std::vector<EventWrite>& writes) {
  const auto result = store.commit(writes);
  EXPECT_FALSE(result);
  return result ? ErrorKind::NotFound : result.error().kind;
}

TEST(FakeEventStore, StoresAReplayOnce) {
  FakeEventStore store;
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(store.commit(std::vector{opened(1)}));
  ASSERT_EQ(store.events().size(), 1U);
  EXPECT_EQ(store.events().front().row.transitions.size(), 1U);
}

TEST(FakeEventStore, RefusesAGapAndNothingOfTheBatchIsStored) {
  FakeEventStore store;
  EventWrite gap = opened(2);
  gap.transitions.front().seq = gap.transitions_total = 2;
  EXPECT_EQ(error_of(store, {opened(1), gap}), ErrorKind::Invalid);
  EXPECT_TRUE(store.events().empty());
  EventWrite missing = opened(2);
  missing.transitions.clear();
  EXPECT_EQ(error_of(store, {missing}), ErrorKind::Invalid);
}

TEST(FakeEventStore, UndoesARefusedBatchToWhatWasThere) {
  FakeEventStore store;
  ASSERT_TRUE(store.commit(std::vector{opened(1)}));
  store.set_poison(SiteId{2}, true);
  EXPECT_EQ(error_of(store, {closed(1), opened(1, kT + 1h), opened(2)}), ErrorKind::Invalid);
  ASSERT_EQ(store.events().size(), 1U);
  EXPECT_FALSE(store.events().front().ended());
}

TEST(FakeEventStore, RefusesASecondOpenEventOfASite) {
  FakeEventStore store;
  ASSERT_TRUE(store.commit(std::vector{opened(1)}));
  EXPECT_EQ(error_of(store, {opened(1, kT + 1h)}), ErrorKind::Invalid);
  EXPECT_TRUE(store.commit(std::vector{closed(1), opened(1, kT + 1h)}));
}

TEST(FakeEventStore, AnEndedEventIsFrozen) {
  FakeEventStore store;
  ASSERT_TRUE(store.commit(std::vector{closed(1)}));
  EventWrite again = closed(1);
  again.failures = 99;
  again.transitions.resize(3);
  again.transitions.back().seq = again.transitions_total = 3;
  ASSERT_TRUE(store.commit(std::vector{again, opened(1)}));
  ASSERT_EQ(store.events().size(), 1U);
  EXPECT_EQ(store.events().front().row.failures, 1U);
  EXPECT_EQ(store.events().front().row.transitions.size(), 2U);
  EXPECT_EQ(store.open_of(SiteId{1}), std::nullopt);
}

TEST(FakeEventStore, RefusesWhatContradictsItself) {
  FakeEventStore store;
  EventWrite up_and_open = opened(1);
  up_and_open.state = SiteState::Up;
  EXPECT_EQ(error_of(store, {up_and_open}), ErrorKind::Invalid);
  EventWrite down = opened(1);
  down.state = SiteState::Down;
  EXPECT_EQ(error_of(store, {down}), ErrorKind::Invalid);
  EventWrite total = opened(1);
  total.transitions_total = 4;
  EXPECT_EQ(error_of(store, {total}), ErrorKind::Invalid);
}

TEST(FakeEventStore, FailsAsItIsTold) {
  FakeEventStore store;
  store.fail_commits(FakeFailure::Unavailable);
  store.fail_commits(FakeFailure::UnknownBefore);
  EXPECT_EQ(error_of(store, {opened(1)}), ErrorKind::Unavailable);
  EXPECT_EQ(error_of(store, {opened(1)}), ErrorKind::Unknown);
  EXPECT_TRUE(store.events().empty());
  store.fail_commits(FakeFailure::UnknownAfter);
  EXPECT_EQ(error_of(store, {opened(1)}), ErrorKind::Unknown);
  EXPECT_EQ(store.events().size(), 1U);
  store.fail_reads(FakeFailure::Unavailable);
  EXPECT_FALSE(store.open_event(SiteId{1}));
  EXPECT_TRUE(store.open_event(SiteId{1}).value().has_value());
  store.set_away(true);
  EXPECT_EQ(error_of(store, {opened(2)}), ErrorKind::Unavailable);
}

TEST(FakeFreshnessSink, KeepsTheNewestAndIsWholeOrNothing) {
  FakeFreshnessSink sink;
  core::FreshnessMark newer;
  newer.site = SiteId{1};
  newer.checked_at = kT + 1h;
  core::FreshnessMark older = newer;
  older.checked_at = kT;
  ASSERT_TRUE(sink.write(std::vector{newer}));
  ASSERT_TRUE(sink.write(std::vector{older}));
  EXPECT_EQ(sink.marks().at(SiteId{1}).checked_at, kT + 1h);
  core::FreshnessMark bad = newer;
  bad.site = SiteId{2};
  sink.set_poison(SiteId{2}, true);
  newer.checked_at = kT + 2h;
  EXPECT_FALSE(sink.write(std::vector{newer, bad}));
  EXPECT_EQ(sink.marks().at(SiteId{1}).checked_at, kT + 1h);
  EXPECT_TRUE(sink.always_sorted());
  EXPECT_FALSE(sink.write(std::vector{bad, newer}));
  EXPECT_FALSE(sink.always_sorted());
}

}  // namespace
}  // namespace watchwheel::testing
