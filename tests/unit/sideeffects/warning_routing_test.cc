// SPDX-License-Identifier: Apache-2.0
// Goal: of a warning those who want to know hear once of each step and once of the end, nobody hears the end of what he never heard
// of, and outages are not touched by any of it. Method: notices as the store gives them, through route().
#include "sideeffects/warning_routing.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::EventKind;
using core::SiteState;
using core::TransitionReason;

constexpr core::Duration kDay = 24h;
const core::WallTime kStart = core::from_unix_ms(1'700'000'000'000);

NotifyTarget target_of(std::string name, Severity severity = Severity::Info) {
  NotifyTarget target;
  target.channel.name = std::move(name);
  target.warnings = true;
  target.severity = severity;
  return target;
}

Notice warning(std::uint64_t event, core::Duration step = 14 * kDay) {
  Notice notice;
  notice.id = NoticeId{event * 10};
  notice.at = kStart;
  notice.site = core::SiteId{event + 100};
  notice.event = core::EventId{event};
  notice.event_known = true;
  notice.kind = EventKind::TlsExpiring;
  notice.step = step;
  notice.state = SiteState::Unknown;
  notice.started_at = kStart;
  notice.url = "https://u:p@shop.example/a?token=x";
  notice.name = "shop" + std::to_string(event);
  notice.evidence = {.cause = core::Cause::Ok,
                     .phase = core::Phase::Tls,
                     .detail = "the certificate expires in 13d 2h (2026-11-27T09:00:00Z)",
                     .address = ""};
  notice.transition = {.seq = 1,
                       .reason = TransitionReason::Opened,
                       .before = SiteState::Up,
                       .after = SiteState::Up,
                       .at = kStart,
                       .failures = 0,
                       .evidence = notice.evidence};
  notice.transition.step = step;
  return notice;
}
Notice stepped(std::uint64_t event, core::Duration step) {
  Notice notice = warning(event, step);
  notice.transition.seq = 2;
  notice.transition.reason = TransitionReason::SeverityChanged;
  return notice;
}
Notice over(std::uint64_t event, SiteState after = SiteState::Up,
            TransitionReason reason = TransitionReason::Recovered) {
  Notice notice = stepped(event, 7 * kDay);
  notice.state = SiteState::Up;
  notice.ended_at = kStart + kDay;
  notice.transition.seq = 3;
  notice.transition.reason = reason;
  notice.transition.after = after;
  return notice;
}
Telling told(std::string kind, std::string target = "ops",
             Telling::State state = Telling::State::Told, std::uint64_t delivery = 77) {
  return {.delivery = DeliveryId{delivery},
          .target = std::move(target),
          .kind = std::move(kind),
          .state = state,
          .attempted = false,
          .at = kStart};
}

Routing routed(const std::vector<Notice>& notices, const NotifyTargets& targets,
               const RouteContext& context = {}) {
  Routing routing = route(notices, targets, context);
  EXPECT_EQ(routing.settled.size(), notices.size()) << "each notice is settled, once";
  return routing;
}
Message message_of(const NewDelivery& delivery) {
  return decode_message(delivery.body).value();
}

TEST(WarningRouting, ItsBeginningIsToldToWhoWantsWarnings) {
  NotifyTarget without = target_of("pager");
  without.warnings = false;
  const Routing routing = routed({warning(1)}, {target_of("ops"), without});
  ASSERT_EQ(routing.deliveries.size(), 1U);
  const NewDelivery& delivery = routing.deliveries[0];
  EXPECT_EQ(delivery.target, "ops");
  EXPECT_EQ(delivery.kind, "warning");
  EXPECT_EQ(delivery.line, 101U);
  EXPECT_EQ(delivery.site, core::SiteId{101});
  EXPECT_EQ(delivery.events, std::vector{core::EventId{1}});
  const Message message = message_of(delivery);
  EXPECT_EQ(message.id, delivery.message_id);
  EXPECT_EQ(message.kind, MessageKind::Warning);
  EXPECT_EQ(message.severity, Severity::Warning);
  EXPECT_EQ(headline(message),
            "WARNING shop1: the certificate expires in 13d 2h (2026-11-27T09:00:00Z)");
  ASSERT_EQ(message.sites.size(), 1U);
  EXPECT_EQ(message.sites[0].kind, EventKind::TlsExpiring);
  EXPECT_EQ(message.sites[0].step, 14 * kDay);
  EXPECT_EQ(message.sites[0].url, "https://shop.example/a") << "no secrets";
  EXPECT_EQ(cause_word(message.sites[0]), "tls_expiring");
  EXPECT_EQ(state_word(message.sites[0]), "warning");
  EXPECT_EQ(previous_state_word(message.sites[0]), "ok");
}

// A table: what a target asks for at least, and what a step is.
TEST(WarningRouting, TheSeverityOfTheStepDecides) {
  const std::map<core::Duration, Severity> steps{{30 * kDay, Severity::Info},
                                                 {21 * kDay, Severity::Warning},
                                                 {7 * kDay, Severity::Warning},
                                                 {3 * kDay, Severity::Critical},
                                                 {1 * kDay, Severity::Critical}};
  for (const auto& [step, severity] : steps) {
    for (const Severity least : {Severity::Info, Severity::Warning, Severity::Critical}) {
      const Routing routing = routed({stepped(1, step)}, {target_of("ops", least)});
      EXPECT_EQ(routing.deliveries.size(), severity >= least ? 1U : 0U)
          << to_string(severity) << " for " << to_string(least);
      if (!routing.deliveries.empty()) {
        EXPECT_EQ(message_of(routing.deliveries[0]).severity, severity);
      }
    }
  }
  NotifyTarget tagged = target_of("ops");
  tagged.tags = {"prod"};
  EXPECT_TRUE(routed({warning(1)}, {tagged}).deliveries.empty());
  Notice prod = warning(1);
  prod.tags = {"eu", "prod"};
  EXPECT_EQ(routed({prod}, {tagged}).deliveries.size(), 1U);
}

TEST(WarningRouting, EachStepIsToldOnceAndOnlyTheNewest) {
  Notice next = stepped(1, 7 * kDay);
  next.tellings = {told("warning")};
  const Routing routing = routed({next}, {target_of("ops")});
  ASSERT_EQ(routing.deliveries.size(), 1U);
  EXPECT_NE(routing.deliveries[0].message_id,
            routed({warning(1)}, {target_of("ops")}).deliveries[0].message_id);
  // The event has gone on to the next step, which has a notice of its own.
  Notice old = warning(1, 14 * kDay);
  old.step = 7 * kDay;
  EXPECT_TRUE(routed({old}, {target_of("ops")}).deliveries.empty());
}

TEST(WarningRouting, TheEndIsToldToWhoWasToldWhateverIsConfiguredByNow) {
  NotifyTarget changed = target_of("changed", Severity::Critical);
  changed.warnings = false;
  changed.tags = {"other"};
  Notice end = over(1);
  end.tellings = {told("warning", "changed"), told("warning_group", "gone"),
                  told("warning", "done"), told("warning_over", "done"),
                  told("warning", "dead", Telling::State::Dead)};
  const Routing routing =
      routed({end}, {changed, target_of("never"), target_of("done"), target_of("dead")});
  std::vector<std::string> heard;
  for (const NewDelivery& delivery : routing.deliveries) {
    heard.push_back(delivery.target);
    EXPECT_EQ(delivery.kind, "warning_over");
    EXPECT_TRUE(is_end_kind(delivery.kind));
    const Message message = message_of(delivery);
    EXPECT_EQ(headline(message), "OVER shop1 (tls_expiring)");
    EXPECT_EQ(state_word(message.sites[0]), "ok");
    EXPECT_EQ(message.sites[0].ended_at, end.ended_at);
  }
  EXPECT_EQ(heard, (std::vector<std::string>{"changed", "gone"}));
}

TEST(WarningRouting, TheEndsIncidentIsThatOfTheBeginningAndOfNoOutage) {
  Notice end = over(1);
  end.tellings = {told("warning")};
  const auto site = [](const Routing& routing) {
    return message_of(routing.deliveries.at(0)).sites.at(0);
  };
  const MessageSite began = site(routed({warning(1)}, {target_of("ops")}));
  const MessageSite ended = site(routed({end}, {target_of("ops")}));
  EXPECT_EQ(condition_key(began), condition_key(ended));
  MessageSite outage = began;
  outage.kind = EventKind::Outage;
  EXPECT_NE(condition_key(began), condition_key(outage)) << "begun in the same millisecond";
}

TEST(WarningRouting, AnEndThatNobodySawSaysSo) {
  Notice end = over(1, SiteState::Paused, TransitionReason::Operator);
  end.tellings = {told("warning")};
  const Routing routing = routed({end}, {target_of("ops")});
  ASSERT_EQ(routing.deliveries.size(), 1U);
  const Message message = message_of(routing.deliveries[0]);
  EXPECT_EQ(headline(message), "OVER shop1 (tls_expiring, operator)");
  EXPECT_EQ(state_word(message.sites[0]), "paused");
}

TEST(WarningRouting, WhatIsOverBeforeItWasToldIsNotTold) {
  Notice late = over(1);
  late.transition = warning(1).transition;
  EXPECT_TRUE(routed({late}, {target_of("ops")}).deliveries.empty());
  EXPECT_TRUE(routed({over(1)}, {target_of("ops")}).deliveries.empty());
}

// A step that was not told before the end is no end: how it ended only the end's own notice knows.
TEST(WarningRouting, AStepOfOneThatIsOverSaysNothingOfItsEnd) {
  Notice late = stepped(1, 7 * kDay);
  late.state = SiteState::Up;
  late.ended_at = kStart + kDay;
  late.tellings = {told("warning")};
  EXPECT_TRUE(routed({late}, {target_of("ops")}).deliveries.empty());
  late.wake = true;
  late.memo = "warning:604800000";
  EXPECT_TRUE(routed({late}, {target_of("ops")}).deliveries.empty());
}

// Method: what the wait is, before and after it was waited for.
TEST(WarningRouting, OthersOfItsStepAreWaitedForAndItsEndAsItWasTold) {
  core::Duration left = 5s;
  std::vector<std::pair<std::uint64_t, bool>> asked;
  RouteContext context;
  context.digest_wait = [&](std::uint64_t group, bool ends) {
    asked.emplace_back(group, ends);
    return left;
  };
  const NotifyTargets targets{target_of("ops")};
  const Routing aside = routed({warning(1), warning(2), stepped(3, 7 * kDay)}, targets, context);
  EXPECT_TRUE(aside.deliveries.empty());
  ASSERT_EQ(aside.wakes.size(), 3U);
  EXPECT_EQ(aside.wakes[0].delay, 5s - kDigestSlack);
  ASSERT_EQ(asked.size(), 3U);
  EXPECT_EQ(asked[0], asked[1]);
  EXPECT_NE(asked[0], asked[2]) << "another step is another message";
  EXPECT_NE(asked[0].first & kWarningsGroup, 0U);
  Notice wake = warning(1);
  wake.wake = true;
  wake.memo = aside.wakes[0].memo;
  left = 200ms;
  EXPECT_TRUE(route(std::vector{wake}, targets, context).settled.empty()) << "until all are due";
  left = {};
  const Routing now = routed({wake}, targets, context);
  EXPECT_EQ(now.deliveries.size(), 1U);
  EXPECT_EQ(now.digests, (std::vector{asked[0]}));

  left = 5min;
  Notice end = over(1, SiteState::Paused, TransitionReason::Operator);
  end.tellings = {told("warning")};
  EXPECT_EQ(routed({end}, targets, context).deliveries.size(), 1U) << "it was told alone";
  end.tellings = {told("warning_group")};
  const Routing later = routed({end}, targets, context);
  EXPECT_TRUE(later.deliveries.empty());
  ASSERT_EQ(later.wakes.size(), 1U);
  left = {};
  end.wake = true;
  end.memo = later.wakes[0].memo;
  end.transition = {};
  const MessageSite said = message_of(routed({end}, targets, context).deliveries.at(0)).sites[0];
  EXPECT_EQ(state_word(said), "paused");
  EXPECT_EQ(said.reason, TransitionReason::Operator);
}

// The last word about a certificate that expires is not that the warning is over. Method: the end of the former waits for others'
// when the next begins, in a batch that tells of another site's first.
TEST(WarningRouting, AnEndThatWaitsIsToldBeforeTheNextBeginsAndWaitsOnWithIt) {
  const NotifyTargets targets{target_of("ops")};
  Notice former = over(1);
  former.wake = true;
  former.memo = "warning_over:ok";
  former.transition = {};
  former.tellings = {told("warning_group")};
  Notice again = warning(2);
  again.site = former.site;
  again.former = {former};
  RouteContext context;
  context.digest_wait = [](std::uint64_t, bool ends) { return ends ? 5min : 0min; };
  const Routing routing = route(std::vector{warning(3), again}, targets, context);
  ASSERT_EQ(routing.deliveries.size(), 2U);
  EXPECT_EQ(routing.deliveries[0].kind, "warning_over");
  EXPECT_EQ(routing.deliveries[0].events, std::vector{former.event});
  EXPECT_EQ(state_word(message_of(routing.deliveries[0]).sites.at(0)), "ok");
  EXPECT_EQ(routing.deliveries[1].kind, "warning_group");
  EXPECT_EQ(routing.settled, (std::vector{warning(3).id, former.id, again.id}));
  EXPECT_TRUE(routing.wakes.empty());

  // Whether the next waits for others or is held: what waits before it has a wake of its own.
  RouteContext waits;
  waits.digest_wait = [](std::uint64_t, bool) { return 5s; };
  RouteContext held;
  held.hold = [](const Notice&) {
    return Hold{.reason = HoldReason::Maintenance, .look_again = 1min, .by = 4};
  };
  for (const RouteContext& later : {waits, held}) {
    const Routing aside = routed({again}, targets, later);
    EXPECT_TRUE(aside.deliveries.empty());
    EXPECT_EQ(aside.settled, std::vector{again.id});
    EXPECT_EQ(aside.wakes.size(), 1U);
  }
}

// How it ended comes out of the wake's word alone.
TEST(WarningRouting, ARequeuedOnesEndSaysHowItEnded) {
  const std::vector<std::tuple<std::string, std::string, TransitionReason>> words{
      {"ok", "ok", TransitionReason::Recovered},
      {"paused", "paused", TransitionReason::Operator},
      {"closed", "unknown", TransitionReason::Operator},
      {"unknown", "unknown", TransitionReason::SiteRemoved}};
  for (const auto& [word, state, reason] : words) {
    Notice wake = over(1);
    wake.wake = true;
    wake.memo = std::string(kRequeuedMemo) + word + ":ops";
    wake.transition = {};
    wake.tellings = {told("warning", "ops", Telling::State::Queued)};
    const MessageSite said =
        message_of(routed({wake}, {target_of("ops")}).deliveries.at(0)).sites.at(0);
    EXPECT_EQ(state_word(said), state) << word;
    EXPECT_EQ(said.reason, reason) << word;
  }
}

TEST(WarningRouting, WithSkipShortWhatWaitsIsTakenBackInstead) {
  NotifyTarget target = target_of("ops");
  target.skip_short = true;
  Notice end = over(1);
  end.tellings = {told("warning", "ops", Telling::State::Queued, 5),
                  told("warning", "ops", Telling::State::Queued, 6)};
  const Routing routing = routed({end}, {target});
  ASSERT_EQ(routing.deliveries.size(), 1U);
  EXPECT_EQ(routing.deliveries[0].instead_of, (std::vector{DeliveryId{5}, DeliveryId{6}}));
  end.tellings[0].state = Telling::State::Told;
  EXPECT_TRUE(routed({end}, {target}).deliveries.at(0).instead_of.empty());
}

TEST(WarningRouting, MaintenanceHoldsStepsAndNeverTheEnd) {
  RouteContext held;
  held.now = core::from_unix_ms(1'900'000'000'000);
  held.hold = [](const Notice&) {
    return Hold{.reason = HoldReason::Maintenance, .look_again = 1min, .by = 4};
  };
  const Routing first = routed({warning(1)}, {target_of("ops")}, held);
  EXPECT_TRUE(first.deliveries.empty());
  EXPECT_EQ(first.held.at(0), 1U);
  ASSERT_EQ(first.wakes.size(), 1U);
  EXPECT_EQ(first.wakes[0].delay, 1min);
  const Routing second = routed({stepped(1, 7 * kDay)}, {target_of("ops")}, held);
  ASSERT_EQ(second.wakes.size(), 1U);
  ASSERT_TRUE(parse_hold_memo(second.wakes[0].memo)) << second.wakes[0].memo;
  EXPECT_EQ(parse_hold_memo(second.wakes[0].memo)->by, 4U);

  // Both waits come due after the window: the step that it stands at is told, once.
  const auto due = [](const Routing& routing) {
    Notice wake = stepped(1, 7 * kDay);
    wake.wake = true;
    wake.memo = routing.wakes.at(0).memo;
    wake.transition = {};
    return wake;
  };
  EXPECT_TRUE(routed({due(first)}, {target_of("ops")}).deliveries.empty());
  EXPECT_EQ(routed({due(second)}, {target_of("ops")}).deliveries.size(), 1U);
  held.now += 1h;
  const Routing on = routed({due(second)}, {target_of("ops")}, held);
  ASSERT_EQ(on.wakes.size(), 1U) << "held on";
  EXPECT_EQ(on.wakes[0].memo, second.wakes[0].memo) << "since when is kept";

  Notice end = over(1);
  end.tellings = {told("warning")};
  EXPECT_EQ(routed({end}, {target_of("ops")}, held).deliveries.size(), 1U);
  // Nobody waits to be told: there is nothing to hold.
  NotifyTarget without = target_of("ops");
  without.warnings = false;
  EXPECT_TRUE(routed({warning(1)}, {without}, held).wakes.empty());
}

TEST(WarningRouting, SitesOfOneStepAreOneMessageThatNamesThem) {
  std::vector<Notice> notices;
  for (std::uint64_t event = 1; event <= 1500; ++event) notices.push_back(warning(event));
  notices.push_back(stepped(2000, 3 * kDay));
  const Routing routing = routed(notices, {target_of("ops")});
  std::size_t named = 0;
  std::set<std::uint64_t> lines;
  for (const NewDelivery& delivery : routing.deliveries) {
    const Message message = message_of(delivery);
    named += message.sites.size();
    lines.insert(delivery.line);
    EXPECT_LE(delivery.body.size(), kDeliveryBodyMax);
    EXPECT_EQ(delivery.events.size(), message.sites.size());
    EXPECT_EQ(delivery.kind, message.sites.size() > 1 ? "warning_group" : "warning");
    if (message.sites.size() == 1) {
      EXPECT_EQ(message.severity, Severity::Critical);
    }
  }
  EXPECT_EQ(named, 1501U);
  EXPECT_LE(routing.deliveries.size(), 5U);
  EXPECT_EQ(lines.size(), routing.deliveries.size());
  EXPECT_NE(headline(message_of(routing.deliveries[0])).find(" sites: tls_expiring"),
            std::string::npos);
}

// A dead letter that a person requeued, of a warning that is over by then.
TEST(WarningRouting, WhatIsToldLateHasItsEndToldToo) {
  Notice wake = over(1);
  wake.wake = true;
  wake.memo = std::string(kRequeuedMemo) + "ok:ops";
  wake.transition = {};
  wake.tellings = {told("warning", "ops", Telling::State::Queued),
                   told("warning_over", "ops", Telling::State::Dead), told("warning", "else")};
  const Routing routing = routed({wake}, {target_of("ops"), target_of("else")});
  ASSERT_EQ(routing.deliveries.size(), 1U);
  EXPECT_EQ(routing.deliveries[0].target, "ops");
  EXPECT_EQ(state_word(message_of(routing.deliveries[0]).sites[0]), "ok");
}

TEST(WarningRouting, AnOutageOfTheSameBatchGoesItsOwnWay) {
  Notice outage = warning(1);
  outage.id = NoticeId{5};
  outage.site = core::SiteId{900};
  outage.event = core::EventId{900};
  outage.kind = EventKind::Outage;
  outage.state = SiteState::Down;
  outage.confirmed_at = kStart;
  outage.transition = {.seq = 2,
                       .reason = TransitionReason::Confirmed,
                       .before = SiteState::SeemsDown,
                       .after = SiteState::Down,
                       .at = kStart,
                       .failures = 3,
                       .evidence = {}};
  const Routing routing = routed({outage, warning(1)}, {target_of("ops")});
  ASSERT_EQ(routing.deliveries.size(), 2U);
  EXPECT_EQ(routing.deliveries[0].kind, "down");
  EXPECT_EQ(routing.deliveries[1].kind, "warning");
  EXPECT_EQ(message_of(routing.deliveries[0]).sites[0].kind, EventKind::Outage);
}

}  // namespace
}  // namespace watchwheel::sideeffects
