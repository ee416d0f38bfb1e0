// SPDX-License-Identifier: Apache-2.0
// Warnings: events of their own kinds, each transition once and with its notice, beside outages and without touching them.
#include <algorithm>
#include <map>

#include "contract.h"
#include "sideeffects/warning_api.h"

namespace watchwheel::db::contract {
namespace {

using core::EventKind;
using core::SiteId;
using sideeffects::Notice;
using sideeffects::OpenWarning;
using sideeffects::WarningStore;
using sideeffects::WarningWrite;
using Act = WarningWrite::Act;

constexpr core::Duration kDay = std::chrono::hours{24};

WarningWrite begun(SiteId site, std::int64_t ms, EventKind kind = EventKind::TlsExpiring,
                   core::Duration step = 14 * kDay) {
  WarningWrite write;
  write.act = Act::Begin;
  write.warning.site = site;
  write.warning.kind = kind;
  write.warning.started_at = at(ms);
  write.warning.step = step;
  write.at = at(ms);
  write.detail = "expires in 13d";
  return write;
}
WarningWrite stepped(const OpenWarning& warning, core::Duration step, std::int64_t ms) {
  return {
      .act = Act::Step, .warning = warning, .step = step, .at = at(ms), .detail = "expires in 6d"};
}
WarningWrite ended(const OpenWarning& warning, std::int64_t ms,
                   core::Presence as = core::Presence::Watched) {
  return {.act = Act::End, .warning = warning, .at = at(ms), .detail = "", .ended_as = as};
}

struct Box {
  explicit Box(Store& store)
      : warnings(contract::take(store.make_warning_store())),
        outbox(contract::take(store.make_outbox())) {}

  std::vector<bool> commit(const std::vector<WarningWrite>& writes) const {
    return contract::take(warnings->commit(writes));
  }
  std::vector<OpenWarning> open(std::size_t limit = 100) const {
    std::vector<OpenWarning> all;
    SiteId site;
    EventKind kind = EventKind::Outage;
    while (true) {
      const auto page = contract::take(warnings->open(site, kind, limit));
      all.insert(all.end(), page.begin(), page.end());
      if (page.size() < limit) return all;
      site = page.back().site;
      kind = page.back().kind;
    }
  }
  std::vector<Notice> notices() const {
    return contract::take(outbox->take(1000, [](SiteId) { return true; }));
  }
  void settle_all() const {
    for (auto all = notices(); !all.empty(); all = notices()) {
      for (const Notice& one : all)
        (void)contract::take(outbox->settle(std::vector{one.id}, {}, {}));
    }
  }

  std::unique_ptr<WarningStore> warnings;
  std::unique_ptr<sideeffects::Outbox> outbox;
};

TEST_P(DeliveryContract, AWarningIsAnEventWithATransitionAndANoticeForEachChange) {
  const Box box(*store);
  core::SiteRecord record = site("https://shop.example/");
  record.tags = {"prod"};
  std::vector<SiteId> ids;
  (void)contract::take(catalog->upsert(std::vector{record}, &ids));
  EXPECT_EQ(box.commit({begun(ids[0], 1000)}), std::vector{true});
  auto open = box.open();
  ASSERT_EQ(open.size(), 1U);
  EXPECT_EQ(open[0].site, ids[0]);
  EXPECT_EQ(open[0].kind, EventKind::TlsExpiring);
  EXPECT_EQ(open[0].started_at, at(1000));
  EXPECT_EQ(open[0].step, 14 * kDay);
  EXPECT_EQ(open[0].transitions_total, 1U);
  EXPECT_EQ(open[0].presence, core::Presence::Watched);

  auto notices = box.notices();
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].problem, "");
  EXPECT_EQ(notices[0].kind, EventKind::TlsExpiring);
  EXPECT_EQ(notices[0].step, 14 * kDay);
  EXPECT_NE(notices[0].state, core::SiteState::Up) << "it is not over";
  EXPECT_EQ(notices[0].transition.step, 14 * kDay);
  EXPECT_EQ(notices[0].transition.reason, core::TransitionReason::Opened);
  EXPECT_EQ(notices[0].evidence.detail, "expires in 13d");
  EXPECT_EQ(notices[0].tags, record.tags);
  box.settle_all();

  EXPECT_EQ(box.commit({stepped(open[0], 7 * kDay, 2000)}), std::vector{true});
  open = box.open();
  EXPECT_EQ(open.at(0).step, 7 * kDay);
  EXPECT_EQ(open.at(0).transitions_total, 2U);
  box.settle_all();
  // The clock was set back: the end is not before the change before it.
  EXPECT_EQ(box.commit({ended(open[0], 1500)}), std::vector{true});
  EXPECT_TRUE(box.open().empty());
  notices = box.notices();
  ASSERT_EQ(notices.size(), 1U);
  EXPECT_EQ(notices[0].state, core::SiteState::Up);
  EXPECT_EQ(notices[0].ended_at, at(2000));
  EXPECT_EQ(notices[0].transition.after, core::SiteState::Up);
  EXPECT_EQ(notices[0].transition.reason, core::TransitionReason::Recovered);

  const Incident incident = incident_of(ids[0]);
  EXPECT_EQ(incident.kind, EventKind::TlsExpiring);
  EXPECT_EQ(incident.step, 7 * kDay);
  EXPECT_EQ(incident.ended_at, at(2000));
  ASSERT_EQ(incident.transitions.size(), 3U);
  EXPECT_EQ(incident.transitions[1].reason, core::TransitionReason::SeverityChanged);
  EXPECT_EQ(incident.transitions[1].step, 7 * kDay);
  EXPECT_EQ(incident.transitions[1].at, at(2000));
}

TEST_P(DeliveryContract, WhatIsWrittenAgainOrByTwoIsDoneOnce) {
  const Box box(*store);
  const Box other(*store);
  const SiteId id = add_sites(1)[0];
  EXPECT_EQ(box.commit({begun(id, 1000)}), std::vector{true});
  EXPECT_EQ(box.commit({begun(id, 1000)}), std::vector{false});
  EXPECT_EQ(other.commit({begun(id, 1500)}), std::vector{false}) << "one is open";
  const OpenWarning known = box.open().at(0);
  EXPECT_EQ(box.commit({stepped(known, 7 * kDay, 2000)}), std::vector{true});
  EXPECT_EQ(other.commit({stepped(known, 7 * kDay, 2000)}), std::vector{false});
  EXPECT_EQ(other.commit({ended(known, 2500)}), std::vector{false}) << "it has changed since";
  const OpenWarning newer = other.open().at(0);
  EXPECT_EQ(other.commit({ended(newer, 3000)}), std::vector{true});
  EXPECT_EQ(box.commit({ended(newer, 3000)}), std::vector{false});
  EXPECT_EQ(box.commit({begun(id, 1000)}), std::vector{false}) << "that one is over";
  EXPECT_EQ(under_test->number("SELECT count(*) FROM outbox"), 3);
  EXPECT_EQ(box.commit({begun(id, 4000)}), std::vector{true}) << "and this is the next";
  EXPECT_EQ(under_test->number("SELECT count(*) FROM events"), 2);
}

TEST_P(DeliveryContract, NothingBeginsOfASiteThatWasPausedOrRemovedMeanwhile) {
  const Box box(*store);
  const auto ids = add_sites(3);
  (void)contract::take(catalog->set_active(std::vector{ids[0]}, false));
  (void)contract::take(catalog->remove(std::vector{ids[1]}));
  EXPECT_EQ(box.commit({begun(ids[0], 1000), begun(ids[1], 1000), begun(ids[2], 1000),
                        begun(SiteId{ids[2].value + 1000}, 1000)}),
            (std::vector{false, false, true, false}));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM outbox"), 1);
}

// A clock that was a year ahead for an hour keeps nobody from being warned until then.
TEST_P(DeliveryContract, AWarningMayBeginBeforeTheLastOneDid) {
  const Box box(*store);
  const SiteId id = add_sites(1)[0];
  EXPECT_EQ(box.commit({begun(id, 900'000)}), std::vector{true});
  EXPECT_EQ(box.commit({ended(box.open().at(0), 901'000)}), std::vector{true});
  EXPECT_EQ(box.commit({begun(id, 4000)}), std::vector{true});
}

// Goal: outages and warnings of one site live side by side. Method: an outage's whole story, in the very milliseconds of a warning's,
// and what each reader of outages says of the site before, between and after.
TEST_P(DeliveryContract, AnOutageKnowsNothingOfAWarning) {
  const Box box(*store);
  const SiteId id = add_sites(1)[0];
  ASSERT_TRUE(freshness->write(std::vector{measured(id, 500)}));
  EXPECT_EQ(box.commit({begun(id, 1000), begun(id, 1000, EventKind::TlsDeprecated, {})}),
            (std::vector{true, true}));
  EXPECT_FALSE(contract::take(events->open_event(id)));
  EXPECT_EQ(view(id).state, core::SiteState::Up);
  EXPECT_FALSE(load_all(10).at(0).open_event);
  EXPECT_EQ(contract::take(incidents->count_open()).down, 0U);

  commit(opened(id, 1000));
  commit(confirmed(id, 1000));
  EXPECT_EQ(view(id).state, core::SiteState::Down);
  ASSERT_TRUE(contract::take(events->open_event(id)));
  EXPECT_EQ(load_all(10).at(0).open_event->started_at, at(1000));
  EXPECT_EQ(contract::take(incidents->count_open()).down, 1U);
  EXPECT_EQ(box.open().size(), 2U);
  commit(recovered(id, 1000));
  EXPECT_EQ(view(id).state, core::SiteState::Up);
  EXPECT_EQ(box.open().size(), 2U) << "its end closes no warning";
  EXPECT_EQ(box.commit({ended(box.open().at(0), 99'000), ended(box.open().at(1), 99'000)}),
            (std::vector{true, true}));
  EXPECT_EQ(view(id).state, core::SiteState::Up);

  // A report counts the outage alone.
  under_test->execute("UPDATE sites SET created_at = 1");
  const auto uptime = contract::take(store->make_uptime_log());
  const auto page = contract::take(uptime->page({}, {at(0), at(100'000)}, SiteId{}, 10));
  ASSERT_EQ(page.size(), 1U);
  EXPECT_EQ(page[0].troubles.size(), 1U);

  std::map<EventKind, int> listed;
  for (const Incident& one : contract::take(incidents->list({}, 0, 10))) ++listed[one.kind];
  EXPECT_EQ(listed, (std::map<EventKind, int>{{EventKind::Outage, 1},
                                              {EventKind::TlsExpiring, 1},
                                              {EventKind::TlsDeprecated, 1}}));
  IncidentFilter outages;
  outages.kind = EventKind::Outage;
  EXPECT_EQ(contract::take(incidents->list(outages, 0, 10)).size(), 1U);
}

TEST_P(DeliveryContract, OpenWarningsComeInPagesWithWhatTheListSays) {
  const Box box(*store);
  const auto ids = add_sites(4);
  std::vector<WarningWrite> writes;
  for (const SiteId id : ids) {
    writes.push_back(begun(id, 1000));
    writes.push_back(begun(id, 1000, EventKind::LatencyExceeded, {}));
  }
  EXPECT_EQ(box.commit(writes), std::vector<bool>(8, true));
  (void)contract::take(catalog->set_active(std::vector{ids[1]}, false));
  (void)contract::take(catalog->remove(std::vector{ids[2]}));
  for (const std::size_t limit : {1U, 2U, 3U, 100U}) {
    const auto open = box.open(limit);
    ASSERT_EQ(open.size(), 8U) << limit;
    for (std::size_t i = 0; i < open.size(); ++i) {
      EXPECT_EQ(open[i].site, ids[i / 2]);
      EXPECT_EQ(open[i].kind, i % 2 == 0 ? EventKind::LatencyExceeded : EventKind::TlsExpiring);
      const auto presence = i / 2 == 1   ? core::Presence::Paused
                            : i / 2 == 2 ? core::Presence::Removed
                                         : core::Presence::Watched;
      EXPECT_EQ(open[i].presence, presence);
    }
  }
  const auto open = box.open();
  EXPECT_EQ(box.commit({ended(open[2], 2000, core::Presence::Paused),
                        ended(open[4], 2000, core::Presence::Removed),
                        ended(open[6], 2000, core::Presence::Closed)}),
            std::vector<bool>(3, true));
  std::map<SiteId, std::pair<core::TransitionReason, core::SiteState>> ends;
  for (const SiteId id : ids) {
    IncidentFilter filter;
    filter.site = id;
    filter.kind = EventKind::LatencyExceeded;
    const auto found = contract::take(incidents->list(filter, 0, 10));
    const auto& last = found.at(0).transitions.back();
    ends[id] = {last.reason, last.after};
  }
  using core::SiteState, core::TransitionReason;
  EXPECT_EQ(ends[ids[1]], std::pair(TransitionReason::Operator, SiteState::Paused));
  EXPECT_EQ(ends[ids[2]], std::pair(TransitionReason::SiteRemoved, SiteState::Unknown));
  EXPECT_EQ(ends[ids[3]], std::pair(TransitionReason::Operator, SiteState::Unknown));
}

TEST_P(DeliveryContract, AWarningThatCannotBeIsRefusedWithItsWholeBatch) {
  const Box box(*store);
  const auto ids = add_sites(1);
  const auto refused =
      box.warnings->commit(std::vector{begun(ids[0], 1000), begun(SiteId{}, 1000)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Invalid);
  EXPECT_TRUE(box.open().empty());
  EXPECT_FALSE(box.warnings->commit(std::vector{begun(ids[0], 1000, EventKind::Outage)}));
}

TEST_P(DeliveryContract, AWarningIsNotAcknowledged) {
  const Box box(*store);
  const SiteId id = add_sites(1)[0];
  (void)box.commit({begun(id, 1000)});
  const auto desk = contract::take(store->make_operator_desk());
  sideeffects::OperatorRequest request;
  request.event = box.open().at(0).event;
  request.by = {
      .request = {}, .act = sideeffects::Act::Ack, .who = "ann", .why = "", .source = "t"};
  const auto asked = desk->ask(request);
  ASSERT_FALSE(asked);
  EXPECT_TRUE(is_error(asked.error(), core::ErrorKind::Invalid, "is a warning"));
}

// The dead letter of a warning that is over: requeued, it and its end come out.
TEST_P(DeliveryContract, ARequeuedWarningHasItsEndWoken) {
  const Box box(*store);
  const SiteId id = add_sites(1)[0];
  (void)box.commit({begun(id, 1000)});
  const auto notice = box.notices().at(0);
  const sideeffects::NewDelivery delivery{.target = "ops",
                                          .kind = "warning",
                                          .message_id = "msg_1",
                                          .line = id.value,
                                          .site = id,
                                          .body = "{}",
                                          .events = {notice.event}};
  (void)contract::take(box.outbox->settle(std::vector{notice.id}, std::vector{delivery}, {}));
  const auto queue = contract::take(store->make_delivery_queue());
  EXPECT_EQ(contract::take(queue->bury_waiting("ops", sideeffects::DeathReason::Operator, 10)), 1U);
  (void)box.commit({ended(box.open().at(0), 2000)});
  box.settle_all();
  const auto log = contract::take(store->make_delivery_log());
  const auto dead = under_test->number("SELECT id FROM dead_letters");
  ASSERT_TRUE(log->requeue(sideeffects::DeliveryId{static_cast<std::uint64_t>(dead)}));
  const auto woken = box.notices();
  ASSERT_EQ(woken.size(), 1U);
  EXPECT_TRUE(woken[0].wake);
  EXPECT_EQ(woken[0].memo, std::string(sideeffects::kRequeuedMemo) + "ok:ops");
  EXPECT_EQ(woken[0].kind, EventKind::TlsExpiring);
  EXPECT_EQ(woken[0].state, core::SiteState::Up);
}

// Goal: whoever decides about a warning knows what of its site's former ones of that kind is still to be told with others', and
// whoever decides about an outage, or another kind, is not kept by it.
TEST_P(DeliveryContract, ANoticeBringsTheEndsThatWaitOfFormerWarningsOfItsKind) {
  const Box box(*store);
  const SiteId id = add_sites(1)[0];
  std::map<EventKind, core::EventId> former;
  for (const EventKind kind : {EventKind::TlsExpiring, EventKind::TlsDeprecated}) {
    (void)box.commit({begun(id, 1000, kind)});
    (void)box.commit({ended(box.open().at(0), 2000)});
    for (auto all = box.notices(); !all.empty(); all = box.notices()) {
      const Notice& one = all.at(0);
      EXPECT_TRUE(one.former.empty());
      former[kind] = one.event;
      const bool end = one.transition.seq == 2;
      const sideeffects::NewWake wake{
          .site = id, .event = one.event, .delay = kDay, .memo = "warning_over:ok"};
      (void)contract::take(
          box.outbox->settle(std::vector{one.id}, {},
                             end ? std::vector{wake} : std::vector<sideeffects::NewWake>{}));
    }
  }
  ASSERT_EQ(former.size(), 2U);
  for (const auto& [kind, event] : former) {
    (void)box.commit({begun(id, 5000, kind)});
    const auto notices = box.notices();
    ASSERT_EQ(notices.size(), 1U);
    ASSERT_EQ(notices[0].former.size(), 1U) << core::to_string(kind);
    EXPECT_EQ(notices[0].former[0].event, event);
    EXPECT_EQ(notices[0].former[0].memo, "warning_over:ok");
    (void)contract::take(box.outbox->settle(
        std::vector{notices[0].id, notices[0].former[0].id}, {}, {}));
  }
  EXPECT_EQ(under_test->number("SELECT count(*) FROM outbox_wakes"), 0);

  const OpenWarning open = box.open().at(0);
  (void)box.commit({ended(open, 6000)});
  const Notice end = box.notices().at(0);
  (void)contract::take(box.outbox->settle(
      std::vector{end.id}, {},
      std::vector{sideeffects::NewWake{
          .site = id, .event = end.event, .delay = kDay, .memo = "warning_over:ok"}}));
  commit(opened(id, 7000));
  EXPECT_TRUE(box.notices().at(0).former.empty()) << "an outage is none of it";
}

}  // namespace
}  // namespace watchwheel::db::contract
