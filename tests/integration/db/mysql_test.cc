// SPDX-License-Identifier: Apache-2.0
// What a database server does to a connection: goes away, refuses, ties two writers in a knot; and what the connector would hide.
#include "db/mysql.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <thread>
#include <utility>

#include "contract.h"
#include "db/mysql_store.h"
#include "db/sql_incident_log.h"
#include "support/certs.h"
#include "support/fault_server.h"
#include "support/mariadb.h"

namespace watchwheel::db {
namespace {

using contract::is_error;
using contract::take;
using core::ErrorKind;
using ::testing::HasSubstr;

testing::MariaDb& server() {
  static testing::MariaDb one;
  return one;
}

MysqlAccess access(const std::string& url) {
  return {take(parse_mysql_url(url)), nullptr};
}
std::unique_ptr<MysqlConnection> open() {
  return take(MysqlConnection::open(access(server().url("mysql"))));
}
std::string text(Connection& connection, const char* sql) {
  Query query = connection.query(sql);
  EXPECT_TRUE(take(query.step()));
  return std::string(query.text(0));
}
void must(const core::Result<void>& done) {
  ASSERT_TRUE(done) << done.error().message;
}

// Goal: a server that answers each statement in time and all of them too late does not hold a writer for ever. Method: a clock
// that is moved on inside a transaction.
TEST(Mysql, ATransactionHasADeadline) {
  const core::ManualClock clock;
  MysqlAccess timed = access(server().url("mysql"));
  timed.clock = &clock;
  const auto db = take(MysqlConnection::open(timed));
  {
    auto transaction = take(Transaction::write(*db));
    clock.advance(kTransactionWait);
    EXPECT_TRUE(db->number("SELECT 1"));
    clock.advance(std::chrono::seconds(1));
    EXPECT_TRUE(is_error(db->number("SELECT 1").error(), ErrorKind::Unavailable, "slow"));
    EXPECT_FALSE(transaction.commit());
  }
  auto next = take(Transaction::write(*db));
  EXPECT_TRUE(db->number("SELECT 1"));
  EXPECT_TRUE(next.commit());
}

// A table of two rows, (1, 0) and (2, 0), gone with the object.
class Table {
 public:
  Table() : db_(open()) {
    must(
        db_->execute("DROP DATABASE IF EXISTS x;\nCREATE DATABASE x;\n"
                     "CREATE TABLE x.t (id INT PRIMARY KEY, n BIGINT NOT NULL) ENGINE=InnoDB;\n"
                     "INSERT INTO x.t VALUES (1, 0), (2, 0);\n"));
  }
  std::int64_t sum() { return *take(db_->number("SELECT CAST(SUM(n) AS SIGNED) FROM x.t")); }
  Connection& db() { return *db_; }

 private:
  std::unique_ptr<MysqlConnection> db_;
};

testing::MariaDb::Options options(std::vector<std::string> all) {
  return [all = std::move(all)](const testing::TempDir&) { return all; };
}

void kill_session(Connection& victim) {
  const auto id = *take(victim.number("SELECT CONNECTION_ID()"));
  must(open()->execute("KILL " + std::to_string(id)));
}

void kill_all_sessions_but(Connection& survivor) {
  for (int i = 0; i < 10; ++i) {
    const auto other = take(survivor.number(
        "SELECT min(id) FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND user = "
        "'root'"));
    if (!other) return;
    (void)survivor.execute("KILL " + std::to_string(*other));
  }
}

TEST(Mysql, TheSessionIsWhatWeAskedFor) {
  const auto db = open();
  EXPECT_EQ(text(*db, "SELECT @@session.tx_isolation"), "READ-COMMITTED");
  EXPECT_EQ(text(*db, "SELECT @@session.time_zone"), "+00:00");
  EXPECT_EQ(text(*db, "SELECT @@session.character_set_client"), "utf8mb4");
  EXPECT_THAT(text(*db, "SELECT @@session.sql_mode"), HasSubstr("STRICT_ALL_TABLES"));
  EXPECT_EQ(*take(db->number("SELECT @@session.innodb_lock_wait_timeout")), kLockWait.count());
  const std::int64_t now = take(db->now_ms());
  EXPECT_NEAR(static_cast<double>(now),
              static_cast<double>(core::to_unix_ms(core::SystemClock().wall())), 60'000);
}

TEST(Mysql, NumberedParametersStandWhereTheyAreNamed) {
  const auto db = open();
  Query query = db->query("SELECT ?2, ?1, ?2, CONCAT(?3, '!')");
  query.bind(std::int64_t{7}).bind(std::string_view("two")).bind(std::string_view("t\xc3\xa9"));
  ASSERT_TRUE(take(query.step()));
  EXPECT_EQ(query.text(0), "two");
  EXPECT_EQ(query.integer(1), 7);
  EXPECT_EQ(query.text(2), "two");
  EXPECT_EQ(query.text(3), "t\xc3\xa9!");
}

// Goal: a session that the server ended is opened anew by the next call, and never in the middle of a transaction, whose first
// half would be lost.
TEST(Mysql, ALostSessionComesBackButNotInsideATransaction) {
  Table table;
  const auto db = open();
  const Sql add = "UPDATE x.t SET n = n + 1 WHERE id = ?";
  kill_session(*db);
  EXPECT_FALSE(db->query(add).bind(std::int64_t{1}).run());  // Tells that it is lost.
  must(db->query(add).bind(std::int64_t{1}).run());
  EXPECT_EQ(table.sum(), 1);
  {
    auto transaction = take(Transaction::write(*db));
    must(db->query(add).bind(std::int64_t{1}).run());
    kill_session(*db);
    EXPECT_FALSE(db->query(add).bind(std::int64_t{2}).run());
    EXPECT_FALSE(
        db->query(add).bind(std::int64_t{2}).run());  // Not in a session of its own either.
    EXPECT_FALSE(transaction.commit());
  }
  EXPECT_EQ(table.sum(), 1);
  must(db->query(add).bind(std::int64_t{2}).run());
  EXPECT_EQ(table.sum(), 2);
}

// Goal: when the session ends while it commits, nobody knows whether it was stored, and that is said.
TEST(Mysql, ACommitWithoutAnAnswerIsUnknown) {
  Table table;
  const auto db = open();
  auto transaction = take(Transaction::write(*db));
  must(db->query("UPDATE x.t SET n = 5 WHERE id = 1").run());
  kill_session(*db);
  const auto done = transaction.commit();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, ErrorKind::Unknown) << done.error().message;
  EXPECT_EQ(table.sum(), 0);
}

// Goal: two writers that wait for each other both succeed. Method: each changes the two rows in the opposite order, again and
// again; the first time each has its first row before either wants its second, so one of them must give way.
TEST(Mysql, WritersThatWaitForEachOtherBothSucceed) {
  Table table;
  constexpr int kRounds = 50;
  std::atomic<int> conflicts{0};
  std::latch both_have_one(2);
  const auto write = [&](std::int64_t first, std::int64_t second) {
    const auto db = open();
    bool met = false;
    for (int round = 0; round < kRounds; ++round) {
      const auto done = retried(*db, [&]() -> core::Result<void> {
        auto transaction = Transaction::write(*db);
        if (!transaction) return transaction.error();
        for (const std::int64_t id : {first, second}) {
          auto added = db->query("UPDATE x.t SET n = n + 1 WHERE id = ?").bind(id).run();
          if (!added) {
            conflicts += db->conflicted() ? 1 : 0;
            return added;
          }
          if (!std::exchange(met, true)) both_have_one.arrive_and_wait();
        }
        return transaction->commit();
      });
      EXPECT_TRUE(done) << done.error().message;
    }
  };
  std::thread one([&] { write(1, 2); });
  std::thread other([&] { write(2, 1); });
  one.join();
  other.join();
  EXPECT_EQ(table.sum(), 4 * kRounds);
  EXPECT_GT(conflicts, 0) << "nothing was tested";
}

TEST(Mysql, TheNextHostIsTakenWhenTheFirstIsAway) {
  const std::string dead = "127.0.0.1:" + std::to_string(testing::closed_port());
  const std::string alive = "127.0.0.1:" + std::to_string(server().port());
  const auto db =
      take(MysqlConnection::open(access("mysql://root@" + dead + "," + alive + "/mysql")));
  EXPECT_EQ(*take(db->number("SELECT 1")), 1);
  const auto none = MysqlConnection::open(access("mysql://root@" + dead + "/mysql"));
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().kind, ErrorKind::Unavailable);
}

// Goal: a server that became read only is left for the next host, and one that is read only from the beginning is not taken.
TEST(Mysql, AReadOnlyServerIsLeftForTheNextHost) {
  const testing::MariaDb first;
  const std::string hosts =
      "127.0.0.1:" + std::to_string(first.port()) + ",127.0.0.1:" + std::to_string(server().port());
  Table table;  // On the second.
  const auto db = take(MysqlConnection::open(access("mysql://root@" + hosts + "/mysql")));
  const auto on_first = take(MysqlConnection::open(access(first.url("mysql"))));
  // Root may write all the same, so the refusal is told by hand: what counts is that a new session does not stay there.
  must(on_first->execute("SET GLOBAL read_only = 1"));
  kill_all_sessions_but(*on_first);
  EXPECT_FALSE(db->number("SELECT 1"));
  EXPECT_EQ(*take(db->number("SELECT @@port")), server().port());
  EXPECT_TRUE(is_error(MysqlConnection::open(access(first.url("mysql"))).error(),
                       ErrorKind::Unavailable, "read only"));
}

// Goal: after a statement failed inside a transaction nothing of what follows is stored one by one: the server may have ended the
// transaction (a deadlock, a cluster's certification).
TEST(Mysql, ATransactionThatMetAFailureStoresNothingMore) {
  Table table;
  const auto db = open();
  {
    auto transaction = take(Transaction::write(*db));
    must(db->query("UPDATE x.t SET n = 1 WHERE id = 1").run());
    EXPECT_FALSE(db->query("INSERT INTO x.t VALUES (2, 5)").run());  // There is one already.
    EXPECT_FALSE(db->query("UPDATE x.t SET n = 7 WHERE id = 2").run());
    const auto done = transaction.commit();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::Invalid);
  }
  EXPECT_EQ(table.sum(), 0);
  must(db->query("UPDATE x.t SET n = 7 WHERE id = 2").run());
  EXPECT_EQ(table.sum(), 7);
}

TEST(Mysql, ThePasswordIsAskedForEachSession) {
  must(
      open()->execute("CREATE OR REPLACE USER w@'127.0.0.1' IDENTIFIED BY 'first';\n"
                      "GRANT ALL ON *.* TO w@'127.0.0.1'"));
  std::string password = "first";
  MysqlAccess by_password =
      access("mysql://w@127.0.0.1:" + std::to_string(server().port()) + "/mysql");
  by_password.password = [&]() -> core::Result<std::string> { return password; };
  const auto db = take(MysqlConnection::open(by_password));
  must(open()->execute("ALTER USER w@'127.0.0.1' IDENTIFIED BY 'second'"));
  kill_session(*db);
  (void)db->number("SELECT 1");
  const auto refused = db->number("SELECT 1");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("store.password_file"));
  EXPECT_THAT(refused.error().message, ::testing::Not(HasSubstr("first")));
  password = "second";
  EXPECT_EQ(*take(db->number("SELECT 1")), 1);
}

// Goal: a server that would lose what we promise to keep, or cannot take our batches, is refused with what to change.
TEST(Mysql, AServerThatBreaksOurPromisesIsRefused) {
  const testing::MariaDb lossy(options({"--innodb-flush-log-at-trx-commit=2"}));
  const auto refused = open_store(lossy.url("mysql"));
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid, "innodb_flush_log_at_trx_commit is 2"));
  EXPECT_TRUE(open_store(lossy.url("mysql") + "?lossy_commit=yes"));
  const testing::MariaDb small(options({"--max-allowed-packet=1M"}));
  const auto narrow = open_store(small.url("mysql"));
  ASSERT_FALSE(narrow);
  EXPECT_TRUE(is_error(narrow.error(), ErrorKind::Invalid, "max_allowed_packet"));
}

// Goal: each host of a list is held to the same, whenever a session is opened there; what was asked meanwhile is told that the store
// is away, not that it was wrong.
TEST(Mysql, AHostThatBreaksOurPromisesIsLeftForTheNextOne) {
  const testing::MariaDb changing;
  const auto at = [](const testing::MariaDb& one) {
    return "127.0.0.1:" + std::to_string(one.port());
  };
  const auto alone = take(MysqlConnection::open(access(changing.url("mysql"))));
  const auto listed = take(MysqlConnection::open(
      access("mysql://root@" + at(changing) + "," + at(server()) + "/mysql")));
  EXPECT_EQ(*take(listed->number("SELECT @@port")), changing.port());
  const auto setter = take(MysqlConnection::open(access(changing.url("mysql"))));
  must(setter->execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2"));
  kill_all_sessions_but(*setter);
  EXPECT_FALSE(listed->number("SELECT 1"));  // Tells that its session is lost.
  EXPECT_EQ(*take(listed->number("SELECT @@port")), server().port());
  EXPECT_FALSE(alone->number("SELECT 1"));
  EXPECT_TRUE(is_error(alone->number("SELECT 1").error(), ErrorKind::Unavailable,
                       "innodb_flush_log_at_trx_commit is 2"));
  must(setter->execute("SET GLOBAL innodb_flush_log_at_trx_commit = 1"));
  EXPECT_EQ(*take(alone->number("SELECT 1")), 1);
}

// Goal: who is not let in is told so at once, and does not wait for it; of a list each host's reason is told, and one that is only
// away may come back.
TEST(Mysql, WhoIsNotLetInIsToldSo) {
  const auto refused = [](const std::string& user, const std::string& hosts,
                          const std::string& database) {
    const auto store = open_store("mysql://" + user + "@" + hosts + "/" + database);
    return store ? core::Error{ErrorKind::NotFound, "let in"} : store.error();
  };
  const std::string here = "127.0.0.1:" + std::to_string(server().port());
  const std::string nobody = "127.0.0.1:" + std::to_string(testing::free_port());
  EXPECT_TRUE(is_error(refused("stranger", here, "mysql"), ErrorKind::Invalid,
                       "check the user in store.url"));
  EXPECT_TRUE(is_error(refused("root", here, "nowhere"), ErrorKind::Invalid, "create it"));
  EXPECT_TRUE(is_error(refused("root", nobody, "mysql"), ErrorKind::Unavailable, nobody));
  const core::Error both = refused("stranger", here + "," + nobody, "mysql");
  EXPECT_TRUE(is_error(both, ErrorKind::Unavailable, "check the user in store.url"));
  EXPECT_TRUE(is_error(both, ErrorKind::Unavailable, nobody));
}

// Goal: what is open now costs what is open now, whatever the history. Method: the rows that the server itself counts as read.
TEST(Mysql, WhatIsOpenIsReadWithoutItsHistory) {
  must(open()->execute("DROP DATABASE IF EXISTS x;\nCREATE DATABASE x;\n"));
  auto store = take(open_store(server().url("x")));
  (void)take(store->migrate(false));
  auto opened = take(MysqlConnection::open(access(server().url("x"))));
  Connection& db = *opened;
  // 2000 outages that have ended, in 20 groups of 100 each; 3 that go on, two of them in a group of their own.
  must(db.execute(
      "SET SESSION max_recursive_iterations = 5000;\n"
      "INSERT INTO outage_groups (id, started_at) WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT"
      " i + 1 FROM n WHERE i < 21) SELECT i, i * 1000 FROM n;\n"
      "INSERT INTO events (site_id, state, started_at, ended_at, failures, merged, transitions_total,"
      " cause, phase, detail, address, group_id) WITH RECURSIVE n AS (SELECT 1 i UNION ALL SELECT"
      " i + 1 FROM n WHERE i < 2003) SELECT i, IF(i > 2000, 'down', 'closed'), i,"
      " IF(i > 2000, NULL, i + 1), 3, 0, 1, 'http_status', 'body', '', '',"
      " IF(i = 2003, NULL, i DIV 100 + 1) FROM n;\n"
      "ANALYZE TABLE events;\nANALYZE TABLE outage_groups;\n"));
  SqlIncidentLog log(std::move(opened));
  const auto read_by = [&](const auto& ask) {
    must(db.execute("FLUSH STATUS"));
    ask();
    return *take(db.number(
        "SELECT CAST(SUM(VARIABLE_VALUE) AS SIGNED) FROM information_schema.session_status WHERE"
        " VARIABLE_NAME LIKE 'HANDLER_READ%'"));
  };
  EXPECT_LT(read_by([&] { EXPECT_EQ(take(log.count_open()).down, 3U); }), 50);
  EXPECT_LT(read_by([&] {
              const auto groups = take(log.groups({.open_only = true}, 100));
              ASSERT_EQ(groups.size(), 1U);
              EXPECT_EQ(groups[0].down, 2U);
            }),
            500);
  EXPECT_LT(read_by([&] {
              const IncidentFilter lately{.since = core::from_unix_ms(1950)};
              EXPECT_EQ(take(log.groups(lately, 100)).size(), 2U);
            }),
            1000);
  EXPECT_GT(read_by([&] { EXPECT_EQ(take(log.groups({}, 100)).size(), 21U); }), 2000)
      << "nothing is counted";
}

// Who waits for the server would wait for ever for a file of this host that cannot be opened.
TEST(Mysql, AMirrorWhoseFileCannotBeOpenedIsNotTheServersFailure) {
  const auto store = take(open_store(server().url("mysql")));
  const auto mirror = store->make_notice_mirror("/proc/none/notices.db");
  ASSERT_FALSE(mirror);
  EXPECT_EQ(mirror.error().kind, ErrorKind::Invalid) << mirror.error().message;
}

// Goal: what the URL says of TLS is what happens: the connector ignores options that it does not know.
TEST(Mysql, TlsIsVerifiedWhereItIsAskedFor) {
  const testing::Authority authority("Database authority");
  const testing::Authority stranger("Another authority");
  const testing::Certificate certificate =
      authority.issue({.common_name = "db", .ips = {"127.0.0.1"}});
  const testing::MariaDb secure([&](const testing::TempDir& dir) {
    testing::write_pem(certificate, dir.file("cert.pem"));
    testing::write_key(certificate, dir.file("key.pem"));
    return std::vector<std::string>{"--ssl-cert=" + dir.file("cert.pem"),
                                    "--ssl-key=" + dir.file("key.pem")};
  });
  const auto asked = [&](const std::string& parameters) {
    return MysqlConnection::open(access(secure.url("mysql") + parameters));
  };
  const auto verified = asked("?tls=verify&tls_ca=" + authority.ca_file());
  ASSERT_TRUE(verified) << verified.error().message;
  EXPECT_NE(text(**verified,
                 "SELECT VARIABLE_VALUE FROM information_schema.session_status WHERE "
                 "VARIABLE_NAME = 'SSL_CIPHER'"),
            "");
  const auto refused_for_tls = [](const auto& result) {
    return !result && result.error().message.find("(2026)") != std::string::npos;
  };
  EXPECT_TRUE(refused_for_tls(asked("?tls=verify&tls_ca=" + stranger.ca_file())));
  EXPECT_TRUE(refused_for_tls(asked("?tls=verify")));  // The machine does not know this authority.
  EXPECT_TRUE(asked("?tls=require"));
  // The certificate names 127.0.0.1.
  const auto by_another_name = [&](const std::string& tls) {
    return MysqlConnection::open(access("mysql://root@localhost:" + std::to_string(secure.port()) +
                                        "/mysql?tls=" + tls + "&tls_ca=" + authority.ca_file()));
  };
  EXPECT_TRUE(by_another_name("require"));
  EXPECT_TRUE(refused_for_tls(by_another_name("verify")));
}

}  // namespace
}  // namespace watchwheel::db
