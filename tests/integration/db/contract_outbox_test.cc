// SPDX-License-Identifier: Apache-2.0
// Notices: what is committed comes out once, in order, with what deciding needs; what is settled stays settled.
#include <algorithm>
#include <map>

#include "contract.h"
#include "db/hold_log.h"

namespace watchwheel::db::contract {
namespace {

using namespace std::chrono_literals;
using core::SiteId;
using sideeffects::NewDelivery;
using sideeffects::NewWake;
using sideeffects::Notice;
using sideeffects::NoticeId;
using sideeffects::Outbox;
using sideeffects::Settling;
using sideeffects::Telling;

// A store's outbox, and what lies behind it.
struct Box {
  explicit Box(StoreUnderTest& place, Store& store)
      : under_test(place), outbox(contract::take(store.make_outbox())) {}

  std::vector<Notice> take_all() const {
    return contract::take(outbox->take(1000, [](SiteId) { return true; }));
  }
  Settling settle(const Notice& notice, const std::vector<NewDelivery>& deliveries = {},
                  const std::vector<NewWake>& wakes = {}) const {
    return contract::take(outbox->settle(std::vector{notice.id}, deliveries, wakes));
  }
  std::int64_t rows(const std::string& table) const {
    return under_test.number("SELECT count(*) FROM " + table);
  }

  StoreUnderTest& under_test;
  std::unique_ptr<Outbox> outbox;
};

NewDelivery tell(const Notice& notice, const std::string& target, const std::string& kind) {
  return {.target = target,
          .kind = kind,
          .message_id = "msg_" + std::to_string(notice.id.value),
          .line = notice.site.value,
          .site = notice.site,
          .body = R"({"text":"ü"})",
          .events = {notice.event}};
}

TEST_P(DeliveryContract, ATransitionComesOutWithAllThatDecidingNeeds) {
  const Box box(*under_test, *store);
  core::SiteRecord record = site("https://shop.example/");
  record.name = "Shop";
  record.tags = {"prod", "eu"};
  std::vector<SiteId> ids;
  (void)contract::take(catalog->upsert(std::vector{record}, &ids));
  sideeffects::EventWrite write = opened(ids.at(0), 1000);
  write.group = at(900);
  commit(write);
  const auto notices = box.take_all();
  ASSERT_EQ(notices.size(), 1U);
  const Notice& notice = notices[0];
  EXPECT_EQ(notice.problem, "");
  EXPECT_FALSE(notice.wake);
  EXPECT_TRUE(notice.event_known);
  EXPECT_EQ(notice.site, ids.at(0));
  EXPECT_EQ(notice.state, write.state);
  EXPECT_EQ(notice.started_at, write.started_at);
  EXPECT_EQ(notice.ended_at, core::kNoWallTime);
  EXPECT_EQ(notice.failures, write.failures);
  EXPECT_EQ(notice.evidence, write.evidence);
  EXPECT_NE(notice.group, 0U);
  EXPECT_EQ(notice.group_started_at, at(900));
  EXPECT_EQ(notice.transition, write.transitions.at(0));
  EXPECT_EQ(notice.url, "https://shop.example/");
  EXPECT_EQ(notice.name, "Shop");
  EXPECT_EQ(notice.tags, (std::vector<std::string>{"prod", "eu"}));
  EXPECT_TRUE(notice.tellings.empty());
  EXPECT_NE(notice.at, core::kNoWallTime);
}

TEST_P(DeliveryContract, ANoticeHasWhatOtherVantagesSaw) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  sideeffects::EventWrite write = confirmed(id, 0);
  write.testimony = {.basis = core::Basis::Quorum, .quorum = 2, .round = 1, .decided_at = at(1500)};
  write.testimony.witnesses = {{.vantage = "local", .saw = core::Saw::Down},
                               {.vantage = "fra", .region = "eu", .saw = core::Saw::Down}};
  commit(opened(id, 0));
  commit(write);
  const auto notices = box.take_all();
  ASSERT_EQ(notices.size(), 1U) << "of an event its oldest";
  EXPECT_EQ(notices[0].testimony, write.testimony);
}

TEST_P(DeliveryContract, WhatIsSaidTwiceIsOneNotice) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  for (int i = 0; i < 3; ++i) commit(opened(id, 0));
  commit(confirmed(id, 0));
  commit(whole_story(id, 0));
  commit(whole_story(id, 0));
  EXPECT_EQ(box.rows("outbox"), 3) << "opened, confirmed, recovered";
}

// Goal: after a wait in which a site failed twice, its second outage is looked at when the first is told to its end.
TEST_P(DeliveryContract, ASitesNextOutageWaitsForTheEndOfTheLast) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  commit(whole_story(id, 0));
  commit(opened(id, 99'000));
  std::vector<core::WallTime> started;
  while (true) {
    const auto notices = box.take_all();
    if (notices.empty()) break;
    ASSERT_EQ(notices.size(), 1U);
    started.push_back(notices[0].started_at);
    ASSERT_EQ(contract::take(box.outbox->settle(std::vector{notices[0].id}, {}, {})),
              Settling::Done);
  }
  EXPECT_EQ(started, (std::vector{at(0), at(0), at(0), at(99'000)}));
}

// Goal: whoever decides about a site's next outage knows what of the former ones is still to be told with others'.
TEST_P(DeliveryContract, ANoticeBringsTheEndsThatWaitOfItsSitesFormerEvents) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  for (const SiteId id : ids) {
    commit(whole_story(id, 0));
    for (int left = 3; left > 0; --left) {
      const auto notices = box.take_all();
      ASSERT_EQ(notices.size(), 1U);
      EXPECT_TRUE(notices[0].former.empty());
      const NewWake end{.site = id, .event = notices[0].event, .delay = 30s, .memo = "digest:up"};
      const NewWake reminder{.site = id, .event = end.event, .delay = 30s, .memo = "remind:ops"};
      if (left == 1) {
        ASSERT_EQ(box.settle(notices[0], {tell(notices[0], "ops", "down_group")}, {end, reminder}),
                  Settling::Done);
      } else {
        ASSERT_EQ(box.settle(notices[0]), Settling::Done);
      }
    }
  }
  EXPECT_TRUE(box.take_all().empty()) << "they are not due";
  commit(opened(ids[0], 99'000));
  auto notices = box.take_all();
  ASSERT_EQ(notices.size(), 1U);
  ASSERT_EQ(notices[0].former.size(), 1U) << "the other site's is none of it";
  const Notice& former = notices[0].former[0];
  EXPECT_EQ(former.site, ids[0]);
  EXPECT_NE(former.event, notices[0].event);
  EXPECT_EQ(former.started_at, at(0));
  EXPECT_TRUE(former.wake);
  EXPECT_TRUE(former.event_known);
  EXPECT_EQ(former.state, core::SiteState::Up);
  EXPECT_EQ(former.memo, "digest:up");
  EXPECT_EQ(former.url, notices[0].url);
  ASSERT_EQ(former.tellings.size(), 1U);
  EXPECT_EQ(former.tellings[0].kind, "down_group");
  EXPECT_TRUE(former.former.empty());

  // Due or not; settled with it, it comes no more.
  under_test->execute("UPDATE outbox_wakes SET due_at = 1 WHERE memo LIKE 'digest:%'");
  notices = box.take_all();
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_EQ(notices[0].former.size(), 1U);
  EXPECT_TRUE(notices[1].former.empty()) << "a notice of its own, where nothing began since";
  EXPECT_EQ(notices[1].memo, "digest:up");
  ASSERT_EQ(contract::take(box.outbox->settle(
                std::vector{notices[0].id, notices[0].former[0].id}, {}, {})),
            Settling::Done);
  commit(confirmed(ids[0], 99'000));
  notices = box.take_all();
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_TRUE(notices[0].former.empty());
}

// The next outage of a site begins "before" its last one when the clock was set back meanwhile.
TEST_P(DeliveryContract, AClockThatWasSetBackHidesNoEndThatWaits) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  commit(whole_story(id, 99'000));
  for (int left = 3; left > 0; --left) {
    const auto notices = box.take_all();
    ASSERT_EQ(notices.size(), 1U);
    const NewWake end{.site = id, .event = notices[0].event, .delay = 30s, .memo = "digest:up"};
    ASSERT_EQ(box.settle(notices[0], {}, left == 1 ? std::vector{end} : std::vector<NewWake>{}),
              Settling::Done);
  }
  commit(opened(id, 0));
  const auto notices = box.take_all();
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].started_at, at(0));
  ASSERT_EQ(notices[0].former.size(), 1U);
  EXPECT_EQ(notices[0].former[0].started_at, at(99'000));
}

TEST_P(DeliveryContract, ACommitThatIsRefusedLeavesNone) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  auto second = opened(ids[0], 99'000);
  EXPECT_FALSE(events->commit(std::vector{opened(ids[1], 0), second}));
  EXPECT_EQ(box.rows("outbox"), 1);
}

// The tellings that come with a notice are all that were decided for its event, so its later ones wait.
TEST_P(DeliveryContract, AnEventsNoticesComeOneByOneInTheirOrder) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(3);
  for (const SiteId id : ids) commit(whole_story(id, 0));
  std::vector<std::uint32_t> seqs;
  while (true) {
    const auto notices = box.take_all();
    if (notices.empty()) break;
    ASSERT_EQ(notices.size(), 3U);
    std::vector<NoticeId> all;
    for (const Notice& notice : notices) {
      EXPECT_EQ(notice.transition.seq, notices[0].transition.seq);
      all.push_back(notice.id);
    }
    seqs.push_back(notices[0].transition.seq);
    ASSERT_EQ(contract::take(box.outbox->settle(all, {}, {})), Settling::Done);
  }
  EXPECT_EQ(seqs, (std::vector<std::uint32_t>{1, 2, 3}));
  EXPECT_EQ(box.rows("outbox"), 0);
}

TEST_P(DeliveryContract, ALimitTakesTheOldest) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(5);
  for (const SiteId id : ids) commit(opened(id, 0));
  const auto notices = contract::take(box.outbox->take(2, [](SiteId) { return true; }));
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_EQ(notices[0].site, ids[0]);
  EXPECT_EQ(notices[1].site, ids[1]);
}

// Goal: a heap of another process's rows does not hide ours. Method: more of them than a page has.
TEST_P(DeliveryContract, WhatAnotherProcessLooksAfterIsPassedOver) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(450);
  std::vector<sideeffects::EventWrite> writes;
  for (const SiteId id : ids) writes.push_back(opened(id, 0));
  ASSERT_TRUE(events->commit(writes));
  EXPECT_EQ(box.rows("outbox"), 450);
  const auto notices =
      contract::take(box.outbox->take(10, [&](SiteId id) { return id == ids.back(); }));
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].site, ids.back());
}

// Goal: a process that stands still stops nobody else, and whoever takes its sites over sees each event's notices in order. Method:
// more rows of others than one call reads, between two of one site.
TEST_P(DeliveryContract, ManyNoticesOfOthersHideNobody) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  under_test->execute(
      "INSERT INTO outbox (site_id, event_id, seq, queued_at) VALUES (900000, 900000, 1, 1)");
  for (int i = 0; i < 13; ++i)
    under_test->execute(
        "INSERT INTO outbox (site_id, event_id, seq, queued_at) SELECT 900000, 900000, 1, 1 FROM "
        "outbox WHERE site_id = 900000");
  commit(confirmed(ids[0], 0));
  commit(opened(ids[1], 0));
  const auto take = [&](const std::vector<SiteId>& mine) {
    return contract::take(box.outbox->take(
        10, [&](SiteId site) { return std::find(mine.begin(), mine.end(), site) != mine.end(); }));
  };
  std::vector<Notice> found;
  for (int i = 0; i < 5 && found.empty(); ++i) found = take({ids[1]});
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].site, ids[1]);
  EXPECT_EQ(take({ids[1]}).size(), 1U) << "it is seen until it is settled";
  ASSERT_EQ(box.settle(found[0]), Settling::Done);

  found.clear();
  for (int i = 0; i < 5 && found.empty(); ++i) found = take(ids);
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].site, ids[0]);
  EXPECT_EQ(found[0].transition.seq, 1U) << "the first of its event";
}

TEST_P(DeliveryContract, SettlingInsertsDeliveriesAndTellings) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  commit(confirmed(id, 0));
  auto notices = box.take_all();
  ASSERT_EQ(box.settle(notices.at(0), {tell(notices[0], "ops", "seems_down"),
                                       tell(notices[0], "ü", "seems_down")}),
            Settling::Done);
  notices = box.take_all();
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].transition.reason, core::TransitionReason::Confirmed);
  ASSERT_EQ(notices[0].tellings.size(), 2U);
  const Telling& first = notices[0].tellings[0];
  EXPECT_EQ(first.target, "ops");
  EXPECT_EQ(first.kind, "seems_down");
  EXPECT_EQ(first.state, Telling::State::Queued);
  EXPECT_FALSE(first.attempted);
  EXPECT_EQ(notices[0].tellings[1].target, "ü");
  EXPECT_LT(first.delivery, notices[0].tellings[1].delivery);
}

// A commit whose answer was lost is made again; another process may have been faster.
TEST_P(StoreContract, WhatIsSettledTwiceIsToldOnce) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  commit(opened(ids[1], 0));
  const auto notices = box.take_all();
  ASSERT_EQ(box.settle(notices.at(0), {tell(notices[0], "ops", "down")}), Settling::Done);
  EXPECT_EQ(box.settle(notices[0], {tell(notices[0], "ops", "down")}), Settling::Stale);
  // One of two is stale: nothing is done of the other either.
  EXPECT_EQ(contract::take(box.outbox->settle(std::vector{notices[0].id, notices.at(1).id},
                                              std::vector{tell(notices[1], "ops", "down")}, {})),
            Settling::Stale);
  EXPECT_EQ(box.rows("deliveries"), 1);
  EXPECT_EQ(box.rows("outbox"), 1);
}

TEST_P(DeliveryContract, WhatCanNeverBeStoredIsRefusedWhole) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  const auto notices = box.take_all();
  NewDelivery long_target = tell(notices.at(0), std::string(65, 'x'), "down");
  const auto refused = box.outbox->settle(
      std::vector{notices[0].id}, std::vector{tell(notices[0], "ops", "down"), long_target}, {});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), core::ErrorKind::Invalid, "target"));
  const auto memo = box.outbox->settle(
      std::vector{notices[0].id}, {},
      std::vector{NewWake{.site = id, .event = notices[0].event, .memo = std::string(256, 'x')}});
  ASSERT_FALSE(memo);
  EXPECT_EQ(box.rows("deliveries"), 0);
  EXPECT_EQ(box.rows("outbox"), 1);
}

// What ends while its beginning waits for its digest is told whole; what ends while it is held is not told.
TEST_P(DeliveryContract, TheEndOfAnOutageSaysWhetherItsDigestWaits) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(3);
  for (std::size_t i = 0; i < ids.size(); ++i) {
    sideeffects::EventWrite write = whole_story(ids[i], 1000);
    if (i < 2) write.group = at(900);
    commit(write);
  }
  for (int seq = 1; seq < 3; ++seq) {
    for (const Notice& notice : box.take_all()) {
      EXPECT_EQ(notice.memo, "") << "nothing waits";
      std::vector<NewWake> wakes;
      if (notice.transition.seq == 2)
        wakes.push_back({.site = notice.site,
                         .event = notice.event,
                         .delay = std::chrono::hours{1},
                         .memo = notice.site == ids[1] ? "hold:parent" : "digest"});
      EXPECT_EQ(box.settle(notice, {}, wakes), Settling::Done);
    }
  }
  std::map<SiteId, std::string> memos;
  for (const Notice& notice : box.take_all()) {
    EXPECT_EQ(notice.transition.seq, 3U);
    memos[notice.site] = notice.memo;
  }
  EXPECT_EQ(memos, (std::map<SiteId, std::string>{{ids[0], "digest"}, {ids[1], ""}, {ids[2], ""}}));
}

// Of an open one: why the newest wait, and since the first. Waits for something else say nothing.
TEST_P(DeliveryContract, AnIncidentSaysWhatHoldsItsNotice) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  for (const SiteId id : ids) commit(opened(id, 0));
  const auto wait = [&](const Notice& notice, std::string memo) {
    return NewWake{.site = notice.site,
                   .event = notice.event,
                   .delay = std::chrono::hours{1},
                   .memo = std::move(memo)};
  };
  for (const Notice& notice : box.take_all()) {
    std::vector<NewWake> wakes{wait(notice, "remind:ops"), wait(notice, "digest")};
    if (notice.site == ids[1]) {
      wakes.push_back(wait(notice, "hold:maintenance:5000:3:90000"));
      wakes.push_back(wait(notice, "hold:parent:7000:12:0"));
    }
    ASSERT_EQ(box.settle(notice, {}, wakes), Settling::Done);
  }
  const auto log = contract::take(store->make_incident_log());
  const auto held_of = [&](SiteId id) { return contract::take(held_back(*log, incident_of(id))); };
  EXPECT_FALSE(held_of(ids[0]));
  const auto held = held_of(ids[1]);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->reason, sideeffects::HoldReason::Parent);
  EXPECT_EQ(held->by, 12U);
  EXPECT_EQ(held->since, core::from_unix_ms(5000));
  EXPECT_EQ(held->until, core::kNoWallTime);
  EXPECT_NE(held->look_again_at, core::kNoWallTime);
  // That its site flaps says nothing of the event, and of what nobody was told it is held on.
  commit(confirmed(ids[1], 0));
  const Notice next = box.take_all().at(0);
  ASSERT_EQ(next.site, ids[1]);
  ASSERT_EQ(box.settle(next, {tell(next, "ops", "flapping"), tell(next, "pager", "down")}),
            Settling::Done);
  const auto becomes = [&](const std::string& kind, const std::string& state) {
    under_test->execute("UPDATE delivery_tellings SET kind = '" + kind + "', state = '" + state +
                        "' WHERE target = 'pager'");
  };
  for (const std::string state : {"queued", "told"}) {
    becomes("down", state);
    EXPECT_FALSE(held_of(ids[1])) << "one of its waits came due and was told, the other is there";
  }
  for (const std::string state : {"dead", "cancelled"}) {
    becomes("down", state);
    EXPECT_TRUE(held_of(ids[1]));
  }
  commit(recovered(ids[1], 0));
  EXPECT_FALSE(held_of(ids[1])) << "it is over";
}

TEST_P(DeliveryContract, AWakeComesBackOnceWhenItIsDue) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  const auto first = box.take_all().at(0);
  ASSERT_EQ(
      box.settle(
          first, {},
          {{.site = id, .event = first.event, .memo = "now"},
           {.site = id, .event = first.event, .delay = std::chrono::hours{1}, .memo = "later"}}),
      Settling::Done);
  auto notices = box.take_all();
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_TRUE(notices[0].wake);
  EXPECT_EQ(notices[0].memo, "now");
  EXPECT_EQ(notices[0].event, first.event);
  EXPECT_EQ(notices[0].state, core::SiteState::SeemsDown);
  EXPECT_NE(notices[0].id, first.id);
  EXPECT_EQ(contract::take(box.outbox->level()).waiting, 1U);
  ASSERT_EQ(box.settle(notices[0]), Settling::Done);
  EXPECT_EQ(box.settle(notices[0]), Settling::Stale);
  EXPECT_TRUE(box.take_all().empty());
  under_test->execute("UPDATE outbox_wakes SET due_at = due_at - 3600000");
  EXPECT_EQ(box.take_all().at(0).memo, "later");
}

// What a turn holds of a mass outage: more than one statement has places for.
TEST_P(DeliveryContract, ManyWakesComeBackEachAsItself) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(45);
  for (const SiteId id : ids) commit(opened(id, 0));
  std::vector<NoticeId> settled;
  std::vector<NewWake> wakes;
  for (const Notice& notice : box.take_all()) {
    settled.push_back(notice.id);
    wakes.push_back({.site = notice.site,
                     .event = notice.event,
                     .memo = "hold:" + std::to_string(notice.site.value)});
  }
  ASSERT_EQ(contract::take(box.outbox->settle(settled, {}, wakes)), Settling::Done);
  const auto back = box.take_all();
  ASSERT_EQ(back.size(), ids.size());
  for (const Notice& notice : back) {
    EXPECT_EQ(notice.memo, "hold:" + std::to_string(notice.site.value));
    EXPECT_EQ(notice.state, core::SiteState::SeemsDown);
  }
}

// Neither is told, where both have not left; else both are, in order.
TEST_P(DeliveryContract, ADeliveryMayStandForOthersThatNobodyHasTriedYet) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  for (const SiteId id : ids) commit(whole_story(id, 0));
  const auto queue = contract::take(store->make_delivery_queue());
  std::vector<Notice> opening = box.take_all();
  for (const Notice& notice : opening) (void)box.settle(notice, {tell(notice, "ops", "down")});
  // The first one's is under way.
  const auto claimed = contract::take(
      queue->claim(std::vector<sideeffects::Want>{{"ops", 1}}, std::chrono::minutes{1}, {"n", 1}));
  ASSERT_EQ(claimed.deliveries.size(), 1U);
  ASSERT_EQ(claimed.deliveries[0].site, ids[0]);
  const std::vector<Notice> ends = box.take_all();
  ASSERT_EQ(ends.size(), 2U);
  EXPECT_TRUE(ends[0].tellings.at(0).attempted);
  EXPECT_FALSE(ends[1].tellings.at(0).attempted);
  for (const Notice& notice : ends) {
    NewDelivery up = tell(notice, "ops", "up");
    up.instead_of = {notice.tellings.at(0).delivery};
    ASSERT_EQ(box.settle(notice, {up}), Settling::Done);
  }
  EXPECT_EQ(box.rows("deliveries"), 2) << "down and up of the first site";
  const std::vector<Notice> later = box.take_all();
  ASSERT_EQ(later.size(), 2U);
  EXPECT_EQ(later[0].tellings.size(), 2U);
  ASSERT_EQ(later[1].tellings.size(), 1U);
  EXPECT_EQ(later[1].tellings[0].state, Telling::State::Cancelled);
}

TEST_P(DeliveryContract, TellingsSayWhatBecameOfThem) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  commit(whole_story(id, 0));
  const auto queue = contract::take(store->make_delivery_queue());
  const Notice first = box.take_all().at(0);
  (void)box.settle(first,
                   {tell(first, "a", "down"), tell(first, "b", "down"), tell(first, "c", "down")});
  for (const auto& delivery :
       contract::take(queue->claim(std::vector<sideeffects::Want>{{"a", 9}, {"b", 9}},
                                   std::chrono::minutes{1}, {"n", 1}))
           .deliveries) {
    sideeffects::Finish finish{
        .id = delivery.id, .token = delivery.token, .verdict = sideeffects::Delivered{}};
    if (delivery.target == "b") finish.verdict = sideeffects::Bury{sideeffects::DeathReason::Gone};
    EXPECT_TRUE(contract::take(queue->finish(std::vector{finish})).empty());
  }
  const auto tellings = box.take_all().at(0).tellings;
  ASSERT_EQ(tellings.size(), 3U);
  EXPECT_EQ(tellings[0].state, Telling::State::Told);
  EXPECT_EQ(tellings[1].state, Telling::State::Dead);
  EXPECT_EQ(tellings[2].state, Telling::State::Queued);
}

// A dead letter that is requeued after its event's end says that it began: the event comes back, so that its end is told too.
TEST_P(DeliveryContract, WhatIsRequeuedAfterItsEventsEndWakesTheEvent) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  commit(whole_story(ids[0], 0));  // Over.
  commit(opened(ids[1], 0));       // Goes on.
  const auto queue = contract::take(store->make_delivery_queue());
  const auto log = contract::take(store->make_delivery_log());
  for (const Notice& notice : box.take_all())
    (void)box.settle(notice, {tell(notice, "a", "down"), tell(notice, "b", "down")});
  while (true) {
    const auto left = box.take_all();
    if (left.empty()) break;
    for (const Notice& notice : left) (void)box.settle(notice);
  }
  std::vector<sideeffects::DeliveryId> dead;
  for (const auto& delivery : contract::take(queue->claim(std::vector<sideeffects::Want>{{"a", 9}},
                                                          std::chrono::minutes{1}, {"n", 1}))
                                  .deliveries) {
    const sideeffects::Finish finish{
        .id = delivery.id,
        .token = delivery.token,
        .verdict = sideeffects::Bury{sideeffects::DeathReason::Permanent}};
    EXPECT_TRUE(contract::take(queue->finish(std::vector{finish})).empty());
    dead.push_back(delivery.id);
  }
  ASSERT_EQ(dead.size(), 2U);
  EXPECT_TRUE(box.take_all().empty());
  EXPECT_EQ(contract::take(log->requeue_all({.dead = true, .target = {}}, {})), 2U);
  const auto woken = box.take_all();
  ASSERT_EQ(woken.size(), 1U) << "the one that is over";
  EXPECT_EQ(woken[0].site, ids[0]);
  EXPECT_TRUE(woken[0].wake);
  EXPECT_EQ(woken[0].memo, std::string(sideeffects::kRequeuedMemo) + "up:a");
  ASSERT_EQ(woken[0].tellings.size(), 2U);
  EXPECT_EQ(woken[0].tellings[0].state, Telling::State::Queued);
}

// What came after it was told, or will be: after "still down" or "up" nobody wants to hear "down".
TEST_P(DeliveryContract, WhatWasOvertakenIsNotRequeued) {
  const Box box(*under_test, *store);
  const SiteId id = add_sites(1)[0];
  commit(whole_story(id, 0));
  const auto queue = contract::take(store->make_delivery_queue());
  const auto log = contract::take(store->make_delivery_log());
  (void)box.settle(box.take_all().at(0), {tell(box.take_all().at(0), "a", "down")});
  const auto finish_first = [&](decltype(sideeffects::Finish::verdict) verdict) {
    const auto claimed = contract::take(
        queue->claim(std::vector<sideeffects::Want>{{"a", 1}}, std::chrono::minutes{1}, {"n", 1}));
    const sideeffects::Finish finish{.id = claimed.deliveries.at(0).id,
                                     .token = claimed.deliveries.at(0).token,
                                     .verdict = verdict};
    EXPECT_TRUE(contract::take(queue->finish(std::vector{finish})).empty());
    return finish.id;
  };
  const auto dead = finish_first(sideeffects::Bury{sideeffects::DeathReason::Permanent});
  NewDelivery reminder = tell(box.take_all().at(0), "a", "reminder");
  reminder.message_id += "r";
  NewDelivery other = tell(box.take_all().at(0), "b", "reminder");
  (void)box.settle(box.take_all().at(0), {reminder, other});
  for (const bool sent : {false, true}) {
    if (sent) (void)finish_first(sideeffects::Delivered{});
    EXPECT_TRUE(is_error(log->requeue(dead).error(), core::ErrorKind::Invalid, "too late"));
    EXPECT_EQ(contract::take(log->requeue_all({.dead = true, .target = {}}, {})), 0U);
  }
  EXPECT_EQ(box.rows("dead_letters"), 1);
  EXPECT_EQ(box.rows("outbox_wakes"), 0);
}

TEST_P(DeliveryContract, ASiteOrAnEventThatIsGoneHoldsNobodyUp) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(3);
  for (const SiteId id : ids) commit(opened(id, 0));
  under_test->execute("UPDATE sites SET deleted_at = 1 WHERE id = " + std::to_string(ids[0].value));
  under_test->execute("DELETE FROM site_state");
  under_test->execute("DELETE FROM sites WHERE deleted_at = 1");
  under_test->execute(
      "DELETE FROM event_transitions WHERE event_id IN (SELECT id FROM events WHERE"
      " site_id = " +
      std::to_string(ids[1].value) + ")");
  under_test->execute("DELETE FROM events WHERE site_id = " + std::to_string(ids[1].value));
  const auto notices = box.take_all();
  ASSERT_EQ(notices.size(), 3U);
  EXPECT_TRUE(notices[0].event_known);
  EXPECT_EQ(notices[0].url, "");
  EXPECT_FALSE(notices[1].event_known);
  EXPECT_EQ(notices[1].problem, "");
  EXPECT_EQ(notices[2].problem, "");
}

TEST_P(DeliveryContract, WhatCannotBeReadSaysSoAndHoldsNobodyUp) {
  const Box box(*under_test, *store);
  const auto ids = add_sites(2);
  for (const SiteId id : ids) commit(opened(id, 0));
  under_test->execute("UPDATE events SET cause = 'moonlight' WHERE site_id = " +
                      std::to_string(ids[0].value));
  const auto notices = box.take_all();
  ASSERT_EQ(notices.size(), 2U);
  EXPECT_NE(notices[0].problem.find("moonlight"), std::string::npos) << notices[0].problem;
  EXPECT_EQ(notices[1].problem, "");
}

}  // namespace

}  // namespace watchwheel::db::contract
