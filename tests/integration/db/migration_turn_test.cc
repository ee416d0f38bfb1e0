// SPDX-License-Identifier: Apache-2.0
#include "db/migration_turn.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "contract.h"
#include "core/clock.h"
#include "db/mysql_store.h"
#include "support/eventually.h"
#include "support/mariadb.h"

namespace watchwheel::db {
namespace {

using contract::take;
using namespace std::chrono_literals;

constexpr MigrationTurn::Pace kLively{.beat = 50ms, .silent_polls = 10, .unheard_polls = 5};

class MigrationTurns : public ::testing::Test {
 protected:
  static testing::MariaDb& server() {
    static testing::MariaDb one;
    return one;
  }
  static MysqlAccess access() { return {take(parse_mysql_url(server().url("m"))), nullptr}; }
  static std::unique_ptr<Connection> session() { return take(MysqlConnection::open(access())); }
  static core::Result<std::unique_ptr<MigrationTurn>> turn(MigrationTurn::Pace pace) {
    return MigrationTurn::take(session(), pace);
  }

  void SetUp() override {
    const auto any =
        take(MysqlConnection::open({take(parse_mysql_url(server().url("mysql"))), nullptr}));
    ASSERT_TRUE(
        any->execute("DROP DATABASE IF EXISTS m;\nCREATE DATABASE m CHARACTER SET utf8mb4"));
  }
};

TEST_F(MigrationTurns, OneAtATimeHasIt) {
  std::atomic<int> inside{0};
  std::atomic<int> had{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      const auto mine = take(turn(kLively));
      EXPECT_EQ(++inside, 1);
      core::SystemClock().sleep_for(150ms);
      EXPECT_TRUE(mine->held());
      --inside;
      ++had;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(had, 6);
}

// Goal: whoever shows life keeps the turn, however long; whoever shows none loses it and notices. Method: a holder that counts
// while another one waits for twice the silence; then one that counts every second only, and a waiter of less patience.
TEST_F(MigrationTurns, ASilentHolderLosesItAndNotices) {
  std::atomic<bool> given_back{false};
  auto holder = take(turn(kLively));
  std::thread waiter([&] {
    const auto mine = take(turn(kLively));
    EXPECT_TRUE(given_back);
  });
  core::SystemClock().sleep_for(4s);
  EXPECT_TRUE(holder->held());
  given_back = true;
  holder.reset();
  waiter.join();

  holder = take(turn({.beat = 2s, .silent_polls = 1000}));
  const auto heir = take(turn({.beat = 50ms, .silent_polls = 3}));
  EXPECT_TRUE(heir->held());
  EXPECT_TRUE(testing::eventually([&] { return !holder->held(); }));
  holder.reset();  // Gives nothing back that is another's.
  EXPECT_EQ(*take(session()->number("SELECT count(*) FROM schema_turn")), 1);
}

// Goal: who waits while the server is silent, as a Galera node is through a long change of the schema, goes on waiting; of one that
// stays away it tells. Method: the server dies between two looks and comes back; then it does not.
TEST_F(MigrationTurns, ASilentServerIsWaitedForWithinABound) {
  auto holder = take(turn(kLively));
  std::atomic<bool> given_back{false};
  std::thread waiter([&, waiting = session()]() mutable {
    const auto mine = take(MigrationTurn::take(
        std::move(waiting), {.beat = 50ms, .silent_polls = 50, .unheard_polls = 1000}));
    EXPECT_TRUE(given_back);
    EXPECT_TRUE(mine->held());
  });
  core::SystemClock().sleep_for(500ms);
  server().kill();
  core::SystemClock().sleep_for(1s);
  server().start_again();
  core::SystemClock().sleep_for(500ms);
  given_back = true;
  holder.reset();
  waiter.join();

  auto mine = session();
  server().kill();
  const auto refused =
      MigrationTurn::take(std::move(mine), {.beat = 50ms, .silent_polls = 10, .unheard_polls = 3});
  server().start_again();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Unavailable);
}

// Goal: a server that dies in the middle of a migration is migrated to the end afterwards. Method: it is killed a little later each
// time, from at once to after the end; the turn of the migration that died with it is inherited.
TEST_F(MigrationTurns, AMigrationThatItsServerCutOffIsTakenToItsEnd) {
  const core::SystemClock clock;
  int cut_off = 0;
  for (int round = 0; round < 6; ++round) {
    SetUp();
    const auto store = take(MysqlStore::open(access(), kLively));
    std::atomic<bool> started{false};
    std::thread migrating([&] {
      started = true;
      if (!store->migrate(false)) ++cut_off;
    });
    ASSERT_TRUE(testing::eventually([&] { return started.load(); }));
    clock.sleep_for(10ms * (1 << round));
    server().kill();
    migrating.join();
    server().start_again();
    const auto report = take(MysqlStore::open(access(), kLively))->migrate(false);
    ASSERT_TRUE(report) << report.error().message;
    EXPECT_TRUE(store->check_schema());
    const auto again = take(store->migrate(false));
    EXPECT_TRUE(again.applied.empty());
    const auto catalog = take(store->make_site_catalog());
    const std::vector records{contract::site("https://a.example/")};
    EXPECT_EQ(take(catalog->upsert(records, nullptr)).added, 1U);
    ASSERT_TRUE(session()->execute("INSERT INTO sites (url) VALUES ('http://theirs.example/')"));
    EXPECT_EQ(*take(session()->number("SELECT newest_seq FROM site_changes")), 2);
  }
  EXPECT_GT(cut_off, 0) << "nothing was tested";
}

}  // namespace
}  // namespace watchwheel::db
