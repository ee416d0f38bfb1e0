// SPDX-License-Identifier: Apache-2.0
// Goal: the server finds deliveries by the index that was made for it, in its order, and changes rows by their ids: a claim that sorts
// locks all that waits, and two that change rows in different orders wait for each other. Method: its own plan of every statement,
// with thousands of rows there. What claimers really do to each other is in contract_deliveries_test.cc.
#include <cppconn/driver.h>
#include <cppconn/resultset.h>
#include <cppconn/statement.h>
#include <gtest/gtest.h>

#include <regex>

#include "contract.h"
#include "db/delivery_rows.h"
#include "db/mysql.h"
#include "db/sql_delivery_queue.h"
#include "db/sql_incident_log.h"
#include "db/sql_outbox.h"
#include "support/mariadb.h"

namespace watchwheel::db {
namespace {

using contract::take;

struct Step {
  std::string table;
  std::string type;
  std::string key;
  std::string extra;
};

class DeliveryPlans : public ::testing::Test {
 protected:
  DeliveryPlans() {
    const auto admin =
        take(MysqlConnection::open({take(parse_mysql_url(server_.url("mysql"))), nullptr}));
    EXPECT_TRUE(admin->execute("CREATE DATABASE p CHARACTER SET utf8mb4"));
    (void)take(take(open_store(server_.url("p")))->migrate(false));
    sql::ConnectOptionsMap options;
    options["hostName"] = sql::SQLString("tcp://127.0.0.1:" + std::to_string(server_.port()));
    options["userName"] = sql::SQLString("root");
    options["password"] = sql::SQLString("");
    options["schema"] = sql::SQLString("p");
    session_.reset(get_driver_instance()->connect(options));
    run("INSERT INTO deliveries (target, vt, state, line, kind, message_id, site_id, made_at, "
        "queued_at, body)"
        " SELECT CONCAT('t', seq % 5), seq, seq % 3, seq % 700, 'down', seq, seq, 1, 1, "
        "REPEAT('x', 500)"
        " FROM seq_1_to_5000");
    run("INSERT INTO delivery_tellings SELECT id, site_id, target, kind, 'queued', 1 FROM "
        "deliveries");
    run("INSERT INTO deliveries_done SELECT seq, 't', 'delivered', 'down', seq, 1, 1, 0, 200, 1, "
        "1, seq FROM"
        " seq_1_to_5000");
    run("INSERT INTO dead_letters SELECT seq, 't', 1, 'gone', 'down', seq, 1, 1, 0, 0, 410, '', 1, "
        "seq, 'x'"
        " FROM seq_1_to_5000");
    run("INSERT INTO delivery_attempts SELECT seq, 0, 1, 1, 1, 500, 'retry', '' FROM "
        "seq_1_to_5000");
    run("INSERT INTO outbox (site_id, event_id, seq, queued_at) SELECT seq, seq, 1, 1 FROM "
        "seq_1_to_2000");
    run("INSERT INTO outbox_wakes (due_at, site_id, event_id, memo) SELECT seq, seq, seq, '' FROM"
        " seq_1_to_2000");
    run("INSERT INTO delivery_targets SELECT CONCAT('t', seq), 1 FROM seq_1_to_2000");
    for (const char* table : {"deliveries", "delivery_tellings", "deliveries_done", "dead_letters",
                              "delivery_attempts", "outbox", "outbox_wakes"})
      EXPECT_TRUE(admin->execute("ANALYZE TABLE p." + std::string(table)));
  }

  void run(const std::string& sql) {
    const std::unique_ptr<sql::Statement> statement(session_->createStatement());
    statement->execute(sql);
  }
  // With a number in the place of each parameter.
  std::vector<Step> plan(const std::string& text) {
    int next = 1000;
    std::string filled;
    const std::regex parameter("\\?[0-9]*");
    auto last = text.begin();
    for (std::sregex_iterator at(text.begin(), text.end(), parameter), end; at != end; ++at) {
      filled.append(last, text.begin() + at->position());
      filled += std::to_string(next += 7);
      last = text.begin() + at->position() + at->length();
    }
    filled.append(last, text.end());
    filled = std::regex_replace(filled, std::regex("target = [0-9]+"), "target = 't1'");
    filled = std::regex_replace(filled, std::regex("LIMIT [0-9]+"), "LIMIT 50");
    const std::unique_ptr<sql::Statement> statement(session_->createStatement());
    const std::unique_ptr<sql::ResultSet> rows(statement->executeQuery("EXPLAIN " + filled));
    std::vector<Step> steps;
    while (rows->next())
      steps.push_back({rows->getString("table"), rows->getString("type"), rows->getString("key"),
                       rows->getString("Extra")});
    return steps;
  }

  testing::MariaDb server_;
  std::unique_ptr<sql::Connection> session_;
};

TEST_F(DeliveryPlans, FollowTheirIndexAndNoOther) {
  std::vector<Sql> queries = delivery_queue_queries();
  for (const std::vector<Sql>& more : {delivery_row_queries(), outbox_queries(), held_queries()})
    queries.insert(queries.end(), more.begin(), more.end());
  for (const Sql& sql : queries) {
    const std::string text = sql.mysql;
    if (text.find("VALUES") != std::string::npos) continue;  // An insert looks for nothing.
    for (const Step& step : plan(text)) {
      SCOPED_TRACE(text + "\n" + step.table + " " + step.type + " " + step.key + " " + step.extra);
      EXPECT_EQ(step.extra.find("filesort"), std::string::npos);
      EXPECT_EQ(step.extra.find("temporary"), std::string::npos);
      // The outbox is counted whole; what is written elsewhere, or is not there, has no step of reading.
      const bool reads = step.type != "NULL" && !step.type.empty() && step.table != "NULL";
      if (!reads || text.find("min(queued_at)") != std::string::npos) continue;
      EXPECT_NE(step.type, "ALL");
      EXPECT_FALSE(step.key.empty());
      if (text.starts_with("UPDATE") || text.starts_with("DELETE")) {
        EXPECT_EQ(step.key, "PRIMARY");
      }
    }
  }

  // A claim reads its range of its index and nothing else, whatever waits for others.
  for (const Sql& sql : delivery_queue_queries()) {
    const std::string text = sql.mysql;
    if (!text.ends_with("FOR UPDATE SKIP LOCKED") || text.find("target =") == std::string::npos)
      continue;
    for (const Step& step : plan(text)) EXPECT_EQ(step.key, "deliveries_claim") << text;
  }
  // A plan of this kind that is bad is seen.
  const std::vector<Step> bad =
      plan("SELECT id FROM deliveries WHERE line = ? ORDER BY vt LIMIT ?");
  ASSERT_EQ(bad.size(), 1U);
  EXPECT_EQ(bad[0].type, "ALL");
  EXPECT_NE(bad[0].extra.find("filesort"), std::string::npos);
}

}  // namespace
}  // namespace watchwheel::db
