// SPDX-License-Identifier: Apache-2.0
// The road around a store that is away: the detour, the stores before it, the replayer behind it, and the shard on it.
#include "sideeffects/detour.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <vector>

#include "sideeffects/projector.h"
#include "sideeffects/replayer.h"
#include "sideeffects/shard.h"
#include "support/fake_journal.h"
#include "support/fake_store.h"
#include "support/fake_vantage_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::ErrorKind;
using core::SiteId;
using core::SiteState;
using core::TransitionReason;
using watchwheel::testing::FakeEventStore;
using watchwheel::testing::FakeFailure;
using watchwheel::testing::FakeJournal;
using watchwheel::testing::FakeVantageStore;
using watchwheel::testing::OutagesTold;
using namespace std::chrono_literals;

const core::WallTime kT = core::from_unix_ms(1'700'000'000'000);
const core::Evidence kRefused{core::Cause::ConnectRefused, core::Phase::Connect, 0, "refused", "a"};

// An event that was opened, and with `seq` 2 confirmed, with 3 closed; the last transition alone.
EventWrite step(std::uint64_t site, std::uint32_t seq) {
  constexpr TransitionReason kReasons[]{TransitionReason::Opened, TransitionReason::Confirmed,
                                        TransitionReason::Recovered};
  constexpr SiteState kStates[]{SiteState::Up, SiteState::SeemsDown, SiteState::Down,
                                SiteState::Up};
  EventWrite write;
  write.site = SiteId{site};
  write.started_at = kT;
  write.state = kStates[seq];
  if (seq >= 2) write.confirmed_at = kT + 20s;
  if (seq == 3) write.ended_at = kT + 1h;
  write.failures = seq == 1 ? 1 : 3;
  write.transitions_total = seq;
  write.evidence = kRefused;
  write.transitions = {{.seq = seq,
                        .reason = kReasons[seq - 1],
                        .before = kStates[seq - 1],
                        .after = kStates[seq],
                        .at = kT + 10s * seq,
                        .failures = write.failures,
                        .evidence = kRefused}};
  return write;
}

struct Road {
  core::Result<void> commit(std::vector<EventWrite> writes) { return events.commit(writes); }
  void replay(int turns = 50) {
    for (int i = 0; i < turns && detour.taken(); ++i) {
      clock.advance(6s);
      replayer.turn(clock.steady());
    }
  }
  [[nodiscard]] std::vector<std::string> seqs() const {
    std::vector<std::string> all;
    for (const auto& event : store.events()) {
      std::string one = std::to_string(event.row.site.value) + ":";
      for (const auto& transition : event.row.transitions) one += std::to_string(transition.seq);
      all.push_back(one);
    }
    return all;
  }

  core::ManualClock clock;
  FakeEventStore store;
  FakeVantageStore vantage_store;
  FakeJournal journal;
  OutagesTold watch;
  Detour detour{journal, clock, watch};
  DetourEventStore events{store, detour};
  DetourVantageStore vantage{vantage_store, detour};
  Replayer replayer{{}, detour, journal, store, vantage_store, clock, watch, 5};
};

using Words = std::vector<std::string>;

TEST(Detour, IsNotTakenWhileTheStoreTakesWrites) {
  Road road;
  ASSERT_TRUE(road.commit({step(1, 1)}));
  EXPECT_FALSE(road.detour.taken());
  EXPECT_EQ(road.journal.appends(), 0U);
  EXPECT_EQ(road.replayer.next_turn(), std::nullopt);
  EXPECT_TRUE(road.watch.told.empty());
}

TEST(Detour, KeepsWhatTheStoreDoesNotTakeAndAllThatComesAfter) {
  Road road;
  road.store.fail_commits(FakeFailure::Unavailable);  // Once: the store is well again at once.
  ASSERT_TRUE(road.commit({step(1, 1)}));
  EXPECT_TRUE(road.detour.taken());
  ASSERT_TRUE(road.commit({step(1, 2), step(2, 1)})) << "it would have overtaken the first";
  EXPECT_EQ(road.store.commits(), 1U) << "nobody but the replayer asks a store that was away";
  EXPECT_EQ(road.store.events().size(), 0U);
  EXPECT_EQ(road.journal.reading().entries, 3U);

  road.replay();
  EXPECT_FALSE(road.detour.taken());
  EXPECT_EQ(road.seqs(), (Words{"1:12", "2:1"}));
  ASSERT_TRUE(road.commit({step(1, 3)}));
  EXPECT_EQ(road.seqs(), (Words{"1:123", "2:1"}));
  EXPECT_EQ(road.replayer.stats().replayed.value(), 3U);
  EXPECT_EQ(road.detour.stats().kept.value(), 3U);
  EXPECT_EQ(road.watch.told, (Words{"away: the store is away", "back: 3"}));
}

TEST(Detour, KeepsAWriteWhoseAnswerWasLostAndItIsStoredOnce) {
  for (const auto failure : {FakeFailure::UnknownAfter, FakeFailure::UnknownBefore}) {
    Road road;
    ASSERT_TRUE(road.commit({step(1, 1)}));
    road.store.fail_commits(failure);
    ASSERT_TRUE(road.commit({step(1, 2)}));
    EXPECT_TRUE(road.detour.taken());
    road.store.fail_commits(failure, 3);  // And so are the replayer's.
    road.replay();
    EXPECT_FALSE(road.detour.taken());
    EXPECT_EQ(road.seqs(), Words{"1:12"});
  }
}

TEST(Detour, LeavesARefusalToTheWriter) {
  Road road;
  road.store.set_poison(SiteId{1}, true);
  const auto refused = road.commit({step(1, 1)});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::Invalid);
  EXPECT_FALSE(road.detour.taken());
}

TEST(Detour, TellsAnOutageOnceAndItsEndOnce) {
  Road road;
  road.store.set_away(true);
  for (std::uint64_t site = 1; site <= 5; ++site) ASSERT_TRUE(road.commit({step(site, 1)}));
  EXPECT_NE(road.detour.stats().since_s.value(), 0);
  road.replay(10);
  EXPECT_TRUE(road.detour.taken());
  EXPECT_EQ(road.replayer.stats().errors.value(), 10U);
  road.store.set_away(false);
  road.replay();
  EXPECT_EQ(road.watch.told, (Words{"away: the store is away", "back: 5"}));
  EXPECT_EQ(road.detour.stats().since_s.value(), 0);
}

// Goal: a store that hangs is asked by one thread, and seldom. Method: the pauses between the replayer's attempts.
TEST(Detour, AsksAStoreThatIsAwayLessAndLess) {
  Road road;
  road.store.set_away(true);
  ASSERT_TRUE(road.commit({step(1, 1)}));
  core::Duration pause{};
  for (int i = 0; i < 10; ++i) {
    road.replayer.turn(road.clock.steady());
    pause = *road.replayer.next_turn() - road.clock.steady();
    road.clock.advance(pause);
  }
  EXPECT_GE(pause, 2500ms);
  EXPECT_LE(pause, 5s);
}

TEST(Detour, OfAnEarlierProcessIsTakenFromTheStart) {
  Road before;
  before.store.set_away(true);
  ASSERT_TRUE(before.commit({step(1, 1)}));
  core::ManualClock clock;
  OutagesTold watch;
  Detour detour{before.journal, clock, watch};
  EXPECT_TRUE(detour.taken());
  FakeEventStore store;
  Replayer replayer{{}, detour, before.journal, store, before.vantage_store, clock, watch, 5};
  replayer.turn(clock.steady());
  replayer.turn(clock.steady());
  EXPECT_FALSE(detour.taken());
  EXPECT_EQ(store.events().size(), 1U);
}

TEST(Detour, SetsAsideTheOneThatTheStoreRefusesAndWhatFollowsOfItsEvent) {
  Road road;
  road.store.set_away(true);
  for (std::uint64_t site = 1; site <= 20; ++site) ASSERT_TRUE(road.commit({step(site, 1)}));
  ASSERT_TRUE(road.commit({step(7, 2), step(8, 2)}));
  road.store.set_poison(SiteId{7}, true);
  road.store.set_away(false);
  road.replay(1);
  road.store.set_poison(SiteId{7}, false);
  road.replay();
  EXPECT_FALSE(road.detour.taken());
  EXPECT_EQ(road.store.events().size(), 19U);
  EXPECT_EQ(road.store.events_of(SiteId{8}).front().row.transitions_total, 2U);
  const auto aside = road.journal.list_set_aside(10).value();
  ASSERT_EQ(aside.size(), 2U);
  EXPECT_EQ(aside[1].site, SiteId{7});
  EXPECT_NE(aside[1].reason.find("a constraint refuses it"), std::string::npos);
  EXPECT_EQ(aside[0].site, SiteId{7});
  EXPECT_EQ(road.replayer.stats().set_aside.value(), 2U);
  EXPECT_EQ(road.replayer.stats().replayed.value(), 20U);
}

// Goal: what is wrong with the whole store is not taken for what is wrong with each site.
TEST(Detour, LeavesAStoreAloneForAWhileThatRefusesOneSiteAfterTheOther) {
  Road road;
  road.store.set_away(true);
  for (std::uint64_t site = 1; site <= 30; ++site) {
    ASSERT_TRUE(road.commit({step(site, 1)}));
    road.store.set_poison(SiteId{site}, true);
  }
  road.store.set_away(false);
  road.replay(9);  // Each is six seconds.
  EXPECT_EQ(road.replayer.stats().set_aside.value(), 20U);
  ASSERT_TRUE(road.replayer.trouble());
  EXPECT_NE(road.replayer.trouble()->message.find("21 sites in a row"), std::string::npos);
  for (std::uint64_t site = 1; site <= 30; ++site) road.store.set_poison(SiteId{site}, false);
  road.replay();
  EXPECT_FALSE(road.detour.taken());
  EXPECT_EQ(road.store.events().size(), 10U);
  EXPECT_EQ(road.replayer.stats().set_aside.value(), 20U);
}

class CorruptStore final : public EventStore {
 public:
  core::Result<void> commit(std::span<const EventWrite> writes) override {
    for (const EventWrite& write : writes) {
      if (corrupt_all || write.site == SiteId{3})
        return core::Error{ErrorKind::Corrupt, "the row makes no sense"};
    }
    taken += writes.size();
    return {};
  }
  core::Result<std::optional<StoredEvent>> open_event(SiteId) override {
    return std::optional<StoredEvent>{};
  }
  bool corrupt_all = false;
  std::size_t taken = 0;
};

// Goal: a row that cannot be read is neither a store that is away nor in the way of the others; a store that reads nothing is waited for.
TEST(Detour, SetsAsideOneRowThatTheStoreCannotReadAndNotAll) {
  for (const bool all : {false, true}) {
    Road road;
    road.store.set_away(true);
    for (std::uint64_t site = 1; site <= 6; ++site) ASSERT_TRUE(road.commit({step(site, 1)}));
    CorruptStore corrupt;
    corrupt.corrupt_all = all;
    Replayer replayer{
        {}, road.detour, road.journal, corrupt, road.vantage_store, road.clock, road.watch, 5};
    for (int i = 0; i < 9; ++i) {
      road.clock.advance(6s);
      replayer.turn(road.clock.steady());
    }
    EXPECT_EQ(replayer.stats().set_aside.value(), 0U) << "it may pass";
    for (int i = 0; i < 16; ++i) {
      road.clock.advance(6s);
      replayer.turn(road.clock.steady());
    }
    EXPECT_EQ(replayer.stats().set_aside.value(), 1U);
    EXPECT_EQ(road.detour.taken(), all);
    EXPECT_EQ(corrupt.taken, all ? 0U : 5U);
    if (!all) continue;
    EXPECT_EQ(replayer.trouble()->message.rfind("at a write of site 2: ", 0), 0U)
        << replayer.trouble()->message;
  }
}

// Goal: what a person removed from what was set aside is not shown as trouble until the next outage.
TEST(Detour, LooksNowAndThenWhetherWhatWasSetAsideIsStillThere) {
  Road road;
  road.store.set_away(true);
  ASSERT_TRUE(road.commit({step(1, 1)}));
  road.store.set_away(false);
  road.store.set_poison(SiteId{1}, true);
  road.replay();
  EXPECT_TRUE(road.replayer.idle());
  for (std::size_t minutes = 1; minutes <= 3; ++minutes) {
    ASSERT_TRUE(road.replayer.next_turn());
    road.replayer.turn(road.clock.steady());
    road.replayer.turn(road.clock.steady());
    EXPECT_EQ(road.journal.looks(), minutes);
    road.clock.advance(60s);
  }
  road.journal.forget_set_aside();
  road.replayer.turn(road.clock.steady());
  EXPECT_EQ(road.replayer.next_turn(), std::nullopt);
}

TEST(Detour, SetsAsideWhatCannotBeRead) {
  Road road;
  road.store.set_away(true);
  ASSERT_TRUE(road.commit({step(1, 1), step(2, 1)}));
  road.journal.spoil_oldest("a newer version wrote it");
  road.store.set_away(false);
  road.replay();
  EXPECT_EQ(road.seqs(), Words{"2:1"});
  EXPECT_EQ(road.watch.told.at(1), "aside: 1 a newer version wrote it");
}

TEST(Detour, GivesTheWriterBackWhatTheJournalDoesNotTake) {
  Road road;
  road.store.set_away(true);
  road.journal.set_full(true);
  EXPECT_FALSE(road.commit({step(1, 1)}));
  EXPECT_FALSE(road.detour.taken()) << "nothing is in the journal: the straight way stays right";
  EXPECT_EQ(road.detour.stats().refusing.value(), 1);
  EXPECT_FALSE(road.commit({step(1, 1)}));
  road.journal.set_full(false);
  EXPECT_TRUE(road.commit({step(1, 1)}));
  road.journal.set_full(true);
  EXPECT_FALSE(road.commit({step(1, 2)}));
  road.store.set_away(false);
  EXPECT_FALSE(road.commit({step(1, 2)})) << "it would have overtaken what is in the journal";
  road.replay();
  EXPECT_EQ(road.detour.stats().refusing.value(), 0);
  EXPECT_TRUE(road.commit({step(1, 2)}));
  EXPECT_EQ(road.seqs(), Words{"1:12"});
  EXPECT_EQ(road.watch.told,
            (Words{"refuses: the journal is full", "takes again", "away: the store is away",
                   "refuses: the journal is full", "takes again", "back: 1"}));
}

// Goal: a store that was away for a moment beside a full journal does not leave the daemon unready for good.
TEST(Detour, ForgetsThatTheJournalRefusedOnceTheStoreTakesWritesAgain) {
  Road road;
  road.store.fail_commits(FakeFailure::Unavailable);
  road.journal.set_full(true);
  EXPECT_FALSE(road.commit({step(1, 1)}));
  EXPECT_EQ(road.detour.stats().refusing.value(), 1);
  ASSERT_TRUE(road.commit({step(1, 1)}));
  EXPECT_FALSE(road.detour.taken());
  EXPECT_EQ(road.detour.stats().refusing.value(), 0);
  EXPECT_EQ(road.watch.told, (Words{"refuses: the journal is full", "takes again"}));
}

// Goal: an outage that begins while what an earlier process left is replayed is told, and so is its end.
TEST(Detour, TellsAnOutageThatBeginsWhileItIsTakenQuietly) {
  Road before;
  before.store.set_away(true);
  ASSERT_TRUE(before.commit({step(1, 1)}));
  core::ManualClock clock;
  OutagesTold watch;
  Detour detour{before.journal, clock, watch};
  FakeEventStore store;
  Replayer replayer{{}, detour, before.journal, store, before.vantage_store, clock, watch, 5};
  store.set_away(true);
  const auto turns = [&](int count) {
    for (int i = 0; i < count; ++i) {
      clock.advance(6s);
      replayer.turn(clock.steady());
    }
  };
  turns(3);
  EXPECT_EQ(watch.told, Words{"away: the store is away"});
  store.set_away(false);
  turns(3);
  EXPECT_EQ(watch.told, (Words{"away: the store is away", "back: 1"}));
}

TEST(Detour, IsTakenWhenTheStoreCannotBeReadAndLeftWhenItAnswersAgain) {
  Road road;
  road.store.set_away(true);
  EXPECT_FALSE(road.events.open_event(SiteId{1}));
  EXPECT_TRUE(road.events.detoured());
  const std::size_t reads = road.store.reads();
  EXPECT_EQ(road.events.open_event(SiteId{2}).error().kind, ErrorKind::Unavailable);
  EXPECT_EQ(road.store.reads(), reads) << "at once, without asking";
  road.replay(3);
  EXPECT_TRUE(road.detour.taken());
  road.store.set_away(false);
  road.replay();
  EXPECT_FALSE(road.detour.taken());
}

// Takes no more than so many writes at a time, like a server that is too slow for more within its deadline.
class SlowStore final : public EventStore {
 public:
  core::Result<void> commit(std::span<const EventWrite> writes) override {
    if (writes.size() > most) return core::Error{ErrorKind::Unavailable, "too slow"};
    taken += writes.size();
    largest = std::max(largest, writes.size());
    return {};
  }
  core::Result<std::optional<StoredEvent>> open_event(SiteId /*site*/) override {
    return std::optional<StoredEvent>{};
  }
  std::size_t most = 3;
  std::size_t taken = 0;
  std::size_t largest = 0;
};

TEST(Detour, GivesASlowStoreWhatItCanTakeAndMoreOnceItCan) {
  Road road;
  road.store.set_away(true);
  for (std::uint64_t site = 1; site <= 800; ++site) ASSERT_TRUE(road.commit({step(site, 1)}));
  SlowStore slow;
  Replayer replayer{{}, road.detour, road.journal, slow, road.vantage_store, road.clock, road.watch,
                    5};
  const auto turns = [&](int count) {
    for (int i = 0; i < count && road.detour.taken(); ++i) {
      road.clock.advance(6s);
      replayer.turn(road.clock.steady());
    }
  };
  turns(40);
  EXPECT_GT(slow.taken, 20U);
  EXPECT_EQ(slow.largest, 2U) << "the page halves from 8: of 1, 2, 4 it is the largest that fits";
  slow.most = 1000;
  turns(30);
  EXPECT_FALSE(road.detour.taken());
  EXPECT_EQ(slow.taken, 800U);
  EXPECT_GT(slow.largest, 100U);
}

// Goal: a start on a slow server comes to its end. Method: like replay_left(), each attempt has a replayer of its own and ends at the
// first trouble; there must be progress in each.
TEST(Detour, BeginsWithWhatASlowStoreCanTake) {
  Road road;
  road.store.set_away(true);
  for (std::uint64_t site = 1; site <= 800; ++site) ASSERT_TRUE(road.commit({step(site, 1)}));
  SlowStore slow;
  slow.most = 40;
  int attempts = 0;
  for (; attempts < 30 && road.detour.taken(); ++attempts) {
    Replayer replayer{
        {}, road.detour, road.journal, slow, road.vantage_store, road.clock, road.watch, 5};
    while (road.detour.taken() && !replayer.trouble()) replayer.turn(road.clock.steady());
  }
  EXPECT_FALSE(road.detour.taken());
  EXPECT_EQ(slow.taken, 800U);
  EXPECT_LT(attempts, 20);
}

// Goal: nothing of the journal's trouble looks like a refusal of the write, which a writer would drop.
TEST(Detour, TakesNoTroubleOfTheJournalForARefusalOfTheStore) {
  Road road;
  road.store.set_away(true);
  for (const auto kind : {ErrorKind::Invalid, ErrorKind::Corrupt, ErrorKind::NotFound}) {
    road.journal.fail_next_append(core::Error{kind, "the journal's own"});
    const JournalWrite write = step(1, 1);
    const auto kept = road.detour.keep({&write, 1}, nullptr);
    ASSERT_FALSE(kept);
    EXPECT_EQ(kept.error().kind, ErrorKind::Unavailable);
    EXPECT_EQ(kept.error().message, "the journal's own");
  }
}

TEST(Detour, CarriesTheVantageInOrder) {
  Road road;
  road.vantage_store.failure = core::Error{ErrorKind::Unavailable, "away"};
  road.store.set_away(true);
  const VantageEvent first{kT, core::kNoWallTime, "canaries", "", 1};
  VantageEvent ended = first;
  ended.ended_at = kT + 1min;
  ASSERT_TRUE(road.vantage.close_open(kT));
  ASSERT_TRUE(road.vantage.put(first));
  ASSERT_TRUE(road.commit({step(1, 1)}));
  ASSERT_TRUE(road.vantage.put(ended));
  road.vantage_store.failure.reset();
  road.store.set_away(false);
  road.replay();
  EXPECT_EQ(road.vantage_store.closed, std::vector{kT});
  EXPECT_EQ(road.vantage_store.puts, (std::vector{first, ended}));
  EXPECT_EQ(road.seqs(), Words{"1:1"});
}

// Goal: nothing says "up, checked now" of a site whose "down" waits in the journal. Method: marks of such a site while the store
// takes everything again and the journal is not yet empty.
TEST(Detour, HoldsFreshnessBackUntilTheEventsAreInTheStore) {
  Road road;
  watchwheel::testing::FakeFreshnessSink sink;
  MarkRing ring{16};
  DetourFreshnessSink detoured{sink, road.detour};
  Projector projector{{}, {&ring}, detoured, road.clock, 3};
  const auto turn_with_mark = [&](core::Duration checked) {
    core::FreshnessMark mark;
    mark.site = SiteId{1};
    mark.checked_at = kT + checked;
    EXPECT_TRUE(ring.offer(std::move(mark)));
    projector.turn(road.clock.steady());
    road.clock.advance(10s);
    return projector.turn(road.clock.steady());
  };
  EXPECT_EQ(turn_with_mark(0s), 1U);
  road.store.set_away(true);
  ASSERT_TRUE(road.commit({step(1, 1)}));
  road.store.set_away(false);
  EXPECT_EQ(turn_with_mark(10s), 0U);
  EXPECT_EQ(turn_with_mark(20s), 0U);
  EXPECT_EQ(sink.marks().at(SiteId{1}).checked_at, kT);
  road.replay();
  turn_with_mark(30s);
  EXPECT_EQ(sink.marks().at(SiteId{1}).checked_at, kT + 30s);
}

// ---- The shard on it ----

class Notes final : public NoteSink {
 public:
  bool offer(core::SiteNote&& note) override {
    sent.push_back(std::move(note));
    return true;
  }
  std::vector<core::SiteNote> sent;
};

struct ShardOnTheRoad : Road {
  explicit ShardOnTheRoad(ShardLimits limits = {})
      : shard(limits, {}, mailbox, events, notes, clock, 3) {}

  void post(std::uint64_t site, std::uint32_t failures, bool restored = false, bool ended = false) {
    core::Outage outage;
    outage.started_at = kT;
    outage.last_failed_at = kT + 10s * (failures - 1);
    outage.failures = failures;
    outage.evidence = outage.opened_by = kRefused;
    outage.restored = restored;
    if (failures >= 3) {
      outage.confirmed_at = kT + 20s;
      outage.confirmed_failures = 3;
      outage.confirmed_by = kRefused;
    }
    if (ended) outage.ended_at = kT + 1h;
    core::SiteFacts facts{.site = SiteId{site}, .seq = ++seq, .at = kT, .outages = {outage}};
    const core::FactsKey seat = core::key_of(facts);
    mailbox.post(seat, std::move(facts));
  }
  std::size_t turn_after(core::Duration wait) {
    clock.advance(wait);
    return shard.turn(clock.steady());
  }

  FactsMailbox mailbox{10'000};
  Notes notes;
  Shard shard;
  std::uint64_t seq = 0;
};

TEST(DetouredShard, GoesOnJudgingAndTellsTheLanes) {
  ShardOnTheRoad road;
  road.store.set_away(true);
  road.post(1, 1);
  EXPECT_EQ(road.turn_after(0s), 1U);
  road.post(1, 3);
  EXPECT_EQ(road.turn_after(1s), 1U);
  EXPECT_EQ(road.notes.sent.back().event_state, SiteState::Down);
  road.post(1, 4, false, true);
  EXPECT_EQ(road.turn_after(1s), 1U);
  EXPECT_EQ(road.notes.sent.back().event_state, std::nullopt);
  EXPECT_TRUE(road.shard.idle());
  EXPECT_TRUE(road.store.events().empty());
  road.store.set_away(false);
  road.replay();
  EXPECT_EQ(road.seqs(), Words{"1:123"});
  EXPECT_EQ(road.store.events().front().row.state, SiteState::Up);
}

// Goal: what goes on with an event that nobody here has read is not judged by guessing, does not hold the others up, and is judged
// when the store is back.
TEST(DetouredShard, LeavesWhatItMustReadForLater) {
  ShardOnTheRoad road;
  ASSERT_TRUE(road.store.commit(std::vector{step(1, 1)}));  // By an earlier process.
  road.store.set_away(true);
  road.post(1, 2, true);
  road.post(2, 1);
  EXPECT_EQ(road.turn_after(0s), 1U);
  EXPECT_EQ(road.notes.sent.size(), 1U);
  EXPECT_EQ(road.shard.stats().unread.value(), 1);
  EXPECT_TRUE(road.shard.idle()) << "an end of the process is not held up by it";
  road.post(1, 3, true);  // Newer facts of the same: they replace the older.
  EXPECT_EQ(road.turn_after(1s), 0U);
  EXPECT_EQ(road.shard.stats().unread.value(), 1);
  ASSERT_TRUE(road.shard.next_turn());

  road.store.set_away(false);
  road.replay();
  EXPECT_FALSE(road.shard.idle());
  EXPECT_EQ(road.turn_after(1s), 1U);
  EXPECT_EQ(road.shard.stats().unread.value(), 0);
  EXPECT_EQ(road.seqs(), (Words{"1:12", "2:1"}));
  EXPECT_EQ(road.shard.next_turn(), std::nullopt);
}

TEST(DetouredShard, GuessesNothingOnceItsMemoryWasFull) {
  ShardOnTheRoad road{{.open_events_max = 1}};
  road.post(1, 1);
  road.post(2, 1);
  EXPECT_EQ(road.turn_after(0s), 2U);
  road.store.set_away(true);
  road.post(1, 3);
  road.post(2, 3);
  EXPECT_EQ(road.turn_after(1s), 1U) << "of the two it remembers one";
  EXPECT_EQ(road.shard.stats().unread.value(), 1);
  road.post(3, 1);
  EXPECT_EQ(road.turn_after(1s), 0U) << "it may be one that was forgotten";
  EXPECT_EQ(road.shard.stats().unread.value(), 2);
  road.store.set_away(false);
  road.replay();
  road.turn_after(1s);
  EXPECT_EQ(road.seqs(), (Words{"1:12", "2:12", "3:1"}));
}

// Goal: an event that was forgotten because the store refused a write of it is not taken for none while the store cannot be read.
TEST(DetouredShard, GuessesNothingOnceItForgotWhatTheStoreRefused) {
  ShardOnTheRoad road;
  road.post(1, 1);
  EXPECT_EQ(road.turn_after(0s), 1U);
  road.store.set_poison(SiteId{1}, true);
  road.post(1, 3);
  EXPECT_EQ(road.turn_after(1s), 0U);
  road.store.set_poison(SiteId{1}, false);
  road.store.set_away(true);
  road.post(2, 1);  // The first that finds the store away.
  road.turn_after(1s);
  road.post(1, 4);
  EXPECT_EQ(road.turn_after(1s), 0U);
  EXPECT_EQ(road.shard.stats().unread.value(), 1);
  road.store.set_away(false);
  road.replay();
  EXPECT_EQ(road.turn_after(1s), 1U);
  EXPECT_EQ(road.replayer.stats().set_aside.value(), 0U);
  EXPECT_EQ(road.store.events_of(SiteId{1}).front().row.transitions_total, 2U);
}

// Goal: a site that recovered while the store was away does not stay down in the store for good because its end was set aside. Method: as
// the engine does, the shard is told, and what a lane then posts that knows of no trouble is answered with the open event.
TEST(DetouredShard, AsksAnewOfASiteWhoseWriteWasSetAside) {
  ShardOnTheRoad road;
  road.post(1, 3);
  EXPECT_EQ(road.turn_after(0s), 1U);
  road.store.set_away(true);
  road.post(1, 3, false, true);
  EXPECT_EQ(road.turn_after(1s), 1U);
  EXPECT_EQ(road.notes.sent.back().event_state, std::nullopt) << "the lane forgets it";
  road.store.set_away(false);
  road.store.set_poison(SiteId{1}, true);
  road.replay();
  road.store.set_poison(SiteId{1}, false);
  EXPECT_EQ(road.replayer.stats().set_aside.value(), 1U);

  road.shard.doubt(SiteId{1});
  road.turn_after(1s);
  EXPECT_TRUE(road.notes.sent.back().doubted);
  EXPECT_EQ(road.notes.sent.back().site, SiteId{1});
  core::SiteFacts nothing{.site = SiteId{1}, .seq = 9, .at = kT + 2h, .outages = {}};
  const core::FactsKey seat = core::key_of(nothing);
  road.mailbox.post(seat, std::move(nothing));
  road.turn_after(1s);
  ASSERT_TRUE(road.notes.sent.back().unknown_event);
  EXPECT_EQ(road.notes.sent.back().unknown_event->state, SiteState::Down);
}

TEST(DetouredShard, StopsOfASiteWaitForTheStore) {
  ShardOnTheRoad road;
  ASSERT_TRUE(road.store.commit(std::vector{step(1, 1)}));
  road.store.set_away(true);
  core::SiteFacts facts{.site = SiteId{1},
                        .seq = 1,
                        .presence = core::Presence::Removed,
                        .at = kT + 1h,
                        .outages = {}};
  const core::FactsKey seat = core::key_of(facts);
  road.mailbox.post(seat, std::move(facts));
  EXPECT_EQ(road.turn_after(0s), 0U);
  road.store.set_away(false);
  road.replay();
  EXPECT_EQ(road.turn_after(1s), 1U);
  EXPECT_EQ(road.store.events().front().row.state, SiteState::Up);
}

}  // namespace
}  // namespace watchwheel::sideeffects
