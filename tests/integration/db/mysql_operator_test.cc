// SPDX-License-Identifier: Apache-2.0
// What docs/operations/database.md promises to who runs the server: which rights are enough, that a password is never shown, how
// long a server that says nothing is waited for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <fstream>

#include "contract.h"
#include "core/clock.h"
#include "db/mysql.h"
#include "support/eventually.h"
#include "support/galera.h"
#include "support/mariadb.h"

namespace watchwheel::db {
namespace {

using contract::measured;
using contract::take;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

constexpr const char* kPassword = "correct horse battery";

std::unique_ptr<MysqlConnection> root(const std::string& url) {
  return take(MysqlConnection::open({take(parse_mysql_url(url)), nullptr}));
}
StoreAccess as(const std::string& user, std::string url) {
  url.replace(url.find("root@"), 4, user);
  return {url, [] { return core::Result<std::string>(kPassword); }};
}

void grant(const std::string& url) {
  const std::string by = std::string(" IDENTIFIED BY '") + kPassword + "'";
  const auto done = root(url)->execute(
      "CREATE DATABASE watchwheel CHARACTER SET utf8mb4;\n"
      "CREATE USER 'admin'@'127.%'" +
      by +
      ";\n"
      "GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX, TRIGGER ON watchwheel.* TO "
      "'admin'@'127.%';\n"
      "CREATE USER 'daemon'@'127.%'" +
      by +
      ";\n"
      "GRANT SELECT, INSERT, UPDATE, DELETE ON watchwheel.* TO 'daemon'@'127.%'");
  ASSERT_TRUE(done) << done.error().message;
}

// Migrated by the one, used by the other.
void use_with_least_rights(const std::string& url) {
  grant(url.substr(0, url.rfind('/')) + "/mysql");
  const auto unready = take(open_store(as("daemon", url)));
  const auto refused = unready->migrate(false);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("grant"));
  const auto migrated = take(open_store(as("admin", url)))->migrate(false);
  ASSERT_TRUE(migrated) << migrated.error().message;

  const auto store = take(open_store(as("daemon", url)));
  EXPECT_TRUE(take(store->migrate(false)).applied.empty()) << "nothing is left to do";
  const auto catalog = take(store->make_site_catalog());
  std::vector<core::SiteId> ids;
  const std::vector records{contract::site("https://a.example/"),
                            contract::site("https://b.example/")};
  (void)take(catalog->upsert(records, &ids));
  EXPECT_EQ(take(catalog->set_active(ids, false)), 2U);
  const auto events = take(store->make_event_store());
  EXPECT_TRUE(events->commit(std::vector{contract::whole_story(ids[0], 0)}));
  EXPECT_TRUE(take(store->make_freshness_sink())->write(std::vector{measured(ids[0], 1)}));
  EXPECT_EQ(take(take(store->make_site_feed())->load({}, 10)).sites.size(), 2U);
  EXPECT_EQ(take(take(store->make_incident_log())->list({}, 0, 10)).size(), 1U);
  EXPECT_TRUE(take(store->make_vantage_store())->close_open(contract::at(0)));
  EXPECT_EQ(take(catalog->remove(ids)), 2U);
}

TEST(MysqlOperator, TheDocumentedRightsAreEnough) {
  const testing::MariaDb server;
  use_with_least_rights(server.url("watchwheel"));
}

TEST(MysqlOperator, TheDocumentedRightsAreEnoughInACluster) {
  // A node counts as one that writes a binary log.
  const testing::Galera cluster({"--log-bin-trust-function-creators=1"});
  use_with_least_rights(cluster.url("watchwheel"));
}

// Goal: a journal can be told whose it is.
TEST(MysqlOperator, ADatabaseIsToldFromAnotherOne) {
  const testing::MariaDb server;
  ASSERT_TRUE(root(server.url("mysql"))->execute("CREATE DATABASE one;\nCREATE DATABASE two"));
  const auto made = [&](const char* name) {
    const auto store = take(open_store({server.url(name), nullptr}));
    (void)take(store->migrate(false));
    return take(store->identity());
  };
  const std::string one = made("one");
  EXPECT_NE(one, made("two"));
  EXPECT_EQ(one, made("one")) << "opened again, and with nothing left to migrate";
  ASSERT_TRUE(root(server.url("mysql"))->execute("DROP DATABASE one;\nCREATE DATABASE one"));
  EXPECT_NE(one, made("one"));
}

// Goal: whatever goes wrong between us and the server, the password is not in what is told of it.
TEST(MysqlOperator, APasswordIsNeverTold) {
  const testing::MariaDb server;
  grant(server.url("mysql"));
  const std::string host = "127.0.0.1:" + std::to_string(server.port());
  const std::vector<std::string> urls{
      "mysql://nobody@" + host + "/watchwheel",  // Not let in.
      "mysql://daemon@" + host + "/mysql",       // Not to this database.
      "mysql://daemon@" + host + "/nowhere",     // There is none.
      "mysql://daemon@127.0.0.1:" + std::to_string(testing::free_port()) +
          "/watchwheel",  // Nobody answers.
      "mysql://daemon@no-such-host.invalid/watchwheel?tls=off",
      "mysql://daemon@" + host + "/watchwheel?tls=require",                // The server has none.
      "mysql://daemon:correct%20horse%20battery@" + host + "/watchwheel",  // In the wrong place.
      std::string("mysql://daemon@") + host + "/watchwheel?password=" + kPassword,
      std::string("mysql://") + kPassword + "/watchwheel",
  };
  for (const std::string& url : urls) {
    const auto refused = open_store({url, [] { return core::Result<std::string>(kPassword); }});
    ASSERT_FALSE(refused) << url;
    for (const char* part : {"correct", "horse", "battery"})
      EXPECT_THAT(refused.error().message, Not(HasSubstr(part)));
  }
}

// Goal: a server that keeps its connections and says nothing holds nobody longer than its deadline, and no new session hangs.
TEST(MysqlOperator, ASilentServerIsWaitedForNoLongerThanItsDeadline) {
  const testing::MariaDb server;
  const auto db =
      take(MysqlConnection::open({take(parse_mysql_url(server.url("mysql"))), nullptr, 1s}));
  const core::SystemClock clock;
  ::kill(server.pid(), SIGSTOP);
  ASSERT_TRUE(testing::eventually([&] {
    std::ifstream stat("/proc/" + std::to_string(server.pid()) + "/stat");
    std::string text((std::istreambuf_iterator<char>(stat)), std::istreambuf_iterator<char>());
    return text.find(") T ") != std::string::npos;
  }));
  core::SteadyTime begin = clock.steady();
  EXPECT_FALSE(db->execute("DO 1"));
  EXPECT_GE(clock.steady() - begin, 900ms);
  EXPECT_LT(clock.steady() - begin, 5s);
  begin = clock.steady();
  const auto refused = db->execute("DO 1");  // A new session.
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Unavailable);
  EXPECT_LT(clock.steady() - begin, kConnectWait + 5s);
  ::kill(server.pid(), SIGCONT);
  EXPECT_TRUE(db->execute("DO 1"));
}

// Goal: a server that is killed is found again when it is back, by the same object, and what was not told as stored is not there.
TEST(MysqlOperator, AKilledServerIsFoundAgain) {
  testing::MariaDb server;
  ASSERT_TRUE(
      root(server.url("mysql"))->execute("CREATE DATABASE watchwheel CHARACTER SET utf8mb4"));
  const auto store = take(open_store(server.url("watchwheel")));
  (void)take(store->migrate(false));
  std::vector<core::SiteId> ids;
  const std::vector records{contract::site("https://a.example/")};
  (void)take(take(store->make_site_catalog())->upsert(records, &ids));
  const auto events = take(store->make_event_store());
  const auto feed = take(store->make_site_feed());
  std::int64_t stored = 0;
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(events->commit(std::vector{contract::whole_story(ids[0], ++stored * 1'000'000)}));
    server.kill();
    for (int i = 0; i < 3; ++i) {
      const auto refused =
          events->commit(std::vector{contract::whole_story(ids[0], (stored + 1) * 1'000'000)});
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().kind, core::ErrorKind::Unavailable) << refused.error().message;
      EXPECT_FALSE(feed->newest_change());
    }
    server.start_again();
    EXPECT_TRUE(feed->newest_change());
  }
  EXPECT_EQ(take(take(store->make_incident_log())->list({}, 0, 10)).size(), 3U);
}

// Goal: nothing goes over the network in the clear that should not, though the client library would. Method: a server without TLS.
TEST(MysqlOperator, AServerWithoutTlsIsRefusedWhereTlsIsWanted) {
  const testing::MariaDb server;
  for (const char* tls : {"require", "verify"}) {
    const auto refused = open_store(server.url("mysql") + "?tls=" + tls);
    ASSERT_FALSE(refused) << tls;
    EXPECT_THAT(refused.error().message, HasSubstr("(2026)")) << tls;
  }
  EXPECT_TRUE(open_store(server.url("mysql") + "?tls=off"));
}

// Goal: limits of the server that would fail us later are told at the start.
TEST(MysqlOperator, TooFewConnectionsAreRefusedAtTheStart) {
  const testing::MariaDb narrow(
      [](const testing::TempDir&) { return std::vector<std::string>{"--max-connections=12"}; });
  const auto refused = open_store(narrow.url("mysql"));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(
      contract::is_error(refused.error(), core::ErrorKind::Invalid, "max_connections is 12"));
}

}  // namespace
}  // namespace watchwheel::db
