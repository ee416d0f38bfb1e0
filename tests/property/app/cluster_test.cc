// SPDX-License-Identifier: Apache-2.0
// Goal: what a cluster promises, one law a test. Method: cluster_world.h.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "cluster_world.h"

namespace watchwheel::app::sim {
namespace {

TEST(Cluster, OneNodeHasAllOfThemAtOnce) {
  World world;
  world.add("a");
  world.begin_watch();
  world.run_for(60s);
  EXPECT_EQ(world.owned(), (std::map<std::string, int>{{"a", kBuckets}}));
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
  EXPECT_LE(world.longest_gap, kInterval + 300ms);
}

// Skews of minutes, for nothing but the database's clock counts.
TEST(Cluster, ANodeThatJoinsTakesItsShareWithoutAGapAndNothingElseMoves) {
  World world;
  world.add("a", 5min);
  world.run_for(30s);
  world.add("b", -7min);
  world.run_for(60s);
  const auto before = world.database.leases();
  world.begin_watch();
  const std::uint64_t taken_before = world.database.taken();
  world.add("c", 3min);
  world.run_for(90s);
  std::size_t moved = 0;
  for (std::uint32_t i = 0; i < kBuckets; ++i) {
    if (before[i].owner == world.database.leases()[i].owner) continue;
    ++moved;
    EXPECT_EQ(world.database.leases()[i].owner, "c");
  }
  EXPECT_EQ(world.database.taken() - taken_before, moved);
  EXPECT_EQ(static_cast<int>(moved), world.owned()["c"]);
  EXPECT_GT(moved, kBuckets / 6);
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
  EXPECT_LE(world.longest_gap, kInterval + 300ms);
}

// A check that was in flight when its bucket went fails, and its node stores that, as it should. The next owner has read the bucket
// before, and must come to know: nobody else would ever end the event.
TEST(Cluster, WhatTheFormerOwnerStoresLastIsKnownToTheNext) {
  World world;
  world.add("a");
  world.run_for(30s);
  Host& b = world.add("b");
  for (int i = 0; i < 900; ++i) {
    world.run_for(100ms);
    for (const db::LeaseRow& lease : world.database.leases()) {
      // What the taker has at hand was read before it announced itself, and so before the cut. See the next test for one without.
      if (lease.owner == "a" && lease.cut_ms != 0) world.events.insert(lease.bucket);
    }
  }
  std::size_t of_b = 0;
  for (const BucketNo bucket : world.events) {
    if (world.database.leases()[bucket.value].owner != "b") continue;
    ++of_b;
    EXPECT_TRUE(b.known_events.contains(bucket)) << bucket.value;
  }
  EXPECT_GT(of_b, kBuckets / 4);
}

// It dies, and had given nobody its word: what the next owner has at hand may be minutes old, as nothing is handed over while what was
// judged waits to be stored.
TEST(Cluster, WhatIsAtHandWhenTheFormerOwnerDiesIsReadAnew) {
  for (const bool answer_lost : {false, true}) {
    World world;
    Host& a = world.add("a");
    world.run_for(30s);
    a.writes_wait = true;
    Host& b = world.add("b");
    world.run_for(10s);
    std::size_t at_hand = 0;
    for (const db::LeaseRow& lease : world.database.leases()) {
      ASSERT_EQ(lease.owner, "a");
      ASSERT_EQ(lease.cut_ms, 0);
      at_hand += lease.taker == "b" ? 1U : 0U;
      world.events.insert(lease.bucket);
    }
    ASSERT_GT(at_hand, kBuckets / 4);
    a.crash();
    if (answer_lost) b.store.lose_next_take();
    world.run_for(40s);
    EXPECT_EQ(world.owned()["b"], static_cast<int>(kBuckets));
    EXPECT_EQ(b.known_events, world.events) << answer_lost;
  }
}

// Somebody sets a host's clock while buckets are handed over; the database is far away, too.
TEST(Cluster, AClockThatIsSetDuringAHandOverDoesNotMatter) {
  for (const Duration step : {60s, -60s}) {
    for (const bool of_taker : {false, true}) {
      World world;
      Host& a = world.add("a", 1min);
      a.set_latency(60ms);
      world.run_for(30s);
      Host& b = world.add("b", -1min);
      b.set_latency(60ms);
      world.begin_watch();
      for (int i = 0; i < 50 && b.member->reading().coming == 0; ++i) world.run_for(100ms);
      ASSERT_GT(b.member->reading().coming, 0U);  // And the next ones follow.
      (of_taker ? b : a).step_clock(step);
      world.run_for(60s);
      EXPECT_GT(world.owned()["b"], static_cast<int>(kBuckets) / 4);
      EXPECT_EQ(world.missed(), 0U) << core::to_seconds(step) << of_taker;
      EXPECT_LE(world.longest_gap, kInterval + 2s) << core::to_seconds(step) << of_taker;
    }
  }
}

TEST(Cluster, ADrainedNodeGivesAllAwayWithoutAGap) {
  World world;
  world.add("a");
  world.add("b", 1min);
  world.add("c");
  world.run_for(90s);
  world.begin_watch();
  ASSERT_TRUE(world.hosts[1]->store.ask_to_drain("b", true));
  world.run_for(120s);
  EXPECT_EQ(world.owned()["b"], 0);
  EXPECT_EQ(world.owned()[""], 0);
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
  ASSERT_TRUE(world.hosts[1]->store.ask_to_drain("b", false));
  world.run_for(120s);
  EXPECT_GT(world.owned()["b"], 0);
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
}

TEST(Cluster, TheLastNodeKeepsItsBucketsWhenItIsDrained) {
  World world;
  world.add("a");
  world.run_for(10s);
  ASSERT_TRUE(world.hosts[0]->store.ask_to_drain("a", true));
  world.begin_watch();
  world.run_for(60s);
  EXPECT_EQ(world.owned()["a"], static_cast<int>(kBuckets));
  EXPECT_EQ(world.missed(), 0U);
}

TEST(Cluster, WhoIsDrainedTakesWhatNobodyElseIsThereFor) {
  World world;
  Host& a = world.add("a");
  world.add("b");
  world.run_for(90s);
  ASSERT_TRUE(a.store.ask_to_drain("a", true));
  world.run_for(90s);
  ASSERT_EQ(world.owned()["a"], 0);
  world.begin_watch();
  world.hosts[1]->crash();
  world.run_for(60s);
  EXPECT_EQ(world.owned()["a"], static_cast<int>(kBuckets));
  EXPECT_LE(world.longest_gap, kInterval + kLease + 2s);
}

TEST(Cluster, ANodeThatStopsIsFollowedAtOnce) {
  World world;
  world.add("a");
  world.add("b");
  world.run_for(90s);
  world.begin_watch();
  world.hosts[0]->stop();
  world.run_for(30s);
  EXPECT_EQ(world.owned()["b"], static_cast<int>(kBuckets));
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
  EXPECT_LE(world.longest_gap, kInterval + 2s);
}

// What falls due while it tells the others is somebody's.
TEST(Cluster, ANodeThatStopsLeavesNoCheckOutHoweverSlowTheDatabaseIs) {
  for (const Duration latency : {20ms, 200ms, 600ms}) {
    World world;
    world.add("a");
    world.add("b");
    world.run_for(90s);
    world.hosts[0]->set_latency(latency);
    world.run_for(10s);
    world.begin_watch();
    world.run_for(10s);
    world.hosts[0]->stop();
    world.run_for(30s);
    EXPECT_EQ(world.owned()["b"], static_cast<int>(kBuckets));
    EXPECT_EQ(world.missed(), 0U) << core::to_seconds(latency);
  }
}

// Buckets were promised to it, and it is told to stop: while it ends what it has in flight, its sites are looked after.
TEST(Cluster, WhatWasPromisedToANodeThatStopsStaysWhereItIs) {
  World world;
  world.add("a");
  world.run_for(30s);
  Host& b = world.add("b");
  for (int i = 0; i < 200 && b.member->reading().coming == 0; ++i) world.run_for(100ms);
  ASSERT_GT(b.member->reading().coming, 0U);
  world.begin_watch();
  b.begin_stop();
  b.rows.clear();  // Its admission is closed.
  b.starts_nothing = true;
  world.run_for(30s);
  b.member->leave();
  b.crash();
  world.run_for(30s);
  EXPECT_EQ(world.owned()["a"], static_cast<int>(kBuckets));
  EXPECT_LE(world.longest_gap, kInterval + 4s);
}

// It said that it stops, and was killed before it had given anything up. The next run of that name has all of it: that word is not its
// own. Also where the database takes nothing of that.
TEST(Cluster, ANodeThatIsKilledWhileItStopsIsOnceMoreWhatItWas) {
  for (const bool refused : {false, true}) {
    for (const bool others : {false, true}) {
      World world;
      Host& a = world.add("a");
      if (others) world.add("b");
      world.run_for(90s);
      const auto before = world.owned();
      world.begin_watch();
      world.run_for(15s);
      a.begin_stop();
      world.run_for(1s);
      a.crash();
      world.run_for(1s);
      a.store.refuse_cuts(refused);
      a.start();
      world.run_for(1s);
      EXPECT_EQ(a.rows.size(), static_cast<std::size_t>(before.at("a"))) << refused << others;
      world.run_for(60s);
      EXPECT_EQ(a.rows.size(), static_cast<std::size_t>(before.at("a"))) << refused << others;
      a.store.refuse_cuts(false);
      world.run_for(30s);
      EXPECT_EQ(world.owned(), before);
      EXPECT_EQ(world.missed(), 0U) << refused << others;
      EXPECT_LE(world.longest_gap, kInterval + 4s);
      for (auto& host : world.hosts) {
        EXPECT_EQ(host->member->reading().coming, 0U);
        EXPECT_EQ(host->member->reading().leaving, 0U);
      }
    }
  }
}

TEST(Cluster, ANodeThatDiesIsFollowedWithinTheLease) {
  World world;
  world.add("a");
  world.add("b");
  world.add("c");
  world.run_for(90s);
  world.begin_watch();
  world.hosts[0]->crash();
  world.run_for(60s);
  EXPECT_EQ(world.owned()["a"], 0);
  EXPECT_LE(world.longest_unowned, kLease + 2s);
  EXPECT_LE(world.longest_gap, kInterval + kLease + 2s);
  // What was due between its last renewal and its death may have been made, and is made again.
  EXPECT_LE(world.doubled(), kBuckets / 2);
}

// A write that the database will not take keeps the bucket where it is: its taker could check and not tell.
TEST(Cluster, WhatCannotBeStoredKeepsItsBucketWithItsOwner) {
  World world;
  Host& a = world.add("a");
  world.run_for(30s);
  Host& b = world.add("b");
  for (int i = 0; i < 200 && b.member->reading().coming == 0; ++i) world.run_for(100ms);
  const std::uint32_t coming = b.member->reading().coming;
  ASSERT_GT(coming, 0U);
  a.writes_wait = true;
  world.begin_watch();
  world.run_for(40s);
  EXPECT_EQ(b.member->reading().coming, 0U);
  EXPECT_EQ(a.member->reading().leaving, 0U);
  a.writes_wait = false;
  world.run_for(90s);
  EXPECT_GT(world.owned()["b"], static_cast<int>(kBuckets) / 4);
  EXPECT_LE(world.longest_gap, kInterval + 4s);
}

// With a lease of minutes too, though what was missed is long past when it ends.
TEST(Cluster, ALongLeaseIsMadeUpForAsWell) {
  World world;
  Host& a = world.add("a");
  Host& b = world.add("b");
  for (Host* host : {&a, &b}) {
    host->crash();
    host->lease = 2min;
    host->start();
  }
  world.run_for(6min);
  a.crash();
  world.run_for(60s);
  std::set<BucketNo> of_a;
  for (const db::LeaseRow& lease : world.database.leases()) {
    if (lease.owner == "a") of_a.insert(lease.bucket);
  }
  ASSERT_FALSE(of_a.empty());
  world.begin_watch();
  while (world.owned()["a"] > 0 && world.clock.steady() - world.watch_from < 3min) world.run_for(100ms);
  const SteadyTime taken = world.clock.steady();
  world.run_for(2s);
  ASSERT_EQ(world.owned()["a"], 0);
  for (const BucketNo bucket : of_a) EXPECT_GE(world.newest[bucket.value], taken - 1s);
}

// The dead node's sites are ours, and that was not heard.
TEST(Cluster, ATakeWhoseAnswerWasLostIsMadeUpForAsWell) {
  World world;
  Host& a = world.add("a");
  Host& b = world.add("b");
  world.run_for(90s);
  std::set<BucketNo> of_a;
  for (const db::LeaseRow& lease : world.database.leases()) {
    if (lease.owner == "a") of_a.insert(lease.bucket);
  }
  ASSERT_FALSE(of_a.empty());
  a.crash();
  b.store.lose_next_take();
  world.begin_watch();
  while (world.owned()["a"] > 0 && world.clock.steady() - world.watch_from < 60s) world.run_for(100ms);
  const SteadyTime taken = world.clock.steady();
  world.run_for(2500ms);
  EXPECT_EQ(b.member->stats().taken_expired.value(), 0U);
  EXPECT_EQ(b.member->reading().owned, kBuckets);
  for (const BucketNo bucket : of_a) EXPECT_GE(world.newest[bucket.value], taken - 1s);
}

// It crashes and is started again within its lease: what fell due meanwhile is checked as it would be by another node.
TEST(Cluster, ANodeThatIsStartedAgainMakesUpForWhatItMissed) {
  World world;
  Host& a = world.add("a");
  world.run_for(60s);
  world.begin_watch();
  world.run_for(15s);
  a.crash();
  world.run_for(6s);
  a.start();
  world.run_for(30s);
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_LE(world.longest_gap, kInterval + 7s);
}

TEST(Cluster, ANodeThatWasPausedWritesNothingAndGivesAway) {
  World world;
  Host& a = world.add("a");
  world.add("b");
  world.run_for(90s);
  world.begin_watch();
  const BucketNo its = [&] {
    for (const db::LeaseRow& lease : world.database.leases()) {
      if (lease.owner == "a") return lease.bucket;
    }
    return BucketNo{0};
  }();
  const std::uint64_t epoch = a.table->epoch(its);
  const auto fence = a.table->fence();
  ASSERT_TRUE(fence);
  a.paused = true;
  world.run_for(60s);
  EXPECT_EQ(world.owned()["b"], static_cast<int>(kBuckets));
  EXPECT_TRUE(world.database.commit("b", *world.hosts[1]->table->fence(), its,
                                    world.hosts[1]->table->epoch(its)));
  // It wakes up: before it has asked anybody it knows that its lease may be over, writes nothing and starts nothing.
  EXPECT_FALSE(a.table->fence());
  EXPECT_TRUE(a.table->unsure());
  EXPECT_FALSE(world.database.commit("a", *fence, its, epoch));  // Under way when it was paused.
  a.paused = false;
  world.begin_watch();
  world.run_for(5s);
  EXPECT_EQ(world.doubled(), 0U);
  world.run_for(60s);
  EXPECT_EQ(world.doubled(), 0U);
  EXPECT_GT(world.owned()["a"], 0);  // It takes its share again.
  EXPECT_EQ(world.database.unlawful_writes(), 0U);
}

TEST(Cluster, WithoutTheDatabaseTheChecksGoOn) {
  World world;
  world.add("a");
  world.add("b");
  world.run_for(90s);
  world.begin_watch();
  const auto before = world.owned();
  for (auto& host : world.hosts) host->store.set_away(true);
  world.run_for(3min);
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
  for (auto& host : world.hosts) EXPECT_FALSE(host->table->fence());
  for (auto& host : world.hosts) host->store.set_away(false);
  world.run_for(60s);
  EXPECT_EQ(world.owned(), before);
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
}

// All leases have run out when it comes back, and one node has it back before the others.
TEST(Cluster, WhoHasTheDatabaseBackFirstDoesNotTakeWhatIsTheOthers) {
  World world;
  world.add("a");
  world.add("b");
  world.add("c");
  world.run_for(90s);
  const auto before = world.owned();
  for (auto& host : world.hosts) host->store.set_away(true);
  world.run_for(1min);
  world.begin_watch();
  const std::uint64_t taken = world.database.taken();
  for (auto& host : world.hosts) {
    host->store.set_away(false);
    world.run_for(1500ms);
  }
  world.run_for(60s);
  EXPECT_EQ(world.owned(), before);
  EXPECT_EQ(world.database.taken(), taken);
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
}

// It was down for longer than all, and is the first that the database answers. Whatever the others have found out meanwhile waits in
// their journals, and would be refused if their buckets went.
TEST(Cluster, WhoStartsWhenTheDatabaseIsBackDoesNotTakeWhatIsTheOthers) {
  World world;
  Host& a = world.add("a");
  Host& b = world.add("b");
  world.run_for(90s);
  for (auto& host : world.hosts) host->store.set_away(true);
  world.run_for(1min);
  world.begin_watch();
  Host& c = world.add("c");
  world.run_for(2s);
  a.store.set_away(false);
  world.run_for(2s);
  b.store.set_away(false);
  world.run_for(60s);
  EXPECT_EQ(a.member->stats().lost.value(), 0U);
  EXPECT_EQ(b.member->stats().lost.value(), 0U);
  EXPECT_EQ(c.member->stats().taken_expired.value(), 0U);
  EXPECT_GT(world.owned()["c"], 0);  // It comes by its share.
  EXPECT_EQ(world.missed(), 0U);
  EXPECT_EQ(world.doubled(), 0U);
}

// Waits for locks, sessions that are lost: between two answers is a while, again and again. The dead are followed nevertheless.
TEST(Cluster, WhereTheDatabaseAnswersNowAndThenTheDeadAreFollowed) {
  for (const Duration silence : {6s, 9s, 12s}) {
    World world;
    Host& a = world.add("a");
    world.add("b");
    world.run_for(90s);
    world.hosts[1]->crash();
    for (int i = 0; i < 6; ++i) {
      a.store.set_away(true);
      world.run_for(silence);
      a.store.set_away(false);
      world.run_for(1s);
    }
    EXPECT_EQ(world.owned()["a"], static_cast<int>(kBuckets)) << core::to_seconds(silence);
  }
}

TEST(Cluster, ASecondProcessOfTheSameNameEndsTheFirst) {
  World world;
  Host& first = world.add("a");
  world.run_for(10s);
  Host& second = world.add("a");  // Surely dead, it was told.
  world.run_for(10s);
  EXPECT_TRUE(first.member->usurped());
  EXPECT_FALSE(first.table->fence());
  EXPECT_TRUE(second.table->fence());
}

// A care that has nothing to do.
class NoCare final : public BucketCare {
 public:
  void prepare(BucketNo) override {}
  std::vector<BucketNo> take_prepared() override { return {}; }
  void forget(BucketNo) override {}
  void begin(BucketNo, SteadyTime) override {}
};

// A node of which nothing but its row is there, and one that looks at it.
struct Alone {
  Alone() {
    other.name = "b";
    other.instance = "b#1";
    other.lease_ms = 15000;
  }
  void start(const std::string& node, const std::string& instance) {
    settings.node = node;
    settings.instance = instance;
    settings.surely_dead = [](const std::string&) { return true; };
    member.emplace(settings, store, table, shared, log);
    member->set_care(care);
    ASSERT_TRUE(member->join());
  }
  // `other_lives`: it renews its lease, whoever else is cut off.
  void pass(Duration time, bool other_lives = false) {
    for (const SteadyTime end = clock.steady() + time; clock.steady() < end;) {
      clock.advance(5s);
      if (other_lives) {
        EXPECT_TRUE(*others.renew(other));
      }
      member->turn();
    }
  }
  [[nodiscard]] bool alone() const { return member->stats().alone.value() == 1; }

  core::ManualClock clock;
  FakeLeases database{kBuckets, [this] { return core::to_unix_ms(clock.wall()); }};
  FakeLeaseStore store{database};
  FakeLeaseStore others{database};
  NoLog log;
  NoCare care;
  core::BucketTable table{kBuckets, clock};
  ClusterClock shared{clock};
  MemberSettings settings;
  db::NodeRow other;
  std::optional<ClusterMember> member;
};

// Whoever is alone tells people while the database is away. One that has left, or is dead, may come back unseen.
TEST(Cluster, ANodeIsAloneWhenNoOtherWasThereForAnHour) {
  for (const bool leaves : {false, true}) {
    Alone world;
    world.member.emplace(world.settings, world.store, world.table, world.shared, world.log);
    EXPECT_FALSE(world.alone());  // It has not looked.
    world.start("a", "a#1");
    EXPECT_TRUE(world.alone());
    ASSERT_TRUE(*world.others.join(world.other, ""));
    world.pass(1min, true);
    EXPECT_FALSE(world.alone());
    if (leaves) {
      ASSERT_TRUE(world.others.leave(world.other));
    }
    world.pass(59min);
    EXPECT_EQ(world.member->reading().nodes_live, 1U);
    EXPECT_FALSE(world.alone()) << leaves;
    world.pass(2min);
    EXPECT_TRUE(world.alone()) << leaves;
    // What one knew the next run sees, however long there was none.
    world.member.reset();
    world.clock.advance(24h);
    world.start("a", "a#2");
    EXPECT_TRUE(world.alone()) << leaves;
  }
}

// Where the database was away for all, nobody was seen, and all are there.
TEST(Cluster, OfTheHourCountsWhatTheDatabaseWasThere) {
  Alone world;
  world.start("a", "a#1");
  ASSERT_TRUE(*world.others.join(world.other, ""));
  world.pass(10min, true);
  world.pass(20min);
  world.store.set_away(true);
  world.pass(3h);
  world.store.set_away(false);
  world.pass(39min);
  EXPECT_FALSE(world.alone());
  world.pass(2min);
  EXPECT_TRUE(world.alone());
  world.pass(5s, true);  // It was there all the time.
  EXPECT_FALSE(world.alone());

  // So is it while no process of ours runs,
  world.member.reset();
  world.clock.advance(3h);
  world.start("a", "a#2");
  EXPECT_FALSE(world.alone());
  world.pass(61min);
  EXPECT_TRUE(world.alone());
  // and one that was never there cannot know.
  world.member.reset();
  world.clock.advance(3h);
  world.start("c", "c#1");
  EXPECT_FALSE(world.alone());
  world.pass(61min);
  EXPECT_TRUE(world.alone());
}

// It stands still after it has looked, and wakes up when another process runs under its name.
TEST(Cluster, WhatWasDecidedBeforeTheNameWasLostIsNotDone) {
  core::ManualClock clock;
  FakeLeases database(kBuckets, [&] { return core::to_unix_ms(clock.wall()); });
  FakeLeaseStore store(database);
  FakeLeaseStore others(database);
  NoLog log;
  NoCare care;
  core::BucketTable table(kBuckets, clock);
  ClusterClock shared(clock);
  MemberSettings settings;
  settings.node = "a";
  settings.instance = "a#1";
  ClusterMember member(settings, store, table, shared, log);
  member.set_care(care);
  ASSERT_TRUE(member.join());
  db::NodeRow second;
  second.name = "a";
  second.instance = "a#2";
  second.lease_ms = 15000;
  int ways = 0;  // There and back: it renews, reads the clock, looks, and takes what is free.
  store.on_the_way([&] {
    if (++ways == 7) {
      ASSERT_TRUE(*others.join(second, "a#1"));
    }
  });
  member.turn();
  ASSERT_GE(ways, 7);
  EXPECT_TRUE(member.usurped());
  EXPECT_FALSE(table.fence());
  EXPECT_EQ(database.taken(), 0U);
}

// Whoever changed the number took it for gone; with the old one it would be in everybody's way.
TEST(Cluster, ANodeWhoseBucketsAreAnotherNumberEnds) {
  core::ManualClock clock;
  FakeLeases database(kBuckets * 2, [&] { return core::to_unix_ms(clock.wall()); });
  FakeLeaseStore store(database);
  NoLog log;
  NoCare care;
  core::BucketTable table(kBuckets * 2, clock);
  ClusterClock shared(clock);
  MemberSettings settings;
  settings.node = "a";
  settings.instance = "a#1";
  ClusterMember member(settings, store, table, shared, log);
  member.set_care(care);
  ASSERT_TRUE(member.join());
  member.turn();
  ASSERT_TRUE(table.fence());
  ASSERT_FALSE(member.usurped());
  database.part_anew(kBuckets);
  clock.advance(1s);
  member.turn();
  EXPECT_TRUE(member.usurped());
  EXPECT_FALSE(table.fence());
}

// It ran on another machine, so nobody here can know that it is gone. The daemon is not to stand still for that.
TEST(Cluster, ANameWhoseLeaseHoldsIsWaitedForALittleAtATime) {
  core::ManualClock clock;
  FakeLeases database(kBuckets, [&] { return core::to_unix_ms(clock.wall()); });
  FakeLeaseStore store(database);
  NoLog log;
  db::NodeRow other;
  other.name = "a";
  other.instance = "x";
  other.lease_ms = 60000;
  ASSERT_TRUE(*store.join(other, ""));
  core::BucketTable table(kBuckets, clock);
  ClusterClock shared(clock);
  MemberSettings settings;
  settings.node = "a";
  settings.instance = "y";
  ClusterMember member(settings, store, table, shared, log);
  const SteadyTime begin = clock.steady();
  while (clock.steady() - begin < 50s) {
    const SteadyTime before = clock.steady();
    const auto joined = member.join();
    ASSERT_FALSE(joined);
    EXPECT_EQ(joined.error().kind, core::ErrorKind::Unavailable);
    EXPECT_LT(clock.steady() - before, 10s);
    clock.advance(3s);
  }
  clock.advance(10s);
  EXPECT_TRUE(member.join());
  EXPECT_TRUE(table.fence());
}

// It renews less often than an attempt to join lasts, and each attempt is made by a member of its own.
TEST(Cluster, ANameThatIsKeptAliveSlowlyIsRefusedToo) {
  core::ManualClock clock;
  FakeLeases database(kBuckets, [&] { return core::to_unix_ms(clock.wall()); });
  FakeLeaseStore store(database);
  NoLog log;
  db::NodeRow other;
  other.name = "a";
  other.instance = "x";
  other.lease_ms = 600'000;
  ASSERT_TRUE(*store.join(other, ""));
  core::BucketTable table(kBuckets, clock);
  ClusterClock shared(clock);
  NameSight sight;
  MemberSettings settings;
  settings.node = "a";
  settings.instance = "y";
  settings.sight = &sight;
  int waited = 0;
  core::ErrorKind end = core::ErrorKind::Unavailable;
  for (SteadyTime renewed = clock.steady(); waited < 100 && end == core::ErrorKind::Unavailable;) {
    ClusterMember member(settings, store, table, shared, log);
    const auto joined = member.join();
    ASSERT_FALSE(joined);
    end = joined.error().kind;
    if (end == core::ErrorKind::Unavailable) {
      EXPECT_TRUE(sight.waits);
      ++waited;
    }
    clock.advance(3s);
    if (clock.steady() - renewed > 200s) {
      ASSERT_TRUE(*store.renew(other));
      renewed = clock.steady();
    }
  }
  EXPECT_EQ(end, core::ErrorKind::Invalid);
  EXPECT_GT(waited, 10);
  EXPECT_FALSE(sight.waits);
}

TEST(Cluster, ANameThatIsKeptAliveByAnotherIsRefused) {
  core::ManualClock clock;
  FakeLeases database(kBuckets, [&] { return core::to_unix_ms(clock.wall()); });
  FakeLeaseStore store(database);
  NoLog log;
  db::NodeRow other;
  other.name = "a";
  other.instance = "x";
  other.lease_ms = 15000;
  ASSERT_TRUE(*store.join(other, ""));
  core::BucketTable table(kBuckets, clock);
  ClusterClock shared(clock);
  // The other one lives as long as it is looked at.
  struct Alive final : core::Clock {
    Alive(const core::ManualClock& given, FakeLeaseStore& there, const db::NodeRow& who)
        : clock(given), store(there), row(who) {}
    core::SteadyTime steady() const override { return clock.steady(); }
    core::WallTime wall() const override { return clock.wall(); }
    void sleep_for(Duration d) const override {
      clock.advance(d);
      (void)store.renew(row);
    }
    const core::ManualClock& clock;
    FakeLeaseStore& store;
    const db::NodeRow row;
  } alive(clock, store, other);
  ClusterClock theirs(alive);
  MemberSettings settings;
  settings.node = "a";
  settings.instance = "y";
  ClusterMember member(settings, store, table, theirs, log);
  const auto joined = member.join();
  ASSERT_FALSE(joined);
  EXPECT_EQ(joined.error().kind, core::ErrorKind::Invalid);  // Waiting would not help: the daemon ends.
  EXPECT_NE(joined.error().message.find("cluster.node"), std::string::npos) << joined.error().message;
}

}  // namespace
}  // namespace watchwheel::app::sim
