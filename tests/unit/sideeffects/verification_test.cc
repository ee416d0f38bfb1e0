// SPDX-License-Identifier: Apache-2.0
// A shard that asks other vantages, in virtual time: what they say, late, wrongly or never, and what becomes of the site.
#include "sideeffects/verification.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "sideeffects/shard.h"
#include "support/fake_panel.h"
#include "support/fake_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::Basis;
using core::Saw;
using core::SiteFacts;
using core::SiteId;
using core::SiteState;
using core::TransitionReason;
using testing::FakeEventStore;
using testing::FakePanel;
using namespace std::chrono_literals;

const core::Evidence kTimeout{core::Cause::ConnectTimeout, core::Phase::Connect, 0, "timed out", "a"};
const core::ConfirmPolicy kPolicy{.failures = 3, .quorum = 2, .verify_timeout = 15s};

class Notes final : public NoteSink {
 public:
  bool offer(core::SiteNote&& note) override {
    sent.push_back(std::move(note));
    return true;
  }
  std::vector<core::SiteNote> sent;
};

// A shard on a store in memory. Its process can die and start again.
struct Bench {
  explicit Bench(std::size_t verifiers, core::ConfirmPolicy given = kPolicy, ShardLimits l = {})
      : policy(given), limits(l), seats(verifiers) {
    clock.advance(1h);
    start();
  }
  void start() {
    shard.reset();
    panel = std::make_unique<FakePanel>(seats);
    mailbox = std::make_unique<FactsMailbox>(10'000);
    shard = std::make_unique<Shard>(limits, policy, *mailbox, store, notes, clock, 3);
    if (seats > 0) shard->attach(*panel);
  }

  // As a lane tells of an outage that began at `began` (seconds from the start) and has failed so often, ten seconds apart.
  SiteFacts facts_of(std::uint64_t site, std::uint32_t failures, core::Duration ended_after = {}) {
    core::Outage outage;
    outage.started_at = core::from_unix_ms(1'700'000'000'000) + std::chrono::hours{site};
    outage.last_failed_at = outage.started_at + 10s * (failures - 1);
    outage.failures = failures;
    outage.evidence = outage.opened_by = kTimeout;
    if (failures >= 3) {
      outage.confirmed_at = outage.started_at + 20s;
      outage.confirmed_failures = 3;
      outage.confirmed_by = kTimeout;
    }
    SiteFacts facts{.site = SiteId{site}, .seq = ++seq, .at = outage.last_failed_at, .outages = {}};
    if (ended_after > core::Duration::zero()) {
      outage.ended_at = outage.last_failed_at + ended_after;
      facts.at = outage.ended_at;
    } else if (failures >= 3) {
      facts.subject = std::make_shared<const core::Subject>(
          core::Subject{url(site), std::make_shared<const core::CheckOptions>()});
    }
    facts.outages = {outage};
    return facts;
  }
  static std::string url(std::uint64_t site) { return "http://s" + std::to_string(site) + "/"; }
  void post(SiteFacts facts) {
    const core::FactsKey seat = core::key_of(facts);
    mailbox->post(seat, std::move(facts));
    turn();
  }
  void fails(std::uint64_t site, std::uint32_t failures) { post(facts_of(site, failures)); }
  void recovers(std::uint64_t site, std::uint32_t failures, core::Duration after = 5s) {
    post(facts_of(site, failures, after));
  }
  void turn() { shard->turn(clock.steady()); }
  void pass(core::Duration time) {
    clock.advance(time);
    turn();
  }
  void say(std::uint64_t site, std::size_t seat, Saw saw) {
    panel->say(panel->id_of(url(site)), seat, saw);
    turn();
  }
  [[nodiscard]] std::vector<TransitionRecord> transitions(std::uint64_t site) const {
    std::vector<TransitionRecord> all;
    for (const auto& event : store.events()) {
      if (event.row.site == SiteId{site})
        all.insert(all.end(), event.row.transitions.begin(), event.row.transitions.end());
    }
    return all;
  }
  [[nodiscard]] std::string reasons(std::uint64_t site) const {
    std::string all;
    for (const TransitionRecord& one : transitions(site))
      all += (all.empty() ? "" : " ") + std::string(core::to_string(one.reason));
    return all;
  }

  const core::ConfirmPolicy policy;
  const ShardLimits limits;
  const std::size_t seats;
  core::ManualClock clock;
  FakeEventStore store;
  Notes notes;
  std::unique_ptr<FakePanel> panel;
  std::unique_ptr<FactsMailbox> mailbox;
  std::unique_ptr<Shard> shard;
  std::uint64_t seq = 0;
};

TEST(Verification, WithoutVerifiersOurWordIsEnoughAndTheTransitionSaysSo) {
  Bench bench(0, {.failures = 3});
  bench.fails(1, 3);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[0].testimony.basis, Basis::None);
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::LocalOnly);
}

TEST(Verification, NobodyIsAskedBeforeTheStreakIsLongEnough) {
  Bench bench(2);
  bench.fails(1, 1);
  bench.fails(1, 2);
  EXPECT_TRUE(bench.panel->asked.empty());
  bench.fails(1, 3);
  ASSERT_EQ(bench.panel->asked.size(), 1U);
  EXPECT_EQ(bench.panel->asked[0].deadline, bench.clock.steady() + 15s);
  EXPECT_EQ(bench.reasons(1), "opened");
}

TEST(Verification, AQuorumConfirmsAndTheWitnessesAreInTheTransition) {
  Bench bench(3);
  bench.fails(1, 3);
  bench.say(1, 2, Saw::Up);
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.say(1, 0, Saw::Down);
  EXPECT_EQ(bench.reasons(1), "opened");  // Were the third to see it up, as many would see it up as down.
  bench.say(1, 1, Saw::Error);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  const core::Testimony testimony = bench.transitions(1)[1].testimony;
  EXPECT_EQ(testimony.basis, Basis::Quorum);
  EXPECT_EQ(testimony.quorum, 2U);
  EXPECT_EQ(testimony.round, 1U);
  ASSERT_EQ(testimony.witnesses.size(), 4U);
  EXPECT_EQ(testimony.witnesses[0].vantage, "local");
  EXPECT_EQ(testimony.witnesses[0].saw, Saw::Down);
  EXPECT_EQ(testimony.witnesses[1].vantage, "v0");
  EXPECT_EQ(testimony.witnesses[1].saw, Saw::Down);
  EXPECT_EQ(testimony.witnesses[2].saw, Saw::Error);
  EXPECT_EQ(testimony.witnesses[3].saw, Saw::Up);
  // The lane hears it.
  EXPECT_EQ(bench.notes.sent.back().event_state, SiteState::Down);
  EXPECT_EQ(bench.shard->verification().waiting.value(), 0);
  bench.fails(1, 9);
  EXPECT_EQ(bench.panel->asked.size(), 1U);  // What is down is asked about no more.
}

// Goal: one slow question holds up nobody else.
TEST(Verification, OtherSitesGoOn) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.fails(2, 3);
  bench.say(2, 0, Saw::Down);
  EXPECT_EQ(bench.reasons(1), "opened");
  EXPECT_EQ(bench.reasons(2), "opened confirmed");
  bench.recovers(2, 4);
  EXPECT_EQ(bench.reasons(2), "opened confirmed recovered");
}

TEST(Verification, SilenceIsNoVoteAndDoesNotHoldARealOutageForEver) {
  Bench bench(2);
  bench.fails(1, 3);
  EXPECT_EQ(bench.shard->next_turn(), bench.clock.steady() + 15s);
  bench.say(1, 0, Saw::Overloaded);
  bench.pass(14s);
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.pass(1s);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  const core::Testimony testimony = bench.transitions(1)[1].testimony;
  EXPECT_EQ(testimony.basis, Basis::Unanswered);
  EXPECT_EQ(testimony.witnesses[1].saw, Saw::Overloaded);
  EXPECT_EQ(testimony.witnesses[2].saw, Saw::Silent);
}

// Goal: while others see it up it is not down; it is asked again with the next failures, later each time; and what they said is in
// the event and in its end.
TEST(Verification, ADisagreementIsShownAndAskedAgainMoreAndMoreSlowly) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  EXPECT_EQ(bench.reasons(1), "opened");
  ASSERT_EQ(bench.store.events().size(), 1U);
  EXPECT_EQ(bench.store.events()[0].row.testimony.basis, Basis::Disagreement);
  EXPECT_EQ(bench.shard->verification().disputed.value(), 1);
  bench.pass(10s);
  bench.fails(1, 4);
  EXPECT_EQ(bench.panel->asked.size(), 1U);  // Too soon.
  bench.pass(5s);
  EXPECT_EQ(bench.panel->asked.size(), 1U);  // Nothing new failed.
  bench.fails(1, 5);
  ASSERT_EQ(bench.panel->asked.size(), 2U);
  bench.say(1, 0, Saw::Up);
  EXPECT_EQ(bench.store.events()[0].row.testimony.round, 2U);
  bench.pass(29s);
  bench.fails(1, 6);
  EXPECT_EQ(bench.panel->asked.size(), 2U);
  bench.pass(1s);
  bench.fails(1, 7);
  ASSERT_EQ(bench.panel->asked.size(), 3U);
  // While it is asked again the last word still holds.
  bench.recovers(1, 7);
  ASSERT_EQ(bench.reasons(1), "opened false_alarm");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Disagreement);
  EXPECT_EQ(bench.shard->verification().disputed.value(), 0);
  EXPECT_EQ(bench.shard->verification().waiting.value(), 0);
}

TEST(Verification, WhoeverChangesTheirMindIsHeard) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.pass(20s);
  bench.fails(1, 5);
  bench.say(1, 0, Saw::Down);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[1].testimony.round, 2U);
  EXPECT_EQ(bench.transitions(1)[1].failures, 5U);
}

TEST(Verification, ASiteThatRecoversIsAskedAboutNoMoreAndLateAnswersChangeNothing) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.recovers(1, 3);
  EXPECT_EQ(bench.reasons(1), "opened false_alarm");
  EXPECT_EQ(bench.panel->dropped, 1U);
  bench.say(1, 0, Saw::Down);
  bench.pass(20s);
  EXPECT_EQ(bench.reasons(1), "opened false_alarm");
  EXPECT_EQ(bench.shard->next_turn(), std::nullopt);
}

// An outage that began and ended while the shard could not look: it was longer than any answer may take, so it was one.
TEST(Verification, ALongOutageOfWhichNobodyCouldBeAskedIsNoFalseAlarm) {
  Bench bench(1);
  bench.recovers(1, 30, 5min);
  ASSERT_EQ(bench.reasons(1), "opened confirmed recovered");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Unasked);
  EXPECT_TRUE(bench.panel->asked.empty());
}

TEST(Verification, ARestartInTheMiddleGoesOn) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.start();  // What was asked is forgotten, the streak is in the event.
  EXPECT_TRUE(bench.panel->asked.empty());
  bench.fails(1, 4);
  ASSERT_EQ(bench.panel->asked.size(), 1U);
  bench.say(1, 0, Saw::Down);
  EXPECT_EQ(bench.reasons(1), "opened confirmed");
}

TEST(Verification, AnswersThatComeWhileTheStoreIsAwayAreNotLost) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.store.set_away(true);
  bench.say(1, 0, Saw::Down);
  bench.fails(2, 3);
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.store.set_away(false);
  bench.pass(1min);
  bench.pass(1min);
  EXPECT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Quorum);
}

TEST(Verification, WhatNobodyElseCanCheckIsDecidedHere) {
  Bench bench(1);
  bench.panel->answers_with = VerifierPanel::Asked::Bound;
  bench.fails(1, 3);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Bound);
}

// More outages at once than can be asked about: they are told all the same, by the time that answers would have been there.
TEST(Verification, WhoCannotBeAskedInTimeIsDecidedHere) {
  ShardLimits limits;
  limits.verification.sites_max = 1;
  Bench bench(1, kPolicy, limits);
  bench.fails(1, 3);
  bench.fails(2, 3);
  bench.fails(2, 4);  // 10 s later: there may still be room.
  EXPECT_EQ(bench.reasons(2), "opened");
  bench.fails(2, 5);  // 20 s later.
  ASSERT_EQ(bench.reasons(2), "opened confirmed");
  EXPECT_EQ(bench.transitions(2)[1].testimony.basis, Basis::Unasked);
  EXPECT_EQ(bench.reasons(1), "opened");
  // And who leaves makes room.
  bench.recovers(1, 3);
  bench.fails(3, 3);
  EXPECT_EQ(bench.panel->id_of(Bench::url(3)), 2U);
}

// Goal: one that always sees it up holds no real outage for ever. Method: it fails here for ten minutes and more.
TEST(Verification, AnOutageThatGoesOnHereIsDownInTheEndThoughOneVantageDisputesIt) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.pass(50s);
  bench.fails(1, 61);  // Ten minutes by the wall clock, but that may have been set.
  bench.say(1, 0, Saw::Up);
  EXPECT_EQ(bench.reasons(1), "opened");
  EXPECT_EQ(bench.shard->verification().disputed.value(), 1);
  bench.pass(10s);
  bench.fails(1, 62);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  const core::Testimony testimony = bench.transitions(1)[1].testimony;
  EXPECT_EQ(testimony.basis, Basis::Outlasted);
  ASSERT_EQ(testimony.witnesses.size(), 2U);
  EXPECT_EQ(testimony.witnesses[1].saw, Saw::Up);
  EXPECT_EQ(bench.shard->verification().disputed.value(), 0);
  EXPECT_EQ(bench.shard->verification().waiting.value(), 0);
  EXPECT_EQ(bench.notes.sent.back().event_state, SiteState::Down);
  bench.recovers(1, 63);
  EXPECT_EQ(bench.reasons(1), "opened confirmed recovered");
}

// Goal: that it fails here for long is not enough where more see it up: our own way is the likelier fault. Nor is it forgotten when
// one of them changes.
TEST(Verification, WhoIsOutvotedStaysInDisputeUntilHeIsNot) {
  core::ConfirmPolicy three = kPolicy;
  three.quorum = 3;
  Bench bench(2, three);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.say(1, 1, Saw::Up);
  bench.pass(2min);
  bench.fails(1, 70);
  bench.say(1, 0, Saw::Up);
  bench.say(1, 1, Saw::Up);
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.pass(1min);
  bench.fails(1, 75);
  bench.say(1, 1, Saw::Silent);
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.say(1, 0, Saw::Up);
  EXPECT_EQ(bench.reasons(1), "opened");  // Who says nothing has not changed his mind.
  bench.pass(2min);
  bench.fails(1, 90);
  bench.say(1, 1, Saw::Down);
  bench.say(1, 0, Saw::Up);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Outlasted);
}

// Goal: a round that nobody answered makes no outage of a dispute before its time. Method: seen up once, then silence.
TEST(Verification, SilenceAfterADisputeDoesNotEndIt) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.pass(15s);
  bench.fails(1, 5);
  ASSERT_EQ(bench.panel->asked.size(), 2U);
  bench.pass(15s);
  EXPECT_EQ(bench.reasons(1), "opened");
  EXPECT_EQ(bench.shard->verification().disputed.value(), 1);
  const core::Testimony shown = bench.store.events()[0].row.testimony;
  EXPECT_EQ(shown.basis, Basis::Disagreement);
  EXPECT_EQ(shown.round, 2U);
  EXPECT_EQ(shown.witnesses.at(1).saw, Saw::Up);
  bench.pass(30s);
  bench.fails(1, 8);
  bench.say(1, 0, Saw::Overloaded);
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.pass(1min);
  bench.fails(1, 62);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Outlasted);
}

// Two who saw it up outvote us for as long as what they saw is worth something; then their silence is only silence.
TEST(Verification, WhatWasSeenUpHoldsForTheTimeOfADisputeAndNoLonger) {
  Bench bench(2);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.say(1, 1, Saw::Up);
  std::uint32_t failures = 3;
  for (int round = 0; round < 4; ++round) {
    bench.pass(130s);
    bench.fails(1, failures += 20);
    bench.pass(15s);
    ASSERT_EQ(bench.reasons(1), "opened") << round;
  }
  bench.pass(5min);
  bench.fails(1, failures + 30);
  bench.pass(15s);
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Unanswered);
}

// Goal: an outage that others saw up stays a false alarm when it ended in the same breath in which the next one was told.
TEST(Verification, ADisputedOutageThatIsToldWithTheNextOneIsNotTakenForUnasked) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.pass(2min);
  SiteFacts both = bench.facts_of(1, 20, 1s);
  SiteFacts next = bench.facts_of(1, 3);
  for (core::WallTime* at : {&next.outages[0].started_at, &next.outages[0].last_failed_at,
                             &next.outages[0].confirmed_at})
    *at += 10min;
  both.outages.push_back(next.outages[0]);
  both.subject = next.subject;
  both.seq = next.seq;
  bench.post(std::move(both));
  EXPECT_EQ(bench.reasons(1), "opened false_alarm opened");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Disagreement);
  bench.say(1, 0, Saw::Down);
  EXPECT_EQ(bench.reasons(1), "opened false_alarm opened confirmed");
}

// One of two has said that it is up when the site recovers: that was a vote.
TEST(Verification, WhatWasSaidBeforeTheEndIsHeard) {
  Bench bench(2);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.recovers(1, 3, 1min);  // Longer than any answer may take.
  ASSERT_EQ(bench.reasons(1), "opened false_alarm");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Disagreement);
  EXPECT_EQ(bench.shard->verification().waiting.value(), 0);
  EXPECT_EQ(bench.shard->verification().disputed.value(), 0);
  EXPECT_EQ(bench.shard->next_turn(), std::nullopt);
}

// Goal: what stood still was we. Method: the clock jumps far beyond the deadline of a round; it is asked again, but once only.
TEST(Verification, ARoundThatWeSleptThroughIsAskedAgainOnce) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.pass(40s);
  EXPECT_EQ(bench.reasons(1), "opened");
  ASSERT_EQ(bench.panel->asked.size(), 2U);
  EXPECT_EQ(bench.panel->dropped, 1U);
  bench.say(1, 0, Saw::Up);
  EXPECT_EQ(bench.store.events()[0].row.testimony.basis, Basis::Disagreement);
  EXPECT_EQ(bench.store.events()[0].row.testimony.round, 1U);
  bench.fails(2, 3);
  bench.pass(40s);
  EXPECT_EQ(bench.reasons(2), "opened");
  bench.pass(40s);  // A host that is always late decides too.
  EXPECT_EQ(bench.reasons(2), "opened confirmed");
}

// Goal: an answer about the old URL decides nothing about the new one.
TEST(Verification, ASiteThatIsEditedIsAskedAboutAnew) {
  Bench bench(1);
  const auto edited = [&](std::uint32_t failures, const std::string& url) {
    SiteFacts facts = bench.facts_of(1, failures);
    facts.subject = std::make_shared<const core::Subject>(
        core::Subject{url, std::make_shared<const core::CheckOptions>()});
    return facts;
  };
  bench.fails(1, 3);
  const std::uint64_t old_question = bench.panel->asked[0].id;
  bench.post(edited(4, "http://new/"));
  ASSERT_EQ(bench.panel->asked.size(), 2U);
  EXPECT_EQ(bench.panel->asked[1].subject.url, "http://new/");
  bench.panel->say(old_question, 0, Saw::Down);
  bench.turn();
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.panel->say(bench.panel->asked[1].id, 0, Saw::Up);
  bench.turn();
  EXPECT_EQ(bench.shard->verification().disputed.value(), 1);
  // Of the next one, too: at once, not when the dispute about the other would have been taken up again; and its time runs anew.
  bench.pass(2min);
  bench.post(edited(70, "http://third/"));
  EXPECT_EQ(bench.shard->verification().disputed.value(), 0);
  ASSERT_EQ(bench.panel->asked.size(), 3U);
  bench.panel->say(bench.panel->asked[2].id, 0, Saw::Up);
  bench.turn();
  EXPECT_EQ(bench.reasons(1), "opened");
  EXPECT_EQ(bench.shard->verification().disputed.value(), 1);
  // What is asked for as before is no edit.
  bench.post(edited(71, "http://third/"));
  EXPECT_EQ(bench.panel->asked.size(), 3U);
  // Nobody may be asked: told by our own word, but no sooner than answers would have been there.
  bench.panel->answers_with = VerifierPanel::Asked::Full;
  bench.post(edited(72, "http://fourth/"));
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.pass(15s);
  bench.post(edited(74, "http://fourth/"));
  ASSERT_EQ(bench.reasons(1), "opened confirmed");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Unasked);
}

// Whoever has not answered when we stop is not silent.
TEST(Verification, OurOwnEndDecidesNothing) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.shard->close_notes();
  bench.pass(15s);
  bench.pass(15s);
  EXPECT_EQ(bench.reasons(1), "opened");
  EXPECT_EQ(bench.shard->next_turn(), std::nullopt);
}

TEST(Verification, ARestartDoesNotBeginADisputeAnew) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.start();
  bench.fails(1, 70);
  bench.say(1, 0, Saw::Up);
  EXPECT_EQ(bench.reasons(1), "opened");
  bench.pass(1min);
  bench.fails(1, 71);
  EXPECT_EQ(bench.reasons(1), "opened confirmed");
}

// What ended before it could be judged again is what it would have been: no false alarm.
TEST(Verification, ALongDisputeThatEndedUnjudgedWasAnOutage) {
  Bench bench(1);
  bench.fails(1, 3);
  bench.say(1, 0, Saw::Up);
  bench.pass(2min);
  bench.recovers(1, 70);
  ASSERT_EQ(bench.reasons(1), "opened confirmed recovered");
  EXPECT_EQ(bench.transitions(1)[1].testimony.basis, Basis::Outlasted);
}

TEST(Verification, PausingAndRemovingEndTheQuestion) {
  Bench bench(1);
  bench.fails(1, 3);
  SiteFacts paused = bench.facts_of(1, 3);
  paused.presence = core::Presence::Paused;
  paused.outages[0].ended_at = paused.at = paused.outages[0].last_failed_at + 1s;
  paused.outages[0].ended_as = core::Presence::Paused;
  bench.post(std::move(paused));
  EXPECT_EQ(bench.reasons(1), "opened operator");
  EXPECT_EQ(bench.panel->dropped, 1U);
  EXPECT_EQ(bench.shard->verification().waiting.value(), 0);
}

}  // namespace
}  // namespace watchwheel::sideeffects
