// SPDX-License-Identifier: Apache-2.0
#include "db/migrations.h"
#include "db/sqlite.h"

#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace watchwheel::db {
namespace {

class Migrations : public ::testing::Test {
 protected:
  Migrations() : db_(SqliteConnection::open({.path = dir_.file("x.db")}).value()) {}

  testing::TempDir dir_;
  std::unique_ptr<Connection> db_;
};

const SchemaStep kFirst{
    1, "first",
    "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, title TEXT, applied_at INTEGER);"
    "CREATE TABLE a (x)"};
const SchemaStep kSecond{2, "second", "CREATE TABLE b (x); INSERT INTO b SELECT x + 1 FROM a"};

TEST_F(Migrations, AreNumberedWithoutGaps) {
  std::uint32_t version = 0;
  for (const SchemaStep& step : schema_steps()) EXPECT_EQ(step.version, ++version);
}

TEST_F(Migrations, ApplyWhatIsMissingToWhatIsThere) {
  ASSERT_EQ(migrate(*db_, {kFirst}, false)->applied.size(), 1U);
  ASSERT_TRUE(db_->execute("INSERT INTO a VALUES (41)"));
  const MigrationReport report = migrate(*db_, {kFirst, kSecond}, false).value();
  EXPECT_EQ(report.before, 1U);
  EXPECT_EQ(report.after, 2U);
  ASSERT_EQ(report.applied.size(), 1U);
  EXPECT_EQ(report.applied[0].title, "second");
  EXPECT_EQ(db_->number("SELECT x FROM b").value(), 42);
}

TEST_F(Migrations, DryRunTellsAndChangesNothing) {
  const MigrationReport report = migrate(*db_, {kFirst, kSecond}, true).value();
  EXPECT_EQ(report.before, 0U);
  EXPECT_EQ(report.after, 2U);
  EXPECT_EQ(report.applied.size(), 2U);
  EXPECT_EQ(db_->number("SELECT count(*) FROM sqlite_schema").value(), 0);
}

TEST_F(Migrations, AStepThatFailsIsTakenBackWholeAndTheOnesBeforeStay) {
  const SchemaStep broken{2, "broken", "CREATE TABLE b (x); INSERT INTO nowhere VALUES (1)"};
  const auto failed = migrate(*db_, {kFirst, broken}, false);
  ASSERT_FALSE(failed);
  EXPECT_NE(failed.error().message.find("migration 2 (broken)"), std::string::npos);
  EXPECT_EQ(schema_version(*db_).value(), 1U);
  EXPECT_EQ(db_->number("SELECT count(*) FROM sqlite_schema WHERE name = 'b'").value(), 0);
  EXPECT_TRUE(migrate(*db_, {kFirst, kSecond}, false));
}

TEST_F(Migrations, ANewerSchemaIsRefused) {
  ASSERT_TRUE(migrate(*db_, {kFirst, kSecond}, false));
  const auto refused = migrate(*db_, {kFirst}, false);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Invalid);
  EXPECT_NE(refused.error().message.find("newer watchwheel"), std::string::npos);
  const auto newest = schema_steps().back().version;
  ASSERT_TRUE(db_->execute("INSERT INTO schema_version VALUES (" + std::to_string(newest + 1) +
                           ", 'from the future', 0)"));
  EXPECT_FALSE(check_schema(*db_));
}

}  // namespace
}  // namespace watchwheel::db
