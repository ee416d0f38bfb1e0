// SPDX-License-Identifier: Apache-2.0
// What the contract suite cannot cause from outside: a disk that is full, and a row that somebody
// spoiled.
#include "db/sql_event_store.h"

#include <gtest/gtest.h>

#include "db/migrations.h"
#include "db/sqlite.h"
#include "db/sql_site_catalog.h"
#include "db/sql_site_feed.h"
#include "support/temp_dir.h"

namespace watchwheel::db {
namespace {

class SqliteFaults : public ::testing::Test {
 protected:
  SqliteFaults() : db_(connect()) { (void)migrate(*db_, schema_steps(), false).value(); }
  std::unique_ptr<Connection> connect() {
    return SqliteConnection::open({.path = dir_.file("x.db")}).value();
  }

  static sideeffects::EventWrite opening(std::uint64_t site) {
    sideeffects::EventWrite write;
    write.site = core::SiteId{site};
    write.started_at = core::from_unix_ms(1'700'000'000'000);
    write.failures = 1;
    write.transitions_total = 1;
    write.evidence.detail = std::string(500, 'd');
    write.transitions.resize(1);
    write.transitions[0].seq = 1;
    write.transitions[0].at = write.started_at;
    return write;
  }

  testing::TempDir dir_;
  std::unique_ptr<Connection> db_;
};

TEST_F(SqliteFaults, AFullDiskKeepsNothingOfACommitAndLaterTakesItAll) {
  auto connection = connect();
  ASSERT_TRUE(
      connection->execute("PRAGMA max_page_count = " +
                          std::to_string(*connection->number("PRAGMA page_count").value() + 2)));
  Connection& raw = *connection;
  SqlEventStore store(std::move(connection));
  std::vector<sideeffects::EventWrite> writes;
  for (std::uint64_t site = 1; site <= 100; ++site) writes.push_back(opening(site));

  const auto refused = store.commit(writes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Unavailable) << refused.error().message;
  EXPECT_EQ(db_->number("SELECT count(*) FROM events").value(), 0);

  ASSERT_TRUE(raw.execute("PRAGMA max_page_count = 100000"));
  ASSERT_TRUE(store.commit(writes));
  EXPECT_EQ(db_->number("SELECT count(*) FROM events").value(), 100);
}

TEST_F(SqliteFaults, ASpoiledSiteIsToldByName) {
  SqlSiteCatalog catalog(connect());
  core::SiteRecord record;
  record.url = "https://shop.example/";
  ASSERT_TRUE(catalog.upsert(std::span(&record, 1), nullptr));
  ASSERT_TRUE(db_->execute("UPDATE sites SET options = '{\"timeout\":5}'"));
  SqlSiteFeed feed(connect());
  const auto page = feed.load(core::SiteId{}, 10);
  ASSERT_TRUE(page);
  ASSERT_EQ(page->sites.size(), 1U);
  EXPECT_NE(page->sites[0].problem.find("site 1: option timeout"), std::string::npos)
      << page->sites[0].problem;
}

TEST_F(SqliteFaults, ASpoiledEventIsCorruptByName) {
  SqlEventStore store(connect());
  const sideeffects::EventWrite write = opening(1);
  ASSERT_TRUE(store.commit(std::span(&write, 1)));
  ASSERT_TRUE(db_->execute("UPDATE events SET cause = 'gremlins'"));
  const auto event = store.open_event(core::SiteId{1});
  ASSERT_FALSE(event);
  EXPECT_EQ(event.error().kind, core::ErrorKind::Corrupt);
  EXPECT_NE(event.error().message.find("gremlins"), std::string::npos);
}

TEST_F(SqliteFaults, AMissingTransitionCostsItsOwnSiteAndIsNotWrittenOver) {
  SqlEventStore store(connect());
  const sideeffects::EventWrite write = opening(1);
  ASSERT_TRUE(store.commit(std::span(&write, 1)));
  ASSERT_TRUE(db_->execute("DELETE FROM event_transitions"));
  EXPECT_EQ(store.commit(std::span(&write, 1)).error().kind, core::ErrorKind::Invalid);
}

}  // namespace
}  // namespace watchwheel::db
