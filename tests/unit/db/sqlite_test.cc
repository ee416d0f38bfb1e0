// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "support/temp_dir.h"

namespace watchwheel::db {
namespace {

using core::ErrorKind;

class Sqlite : public ::testing::Test {
 protected:
  std::unique_ptr<SqliteConnection> open(ConnectionOptions options = {}) {
    options.path = dir_.file("x.db");
    auto opened = SqliteConnection::open(options);
    return std::move(opened).value();
  }
  static void must(const core::Result<void>& done) { ASSERT_TRUE(done) << done.error().message; }

  testing::TempDir dir_;
};

TEST_F(Sqlite, ValuesComeBackAsTheyWereBound) {
  auto db = open();
  must(db->execute("CREATE TABLE t (a, b, c, d, e, f)"));
  const std::string text("with\0nul", 8);
  {
    Query insert = db->query("INSERT INTO t VALUES (?, ?, ?, ?, ?, ?)");
    insert.bind(std::int64_t{INT64_MIN})
        .bind(std::string_view(text))
        .bind(std::string_view{})
        .bind(nullptr);
    insert.bind(core::from_unix_ms(1'700'000'000'123)).bind(core::kNoWallTime);
    must(insert.run());
  }
  Query row = db->query("SELECT * FROM t");
  ASSERT_TRUE(row.step().value());
  EXPECT_EQ(row.integer(0), INT64_MIN);
  EXPECT_EQ(row.text(1), text);
  EXPECT_FALSE(row.is_null(2));
  EXPECT_EQ(row.text(2), "");
  EXPECT_TRUE(row.is_null(3));
  EXPECT_EQ(row.time(4), core::from_unix_ms(1'700'000'000'123));
  EXPECT_TRUE(row.is_null(5));
  EXPECT_EQ(row.time(5), core::kNoWallTime);
  EXPECT_FALSE(row.step().value());
}

TEST_F(Sqlite, AQueryIsCompiledOnceAndUsedAgain) {
  auto db = open();
  static const char* const kSql = "SELECT ?";
  for (std::size_t i = 0; i < 10 * kQueriesMax; ++i) {
    Query query = db->query(kSql);
    query.bind(static_cast<std::int64_t>(i));
    ASSERT_TRUE(query.step().value());
    ASSERT_EQ(query.integer(0), static_cast<std::int64_t>(i));
  }
}

TEST_F(Sqlite, AQueryThatFailedToCompileMayCompileLater) {
  auto db = open();
  static const char* const kSql = "SELECT a FROM later";
  for (std::size_t i = 0; i < 2 * kQueriesMax; ++i) {
    const core::Result<void> run = db->query(kSql).run();
    ASSERT_FALSE(run);
    EXPECT_EQ(run.error().kind, ErrorKind::Invalid);
    EXPECT_NE(run.error().message.find("watchwheel migrate"), std::string::npos)
        << run.error().message;
  }
  must(db->execute("CREATE TABLE later (a)"));
  EXPECT_TRUE(db->query(kSql).run());
}

TEST_F(Sqlite, AQueryUsedTwiceAtOnceStopsTheProcess) {
  auto db = open();
  static const char* const kSql = "SELECT 1";
  const Query first = db->query(kSql);
  EXPECT_DEATH((void)db->query(kSql), "twice at the same time");
}

TEST_F(Sqlite, ATransactionThatIsLeftIsRolledBack) {
  auto db = open();
  must(db->execute("CREATE TABLE t (a)"));
  {
    auto transaction = Transaction::write(*db);
    ASSERT_TRUE(transaction);
    must(db->execute("INSERT INTO t VALUES (1)"));
  }
  EXPECT_EQ(db->number("SELECT count(*) FROM t").value(), 0);
  auto transaction = Transaction::write(*db);
  must(db->execute("INSERT INTO t VALUES (1)"));
  must(transaction->commit());
  EXPECT_EQ(db->number("SELECT count(*) FROM t").value(), 1);
}

TEST_F(Sqlite, AConstraintIsInvalid) {
  auto db = open();
  must(db->execute("CREATE TABLE t (a INTEGER CHECK (a > 0)) STRICT"));
  EXPECT_EQ(db->execute("INSERT INTO t VALUES (-1)").error().kind, ErrorKind::Invalid);
  EXPECT_EQ(db->execute("INSERT INTO t VALUES ('x')").error().kind, ErrorKind::Invalid);
}

TEST_F(Sqlite, ALockedStoreIsUnavailable) {
  auto holder = open();
  auto held = Transaction::write(*holder);
  ASSERT_TRUE(held);
  auto other = open({.path = {}, .busy_wait = std::chrono::milliseconds{4}});
  const auto refused = Transaction::write(*other);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, ErrorKind::Unavailable);
  EXPECT_NE(refused.error().message.find(dir_.file("x.db")), std::string::npos);
  EXPECT_NE(refused.error().message.find("another process"), std::string::npos);
}

// Goal: a full disk is Unavailable, keeps what was there, and the connection goes on when there is
// room again. Method: a file that may not grow beyond a few pages.
TEST_F(Sqlite, AFullDiskIsUnavailableAndPasses) {
  auto db = open();
  must(db->execute("CREATE TABLE t (a)"));
  must(db->execute("PRAGMA max_page_count = 4"));
  {
    auto transaction = Transaction::write(*db);
    core::Result<void> done;
    for (int i = 0; i < 100 && done; ++i)
      done = db->execute("INSERT INTO t VALUES (zeroblob(1000))");
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().kind, ErrorKind::Unavailable);
    EXPECT_NE(done.error().message.find("make room"), std::string::npos) << done.error().message;
  }
  EXPECT_EQ(db->number("SELECT count(*) FROM t").value(), 0);
  must(db->execute("PRAGMA max_page_count = 1000"));
  auto transaction = Transaction::write(*db);
  must(db->execute("INSERT INTO t VALUES (1)"));
  must(transaction->commit());
}

TEST_F(Sqlite, WhatIsNoDatabaseIsCorrupt) {
  std::ofstream(dir_.file("x.db")) << std::string(8192, 'x');
  const auto opened = SqliteConnection::open({.path = dir_.file("x.db")});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().kind, ErrorKind::Corrupt);
  EXPECT_NE(opened.error().message.find("not an SQLite database"), std::string::npos);
}

TEST_F(Sqlite, ADamagedPageIsCorrupt) {
  {
    auto db = open();
    must(db->execute("CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(3000))"));
    must(db->execute("PRAGMA wal_checkpoint(TRUNCATE)"));
  }
  std::fstream file(dir_.file("x.db"), std::ios::in | std::ios::out | std::ios::binary);
  file.seekp(4096);
  file << std::string(4096, '\xEE');
  file.close();
  auto db = open();
  const auto read = db->number("SELECT length(a) FROM t");
  ASSERT_FALSE(read);
  EXPECT_EQ(read.error().kind, ErrorKind::Corrupt);
}

TEST_F(Sqlite, TheConnectionIsSetUpAsPromised) {
  auto db = open({.path = {}, .durability = Durability::OnDisk});
  EXPECT_EQ(db->number("PRAGMA foreign_keys").value(), 1);
  EXPECT_EQ(db->number("PRAGMA synchronous").value(), 2);
  EXPECT_EQ(db->number("PRAGMA trusted_schema").value(), 0);
  EXPECT_EQ(db->number("PRAGMA secure_delete").value(), 2);
  EXPECT_FALSE(db->execute("SELECT \"no such column\""));  // Not taken as a text.
  EXPECT_EQ(
      open({.path = {}, .durability = Durability::InOrder})->number("PRAGMA synchronous").value(),
      1);
}

TEST_F(Sqlite, ANewFileIsNotForEveryoneToRead) {
  auto db = open();
  struct stat found {};
  ASSERT_EQ(::stat(dir_.file("x.db").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0007, 0U);
}

TEST_F(Sqlite, NowIsTheTimeOfTheMachine) {
  auto db = open();
  const core::SystemClock clock;
  const std::int64_t before = core::to_unix_ms(clock.wall());
  const std::int64_t now = db->now_ms().value();
  EXPECT_GE(now, before - 1);
  EXPECT_LE(now, core::to_unix_ms(clock.wall()) + 1);
}

}  // namespace
}  // namespace watchwheel::db
