// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/judge.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace watchwheel::sideeffects {
namespace {

using core::Cause;
using core::ConfirmPolicy;
using core::Evidence;
using core::kNoWallTime;
using core::Outage;
using core::Phase;
using core::Presence;
using core::SiteFacts;
using core::SiteId;
using core::SiteState;
using core::TransitionReason;
using core::WallTime;
using namespace std::chrono_literals;

constexpr SiteId kSite{42};
const WallTime kT = core::from_unix_ms(1'700'000'000'000);
const Evidence kFirst{Cause::ConnectRefused, Phase::Connect, 0, "first", "a"};
const Evidence kThird{Cause::ConnectTimeout, Phase::Connect, 0, "third", "a"};
const Evidence kNewest{Cause::HttpStatus, Phase::FirstByte, 500, "newest", "a"};
const Evidence kFine{Cause::Ok, Phase::Done, 200, "", "a"};
const Evidence kStored{Cause::DnsTimeout, Phase::Dns, 0, "stored", ""};
const ConfirmPolicy kPolicy{.failures = 3, .successes = 1, .retry_interval = 10s};

// An outage that began at `start`, with this many failures ten seconds apart, confirmed by a lane
// of that policy.
Outage outage_of(WallTime start, std::uint32_t failures, std::uint32_t policy_failures = 3) {
  Outage outage;
  outage.started_at = start;
  outage.failures = failures;
  outage.last_failed_at = start + 10s * (failures - 1);
  outage.opened_by = kFirst;
  outage.evidence = kNewest;
  if (failures >= policy_failures) {
    outage.confirmed_at = start + 10s * (policy_failures - 1);
    outage.confirmed_failures = policy_failures;
    outage.confirmed_by = kThird;
  }
  return outage;
}

Outage ended(Outage outage, Presence as = Presence::Watched) {
  outage.ended_at = std::max(outage.last_failed_at, outage.started_at) + 5s;
  outage.ended_as = as;
  if (as == Presence::Watched) outage.ended_by = kFine;
  return outage;
}

// As a lane has it after a restart, before the next failure.
Outage restored(Outage outage) {
  outage.restored = true;
  outage.last_failed_at = kNoWallTime;
  outage.opened_by = {};
  outage.confirmed_by = {};
  outage.evidence = {};
  outage.evidence.cause = kStored.cause;
  return outage;
}

StoredEvent stored_event(WallTime start, SiteState state, std::uint32_t failures) {
  const bool down = state == SiteState::Down;
  return {.event = {.id = core::EventId{5},
                    .state = state,
                    .started_at = start,
                    .confirmed_at = down ? start + 20s : kNoWallTime,
                    .failures = failures,
                    .cause = kStored.cause},
          .transitions_total = down ? 2U : 1U,
          .evidence = kStored};
}

SiteFacts facts_of(std::vector<Outage> outages, Presence presence = Presence::Watched) {
  return {
      .site = kSite, .seq = 1, .presence = presence, .at = kT + 1h, .outages = std::move(outages)};
}

std::vector<TransitionReason> reasons(const EventWrite& write) {
  std::vector<TransitionReason> all;
  for (const TransitionRecord& transition : write.transitions) all.push_back(transition.reason);
  return all;
}

using enum TransitionReason;
using Reasons = std::vector<TransitionReason>;

// ---- The whole table --------------------------------------------------------------------------------

struct Case {
  int stored;              // 0: none, 1: seems down, 2: down. The same outage.
  std::uint32_t failures;  // 1 to 5
  std::uint32_t lane_policy;
  std::uint32_t shard_policy;
  std::uint32_t successes;
  int end;  // 0: goes on, 1: success, 2: paused, 3: removed, 4: closed by a person.
};

std::string describe(const Case& c) {
  return "stored " + std::to_string(c.stored) + " failures " + std::to_string(c.failures) +
         " lane " + std::to_string(c.lane_policy) + " shard " + std::to_string(c.shard_policy) +
         " successes " + std::to_string(c.successes) + " end " + std::to_string(c.end);
}

// What the table in judge.h says, written down once more and differently.
Reasons expected(const Case& c) {
  Reasons all;
  if (c.stored == 0) all.push_back(Opened);
  const bool lane_says_down = c.failures >= c.lane_policy;
  const bool earned = c.failures >= c.shard_policy;
  const bool confirmed = c.stored == 2 || (lane_says_down && earned);
  if (c.stored != 2 && confirmed) all.push_back(Confirmed);
  if (c.end == 1) all.push_back(confirmed ? Recovered : FalseAlarm);
  if (c.end == 2 || c.end == 4) all.push_back(Operator);
  if (c.end == 3) all.push_back(SiteRemoved);
  return all;
}

void check(const Case& c) {
  SCOPED_TRACE(describe(c));
  const ConfirmPolicy policy{.failures = c.shard_policy, .successes = 1, .retry_interval = 10s};
  std::optional<StoredEvent> open;
  if (c.stored == 1) open = stored_event(kT, SiteState::SeemsDown, 1);
  if (c.stored == 2) open = stored_event(kT, SiteState::Down, 1);
  Outage outage = outage_of(kT, c.failures, c.lane_policy);
  outage.successes = c.successes;
  if (c.end > 0) outage = ended(outage, static_cast<Presence>(c.end - 1));
  const SiteFacts facts =
      facts_of({outage}, c.end == 2 || c.end == 3 ? static_cast<Presence>(c.end - 1)
                                                  : Presence::Watched);

  const Verdict verdict = judge(open, facts, policy);
  ASSERT_TRUE(verdict.settled());
  const Reasons wanted = expected(c);
  ASSERT_EQ(verdict.writes.size(), 1U);  // The newest evidence at least is news in every case here.
  const EventWrite& write = verdict.writes.front();
  EXPECT_EQ(reasons(write), wanted);
  EXPECT_EQ(write.site, kSite);
  EXPECT_EQ(write.started_at, kT);
  EXPECT_EQ(write.failures, c.failures);
  EXPECT_EQ(write.evidence, kNewest);
  EXPECT_EQ(write.transitions_total, (open ? open->transitions_total : 0) + wanted.size());

  std::uint32_t seq = open ? open->transitions_total : 0;
  SiteState state = open ? open->event.state : SiteState::Up;
  WallTime at = kT;
  for (const TransitionRecord& transition : write.transitions) {
    EXPECT_EQ(transition.seq, ++seq);
    EXPECT_EQ(transition.before, state);
    EXPECT_GE(transition.at, at);
    at = transition.at;
    state = transition.after;
    if (transition.reason == Confirmed) {
      EXPECT_GE(transition.failures, c.shard_policy);
      EXPECT_EQ(write.confirmed_at, transition.at);
    }
  }
  EXPECT_EQ(write.state, c.end > 0 ? SiteState::Up : state);
  EXPECT_EQ(write.ended_at, c.end > 0 ? at : kNoWallTime);
  EXPECT_EQ(verdict.open_after.has_value(), c.end == 0);
  if (!verdict.open_after) return;
  EXPECT_EQ(verdict.open_after->event.state, state);
  EXPECT_EQ(verdict.open_after->transitions_total, seq);
  const Verdict again = judge(verdict.open_after, facts, policy);
  EXPECT_TRUE(again.writes.empty()) << "the same facts earn nothing twice";
  EXPECT_EQ(again.open_after->event, verdict.open_after->event);
}

TEST(Judge, FollowsItsTable) {
  int cases = 0;
  for (int stored = 0; stored <= 2; ++stored) {
    for (std::uint32_t failures = 1; failures <= 5; ++failures) {
      for (std::uint32_t lane_policy = 1; lane_policy <= 5; ++lane_policy) {
        for (std::uint32_t shard_policy = 1; shard_policy <= 5; ++shard_policy) {
          for (std::uint32_t successes = 0; successes <= 2; ++successes) {
            for (int end = 0; end <= 4; ++end) {
              check({stored, failures, lane_policy, shard_policy, successes, end});
              ++cases;
            }
          }
        }
      }
    }
  }
  EXPECT_EQ(cases, 3 * 5 * 5 * 5 * 3 * 5);
}

// ---- What each transition says
// --------------------------------------------------------------------------

TEST(Judge, TellsWhatWasSeenAtEachTurnThoughItIsToldLate) {
  const Verdict verdict = judge(std::nullopt, facts_of({ended(outage_of(kT, 5))}), kPolicy);
  const auto& transitions = verdict.writes.front().transitions;
  const std::vector<TransitionRecord> wanted{
      {1, Opened, SiteState::Up, SiteState::SeemsDown, kT, 1, kFirst},
      {2, Confirmed, SiteState::SeemsDown, SiteState::Down, kT + 20s, 3, kThird,
       {.basis = core::Basis::LocalOnly}},
      {3, Recovered, SiteState::Down, SiteState::Up, kT + 45s, 5, kFine},
  };
  EXPECT_EQ(transitions, wanted);
}

TEST(Judge, AfterAPauseOrRemovalTheSiteIsNotCalledUp) {
  const Verdict paused =
      judge(std::nullopt, facts_of({ended(outage_of(kT, 1), Presence::Paused)}), kPolicy);
  EXPECT_EQ(paused.writes.front().transitions.back().after, SiteState::Paused);
  EXPECT_EQ(paused.writes.front().transitions.back().evidence, kNewest);
  const Verdict removed =
      judge(std::nullopt, facts_of({ended(outage_of(kT, 1), Presence::Removed)}), kPolicy);
  EXPECT_EQ(removed.writes.front().transitions.back().after, SiteState::Unknown);
}

TEST(Judge, APolicyThatWasRaisedMeanwhileIsMetOnlyByTheNewestFailure) {
  const ConfirmPolicy stricter{.failures = 5, .successes = 1, .retry_interval = 10s};
  EXPECT_EQ(judge(std::nullopt, facts_of({outage_of(kT, 4)}), stricter).open_after->event.state,
            SiteState::SeemsDown);
  const Verdict verdict = judge(std::nullopt, facts_of({outage_of(kT, 5)}), stricter);
  const TransitionRecord& confirmed = verdict.writes.front().transitions.back();
  EXPECT_EQ(confirmed.reason, Confirmed);
  EXPECT_EQ(confirmed.failures, 5U);
  EXPECT_EQ(confirmed.at, kT + 40s);
  EXPECT_EQ(confirmed.evidence, kNewest);
}

TEST(Judge, FailuresAloneDoNotConfirmWithoutTheLane) {
  EXPECT_EQ(judge(std::nullopt, facts_of({outage_of(kT, 4, 9)}), kPolicy).open_after->event.state,
            SiteState::SeemsDown);
}

TEST(Judge, TimesNeverRunBackwardsWithinAnEvent) {
  Outage outage = outage_of(kT, 3);
  outage.confirmed_at = kT - 1h;
  outage.ended_at = kT - 2h;
  const EventWrite write = judge(std::nullopt, facts_of({outage}), kPolicy).writes.front();
  for (const TransitionRecord& transition : write.transitions) EXPECT_EQ(transition.at, kT);
  EXPECT_EQ(write.ended_at, kT);
}

// ---- Several outages, older ones, unknown ones
// ------------------------------------------------------------

TEST(Judge, CoversSeveralEndedOutagesAndTheCurrentOneInOrder) {
  const SiteFacts facts = facts_of(
      {ended(outage_of(kT, 1)), ended(outage_of(kT + 10min, 4)), outage_of(kT + 20min, 2)});
  const Verdict verdict = judge(std::nullopt, facts, kPolicy);
  ASSERT_EQ(verdict.writes.size(), 3U);
  EXPECT_EQ(reasons(verdict.writes[0]), (Reasons{Opened, FalseAlarm}));
  EXPECT_EQ(reasons(verdict.writes[1]), (Reasons{Opened, Confirmed, Recovered}));
  EXPECT_EQ(reasons(verdict.writes[2]), (Reasons{Opened}));
  EXPECT_EQ(verdict.open_after->event.started_at, kT + 20min);
}

TEST(Judge, ClosesTheStoredOneBeforeItOpensTheNext) {
  const SiteFacts facts = facts_of({ended(outage_of(kT, 3)), outage_of(kT + 10min, 1)});
  const Verdict verdict = judge(stored_event(kT, SiteState::SeemsDown, 2), facts, kPolicy);
  ASSERT_EQ(verdict.writes.size(), 2U);
  EXPECT_EQ(reasons(verdict.writes[0]), (Reasons{Confirmed, Recovered}));
  EXPECT_EQ(verdict.writes[0].transitions.front().seq, 2U);
  EXPECT_EQ(reasons(verdict.writes[1]), (Reasons{Opened}));
}

TEST(Judge, PassesOverOutagesThatWereSettledBeforeTheStoredOne) {
  const SiteFacts facts = facts_of({ended(outage_of(kT, 3)), outage_of(kT + 10min, 2)});
  const Verdict verdict = judge(stored_event(kT + 10min, SiteState::SeemsDown, 1), facts, kPolicy);
  ASSERT_EQ(verdict.writes.size(), 1U);
  EXPECT_EQ(verdict.writes.front().started_at, kT + 10min);
  EXPECT_TRUE(verdict.writes.front().transitions.empty()) << "the row alone: one more failure";
  EXPECT_EQ(verdict.writes.front().failures, 2U);
}

TEST(Judge, NothingStoredAndNothingToldIsNothing) {
  for (const Presence presence : {Presence::Watched, Presence::Paused, Presence::Removed}) {
    const Verdict verdict = judge(std::nullopt, facts_of({}, presence), kPolicy);
    EXPECT_TRUE(verdict.settled());
    EXPECT_TRUE(verdict.writes.empty());
    EXPECT_FALSE(verdict.open_after);
  }
}

TEST(Judge, HandsAnEventThatTheLaneDoesNotKnowToTheLane) {
  for (const SiteState state : {SiteState::SeemsDown, SiteState::Down}) {
    const StoredEvent stored = stored_event(kT - 1h, state, 3);
    for (const SiteFacts& facts :
         {facts_of({}), facts_of({outage_of(kT, 3)}), facts_of({ended(outage_of(kT, 3))})}) {
      const Verdict verdict = judge(stored, facts, kPolicy);
      EXPECT_FALSE(verdict.settled());
      EXPECT_EQ(verdict.unknown_event, stored.event);
      EXPECT_TRUE(verdict.writes.empty()) << "neither closed nor guessed at";
      EXPECT_EQ(verdict.open_after->event, stored.event);
    }
  }
}

TEST(Judge, ClosesAnUnknownEventOfASiteAtWhichNobodyLooks) {
  const StoredEvent stored = stored_event(kT - 1h, SiteState::Down, 3);
  const Outage seen = ended(outage_of(kT, 1), Presence::Removed);
  const Verdict verdict = judge(stored, facts_of({seen}, Presence::Removed), kPolicy);
  ASSERT_EQ(verdict.writes.size(), 2U);
  EXPECT_EQ(reasons(verdict.writes[0]), (Reasons{SiteRemoved}));
  EXPECT_EQ(verdict.writes[0].ended_at, kT + 1h);
  EXPECT_EQ(verdict.writes[0].transitions_total, 3U);
  EXPECT_EQ(verdict.writes[0].evidence, kStored);
  EXPECT_EQ(reasons(verdict.writes[1]), (Reasons{Opened, SiteRemoved}));
  EXPECT_FALSE(verdict.open_after);
  EXPECT_EQ(reasons(judge(stored, facts_of({}, Presence::Paused), kPolicy).writes.front()),
            (Reasons{Operator}));
}

// ---- After a restart
// -----------------------------------------------------------------------------------

TEST(Judge, KeepsTheStoredEvidenceUntilTheLaneHasSeenAFailure) {
  const StoredEvent stored = stored_event(kT, SiteState::Down, 3);
  const Outage quiet = restored(outage_of(kT, 3));
  EXPECT_TRUE(judge(stored, facts_of({quiet}), kPolicy).writes.empty());
  const EventWrite closed = judge(stored, facts_of({ended(quiet)}), kPolicy).writes.front();
  EXPECT_EQ(reasons(closed), (Reasons{Recovered}));
  EXPECT_EQ(closed.evidence, kStored);
  EXPECT_EQ(closed.transitions.front().evidence, kFine);
  EXPECT_EQ(closed.confirmed_at, stored.event.confirmed_at);
}

TEST(Judge, ARestoredStreakIsConfirmedInTheSameEvent) {
  Outage outage = outage_of(kT, 3);
  outage.restored = true;
  const Verdict verdict =
      judge(stored_event(kT, SiteState::SeemsDown, 2), facts_of({outage}), kPolicy);
  EXPECT_EQ(reasons(verdict.writes.front()), (Reasons{Confirmed}));
  EXPECT_EQ(verdict.open_after->event.id, core::EventId{5});
}

TEST(Judge, DoesNotReopenAnEventThatIsGone) {
  Outage failed_since = outage_of(kT, 3);
  failed_since.restored = true;
  for (const Outage& outage : {failed_since, ended(failed_since)}) {
    const Verdict verdict = judge(std::nullopt, facts_of({outage}), kPolicy);
    EXPECT_TRUE(verdict.event_gone);
    EXPECT_FALSE(verdict.settled());
    EXPECT_TRUE(verdict.writes.empty());
  }
  const Verdict quiet = judge(
      std::nullopt, facts_of({ended(restored(outage_of(kT, 3))), outage_of(kT + 1h, 1)}), kPolicy);
  EXPECT_TRUE(quiet.settled()) << "it ended with its event";
  ASSERT_EQ(quiet.writes.size(), 1U);
  EXPECT_EQ(quiet.writes.front().started_at, kT + 1h);
}

TEST(Judge, KeepsTheCountOfWhatWasFolded) {
  Outage outage = ended(outage_of(kT, 3));
  outage.merged = 4;
  EXPECT_EQ(judge(std::nullopt, facts_of({outage}), kPolicy).writes.front().merged, 4U);
}

// ---- Other vantages ----------------------------------------------------------------------------------

const ConfirmPolicy kAsking{.failures = 3, .quorum = 2, .verify_timeout = 15s};

core::Testimony testimony_of(core::Basis basis, WallTime outage = kT) {
  return {.basis = basis, .outage = outage, .quorum = 2, .round = 1, .decided_at = kT + 30s};
}

TEST(Judge, ConfirmsOnlyWithATestimonyThatDecidesSo) {
  using core::Basis;
  for (const Basis basis : {Basis::None, Basis::Disagreement}) {
    const Verdict verdict =
        judge(std::nullopt, facts_of({outage_of(kT, 5)}), kAsking, testimony_of(basis));
    EXPECT_EQ(reasons(verdict.writes.front()), Reasons{Opened}) << core::to_string(basis);
    EXPECT_EQ(verdict.open_after->event.state, SiteState::SeemsDown);
  }
  for (const Basis basis : {Basis::Quorum, Basis::Unanswered, Basis::Unasked, Basis::Bound}) {
    const Verdict verdict =
        judge(std::nullopt, facts_of({outage_of(kT, 5)}), kAsking, testimony_of(basis));
    ASSERT_EQ(reasons(verdict.writes.front()), (Reasons{Opened, Confirmed})) << core::to_string(basis);
    const TransitionRecord& confirmed = verdict.writes.front().transitions[1];
    EXPECT_EQ(confirmed.testimony.basis, basis);
    EXPECT_EQ(confirmed.at, kT + 30s);  // When it was decided.
    EXPECT_EQ(confirmed.failures, 5U);
    EXPECT_EQ(confirmed.evidence, kNewest);
  }
}

TEST(Judge, ATestimonyIsForItsOwnOutageAndNoVoteMakesUpForFailures) {
  using core::Basis;
  const auto of_another = testimony_of(Basis::Quorum, kT - 1h);
  EXPECT_EQ(reasons(judge(std::nullopt, facts_of({outage_of(kT, 5)}), kAsking, of_another).writes.front()),
            Reasons{Opened});
  EXPECT_EQ(reasons(judge(std::nullopt, facts_of({outage_of(kT, 2)}), kAsking, testimony_of(Basis::Quorum))
                        .writes.front()),
            Reasons{Opened});
}

TEST(Judge, AnOutageThatEndsUndecidedIsAFalseAlarmUnlessItOutlastedTheAnswers) {
  using core::Basis;
  Outage brief = ended(outage_of(kT, 3));
  Outage lasting = brief;
  lasting.ended_at = lasting.confirmed_at + 16s;
  const auto closed = [](const Outage& outage, Basis basis) {
    return judge(std::nullopt, facts_of({outage}), kAsking, testimony_of(basis)).writes.front();
  };
  EXPECT_EQ(reasons(closed(brief, Basis::None)), (Reasons{Opened, FalseAlarm}));
  EXPECT_EQ(reasons(closed(lasting, Basis::None)), (Reasons{Opened, Confirmed, Recovered}));
  EXPECT_EQ(closed(lasting, Basis::None).transitions[1].testimony.basis, Basis::Unasked);
  const EventWrite disputed = closed(lasting, Basis::Disagreement);
  EXPECT_EQ(reasons(disputed), (Reasons{Opened, FalseAlarm}));
  EXPECT_EQ(disputed.transitions[1].testimony.basis, Basis::Disagreement);
  // What was decided before the end is heard, and is not dated after it.
  const EventWrite agreed = closed(brief, Basis::Quorum);
  EXPECT_EQ(reasons(agreed), (Reasons{Opened, Confirmed, Recovered}));
  EXPECT_LE(agreed.transitions[1].at, agreed.ended_at);
  EXPECT_EQ(agreed.ended_at, brief.ended_at);
}

// What was said is lost with a lease or a process; that something was said is stored: others saw it up.
TEST(Judge, AnOutageOfWhichARoundWasStoredIsNotUnasked) {
  const Verdict disputed = judge(std::nullopt, facts_of({outage_of(kT, 3)}), kAsking,
                                 testimony_of(core::Basis::Disagreement));
  Outage lasting = ended(outage_of(kT, 3));
  lasting.ended_at = lasting.confirmed_at + 5min;
  const Verdict over = judge(disputed.open_after, facts_of({lasting}), kAsking);
  EXPECT_EQ(reasons(over.writes.front()), Reasons{FalseAlarm});
}

// A round that decides nothing new of the site is written once, for it is shown.
TEST(Judge, WritesADisagreementOnce) {
  const StoredEvent stored = stored_event(kT, SiteState::SeemsDown, 3);
  Outage outage = outage_of(kT, 3);
  outage.evidence = kStored;
  const auto testimony = testimony_of(core::Basis::Disagreement);
  const Verdict first = judge(stored, facts_of({outage}), kAsking, testimony);
  ASSERT_EQ(first.writes.size(), 1U);
  EXPECT_EQ(first.writes.front().testimony.basis, core::Basis::Disagreement);
  EXPECT_TRUE(judge(first.open_after, facts_of({outage}), kAsking, testimony).writes.empty());
}

// Closed by a person while others disagreed or were not heard: that is no confirmation.
TEST(Judge, WhatAPersonClosesWasNotConfirmedByThat) {
  Outage outage = outage_of(kT, 3);
  outage.ended_at = kT + 24h;
  outage.ended_as = Presence::Closed;
  const Verdict verdict = judge(std::nullopt, facts_of({outage}), kAsking);
  ASSERT_EQ(verdict.writes.size(), 1U);
  EXPECT_EQ(reasons(verdict.writes[0]), (Reasons{Opened, Operator}));
  EXPECT_EQ(verdict.writes[0].transitions[1].after, SiteState::Unknown) << "nobody saw it up";
}

TEST(Judge, WhatPeopleSayChangesNothingButTheCount) {
  const StoredEvent stored = stored_event(kT, SiteState::Down, 4);
  std::vector<OperatorRequest> requests;
  for (const Act act : {Act::Ack, Act::Comment})
    requests.push_back({.by = {.request = RequestId{7}, .act = act, .who = "ann", .why = "w", .source = "command"},
                        .event = stored.event.id,
                        .site = kSite,
                        .event_started_at = kT});
  const Verdict verdict = judge_requests(stored, requests, kT + 1h);
  ASSERT_EQ(verdict.writes.size(), 1U);
  const EventWrite& write = verdict.writes[0];
  EXPECT_EQ(reasons(write), (Reasons{Operator, Operator}));
  EXPECT_EQ(write.transitions_total, 4U);
  EXPECT_EQ(write.state, SiteState::Down);
  EXPECT_EQ(write.failures, 4U);
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(write.transitions[i].before, SiteState::Down);
    EXPECT_EQ(write.transitions[i].after, SiteState::Down);
    EXPECT_EQ(write.transitions[i].at, kT + 1h);
    EXPECT_EQ(write.transitions[i].by, requests[i].by);
  }
  ASSERT_TRUE(verdict.open_after);
  EXPECT_EQ(verdict.open_after->transitions_total, 4U);
  EXPECT_EQ(verdict.open_after->event, stored.event);
}

TEST(JudgeDeathTest, StopsOnFactsThatNoLaneMakes) {
  EXPECT_DEATH(
      (void)judge(std::nullopt, facts_of({outage_of(kT, 1), outage_of(kT + 1h, 1)}), kPolicy),
      "another one");
}

}  // namespace
}  // namespace watchwheel::sideeffects
