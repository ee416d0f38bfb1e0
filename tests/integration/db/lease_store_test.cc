// SPDX-License-Identifier: Apache-2.0
// The leases of a cluster on a real server: what each call does, and that nobody writes after another has taken over.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "contract.h"
#include "db/fence.h"
#include "db/mysql.h"

namespace watchwheel::db::contract {
namespace {

using core::BucketNo;

class LeaseContract : public StoreContract {
 protected:
  void SetUp() override {
    StoreContract::SetUp();
    auto made = take(store->make_lease_store());
    if (made == nullptr) GTEST_SKIP() << "one process has this store alone";
    leases = std::move(made);
    ASSERT_TRUE(leases->set_up(8));
  }

  static NodeRow node(const std::string& name, std::int64_t lease_ms = 15'000) {
    NodeRow row;
    row.name = name;
    row.instance = name + "#1";
    row.version = "test";
    row.lease_ms = lease_ms;
    return row;
  }
  NodeRow joined(const std::string& name, std::int64_t lease_ms = 15'000) {
    NodeRow row = node(name, lease_ms);
    EXPECT_TRUE(take(leases->join(row, "")));
    return row;
  }
  static std::vector<BucketNo> all() {
    std::vector<BucketNo> buckets;
    for (std::uint32_t i = 0; i < 8; ++i) buckets.push_back(BucketNo{i});
    return buckets;
  }
  void let_leases_end() { under_test->execute("UPDATE bucket_leases SET expires_at = 1"); }
  // What a node holds that sees the database as it is.
  std::unique_ptr<core::BucketTable> table_of(const std::string& name) {
    auto table = std::make_unique<core::BucketTable>(8, clock);
    table->set_valid_until(core::SteadyTime{std::chrono::hours{1000}});
    const ClusterView view = take(leases->look(name));
    for (const LeaseRow& lease : view.leases) {
      if (lease.owner == name) table->set_epoch(lease.bucket, lease.epoch);
    }
    table->set_fence(view.fence);
    return table;
  }

  core::ManualClock clock;
  std::unique_ptr<LeaseStore> leases;
};

TEST_P(LeaseContract, AllAreFreeAtFirstAndOneTakesThem) {
  const NodeRow a = joined("a");
  const auto taken = take(leases->take(a, all()));
  ASSERT_EQ(taken.size(), 8U);
  for (const Taken& one : taken) {
    EXPECT_EQ(one.epoch, 1U);
    EXPECT_EQ(one.since_ms, 0);
    EXPECT_FALSE(one.expired);
  }
  const ClusterView view = take(leases->look("a"));
  ASSERT_EQ(view.leases.size(), 8U);
  EXPECT_EQ(view.leases[3].owner, "a");
  EXPECT_NEAR(static_cast<double>(view.leases[3].expires_ms - view.now_ms), 15'000, 2000);
  EXPECT_GT(view.fence, 0);
  ASSERT_EQ(view.nodes.size(), 1U);
  EXPECT_EQ(view.nodes[0].state, NodeState::Active);
}

TEST_P(LeaseContract, WhatIsHeldIsNotTakenUntilItEnds) {
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  ASSERT_EQ(take(leases->take(a, {BucketNo{1}, BucketNo{2}})).size(), 2U);
  EXPECT_EQ(take(leases->take(b, all())).size(), 6U);
  const std::int64_t fence = take(leases->look("a")).fence;
  let_leases_end();
  const auto taken = take(leases->take(b, {BucketNo{1}}));
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].epoch, 2U);
  EXPECT_TRUE(taken[0].expired);
  EXPECT_EQ(take(leases->look("a")).fence, fence + 1);
  // What has ended and nobody took goes on under its epoch.
  EXPECT_TRUE(take(leases->renew(a)));
  EXPECT_TRUE(take(leases->take(b, {BucketNo{2}})).empty());
  EXPECT_EQ(take(leases->look("a")).leases[2].epoch, 1U);
}

// Its owner's lease is longer than ours: while the setting is changed host by host.
TEST_P(LeaseContract, SinceWhenNobodyLookedIsToldByTheOwnersLease) {
  (void)take(leases->take(joined("a", 60'000), all()));
  let_leases_end();
  const auto taken = take(leases->take(joined("b", 15'000), all()));
  ASSERT_EQ(taken.size(), 8U);
  EXPECT_EQ(taken[0].since_ms, 1 - 60'000);
}

TEST_P(LeaseContract, AHandOverNamesTheMomentAndKeepsIt) {
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  const NodeRow c = joined("c");
  (void)take(leases->take(a, all()));
  ASSERT_TRUE(leases->announce(b, {BucketNo{5}}));
  ASSERT_TRUE(leases->set_cut(b, {BucketNo{5}}, 77));  // Not its own.
  EXPECT_EQ(take(leases->look("a")).leases[5].cut_ms, 0);
  ASSERT_TRUE(leases->set_cut(a, {BucketNo{5}}, 1234));
  ASSERT_TRUE(leases->announce(c, {BucketNo{5}}));  // Too late.
  const std::int64_t fence = take(leases->look("a")).fence;
  EXPECT_EQ(take(leases->release(a, {BucketNo{5}})), fence + 1);
  LeaseRow row = take(leases->look("a")).leases[5];
  EXPECT_EQ(row.owner, "");
  EXPECT_EQ(row.taker, "b");
  const auto taken = take(leases->take(b, {BucketNo{5}}));
  ASSERT_EQ(taken.size(), 1U);
  EXPECT_EQ(taken[0].since_ms, 1234);
  row = take(leases->look("b")).leases[5];
  EXPECT_EQ(row.owner, "b");
  EXPECT_EQ(row.epoch, 2U);
  EXPECT_EQ(row.cut_ms, 0);
  EXPECT_EQ(row.taker, "");
}

TEST_P(LeaseContract, AWordCanBeTakenBack) {
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  (void)take(leases->take(a, all()));
  ASSERT_TRUE(leases->announce(b, {BucketNo{5}}));
  ASSERT_TRUE(leases->set_cut(a, {BucketNo{5}}, 1234));
  ASSERT_TRUE(leases->set_cut(a, {BucketNo{5}}, 0));
  EXPECT_EQ(take(leases->look("a")).leases[5].taker, "");
}

TEST_P(LeaseContract, AnotherRunOfTheNameEndsTheFormer) {
  const NodeRow a = joined("a");
  (void)take(leases->take(a, all()));
  NodeRow second = a;
  second.instance = "a#2";
  EXPECT_FALSE(take(leases->join(second, "somebody")));
  EXPECT_TRUE(take(leases->join(second, "a#1")));
  EXPECT_FALSE(take(leases->renew(a)));
  ASSERT_TRUE(leases->leave(a));  // Not its row any more.
  const ClusterView view = take(leases->look("a"));
  EXPECT_EQ(view.leases[0].owner, "a");
  EXPECT_EQ(view.leases[0].epoch, 1U);
  EXPECT_EQ(view.nodes[0].state, NodeState::Active);
}

TEST_P(LeaseContract, WhoLeavesGivesAllUp) {
  const NodeRow a = joined("a");
  (void)take(leases->take(a, all()));
  ASSERT_TRUE(leases->leave(a));
  const ClusterView view = take(leases->look("a"));
  EXPECT_EQ(view.nodes[0].state, NodeState::Gone);
  for (const LeaseRow& lease : view.leases) EXPECT_EQ(lease.owner, "");
}

TEST_P(LeaseContract, DrainingIsAskedForByName) {
  (void)joined("a");
  EXPECT_EQ(leases->ask_to_drain("b", true).error().kind, core::ErrorKind::NotFound);
  ASSERT_TRUE(leases->ask_to_drain("a", true));
  EXPECT_TRUE(take(leases->look("a")).nodes[0].drain_wanted);
  ASSERT_TRUE(leases->ask_to_drain("a", true));  // Again.
  ASSERT_TRUE(leases->ask_to_drain("a", false));
  EXPECT_FALSE(take(leases->look("a")).nodes[0].drain_wanted);
}

TEST_P(LeaseContract, TheNumberOfBucketsChangesOnlyWhenNobodyLivesByIt) {
  const NodeRow a = joined("a");
  (void)take(leases->take(a, all()));
  EXPECT_EQ(leases->set_up(16).error().kind, core::ErrorKind::Invalid);
  ASSERT_TRUE(leases->leave(a));
  const std::int64_t fence = take(leases->look("a")).fence;
  ASSERT_TRUE(leases->set_up(16));
  EXPECT_EQ(take(leases->look("a")).fence, fence + 1);  // What it has under way, should it only stand still, is over.
  const ClusterView view = take(leases->look("a"));
  ASSERT_EQ(view.leases.size(), 16U);
  for (const LeaseRow& lease : view.leases) EXPECT_EQ(lease.epoch, 1U);  // Never one that was.
  ASSERT_TRUE(leases->set_up(4));
  EXPECT_EQ(take(leases->look("a")).leases.size(), 4U);
}

// All of them may have lost the database for longer than a lease, and go on with their checks. Whoever is set up wrongly and asks first
// is not to part the sites anew beneath them.
TEST_P(LeaseContract, TheNumberOfBucketsDoesNotChangeWhileNodesMayLive) {
  const NodeRow a = joined("a");
  (void)take(leases->take(a, all()));
  let_leases_end();
  const auto refused = leases->set_up(16);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Invalid);
  EXPECT_NE(refused.error().message.find("node a"), std::string::npos) << refused.error().message;
  EXPECT_EQ(take(leases->look("a")).leases.size(), 8U);
  under_test->execute("UPDATE nodes SET seen_at = seen_at - " + std::to_string(kForgottenAfterMs + 1000));
  EXPECT_TRUE(leases->set_up(16));
}

// It was paused, and another process took its name meanwhile: what it had decided before is not the other's decision.
TEST_P(LeaseContract, AnOldRunChangesNoLeaseOfTheNewOne) {
  const NodeRow old = joined("a");
  NodeRow anew = node("a");
  anew.instance = "a#2";
  ASSERT_TRUE(take(leases->join(anew, old.instance)));
  ASSERT_EQ(take(leases->take(anew, {BucketNo{1}, BucketNo{2}})).size(), 2U);
  const ClusterView before = take(leases->look("a"));
  EXPECT_EQ(leases->take(old, all()).error().kind, core::ErrorKind::Fenced);
  EXPECT_EQ(leases->announce(old, {BucketNo{5}}).error().kind, core::ErrorKind::Fenced);
  EXPECT_EQ(leases->set_cut(old, {BucketNo{1}}, 77).error().kind, core::ErrorKind::Fenced);
  EXPECT_EQ(leases->release(old, {BucketNo{2}}).error().kind, core::ErrorKind::Fenced);
  ASSERT_TRUE(leases->leave(old));
  const ClusterView after = take(leases->look("a"));
  EXPECT_EQ(after.fence, before.fence);
  for (std::size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(after.leases[i].owner, before.leases[i].owner) << i;
    EXPECT_EQ(after.leases[i].taker, "") << i;
    EXPECT_EQ(after.leases[i].cut_ms, 0) << i;
  }
}

// Two take everything that is free at the same moment, again and again.
TEST_P(LeaseContract, OneOfTwoGetsIt) {
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  const auto other_store = take(open_store(under_test->other_url()));
  const auto other = take(other_store->make_lease_store());
  std::set<std::pair<std::uint32_t, std::uint64_t>> seen;
  for (int round = 0; round < 20; ++round) {
    let_leases_end();
    std::vector<Taken> by_b;
    std::thread second([&] { by_b = take(other->take(b, all())); });
    std::vector<Taken> taken = take(leases->take(a, all()));
    second.join();
    taken.insert(taken.end(), by_b.begin(), by_b.end());
    ASSERT_EQ(taken.size(), 8U);
    for (const Taken& one : taken)
      EXPECT_TRUE(seen.emplace(one.bucket.value, one.epoch).second) << one.bucket.value;
  }
}

// ---- The fence ----

TEST_P(LeaseContract, WhatIsOursIsWrittenAndWhatIsNotIsRefused) {
  const core::SiteId site = add_sites(1).front();
  const NodeRow a = joined("a");
  (void)take(leases->take(a, all()));
  auto table = table_of("a");
  const auto fenced = take(store->make_event_store({table.get(), "a", std::string(kShardWriter)}));
  sideeffects::EventWrite write = opened(site, 0);
  write.epoch = 1;
  ASSERT_TRUE(fenced->commit(std::span(&write, 1)));
  write = confirmed(site, 0);
  write.epoch = 2;  // Judged under a lease that we do not have.
  EXPECT_EQ(fenced->commit(std::span(&write, 1)).error().kind, core::ErrorKind::Fenced);
  EXPECT_EQ(table->fenced_total(), 0U);  // The database was not asked.
  write.epoch = 1;
  ASSERT_TRUE(fenced->commit(std::span(&write, 1)));
  EXPECT_EQ(incident_of(site).transitions.size(), 2U);
}

TEST_P(LeaseContract, WhoWasPausedWritesNothingAfterAnotherHasTakenOver) {
  const core::SiteId site = add_sites(1).front();
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  (void)take(leases->take(a, all()));
  auto table = table_of("a");  // What it believes, and goes on to.
  const auto events_of_a = take(store->make_event_store({table.get(), "a", std::string(kShardWriter)}));
  const auto marks_of_a =
      take(store->make_freshness_sink({table.get(), "a", std::string(kProjectorWriter)}));
  const auto warnings_of_a =
      take(store->make_warning_store({table.get(), "a", std::string(kWarningsWriter)}));
  let_leases_end();
  const auto other_store = take(open_store(under_test->other_url()));
  const auto other = take(other_store->make_lease_store());
  ASSERT_EQ(take(other->take(b, {table->of(site)})).size(), 1U);
  sideeffects::EventWrite write = opened(site, 0);
  write.epoch = 1;
  EXPECT_EQ(events_of_a->commit(std::span(&write, 1)).error().kind, core::ErrorKind::Unavailable);
  const core::FreshnessMark mark = measured(site, 0);
  EXPECT_EQ(marks_of_a->write(std::span(&mark, 1)).error().kind, core::ErrorKind::Unavailable);
  sideeffects::WarningWrite warning;
  warning.warning.site = site;
  warning.warning.started_at = warning.at = at(0);
  warning.epoch = 1;
  EXPECT_EQ(warnings_of_a->commit(std::span(&warning, 1)).error().kind,
            core::ErrorKind::Unavailable);
  EXPECT_EQ(table->fenced_total(), 3U);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM events"), 0);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_state"), 0);
  // It has looked: what is not its own is refused for good, and marks of it are passed over.
  table = table_of("a");
  const auto events_again =
      take(store->make_event_store({table.get(), "a", std::string(kShardWriter)}));
  EXPECT_EQ(events_again->commit(std::span(&write, 1)).error().kind, core::ErrorKind::Fenced);
  const auto again = take(store->make_freshness_sink({table.get(), "a", std::string(kProjectorWriter)}));
  EXPECT_TRUE(again->write(std::span(&mark, 1)));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_state"), 0);
}

// One bucket went while we wrote: what is still ours is not held up by it, and is no reason to take the store for away.
TEST_P(LeaseContract, WhatIsStillOursIsWrittenWhenItIsKnownWhatIsNot) {
  const std::vector<core::SiteId> sites = add_sites(20);
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  (void)take(leases->take(a, all()));
  const auto table = table_of("a");
  const core::BucketNo gone = table->of(sites.front());
  const auto ours = std::find_if(sites.begin(), sites.end(),
                                 [&](core::SiteId site) { return table->of(site) != gone; });
  ASSERT_NE(ours, sites.end());
  ASSERT_TRUE(leases->release(a, {gone}));
  ASSERT_EQ(take(leases->take(b, {gone})).size(), 1U);
  // Another thread would look, as it is told here.
  table->on_fenced([&] {
    table->set_epoch(gone, 0);
    table->set_fence(take(leases->look("a")).fence);
  });
  const auto fenced = take(store->make_event_store({.table = table.get(),
                                                    .node = "a",
                                                    .writer = std::string(kShardWriter),
                                                    .patience = std::chrono::seconds{10}}));
  sideeffects::EventWrite write = opened(*ours, 0);
  write.epoch = 1;
  EXPECT_TRUE(fenced->commit(std::span(&write, 1)));
  EXPECT_EQ(table->fenced_total(), 1U);
  write = opened(sites.front(), 0);
  write.epoch = 1;
  EXPECT_EQ(fenced->commit(std::span(&write, 1)).error().kind, core::ErrorKind::Fenced);
}

// The transaction is under way while the other takes over: one of the two waits for the other, or fails.
TEST_P(LeaseContract, AWriteAndATakeoverAtTheSameMomentAreOneAfterTheOther) {
  const core::SiteId site = add_sites(1).front();
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  const auto other_store = take(open_store(under_test->other_url()));
  const auto other = take(other_store->make_lease_store());
  for (int round = 0; round < 20; ++round) {
    under_test->execute("UPDATE bucket_leases SET owner = 'a', expires_at = 1");
    auto table = table_of("a");
    const auto events_of_a =
        take(store->make_event_store({table.get(), "a", std::string(kShardWriter)}));
    const std::uint64_t epoch = table->epoch(table->of(site));
    std::atomic<bool> taken{false};
    std::thread takes([&] { taken = !take(other->take(b, {table->of(site)})).empty(); });
    sideeffects::EventWrite write = whole_story(site, round * 100'000);
    write.epoch = epoch;
    const auto stored = events_of_a->commit(std::span(&write, 1));
    takes.join();
    EXPECT_TRUE(taken);
    // Whatever came first: from now on it is refused.
    write = whole_story(site, round * 100'000 + 50'000);
    write.epoch = epoch;
    EXPECT_FALSE(events_of_a->commit(std::span(&write, 1)));
    EXPECT_EQ(under_test->number("SELECT count(*) FROM events WHERE started_at = " +
                                 std::to_string(core::to_unix_ms(at(round * 100'000)))),
              stored ? 1 : 0);
  }
}

// A node that is stopped in the middle of a transaction, or whose host has lost its power: its session lives, and has locked the row
// that whoever takes over must change. The server is not to keep it for hours. How long it does is the server's to say: some seconds.
TEST_P(LeaseContract, WhoFellSilentInTheMiddleHoldsNobodyUp) {
  const core::SiteId site = add_sites(1).front();
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  (void)take(leases->take(a, all()));
  auto table = table_of("a");
  const auto silent = take(MysqlConnection::open({take(parse_mysql_url(under_test->url())), nullptr}));
  core::Result<Transaction> under_way = Transaction::write(*silent);
  ASSERT_TRUE(under_way);
  Fence fence({table.get(), "a", std::string(kShardWriter)});
  ASSERT_TRUE(fence.pass(*silent, take(table->fence())));
  let_leases_end();
  const core::SystemClock real;
  const core::SteadyTime until = real.steady() + std::chrono::seconds{60};
  std::size_t taken = 0;
  while (taken == 0 && real.steady() < until) {
    const auto tried = leases->take(b, all());  // Waits for the lock, for a while.
    taken = tried ? tried->size() : 0;
  }
  EXPECT_EQ(taken, 8U);
  EXPECT_FALSE(under_way->commit());
  sideeffects::EventWrite write = opened(site, 0);
  write.epoch = 1;
  const auto events_of_a = take(store->make_event_store({table.get(), "a", std::string(kShardWriter)}));
  EXPECT_FALSE(events_of_a->commit(std::span(&write, 1)));
}

// The list follows another table by the hand of one node. It stands still between its question and its commit, and another one has
// changed the list since.
TEST_P(LeaseContract, AListThatFollowsATableIsChangedByWhoHasTheFirstBucket) {
  const NodeRow a = joined("a");
  const NodeRow b = joined("b");
  (void)take(leases->take(a, all()));
  const auto table = table_of("a");
  const auto list = take(store->make_site_catalog({.table = table.get(),
                                                   .node = "a",
                                                   .writer = std::string(kLegacyWriter),
                                                   .patience = std::chrono::seconds{10}}));
  std::vector<core::SiteId> ids;
  const std::vector old{site("https://old.example/")};
  ASSERT_TRUE(list->upsert(old, &ids));
  core::SiteRecord newer = site("https://new.example/");
  newer.id = ids.front();
  const auto look = [&] {
    const ClusterView view = take(leases->look("a"));
    for (const LeaseRow& lease : view.leases)
      table->set_epoch(lease.bucket, lease.owner == "a" ? lease.epoch : 0);
    table->set_fence(view.fence);
  };
  // Another bucket goes: the fence is another one, and the list is still ours.
  ASSERT_TRUE(leases->release(a, {BucketNo{5}}));
  table->on_fenced(look);
  EXPECT_TRUE(list->set_active(ids, false));
  EXPECT_EQ(table->fenced_total(), 1U);
  // It goes itself.
  let_leases_end();
  ASSERT_FALSE(take(leases->take(b, {kFirstBucket})).empty());
  ASSERT_TRUE(catalog->upsert(std::span(&newer, 1), nullptr));
  core::SiteRecord older = old.front();
  older.id = ids.front();
  EXPECT_EQ(list->upsert(std::span(&older, 1), nullptr).error().kind, core::ErrorKind::Fenced);
  EXPECT_EQ(list->remove(ids).error().kind, core::ErrorKind::Fenced);
  EXPECT_EQ(list->set_active(ids, false).error().kind, core::ErrorKind::Fenced);
  EXPECT_EQ(table->fenced_total(), 2U);  // Once it is known, nobody is asked.
  EXPECT_EQ(take(catalog->get(ids.front())).record.url, "https://new.example/");
}

TEST_P(LeaseContract, ALeaseInDoubtIsNotWrittenUnder) {
  const core::SiteId site = add_sites(1).front();
  (void)take(leases->take(joined("a"), all()));
  auto table = table_of("a");
  const auto fenced = take(store->make_event_store({table.get(), "a", std::string(kShardWriter)}));
  table->set_valid_until(core::kNoSteadyTime);
  sideeffects::EventWrite write = opened(site, 0);
  write.epoch = 1;
  EXPECT_EQ(fenced->commit(std::span(&write, 1)).error().kind, core::ErrorKind::Unavailable);
}

TEST_P(LeaseContract, FaultsOfTheVantageAreEachNodesOwn) {
  const auto of_a = take(store->make_vantage_store("a"));
  const auto of_b = take(store->make_vantage_store("b"));
  const sideeffects::VantageEvent event{.started_at = at(0), .reason = "canaries", .detail = "", .withheld = 1};
  ASSERT_TRUE(of_a->put(event));
  ASSERT_TRUE(of_b->put(event));
  EXPECT_EQ(take(of_a->close_open(at(1000))), 1U);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM vantage_events WHERE ended_at IS NULL"), 1);
}

// ---- One bucket of the list ----

TEST_P(LeaseContract, BucketsAreReadOneByOneAndTogetherAreTheWholeList) {
  const std::vector<core::SiteId> ids = add_sites(300);
  under_test->foreign_insert("https://foreign.example/");
  ASSERT_TRUE(catalog->remove(std::span(ids).first(10)));
  std::set<std::uint64_t> seen;
  for (std::uint32_t bucket = 0; bucket < 8; ++bucket) {
    core::SiteId after;
    while (true) {
      const SitePage page = take(feed->load_bucket(core::hashes_of(BucketNo{bucket}, 8), after, 7));
      for (const core::KnownSite& one : page.sites) {
        EXPECT_EQ(core::bucket_of(one.record.id, 8), BucketNo{bucket});
        EXPECT_GT(one.record.id, after);
        after = one.record.id;
        EXPECT_TRUE(seen.insert(after.value).second);
      }
      if (page.last) break;
    }
  }
  EXPECT_EQ(seen.size(), 291U);
}

INSTANTIATE_TEST_SUITE_P(Servers, LeaseContract, ::testing::ValuesIn(servers()),
                         [](const auto& chosen) { return std::string(chosen.param.name); });

}  // namespace
}  // namespace watchwheel::db::contract
