// SPDX-License-Identifier: Apache-2.0
// Goal: what a running daemon asks of the site list again and again reads what it needs and no more:
// with a million sites a scan a second would be all that the store does. Method: SQLite's own plan
// of each query, on the real schema.
#include <gtest/gtest.h>

#include "db/delivery_rows.h"
#include "db/migrations.h"
#include "db/notice_handover.h"
#include "db/response_pages.h"
#include "db/site_parents.h"
#include "db/sql_delivery_queue.h"
#include "db/sql_history_store.h"
#include "db/sql_incident_log.h"
#include "db/sql_notice_mirror.h"
#include "db/sql_outbox.h"
#include "db/sql_site_catalog.h"
#include "db/sql_site_feed.h"
#include "db/sql_uptime_log.h"
#include "db/sql_warning_store.h"
#include "db/sqlite.h"
#include "support/temp_dir.h"

namespace watchwheel::db {
namespace {

// The lines of the plan that read all rows of a table, or sort.
std::vector<std::string> costly_steps(const std::string& path, const std::string& sql) {
  const std::string explain = "EXPLAIN QUERY PLAN " + sql;
  std::vector<std::string> costly;
  // A query is known by its address, so each has a connection that ends with its text.
  const auto connection = SqliteConnection::open({.path = path}).value();
  Query plan = connection->query(explain.c_str());
  while (plan.step().value()) {
    const std::string step(plan.text(3));
    const bool one_row = step == "SCAN site_changes" || step == "SCAN CONSTANT ROW";
    if ((step.starts_with("SCAN") && !one_row) || step.starts_with("USE TEMP B-TREE"))
      costly.push_back(step);
  }
  return costly;
}

class QueryPlans : public ::testing::Test {
 protected:
  void SetUp() override {
    const auto connection = SqliteConnection::open({.path = path_}).value();
    ASSERT_TRUE(migrate(*connection, schema_steps(), false));
  }
  testing::TempDir dir_;
  const std::string path_ = dir_.file("x.db");
};

TEST_F(QueryPlans, OfTheFeedFollowAnIndex) {
  const auto queries = site_feed_queries();
  EXPECT_GE(queries.size(), 5U);
  for (const Sql& sql : queries)
    EXPECT_EQ(costly_steps(path_, sql.sqlite), std::vector<std::string>{}) << sql.sqlite;
}

TEST_F(QueryPlans, OfEditsFollowAnIndex) {
  const auto queries = site_edit_queries();
  EXPECT_GE(queries.size(), 8U);
  for (const Sql& sql : queries)
    EXPECT_EQ(costly_steps(path_, sql.sqlite), std::vector<std::string>{}) << sql.sqlite;
}

// What the router asks while it tells people, and nothing that grows with the list.
TEST_F(QueryPlans, OfParentsFollowAnIndex) {
  const auto queries = site_parents_queries();
  EXPECT_GE(queries.size(), 8U);
  for (const Sql& sql : queries)
    EXPECT_EQ(costly_steps(path_, sql.sqlite), std::vector<std::string>{}) << sql.sqlite;
}

// Groups are few, their outages many: those are only read of groups that are listed, or through the index of the open ones.
TEST_F(QueryPlans, OfWhatIsOpenReadNoHistory) {
  const auto queries = outage_queries();
  EXPECT_GE(queries.size(), 2U);
  for (const Sql& sql : queries) {
    for (const std::string& step : costly_steps(path_, sql.sqlite)) {
      const bool of_events = step == "SCAN e" || step.starts_with("SCAN e ") ||
                             step.starts_with("SCAN o") || step.starts_with("SCAN c") ||
                             step.starts_with("SCAN events");
      EXPECT_TRUE(!of_events || step.ends_with("USING INDEX events_open") ||
                  step.starts_with("SCAN outage_groups"))
          << step;
    }
  }
}

// What is open is walked by its own index; and what a warning is written with by key.
TEST_F(QueryPlans, OfWarningsFollowAnIndex) {
  const auto queries = warning_queries();
  EXPECT_GE(queries.size(), 5U);
  for (const Sql& sql : queries)
    EXPECT_EQ(costly_steps(path_, sql.sqlite), std::vector<std::string>{}) << sql.sqlite;
}

// A report walks the sites by their ids, and their events and gaps by range.
TEST_F(QueryPlans, OfAReportFollowTheOrderOfSites) {
  const auto queries = uptime_queries();
  EXPECT_GE(queries.size(), 4U);
  for (const Sql& sql : queries) {
    for (const std::string& step : costly_steps(path_, sql.sqlite))
      EXPECT_TRUE(step.starts_with("SCAN json_each")) << step << " in " << sql.sqlite;
  }
}

// What is old is found by index and removed by key; response times by their keys. What is read from end to end is the outbox: it is
// short.
TEST_F(QueryPlans, OfWhatIsKeptFollowAnIndex) {
  std::vector<Sql> queries = history_queries();
  EXPECT_GE(queries.size(), 14U);
  for (const Sql& sql : response_page_queries()) queries.push_back(sql);
  for (const Sql& sql : queries) {
    for (const std::string& step : costly_steps(path_, sql.sqlite))
      EXPECT_TRUE(step.starts_with("SCAN outbox")) << step << " in " << sql.sqlite;
  }
}

// A heap of deliveries is claimed, finished and put behind one another by index alone. What is read from end to end on purpose is the
// outbox: it is short, or read a page at a time by its ids.
TEST_F(QueryPlans, OfDeliveriesFollowAnIndex) {
  std::vector<Sql> queries = delivery_queue_queries();
  for (const std::vector<Sql>& more : {delivery_row_queries(), outbox_queries(), held_queries(),
                                       notice_mirror_queries(), handover_queries()})
    queries.insert(queries.end(), more.begin(), more.end());
  EXPECT_GE(queries.size(), 30U);
  for (const Sql& sql : queries) {
    for (const std::string& step : costly_steps(path_, sql.sqlite))
      EXPECT_EQ(step, "SCAN outbox") << sql.sqlite;
  }
}

TEST_F(QueryPlans, ATestThatCouldNotFailWouldPassThese) {
  EXPECT_FALSE(costly_steps(path_, "SELECT id FROM sites WHERE name = 'x'").empty());
  EXPECT_FALSE(costly_steps(path_, "SELECT id FROM sites ORDER BY url").empty());
}

}  // namespace
}  // namespace watchwheel::db
