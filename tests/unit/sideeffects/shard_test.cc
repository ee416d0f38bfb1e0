// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <utility>
#include <vector>

#include "support/fake_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::Cause;
using core::kNoWallTime;
using core::Phase;
using core::SiteFacts;
using core::SiteId;
using core::SiteNote;
using core::SiteState;
using core::TransitionReason;
using watchwheel::testing::FakeEventStore;
using watchwheel::testing::FakeFailure;
using namespace std::chrono_literals;

const core::WallTime kT = core::from_unix_ms(1'700'000'000'000);
const core::Evidence kRefused{Cause::ConnectRefused, Phase::Connect, 0, "refused", "a"};

class Notes final : public NoteSink {
 public:
  bool offer(SiteNote&& note) override {
    if (sent.size() >= room) return false;
    sent.push_back(std::move(note));
    return true;
  }
  std::vector<SiteNote> sent;
  std::size_t room = 100'000;
};

struct Bench {
  explicit Bench(ShardLimits limits = {}) : shard(limits, {}, mailbox, store, notes, clock, 3) {}

  void post(std::uint64_t site, std::uint32_t failures, bool ended = false) {
    core::Outage outage;
    outage.started_at = kT;
    outage.last_failed_at = kT + 10s * (failures - 1);
    outage.failures = failures;
    outage.evidence = outage.opened_by = kRefused;
    if (failures >= 3) {
      outage.confirmed_at = kT + 20s;
      outage.confirmed_failures = 3;
      outage.confirmed_by = kRefused;
    }
    if (ended) outage.ended_at = kT + 1h;
    SiteFacts facts{.site = SiteId{site}, .seq = ++seq, .at = kT, .outages = {outage}};
    const core::FactsKey seat = core::key_of(facts);
    mailbox.post(seat, std::move(facts));
  }
  std::size_t turn() { return shard.turn(clock.steady()); }
  std::size_t turn_after(core::Duration wait) {
    clock.advance(wait);
    return turn();
  }
  [[nodiscard]] std::uint64_t transitions(TransitionReason reason) const {
    return shard.stats().transitions[static_cast<std::size_t>(reason)].value();
  }

  core::ManualClock clock;
  FakeEventStore store;
  FactsMailbox mailbox{10'000};
  Notes notes;
  Shard shard;
  std::uint64_t seq = 0;
};

// Goal: what a lane told of a site before the site moved to another lane is not lost, though nobody had taken it. Method: the
// store is away while one lane tells a whole outage and the next lane the beginning of another.
TEST(Shard, KeepsWhatTwoLanesToldOfOneSite) {
  Bench bench;
  bench.store.set_away(true);
  bench.post(7, 1, false);
  EXPECT_EQ(bench.turn(), 0U);  // In hand, not stored: what comes now waits.

  bench.post(1, 3, true);
  core::Outage next;
  next.started_at = next.last_failed_at = kT + 2h;
  next.failures = 1;
  next.evidence = next.opened_by = kRefused;
  core::SiteFacts facts{.site = SiteId{1}, .lane = 1, .seq = 1, .at = kT + 2h, .outages = {next}};
  const core::FactsKey seat = core::key_of(facts);
  bench.mailbox.post(seat, std::move(facts));

  bench.store.set_away(false);
  bench.turn_after(1min);
  bench.turn();
  EXPECT_EQ(bench.transitions(TransitionReason::Opened), 3U);
  EXPECT_EQ(bench.transitions(TransitionReason::Recovered), 1U);
  EXPECT_EQ(bench.notes.sent.size(), 3U);
  EXPECT_TRUE(bench.shard.poisoned().empty());
}

TEST(Shard, StoresWhatFactsEarnAndTellsTheLane) {
  Bench bench;
  EXPECT_TRUE(bench.shard.idle());
  EXPECT_EQ(bench.shard.next_turn(), std::nullopt);
  bench.post(1, 3);
  EXPECT_EQ(bench.shard.next_turn(), core::kNoSteadyTime) << "at once";
  EXPECT_EQ(bench.turn(), 1U);
  const auto events = bench.store.events();
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events.front().row.state, SiteState::Down);
  ASSERT_EQ(bench.notes.sent.size(), 1U);
  EXPECT_EQ(bench.notes.sent.front().seq, 1U);
  EXPECT_EQ(bench.notes.sent.front().event_state, SiteState::Down);
  EXPECT_EQ(bench.transitions(TransitionReason::Opened), 1U);
  EXPECT_EQ(bench.transitions(TransitionReason::Confirmed), 1U);
  EXPECT_TRUE(bench.shard.idle());
}

TEST(Shard, CommitsABatchInOneTransactionAndNoMoreThanItsSize) {
  Bench bench;
  for (std::uint64_t site = 1; site <= 600; ++site) bench.post(site, 1);
  EXPECT_EQ(bench.turn(), 256U);
  EXPECT_EQ(bench.store.commits(), 1U);
  EXPECT_EQ(bench.store.largest_commit(), 256U);
  EXPECT_EQ(bench.turn() + bench.turn(), 344U);
  EXPECT_EQ(bench.shard.stats().batches.value(), 3U);
  EXPECT_EQ(bench.shard.stats().sites.value(), 600U);
}

TEST(Shard, RemembersOpenEventsAndOnlyThose) {
  Bench bench;
  bench.post(1, 1);
  bench.turn();
  bench.post(1, 2);
  bench.turn();
  EXPECT_EQ(bench.store.reads(), 1U) << "the second time it was remembered";
  EXPECT_EQ(bench.shard.stats().open_events.value(), 1);
  bench.post(1, 2, true);
  bench.turn();
  EXPECT_EQ(bench.shard.stats().open_events.value(), 0);
  EXPECT_EQ(bench.store.events().front().row.state, SiteState::Up);
  EXPECT_EQ(bench.transitions(TransitionReason::FalseAlarm), 1U);
}

TEST(Shard, ReadsAgainWhatDoesNotFitIntoItsMemory) {
  Bench bench{{.open_events_max = 1}};
  for (std::uint32_t failures = 1; failures <= 3; ++failures) {
    bench.post(1, failures);
    bench.post(2, failures);
    bench.turn();
  }
  EXPECT_EQ(bench.shard.stats().open_events.value(), 1);
  EXPECT_EQ(bench.store.events().size(), 2U);
  for (const auto& event : bench.store.events()) EXPECT_EQ(event.row.transitions_total, 2U);
}

TEST(Shard, FactsThatSayNothingNewAreAcknowledgedWithoutATransaction) {
  Bench bench;
  bench.post(1, 1);
  bench.turn();
  bench.post(1, 1);
  EXPECT_EQ(bench.turn(), 1U);
  EXPECT_EQ(bench.store.commits(), 1U);
  EXPECT_EQ(bench.notes.sent.back().seq, 2U);
}

TEST(Shard, KeepsTheBatchWhileTheStoreIsAwayAndBacksOff) {
  Bench bench;
  bench.post(1, 1);
  bench.store.fail_commits(FakeFailure::Unavailable, 3);
  EXPECT_EQ(bench.turn(), 0U);
  EXPECT_FALSE(bench.shard.idle());
  const auto first = bench.shard.next_turn();
  ASSERT_TRUE(first);
  EXPECT_GE(*first - bench.clock.steady(), 50ms);
  EXPECT_LE(*first - bench.clock.steady(), 100ms);
  EXPECT_EQ(bench.turn(), 0U);
  EXPECT_EQ(bench.store.commits(), 1U) << "not before its time";
  bench.post(1, 2);
  bench.post(1, 3);  // Coalesces meanwhile.
  EXPECT_EQ(bench.turn_after(100ms), 0U);
  EXPECT_GE(*bench.shard.next_turn() - bench.clock.steady(), 100ms) << "doubled, less its jitter";
  EXPECT_EQ(bench.turn_after(200ms), 0U);
  EXPECT_EQ(bench.shard.stats().retries.value(), 3U);
  EXPECT_EQ(bench.shard.stats().commit_errors.value(), 3U);
  EXPECT_EQ(bench.turn_after(400ms), 1U);
  EXPECT_EQ(bench.turn(), 1U);
  EXPECT_EQ(bench.store.events().front().row.state, SiteState::Down);
  EXPECT_EQ(bench.mailbox.coalesced(), 1U);
  EXPECT_TRUE(bench.shard.idle());
}

TEST(Shard, StartsItsBackoffAnewAfterASuccess) {
  Bench bench;
  bench.store.fail_commits(FakeFailure::Unavailable, 8);
  bench.post(1, 1);
  for (int i = 0; i < 8; ++i) bench.turn_after(5s);
  EXPECT_EQ(bench.turn_after(5s), 1U);
  bench.store.fail_commits(FakeFailure::Unavailable);
  bench.post(1, 2);
  bench.turn();
  EXPECT_LE(*bench.shard.next_turn() - bench.clock.steady(), 100ms);
}

TEST(Shard, AReadThatFailsIsTriedAgainToo) {
  Bench bench;
  bench.store.fail_reads(FakeFailure::Unavailable, 2);
  bench.post(1, 1);
  bench.post(2, 1);
  EXPECT_EQ(bench.turn(), 0U);
  EXPECT_EQ(bench.turn_after(1s), 0U);
  EXPECT_EQ(bench.turn_after(1s), 2U);
  EXPECT_EQ(bench.shard.stats().read_errors.value(), 2U);
}

TEST(Shard, ALostAnswerIsSentAgainAndStoredOnce) {
  for (const FakeFailure failure : {FakeFailure::UnknownBefore, FakeFailure::UnknownAfter}) {
    Bench bench;
    bench.post(1, 1);
    bench.post(2, 4, true);
    bench.store.fail_commits(failure, 2);
    EXPECT_EQ(bench.turn(), 0U);
    EXPECT_TRUE(bench.notes.sent.empty()) << "nothing is acknowledged before it is known";
    EXPECT_EQ(bench.turn_after(1s), 0U);
    EXPECT_EQ(bench.turn_after(1s), 2U);
    EXPECT_EQ(bench.store.events().size(), 2U);
    EXPECT_EQ(bench.store.events_of(SiteId{1}).front().row.transitions_total, 1U);
    EXPECT_EQ(bench.store.events_of(SiteId{2}).front().row.transitions_total, 3U);
    EXPECT_EQ(bench.transitions(TransitionReason::Opened), 2U) << "counted once";
    EXPECT_TRUE(bench.shard.poisoned().empty());
  }
}

TEST(Shard, ADamagedStoreThrowsNothingAway) {
  Bench bench;
  bench.store.fail_commits(FakeFailure::Corrupt, 2);
  bench.post(1, 1);
  EXPECT_EQ(bench.turn(), 0U);
  EXPECT_EQ(bench.turn_after(1s), 0U);
  EXPECT_TRUE(bench.shard.poisoned().empty());
  EXPECT_EQ(bench.turn_after(1s), 1U);
}

TEST(Shard, IsolatesABadWriteAndStoresTheRest) {
  Bench bench;
  bench.store.set_poison(SiteId{77}, true);
  bench.store.set_poison(SiteId{78}, true);
  for (std::uint64_t site = 1; site <= 200; ++site) bench.post(site, 1);
  EXPECT_EQ(bench.turn(), 198U);
  EXPECT_EQ(bench.store.events().size(), 198U);
  ASSERT_EQ(bench.shard.poisoned().size(), 2U);
  EXPECT_EQ(bench.shard.poisoned().front().site, SiteId{77});
  EXPECT_NE(bench.shard.poisoned().front().reason.find("constraint"), std::string::npos);
  EXPECT_EQ(bench.shard.stats().poisoned.value(), 2U);
  EXPECT_LE(bench.store.commits(), 40U) << "halving, not one by one";
  const auto told = [](const SiteNote& note) { return note.site == SiteId{77}; };
  EXPECT_TRUE(std::none_of(bench.notes.sent.begin(), bench.notes.sent.end(), told))
      << "the lane must keep it";
  EXPECT_TRUE(bench.shard.idle());

  bench.store.set_poison(SiteId{77}, false);
  bench.post(77, 2);
  EXPECT_EQ(bench.turn(), 1U);
  EXPECT_EQ(bench.store.events_of(SiteId{77}).size(), 1U);
  ASSERT_EQ(bench.shard.poisoned().size(), 1U) << "what is stored later leaves the list";
}

TEST(Shard, ShowsABoundedListOfWhatWasSetAside) {
  Bench bench{{.poisoned_max = 3}};
  for (std::uint64_t site = 1; site <= 5; ++site) {
    bench.store.set_poison(SiteId{site}, true);
    bench.post(site, 1);
  }
  bench.turn();
  bench.post(5, 2);
  bench.turn();
  ASSERT_EQ(bench.shard.poisoned().size(), 3U);
  EXPECT_EQ(bench.shard.poisoned().front().site, SiteId{3});
  EXPECT_EQ(bench.shard.poisoned().back().times, 2U);
  EXPECT_EQ(bench.shard.stats().poisoned.value(), 6U);
}

TEST(Shard, TheStoreMayGoAwayWhileABadWriteIsLookedFor) {
  Bench bench;
  bench.store.set_poison(SiteId{3}, true);
  for (std::uint64_t site = 1; site <= 8; ++site) bench.post(site, 1);
  bench.store.fail_reads(FakeFailure::Unavailable);
  EXPECT_EQ(bench.turn(), 0U);
  // The whole is refused, its halves are tried: the first commit after that finds the store away.
  std::size_t settled = 0;
  for (int i = 0; i < 20; ++i) {
    if (i % 2 == 0) bench.store.fail_commits(FakeFailure::Unavailable);
    settled += bench.turn_after(6s);
  }
  EXPECT_EQ(settled, 7U);
  EXPECT_EQ(bench.store.events().size(), 7U);
  EXPECT_EQ(bench.shard.poisoned().size(), 1U);
}

TEST(Shard, AnUnreadableEventIsSetAsideAndDoesNotHoldUpTheOthers) {
  Bench bench;
  bench.store.set_unreadable(SiteId{2}, true);
  for (std::uint64_t site = 1; site <= 3; ++site) bench.post(site, 1);
  EXPECT_EQ(bench.turn(), 2U);
  ASSERT_EQ(bench.shard.poisoned().size(), 1U);
  EXPECT_EQ(bench.shard.poisoned().front().site, SiteId{2});
}

// Another engine closed the event and opened the next: what we remember is wrong, and the store
// refuses ours.
TEST(Shard, ReadsAgainBeforeItSetsASiteAside) {
  Bench bench;
  bench.post(1, 1);
  bench.turn();
  const EventWrite opened = bench.store.events().front().row;
  EventWrite closed = opened;
  closed.state = SiteState::Up;
  closed.ended_at = kT + 1h;
  closed.transitions = {
      {2, TransitionReason::FalseAlarm, SiteState::SeemsDown, SiteState::Up, kT + 1h, 1, kRefused}};
  closed.transitions_total = 2;
  EventWrite next = opened;
  next.started_at = kT + 2h;
  ASSERT_TRUE(bench.store.commit(std::vector{closed, next}));

  core::Outage first;
  first.started_at = kT;
  first.failures = 1;
  first.ended_at = kT + 1h;
  core::Outage ours;
  ours.started_at = kT + 3h;
  ours.failures = 1;
  bench.mailbox.post({.site = SiteId{1}},
                     {.site = SiteId{1}, .seq = 9, .at = kT + 3h, .outages = {first, ours}});
  EXPECT_EQ(bench.turn(), 1U);
  EXPECT_GE(bench.shard.stats().commit_errors.value(), 1U) << "it was refused at first";
  EXPECT_TRUE(bench.shard.poisoned().empty());
  ASSERT_TRUE(bench.notes.sent.back().unknown_event);
  EXPECT_EQ(bench.notes.sent.back().unknown_event->started_at, kT + 2h);
  EXPECT_EQ(bench.shard.stats().unknown_events.value(), 1U);
}

TEST(Shard, ARefusedNoteHoldsUpTheNextBatchAndIsOfferedAgain) {
  Bench bench;
  bench.notes.room = 1;
  bench.post(1, 1);
  bench.post(2, 1);
  EXPECT_EQ(bench.turn(), 2U);
  bench.post(3, 1);
  EXPECT_FALSE(bench.shard.idle());
  EXPECT_EQ(*bench.shard.next_turn(), bench.clock.steady() + 50ms);
  EXPECT_EQ(bench.turn_after(50ms), 0U) << "first the note";
  EXPECT_EQ(bench.store.commits(), 1U);
  EXPECT_GE(bench.shard.stats().notes_refused.value(), 2U);
  bench.notes.room = 10;
  EXPECT_EQ(bench.turn_after(50ms), 1U);
  ASSERT_EQ(bench.notes.sent.size(), 3U);
  EXPECT_EQ(bench.notes.sent[1].site, SiteId{2});
}

TEST(Shard, DropsRefusedNotesOnceTheLanesHaveStopped) {
  Bench bench;
  bench.notes.room = 0;
  bench.post(1, 1);
  bench.turn();
  EXPECT_FALSE(bench.shard.idle());
  bench.post(2, 1);
  bench.shard.close_notes();
  EXPECT_EQ(bench.turn(), 1U);
  EXPECT_TRUE(bench.shard.idle());
  EXPECT_EQ(bench.store.events().size(), 2U);
}

TEST(Shard, ANewPolicyHoldsForTheNextBatch) {
  Bench bench;
  bench.shard.set_policy({.failures = 5, .successes = 1, .retry_interval = 10s});
  bench.post(1, 3);
  bench.turn();
  EXPECT_EQ(bench.store.events().front().row.state, SiteState::SeemsDown);
}

// ---- Where several hosts share the sites ----

class FencedStore final : public EventStore {
 public:
  explicit FencedStore(FakeEventStore& given) : store(given) {}
  core::Result<void> commit(std::span<const EventWrite> writes) override {
    for (const EventWrite& write : writes) epochs.push_back(write.epoch);
    if (before_commit) std::exchange(before_commit, nullptr)();
    if (fenced) {
      fenced = false;
      return core::BucketTable::fenced("test");
    }
    return store.commit(writes);
  }
  core::Result<std::optional<StoredEvent>> open_event(SiteId site) override {
    return store.open_event(site);
  }
  FakeEventStore& store;
  std::vector<std::uint64_t> epochs;
  std::function<void()> before_commit;
  bool fenced = false;
};

struct SharedBench : Bench {
  SharedBench() : shared(ShardLimits{}, {}, mailbox, fenced, notes, clock, 3, &table) {}
  std::size_t turn_shared(core::Duration wait = 0s) {
    clock.advance(wait);
    return shared.turn(clock.steady());
  }
  core::BucketNo bucket(std::uint64_t site) { return table.of(SiteId{site}); }
  void own(std::uint64_t site, std::uint64_t epoch) {
    table.watch(bucket(site));
    table.set_epoch(bucket(site), epoch);
  }
  core::BucketTable table{1024, clock};
  FencedStore fenced{store};
  Shard shared;
};

TEST(SharedShard, WritesUnderTheEpochOfTheSitesLease) {
  SharedBench bench;
  bench.own(1, 7);
  bench.own(2, 9);
  bench.post(1, 1);
  bench.post(2, 1);
  EXPECT_EQ(bench.turn_shared(), 2U);
  EXPECT_EQ(bench.fenced.epochs, (std::vector<std::uint64_t>{7, 9}));
}

TEST(SharedShard, WhatComesBeforeTheLeaseWaitsForItAndTheNewestIsTold) {
  SharedBench bench;
  bench.table.watch(bench.bucket(1));
  bench.post(1, 1);
  EXPECT_EQ(bench.turn_shared(), 0U);
  bench.post(1, 3);
  EXPECT_EQ(bench.turn_shared(1s), 0U);
  EXPECT_TRUE(bench.shared.next_turn().has_value());
  EXPECT_EQ(bench.shared.stats().awaiting_lease.value(), 1);
  EXPECT_EQ(bench.store.commits(), 0U);
  bench.own(1, 4);
  EXPECT_EQ(bench.turn_shared(1s), 1U);
  ASSERT_EQ(bench.store.events().size(), 1U);
  EXPECT_EQ(bench.store.events().front().row.state, SiteState::Down);
  EXPECT_EQ(bench.shared.stats().awaiting_lease.value(), 0);
}

TEST(SharedShard, WhatIsAnotherNodesIsDroppedAndCounted) {
  SharedBench bench;
  bench.post(1, 3);
  EXPECT_EQ(bench.turn_shared(), 0U);
  EXPECT_EQ(bench.shared.stats().given_away.value(), 1U);
  EXPECT_TRUE(bench.store.events().empty());
  EXPECT_TRUE(bench.notes.sent.empty());
  EXPECT_TRUE(bench.shared.idle());
}

TEST(SharedShard, AFencedBatchIsJudgedAnewWithoutTheSitesThatAreGone) {
  SharedBench bench;
  bench.own(1, 7);
  bench.own(2, 7);
  bench.post(1, 1);
  bench.post(2, 1);
  bench.fenced.fenced = true;
  bench.fenced.before_commit = [&] {
    bench.table.set_epoch(bench.bucket(1), 0);
    bench.table.watch_until(bench.bucket(1), core::kNoSteadyTime);
  };
  EXPECT_EQ(bench.turn_shared(), 0U);
  EXPECT_EQ(bench.shared.stats().fenced.value(), 1U);
  EXPECT_EQ(bench.turn_shared(1min), 1U);
  EXPECT_EQ(bench.shared.stats().given_away.value(), 1U);
  ASSERT_EQ(bench.store.events().size(), 1U);
  EXPECT_EQ(bench.store.events().front().row.site, SiteId{2});
  EXPECT_TRUE(bench.shared.poisoned().empty());
}

// Goal: an event that another node has ended meanwhile is not taken for open. Method: the shard remembers it from its first lease;
// then the bucket goes and comes back.
TEST(SharedShard, WhatItRemembersEndsWithTheLease) {
  SharedBench bench;
  bench.own(1, 1);
  bench.post(1, 3);
  ASSERT_EQ(bench.turn_shared(), 1U);
  EventWrite end = bench.store.events().front().row;
  end.state = SiteState::Up;
  end.ended_at = kT + 1h;
  end.transitions_total = 3;
  end.transitions = {{.seq = 3,
                      .reason = TransitionReason::Recovered,
                      .before = SiteState::Down,
                      .after = SiteState::Up,
                      .at = kT + 1h,
                      .failures = 0,
                      .evidence = {}}};
  ASSERT_TRUE(bench.store.commit(std::span(&end, 1)));
  const std::size_t reads = bench.store.reads();
  bench.own(1, 3);
  bench.post(1, 4);
  bench.turn_shared(1s);
  EXPECT_GT(bench.store.reads(), reads);
}

// ---- What people ask.

// Requests as a store keeps them, done by what was committed.
class Desk final : public OperatorDesk {
 public:
  explicit Desk(FakeEventStore& events) : events_(events) {}

  core::Result<RequestId> ask(const OperatorRequest&) override { return RequestId{}; }
  core::Result<RequestOutcome> outcome(RequestId) override { return RequestOutcome{}; }
  core::Result<std::vector<OperatorRequest>> waiting() override {
    ++reads;
    if (away) return core::Error{.kind = core::ErrorKind::Unavailable, .message = "away"};
    std::vector<OperatorRequest> left;
    for (OperatorRequest request : asked) {
      if (done(request.by.request) > 0 || refused.contains(request.by.request.value)) continue;
      const auto open = events_.open_of(request.site);
      request.over = !open || open->started_at != request.event_started_at;
      left.push_back(request);
    }
    return left;
  }
  core::Result<void> refuse(RequestId request, const std::string& why) override {
    refused.emplace(request.value, why);
    return {};
  }

  RequestId add(Act act, std::uint64_t site) {
    const RequestId id{asked.size() + 1};
    asked.push_back({.by = {.request = id, .act = act, .who = "ann", .why = "because", .source = "command"},
                     .event = core::EventId{site},
                     .site = SiteId{site},
                     .event_started_at = kT});
    return id;
  }
  // How many transitions were stored for it.
  [[nodiscard]] int done(RequestId request) const {
    int count = 0;
    for (const auto& event : events_.events()) {
      for (const TransitionRecord& transition : event.row.transitions)
        count += transition.by && transition.by->request == request ? 1 : 0;
    }
    return count;
  }

  std::vector<OperatorRequest> asked;
  std::map<std::uint64_t, std::string> refused;
  bool away = false;
  int reads = 0;

 private:
  FakeEventStore& events_;
};

struct AskedBench : Bench {
  AskedBench() { shard.attach(desk); }
  Desk desk{store};
};

TEST(ShardRequests, AckAndCommentAreATransitionEachAndTheEventGoesOn) {
  AskedBench bench;
  bench.post(1, 3);
  bench.turn();
  const RequestId ack = bench.desk.add(Act::Ack, 1);
  const RequestId comment = bench.desk.add(Act::Comment, 1);
  bench.turn_after(1s);
  bench.turn_after(1s);
  EXPECT_EQ(bench.desk.done(ack), 1);
  EXPECT_EQ(bench.desk.done(comment), 1);
  EXPECT_EQ(bench.shard.stats().requests.done.value(), 2U);
  EXPECT_EQ(bench.transitions(TransitionReason::Operator), 2U);
  // What the lane tells next comes behind them, and nothing has to be read for it.
  const std::size_t reads = bench.store.reads();
  bench.post(1, 5, true);
  bench.turn();
  EXPECT_EQ(bench.store.reads(), reads);
  const auto event = bench.store.events().at(0);
  EXPECT_TRUE(event.ended());
  ASSERT_EQ(event.row.transitions.size(), 5U);
  EXPECT_EQ(event.row.transitions[2].by->who, "ann");
  EXPECT_EQ(event.row.transitions[4].reason, TransitionReason::Recovered);
  EXPECT_TRUE(bench.shard.poisoned().empty());
}

// The close is the lane's to tell: it is asked until it has, and who asked is in the transition.
TEST(ShardRequests, CloseIsAskedOfTheLaneUntilItIsDone) {
  AskedBench bench;
  bench.post(1, 3);
  bench.turn();
  const std::size_t before = bench.notes.sent.size();
  const RequestId close = bench.desk.add(Act::Close, 1);
  bench.turn_after(1s);
  bench.turn_after(1s);
  ASSERT_EQ(bench.notes.sent.size(), before + 2) << "once with each reading";
  EXPECT_EQ(bench.notes.sent.back().close, kT);
  EXPECT_EQ(bench.desk.done(close), 0);

  core::Outage outage;
  outage.started_at = kT;
  outage.last_failed_at = kT + 20s;
  outage.failures = 3;
  outage.evidence = outage.opened_by = kRefused;
  outage.ended_at = kT + 1h;
  outage.ended_as = core::Presence::Closed;
  SiteFacts facts{.site = SiteId{1}, .seq = ++bench.seq, .at = kT, .outages = {outage}};
  const core::FactsKey seat = core::key_of(facts);
  bench.mailbox.post(seat, std::move(facts));
  bench.turn();
  EXPECT_EQ(bench.desk.done(close), 1);
  const auto event = bench.store.events().at(0);
  EXPECT_TRUE(event.ended());
  EXPECT_EQ(event.row.transitions.back().after, SiteState::Unknown);
  const std::size_t told = bench.notes.sent.size();
  bench.turn_after(1s);
  EXPECT_EQ(bench.notes.sent.size(), told) << "nothing is asked any more";
}

TEST(ShardRequests, WhatIsOverIsRefusedAndWhatFailsIsAskedAgain) {
  AskedBench bench;
  bench.post(1, 3);
  bench.turn();
  bench.desk.away = true;
  const RequestId late = bench.desk.add(Act::Ack, 1);
  bench.turn_after(1s);
  EXPECT_EQ(bench.shard.stats().requests.errors.value(), 1U);
  bench.turn_after(1s);
  EXPECT_EQ(bench.shard.stats().requests.errors.value(), 1U) << "not each second while it is away";
  bench.post(1, 4, true);
  bench.turn();
  bench.desk.away = false;
  bench.turn_after(5s);
  EXPECT_EQ(bench.desk.done(late), 0);
  EXPECT_EQ(bench.desk.refused.count(late.value), 1U);

  bench.post(2, 3);
  bench.turn();
  const RequestId ack = bench.desk.add(Act::Ack, 2);
  bench.store.fail_commits(FakeFailure::UnknownAfter, 2);
  for (int i = 0; i < 20 && !bench.shard.idle(); ++i) bench.turn_after(1s);
  for (int i = 0; i < 20; ++i) bench.turn_after(1s);
  EXPECT_EQ(bench.desk.done(ack), 1) << "an answer that is lost does it neither twice nor never";
}

// A reading is due each second, and never in the past: the thread would spin.
TEST(ShardRequests, TheShardSleepsBetweenReadings) {
  AskedBench bench;
  bench.turn();
  const int reads = bench.desk.reads;
  ASSERT_TRUE(bench.shard.next_turn());
  EXPECT_EQ(*bench.shard.next_turn(), bench.clock.steady() + 1s);
  bench.turn_after(500ms);
  EXPECT_EQ(bench.desk.reads, reads);
}

}  // namespace
}  // namespace watchwheel::sideeffects
