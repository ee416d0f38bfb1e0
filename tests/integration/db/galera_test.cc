// SPDX-License-Identifier: Apache-2.0
// What a cluster does to its clients: nodes die, freeze and lose their majority; writers of several nodes are told at their commit
// that another one was first.
#include "support/galera.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "contract.h"
#include "core/clock.h"
#include "db/mysql.h"
#include "db/unread_trigger.h"
#include "support/eventually.h"

namespace watchwheel::db {
namespace {

using contract::measured;
using contract::site;
using contract::take;
using contract::whole_story;
using core::ErrorKind;
using namespace std::chrono_literals;

// Each test gets back a cluster of three.
testing::Galera& cluster() {
  static testing::Galera one;
  return one;
}

std::unique_ptr<MysqlConnection> connect(const std::string& url,
                                         std::chrono::seconds answer_wait = kAnswerWait) {
  return take(MysqlConnection::open({take(parse_mysql_url(url)), nullptr, answer_wait}));
}

std::unique_ptr<Store> open_at(std::size_t first_node) {
  return take(open_store(cluster().url("w", first_node)));
}

class GaleraStore : public ::testing::Test {
 protected:
  void SetUp() override {
    auto any = connect(cluster().url("mysql"));
    ASSERT_TRUE(
        any->execute("DROP DATABASE IF EXISTS w;\nCREATE DATABASE w CHARACTER SET utf8mb4"));
    (void)take(open_at(0)->migrate(false));
  }
  void TearDown() override {
    if (HasFailure()) std::puts(cluster().logs().c_str());
  }

  static std::vector<core::SiteId> add_sites(std::size_t count) {
    std::vector<core::SiteRecord> records;
    for (std::size_t i = 1; i <= count; ++i)
      records.push_back(site("https://site-" + std::to_string(i) + ".example/"));
    std::vector<core::SiteId> ids;
    (void)take(take(open_at(0)->make_site_catalog())->upsert(records, &ids));
    return ids;
  }
  static std::int64_t number(const char* sql, std::size_t node = 1) {
    return take(connect(cluster().url("w", node))->number(sql)).value_or(0);
  }
  // Of the counters of all nodes.
  static std::int64_t conflicts() {
    std::int64_t all = 0;
    for (std::size_t node = 0; node < testing::Galera::kNodes; ++node)
      all += *take(
          connect(cluster().url_of(node, "w"))
              ->number("SELECT CAST(SUM(variable_value) AS SIGNED) FROM "
                       "information_schema.global_status WHERE "
                       "variable_name IN ('WSREP_LOCAL_CERT_FAILURES', 'WSREP_LOCAL_BF_ABORTS')"));
    return all;
  }
};

// What a shard does with its batch: again until it is stored.
template <typename Call>
std::uint64_t until_stored(Call call) {
  const core::SystemClock clock;
  for (std::uint64_t refused = 0; refused < 1000; ++refused) {
    const core::Result<void> done = call();
    if (done) return refused;
    EXPECT_NE(done.error().kind, ErrorKind::Invalid) << done.error().message;
    EXPECT_NE(done.error().kind, ErrorKind::Corrupt) << done.error().message;
    clock.sleep_for(20ms);
  }
  ADD_FAILURE() << "never stored";
  return 0;
}

// Goal: while nodes are killed and come back, writers, projector and readers go on over the nodes that are left, and everything
// that was told to be stored is there once. Method: each writes and counts; the node that they use is killed, twice.
TEST_F(GaleraStore, LosingANodeLosesNothing) {
  const auto ids = add_sites(40);
  const core::SystemClock clock;
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> events{0}, marks{0}, pages{0};
  std::atomic<std::uint64_t> refused{0};
  const auto write_events = [&](std::size_t from) {
    const auto store = open_at(0);
    const auto mine = take(store->make_event_store());
    for (std::int64_t round = 0; !stopping; ++round) {
      std::vector<sideeffects::EventWrite> writes;
      for (std::size_t i = from; i < ids.size(); i += 2)
        writes.push_back(whole_story(ids[i], round * 100'000));
      refused += until_stored([&] { return mine->commit(writes); });
      events += writes.size();
      clock.sleep_for(20ms);
    }
  };
  std::thread one([&] { write_events(0); });
  std::thread two([&] { write_events(1); });
  std::thread projector([&] {
    const auto store = open_at(0);
    const auto mine = take(store->make_freshness_sink());
    for (std::int64_t round = 1; !stopping; ++round) {
      std::vector<core::FreshnessMark> batch;
      for (const core::SiteId id : ids) batch.push_back(measured(id, round));
      refused += until_stored([&] { return mine->write(batch); });
      marks = static_cast<std::uint64_t>(round);
      clock.sleep_for(20ms);
    }
  });
  std::thread reader([&] {
    const auto store = open_at(0);
    const auto mine = take(store->make_site_feed());
    while (!stopping) {
      const auto page = mine->load(core::SiteId{}, 100);
      clock.sleep_for(20ms);
      if (!page) continue;
      EXPECT_EQ(page->sites.size(), ids.size());
      ++pages;
    }
  });
  // Until each of them has done something more.
  const auto goes_on = [&] {
    const std::uint64_t events_before = events, marks_before = marks, pages_before = pages;
    return testing::eventually(
        [&] {
          return events > events_before + ids.size() && marks > marks_before + 1 &&
                 pages > pages_before + 1;
        },
        60s);
  };
  EXPECT_TRUE(goes_on());
  for (const std::size_t node : {0U, 1U}) {
    cluster().kill(node);
    EXPECT_TRUE(goes_on()) << "without node " << node;
    cluster().start(node);
    EXPECT_TRUE(goes_on()) << "with node " << node << " again";
  }
  stopping = true;
  for (std::thread* thread : {&one, &two, &projector, &reader}) thread->join();

  EXPECT_GT(refused, 0U) << "nobody noticed: nothing was tested";
  for (std::size_t node = 0; node < testing::Galera::kNodes; ++node) {
    EXPECT_EQ(number("SELECT count(*) FROM events WHERE state = 'closed'", node),
              static_cast<std::int64_t>(events));
    EXPECT_EQ(number("SELECT count(*) FROM event_transitions", node),
              static_cast<std::int64_t>(3 * events));
    EXPECT_EQ(number("SELECT count(*) FROM (SELECT event_id FROM event_transitions GROUP BY "
                     "event_id HAVING count(*) <> 3 OR "
                     "max(seq) <> 3) broken",
                     node),
              0);
    EXPECT_EQ(number("SELECT max(checked_at) - 1700000000000 FROM site_state", node),
              static_cast<std::int64_t>(marks));
  }
}

// Goal: writers at different nodes that change the same rows are told so when they commit, try again, and lose nothing. Method:
// an editor, a shard and a projector at each node.
TEST_F(GaleraStore, WritersAtDifferentNodesAreToldAndTryAgain) {
  constexpr std::int64_t kRounds = 15;
  const auto ids = add_sites(60);
  const std::int64_t before = conflicts();
  std::vector<std::thread> writers;
  for (std::size_t node = 0; node < testing::Galera::kNodes; ++node) {
    writers.emplace_back([&, node] {
      const auto store = open_at(node);
      const auto catalog = take(store->make_site_catalog());
      for (std::int64_t round = 0; round < kRounds; ++round) {
        std::vector<core::SiteId> mine;
        for (std::size_t i = node; i < ids.size(); i += testing::Galera::kNodes)
          mine.push_back(ids[i]);
        const auto done = catalog->set_active(mine, round % 2 == 1);
        EXPECT_TRUE(done) << done.error().message;
        EXPECT_EQ(done ? *done : 0, mine.size());
      }
    });
    writers.emplace_back([&, node] {
      const auto store = open_at(node);
      const auto events = take(store->make_event_store());
      const auto freshness = take(store->make_freshness_sink());
      for (std::int64_t round = 0; round < kRounds; ++round) {
        std::vector<sideeffects::EventWrite> writes;
        std::vector<core::FreshnessMark> marks;
        for (std::size_t i = 0; i < ids.size(); ++i) {
          if (i % testing::Galera::kNodes == node)
            writes.push_back(whole_story(ids[i], round * 100'000));
          marks.push_back(measured(ids[i], round + 1));
        }
        (void)until_stored([&] { return events->commit(writes); });
        (void)until_stored([&] { return freshness->write(marks); });
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_GT(conflicts(), before) << "nothing was tested";

  const auto all = static_cast<std::int64_t>(ids.size());
  EXPECT_EQ(number("SELECT count(*) FROM events WHERE state = 'closed'"), all * kRounds);
  EXPECT_EQ(number("SELECT count(*) FROM event_transitions"), all * kRounds * 3);
  EXPECT_EQ(number("SELECT newest_seq FROM site_changes"), all * (1 + kRounds));
  EXPECT_EQ(number("SELECT count(DISTINCT change_seq) FROM sites"), all);
}

// Goal: a node is made to read its triggers anew without the whole cluster standing still for it.
TEST_F(GaleraStore, TriggersAreReadAnewAtOneNodeAlone) {
  const auto db = connect(cluster().url_of(0, "w"));
  const auto committed = [] {
    return number(
        "SELECT CAST(variable_value AS SIGNED) FROM information_schema.global_status WHERE "
        "variable_name = 'WSREP_LAST_COMMITTED'",
        0);
  };
  const std::int64_t before = committed();
  for (const char* way : kReadTriggersAnew) {
    const auto done = db->execute(way);
    EXPECT_TRUE(done) << way << ": " << done.error().message;
  }
  EXPECT_EQ(committed(), before);
  ASSERT_TRUE(db->execute("FLUSH TABLES sites"));  // As everybody else writes it.
  EXPECT_GT(committed(), before) << "nothing was tested";
}

// Goal: a node that lost its majority takes nothing and is away, not broken; the store goes on when the majority is back.
TEST_F(GaleraStore, ANodeWithoutItsMajorityIsAway) {
  const auto ids = add_sites(1);
  const auto store = open_at(0);
  const auto events = take(store->make_event_store());
  ASSERT_TRUE(events->commit(std::vector{contract::opened(ids[0], 0)}));
  cluster().kill(1);
  cluster().kill(2);
  ASSERT_TRUE(testing::eventually([] { return cluster().sees(0) == 0; }));
  const std::vector next{contract::confirmed(ids[0], 0)};
  for (int i = 0; i < 3; ++i) {
    const auto refused = events->commit(next);
    ASSERT_FALSE(refused);
    EXPECT_TRUE(refused.error().kind == ErrorKind::Unavailable ||
                refused.error().kind == ErrorKind::Unknown)
        << refused.error().message;
  }
  const auto another = open_store(cluster().url_of(0, "w"));
  ASSERT_FALSE(another);
  EXPECT_TRUE(contract::is_error(another.error(), ErrorKind::Unavailable, "majority"));

  // As an administrator would.
  ASSERT_EQ(testing::run_program({"mariadb", "--no-defaults", "-uroot", "-h" + cluster().address(0),
                                  "-e", "SET GLOBAL wsrep_provider_options = 'pc.bootstrap=1'"})
                .status,
            0);
  ASSERT_TRUE(testing::eventually([] { return cluster().serves(0); }));
  cluster().start(1);
  cluster().start(2);
  (void)until_stored([&] { return events->commit(next); });
  EXPECT_EQ(number("SELECT count(*) FROM event_transitions", 2), 2);
}

// Goal: a node that neither answers nor goes away costs one deadline, and then the next one is asked.
TEST_F(GaleraStore, AFrozenNodeIsLeftForTheNext) {
  const auto db = connect(cluster().url("w"), 2s);
  const auto node = [&] {
    Query query = db->query("SELECT @@wsrep_node_name");
    const auto row = query.step();
    return row && *row ? std::string(query.text(0)) : std::string();
  };
  EXPECT_EQ(node(), "n1");
  cluster().pause(0);
  const core::SystemClock clock;
  const core::SteadyTime begin = clock.steady();
  EXPECT_TRUE(testing::eventually([&] { return node() == "n2"; }));
  EXPECT_LT(clock.steady() - begin, 20s);
  const auto stored = db->execute("UPDATE site_changes SET newest_seq = 7");
  EXPECT_TRUE(stored) << stored.error().message;
  cluster().resume(0);
  ASSERT_TRUE(testing::eventually([] { return cluster().serves(0) && cluster().sees(0) == 3; }));
  // It says so a moment before it knows how things are.
  EXPECT_TRUE(testing::eventually([] {
    const auto back =
        MysqlConnection::open({take(parse_mysql_url(cluster().url_of(0, "w"))), nullptr});
    if (!back) return false;
    const auto seen = (*back)->number("SELECT newest_seq FROM site_changes");
    return seen && *seen == 7;
  }));
}

// Goal: of many that migrate at once, at all nodes, one does and the others find it done.
TEST_F(GaleraStore, OneOfManyMigratesWhateverTheNode) {
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(connect(cluster().url("mysql"))
                    ->execute("DROP DATABASE w;\nCREATE DATABASE w CHARACTER SET utf8mb4"));
    std::atomic<int> migrated{0};
    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < 9; ++i) {
      threads.emplace_back([&, i] {
        const auto store = open_at(i);
        const auto report = store->migrate(false);
        ASSERT_TRUE(report) << report.error().message;
        migrated += report->applied.empty() ? 0 : 1;
        EXPECT_TRUE(report->applied.empty() || report->applied.size() == report->after);
        EXPECT_TRUE(store->check_schema());
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(migrated, 1);
    EXPECT_EQ(number("SELECT count(*) FROM schema_turn"), 0);
  }
}

}  // namespace
}  // namespace watchwheel::db
