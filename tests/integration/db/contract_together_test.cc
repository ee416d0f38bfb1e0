// SPDX-License-Identifier: Apache-2.0
// Several at once, and the schema: migrations, writers side by side, a store that somebody holds.
#include <atomic>
#include <thread>

#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::ErrorKind;

TEST_P(StoreContract, MigratingTwiceIsMigratingOnce) {
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  const MigrationReport again = take(store->migrate(false));
  EXPECT_EQ(again.before, again.after);
  EXPECT_TRUE(again.applied.empty());
  EXPECT_TRUE(store->check_schema());
  EXPECT_EQ(load_all(10).size(), 2U);
  EXPECT_EQ(incident_of(ids[0]).transitions.size(), 1U);
}

TEST_P(StoreContract, ADryRunTellsTheStepsAndTakesNone) {
  const auto empty = GetParam().make();
  const auto fresh = take(open_store(empty->url()));
  const MigrationReport report = take(fresh->migrate(true));
  EXPECT_EQ(report.before, 0U);
  EXPECT_GT(report.after, 0U);
  EXPECT_EQ(report.applied.size(), report.after);
  EXPECT_FALSE(fresh->check_schema());
  EXPECT_EQ(take(fresh->migrate(false)).applied.size(), report.applied.size());
  EXPECT_TRUE(fresh->check_schema());
}

TEST_P(StoreContract, WithoutItsSchemaAStoreNamesTheRemedy) {
  const auto empty = GetParam().make();
  const auto fresh = take(open_store(empty->url()));
  const auto checked = fresh->check_schema();
  ASSERT_FALSE(checked);
  EXPECT_TRUE(is_error(checked.error(), ErrorKind::Invalid, "watchwheel migrate"));
  EXPECT_TRUE(is_error(fresh->make_site_feed().error(), ErrorKind::Invalid, "watchwheel migrate"));
  EXPECT_TRUE(
      is_error(fresh->make_event_store().error(), ErrorKind::Invalid, "watchwheel migrate"));
}

TEST_P(StoreContract, ANewerSchemaIsRefused) {
  under_test->execute(
      "INSERT INTO schema_version (version, title, applied_at) VALUES (9999, 'from the future', "
      "0)");
  EXPECT_TRUE(is_error(store->migrate(false).error(), ErrorKind::Invalid, "newer"));
  EXPECT_TRUE(is_error(store->migrate(true).error(), ErrorKind::Invalid, "newer"));
  EXPECT_TRUE(is_error(store->check_schema().error(), ErrorKind::Invalid, "newer"));
  EXPECT_TRUE(is_error(store->make_site_catalog().error(), ErrorKind::Invalid, "newer"));
}

TEST_P(StoreContract, ManyMayOpenAndMigrateAtOnce) {
  for (int round = 0; round < 5; ++round) {
    const auto empty = GetParam().make();
    std::atomic<std::size_t> applied{0};
    std::atomic<int> failed{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 8; ++i) {
      threads.emplace_back([&empty, &applied, &failed] {
        const auto opened_store = open_store(empty->url());
        if (!opened_store) {
          ADD_FAILURE() << opened_store.error().message;
          ++failed;
          return;
        }
        const auto report = (*opened_store)->migrate(false);
        if (!report) {
          ADD_FAILURE() << report.error().message;
          ++failed;
          return;
        }
        applied += report->applied.size();
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failed, 0);
    EXPECT_EQ(applied,
              static_cast<std::size_t>(empty->number("SELECT max(version) FROM schema_version")));
  }
}

// Goal: writers of every kind and readers side by side lose nothing and see no half-done change.
// Method: two event stores, the projector's sink and an editor on one store, while the feed loads;
// then count.
TEST_P(StoreContract, WritersSideBySideLoseNothing) {
  constexpr std::size_t kSites = 200;
  constexpr std::int64_t kRounds = 20;
  const auto ids = add_sites(kSites);
  const auto write_events = [&](std::size_t first, std::size_t step) {
    const auto mine = take(store->make_event_store());
    for (std::int64_t round = 0; round < kRounds; ++round) {
      std::vector<sideeffects::EventWrite> writes;
      for (std::size_t i = first; i < kSites; i += step)
        writes.push_back(whole_story(ids[i], round * 100'000));
      const auto done = mine->commit(writes);
      EXPECT_TRUE(done) << done.error().message;
    }
  };
  std::thread one([&] { write_events(0, 2); });
  std::thread two([&] { write_events(1, 2); });
  std::thread projector([&] {
    const auto mine = take(store->make_freshness_sink());
    for (std::int64_t round = 1; round <= kRounds; ++round) {
      std::vector<core::FreshnessMark> marks;
      for (const core::SiteId id : ids) marks.push_back(measured(id, round));
      const auto done = mine->write(marks);
      EXPECT_TRUE(done) << done.error().message;
    }
  });
  std::thread editor([&] {
    const auto mine = take(store->make_site_catalog());
    for (std::int64_t round = 1; round <= kRounds; ++round) {
      const auto done = mine->set_active(ids, round % 2 == 0);
      EXPECT_TRUE(done) << done.error().message;
      EXPECT_EQ(*done, kSites);
    }
  });
  for (int round = 0; round < 20; ++round) {
    const auto all = load_all(kSites);
    ASSERT_EQ(all.size(), kSites);
    // One page is one moment: the editor pauses all or none.
    for (const core::KnownSite& one_site : all)
      ASSERT_EQ(one_site.record.active, all[0].record.active);
  }
  for (std::thread* thread : {&one, &two, &projector, &editor}) thread->join();

  EXPECT_EQ(under_test->number("SELECT count(*) FROM events WHERE state = 'closed'"),
            static_cast<std::int64_t>(kSites) * kRounds);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM event_transitions"),
            static_cast<std::int64_t>(kSites) * kRounds * 3);
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_state WHERE checked_at = " +
                               std::to_string(core::to_unix_ms(at(kRounds)))),
            static_cast<std::int64_t>(kSites));
  const auto changes = take(feed->changes(core::ChangeSeq{}, 1000));
  EXPECT_EQ(changes.size(), kSites);
  EXPECT_EQ(take(feed->newest_change()).value, kSites * (1 + kRounds));
}

// Goal: a store that somebody holds is Unavailable to each writer, no reader waits, and afterwards
// the same call succeeds.
TEST_P(StoreContract, AHeldStoreIsUnavailableToWritersOnly) {
  const auto ids = add_sites(1);
  const std::vector writes{opened(ids[0], 0)};
  {
    const std::shared_ptr<void> held = under_test->lock();
    std::vector<std::thread> writers;
    writers.emplace_back([&] {
      EXPECT_TRUE(
          is_error(events->commit(writes).error(), ErrorKind::Unavailable, "another process"));
    });
    writers.emplace_back([&] {
      EXPECT_TRUE(is_error(freshness->write(std::vector{measured(ids[0], 1)}).error(),
                           ErrorKind::Unavailable, "another process"));
    });
    writers.emplace_back([&] {
      EXPECT_TRUE(
          is_error(catalog->remove(ids).error(), ErrorKind::Unavailable, "another process"));
    });
    EXPECT_EQ(load_all(10).size(), 1U);
    EXPECT_TRUE(take(incidents->list({}, 0, 10)).empty());
    for (std::thread& writer : writers) writer.join();
  }
  EXPECT_TRUE(events->commit(writes));
  EXPECT_EQ(incident_of(ids[0]).transitions.size(), 1U);
}

TEST_P(StoreContract, TheStoreOutlivesItsConnections) {
  const auto ids = add_sites(2);
  commit(opened(ids[0], 0));
  feed.reset(), catalog.reset(), incidents.reset(), events.reset(), freshness.reset(),
      store.reset();
  store = take(open_store(under_test->url()));
  feed = take(store->make_site_feed());
  const auto all = load_all(10);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all[0].open_event);
}

}  // namespace
}  // namespace watchwheel::db::contract
