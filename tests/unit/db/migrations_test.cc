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

// Goal: a store of before there were warnings keeps its events, their ids and the ids that may not be given again. Method: the steps up
// to then, an event with transitions and one that was removed again, and the rest of the steps.
TEST_F(Migrations, EventsMoveToTheTableThatHasWarnings) {
  std::vector<SchemaStep> before = schema_steps();
  std::erase_if(before, [](const SchemaStep& step) { return step.version > 16; });
  ASSERT_TRUE(migrate(*db_, before, false));
  const auto add = [&](int id, const std::string& state, const std::string& ended) {
    ASSERT_TRUE(db_->execute(
        "INSERT INTO events (id, site_id, started_at, state, ended_at, failures, merged,"
        " transitions_total, cause, phase, detail, address, acked_by) VALUES (" +
        std::to_string(id) + ", 7, " + std::to_string(id * 1000) + ", '" + state + "', " + ended +
        ", 3, 0, 2, 'http_status', 'first_byte', 'x', '', 'ann')"));
    for (const char* seq : {"1", "2"}) {
      ASSERT_TRUE(db_->execute(
          "INSERT INTO event_transitions (event_id, seq, reason, before_state, after_state, at,"
          " failures, cause, phase, detail, address, who) VALUES (" +
          std::to_string(id) + ", " + seq + ", 'opened', 'up', 'down', 1, 1, 'ok', 'done', '', '',"
          " 'bob')"));
    }
  };
  add(3, "closed", "3500");
  add(5, "down", "NULL");
  add(9, "closed", "9500");
  ASSERT_TRUE(db_->execute("DELETE FROM event_transitions WHERE event_id = 9"));
  ASSERT_TRUE(db_->execute("DELETE FROM events WHERE id = 9"));
  ASSERT_TRUE(migrate(*db_, schema_steps(), false));

  EXPECT_EQ(db_->number("SELECT count(*) FROM events WHERE kind = 'outage' AND acked_by = 'ann'"
                        " AND step_ms IS NULL").value(), 2);
  EXPECT_EQ(db_->number("SELECT count(*) FROM event_transitions t JOIN events e ON e.id ="
                        " t.event_id WHERE t.who = 'bob'").value(), 4);
  EXPECT_EQ(db_->number("SELECT id FROM events WHERE ended_at IS NULL").value(), 5);
  const std::string rest =
      "started_at, state, failures, merged, transitions_total, cause, phase, detail, address,"
      " site_id, kind) VALUES (1000000, 'warning', 0, 0, 1, 'ok', 'tls', '', '', 7, ";
  ASSERT_TRUE(db_->execute("INSERT INTO events (" + rest + "'tls_expiring')"));
  EXPECT_EQ(db_->last_insert_id().value(), 10) << "9 was given";
  // One of a kind; and no state that does not fit it.
  EXPECT_FALSE(db_->execute("INSERT INTO events (" + rest + "'tls_expiring')"));
  EXPECT_FALSE(db_->execute("INSERT INTO events (" + rest + "'outage')"));
  EXPECT_TRUE(db_->execute("INSERT INTO events (" + rest + "'latency_exceeded')"));
  // The transitions refer to the new table, and nothing to an old one.
  EXPECT_FALSE(db_->execute("DELETE FROM events WHERE id = 5"));
  EXPECT_EQ(db_->number("SELECT count(*) FROM pragma_foreign_key_check").value(), 0);
  EXPECT_EQ(db_->number("SELECT count(*) FROM sqlite_schema WHERE name LIKE '%\\_new%' ESCAPE '\\'"
                        " OR sql LIKE '%events\\_new%' ESCAPE '\\'").value(), 0);
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
