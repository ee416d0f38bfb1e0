// SPDX-License-Identifier: Apache-2.0
// What people ask of open events: kept until it is done, done by the transaction that stores its transition, shown with it.
#include <span>

#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using sideeffects::Act;
using sideeffects::EventWrite;
using sideeffects::OperatorRequest;
using sideeffects::RequestId;

OperatorRequest request_of(Act act, core::EventId event) {
  return {.by = {.request = {}, .act = act, .who = "ann ü", .why = "on it", .source = "command"},
          .event = event};
}

// confirmed(), and one more transition, by a person.
EventWrite said(core::SiteId site, std::int64_t start, const OperatorRequest& request) {
  EventWrite write = confirmed(site, start);
  sideeffects::TransitionRecord transition = write.transitions.back();
  transition.seq = ++write.transitions_total;
  transition.reason = core::TransitionReason::Operator;
  transition.before = transition.after = core::SiteState::Down;
  transition.at = at(start + 60'000);
  transition.by = request.by;
  write.transitions = {transition};
  return write;
}

TEST_P(DeliveryContract, ARequestIsDoneByTheTransactionThatStoresItsTransition) {
  const core::SiteId site = add_sites(1)[0];
  commit(opened(site, 0));
  commit(confirmed(site, 0));
  const auto desk = contract::take(store->make_operator_desk());
  const OperatorRequest asked = request_of(Act::Ack, incident_of(site).id);
  const RequestId id = contract::take(desk->ask(asked));
  EXPECT_TRUE(contract::take(desk->outcome(id)).waits);
  const auto waiting = contract::take(desk->waiting());
  ASSERT_EQ(waiting.size(), 1U);
  EXPECT_EQ(waiting[0].by.request, id);
  EXPECT_EQ(waiting[0].by.who, "ann ü");
  EXPECT_EQ(waiting[0].site, site);
  EXPECT_EQ(waiting[0].event_started_at, at(0));
  EXPECT_FALSE(waiting[0].over);

  const EventWrite write = said(site, 0, waiting[0]);
  commit(write);
  commit(write);  // Its answer was lost.
  EXPECT_FALSE(contract::take(desk->outcome(id)).waits);
  EXPECT_EQ(contract::take(desk->outcome(id)).refused, "");
  EXPECT_TRUE(contract::take(desk->waiting()).empty());
  const Incident incident = incident_of(site);
  EXPECT_EQ(incident.acked_by, "ann ü");
  EXPECT_EQ(incident.acked_at, at(60'000));
  ASSERT_EQ(incident.transitions.size(), 3U);
  ASSERT_TRUE(incident.transitions[2].by);
  EXPECT_EQ(incident.transitions[2].by->act, Act::Ack);
  EXPECT_EQ(incident.transitions[2].by->why, "on it");
  EXPECT_FALSE(incident.transitions[1].by);
  const auto outbox = contract::take(store->make_outbox());
  const auto mine = [](core::SiteId) { return true; };
  for (int left = 3; left > 0; --left) {
    const auto notices = contract::take(outbox->take(10, mine));
    ASSERT_EQ(notices.size(), 1U);
    EXPECT_TRUE(notices[0].acked);
    EXPECT_EQ(notices[0].transition.by.has_value(), left == 1);
    (void)contract::take(outbox->settle(std::vector{notices[0].id}, {}, {}));
  }
}

TEST_P(DeliveryContract, AfterACloseNobodyKnowsHowTheSiteIs) {
  const core::SiteId site = add_sites(1)[0];
  commit(opened(site, 0));
  commit(confirmed(site, 0));
  const auto mark = [&](std::int64_t checked_at) {
    const core::FreshnessMark one = measured(site, checked_at);
    ASSERT_TRUE(freshness->write(std::span(&one, 1)));
  };
  mark(50'000);
  ASSERT_EQ(view(site).state, core::SiteState::Down);
  const auto desk = contract::take(store->make_operator_desk());
  (void)contract::take(desk->ask(request_of(Act::Close, incident_of(site).id)));
  EventWrite write = said(site, 0, contract::take(desk->waiting()).at(0));
  write.transitions[0].after = core::SiteState::Unknown;
  write.state = core::SiteState::Up;
  write.ended_at = write.transitions[0].at;
  commit(write);
  EXPECT_EQ(view(site).state, core::SiteState::Unknown);
  EXPECT_TRUE(contract::take(desk->waiting()).empty());
  mark(61'000);
  EXPECT_EQ(view(site).state, core::SiteState::Up);
}

TEST_P(DeliveryContract, ARequestOfWhatIsOverOrNotThereIsRefused) {
  const core::SiteId site = add_sites(1)[0];
  commit(opened(site, 0));
  const core::EventId event = incident_of(site).id;
  const auto desk = contract::take(store->make_operator_desk());
  const RequestId first = contract::take(desk->ask(request_of(Act::Comment, event)));
  commit(confirmed(site, 0));
  commit(recovered(site, 0));
  ASSERT_EQ(contract::take(desk->waiting()).size(), 1U);
  EXPECT_TRUE(contract::take(desk->waiting())[0].over);
  EXPECT_TRUE(desk->refuse(first, "the event is over"));
  EXPECT_EQ(contract::take(desk->outcome(first)).refused, "the event is over");
  EXPECT_TRUE(contract::take(desk->waiting()).empty());

  const auto over = desk->ask(request_of(Act::Close, event));
  ASSERT_FALSE(over);
  EXPECT_TRUE(is_error(over.error(), core::ErrorKind::Invalid, "is over since"));
  const auto none = desk->ask(request_of(Act::Close, core::EventId{event.value + 1}));
  ASSERT_FALSE(none);
  EXPECT_TRUE(is_error(none.error(), core::ErrorKind::NotFound, "there is no event"));
}

// A client that had no answer asks again: with the same key it is one request, whatever became of it meanwhile.
TEST_P(DeliveryContract, ARequestThatIsSentTwiceIsOne) {
  const core::SiteId site = add_sites(1)[0];
  commit(opened(site, 0));
  commit(confirmed(site, 0));
  const auto desk = contract::take(store->make_operator_desk());
  OperatorRequest asked = request_of(Act::Comment, incident_of(site).id);
  asked.key = "given:k 1";
  const RequestId id = contract::take(desk->ask(asked));
  EXPECT_EQ(contract::take(desk->ask(asked)), id);
  OperatorRequest other = asked;
  other.by.why = "something else";
  EXPECT_EQ(contract::take(desk->ask(other)), id) << "the key decides";
  other.key = "given:k 2";
  EXPECT_NE(contract::take(desk->ask(other)), id);
  other.key.clear();
  EXPECT_NE(contract::take(desk->ask(other)), contract::take(desk->ask(other))) << "without a key";
  EXPECT_EQ(contract::take(desk->waiting()).size(), 4U);

  const auto outcome = contract::take(desk->outcome(id));
  EXPECT_TRUE(outcome.waits);
  EXPECT_EQ(outcome.request.by, (sideeffects::ByHand{.request = id,
                                                     .act = Act::Comment,
                                                     .who = "ann ü",
                                                     .why = "on it",
                                                     .source = "command"}));
  EXPECT_EQ(outcome.request.event, asked.event);
  EXPECT_NE(outcome.request.asked_at, core::kNoWallTime);
  EXPECT_EQ(outcome.done_at, core::kNoWallTime);

  commit(said(site, 0, contract::take(desk->waiting()).at(0)));
  EventWrite over = recovered(site, 0);
  over.transitions.back().seq = over.transitions_total = 4;
  commit(over);
  ASSERT_EQ(incident_of(site).state, core::SiteState::Up);
  const auto again = desk->ask(asked);
  ASSERT_TRUE(again) << again.error().message << ": it was done before the event was over";
  EXPECT_EQ(*again, id);
  EXPECT_FALSE(contract::take(desk->outcome(id)).waits);
  EXPECT_NE(contract::take(desk->outcome(id)).done_at, core::kNoWallTime);
}

TEST_P(DeliveryContract, OneIncidentIsFoundByItsId) {
  const std::vector<core::SiteId> sites = add_sites(2);
  commit(opened(sites[0], 0));
  commit(opened(sites[1], 0));
  IncidentFilter filter;
  filter.event = incident_of(sites[1]).id;
  const auto found = contract::take(incidents->list(filter, 0, 10));
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].site, sites[1]);
  EXPECT_EQ(found[0].transitions.size(), 1U);
  filter.event = core::EventId{found[0].id.value + 1};
  EXPECT_TRUE(contract::take(incidents->list(filter, 0, 10)).empty());
}

}  // namespace
}  // namespace watchwheel::db::contract
