// SPDX-License-Identifier: Apache-2.0
// What is kept of the past: response times are added up once, and what is old goes without taking along what is not.
#include <algorithm>
#include <map>

#include "contract.h"
#include "sideeffects/history_api.h"

namespace watchwheel::db::contract {
namespace {

using core::FreshnessMark;
using sideeffects::HistoryTable;
using sideeffects::ResponsePage;
using namespace std::chrono_literals;

const core::TimeSpan kAlways{at(-10'000'000), at(10'000'000)};

// How fast one site answered, of the hour that it did in.
ResponsePage answered(core::SiteId site, std::int64_t ms,
                      std::initializer_list<core::Duration> took, bool by_hour = false,
                      std::int64_t token = 1) {
  core::ResponseCounts counts;
  for (const core::Duration one : took) counts.add(one);
  return {.number = ResponsePage::number_of(site),
          .hour = std::chrono::floor<std::chrono::hours>(at(ms)),
          .by_hour = by_hour,
          .token = token,
          .sites = {{.counts = counts,
                     .offset = static_cast<std::uint8_t>(site.value % ResponsePage::kSites)}}};
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
  const auto history = take(store->make_history_store());
  const auto ids = add_sites(237);
  begun_long_ago(*under_test);
  std::map<std::uint64_t, ResponsePage> pages;
  std::int64_t token = 0;
  const auto add = [&](core::SiteId id, std::initializer_list<core::Duration> took) {
    ResponsePage one = answered(id, 0, took);
    ResponsePage& page = pages.try_emplace(one.number, ResponsePage{}).first->second;
    one.sites.insert(one.sites.end(), page.sites.begin(), page.sites.end());
    page = one;
  };
  const auto write = [&](const char* node, int times) {
    std::vector<ResponsePage> all;
    for (auto& [number, page] : pages) {
      page.token = ++token;
      all.push_back(page);
    }
    for (int i = 0; i < times; ++i) ASSERT_TRUE(history->add_pages(node, all));
    pages.clear();
  };
  for (const core::SiteId id : ids) add(id, {100ms, 110ms});
  add(ids[7], {100ms});  // A site that comes twice in a page.
  write("a", 3);         // The answer was lost, and again.
  const std::int64_t rows = under_test->number("SELECT count(*) FROM response_pages");
  EXPECT_LT(rows, 10) << "neighbours share a row, in a cluster every third";
  for (std::size_t i = 0; i < ids.size(); i += 2) add(ids[i], {3s});
  write("a", 1);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM response_pages"), rows);
  // Another host asked some of them: its own rows, and reports add them.
  add(ids[5], {9s});
  write("b", 2);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM response_pages"), rows + 1);
  const auto sites = read(*store, kAlways);
  ASSERT_EQ(sites.size(), 237U);
  for (std::size_t i = 0; i < sites.size(); ++i) {
    const core::Duration slowest = i == 5       ? core::Duration{9s}
                                   : i % 2 == 0 ? core::Duration{3s}
                                                : core::Duration{110ms};
    EXPECT_EQ(sites[i].responses.total(), i == 5 || i == 7 || i % 2 == 0 ? 3U : 2U) << i;
    EXPECT_EQ(*sites[i].responses.quantile(1.0),
              core::response_step_end(core::response_step(slowest)))
        << i;
  }
  // One site alone, and only those of a tag: what else is in their pages is passed over.
  const auto log = take(store->make_uptime_log());
  const ResponseSpan responses = take(log->response_span(kAlways));
  const auto one = take(log->page({.site = ids[5], .responses = responses}, kAlways, {}, 10));
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].responses.total(), 3U);
  // Nothing hangs on a row that somebody has spoilt: it begins anew.
  under_test->execute("UPDATE response_pages SET counts = 'spoilt'");
  EXPECT_EQ(log->page({.responses = responses}, kAlways, {}, 1000).error().kind,
            core::ErrorKind::Corrupt);
  for (const core::SiteId id : ids) add(id, {100ms});
  write("a", 1);
  add(ids[5], {100ms});
  write("b", 1);
  for (const auto& site : read(*store, kAlways)) EXPECT_LE(site.responses.total(), 2U);
}

TEST_P(StoreContract, HoursAreReadWhereTheyReachAsFarAsDays) {
  const auto history = take(store->make_history_store());
  const auto ids = add_sites(2);
  begun_long_ago(*under_test);
  const std::int64_t hour = 3'600'000;
  ResponsePage both = answered(ids[0], 0, {100ms}, true, 1);
  both.sites.push_back(answered(ids[1], 0, {100ms}).sites[0]);
  ASSERT_TRUE(history->add_pages("", std::vector{both}));
  ASSERT_TRUE(history->add_pages("", std::vector{answered(ids[0], 3 * hour, {1s}, true, 2)}));
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
  ASSERT_TRUE(
      history->add_pages("", std::vector{answered(ids[0], 30 * 24 * hour, {1s}, false, 3)}));
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
    marks.push_back(measured(id, 900'000));
    marks.back().unbroken_since = at(800'000);
    marks.back().quiet_max = 10s;
  }
  ASSERT_TRUE(freshness->write(marks));
  const ResponsePage page = answered(ids[0], 900'000, {100ms}, true);
  for (const char* node : {"a", "b", "c"}) ASSERT_TRUE(history->add_pages(node, std::vector{page}));
  core::ResponseHistogram minute;
  minute += page.sites[0].counts;
  ASSERT_TRUE(history->add_minute("a", at(0), minute));
  ASSERT_TRUE(history->add_minute("a", at(0), minute));
  ASSERT_TRUE(history->add_minute("b", at(0), minute));
  const auto points = take(take(store->make_uptime_log())->minutes(at(-1), at(1), 10));
  ASSERT_EQ(points.size(), 1U);
  EXPECT_EQ(points[0].responses.total(), 3U);

  auto gone = take(history->purge({.hours = 24h}, 2));
  EXPECT_EQ(gone.of(HistoryTable::ResponsePages), 2U);
  gone = take(history->purge({.hours = 24h}, 2));
  EXPECT_EQ(gone.total(), 1U);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM response_pages"), 3) << "days stay";
  gone = take(history->purge({.events = 24h, .minutes = 24h, .days = 24h}, 100));
  EXPECT_EQ(gone.of(HistoryTable::SiteGaps), 3U);
  EXPECT_EQ(gone.of(HistoryTable::ResponseMinutes), 2U);
  EXPECT_EQ(gone.of(HistoryTable::ResponsePages), 3U);
  EXPECT_NE(take(take(store->make_uptime_log())->known_from()), core::kNoWallTime);
}

}  // namespace
}  // namespace watchwheel::db::contract
