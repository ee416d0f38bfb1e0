// SPDX-License-Identifier: Apache-2.0
// What is kept of the past: response times are added up once, and what is old goes without taking along what is not.
#include <algorithm>

#include "contract.h"
#include "sideeffects/history_api.h"

namespace watchwheel::db::contract {
namespace {

using core::FreshnessMark;
using sideeffects::HistoryTable;
using namespace std::chrono_literals;

const core::TimeSpan kAlways{at(-10'000'000), at(10'000'000)};

FreshnessMark answered(core::SiteId site, std::int64_t checked,
                       std::initializer_list<core::Duration> took, bool by_hour = false) {
  FreshnessMark mark = measured(site, checked);
  for (const core::Duration one : took) mark.responses.add(one);
  mark.by_hour = by_hour;
  return mark;
}

std::vector<SiteHistory> read(Store& store, const core::TimeSpan& window,
                              ResponseSpan* span = nullptr) {
  const auto log = take(store.make_uptime_log());
  const ResponseSpan responses = take(log->response_span(window));
  if (span != nullptr) *span = responses;
  return take(log->page({.responses = responses}, window, {}, 1000));
}

void begun_long_ago(StoreUnderTest& store) {
  store.execute("UPDATE sites SET created_at = " + std::to_string(core::to_unix_ms(at(-1000))) +
                ", updated_at = " + std::to_string(core::to_unix_ms(at(-1000))) +
                ", change_seq = change_seq + 1000");
}

TEST_P(StoreContract, ResponseTimesAreAddedUpOnce) {
  const auto ids = add_sites(237);
  begun_long_ago(*under_test);
  std::vector<FreshnessMark> marks;
  for (const core::SiteId id : ids) marks.push_back(answered(id, 1000, {100ms, 110ms}));
  ASSERT_TRUE(freshness->write(marks));
  ASSERT_TRUE(freshness->write(marks)) << "a batch may be repeated, and counts once";
  marks[5] = answered(ids[5], 900, {9s});  // Older than what is stored.
  for (std::size_t i = 0; i < marks.size(); i += 2) marks[i] = answered(ids[i], 2000, {3s});
  marks[236].responses = {};
  ASSERT_TRUE(freshness->write(marks));
  const auto sites = read(*store, kAlways);
  ASSERT_EQ(sites.size(), 237U);
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const bool again = i % 2 == 0 && i != 236;
    EXPECT_EQ(sites[i].responses.total(), again ? 3U : 2U) << i;
    EXPECT_EQ(*sites[i].responses.quantile(1.0),
              core::response_step_end(core::response_step(again ? 3s : 110ms)))
        << i;
  }
  EXPECT_EQ(under_test->number("SELECT count(*) FROM response_rollups"), 237);
}

TEST_P(StoreContract, HoursAreReadWhereTheyReachAsFarAsDays) {
  const auto ids = add_sites(2);
  begun_long_ago(*under_test);
  const std::int64_t hour = 3'600'000;
  ASSERT_TRUE(freshness->write(
      std::vector{answered(ids[0], 0, {100ms}, true), answered(ids[1], 0, {100ms}, true)}));
  ASSERT_TRUE(freshness->write(std::vector{answered(ids[0], 3 * hour, {1s}, true)}));
  ResponseSpan span;
  auto sites = read(*store, {at(3 * hour), at(3 * hour + 1)}, &span);
  EXPECT_EQ(span.width, 1h);
  EXPECT_EQ(span.span.until - span.span.from, 1h);
  EXPECT_EQ(sites.at(0).responses.total(), 1U);
  EXPECT_EQ(sites.at(1).responses.total(), 0U);
  sites = read(*store, {at(0), at(24 * hour * 20)}, &span);
  EXPECT_EQ(span.width, 24h);
  EXPECT_EQ(sites.at(0).responses.total(), 2U);
  // Hours have ceased: a window that they do not reach is told by the day.
  ASSERT_TRUE(freshness->write(std::vector{answered(ids[0], 30 * 24 * hour, {1s}, false)}));
  sites = read(*store, {at(30 * 24 * hour), at(30 * 24 * hour + 1)}, &span);
  EXPECT_EQ(span.width, 24h);
  EXPECT_EQ(sites.at(0).responses.total(), 1U);
}

TEST_P(StoreContract, OldEventsGoWithTheirTransitionsAndNothingElseDoes) {
  const auto history = take(store->make_history_store());
  const auto log = take(store->make_uptime_log());
  const auto ids = add_sites(30);
  begun_long_ago(*under_test);
  for (const core::SiteId id : ids) commit(whole_story(id, 0));
  commit(opened(ids[0], 200'000));  // Stays: it goes on.
  under_test->execute("DELETE FROM outbox WHERE site_id <> " + std::to_string(ids[1].value));
  EXPECT_EQ(take(log->known_from()), core::kNoWallTime);
  const auto old = [&] { return under_test->number("SELECT count(*) FROM events"); };
  ASSERT_EQ(old(), 31);
  EXPECT_EQ(take(history->purge({}, 100)).total(), 0U) << "for ever";
  EXPECT_EQ(take(history->purge({.events = 24h * 36500}, 100)).total(), 0U);
  EXPECT_EQ(take(log->known_from()), core::kNoWallTime) << "nothing was removed";

  const sideeffects::HistoryRetention day{.events = 24h};
  auto step = take(history->purge(day, 10));
  EXPECT_GT(step.of(HistoryTable::Events), 0U);
  EXPECT_LE(step.of(HistoryTable::EventTransitions), 10U + 4U) << "a step is small";
  EXPECT_NE(take(log->known_from()), core::kNoWallTime);
  for (int steps = 0; steps < 50 && step.total() > 0; ++steps) step = take(history->purge(day, 10));
  EXPECT_EQ(old(), 2) << "one goes on, of one a notice waits";
  EXPECT_EQ(
      under_test->number("SELECT count(*) FROM event_transitions WHERE event_id NOT IN (SELECT "
                         "id FROM events)"),
      0);
  EXPECT_EQ(under_test->number(
                "SELECT count(*) FROM event_transitions WHERE event_id IN (SELECT id FROM events)"),
            under_test->number("SELECT sum(transitions_total) FROM events"));
  // The open one is found and ended as before.
  EXPECT_TRUE(take(events->open_event(ids[0])).has_value());
}

// Goal: those that stay at the front for ever hide none behind them.
TEST_P(StoreContract, OldEventsBehindManyThatGoOnAreFound) {
  const auto history = take(store->make_history_store());
  const auto ids = add_sites(60);
  for (std::size_t i = 0; i < 50; ++i) commit(opened(ids[i], 0));
  for (std::size_t i = 50; i < 60; ++i) commit(whole_story(ids[i], 1000));
  under_test->execute("DELETE FROM outbox");
  for (int steps = 0; steps < 30; ++steps) (void)take(history->purge({.events = 24h}, 7));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM events"), 50);
}

TEST_P(StoreContract, OldEventsBehindManyOfWhichNoticesWaitAreFound) {
  const auto history = take(store->make_history_store());
  const auto ids = add_sites(30);
  for (const core::SiteId id : ids) commit(whole_story(id, 0));
  under_test->execute("DELETE FROM outbox WHERE site_id > " + std::to_string(ids[24].value));
  for (int steps = 0; steps < 30; ++steps) (void)take(history->purge({.events = 24h}, 4));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM events"), 25);
  under_test->execute("DELETE FROM outbox");
  for (int steps = 0; steps < 60; ++steps) (void)take(history->purge({.events = 24h}, 4));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM events"), 0);
}

TEST_P(StoreContract, WhatElseIsOldGoesByItsOwnTime) {
  const auto history = take(store->make_history_store());
  const auto ids = add_sites(3);
  begun_long_ago(*under_test);
  std::vector<FreshnessMark> marks;
  for (const core::SiteId id : ids) {
    marks.push_back(answered(id, 900'000, {100ms}, true));
    marks.back().unbroken_since = at(800'000);
    marks.back().quiet_max = 10s;
  }
  ASSERT_TRUE(freshness->write(marks));
  core::ResponseHistogram minute;
  minute += marks[0].responses;
  ASSERT_TRUE(history->add_minute("a", at(0), minute));
  ASSERT_TRUE(history->add_minute("a", at(0), minute));
  ASSERT_TRUE(history->add_minute("b", at(0), minute));
  const auto points = take(take(store->make_uptime_log())->minutes(at(-1), at(1), 10));
  ASSERT_EQ(points.size(), 1U);
  EXPECT_EQ(points[0].responses.total(), 3U);

  auto gone = take(history->purge({.hours = 24h}, 2));
  EXPECT_EQ(gone.of(HistoryTable::ResponseRollups), 2U);
  gone = take(history->purge({.hours = 24h}, 2));
  EXPECT_EQ(gone.total(), 1U);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM response_rollups"), 3) << "days stay";
  gone = take(history->purge({.events = 24h, .minutes = 24h, .days = 24h}, 100));
  EXPECT_EQ(gone.of(HistoryTable::SiteGaps), 3U);
  EXPECT_EQ(gone.of(HistoryTable::ResponseMinutes), 2U);
  EXPECT_EQ(gone.of(HistoryTable::ResponseRollups), 3U);
  EXPECT_NE(take(take(store->make_uptime_log())->known_from()), core::kNoWallTime);
}

}  // namespace
}  // namespace watchwheel::db::contract
