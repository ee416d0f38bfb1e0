// SPDX-License-Identifier: Apache-2.0
// Deliveries: leased to one at a time, in the order of their line, until they are told or given up. Time is not waited for: `pass`
// moves what is due and leased towards the past.
#include <atomic>
#include <map>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "contract.h"
#include "support/eventually.h"

namespace watchwheel::db::contract {
namespace {

using namespace std::chrono_literals;
using core::ErrorKind;
using core::SiteId;
using sideeffects::Bury;
using sideeffects::Claimed;
using sideeffects::Claimer;
using sideeffects::DeathReason;
using sideeffects::Delivered;
using sideeffects::Delivery;
using sideeffects::DeliveryId;
using sideeffects::DeliveryQueue;
using sideeffects::Finish;
using sideeffects::NewDelivery;
using sideeffects::Outbox;
using sideeffects::Retry;
using sideeffects::Snooze;
using sideeffects::Want;

constexpr core::Duration kLease = std::chrono::minutes{1};
const Claimer kHere{.node = "here", .run = 1};
const DeliveryFilter kDead{.dead = true, .target = {}};

NewDelivery message(const std::string& target, std::uint64_t line, const std::string& id) {
  return {.target = target,
          .kind = "down",
          .message_id = id,
          .line = line,
          .site = SiteId{line},
          .body = "{}",
          .events = {core::EventId{line}}};
}

Finish finish_of(const Delivery& delivery, decltype(Finish::verdict) verdict) {
  return {.id = delivery.id, .token = delivery.token, .verdict = verdict};
}

struct Post {
  explicit Post(StoreUnderTest& place, Store& store)
      : under_test(place),
        outbox(contract::take(store.make_outbox())),
        queue(contract::take(store.make_delivery_queue())),
        log(contract::take(store.make_delivery_log())) {}

  void put(const std::vector<NewDelivery>& deliveries) const {
    ASSERT_EQ(contract::take(outbox->settle({}, deliveries, {})), sideeffects::Settling::Done);
  }
  // `count` to "ops", each of a line of its own.
  void put_many(std::size_t count, std::uint64_t first = 1) const {
    std::vector<NewDelivery> all;
    for (std::uint64_t i = first; i < first + count; ++i)
      all.push_back(message("ops", i, "m" + std::to_string(i)));
    put(all);
  }
  Claimed claim(const std::vector<Want>& wants = {{"ops", 200}}, const Claimer& who = kHere) const {
    return contract::take(queue->claim(wants, kLease, who));
  }
  // Says how many of them were lost.
  std::size_t finish(const Delivery& delivery, decltype(Finish::verdict) verdict) const {
    return contract::take(queue->finish(std::vector{finish_of(delivery, verdict)})).size();
  }
  void pass(core::Duration time) const {
    under_test.execute("UPDATE deliveries SET vt = vt - " +
                       std::to_string(std::chrono::ceil<std::chrono::milliseconds>(time).count()));
  }
  std::int64_t number(const std::string& sql) const { return under_test.number(sql); }

  StoreUnderTest& under_test;
  std::unique_ptr<Outbox> outbox;
  std::unique_ptr<DeliveryQueue> queue;
  std::unique_ptr<DeliveryLog> log;
};

std::vector<std::string> message_ids(const Claimed& claimed) {
  std::vector<std::string> ids;
  for (const Delivery& delivery : claimed.deliveries) ids.push_back(delivery.message_id);
  return ids;
}

TEST_P(DeliveryContract, ADeliveryIsHandedOutWholeAndToOneAtATime) {
  const Post post(*under_test, *store);
  NewDelivery given = message("ops", 7, "msg_1");
  given.body = R"({"text":"Störung ' \" ?"})";
  post.put({given});
  const Claimed claimed = post.claim();
  ASSERT_EQ(claimed.deliveries.size(), 1U);
  const Delivery& delivery = claimed.deliveries[0];
  EXPECT_EQ(delivery.target, "ops");
  EXPECT_EQ(delivery.kind, "down");
  EXPECT_EQ(delivery.message_id, "msg_1");
  EXPECT_EQ(delivery.line, 7U);
  EXPECT_EQ(delivery.site, SiteId{7});
  EXPECT_EQ(delivery.body, given.body);
  EXPECT_EQ(delivery.attempt, 1U);
  EXPECT_EQ(delivery.rescues, 0U);
  EXPECT_NE(delivery.token, 0U);
  EXPECT_TRUE(post.claim().deliveries.empty()) << "it is leased";
  EXPECT_EQ(post.finish(delivery, Delivered{}), 0U);
  post.pass(10min);
  EXPECT_TRUE(post.claim().deliveries.empty()) << "it is delivered";
  EXPECT_EQ(post.finish(delivery, Delivered{}), 1U) << "twice";
  EXPECT_EQ(contract::take(post.log->find(delivery.id))->record.status, DeliveryStatus::Delivered);
}

TEST_P(DeliveryContract, NoTargetGetsMoreThanItsRoom) {
  const Post post(*under_test, *store);
  post.put_many(30);
  post.put({message("b", 1, "b1"), message("c", 1, "c1")});
  const Claimed claimed = post.claim({{"ops", 4}, {"b", 9}, {"nobody", 9}});
  std::map<std::string, int> by_target;
  for (const Delivery& delivery : claimed.deliveries) ++by_target[delivery.target];
  EXPECT_EQ(by_target, (std::map<std::string, int>{{"ops", 4}, {"b", 1}}));
  EXPECT_TRUE(claimed.more);
  EXPECT_EQ(post.claim({{"ops", 200}}).deliveries.size(), 26U);
  EXPECT_TRUE(post.claim({{"ops", 0}, {"c", 0}}).deliveries.empty());
}

NewDelivery of_kind(const std::string& kind, const std::string& target, std::uint64_t line,
                    std::vector<std::uint64_t> events) {
  NewDelivery one = message(target, line, kind + std::to_string(line));
  one.kind = kind;
  one.events.clear();
  for (const std::uint64_t event : events) one.events.push_back(core::EventId{event});
  return one;
}

// Goal: nobody hears the end of what they never heard of. Method: an end waits behind a beginning that is given up, by each of the
// ways there are, with and without something else that was told of the event.
TEST_P(DeliveryContract, AnEndGoesWithABeginningThatIsBuried) {
  const Post post(*under_test, *store);
  const auto first = [&] { return post.claim({{"ops", 1}}).deliveries.at(0); };
  const auto dead = [&] { return post.number("SELECT count(*) FROM dead_letters"); };
  const Bury bury{DeathReason::MaxAttempts};

  post.put({of_kind("down", "ops", 1, {1}), of_kind("up", "ops", 1, {1}),
            of_kind("down", "other", 1, {1}), of_kind("up", "other", 1, {1})});
  EXPECT_EQ(post.finish(first(), bury), 0U);
  EXPECT_TRUE(post.claim().deliveries.empty());
  const auto letters = contract::take(post.log->list(kDead, 10));
  ASSERT_EQ(letters.size(), 2U);
  EXPECT_EQ(letters[1].kind, "up");
  EXPECT_EQ(letters[1].reason, "max_attempts");
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_tellings WHERE state = 'dead'"), 2);
  EXPECT_EQ(contract::take(post.queue->bury_waiting("other", DeathReason::Gone, 1)), 1U);
  EXPECT_EQ(dead(), 4);

  post.put({of_kind("seems_down", "ops", 2, {2}), of_kind("down", "ops", 2, {2}),
            of_kind("up", "ops", 2, {2})});
  EXPECT_EQ(post.finish(first(), Delivered{}), 0U);
  EXPECT_EQ(post.finish(first(), bury), 0U);
  const Delivery end = first();
  EXPECT_EQ(end.kind, "up") << "that it seems down was told";
  EXPECT_EQ(post.finish(end, Delivered{}), 0U);
  EXPECT_EQ(dead(), 5);

  post.put({of_kind("down_group", "ops", 9, {5, 6}), of_kind("up_group", "ops", 9, {6})});
  EXPECT_EQ(post.finish(first(), bury), 0U);
  EXPECT_EQ(dead(), 7);
  // Of one of its events the target will be told.
  post.put({of_kind("down_group", "ops", 10, {7}), of_kind("down_group", "ops", 10, {8}),
            of_kind("up_group", "ops", 10, {7, 8}), of_kind("down", "ops", 10, {9})});
  EXPECT_EQ(post.finish(first(), bury), 0U);
  EXPECT_EQ(dead(), 8);
  EXPECT_EQ(post.finish(first(), bury), 0U);
  EXPECT_EQ(dead(), 10) << "and now of none";
  EXPECT_EQ(post.finish(first(), Delivered{}), 0U) << "a beginning stays";

  post.put({of_kind("down", "ops", 3, {3}), of_kind("up", "ops", 3, {3})});
  for (std::uint32_t i = 0; i <= sideeffects::kRescuesMax; ++i) {
    (void)post.claim();
    post.pass(kLease);
  }
  EXPECT_EQ(dead(), 12);
  EXPECT_EQ(post.number("SELECT count(*) FROM deliveries"), 0);
}

// That a site flaps and that it is down are two conditions, though both stand with one event: the end of one is no end of the other.
TEST_P(DeliveryContract, AnEndBelongsToItsOwnKindOfBeginning) {
  const Post post(*under_test, *store);
  const auto first = [&] { return post.claim({{"ops", 1}}).deliveries.at(0); };
  const Bury bury{DeathReason::Permanent};
  post.put({of_kind("flapping", "ops", 1, {1}), of_kind("flapping_over", "ops", 1, {1}),
            of_kind("down", "ops", 1, {1}), of_kind("up", "ops", 1, {1})});
  for (int i = 0; i < 2; ++i) EXPECT_EQ(post.finish(first(), Delivered{}), 0U);
  EXPECT_EQ(post.finish(first(), bury), 0U);
  const auto dead = contract::take(post.log->list(kDead, 10));
  ASSERT_EQ(dead.size(), 2U);
  EXPECT_EQ(dead[1].kind, "up") << "nobody was told that it is down";
  EXPECT_TRUE(is_error(post.log->requeue(dead[1].id).error(), ErrorKind::Invalid, "never told"));

  post.put({of_kind("down", "ops", 2, {2}), of_kind("flapping", "ops", 2, {2}),
            of_kind("up", "ops", 2, {2}), of_kind("flapping_over", "ops", 2, {2})});
  EXPECT_EQ(post.finish(first(), Delivered{}), 0U);
  EXPECT_EQ(post.finish(first(), bury), 0U);
  const Delivery end = first();
  EXPECT_EQ(end.kind, "up");
  EXPECT_EQ(post.finish(end, Delivered{}), 0U);
  EXPECT_EQ(post.number("SELECT count(*) FROM deliveries"), 0);
  EXPECT_EQ(post.number("SELECT count(*) FROM dead_letters WHERE kind = 'flapping_over'"), 1);
}

// A lease that runs out is due like anything else: repairing is claiming.
TEST_P(DeliveryContract, EveryLeaseThatRanOutIsClaimedAgain) {
  const Post post(*under_test, *store);
  post.put_many(120);
  EXPECT_EQ(post.claim().deliveries.size(), 120U);
  post.pass(kLease - 30s);
  EXPECT_TRUE(post.claim().deliveries.empty());
  post.pass(31s);
  const Claimed again = post.claim();
  ASSERT_EQ(again.deliveries.size(), 120U);
  for (const Delivery& delivery : again.deliveries) {
    EXPECT_EQ(delivery.attempt, 2U);
    EXPECT_EQ(delivery.rescues, 1U);
  }
}

TEST_P(StoreContract, WhoLostALeaseCanDoNothingAnyMore) {
  const Post post(*under_test, *store);
  post.put_many(1);
  const Delivery first = post.claim().deliveries.at(0);
  post.pass(kLease);
  const Delivery second = post.claim({{"ops", 9}}, {"there", 5}).deliveries.at(0);
  EXPECT_NE(first.token, second.token);
  EXPECT_EQ(contract::take(post.queue->extend(
                std::vector<sideeffects::Held>{{first.id, first.token}}, kLease)),
            std::vector{first.id});
  for (const decltype(Finish::verdict)& verdict :
       {decltype(Finish::verdict)(Delivered{}), decltype(Finish::verdict)(Retry{1s}),
        decltype(Finish::verdict)(Snooze{1s}), decltype(Finish::verdict)(Bury{})})
    EXPECT_EQ(post.finish(first, verdict), 1U);
  EXPECT_TRUE(contract::take(
                  post.queue->extend(std::vector<sideeffects::Held>{{second.id, second.token}}, 2h))
                  .empty());
  post.pass(1h);
  EXPECT_TRUE(post.claim().deliveries.empty()) << "extended by the owner";
  EXPECT_EQ(post.finish(second, Retry{0s}), 0U);
  EXPECT_EQ(post.claim().deliveries.at(0).attempt, 3U);
}

TEST_P(StoreContract, OfOneLineOnlyTheFirstIsHandedOut) {
  const Post post(*under_test, *store);
  post.put({message("ops", 1, "down"), message("ops", 1, "reminder"), message("ops", 1, "up"),
            message("ops", 2, "other site"), message("b", 1, "other target")});
  const Claimed first = post.claim({{"ops", 9}, {"b", 9}});
  std::vector<std::string> ids = message_ids(first);
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(ids, (std::vector<std::string>{"down", "other site", "other target"}));
  const Delivery down = *std::find_if(first.deliveries.begin(), first.deliveries.end(),
                                      [](const Delivery& d) { return d.message_id == "down"; });
  EXPECT_EQ(post.finish(down, Retry{1h}), 0U);
  post.pass(6min);
  EXPECT_EQ(message_ids(post.claim({{"b", 9}})), std::vector<std::string>{"other target"})
      << "its lease ran out";
  std::vector<std::string> due = message_ids(post.claim());
  EXPECT_EQ(due, std::vector<std::string>{"other site"}) << "what stands behind a retry waits";
  post.pass(1h);
  const Claimed again = post.claim();
  ASSERT_GE(again.deliveries.size(), 1U);
  const auto head = std::find_if(again.deliveries.begin(), again.deliveries.end(),
                                 [](const Delivery& d) { return d.message_id == "down"; });
  ASSERT_NE(head, again.deliveries.end());
  EXPECT_EQ(post.finish(*head, Delivered{}), 0U);
  const Claimed next = post.claim();
  EXPECT_EQ(message_ids(next), std::vector<std::string>{"reminder"}) << "due at once";
  EXPECT_EQ(post.finish(next.deliveries[0], Bury{DeathReason::Permanent}), 0U);
  EXPECT_EQ(message_ids(post.claim()), std::vector<std::string>{"up"}) << "a burial frees it too";
}

// Goal: the end of an outage is never sent before a beginning of it that waits, though they stand in different lines: a site's own,
// and that of a mass outage which it joined later.
TEST_P(DeliveryContract, AnEndWaitsForWhatItEndsInWhateverLine) {
  const Post post(*under_test, *store);
  post.put({of_kind("seems_down", "ops", 1, {1}), of_kind("down_group", "ops", 9, {1, 2}),
            of_kind("up_group", "ops", 9, {1, 2}), of_kind("up_group", "other", 9, {1})});
  const auto kinds = [&](const Claimed& claimed) {
    std::vector<std::string> all;
    for (const Delivery& delivery : claimed.deliveries) all.push_back(delivery.kind);
    std::sort(all.begin(), all.end());
    return all;
  };
  const Claimed begun = post.claim();
  ASSERT_EQ(kinds(begun), (std::vector<std::string>{"down_group", "seems_down"}));
  for (const Delivery& delivery : begun.deliveries) {
    if (delivery.kind == "down_group") {
      EXPECT_EQ(post.finish(delivery, Delivered{}), 0U);
    } else {
      EXPECT_EQ(post.finish(delivery, Retry{10min}), 0U);
    }
  }
  EXPECT_TRUE(post.claim().deliveries.empty());
  post.pass(5min);
  EXPECT_TRUE(post.claim().deliveries.empty()) << "it is tried again later, and so is its end";
  post.pass(5min);
  const Claimed again = post.claim();
  ASSERT_EQ(kinds(again), std::vector<std::string>{"seems_down"});
  EXPECT_EQ(post.finish(again.deliveries[0], Delivered{}), 0U);
  EXPECT_EQ(kinds(post.claim()), std::vector<std::string>{"up_group"}) << "due at once";
  EXPECT_EQ(kinds(post.claim({{"other", 9}})), std::vector<std::string>{"up_group"});
}

// Goal: what begins at a site is not sent before the end of what was before, though they stand in different lines, the end refused
// and tried again; it is sent when that has been, and waits for nothing else. An event between them of which nobody was told
// changes nothing.
TEST_P(DeliveryContract, WhatBeginsWaitsForTheEndOfTheSitesFormerEventInWhateverLine) {
  const Post post(*under_test, *store);
  const auto ids = add_sites(2);
  std::vector<std::uint64_t> of_first;
  for (const std::int64_t start : {0, 90'000, 180'000}) {
    const auto write = start == 180'000 ? confirmed(ids[0], start) : whole_story(ids[0], start);
    if (start == 180'000) commit(opened(ids[0], start));
    commit(write);
    of_first.push_back(static_cast<std::uint64_t>(
        post.number("SELECT id FROM events WHERE site_id = " + std::to_string(ids[0].value) +
                    " ORDER BY started_at DESC LIMIT 1")));
  }
  commit(opened(ids[1], 0));
  const std::uint64_t of_other = incident_of(ids[1]).id.value;
  const std::uint64_t line = ids[0].value;
  post.put({of_kind("up_group", "ops", 99, {of_first[0]}), of_kind("down", "ops", line, {of_first[2]}),
            of_kind("down", "ops", ids[1].value, {of_other}),
            of_kind("down", "other", line, {of_first[2]})});
  const auto lines = [](const Claimed& claimed) {
    std::set<std::uint64_t> all;
    for (const Delivery& delivery : claimed.deliveries) all.insert(delivery.line);
    return all;
  };
  const Claimed begun = post.claim({{"ops", 9}, {"other", 9}});
  EXPECT_EQ(lines(begun), (std::set<std::uint64_t>{99, line, ids[1].value}));
  ASSERT_EQ(begun.deliveries.size(), 3U) << "to another target it says the first that is told";
  for (const Delivery& delivery : begun.deliveries) {
    if (delivery.line == line) {
      EXPECT_EQ(delivery.target, "other");
    }
    if (delivery.line == 99) {
      EXPECT_EQ(post.finish(delivery, Retry{10min}), 0U);
    } else {
      EXPECT_EQ(post.finish(delivery, Delivered{}), 0U);
    }
  }
  EXPECT_TRUE(post.claim().deliveries.empty());
  post.pass(5min);
  EXPECT_TRUE(post.claim().deliveries.empty()) << "the end is tried again later, so it waits";
  post.pass(5min);
  const Claimed again = post.claim();
  ASSERT_EQ(lines(again), std::set<std::uint64_t>{99});
  EXPECT_TRUE(post.claim().deliveries.empty()) << "it is being sent";
  EXPECT_EQ(post.finish(again.deliveries[0], Delivered{}), 0U);
  post.pass(3s);
  EXPECT_EQ(lines(post.claim()), std::set<std::uint64_t>{line});
}

// Goal: an event between them whose messages were given up or taken back hides no end that waits, nor does one that began "before" it by
// a clock that was set back. Method: the end of a mass outage is tried again later; of three sites each of these happens meanwhile.
TEST_P(DeliveryContract, NothingBetweenHidesAnEndThatWaitsFromWhatBegins) {
  const Post post(*under_test, *store);
  const auto ids = add_sites(3);
  for (const SiteId id : {ids[0], ids[1]}) {
    commit(whole_story(id, 0));
    commit(whole_story(id, 90'000));
    commit(opened(id, 180'000));
  }
  commit(whole_story(ids[2], 90'000));
  commit(opened(ids[2], 0));
  const auto event = [&](SiteId id, int nth) {
    return static_cast<std::uint64_t>(
        post.number("SELECT id FROM events WHERE site_id = " + std::to_string(id.value) +
                    " ORDER BY id LIMIT 1 OFFSET " + std::to_string(nth)));
  };
  const auto down = [&](SiteId id, int nth) {
    return of_kind("down", "ops", id.value, {event(id, nth)});
  };
  const std::uint64_t line = 1ULL << 40U;
  post.put({of_kind("up_group", "ops", line,
                    {event(ids[0], 0), event(ids[1], 0), event(ids[2], 0)})});
  EXPECT_EQ(post.finish(post.claim().deliveries.at(0), Retry{10min}), 0U);

  post.put({down(ids[0], 1)});
  NewDelivery up = of_kind("up", "ops", ids[0].value, {event(ids[0], 1)});
  up.instead_of = {
      DeliveryId{static_cast<std::uint64_t>(post.number("SELECT max(id) FROM deliveries"))}};
  post.put({up});
  post.put({down(ids[1], 1)});
  under_test->execute("UPDATE deliveries SET queued_at = queued_at - 1000");
  EXPECT_EQ(contract::take(post.queue->bury_older("ops", DeathReason::TooOld, 1ms, 10)), 1U);
  ASSERT_EQ(post.number("SELECT count(*) FROM deliveries"), 1) << "the end alone waits";

  post.put({down(ids[0], 2), down(ids[1], 2), down(ids[2], 1)});
  EXPECT_TRUE(post.claim().deliveries.empty());
  post.pass(10min);
  const Claimed end = post.claim();
  ASSERT_EQ(end.deliveries.size(), 1U);
  EXPECT_EQ(end.deliveries[0].kind, "up_group");
  EXPECT_EQ(post.finish(end.deliveries[0], Delivered{}), 0U);
  post.pass(3s);
  EXPECT_EQ(post.claim().deliveries.size(), 3U);
}

// Goal: a heap of messages of one line does not keep others of the target from being found.
TEST_P(DeliveryContract, ALongLineHidesNobody) {
  const Post post(*under_test, *store);
  std::vector<NewDelivery> all;
  for (int i = 0; i < 300; ++i) all.push_back(message("ops", 1, "long" + std::to_string(i)));
  all.push_back(message("ops", 2, "short"));
  post.put(all);
  std::set<std::string> claimed;
  for (int i = 0; i < 10; ++i) {
    for (const std::string& id : message_ids(post.claim({{"ops", 4}}))) claimed.insert(id);
  }
  EXPECT_EQ(claimed, (std::set<std::string>{"long0", "short"}));
}

// Goal: while a heap is worked off, claims go on where the last one ended; what became due behind them is not left out for long, nor
// once the heap is gone. Method: one is moved to the front, as a commit that took its time would put it there.
TEST_P(DeliveryContract, WhatBecomesDueBehindAClaimIsFoundThoughTheHeapLasts) {
  const Post post(*under_test, *store);
  post.put_many(60);
  const auto late = [&](const std::string& id) {
    under_test->execute("UPDATE deliveries SET vt = 5 WHERE message_id = '" + id + "'");
  };
  under_test->execute("UPDATE deliveries SET vt = 10 * id");
  EXPECT_EQ(message_ids(post.claim({{"ops", 2}})), (std::vector<std::string>{"m1", "m2"}));
  late("m40");
  EXPECT_EQ(message_ids(post.claim({{"ops", 2}})), (std::vector<std::string>{"m3", "m4"}))
      << "there is more, and what was passed is not walked over again";
  std::size_t looks = 0;
  EXPECT_TRUE(testing::eventually([&] {
    for (const Delivery& delivery : post.claim({{"ops", 1}}).deliveries) {
      if (delivery.message_id == "m40") return true;
      EXPECT_EQ(post.finish(delivery, Snooze{}), 0U);  // At the end of the heap.
      ++looks;
    }
    return false;
  })) << looks;
  (void)post.claim({{"ops", 2}});
  late("m50");
  const std::vector<std::string> rest = message_ids(post.claim());
  EXPECT_NE(std::find(rest.begin(), rest.end(), "m50"), rest.end()) << "the heap is at its end";
  EXPECT_EQ(post.claim().deliveries.size(), 0U);
}

TEST_P(DeliveryContract, ARetryIsDueThenAndASnoozeGivesTheAttemptBack) {
  const Post post(*under_test, *store);
  post.put_many(1);
  EXPECT_EQ(post.finish(post.claim().deliveries.at(0), Retry{10min}), 0U);
  post.pass(9min);
  EXPECT_TRUE(post.claim().deliveries.empty());
  post.pass(1min);
  const Delivery second = post.claim().deliveries.at(0);
  EXPECT_EQ(second.attempt, 2U);
  EXPECT_EQ(second.rescues, 0U);
  EXPECT_EQ(post.finish(second, Snooze{0s}), 0U);
  EXPECT_EQ(post.claim().deliveries.at(0).attempt, 2U);
}

// The receiver may have what was begun when we stopped: it costs one attempt, once, and is not taken back any more.
TEST_P(DeliveryContract, WhatWasBegunStaysAttempted) {
  const Post post(*under_test, *store);
  post.put_many(1);
  for (int stop = 0; stop < 3; ++stop) {
    const Delivery delivery = post.claim().deliveries.at(0);
    EXPECT_EQ(delivery.attempt, stop == 0 ? 1U : 2U);
    EXPECT_EQ(post.finish(delivery, Snooze{.after = 0s, .begun = true}), 0U);
    NewDelivery up = message("ops", 1, "up" + std::to_string(stop));
    up.instead_of = {delivery.id};
    post.put({up});
    EXPECT_EQ(post.number("SELECT count(*) FROM deliveries"), stop + 2);
  }
  EXPECT_EQ(post.number("SELECT count(*) FROM deliveries_done"), 0);
}

// A receiver that always refuses: so many attempts as allowed, then a dead letter that tells each of them.
TEST_P(DeliveryContract, ADeadLetterTellsItsAttempts) {
  const Post post(*under_test, *store);
  post.put_many(1);
  for (std::uint32_t attempt = 1; attempt <= 5; ++attempt) {
    const Delivery delivery = post.claim().deliveries.at(0);
    ASSERT_EQ(delivery.attempt, attempt);
    Finish finish = finish_of(delivery, Retry{1s});
    if (attempt == 5) finish.verdict = Bury{DeathReason::MaxAttempts};
    finish.http_status = 500;
    finish.took = 12ms;
    finish.detail = "try " + std::to_string(attempt) + " \xff";
    ASSERT_TRUE(contract::take(post.queue->finish(std::vector{finish})).empty());
    post.pass(1s);
  }
  EXPECT_TRUE(post.claim().deliveries.empty());
  EXPECT_TRUE(contract::take(post.log->list({}, 10)).empty());
  const auto dead = contract::take(post.log->list(kDead, 10));
  ASSERT_EQ(dead.size(), 1U);
  EXPECT_EQ(dead[0].status, DeliveryStatus::Dead);
  EXPECT_EQ(dead[0].reason, "max_attempts");
  EXPECT_EQ(dead[0].attempts, 5U);
  EXPECT_EQ(dead[0].http_status, 500);
  const DeliveryDetail detail = *contract::take(post.log->find(dead[0].id));
  EXPECT_EQ(detail.body, "{}");
  ASSERT_EQ(detail.attempts.size(), 5U);
  for (std::uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(detail.attempts[i].attempt, i + 1);
    EXPECT_EQ(detail.attempts[i].http_status, 500);
    EXPECT_EQ(detail.attempts[i].took, 12ms);
    EXPECT_TRUE(detail.attempts[i].detail.starts_with("try " + std::to_string(i + 1)));
    EXPECT_EQ(detail.attempts[i].last, i == 4);
  }
}

TEST_P(DeliveryContract, OnlyTheNewestAttemptsAreKept) {
  const Post post(*under_test, *store);
  post.put_many(1);
  for (int i = 0; i < 25; ++i) {
    EXPECT_EQ(post.finish(post.claim().deliveries.at(0), Retry{1s}), 0U);
    post.pass(1s);
  }
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_attempts"), sideeffects::kAttemptsKept);
  EXPECT_EQ(post.number("SELECT max(attempt) FROM delivery_attempts"), 25);
}

TEST_P(DeliveryContract, DeadLettersAreRequeuedUnderTheirIds) {
  const Post post(*under_test, *store);
  post.put_many(4);
  post.put({message("b", 9, "b1")});
  const Claimed claimed = post.claim({{"ops", 9}, {"b", 9}});
  for (const Delivery& delivery : claimed.deliveries)
    EXPECT_EQ(post.finish(delivery, Bury{delivery.target == "b" ? DeathReason::Gone
                                                                : DeathReason::Permanent}),
              0U);
  EXPECT_EQ(contract::take(post.log->list({.dead = true, .target = "b"}, 10)).size(), 1U);
  EXPECT_EQ(contract::take(
                post.log->list({.dead = true, .target = {}, .reason = DeathReason::Permanent}, 10))
                .size(),
            4U);
  EXPECT_EQ(contract::take(
                post.log->list({.dead = true, .target = "b", .reason = DeathReason::Permanent}, 10))
                .size(),
            0U);
  const auto dead = contract::take(post.log->list({.dead = true, .target = "ops"}, 10));
  ASSERT_EQ(dead.size(), 4U);

  ASSERT_TRUE(post.log->requeue(dead[0].id));
  EXPECT_TRUE(is_error(post.log->requeue(dead[0].id).error(), ErrorKind::NotFound, "dead letter"));
  const Delivery one = post.claim().deliveries.at(0);
  EXPECT_EQ(one.id, dead[0].id);
  EXPECT_EQ(one.message_id, dead[0].message_id);
  EXPECT_EQ(one.attempt, 1U);
  EXPECT_EQ(one.requeues, 1U);
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_tellings WHERE state = 'queued'"), 1);

  EXPECT_EQ(contract::take(post.log->requeue_all({.dead = true, .target = "ops"}, 10s)), 3U);
  EXPECT_EQ(post.claim().deliveries.size(), 1U) << "ten seconds apart";
  post.pass(10s);
  EXPECT_EQ(post.claim().deliveries.size(), 1U);
  EXPECT_EQ(contract::take(post.log->list(kDead, 10)).size(), 1U) << "b's";
}

// Whoever finished the first of a line may have looked for the next before it was there: that one does not wait for the lease's end.
// Goal: what a person requeues tells nobody the end of what they were not told.
TEST_P(DeliveryContract, AnEndIsRequeuedOnlyBehindWhatItEnds) {
  const Post post(*under_test, *store);
  post.put({of_kind("down", "ops", 1, {1}), of_kind("up", "ops", 1, {1})});
  EXPECT_EQ(post.finish(post.claim().deliveries.at(0), Bury{DeathReason::Permanent}), 0U);
  const auto dead = contract::take(post.log->list(kDead, 10));
  ASSERT_EQ(dead.size(), 2U);
  EXPECT_TRUE(is_error(post.log->requeue(dead[1].id).error(), ErrorKind::Invalid, "never told"));
  EXPECT_EQ(contract::take(post.log->requeue_all({.dead = true, .target = "ops"}, {})), 2U);
  const Claimed first = post.claim();
  ASSERT_EQ(first.deliveries.size(), 1U);
  EXPECT_EQ(first.deliveries[0].kind, "down");
}

// A condition that nobody would end is not begun again. What the router has read of who was told is of before.
TEST_P(DeliveryContract, ThatASiteFlapsIsRequeuedOnlyAsLongAsItDoes) {
  const Post post(*under_test, *store);
  const auto all = [&] {
    return contract::take(post.outbox->take(9, [](SiteId) { return true; }));
  };
  const auto die = [&] {
    EXPECT_EQ(post.finish(post.claim().deliveries.at(0), Bury{DeathReason::Permanent}), 0U);
  };
  post.put({of_kind("flapping", "ops", 1, {1})});
  const sideeffects::NewWake wake{.site = SiteId{1},
                                  .event = core::EventId{1},
                                  .memo = sideeffects::flapping_memo(core::from_unix_ms(1000))};
  (void)contract::take(post.outbox->settle({}, {}, std::vector{wake}));
  die();
  const auto before = all();
  ASSERT_EQ(before.size(), 1U);
  const auto dead = contract::take(post.log->list(kDead, 10));
  ASSERT_EQ(dead.size(), 1U);
  ASSERT_TRUE(post.log->requeue(dead[0].id));
  EXPECT_EQ(contract::take(post.outbox->settle(std::vector{before[0].id}, {}, {})),
            sideeffects::Settling::Stale);
  const auto after = all();
  ASSERT_EQ(after.size(), 1U);
  EXPECT_EQ(after[0].memo, wake.memo);
  EXPECT_EQ(after[0].at, before[0].at);
  EXPECT_EQ(after[0].tellings.at(0).state, sideeffects::Telling::State::Queued);
  die();
  (void)contract::take(post.outbox->settle(std::vector{after[0].id}, {}, {}));
  EXPECT_TRUE(is_error(post.log->requeue(dead[0].id).error(), ErrorKind::Invalid, "not flap"));
  EXPECT_EQ(contract::take(post.log->requeue_all(kDead, {})), 0U);
}

// Goal: that a site flaps stands among the tellings of an event, and is no word about that event's outage: a beginning that was given
// up, and its end, can be sent again though "flapping" was told after them.
TEST_P(DeliveryContract, WhatIsToldOfFlappingOvertakesNoOutage) {
  const Post post(*under_test, *store);
  const SiteId site = add_sites(1)[0];
  commit(whole_story(site, 0));
  for (const auto& notice : contract::take(post.outbox->take(9, [](SiteId) { return true; })))
    (void)contract::take(post.outbox->settle(std::vector{notice.id}, {}, {}));
  const core::EventId event = incident_of(site).id;
  const auto put = [&](const std::vector<std::string>& kinds) {
    std::vector<NewDelivery> all;
    for (const std::string& kind : kinds)
      all.push_back(of_kind(kind, "ops", site.value, {event.value}));
    post.put(all);
  };
  const auto next = [&] { return post.claim({{"ops", 1}}).deliveries.at(0); };
  const auto requeue_one = [&](const std::string& kind) {
    for (const DeliveryRecord& dead : contract::take(post.log->list(kDead, 10)))
      if (dead.kind == kind) return post.log->requeue(dead.id).has_value();
    return false;
  };
  const Bury bury{DeathReason::MaxAttempts};

  put({"seems_down", "flapping", "up", "flapping_over"});
  EXPECT_EQ(post.finish(next(), bury), 0U);
  for (const char* kind : {"flapping", "flapping_over"}) {
    const Delivery delivery = next();
    EXPECT_EQ(delivery.kind, kind);
    EXPECT_EQ(post.finish(delivery, Delivered{}), 0U);
  }
  EXPECT_TRUE(post.claim().deliveries.empty());
  EXPECT_TRUE(requeue_one("seems_down")) << "that it flapped came later, and is no word of it";
  EXPECT_TRUE(requeue_one("up"));
  for (const char* kind : {"seems_down", "up"}) {
    const Delivery delivery = next();
    EXPECT_EQ(delivery.kind, kind);
    EXPECT_EQ(post.finish(delivery, Delivered{}), 0U);
  }
}

TEST_P(DeliveryContract, WhoStandsBehindOneThatIsBeingSentIsSeenAgainSoon) {
  const Post post(*under_test, *store);
  post.put({message("ops", 1, "down"), message("ops", 1, "up")});
  ASSERT_EQ(message_ids(post.claim()), std::vector<std::string>{"down"});
  EXPECT_TRUE(post.claim().deliveries.empty());
  under_test->execute("DELETE FROM deliveries WHERE message_id = 'down'");
  post.pass(2s);
  EXPECT_EQ(message_ids(post.claim()), std::vector<std::string>{"up"});
}

// What ends the process at every attempt does not end it for ever.
TEST_P(DeliveryContract, PoisonIsBuriedAndOthersGoOn) {
  const Post post(*under_test, *store);
  post.put_many(2);
  std::size_t handed_out = 0;
  for (int i = 0; i < 20; ++i) {
    const Claimed claimed = post.claim();
    for (const Delivery& delivery : claimed.deliveries) {
      if (delivery.message_id == "m1") {
        ++handed_out;
      } else {
        EXPECT_EQ(post.finish(delivery, Delivered{}), 0U);
      }
    }
    post.pass(kLease);
    if (claimed.poisoned > 0) break;
  }
  EXPECT_EQ(handed_out, sideeffects::kRescuesMax);
  const auto dead = contract::take(post.log->list(kDead, 10));
  ASSERT_EQ(dead.size(), 1U);
  EXPECT_EQ(dead[0].message_id, "m1");
  EXPECT_EQ(dead[0].reason, "poison");
  EXPECT_EQ(post.number("SELECT count(*) FROM deliveries_done"), 1);
}

TEST_P(DeliveryContract, WhatAFormerRunHeldIsDueAtOnce) {
  const Post post(*under_test, *store);
  post.put_many(600);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(post.claim().deliveries.size(), 200U);
  EXPECT_EQ(contract::take(post.queue->release_former(kHere)), 0U) << "this run's own";
  EXPECT_EQ(contract::take(post.queue->release_former({"there", 2})), 0U) << "another node's";
  EXPECT_EQ(contract::take(post.queue->release_former({"here", 2})), 600U);
  std::size_t again = 0;
  for (int i = 0; i < 3; ++i) {
    for (const Delivery& delivery : post.claim({{"ops", 200}}, {"here", 2}).deliveries) {
      ++again;
      ASSERT_EQ(delivery.rescues, 1U);
    }
  }
  EXPECT_EQ(again, 600U);
}

TEST_P(DeliveryContract, WhatWaitsForATargetThatIsGoneIsBuried) {
  const Post post(*under_test, *store);
  post.put_many(5);
  const Delivery leased = post.claim({{"ops", 1}}).deliveries.at(0);
  EXPECT_EQ(contract::take(post.queue->bury_waiting("ops", DeathReason::Gone, 3)), 3U);
  EXPECT_EQ(contract::take(post.queue->bury_waiting("ops", DeathReason::Gone, 3)), 1U);
  EXPECT_EQ(contract::take(post.queue->bury_waiting("ops", DeathReason::Gone, 3)), 0U);
  EXPECT_EQ(post.finish(leased, Delivered{}), 0U) << "what is under way goes on";
  EXPECT_EQ(contract::take(post.log->list(kDead, 10)).size(), 4U);
}

TEST_P(DeliveryContract, WhatIsTooOldIsBuriedButForTheEndOfWhatWasTold) {
  const Post post(*under_test, *store);
  post.put({message("ops", 1, "leased")});
  ASSERT_EQ(post.claim({{"ops", 1}}).deliveries.size(), 1U);
  NewDelivery end_of_told = message("ops", 2, "end");
  end_of_told.kind = "up";
  NewDelivery end_of_old = message("ops", 3, "its end");
  end_of_old.kind = "up";
  post.put({end_of_told, message("ops", 3, "old"), message("other", 4, "elsewhere")});
  under_test->execute("UPDATE deliveries SET queued_at = queued_at - 100000");
  post.put({end_of_old, message("ops", 5, "young")});
  const auto bury = [&](core::Duration age, std::size_t limit) {
    return contract::take(post.queue->bury_older("ops", DeathReason::TooOld, age, limit));
  };
  EXPECT_EQ(bury(std::chrono::minutes{2}, 10), 0U);
  EXPECT_EQ(bury(std::chrono::minutes{1}, 10), 1U);
  EXPECT_EQ(bury(std::chrono::minutes{1}, 10), 0U);
  std::vector<std::string> dead;
  for (const DeliveryRecord& one : contract::take(post.log->list(kDead, 10))) {
    dead.push_back(one.message_id);
    EXPECT_EQ(one.reason, "too_old");
  }
  EXPECT_EQ(dead, (std::vector<std::string>{"old", "its end"}));
}

TEST_P(DeliveryContract, LevelsTellEachTargetsHeapAndAge) {
  const Post post(*under_test, *store);
  EXPECT_TRUE(contract::take(post.queue->levels()).empty());
  post.put_many(5);
  post.put({message("b", 1, "b1")});
  (void)post.claim({{"ops", 2}});
  EXPECT_EQ(post.finish(post.claim({{"b", 1}}).deliveries.at(0), Bury{}), 0U);
  under_test->execute(
      "UPDATE deliveries SET queued_at = queued_at - 60000 WHERE message_id = 'm3'");
  const auto levels = contract::take(post.queue->levels());
  ASSERT_EQ(levels.size(), 2U);
  EXPECT_EQ(levels[0].target, "b");
  EXPECT_EQ(levels[0].dead, 1U);
  EXPECT_EQ(levels[0].waiting + levels[0].leased, 0U);
  EXPECT_EQ(levels[1].target, "ops");
  EXPECT_EQ(levels[1].waiting, 3U);
  EXPECT_EQ(levels[1].leased, 2U);
  EXPECT_GE(levels[1].oldest, 60s);
}

// Goal: a host does not bury what another one sends. Method: one says what it has configured, the other reads it.
TEST_P(DeliveryContract, WhatOneProcessHasConfiguredIsSeenByTheOthers) {
  const Post post(*under_test, *store);
  const auto other = contract::take(store->make_delivery_queue());
  const auto seen = [&](const std::string& target) -> std::optional<core::Duration> {
    for (const auto& level : contract::take(other->levels())) {
      if (level.target == target) return level.seen;
    }
    ADD_FAILURE() << target << " is not there";
    return {};
  };
  const auto note = [&](const std::vector<std::string>& targets) {
    EXPECT_TRUE(post.queue->note_targets(targets));
  };
  post.put({message("ops", 1, "m1"), message("gone", 2, "m2"), message("nobody's", 3, "m3")});
  note({"quiet", "ops", "gone"});
  EXPECT_LT(seen("ops"), 60s);
  EXPECT_EQ(seen("nobody's"), std::nullopt);
  EXPECT_EQ(contract::take(other->levels()).size(), 3U) << "nothing waits for quiet";

  const std::string earlier = "UPDATE delivery_targets SET seen_at = seen_at - ";
  under_test->execute(earlier + "700000");
  EXPECT_GE(seen("ops"), 700s);
  note({"ops", "quiet"});
  EXPECT_LT(seen("ops"), 60s);
  EXPECT_GE(seen("gone"), 700s);

  under_test->execute(earlier + "30000");
  note({"ops"});
  EXPECT_GE(seen("ops"), 30s) << "not written each time";
  under_test->execute(earlier + "90000000");
  note({"ops"});
  EXPECT_LT(seen("ops"), 60s);
  EXPECT_EQ(seen("gone"), std::nullopt) << "forgotten";
  under_test->execute("UPDATE delivery_targets SET seen_at = seen_at + 90000000");
  EXPECT_EQ(seen("ops"), 0s) << "the clock was set back";
  note({"ops"});
  under_test->execute(earlier + "50000");
  EXPECT_GE(seen("ops"), 50s);
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_targets"), 1);
}

TEST_P(DeliveryContract, WhatIsOverIsKeptForAWhileAndGoesInSmallSteps) {
  const Post post(*under_test, *store);
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  commit(whole_story(ids[1], 0));
  const auto open = static_cast<std::uint64_t>(
      under_test->number("SELECT id FROM events WHERE ended_at IS NULL"));
  const auto over = static_cast<std::uint64_t>(
      under_test->number("SELECT id FROM events WHERE ended_at IS NOT NULL"));
  std::vector<NewDelivery> all;
  for (const std::uint64_t event : {open, over}) {
    for (int i = 0; i < 3; ++i) {
      all.push_back(message("ops", event * 10 + static_cast<std::uint64_t>(i), "x"));
      all.back().events = {core::EventId{event}};
    }
  }
  post.put(all);
  int number = 0;
  for (const Delivery& delivery : post.claim().deliveries) {
    EXPECT_EQ(post.finish(delivery, Retry{0s}), 0U);
    const Delivery again = post.claim({{"ops", 1}}).deliveries.at(0);
    EXPECT_EQ(post.finish(again, ++number % 2 == 0 ? decltype(Finish::verdict)(Delivered{})
                                                   : decltype(Finish::verdict)(Bury{})),
              0U);
  }
  EXPECT_EQ(contract::take(post.queue->purge({}, 100)), 0U) << "all of it is young";
  for (const char* change : {"deliveries_done SET done_at = 1", "dead_letters SET died_at = 1",
                             "delivery_tellings SET at = 1"})
    under_test->execute("UPDATE " + std::string(change));
  const std::uint64_t step = contract::take(post.queue->purge({}, 1));
  EXPECT_GE(step, 2U);
  EXPECT_LE(step, 3U);
  for (int i = 0; i < 10; ++i) (void)contract::take(post.queue->purge({}, 2));
  EXPECT_EQ(post.number("SELECT count(*) FROM deliveries_done"), 0);
  EXPECT_EQ(post.number("SELECT count(*) FROM dead_letters"), 0);
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_attempts"), 0);
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_tellings"), 3) << "of the open event";
}

// A site that flaps for longer than tellings are kept: those who were told hear that it is steady.
TEST_P(DeliveryContract, WhoWasToldThatASiteFlapsIsKnownAsLongAsTheEventIs) {
  const Post post(*under_test, *store);
  const auto ids = add_sites(1);
  commit(whole_story(ids[0], 0));
  const auto over = static_cast<std::uint64_t>(under_test->number("SELECT id FROM events"));
  post.put({of_kind("down", "ops", 1, {over}), of_kind("flapping", "ops", 1, {over})});
  under_test->execute("UPDATE delivery_tellings SET at = 1");
  const auto purge = [&] {
    for (int i = 0; i < 4; ++i) (void)contract::take(post.queue->purge({}, 10));
  };
  purge();
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_tellings WHERE kind = 'flapping'"), 1);
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_tellings"), 1);
  under_test->execute("DELETE FROM event_transitions");
  under_test->execute("DELETE FROM events");
  purge();
  EXPECT_EQ(post.number("SELECT count(*) FROM delivery_tellings"), 0);
}

// Goal: the machine of states as a whole: attempts and rescues count as told, a token that was replaced does nothing, and what was
// accepted ends. Method: random steps of two claimers against a model; the seed is printed.
TEST_P(DeliveryContract, RandomStepsOfTwoClaimersAgreeWithAModel) {
  const Post post(*under_test, *store);
  const auto other = contract::take(store->make_delivery_queue());
  struct Row {
    std::uint64_t token = 0;  // 0: nobody's.
    std::uint32_t attempts = 0;
    std::uint32_t rescues = 0;
    bool over = false;
  };
  std::map<std::uint64_t, Row> model;
  std::vector<Delivery> held;  // With a token that may be old.
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const auto below = [&](std::size_t n) {
    return std::uniform_int_distribution<std::size_t>(0, n - 1)(random);
  };
  post.put_many(12);
  const auto claim = [&](std::uint32_t room) {
    DeliveryQueue& queue = below(2) == 0 ? *post.queue : *other;
    const Claimed claimed =
        contract::take(queue.claim(std::vector<Want>{{"ops", room}}, kLease, kHere));
    if (claimed.poisoned > 0) {
      for (const DeliveryRecord& dead : contract::take(
               post.log->list({.dead = true, .target = {}, .reason = DeathReason::Poison}, 99))) {
        Row& row = model[dead.id.value];
        EXPECT_TRUE(row.over || row.rescues + 1 == sideeffects::kRescuesMax);
        row.over = true;
      }
    }
    for (const Delivery& delivery : claimed.deliveries) {
      Row& row = model[delivery.id.value];
      ASSERT_FALSE(row.over);
      ++row.attempts;
      if (row.token != 0) ++row.rescues;
      row.token = delivery.token;
      ASSERT_EQ(delivery.attempt, row.attempts);
      ASSERT_EQ(delivery.rescues, row.rescues);
      ASSERT_LT(row.rescues, sideeffects::kRescuesMax);
      held.push_back(delivery);
    }
  };
  for (int step = 0; step < 150; ++step) {
    const std::size_t what = below(10);
    if (what < 3) {
      claim(1 + static_cast<std::uint32_t>(below(5)));
    } else if (what < 4) {
      post.pass(kLease);
    } else if (!held.empty()) {
      const std::size_t at = below(held.size());
      const Delivery delivery = held[at];
      Row& row = model[delivery.id.value];
      const bool ours = !row.over && row.token == delivery.token;
      const std::vector<decltype(Finish::verdict)> verdicts{Retry{0s}, Snooze{0s}, Bury{},
                                                            Delivered{}};
      const std::size_t verdict = below(what < 6 ? 4 : 2);
      ASSERT_EQ(post.finish(delivery, verdicts[verdict]), ours ? 0U : 1U);
      if (ours) {
        row.token = 0;
        row.over = verdict >= 2;
        if (verdict == 1) --row.attempts;
      }
      if (below(3) != 0) held.erase(held.begin() + static_cast<std::ptrdiff_t>(at));
    }
  }
  std::size_t over = 0;
  for (const auto& [id, row] : model) over += row.over ? 1U : 0U;
  EXPECT_EQ(post.number("SELECT count(*) FROM deliveries"), 12 - static_cast<std::int64_t>(over));
  EXPECT_EQ(post.number("SELECT (SELECT count(*) FROM deliveries) + (SELECT count(*) FROM"
                        " deliveries_done) + (SELECT count(*) FROM dead_letters)"),
            12)
      << "each is in exactly one place";
}

// Goal: several processes on one queue lose nothing and tell nothing twice. Method: two insert (of lines that meet), three claim with
// short leases and forget one of ten as a crash would; what was finished for good is counted. Conflicts are the store's to solve: no
// call may fail.
TEST_P(StoreContract, ManyClaimersShareOneQueue) {
  constexpr std::uint64_t kInserts = 60;
  constexpr std::uint64_t kAtOnce = 4;
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::map<std::uint64_t, int> delivered;
  std::vector<std::string> problems;
  const auto failed = [&](const core::Error& error) {
    const std::lock_guard lock(mutex);
    problems.push_back(error.message);
    stop = true;
  };
  std::vector<std::thread> threads;
  for (std::uint64_t writer = 0; writer < 2; ++writer) {
    threads.emplace_back([&, writer] {
      const auto outbox = contract::take(store->make_outbox());
      for (std::uint64_t i = 0; i < kInserts && !stop; ++i) {
        std::vector<NewDelivery> some;
        for (std::uint64_t k = 0; k < kAtOnce; ++k)
          some.push_back(message(k % 2 == 0 ? "a" : "b", (i + k) % 7,
                                 std::to_string(writer) + "_" + std::to_string(i * kAtOnce + k)));
        if (const auto done = outbox->settle({}, some, {}); !done) failed(done.error());
      }
    });
  }
  for (std::uint64_t claimer = 0; claimer < 3; ++claimer) {
    threads.emplace_back([&, claimer] {
      const auto queue = contract::take(store->make_delivery_queue());
      std::mt19937 random(static_cast<unsigned>(claimer));
      while (!stop) {
        const auto claimed = queue->claim(std::vector<Want>{{"a", 5}, {"b", 5}}, 100ms,
                                          {.node = std::to_string(claimer), .run = 1});
        if (!claimed) return failed(claimed.error());
        std::vector<Finish> finished;
        for (const Delivery& delivery : claimed->deliveries) {
          const auto chance = random() % 10;
          if (chance == 0 && delivery.rescues < 3) continue;  // Died.
          finished.push_back(finish_of(delivery, Delivered{}));
          if (chance == 1) finished.back().verdict = Retry{1ms};
          if (chance == 2) finished.back().verdict = Snooze{1ms};
        }
        const auto lost = queue->finish(finished);
        if (!lost) return failed(lost.error());
        const std::lock_guard lock(mutex);
        for (const Finish& finish : finished) {
          const bool kept = std::find(lost->begin(), lost->end(), finish.id) == lost->end();
          if (kept && std::holds_alternative<Delivered>(finish.verdict))
            ++delivered[finish.id.value];
        }
      }
    });
  }
  const std::size_t wanted = 2 * kInserts * kAtOnce;
  EXPECT_TRUE(testing::eventually(
      [&] {
        const std::lock_guard lock(mutex);
        return stop || delivered.size() >= wanted;
      },
      60s));
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(problems, std::vector<std::string>{});
  EXPECT_EQ(delivered.size(), wanted);
  for (const auto& [id, times] : delivered) EXPECT_EQ(times, 1) << id;
  EXPECT_EQ(under_test->number("SELECT count(*) FROM deliveries_done"),
            static_cast<std::int64_t>(wanted));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM deliveries"), 0);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM dead_letters"), 0);
}

}  // namespace
}  // namespace watchwheel::db::contract
