// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/routing.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SiteState;
using core::TransitionReason;

const core::WallTime kStart = core::from_unix_ms(1'700'000'000'000);

NotifyTarget ops(std::string name = "ops") {
  NotifyTarget target;
  target.channel.name = std::move(name);
  return target;
}

Notice notice_of(std::uint64_t event) {
  Notice notice;
  notice.id = NoticeId{event * 10};
  notice.at = kStart + 25s;
  notice.site = core::SiteId{event + 100};
  notice.event = core::EventId{event};
  notice.event_known = true;
  notice.started_at = kStart;
  notice.url = "https://u:p@shop.example/a?token=x";
  notice.name = "shop" + std::to_string(event);
  notice.failures = 3;
  notice.evidence = {.cause = core::Cause::HttpStatus, .detail = "503", .address = ""};
  return notice;
}
Notice opened(std::uint64_t event) {
  Notice notice = notice_of(event);
  notice.state = SiteState::SeemsDown;
  notice.transition = {.seq = 1,
                       .reason = TransitionReason::Opened,
                       .before = SiteState::Up,
                       .after = SiteState::SeemsDown,
                       .at = kStart,
                       .failures = 1,
                       .evidence = notice.evidence};
  return notice;
}
Notice confirmed(std::uint64_t event) {
  Notice notice = notice_of(event);
  notice.id = NoticeId{event * 10 + 1};
  notice.state = SiteState::Down;
  notice.confirmed_at = kStart + 20s;
  notice.transition = {.seq = 2,
                       .reason = TransitionReason::Confirmed,
                       .before = SiteState::SeemsDown,
                       .after = SiteState::Down,
                       .at = kStart + 20s,
                       .failures = 3,
                       .evidence = notice.evidence};
  return notice;
}
Notice recovered(std::uint64_t event) {
  Notice notice = confirmed(event);
  notice.id = NoticeId{event * 10 + 2};
  notice.state = SiteState::Up;
  notice.ended_at = kStart + 60s;
  notice.transition = {.seq = 3,
                       .reason = TransitionReason::Recovered,
                       .before = SiteState::Down,
                       .after = SiteState::Up,
                       .at = kStart + 60s,
                       .failures = 3,
                       .evidence = {}};
  return notice;
}
// The end of an outage that nobody saw the end of.
Notice ended_as(std::uint64_t event, SiteState after, TransitionReason reason) {
  Notice notice = recovered(event);
  notice.transition.after = after;
  notice.transition.reason = reason;
  return notice;
}
Notice false_alarm(std::uint64_t event) {
  Notice notice = opened(event);
  notice.id = NoticeId{event * 10 + 3};
  notice.state = SiteState::Up;
  notice.ended_at = kStart + 11s;
  notice.transition = {.seq = 2,
                       .reason = TransitionReason::FalseAlarm,
                       .before = SiteState::SeemsDown,
                       .after = SiteState::Up,
                       .at = kStart + 11s,
                       .failures = 1,
                       .evidence = {}};
  return notice;
}
Notice wake_of(Notice event, std::string memo) {
  event.id = NoticeId{event.id.value + 500};
  event.wake = true;
  event.memo = std::move(memo);
  event.transition = {};
  return event;
}
Telling told(std::string kind, Telling::State state = Telling::State::Told,
             std::string target = "ops", bool attempted = false) {
  return {.delivery = DeliveryId{77},
          .target = std::move(target),
          .kind = std::move(kind),
          .state = state,
          .attempted = attempted,
          .at = kStart};
}

Routing one(Notice notice, const NotifyTargets& targets, const RouteContext& context = {}) {
  return route({&notice, 1}, targets, context);
}
std::vector<std::string> kinds(const Routing& routing) {
  std::vector<std::string> all;
  for (const NewDelivery& d : routing.deliveries) all.push_back(d.target + ":" + d.kind);
  return all;
}
Message message_in(const Routing& routing, std::size_t i = 0) {
  const auto message = decode_message(routing.deliveries.at(i).body);
  EXPECT_TRUE(message);
  return message ? *message : Message{};
}

Notice in_group(Notice notice) {
  notice.group = 3;
  notice.group_started_at = kStart - 1s;
  return notice;
}
RouteContext waiting(core::Duration wait) {
  RouteContext context;
  context.digest_wait = [wait](std::uint64_t, bool) { return wait; };
  return context;
}

using Kinds = std::vector<std::string>;

// Goal: the whole table of what a target was told before and what happened gives what is told now. Each row stands for a person
// who is woken, or left in the dark.
TEST(Routing, TellsWhatIsNewToTheTargetAndNothingElse) {
  using S = Telling::State;
  const std::vector<SiteState> all{SiteState::SeemsDown, SiteState::Down, SiteState::Up};
  const std::vector<SiteState> usual{SiteState::Down, SiteState::Up};
  const std::vector<SiteState> only_down{SiteState::Down};
  const struct {
    const char* name;
    Notice notice;
    std::vector<Telling> before;
    std::vector<SiteState> states;
    Kinds expected;
  } rows[] = {
      {"opened, told only of down", opened(1), {}, usual, {}},
      {"opened", opened(1), {}, all, {"ops:seems_down"}},
      {"opened again", opened(1), {told("seems_down")}, all, {}},
      {"confirmed", confirmed(1), {}, usual, {"ops:down"}},
      {"confirmed after seems down", confirmed(1), {told("seems_down")}, all, {"ops:down"}},
      {"confirmed, told already", confirmed(1), {told("down")}, usual, {}},
      {"confirmed, still queued", confirmed(1), {told("down", S::Queued)}, usual, {}},
      {"confirmed, its notice was given up",
       confirmed(1),
       {told("down", S::Dead)},
       usual,
       {"ops:down"}},
      {"confirmed, another target knows",
       confirmed(1),
       {told("down", S::Told, "dev")},
       usual,
       {"ops:down"}},
      {"recovered", recovered(1), {told("down")}, usual, {"ops:up"}},
      {"recovered while the first still waits",
       recovered(1),
       {told("down", S::Queued)},
       usual,
       {"ops:up"}},
      {"recovered, never told", recovered(1), {}, usual, {}},
      {"recovered, only one was told who is not configured now",
       recovered(1),
       {told("down", S::Told, "dev")},
       usual,
       {"dev:up"}},
      {"recovered, given up", recovered(1), {told("down", S::Dead)}, usual, {}},
      {"recovered, taken back", recovered(1), {told("down", S::Cancelled)}, usual, {}},
      {"recovered, reminded since it was given up",
       recovered(1),
       {told("down", S::Dead), told("reminder")},
       usual,
       {"ops:up"}},
      {"recovered twice", recovered(1), {told("down"), told("up")}, usual, {}},
      {"recovered, its end given up", recovered(1), {told("down"), told("up", S::Dead)}, usual, {}},
      {"recovered, ends are not wanted", recovered(1), {told("down")}, only_down, {}},
      {"recovered, only seems down was told", recovered(1), {told("seems_down")}, all, {"ops:up"}},
      {"paused while it is down",
       ended_as(1, SiteState::Paused, TransitionReason::Operator),
       {told("down")},
       usual,
       {"ops:up"}},
      {"paused, never told",
       ended_as(1, SiteState::Paused, TransitionReason::Operator),
       {},
       usual,
       {}},
      {"removed while it is down",
       ended_as(1, SiteState::Unknown, TransitionReason::SiteRemoved),
       {told("down")},
       usual,
       {"ops:up"}},
      {"false alarm, told", false_alarm(1), {told("seems_down")}, all, {"ops:up"}},
      {"false alarm, not told", false_alarm(1), {}, usual, {}},
      {"an old kind of message", recovered(1), {told("smoke")}, usual, {}},
  };
  for (auto row : rows) {
    NotifyTarget target = ops();
    target.states = row.states;
    row.notice.tellings = row.before;
    const Routing routing = one(row.notice, {target});
    EXPECT_EQ(kinds(routing), row.expected) << row.name;
    EXPECT_EQ(routing.settled, std::vector{row.notice.id}) << row.name;
    EXPECT_TRUE(routing.wakes.empty()) << row.name;
  }
}

// Goal: whoever is told of an outage by a dead letter that was requeued after its end is told the end too, once, and nobody else is.
TEST(Routing, EndFollowsABeginningThatWasRequeuedAfterIt) {
  using S = Telling::State;
  const struct {
    const char* name;
    std::vector<Telling> before;
    const char* memo;
    Kinds expected;
  } rows[] = {
      {"its end was never made", {told("down", S::Queued)}, "requeued:up:ops", {"ops:up"}},
      {"sent meanwhile", {told("down")}, "requeued:up:ops", {"ops:up"}},
      {"its end was given up as well",
       {told("down", S::Queued), told("up", S::Dead)},
       "requeued:up:ops",
       {"ops:up"}},
      {"its end was requeued too",
       {told("down", S::Queued), told("up", S::Queued)},
       "requeued:up:ops",
       {}},
      {"an end", {told("down"), told("up", S::Queued)}, "requeued:up:ops", {}},
      {"of another", {told("down"), told("up", S::Dead)}, "requeued:up:dev", {}},
      {"in a digest", {told("down_group", S::Queued)}, "requeued:up:ops", {"ops:up_group"}},
      {"given up again", {told("down", S::Dead)}, "requeued:up:ops", {}},
  };
  for (const auto& row : rows) {
    Notice wake = in_group(wake_of(recovered(1), row.memo));
    wake.tellings = row.before;
    const Routing routing = one(wake, {ops(), ops("dev")}, waiting(30s));
    EXPECT_EQ(kinds(routing), row.expected) << row.name;
    EXPECT_EQ(routing.settled.size(), 1U) << row.name;
    EXPECT_TRUE(routing.wakes.empty()) << row.name;
  }
  Notice paused = wake_of(recovered(1), "requeued:paused:ops");
  paused.tellings = {told("down", S::Queued)};
  EXPECT_EQ(message_in(one(paused, {ops()})).sites.at(0).after, SiteState::Paused);
}

// Of an event that was told of elsewhere, as far as anybody here knows.
TEST(Routing, WhatIsNotKnownIsPresumedFromTheEventAndTheSettings) {
  NotifyTarget all = ops("all");
  all.states = {SiteState::SeemsDown, SiteState::Down, SiteState::Up};
  NotifyTarget tagged = ops("tagged");
  tagged.tags = {"nobody has it"};
  NotifyTarget skips = ops("skips");
  skips.skip_short = true;
  const NotifyTargets targets{ops(), all, tagged, skips};
  const auto told_to = [&](Notice notice) {
    notice.presumed = true;
    std::string text;
    for (const NewDelivery& one : one(std::move(notice), targets).deliveries)
      text += one.target + " " + one.kind + " ";
    return text;
  };
  EXPECT_EQ(told_to(recovered(1)), "ops up all up skips up ");
  EXPECT_EQ(told_to(confirmed(1)), "ops down all down skips down ");
  EXPECT_EQ(told_to(false_alarm(1)), "all up ");
  // What is known counts.
  Notice known = recovered(1);
  known.tellings = {told("up")};
  EXPECT_EQ(told_to(known), "all up skips up ");
}

TEST(Routing, AnEventThatHasNoNumberYetIsToldWithTheSameId) {
  Notice without = confirmed(1);
  without.event = core::EventId{kAwayIdFirst + 7};
  const auto with_number = one(confirmed(1), {ops()}).deliveries;
  const auto without_number = one(without, {ops()}).deliveries;
  ASSERT_EQ(with_number.size(), 1U);
  ASSERT_EQ(without_number.size(), 1U);
  EXPECT_EQ(with_number.front().message_id, without_number.front().message_id);
  EXPECT_EQ(without_number.front().events, std::vector<core::EventId>{without.event});
  const auto message = decode_message(without_number.front().body);
  ASSERT_TRUE(message);
  EXPECT_EQ(message->sites.front().event.value, 0U);
  EXPECT_EQ(condition_key(message->sites.front()),
            condition_key(decode_message(with_number.front().body)->sites.front()));
}

TEST(Routing, FiltersByTagAndSeverityWhatBeginsAndNeverWhatEnds) {
  NotifyTarget tagged = ops();
  tagged.tags = {"paid", "eu"};
  NotifyTarget critical = ops("phone");
  critical.states = {SiteState::SeemsDown, SiteState::Down, SiteState::Up};
  critical.severity = Severity::Critical;
  const NotifyTargets targets{tagged, critical};

  EXPECT_EQ(kinds(one(opened(1), targets)), Kinds{});
  EXPECT_EQ(kinds(one(confirmed(1), targets)), Kinds{"phone:down"});
  Notice with_tag = confirmed(1);
  with_tag.tags = {"x", "eu"};
  EXPECT_EQ(kinds(one(with_tag, targets)), (Kinds{"ops:down", "phone:down"}));
  // The tag was taken away, or the site with its row, while it was down.
  Notice end = recovered(1);
  end.tellings = {told("down")};
  EXPECT_EQ(kinds(one(end, targets)), Kinds{"ops:up"});
}

TEST(Routing, WithoutTargetsOrEventSettlesOnly) {
  Notice gone = confirmed(1);
  gone.event_known = false;
  for (const Routing& routing : {one(confirmed(1), {}), one(gone, {ops()})}) {
    EXPECT_EQ(routing.settled.size(), 1U);
    EXPECT_TRUE(routing.deliveries.empty());
    EXPECT_TRUE(routing.wakes.empty());
  }
}

// Goal: a dead letter stays one until a person sends it again. Method: a hold kept back both changes of an event, so both come back; the
// receiver would not have the first.
TEST(Routing, WhatWasGivenUpIsNotMadeAgain) {
  Notice down = wake_of(confirmed(1), "hold:parent");
  down.tellings = {told("down", Telling::State::Dead)};
  EXPECT_EQ(kinds(one(down, {ops(), ops("phone")})), Kinds{"phone:down"});
  down.tellings = {told("seems_down", Telling::State::Dead)};
  EXPECT_EQ(kinds(one(down, {ops()})), Kinds{"ops:down"}) << "that is another message";
}

// Goal: a [[notify]] that is missing for a moment costs nobody the end of what they were told; it is told nothing new meanwhile.
TEST(Routing, EndIsForThoseWhoWereToldThoughTheyAreNotConfiguredNow) {
  for (const NotifyTargets& left : {NotifyTargets{}, NotifyTargets{ops("phone")}}) {
    Notice end = recovered(1);
    end.tellings = {told("down")};
    EXPECT_EQ(kinds(one(end, left)), Kinds{"ops:up"});
    end.tellings.push_back(told("up"));
    EXPECT_TRUE(kinds(one(end, left)).empty());
    end.tellings = {told("down", Telling::State::Dead)};
    EXPECT_TRUE(kinds(one(end, left)).empty());
    Notice down = confirmed(1);
    down.tellings = {told("seems_down")};
    EXPECT_EQ(kinds(one(down, left)), left.empty() ? Kinds{} : Kinds{"phone:down"});
  }
  // Of a mass outage: in one message, as to those who are there.
  Notice first = in_group(recovered(1));
  Notice second = in_group(recovered(2));
  first.tellings = second.tellings = {told("down_group")};
  const std::vector<Notice> both{first, second};
  EXPECT_EQ(kinds(route(both, {}, {})), Kinds{"ops:up_group"});
}

TEST(Routing, MessageSaysWhatWasSeenAndHoldsNoSecretOfTheUrl) {
  const Routing routing = one(confirmed(7), {ops()});
  const Message message = message_in(routing);
  EXPECT_EQ(message.kind, MessageKind::Down);
  EXPECT_EQ(message.severity, Severity::Critical);
  EXPECT_EQ(message.target, "ops");
  ASSERT_EQ(message.sites.size(), 1U);
  const MessageSite& site = message.sites.front();
  EXPECT_EQ(site.url, "https://shop.example/a");
  EXPECT_EQ(site.transition, 2U);
  EXPECT_EQ(site.reason, TransitionReason::Confirmed);
  EXPECT_EQ(site.evidence.detail, "503");
  EXPECT_EQ(site.confirmed_at, kStart + 20s);
  EXPECT_EQ(site.ended_at, core::kNoWallTime);
  const NewDelivery& delivery = routing.deliveries.front();
  EXPECT_EQ(delivery.message_id, message.id);
  EXPECT_EQ(delivery.line, 107U);
  EXPECT_EQ(delivery.site, core::SiteId{107});
  EXPECT_EQ(delivery.events, std::vector{core::EventId{7}});
}

TEST(Routing, EndNamesTheLastFailureAndWhenItWas) {
  Notice end = recovered(7);
  end.tellings = {told("down")};
  const Message message = message_in(one(end, {ops()}));
  EXPECT_EQ(message.kind, MessageKind::Up);
  EXPECT_EQ(message.sites.front().ended_at, kStart + 60s);
  EXPECT_EQ(message.sites.front().evidence.detail, "503");
  EXPECT_EQ(message.sites.front().reason, TransitionReason::Recovered);
}

// Whatever a site is after its event, who was told that it is down is told that this is over; and that it is up only when it is.
TEST(Routing, EndIsToldWhateverTheSiteIsAfterIt) {
  for (std::size_t i = 0; i < core::kSiteStateCount; ++i) {
    const auto after = static_cast<SiteState>(i);
    if (after == SiteState::SeemsDown || after == SiteState::Down) continue;
    Notice end = ended_as(1, after, TransitionReason::Operator);
    end.tellings = {told("down")};
    const Routing routing = one(end, {ops()});
    ASSERT_EQ(kinds(routing), Kinds{"ops:up"}) << to_string(after);
    const Message message = message_in(routing);
    EXPECT_EQ(message.sites.at(0).after, after);
    EXPECT_EQ(message.sites.at(0).before, SiteState::Down);
    EXPECT_EQ(message.sites.at(0).reason, TransitionReason::Operator);
    EXPECT_EQ(message.sites.at(0).transition, 3U);
    EXPECT_EQ(message.sites.at(0).ended_at, kStart + 60s);
    EXPECT_EQ(headline(message).starts_with("UP "), after == SiteState::Up) << headline(message);
    // Of an event that goes on it is no end.
    end.state = SiteState::Down;
    if (after == SiteState::Up) continue;
    EXPECT_EQ(kinds(one(end, {ops()})), Kinds{}) << to_string(after);
  }
}

TEST(Routing, EndIsAsBadAsWhatIsOver) {
  NotifyTarget target = ops();
  target.states = {SiteState::SeemsDown, SiteState::Down, SiteState::Up};
  Notice alarm = false_alarm(1);
  alarm.tellings = {told("seems_down")};
  EXPECT_EQ(message_in(one(alarm, {target})).severity, Severity::Warning);
  EXPECT_EQ(message_in(one(alarm, {target})).sites.at(0).reason, TransitionReason::FalseAlarm);
  Notice end = recovered(1);
  end.tellings = {told("seems_down"), told("down")};
  EXPECT_EQ(message_in(one(end, {target})).severity, Severity::Critical);
}

TEST(Routing, MessageIdIsTheSameForTheSameNoticeAndOtherwiseAnother) {
  std::set<std::string> ids;
  for (const NotifyTarget& target : {ops(), ops("dev")}) {
    for (std::uint64_t event = 1; event < 4; ++event) {
      Notice end = recovered(event);
      end.tellings = {told("down", Telling::State::Told, target.name())};
      for (const Notice& notice : {confirmed(event), end})
        ids.insert(one(notice, {target}).deliveries.at(0).message_id);
    }
  }
  EXPECT_EQ(ids.size(), 12U);
  EXPECT_EQ(one(confirmed(1), {ops()}).deliveries.at(0).message_id,
            one(confirmed(1), {ops()}).deliveries.at(0).message_id);
}

TEST(Routing, ShortOutageIsTakenBackOnlyWhereTheTargetAsksAndNobodyTriedYet) {
  NotifyTarget target = ops();
  target.skip_short = true;
  Notice end = recovered(1);
  end.tellings = {told("down", Telling::State::Queued)};
  EXPECT_EQ(one(end, {target}).deliveries.at(0).instead_of, std::vector{DeliveryId{77}});
  EXPECT_TRUE(one(end, {ops()}).deliveries.at(0).instead_of.empty());
  end.tellings = {told("down", Telling::State::Queued, "ops", true)};
  EXPECT_TRUE(one(end, {target}).deliveries.at(0).instead_of.empty());
  // One message of many sites cannot be taken back for one of them.
  end.tellings = {told("down_group", Telling::State::Queued)};
  EXPECT_TRUE(one(end, {target}).deliveries.at(0).instead_of.empty());
}

// ---- Reminders.

TEST(Routing, RemindsAsLongAsItIsDown) {
  NotifyTarget target = ops();
  target.remind = 1h;
  const Routing first = one(confirmed(1), {target});
  ASSERT_EQ(first.wakes.size(), 1U);
  EXPECT_EQ(first.wakes[0].delay, 1h);

  Notice due = wake_of(confirmed(1), first.wakes[0].memo);
  due.tellings = {told("down")};
  const Routing again = one(due, {target});
  EXPECT_EQ(kinds(again), Kinds{"ops:reminder"});
  EXPECT_EQ(again.wakes.size(), 1U);
  EXPECT_EQ(message_in(again).sites[0].transition, 0U);

  // The receiver is away: one message waits already, so it is only looked at again.
  due.tellings = {told("down", Telling::State::Queued)};
  EXPECT_EQ(kinds(one(due, {target})), Kinds{});
  EXPECT_EQ(one(due, {target}).wakes.size(), 1U);

  Notice over = wake_of(recovered(1), first.wakes[0].memo);
  over.tellings = {told("down"), told("up")};
  EXPECT_EQ(kinds(one(over, {target})), Kinds{});
  EXPECT_TRUE(one(over, {target}).wakes.empty());

  EXPECT_EQ(kinds(one(due, {ops("dev")})), Kinds{});  // Not configured any more.
  EXPECT_TRUE(one(due, {ops()}).wakes.empty());       // No reminders any more.
}

TEST(Routing, WhatSomebodyIsOnIsNotRemindedOfAndItsEndIsTold) {
  NotifyTarget target = ops();
  target.remind = 1h;
  Notice due = wake_of(confirmed(1), "remind:ops");
  due.tellings = {told("down")};
  due.acked = true;
  EXPECT_EQ(kinds(one(due, {target})), Kinds{});
  EXPECT_TRUE(one(due, {target}).wakes.empty());
  Notice over = recovered(1);
  over.tellings = {told("down")};
  over.acked = true;
  EXPECT_EQ(kinds(one(over, {target})), Kinds{"ops:up"});
}

// Also while the beginning waits, held or for its digest: the wake of that is there already.
TEST(Routing, WhatPeopleSayOfAnIncidentIsToldToNobody) {
  for (const Act act : {Act::Ack, Act::Comment}) {
    Notice said = confirmed(1);
    said.transition.reason = TransitionReason::Operator;
    said.transition.before = SiteState::Down;
    said.transition.by = ByHand{.request = {}, .act = act, .who = {}, .why = {}, .source = {}};
    const Routing routing = one(said, {ops()});
    EXPECT_EQ(kinds(routing), Kinds{});
    EXPECT_TRUE(routing.wakes.empty());
    EXPECT_EQ(routing.settled.size(), 1U);
  }
}

TEST(Routing, WhatAPersonClosedIsToldAsOverNotAsUp) {
  Notice closed = ended_as(1, SiteState::Unknown, TransitionReason::Operator);
  closed.transition.by =
      ByHand{.request = {}, .act = Act::Close, .who = {}, .why = {}, .source = {}};
  closed.tellings = {told("down")};
  const Routing routing = one(closed, {ops()});
  ASSERT_EQ(kinds(routing), Kinds{"ops:up"});
  EXPECT_TRUE(headline(message_in(routing)).starts_with("OVER ")) << headline(message_in(routing));
  Notice later = wake_of(closed, "digest:closed");
  later.group = 4;
  later.tellings = {told("down_group")};
  EXPECT_EQ(message_in(one(later, {ops()})).sites.at(0).reason, TransitionReason::Operator);
}

TEST(Routing, RemindersOfOneEventHaveDifferentIds) {
  NotifyTarget target = ops();
  target.remind = 1h;
  Notice due = wake_of(confirmed(1), "remind:ops");
  due.tellings = {told("down")};
  const std::string first = one(due, {target}).deliveries.at(0).message_id;
  due.at += 1h;
  EXPECT_NE(one(due, {target}).deliveries.at(0).message_id, first);
}

// ---- Mass outages.

TEST(Routing, SitesOfOneOutageAreOneMessageThatNamesThem) {
  std::vector<Notice> notices;
  for (std::uint64_t event = 1; event <= 40; ++event) notices.push_back(in_group(confirmed(event)));
  NotifyTarget odd = ops("odd");
  odd.tags = {"odd"};
  for (std::size_t i = 0; i < notices.size(); i += 2) notices[i].tags = {"odd"};
  const Routing routing = route(notices, {ops(), odd}, {});
  EXPECT_EQ(kinds(routing), (Kinds{"ops:down_group", "odd:down_group"}));
  EXPECT_EQ(message_in(routing, 1).sites.size(), 20U);
  const Message message = message_in(routing, 0);
  ASSERT_EQ(message.sites.size(), 40U);
  EXPECT_EQ(message.group, 3U);
  EXPECT_EQ(message.part, 0U) << "the only one";
  EXPECT_EQ(routing.deliveries[0].events.size(), 40U);
  EXPECT_NE(routing.deliveries[0].line, 0U);
  EXPECT_EQ(routing.settled.size(), 40U);
}

TEST(Routing, FirstOfAnOutageWaitsForTheOthers) {
  const Routing routing = one(in_group(confirmed(1)), {ops()}, waiting(5s));
  EXPECT_EQ(kinds(routing), Kinds{});
  EXPECT_EQ(routing.settled.size(), 1U);
  ASSERT_EQ(routing.wakes.size(), 1U);
  EXPECT_EQ(routing.wakes[0].delay, 5s - kDigestSlack);

  // Due, and its neighbours will be in a moment: it stays.
  const Notice due = wake_of(in_group(confirmed(1)), routing.wakes[0].memo);
  const Routing stays = one(due, {ops()}, waiting(100ms));
  EXPECT_TRUE(stays.settled.empty());
  EXPECT_TRUE(stays.wakes.empty());
  EXPECT_EQ(kinds(one(due, {ops()}, waiting({}))), Kinds{"ops:down_group"});
  // It has waited, whatever began since.
  EXPECT_EQ(kinds(one(due, {ops()}, waiting(30s))), Kinds{"ops:down_group"});
}

TEST(Routing, NobodyWaitsForADigestThatTellsNobody) {
  NotifyTarget tagged = ops();
  tagged.tags = {"none has it"};
  const Routing routing = one(in_group(confirmed(1)), {tagged}, waiting(5s));
  EXPECT_TRUE(routing.wakes.empty());
  EXPECT_EQ(routing.settled.size(), 1U);
}

TEST(Routing, EndOfSitesOfOneOutageIsOneMessageForThoseWhoWereTold) {
  std::vector<Notice> notices;
  for (std::uint64_t event = 1; event <= 4; ++event) {
    notices.push_back(in_group(recovered(event)));
    if (event != 2) notices.back().tellings = {told("down_group")};
  }
  notices[1].memo = "digest";
  notices.back().tellings = {told("down")};  // Before it was known to be part of it.
  const Routing routing = route(notices, {ops()}, {});
  EXPECT_EQ(kinds(routing), (Kinds{"ops:up", "ops:down_group", "ops:up_group"}));
  // The second one was never told: it waited for its digest, and is told whole.
  std::size_t downs = 0;
  std::size_t ups = 0;
  for (std::size_t i = 0; i < routing.deliveries.size(); ++i) {
    const Message message = message_in(routing, i);
    (message.kind == MessageKind::Up ? ups : downs) += message.sites.size();
  }
  EXPECT_EQ(downs, 1U);
  EXPECT_EQ(ups, 4U);
}

TEST(Routing, OutageThatEndsWhileItsDigestWaitsIsToldWholeAndInOrder) {
  Notice end = in_group(recovered(1));
  end.memo = "digest";
  const Routing routing = one(end, {ops()}, waiting(5s));
  EXPECT_EQ(kinds(routing), (Kinds{"ops:down_group", "ops:up_group"}));
  EXPECT_EQ(routing.deliveries[0].line, routing.deliveries[1].line);
  EXPECT_EQ(routing.settled.size(), 1U);
  EXPECT_EQ(message_in(routing, 0).sites[0].ended_at, core::kNoWallTime);
  // When its digest is due nothing is left to tell.
  Notice due = wake_of(in_group(recovered(1)), "digest");
  due.tellings = {told("down_group", Telling::State::Queued),
                  told("up_group", Telling::State::Queued)};
  EXPECT_EQ(kinds(one(due, {ops()})), Kinds{});
}

// Goal: an outage that waited for its digest while the store went away is told, however long that took. Its end comes up first.
TEST(Routing, OutageWhoseDigestWaitedForLongIsToldWhole) {
  Notice end = in_group(recovered(1));
  end.ended_at = end.transition.at = kStart + 10min;
  EXPECT_EQ(kinds(one(end, {ops()})), Kinds{}) << "nothing says that it was owed";
  const Notice due = wake_of(end, "digest");
  const Routing routing = one(due, {ops()}, waiting(30s));
  EXPECT_EQ(kinds(routing), (Kinds{"ops:down_group", "ops:up_group"}));
  EXPECT_EQ(routing.settled.size(), 1U);

  for (const char* memo : {"digest:up", "remind:ops", "hold:maintenance:0:1:0"})
    EXPECT_EQ(kinds(one(wake_of(end, memo), {ops()})), Kinds{}) << memo;
  for (const Telling::State state :
       {Telling::State::Told, Telling::State::Dead, Telling::State::Cancelled}) {
    Notice told_before = due;
    told_before.tellings = {told("down_group", state), told("up_group", state)};
    EXPECT_EQ(kinds(one(told_before, {ops()})), Kinds{});
  }
}

TEST(Routing, EndThatWaitsForItsDigestKeepsWhatTheSiteIsAfterIt) {
  const struct {
    SiteState after;
    TransitionReason reason;
  } rows[] = {{SiteState::Up, TransitionReason::Recovered},
              {SiteState::Paused, TransitionReason::Operator},
              {SiteState::Unknown, TransitionReason::SiteRemoved}};
  for (const auto& row : rows) {
    Notice end = in_group(ended_as(1, row.after, row.reason));
    end.tellings = {told("down_group")};
    const Routing waits = one(end, {ops()}, waiting(5s));
    ASSERT_EQ(waits.wakes.size(), 1U);
    EXPECT_TRUE(waits.deliveries.empty());
    const Routing due = one(wake_of(end, waits.wakes[0].memo), {ops()});
    ASSERT_EQ(kinds(due), Kinds{"ops:up_group"});
    EXPECT_EQ(message_in(due).sites.at(0).after, row.after);
    EXPECT_EQ(message_in(due).sites.at(0).reason, row.reason);
    EXPECT_EQ(one(wake_of(end, waits.wakes[0].memo), {ops()}, waiting(30s)).settled.size(), 1U);
  }
}

// The next outage of a site of a mass outage whose end waits for others; of a group of its own where `group` is not 0.
Notice failed_again(std::uint64_t event, std::uint64_t group = 0) {
  Notice former = wake_of(in_group(recovered(event)), "digest:up");
  former.tellings = {told("down_group")};
  Notice notice = confirmed(event + 50);
  notice.site = former.site;
  notice.started_at = kStart + 70s;
  notice.group = group;
  notice.former = {former};
  return notice;
}

// Goal: the last thing that people read of a site is how it is, though ends of mass outages are gathered. Method: what is to be told
// of the site's next outage, in each way that it can be told or not; ids rise in the order of the deliveries, and what is told of the
// former event, and settled, is looked at.
TEST(Routing, WhatBeginsIsToldBehindTheEndThatWaitedForOthers) {
  const Notice again = failed_again(1);
  const Routing alone = one(again, {ops()}, waiting(20s));
  EXPECT_EQ(kinds(alone), (Kinds{"ops:up_group", "ops:down"}));
  EXPECT_EQ(alone.settled, (std::vector{again.id, again.former[0].id}));
  EXPECT_TRUE(alone.wakes.empty());
  EXPECT_EQ(message_in(alone, 0).sites.at(0).event, core::EventId{1});
  EXPECT_EQ(message_in(alone, 1).sites.at(0).event, core::EventId{51});

  // Many at once are still few messages, and all ends are before all beginnings.
  const std::vector<Notice> many{failed_again(1, 7), failed_again(2, 7), failed_again(3)};
  RouteContext context;
  context.digest_wait = [](std::uint64_t, bool ends) { return ends ? 20s : 0s; };
  const Routing together = route(many, {ops(), ops("b")}, context);
  EXPECT_EQ(kinds(together),
            (Kinds{"ops:up_group", "ops:down", "b:down", "ops:down_group", "b:down_group"}))
      << "b was told nothing of the former ones";
  EXPECT_EQ(message_in(together, 0).sites.size(), 3U);
  EXPECT_EQ(together.settled.size(), 6U);
  EXPECT_EQ(together.digests.size(), 3U);

  // Where nothing is told of the next outage, or not yet, the end goes on waiting for others.
  NotifyTarget tagged = ops();
  tagged.tags = {"none has it"};
  RouteContext held;
  held.hold = [](const Notice&) {
    return Hold{.reason = HoldReason::Maintenance, .look_again = 60s};
  };
  Notice seemed = failed_again(1);
  seemed.state = seemed.transition.after = SiteState::SeemsDown;
  for (const Routing& routing :
       {one(again, {tagged}, waiting(20s)), one(again, {ops()}, held),
        one(failed_again(1, 7), {ops()}, waiting(20s)), one(seemed, {ops()}, waiting(20s))}) {
    EXPECT_EQ(kinds(routing), Kinds{});
    EXPECT_EQ(routing.settled.size(), 1U);
  }

  // That is over before its digest was made: told whole, behind the other.
  Notice whole = failed_again(1, 7);
  whole.memo = "digest";  // The wait for it is there.
  whole.state = SiteState::Up;
  whole.ended_at = kStart + 99s;
  whole.transition.before = SiteState::Down;
  whole.transition.after = SiteState::Up;
  EXPECT_EQ(kinds(one(whole, {ops()}, waiting(20s))),
            (Kinds{"ops:up_group", "ops:down_group", "ops:up_group"}));
}

TEST(Routing, WhatIsTooMuchForOneMessageBecomesSeveralThatNameEachSiteOnce) {
  std::vector<Notice> notices;
  for (std::uint64_t event = 1; event <= 1500; ++event)
    notices.push_back(in_group(confirmed(event)));
  const Routing routing = route(notices, {ops()}, {});
  std::set<std::uint64_t> named;
  std::set<std::string> ids;
  std::size_t sites = 0;
  for (std::size_t i = 0; i < routing.deliveries.size(); ++i) {
    EXPECT_LE(routing.deliveries[i].body.size(), kDeliveryBodyMax);
    EXPECT_TRUE(ids.insert(routing.deliveries[i].message_id).second);
    for (const MessageSite& site : message_in(routing, i).sites) named.insert(site.site.value);
    sites += message_in(routing, i).sites.size();
    EXPECT_EQ(message_in(routing, i).part, i + 1);
  }
  EXPECT_GE(routing.deliveries.size(), 2U);
  EXPECT_EQ(named.size(), 1500U);
  EXPECT_EQ(sites, 1500U);
}

// A chat message that names so many would be cut.
TEST(Routing, ChatMessagesNameNoMoreSitesThanTheyHaveRoomFor) {
  NotifyTarget chat = ops("chat");
  chat.channel.type = ChannelType::Slack;
  std::vector<Notice> notices;
  for (std::uint64_t event = 1; event <= 250; ++event)
    notices.push_back(in_group(confirmed(event)));
  std::map<std::string, std::size_t> messages;
  std::map<std::string, std::size_t> sites;
  for (const NewDelivery& delivery : route(notices, {chat, ops()}, {}).deliveries) {
    ++messages[delivery.target];
    sites[delivery.target] += delivery.events.size();
  }
  EXPECT_EQ(messages, (std::map<std::string, std::size_t>{{"chat", 3}, {"ops", 1}}));
  EXPECT_EQ(sites, (std::map<std::string, std::size_t>{{"chat", 250}, {"ops", 250}}));
}

// ---- Holds.

RouteContext held(bool on = true, HoldReason reason = HoldReason::Maintenance) {
  RouteContext context;
  context.hold = [on, reason](const Notice&) -> std::optional<Hold> {
    if (!on) return std::nullopt;
    return Hold{.reason = reason, .look_again = 10min};
  };
  return context;
}

TEST(Routing, HeldOutageIsToldWhenTheHoldIsOverAndItStillIsDown) {
  const Routing kept = one(confirmed(1), {ops()}, held());
  EXPECT_EQ(kinds(kept), Kinds{});
  EXPECT_EQ(kept.held.at(0), 1U);
  ASSERT_EQ(kept.wakes.size(), 1U);
  EXPECT_EQ(kept.wakes[0].delay, 10min);
  const Notice due = wake_of(confirmed(1), kept.wakes[0].memo);
  EXPECT_EQ(kinds(one(due, {ops()}, held(false))), Kinds{"ops:down"});
  EXPECT_EQ(one(due, {ops()}, held()).wakes.size(), 1U);  // Still held.
}

TEST(Routing, HeldOutageThatEndsIsNeverTold) {
  EXPECT_EQ(kinds(one(recovered(1), {ops()}, held())), Kinds{});
  EXPECT_EQ(kinds(one(wake_of(recovered(1), "hold:maintenance:0:1:0"), {ops()}, held(false))),
            Kinds{});
  EXPECT_EQ(kinds(one(in_group(recovered(1)), {ops()}, held())), Kinds{});
}

// The children of a mass outage whose parent recovers, or never was confirmed: nothing holds them any more when their end comes up,
// before the hold was looked at again.
TEST(Routing, WhatAHoldKeptBackIsNotToldThoughItWasPartOfAMassOutage) {
  EXPECT_EQ(kinds(one(in_group(recovered(1)), {ops()}, held(false))), Kinds{});
  Notice waited = in_group(recovered(1));
  waited.memo = "digest";
  EXPECT_EQ(kinds(one(waited, {ops()}, held())), Kinds{}) << "it is held now";
}

// Goal: what is only not known drops nothing. Method: an outage that is over when its beginning comes up, one that goes on, one of a
// mass outage that waited for its digest; while nothing is known of parents, and when it is known that nothing holds them.
TEST(Routing, WhatMayBeHeldWaitsWhereItIsUntilThatIsKnown) {
  const RouteContext unread = held(true, HoldReason::ParentsUnread);
  Notice over = confirmed(1);
  over.state = core::SiteState::Up;
  over.ended_at = over.confirmed_at + 1s;
  const Notice gathered = wake_of(in_group(confirmed(1)), "digest");
  EXPECT_TRUE(one(gathered, {ops()}, unread).settled.empty());
  EXPECT_FALSE(one(gathered, {ops()}, held(false)).deliveries.empty());
  for (const Notice& notice : {over, confirmed(1)}) {
    const Routing waits = one(notice, {ops()}, unread);
    EXPECT_TRUE(waits.settled.empty());
    EXPECT_TRUE(waits.wakes.empty());
    EXPECT_EQ(kinds(waits), Kinds{});
    EXPECT_EQ(kinds(one(notice, {ops()}, held(false))), Kinds{"ops:down"});
  }
  Notice waited = in_group(recovered(1));
  waited.memo = "digest";
  EXPECT_FALSE(one(waited, {ops()}, unread).deliveries.empty());
}

TEST(Routing, HoldDoesNotKeepBackTheEndOfWhatWasTold) {
  Notice end = recovered(1);
  end.tellings = {told("down")};
  EXPECT_EQ(kinds(one(end, {ops()}, held())), Kinds{"ops:up"});
}

Notice witnessed(Notice notice, core::Basis basis, core::Saw fra, core::Saw nyc) {
  notice.testimony.basis = basis;
  notice.testimony.witnesses = {{.vantage = "local", .saw = core::Saw::Down},
                                {.vantage = "fra", .saw = fra},
                                {.vantage = "nyc", .saw = nyc}};
  return notice;
}

// Goal: a message says who else saw it, and where nobody did or somebody saw the opposite it says that.
TEST(Routing, SaysWhoElseSawIt) {
  using core::Basis;
  using core::Saw;
  const auto told_of = [](Notice notice) { return message_in(one(std::move(notice), {ops()})); };
  const Message quorum = told_of(witnessed(confirmed(1), Basis::Quorum, Saw::Down, Saw::Silent));
  EXPECT_EQ(quorum.sites.at(0).witnesses, std::vector<std::string>{"fra"});
  EXPECT_EQ(quorum.note, "");
  const Message alone =
      told_of(witnessed(confirmed(1), Basis::Unanswered, Saw::Silent, Saw::Error));
  EXPECT_TRUE(alone.sites.at(0).witnesses.empty());
  EXPECT_EQ(alone.note, "Confirmed from here only: no other vantage could tell in time.");
  const Message against = told_of(witnessed(confirmed(1), Basis::Outlasted, Saw::Up, Saw::Silent));
  EXPECT_EQ(against.note, "Seen up by fra; called down because it went on failing here.");
  Notice end = witnessed(recovered(1), Basis::Quorum, Saw::Down, Saw::Down);
  end.tellings = {told("down")};
  EXPECT_EQ(told_of(end).sites.at(0).witnesses, (std::vector<std::string>{"fra", "nyc"}));
  EXPECT_EQ(told_of(end).note, "");
}

TEST(Routing, ADigestOfDisputedOutagesSaysSo) {
  const Routing routing = one(
      in_group(witnessed(confirmed(1), core::Basis::Outlasted, core::Saw::Up, core::Saw::Silent)),
      {ops()});
  EXPECT_EQ(message_in(routing).note,
            "Other vantages see some of them up; they went on failing here.");
}

TEST(PublicUrl, HasNoUserQueryOrFragment) {
  EXPECT_EQ(public_url("https://u:p@h.example:8443/a/b?x=1#y"), "https://h.example:8443/a/b");
  EXPECT_EQ(public_url("https://h.example/a@b"), "https://h.example/a@b");
  EXPECT_EQ(public_url("https://u@h.example"), "https://h.example");
  EXPECT_EQ(public_url("https://a@b@h.example/"), "https://h.example/");
  EXPECT_EQ(public_url(""), "");
}

}  // namespace
}  // namespace watchwheel::sideeffects
