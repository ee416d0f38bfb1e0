// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/attention.h"

#include <gtest/gtest.h>

#include <set>

namespace watchwheel::sideeffects {
namespace {

using core::Cause;
using core::ConfirmPolicy;
using core::Evidence;
using core::kNoWallTime;
using core::kOutagesWaitingMax;
using core::Outage;
using core::Outcome;
using core::Phase;
using core::Presence;
using core::SiteFacts;
using core::SiteId;
using core::SiteNote;
using core::SiteState;
using core::WallTime;
using namespace std::chrono_literals;

constexpr SiteId kSite{42};
const WallTime kStart = core::from_unix_ms(1'700'000'000'000);
const Evidence kRefused{Cause::ConnectRefused, Phase::Connect, 0, "refused", "192.0.2.1"};
const Evidence kStatus{Cause::HttpStatus, Phase::FirstByte, 500, "status 500", "192.0.2.1"};
const Evidence kFine{Cause::Ok, Phase::Done, 200, "", "192.0.2.1"};
const Evidence kOurs{Cause::LocalOverload, Phase::Dns, 0, "", ""};

// One lane's attention to one site, a second between results.
struct Lane {
  explicit Lane(ConfirmPolicy policy = {}) : attention(policy, 1) {}

  Reaction fails(const Evidence& evidence = kRefused) { return sees(Outcome::Down, evidence); }
  Reaction is_up() { return sees(Outcome::Up, kFine); }
  Reaction is_not_measured() { return sees(Outcome::NotMeasured, kOurs); }
  Reaction sees(Outcome outcome, const Evidence& evidence) {
    now += 1s;
    return attention.on_result(kSite, {.outcome = outcome, .evidence = evidence, .at = now});
  }
  SiteFacts post() { return last = attention.facts(kSite); }
  // The shard has committed what was posted last.
  bool acknowledge(std::optional<SiteState> open = std::nullopt) {
    return acknowledge(last.seq, open);
  }
  bool acknowledge(std::uint64_t seq, std::optional<SiteState> open) {
    return attention.on_note({.site = kSite,
                              .seq = seq,
                              .event_state = open,
                              .unknown_event = std::nullopt,
                              .event_gone = false});
  }
  void flap() {
    fails();
    is_up();
  }

  Attention attention;
  WallTime now = kStart;
  SiteFacts last;
};

core::OpenEvent open_event(SiteState state, std::uint32_t failures) {
  return {.id = core::EventId{9},
          .state = state,
          .started_at = kStart - 1h,
          .confirmed_at = state == SiteState::Down ? kStart - 30min : kNoWallTime,
          .failures = failures,
          .cause = Cause::HttpStatus};
}

// Goal: where others are asked, a site is down only when the shard says so, and is asked again more and more slowly until then.
TEST(Attention, WaitsForTheShardWhereOthersAreAsked) {
  Lane lane({.failures = 3, .retry_interval = 10s, .quorum = 2});
  lane.fails();
  lane.fails();
  const Reaction third = lane.fails();
  EXPECT_TRUE(third.post);
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::SeemsDown);
  EXPECT_EQ(lane.attention.down(), 0U);
  lane.post();
  lane.acknowledge(SiteState::SeemsDown);
  core::Duration before = *third.recheck_in;
  EXPECT_LE(before, 11s);
  for (int i = 0; i < 4; ++i) {
    const Reaction next = lane.fails();
    EXPECT_TRUE(next.post) << "the shard may ask again";
    ASSERT_TRUE(next.recheck_in);
    EXPECT_GE(*next.recheck_in, before * 3 / 2);
    before = *next.recheck_in;
    lane.post();
    lane.acknowledge(SiteState::SeemsDown);
  }
  lane.acknowledge(SiteState::Down);
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::Down);
  EXPECT_EQ(lane.attention.down(), 1U);
  EXPECT_EQ(lane.attention.seem_down(), 0U);
  EXPECT_EQ(lane.fails().recheck_in, std::nullopt);
  lane.is_up();
  lane.post();
  EXPECT_TRUE(lane.acknowledge());
  EXPECT_EQ(lane.attention.down() + lane.attention.seem_down(), 0U);
}

// Doubled for the dispute and for what was not measured at once it would overflow, and be asked again at once.
TEST(Attention, ALongDisputeWithoutMeasurementsIsNeverRecheckedSooner) {
  Lane lane({.failures = 1, .retry_interval = 10min, .quorum = 2});
  core::Duration before{};
  for (int i = 0; i < 30; ++i) {
    const Reaction next = lane.fails();
    ASSERT_TRUE(next.recheck_in);
    EXPECT_GE(*next.recheck_in, before / 2);
    before = *next.recheck_in;
  }
  for (int i = 0; i < 30; ++i) {
    const Reaction next = lane.is_not_measured();
    ASSERT_TRUE(next.recheck_in);
    EXPECT_GE(*next.recheck_in, before / 2);
    before = *next.recheck_in;
  }
}

TEST(Attention, CountsStayRightWhenVerifiersComeAndGo) {
  Lane lane({.failures = 1});
  lane.fails();
  EXPECT_EQ(lane.attention.down(), 1U);
  lane.attention.set_policy({.failures = 1, .quorum = 2});
  lane.is_up();
  EXPECT_EQ(lane.attention.down() + lane.attention.seem_down(), 0U);
}

TEST(Attention, KeepsNothingOfAHealthySite) {
  Lane lane;
  EXPECT_EQ(lane.is_up(), Reaction{});
  EXPECT_EQ(lane.is_not_measured(), Reaction{});
  EXPECT_EQ(lane.attention.size(), 0U);
  EXPECT_EQ(lane.attention.state_of(kSite), std::nullopt);
  EXPECT_TRUE(lane.post().outages.empty());
  EXPECT_EQ(lane.attention.size(), 0U);
}

TEST(Attention, OpensAnOutageAtTheFirstFailureAndAsksForAQuickRecheck) {
  Lane lane;
  const Reaction reaction = lane.fails();
  EXPECT_TRUE(reaction.post);
  EXPECT_TRUE(reaction.troubled);
  ASSERT_TRUE(reaction.recheck_in);
  const SiteFacts facts = lane.post();
  ASSERT_EQ(facts.outages.size(), 1U);
  const Outage& outage = facts.outages.front();
  EXPECT_EQ(outage.started_at, lane.now);
  EXPECT_EQ(outage.failures, 1U);
  EXPECT_EQ(outage.opened_by, kRefused);
  EXPECT_EQ(outage.confirmed_at, kNoWallTime);
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::SeemsDown);
  EXPECT_EQ(lane.attention.seem_down(), 1U);
}

TEST(Attention, ConfirmsAtThePolicysFailuresAndThenStopsRechecking) {
  Lane lane;
  lane.fails();
  EXPECT_TRUE(lane.fails().recheck_in);
  const Reaction third = lane.fails(kStatus);
  EXPECT_TRUE(third.post);
  EXPECT_EQ(third.recheck_in, std::nullopt);
  const Outage outage = lane.post().outages.front();
  EXPECT_EQ(outage.confirmed_at, lane.now);
  EXPECT_EQ(outage.confirmed_failures, 3U);
  EXPECT_EQ(outage.opened_by, kRefused);
  EXPECT_EQ(outage.confirmed_by, kStatus);
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::Down);
  EXPECT_EQ(lane.attention.seem_down(), 0U);
  EXPECT_EQ(lane.attention.down(), 1U);
}

TEST(Attention, ConfirmsAtOnceWhenOneFailureIsEnough) {
  Lane lane{{.failures = 1, .successes = 1, .retry_interval = 10s}};
  EXPECT_EQ(lane.fails().recheck_in, std::nullopt);
  const Outage outage = lane.post().outages.front();
  EXPECT_EQ(outage.confirmed_at, outage.started_at);
}

TEST(Attention, PostsEachFailureUntilConfirmedSoThatARestartContinuesTheStreak) {
  Lane lane;
  lane.fails();
  lane.post();
  EXPECT_TRUE(lane.fails().post);
  EXPECT_EQ(lane.post().outages.front().failures, 2U);
}

TEST(Attention, NotMeasuredChangesNothingAndAsksAgain) {
  Lane lane;
  const Reaction first = lane.fails();
  const SiteFacts before = lane.post();
  const Reaction blind = lane.is_not_measured();
  EXPECT_FALSE(blind.post);
  EXPECT_TRUE(blind.troubled);
  EXPECT_EQ(blind.recheck_in, first.recheck_in);
  EXPECT_EQ(lane.post().outages, before.outages);
}

// Goal: suspects that our overload keeps from being measured do not feed it.
TEST(Attention, ResultsInARowThatMeasureNothingAreAskedAgainLaterAndLater) {
  Lane lane;
  const core::Duration soon = *lane.fails().recheck_in;
  core::Duration expected = soon;
  for (int i = 0; i < 15; ++i, expected *= 2) {
    EXPECT_EQ(*lane.is_not_measured().recheck_in, expected);
  }
  for (int i = 0; i < 100; ++i) EXPECT_GE(*lane.is_not_measured().recheck_in, 24h);
  EXPECT_LE(*lane.fails().recheck_in, 2 * soon) << "it was measured";
  EXPECT_LE(*lane.is_not_measured().recheck_in, 2 * soon);
}

TEST(Attention, NotMeasuredPostsNothingEvenWhenThereIsNews) {
  Lane lane;
  lane.fails();
  EXPECT_FALSE(lane.is_not_measured().post);
  EXPECT_TRUE(lane.attention.wants_post(kSite));
}

TEST(Attention, ALongOutageIsNotAStreamOfPosts) {
  Lane lane;
  for (int i = 0; i < 3; ++i) lane.fails();
  lane.post();
  lane.acknowledge(SiteState::Down);
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(lane.fails().post);
  Evidence same = kRefused;
  same.detail = "refused once more";
  EXPECT_FALSE(lane.fails(same).post);
  EXPECT_TRUE(lane.fails(kStatus).post) << "another cause is news";
  EXPECT_EQ(lane.post().outages.front().evidence, kStatus);
  Evidence other = kStatus;
  other.http_status = 503;
  EXPECT_TRUE(lane.fails(other).post) << "another status is news";
  lane.post();
  other.phase = Phase::Body;
  EXPECT_TRUE(lane.fails(other).post) << "another phase is news";
}

// A shard whose policy was stricter for a moment has the site as seems_down; without more news it
// would stay so.
TEST(Attention, KeepsPostingAConfirmedOutageUntilTheShardFollows) {
  Lane lane;
  for (int i = 0; i < 3; ++i) lane.fails();
  lane.post();
  lane.acknowledge(SiteState::SeemsDown);
  EXPECT_TRUE(lane.fails().post);
  lane.post();
  lane.acknowledge(SiteState::Down);
  EXPECT_FALSE(lane.fails().post);
}

TEST(Attention, EndsAnOutageWithTheFirstSuccess) {
  Lane lane;
  lane.fails();
  const Reaction reaction = lane.is_up();
  EXPECT_TRUE(reaction.post);
  EXPECT_TRUE(reaction.troubled) << "until the shard has acknowledged it";
  EXPECT_EQ(reaction.recheck_in, std::nullopt);
  const Outage outage = lane.post().outages.front();
  EXPECT_EQ(outage.ended_at, lane.now);
  EXPECT_EQ(outage.ended_by, kFine);
  EXPECT_EQ(outage.ended_as, Presence::Watched);
  EXPECT_EQ(lane.attention.state_of(kSite), std::nullopt);
  EXPECT_EQ(lane.attention.seem_down(), 0U);
  EXPECT_TRUE(lane.acknowledge());
  EXPECT_FALSE(lane.attention.contains(kSite));
}

TEST(Attention, CountsSuccessesInARowAndRechecksQuicklyMeanwhile) {
  Lane lane{{.failures = 3, .successes = 3, .retry_interval = 10s}};
  for (int i = 0; i < 3; ++i) lane.fails();
  lane.post();
  lane.acknowledge(SiteState::Down);
  const Reaction first = lane.is_up();
  EXPECT_FALSE(first.post) << "successes too few to end it are not stored";
  EXPECT_TRUE(first.recheck_in);
  EXPECT_TRUE(lane.is_not_measured().recheck_in) << "still recovering";
  lane.is_up();
  lane.fails();
  EXPECT_EQ(lane.post().outages.front().failures, 4U) << "the outage goes on";
  lane.is_up();
  lane.is_up();
  EXPECT_TRUE(lane.is_up().post);
  EXPECT_TRUE(lane.post().outages.front().ended());
}

TEST(Attention, TellsEveryOutageUntilItIsAcknowledged) {
  Lane lane;
  lane.flap();
  const std::uint64_t first = lane.post().seq;
  lane.flap();
  lane.fails();
  const SiteFacts facts = lane.post();
  ASSERT_EQ(facts.outages.size(), 3U);
  EXPECT_GT(facts.seq, first);
  EXPECT_TRUE(facts.outages[0].ended() && facts.outages[1].ended() && !facts.outages[2].ended());
  EXPECT_FALSE(lane.acknowledge(first, std::nullopt));
  EXPECT_EQ(lane.post().outages.size(), 2U) << "only the first was in those facts";
  EXPECT_FALSE(lane.acknowledge(SiteState::SeemsDown));
  EXPECT_EQ(lane.post().outages.size(), 1U);
}

TEST(Attention, AnOldNoteForgetsNothingNewer) {
  Lane lane;
  lane.flap();
  const std::uint64_t old = lane.post().seq;
  lane.flap();
  lane.post();
  EXPECT_FALSE(lane.acknowledge(old, std::nullopt));
  EXPECT_TRUE(lane.attention.contains(kSite));
  EXPECT_TRUE(lane.acknowledge());
}

TEST(Attention, ANoteDropsNothingThatWasNotToldYet) {
  Lane lane;
  lane.flap();
  lane.post();
  lane.flap();
  EXPECT_FALSE(lane.acknowledge());
  EXPECT_TRUE(lane.attention.wants_post(kSite));
  EXPECT_EQ(lane.post().outages.size(), 1U);
}

TEST(Attention, ANoteForASiteThatIsNotInTroubleIsOver) {
  Lane lane;
  EXPECT_TRUE(lane.acknowledge(7, SiteState::Down));
}

TEST(Attention, SeqRisesAcrossForgetting) {
  Lane lane;
  lane.flap();
  const std::uint64_t before = lane.post().seq;
  lane.acknowledge();
  lane.fails();
  EXPECT_GT(lane.post().seq, before);
}

TEST(Attention, RestoredStreakGoesOn) {
  Lane lane;
  lane.attention.restore(kSite, open_event(SiteState::SeemsDown, 2));
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::SeemsDown);
  EXPECT_FALSE(lane.attention.wants_post(kSite));
  EXPECT_TRUE(lane.fails().post);
  const Outage outage = lane.post().outages.front();
  EXPECT_EQ(outage.started_at, kStart - 1h);
  EXPECT_EQ(outage.failures, 3U);
  EXPECT_EQ(outage.confirmed_at, lane.now);
  EXPECT_TRUE(outage.restored);
}

TEST(Attention, RestoredDownStaysConfirmedAndIsPostedOnceForItsEvidence) {
  Lane lane{{.failures = 20, .successes = 1, .retry_interval = 10s}};
  lane.attention.restore(kSite, open_event(SiteState::Down, 5));
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::Down);
  EXPECT_TRUE(lane.fails(kStatus).post);
  EXPECT_EQ(lane.post().outages.front().confirmed_at, kStart - 30min);
  EXPECT_FALSE(lane.fails(kStatus).post);
}

TEST(Attention, RestoreReplacesNothing) {
  Lane lane;
  lane.fails();
  lane.attention.restore(kSite, open_event(SiteState::Down, 5));
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::SeemsDown);
  EXPECT_EQ(lane.attention.seem_down(), 1U);
  EXPECT_EQ(lane.attention.down(), 0U);
}

TEST(Attention, RestoredAndFineIsEndedAndForgotten) {
  Lane lane;
  lane.attention.restore(kSite, open_event(SiteState::Down, 5));
  EXPECT_TRUE(lane.is_up().post);
  EXPECT_EQ(lane.post().outages.front().last_failed_at, kNoWallTime);
  EXPECT_TRUE(lane.acknowledge());
}

TEST(Attention, APolicyChangeKeepsWhatIsConfirmed) {
  Lane lane;
  for (int i = 0; i < 3; ++i) lane.fails();
  lane.attention.set_policy({.failures = 9, .successes = 2, .retry_interval = 10s});
  lane.fails();
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::Down);
  lane.is_up();
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::Down) << "two successes end it now";
}

TEST(Attention, WhatAPersonClosesEndsAndWhatFailsLaterIsAnotherOutage) {
  Lane lane;
  for (int i = 0; i < 3; ++i) lane.fails();
  const WallTime start = lane.post().outages.front().started_at;
  EXPECT_FALSE(lane.attention.close(kSite, start + 1s, lane.now)) << "that is no outage of it";
  ASSERT_TRUE(lane.attention.close(kSite, start, lane.now + 5s));
  EXPECT_EQ(lane.attention.state_of(kSite), std::nullopt);
  EXPECT_EQ(lane.attention.down(), 0U);
  EXPECT_FALSE(lane.attention.close(kSite, start, lane.now + 6s)) << "asked again before it is done";
  ASSERT_TRUE(lane.attention.wants_post(kSite));
  const SiteFacts told = lane.post();
  ASSERT_EQ(told.outages.size(), 1U);
  EXPECT_EQ(told.presence, Presence::Watched);
  EXPECT_EQ(told.outages[0].ended_as, Presence::Closed);
  EXPECT_EQ(told.outages[0].ended_at, lane.now + 5s);

  lane.now += 10s;
  EXPECT_TRUE(lane.fails().recheck_in) << "a first failure again";
  const SiteFacts next = lane.post();
  ASSERT_EQ(next.outages.size(), 2U);
  EXPECT_EQ(next.outages[1].started_at, lane.now);
  EXPECT_EQ(next.outages[1].failures, 1U);
  EXPECT_FALSE(lane.acknowledge(SiteState::SeemsDown));
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::SeemsDown);
}

TEST(Attention, WhatWasRestoredIsClosedToo) {
  Lane lane;
  lane.attention.restore(kSite, open_event(SiteState::Down, 5));
  ASSERT_TRUE(lane.attention.close(kSite, kStart - 1h, lane.now));
  EXPECT_EQ(lane.post().outages.at(0).ended_as, Presence::Closed);
  EXPECT_TRUE(lane.acknowledge(std::nullopt)) << "nothing is open, so it is forgotten";
}

TEST(Attention, PauseEndsWhatIsOpenAndIsKeptUntilAcknowledged) {
  Lane lane;
  lane.fails();
  const SiteFacts facts = lane.attention.paused(kSite, lane.now + 5s);
  EXPECT_EQ(facts.presence, Presence::Paused);
  ASSERT_EQ(facts.outages.size(), 1U);
  EXPECT_EQ(facts.outages.front().ended_at, lane.now + 5s);
  EXPECT_EQ(facts.outages.front().ended_as, Presence::Paused);
  EXPECT_EQ(lane.attention.state_of(kSite), std::nullopt);
  EXPECT_TRUE(lane.attention.contains(kSite));
  EXPECT_TRUE(lane.acknowledge(facts.seq, std::nullopt));
}

TEST(Attention, ASiteThatIsResumedStillTellsThatThePauseEndedItsOutage) {
  Lane lane;
  lane.fails();
  (void)lane.attention.paused(kSite, lane.now);
  lane.fails();
  const SiteFacts facts = lane.post();
  EXPECT_EQ(facts.presence, Presence::Watched);
  ASSERT_EQ(facts.outages.size(), 2U);
  EXPECT_EQ(facts.outages[0].ended_as, Presence::Paused);
  EXPECT_FALSE(facts.outages[1].ended());
}

TEST(Attention, NotMeasuredDoesNotResumeAPausedSite) {
  Lane lane;
  (void)lane.attention.removed(kSite, lane.now);
  lane.is_not_measured();
  EXPECT_EQ(lane.post().presence, Presence::Removed);
}

TEST(Attention, RemovalOfAHealthySiteIsToldAndForgotten) {
  Lane lane;
  const SiteFacts facts = lane.attention.removed(kSite, lane.now);
  EXPECT_EQ(facts.presence, Presence::Removed);
  EXPECT_EQ(facts.at, lane.now);
  EXPECT_TRUE(facts.outages.empty());
  EXPECT_TRUE(lane.acknowledge(facts.seq, std::nullopt));
}

TEST(Attention, ForgetsWithoutAWord) {
  Lane lane;
  lane.fails();
  lane.attention.forget(kSite);
  lane.attention.forget(kSite);
  EXPECT_FALSE(lane.attention.contains(kSite));
  EXPECT_EQ(lane.attention.seem_down(), 0U);
}

TEST(Attention, FoldsWhatDoesNotFitIntoTheNewestOutage) {
  Lane lane;
  for (std::size_t i = 0; i + 1 < kOutagesWaitingMax; ++i) lane.flap();
  lane.flap();  // Its end does not fit.
  SiteFacts facts = lane.post();
  ASSERT_EQ(facts.outages.size(), kOutagesWaitingMax);
  EXPECT_FALSE(facts.outages.back().ended()) << "a told end could not be taken back";
  EXPECT_EQ(lane.attention.state_of(kSite), std::nullopt) << "the lane knows better";
  lane.flap();
  lane.flap();
  facts = lane.post();
  ASSERT_EQ(facts.outages.size(), kOutagesWaitingMax);
  EXPECT_EQ(facts.outages.back().merged, 2U);
  EXPECT_EQ(facts.outages.back().failures, 1U) << "one at a time is no streak";
  EXPECT_EQ(lane.attention.merged_total(), 2U);
  EXPECT_FALSE(lane.acknowledge(SiteState::SeemsDown));
  EXPECT_TRUE(lane.attention.wants_post(kSite)) << "there is room for its end now";
  facts = lane.post();
  ASSERT_EQ(facts.outages.size(), 1U);
  EXPECT_EQ(facts.outages.front().ended_at, lane.now);
  EXPECT_TRUE(lane.acknowledge());
}

// 32 ended outages can wait after a pause; the next one has to wait to be told at all.
TEST(Attention, NeverTellsMoreThanFactsMayHold) {
  Lane lane;
  for (std::size_t i = 0; i < kOutagesWaitingMax; ++i) lane.flap();
  EXPECT_EQ(lane.attention.paused(kSite, lane.now).outages.size(), kOutagesWaitingMax);
  lane.fails();
  const SiteFacts facts = lane.post();
  EXPECT_EQ(facts.outages.size(), kOutagesWaitingMax);
  EXPECT_TRUE(facts.outages.back().ended());
  (void)lane.attention.paused(kSite, lane.now + 1s);
  EXPECT_FALSE(lane.acknowledge());
  EXPECT_TRUE(lane.attention.wants_post(kSite));
  const SiteFacts rest = lane.post();
  ASSERT_EQ(rest.outages.size(), 1U);
  EXPECT_EQ(rest.outages.front().ended_as, Presence::Paused);
  EXPECT_EQ(rest.presence, Presence::Paused);
}

TEST(Attention, TimesAreWholeMilliseconds) {
  Lane lane;
  lane.now += 123'456ns;
  lane.fails();
  lane.is_up();
  const Outage outage = lane.post().outages.front();
  EXPECT_EQ(outage.started_at.time_since_epoch() % 1ms, 0ns);
  EXPECT_EQ(outage.ended_at.time_since_epoch() % 1ms, 0ns);
}

TEST(Attention, AnOutageNeverEndsBeforeItBeganThoughTheClockWasSetBack) {
  Lane lane;
  lane.fails();
  lane.now -= 1h;
  lane.fails();
  lane.fails();
  lane.is_up();
  const Outage outage = lane.post().outages.front();
  EXPECT_EQ(outage.confirmed_at, outage.started_at);
  EXPECT_EQ(outage.ended_at, outage.started_at);
}

TEST(Attention, TwoOutagesNeverShareAStart) {
  Lane lane;
  lane.flap();
  lane.now -= 2s;  // The same moment again.
  lane.flap();
  const SiteFacts facts = lane.post();
  ASSERT_EQ(facts.outages.size(), 2U);
  EXPECT_NE(facts.outages[0].started_at, facts.outages[1].started_at);
}

TEST(Attention, TakesOverAnEventThatItDidNotKnow) {
  Lane lane;
  lane.fails();
  const WallTime seen = lane.now;
  const core::OpenEvent stored = open_event(SiteState::Down, 7);
  SiteNote note{.site = kSite,
                .seq = lane.post().seq,
                .event_state = SiteState::Down,
                .unknown_event = stored};
  EXPECT_FALSE(lane.attention.on_note(note));
  EXPECT_TRUE(lane.attention.wants_post(kSite));
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::Down);
  const SiteFacts facts = lane.post();
  ASSERT_EQ(facts.outages.size(), 1U);
  EXPECT_EQ(facts.outages.front().started_at, stored.started_at);
  EXPECT_EQ(facts.outages.front().failures, 7U);
  // Should it be gone by then, what was seen here becomes an outage of its own again.
  note = {.site = kSite,
          .seq = facts.seq,
          .event_state = std::nullopt,
          .unknown_event = std::nullopt,
          .event_gone = true};
  EXPECT_FALSE(lane.attention.on_note(note));
  const SiteFacts own = lane.post();
  ASSERT_EQ(own.outages.size(), 1U);
  EXPECT_EQ(own.outages.front().started_at, seen);
  EXPECT_EQ(own.outages.front().failures, 1U);
  EXPECT_EQ(own.outages.front().confirmed_at, kNoWallTime);
  EXPECT_EQ(lane.attention.state_of(kSite), SiteState::SeemsDown);
}

TEST(Attention, FailuresAfterAnEventThatIsGoneAreAnOutageOfTheirOwn) {
  Lane lane;
  lane.attention.restore(kSite, open_event(SiteState::Down, 7));
  for (int i = 0; i < 3; ++i) lane.fails();
  const WallTime first = kStart + 1s;
  const SiteNote gone{.site = kSite,
                      .seq = lane.post().seq,
                      .event_state = std::nullopt,
                      .unknown_event = std::nullopt,
                      .event_gone = true};
  EXPECT_FALSE(lane.attention.on_note(gone));
  const Outage own = lane.post().outages.front();
  EXPECT_EQ(own.started_at, first);
  EXPECT_EQ(own.failures, 3U);
  EXPECT_EQ(own.confirmed_at, lane.now) << "three failures earn it by themselves";
  EXPECT_FALSE(own.restored);
}

TEST(RecheckDelay, IsWithinATenthAndSpreadsSites) {
  std::set<core::Duration> seen;
  for (std::uint64_t site = 1; site <= 1000; ++site) {
    const core::Duration delay = recheck_delay(10s, SiteId{site}, 1, 5);
    EXPECT_GE(delay, 9s);
    EXPECT_LE(delay, 11s);
    seen.insert(delay);
  }
  EXPECT_GT(seen.size(), 990U);
  EXPECT_EQ(recheck_delay(10s, kSite, 2, 5), recheck_delay(10s, kSite, 2, 5));
  EXPECT_NE(recheck_delay(10s, kSite, 1, 5), recheck_delay(10s, kSite, 2, 5));
  EXPECT_NE(recheck_delay(10s, kSite, 1, 5), recheck_delay(10s, kSite, 1, 6));
}

}  // namespace
}  // namespace watchwheel::sideeffects
