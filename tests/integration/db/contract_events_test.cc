// SPDX-License-Identifier: Apache-2.0
// Events and transitions: stored once, without gaps, and never undone.
#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::ErrorKind;
using core::SiteId;
using core::SiteState;
using sideeffects::EventWrite;

TEST_P(StoreContract, AnEventIsStoredStepByStep) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  EXPECT_EQ(incident_of(id).state, SiteState::SeemsDown);
  EXPECT_EQ(view(id).state, SiteState::SeemsDown);
  commit(confirmed(id, 0));
  EXPECT_EQ(view(id).state, SiteState::Down);
  EXPECT_EQ(view(id).state_since, at(2000));
  commit(recovered(id, 0));

  const Incident over = incident_of(id);
  EXPECT_EQ(over.state, SiteState::Up);
  EXPECT_EQ(over.started_at, at(0));
  EXPECT_EQ(over.confirmed_at, at(2000));
  EXPECT_EQ(over.ended_at, at(60'000));
  EXPECT_EQ(over.failures, 3U);
  EXPECT_EQ(over.evidence, evidence(core::Cause::HttpStatus, "status 503"));
  EXPECT_EQ(over.transitions, whole_story(id, 0).transitions);
  EXPECT_EQ(view(id).open_event, core::EventId{});
  EXPECT_EQ(view(id).state_since, at(60'000));
}

TEST_P(StoreContract, AWholeStoryInOneWriteIsTheSameEvent) {
  const SiteId id = add_sites(1)[0];
  commit(whole_story(id, 0));
  const Incident over = incident_of(id);
  EXPECT_EQ(over.ended_at, at(60'000));
  EXPECT_EQ(over.transitions, whole_story(id, 0).transitions);
  EXPECT_EQ(take(events->open_event(id)), std::nullopt);
}

// Goal: a repeated commit stores nothing twice and undoes nothing, at whatever point it comes.
// Method: after each step, repeat every earlier write and compare all that is stored.
TEST_P(StoreContract, AReplayChangesNothing) {
  const SiteId id = add_sites(1)[0];
  const std::vector<EventWrite> steps{opened(id, 0), confirmed(id, 0), recovered(id, 0)};
  for (std::size_t done = 0; done < steps.size(); ++done) {
    commit(steps[done]);
    const Incident before = incident_of(id);
    for (std::size_t repeated = 0; repeated <= done; ++repeated) commit(steps[repeated]);
    const Incident after = incident_of(id);
    EXPECT_EQ(after.state, before.state);
    EXPECT_EQ(after.failures, before.failures);
    EXPECT_EQ(after.confirmed_at, before.confirmed_at);
    EXPECT_EQ(after.ended_at, before.ended_at);
    EXPECT_EQ(after.transitions, before.transitions);
  }
  EXPECT_EQ(view(id).open_event, core::EventId{});
  commit(opened(id, 100'000));
  for (const EventWrite& step : steps) commit(step);  // Of the event before.
  EXPECT_EQ(view(id).state_since, at(100'000));
  EXPECT_EQ(view(id).state, SiteState::SeemsDown);
}

TEST_P(StoreContract, AReplayThatKnowsMoreStoresOnlyWhatIsNew) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  EventWrite story = whole_story(id, 0);
  story.transitions[0].evidence.detail = "told again with newer evidence";
  commit(story);
  const Incident over = incident_of(id);
  ASSERT_EQ(over.transitions.size(), 3U);
  EXPECT_EQ(over.transitions[0].evidence.detail, "transition 1");
  EXPECT_EQ(over.ended_at, at(60'000));
}

TEST_P(StoreContract, AGapInTheTransitionsIsRefusedByName) {
  const SiteId id = add_sites(1)[0];
  const auto first = events->commit(std::vector{confirmed(id, 0)});
  ASSERT_FALSE(first);
  EXPECT_TRUE(
      is_error(first.error(), ErrorKind::Invalid, "event of site " + std::to_string(id.value)));
  EXPECT_TRUE(is_error(first.error(), ErrorKind::Invalid, "transition 1 is missing"));

  commit(opened(id, 0));
  const auto skipped = events->commit(std::vector{recovered(id, 0)});
  ASSERT_FALSE(skipped);
  EXPECT_TRUE(is_error(skipped.error(), ErrorKind::Invalid, "transition 2 is missing"));
  EXPECT_EQ(incident_of(id).state, SiteState::SeemsDown);
}

TEST_P(StoreContract, ATransitionThatContradictsTheStoredOneIsRefused) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  EventWrite story = whole_story(id, 0);
  story.transitions[0].reason = core::TransitionReason::Operator;
  const auto refused = events->commit(std::vector{story});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid,
                       "transition 1 is stored as opened and given as operator"));
}

TEST_P(StoreContract, AStateDoesNotChangeWithoutATransition) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  EventWrite silent = confirmed(id, 0);
  silent.transitions.clear();
  silent.transitions_total = 1;
  const auto refused = events->commit(std::vector{silent});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid, "without a transition"));
}

TEST_P(StoreContract, AWriteOfAnImpossibleShapeIsRefused) {
  const SiteId id = add_sites(1)[0];
  std::vector<EventWrite> bad(8, opened(id, 0));
  bad[0].site = SiteId{};
  bad[1].started_at = core::kNoWallTime;
  bad[2].state = SiteState::Up;
  bad[3].ended_at = at(5);
  bad[4].state = SiteState::Paused;
  bad[5].transitions.clear();
  bad[5].transitions_total = 0;
  bad[6].transitions[0].seq = 2;
  bad[7].transitions.push_back(bad[7].transitions[0]);
  for (std::size_t i = 0; i < bad.size(); ++i) {
    const auto refused = events->commit(std::span(&bad[i], 1));
    ASSERT_FALSE(refused) << i;
    EXPECT_EQ(refused.error().kind, ErrorKind::Invalid) << i;
  }
  EXPECT_EQ(take(incidents->list({}, 0, 10)).size(), 0U);
}

TEST_P(StoreContract, AnEndedEventIsFrozen) {
  const SiteId id = add_sites(1)[0];
  commit(whole_story(id, 0));
  EventWrite late = confirmed(id, 0);
  late.failures = 99;
  late.transitions_total = 9;
  late.transitions[0].seq = 9;
  commit(late);
  EXPECT_EQ(incident_of(id).state, SiteState::Up);
  EXPECT_EQ(incident_of(id).failures, 3U);
  EXPECT_EQ(incident_of(id).transitions.size(), 3U);
}

TEST_P(StoreContract, ASiteHasOneOpenEventAtMost) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  const auto second = events->commit(std::vector{opened(id, 1000)});
  ASSERT_FALSE(second);
  EXPECT_TRUE(is_error(second.error(), ErrorKind::Invalid, "has an open event already"));
  // The end of the one and the beginning of the next in one batch, in their order.
  ASSERT_TRUE(events->commit(std::vector{whole_story(id, 0), opened(id, 100'000)}));
  EXPECT_EQ(take(events->open_event(id)).value().event.started_at, at(100'000));
}

TEST_P(StoreContract, AnOlderEventToldLateDoesNotEndTheOpenOne) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 100'000));
  commit(whole_story(id, 0));
  EXPECT_EQ(view(id).state, SiteState::SeemsDown);
  EXPECT_EQ(view(id).state_since, at(100'000));
  EXPECT_EQ(take(incidents->list({}, 0, 10)).size(), 2U);
}

TEST_P(StoreContract, OneBadWriteKeepsTheWholeBatchOut) {
  const auto ids = add_sites(3);
  const auto refused =
      events->commit(std::vector{opened(ids[0], 0), confirmed(ids[1], 0), opened(ids[2], 0)});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(take(incidents->list({}, 0, 10)).empty());
  EXPECT_EQ(view(ids[0]).state, std::nullopt);
}

TEST_P(StoreContract, TheStreakAndItsEvidenceGoOnWithoutATransition) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  EventWrite longer = opened(id, 0);
  longer.failures = 2;
  longer.merged = 1;
  longer.transitions.clear();
  longer.evidence = evidence(core::Cause::ConnectRefused, "refused");
  commit(longer);
  const sideeffects::StoredEvent stored = take(events->open_event(id)).value();
  EXPECT_EQ(stored.event.failures, 2U);
  EXPECT_EQ(stored.event.cause, core::Cause::ConnectRefused);
  EXPECT_EQ(stored.evidence, longer.evidence);
  EXPECT_EQ(stored.transitions_total, 1U);

  EventWrite shorter = longer;  // An older one that comes late.
  shorter.failures = 1;
  commit(shorter);
  EXPECT_EQ(take(events->open_event(id)).value().event.failures, 2U);
  EventWrite forgetful = confirmed(id, 0);
  forgetful.merged = 0;
  commit(forgetful);
  EXPECT_EQ(under_test->number("SELECT merged FROM events"), 1);
}

TEST_P(StoreContract, TheOpenEventIsNothingBeforeAndAfter) {
  const SiteId id = add_sites(1)[0];
  EXPECT_EQ(take(events->open_event(id)), std::nullopt);
  commit(opened(id, 0));
  EXPECT_EQ(take(events->open_event(id)).value().event.id, incident_of(id).id);
  commit(whole_story(id, 0));
  EXPECT_EQ(take(events->open_event(id)), std::nullopt);
}

TEST_P(StoreContract, ARemovedSiteKeepsItsEventsAndTheyCanEnd) {
  const SiteId id = add_sites(1)[0];
  commit(opened(id, 0));
  (void)take(catalog->remove(std::vector{id}));
  commit(confirmed(id, 0));
  commit(recovered(id, 0));
  const Incident over = incident_of(id);
  EXPECT_EQ(over.state, SiteState::Up);
  EXPECT_EQ(over.url, "https://site-1.example/");
  under_test->execute("UPDATE sites SET deleted_at = 1");
  (void)take(store->migrate(false));
  EXPECT_EQ(incident_of(id).url, "");
  EXPECT_EQ(incident_of(id).transitions.size(), 3U);
}

TEST_P(StoreContract, WhatASiteSentIsMadeFitInsteadOfRefused) {
  const SiteId id = add_sites(1)[0];
  EventWrite write = opened(id, 0);
  write.evidence.detail = "bad \xFF bytes";
  write.transitions[0].evidence.detail = std::string(2000, 'x');
  commit(write);
  EXPECT_EQ(incident_of(id).evidence.detail, "bad \xEF\xBF\xBD bytes");
  EXPECT_EQ(incident_of(id).transitions[0].evidence.detail.size(), 512U);
}

TEST_P(StoreContract, EveryReasonStateCauseAndPhaseComesBack) {
  const SiteId id = add_sites(1)[0];
  EventWrite write = opened(id, 0);
  write.transitions.clear();
  for (std::uint32_t i = 0; i < core::kCauseCount; ++i) {
    sideeffects::TransitionRecord one = opened(id, 0).transitions[0];
    one.seq = i + 1;
    one.reason = static_cast<core::TransitionReason>(i % core::kTransitionReasonCount);
    one.before = static_cast<SiteState>(i % core::kSiteStateCount);
    one.after = static_cast<SiteState>((i + 1) % core::kSiteStateCount);
    one.evidence = {.cause = static_cast<core::Cause>(i),
                    .phase = static_cast<core::Phase>(i % 8),
                    .http_status = 0,
                    .detail = "",
                    .address = ""};
    write.transitions.push_back(one);
  }
  write.transitions_total = core::kCauseCount;
  commit(write);
  EXPECT_EQ(incident_of(id).transitions, write.transitions);
}

// What other vantages saw stays with the transition that it earned, and the newest round with the event.
TEST_P(StoreContract, WhatOtherVantagesSawComesBack) {
  const SiteId id = add_sites(1)[0];
  core::Testimony testimony{.basis = core::Basis::Disagreement,
                            .quorum = 3,
                            .round = 1,
                            .decided_at = at(1500)};
  testimony.witnesses = {{.vantage = "fra \"1\"",
                          .region = "eu",
                          .saw = core::Saw::Up,
                          .cause = core::Cause::Ok,
                          .http_status = 200,
                          .detail = "d",
                          .at = at(1400)}};
  EventWrite first = opened(id, 0);
  commit(first);
  EXPECT_EQ(incident_of(id).testimony.basis, core::Basis::None);
  EXPECT_EQ(incident_of(id).transitions[0].testimony, core::Testimony{});

  first.transitions.clear();
  first.testimony = testimony;  // No failure more, and no transition: what others said alone.
  commit(first);
  EXPECT_EQ(incident_of(id).testimony, testimony);
  first.testimony = {};
  ++first.failures;
  commit(first);
  EXPECT_EQ(incident_of(id).testimony, testimony) << "silence takes nothing back";

  EventWrite second = confirmed(id, 0);
  testimony.basis = core::Basis::Quorum;
  testimony.round = 2;
  testimony.witnesses[0].saw = core::Saw::Down;
  second.transitions.back().testimony = testimony;
  second.testimony = testimony;
  commit(second);
  commit(second);
  const Incident incident = incident_of(id);
  EXPECT_EQ(incident.testimony, testimony);
  EXPECT_EQ(incident.transitions.back().testimony, testimony);
}

TEST_P(StoreContract, AnEmptyCommitIsNothing) {
  EXPECT_TRUE(events->commit({}));
}

TEST_P(StoreContract, IncidentsComeNewestFirstAndArePaged) {
  const auto ids = add_sites(3);
  commit(whole_story(ids[0], 0));
  commit(opened(ids[0], 200'000));
  commit(whole_story(ids[1], 100'000));
  commit(opened(ids[2], 200'000));
  const auto starts = [&](const IncidentFilter& filter, std::size_t offset, std::size_t limit) {
    std::vector<std::pair<std::uint64_t, core::WallTime>> got;
    for (const Incident& one : take(incidents->list(filter, offset, limit)))
      got.emplace_back(one.site.value, one.started_at);
    return got;
  };
  using List = std::vector<std::pair<std::uint64_t, core::WallTime>>;
  const List all{{ids[2].value, at(200'000)},
                 {ids[0].value, at(200'000)},
                 {ids[1].value, at(100'000)},
                 {ids[0].value, at(0)}};
  EXPECT_EQ(starts({}, 0, 10), all);
  EXPECT_EQ(starts({}, 1, 2), (List{all[1], all[2]}));
  EXPECT_EQ(starts({}, 9, 2), List{});
  EXPECT_EQ(starts({.open_only = true, .site = {}}, 0, 10), (List{all[0], all[1]}));
  EXPECT_EQ(starts({.open_only = false, .site = ids[0]}, 0, 10), (List{all[1], all[3]}));
  EXPECT_EQ(starts({.open_only = true, .site = ids[0]}, 0, 10), List{all[1]});
  // Those that were open at or after the moment: one ended just before it.
  EXPECT_EQ(starts({.open_only = false, .site = {}, .since = at(60'000)}, 0, 10), all);
  EXPECT_EQ(starts({.open_only = false, .site = {}, .since = at(60'001)}, 0, 10),
            (List{all[0], all[1], all[2]}));
  EXPECT_EQ(starts({.open_only = false, .site = ids[0], .since = at(60'001)}, 0, 10), List{all[1]});
}

TEST_P(StoreContract, OpenIncidentsAreCountedByState) {
  const auto ids = add_sites(4);
  EXPECT_EQ(take(incidents->count_open()).down, 0U);
  commit(opened(ids[0], 0));
  commit(opened(ids[1], 0));
  commit(opened(ids[2], 0));
  commit(confirmed(ids[2], 0));
  commit(whole_story(ids[3], 0));
  EXPECT_EQ(take(incidents->count_open()).seems_down, 2U);
  EXPECT_EQ(take(incidents->count_open()).down, 1U);
}

}  // namespace
}  // namespace watchwheel::db::contract
