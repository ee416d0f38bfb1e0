// SPDX-License-Identifier: Apache-2.0
// Goal: what a running daemon asks of the server again and again reads what it needs and no more, whatever the plan is that the
// server makes of it: with a million sites a scan a second would be all that it does. Method: thousands of sites, events and
// states; each call is made through its interface, and the server's own count of the rows that it touched is read before and after.
#include <gtest/gtest.h>

#include <functional>

#include "contract.h"
#include "core/clock.h"
#include "db/mysql.h"
#include "support/mariadb.h"

namespace watchwheel::db {
namespace {

using contract::measured;
using contract::take;

constexpr std::uint64_t kSites = 4000;
constexpr std::uint64_t kOpen = 20;       // Of the last sites.
constexpr std::uint64_t kRemoved = 2000;  // Beyond kSites.

class RowsRead : public ::testing::Test {
 protected:
  RowsRead() {
    watch_ = take(MysqlConnection::open({take(parse_mysql_url(server_.url("mysql"))), nullptr}));
    run("CREATE DATABASE r CHARACTER SET utf8mb4");
    store_ = take(open_store(server_.url("r")));
    (void)take(store_->migrate(false));
    run("SET @n = 0");
    run("INSERT INTO r.sites (id, url, url_hash, change_seq, deleted_at) SELECT seq, "
        "CONCAT('https://s', seq, '.example/'), "
        "CRC32(seq), seq, IF(seq > " +
        std::to_string(kSites) + ", 1000 * UNIX_TIMESTAMP(), NULL) FROM seq_1_to_" +
        std::to_string(kSites + kRemoved));
    run("UPDATE r.site_changes SET newest_seq = " + std::to_string(kSites + kRemoved));
    run("INSERT INTO r.site_state (site_id, measured, checked_at, cause) SELECT id, 1, "
        "1700000000000, 'ok' FROM r.sites WHERE "
        "deleted_at IS NULL");
    run("INSERT INTO r.events (id, site_id, started_at, state, ended_at, failures, merged, "
        "transitions_total, cause, phase, "
        "detail, address) SELECT seq, 1 + seq % " +
        std::to_string(kSites) +
        ", 1600000000000 + seq * 1000, 'closed', 1600000001000 + seq * 1000, 3, 0, 3, "
        "'http_status', 'first_byte', '', '' "
        "FROM seq_1_to_6000");
    run("INSERT INTO r.event_transitions (event_id, seq, reason, before_state, after_state, at, "
        "failures, cause, phase, detail, "
        "address) SELECT e.id, n.seq, 'opened', 'up', 'seems_down', 0, 1, 'http_status', "
        "'first_byte', '', '' FROM r.events e, "
        "seq_1_to_3 n");
    const auto events = take(store_->make_event_store());
    for (std::uint64_t i = 0; i < kOpen; ++i) {
      const auto done = events->commit(std::vector{contract::opened(core::SiteId{kSites - i}, 0)});
      EXPECT_TRUE(done) << done.error().message;
    }
    for (const char* table : {"sites", "events", "event_transitions", "site_state"})
      run("ANALYZE TABLE r." + std::string(table));
  }

  void run(const std::string& sql) {
    const auto done = watch_->execute(sql);
    ASSERT_TRUE(done) << done.error().message << "\n" << sql;
  }
  // Rows that the server has read by any way, in all.
  std::int64_t touched() {
    return *take(
        watch_->number("SELECT CAST(SUM(variable_value) AS SIGNED) FROM "
                       "information_schema.global_status WHERE variable_name LIKE "
                       "'HANDLER_READ%'"));
  }
  // By `call`; asking has its own cost, which is the same each time.
  std::int64_t read_by(const std::function<void()>& call) {
    call();  // What is prepared once is prepared now.
    const std::int64_t first = touched();
    const std::int64_t second = touched();
    call();
    return touched() - second - (second - first);
  }

  testing::MariaDb server_;
  std::unique_ptr<MysqlConnection> watch_;
  std::unique_ptr<Store> store_;
};

TEST_F(RowsRead, AreTheNeededOnes) {
  const auto feed = take(store_->make_site_feed());
  const auto catalog = take(store_->make_site_catalog());
  const auto events = take(store_->make_event_store());
  const auto freshness = take(store_->make_freshness_sink());
  const auto incidents = take(store_->make_incident_log());
  const auto vantage = take(store_->make_vantage_store());
  const core::SiteId late{kSites - 60};
  std::int64_t round = 0;
  std::vector<core::FreshnessMark> marks;
  for (std::uint64_t i = 0; i < 200; ++i)
    marks.push_back(measured(core::SiteId{10 + i * 15}, 1'000'000'000));
  std::vector<core::SiteId> added;

  struct Call {
    const char* what;
    std::int64_t rows_max;
    std::function<void()> make;
  };
  const std::vector<Call> calls{
      {"newest change", 10, [&] { (void)take(feed->newest_change()); }},
      {"a page of the list", 200, [&] { EXPECT_EQ(take(feed->load(late, 50)).sites.size(), 50U); }},
      {"a page of URLs", 100, [&] { EXPECT_EQ(take(feed->urls(late, 50)).size(), 50U); }},
      {"changes", 200,
       [&] { EXPECT_EQ(take(feed->changes(core::ChangeSeq{kSites - 50}, 50)).size(), 50U); }},
      {"no changes", 10, [&] { (void)take(feed->changes(take(feed->newest_change()), 50)); }},
      {"open events of removed sites", 100,
       [&] { EXPECT_TRUE(take(feed->removed_with_open_event(50)).empty()); }},
      {"an event's beginning and end", 60,
       [&] {
         const auto done = events->commit(
             std::vector{contract::whole_story(core::SiteId{77}, ++round * 1'000'000)});
         ASSERT_TRUE(done) << done.error().message;
       }},
      {"a site's open event", 5,
       [&] { EXPECT_TRUE(take(events->open_event(core::SiteId{kSites}))); }},
      {"200 marks", 1500,
       [&] {
         const auto done = freshness->write(marks);
         ASSERT_TRUE(done) << done.error().message;
       }},
      {"a site", 10, [&] { (void)take(catalog->get(core::SiteId{3000})); }},
      {"a page of sites", 200, [&] { EXPECT_EQ(take(catalog->list({}, late, 50)).size(), 50U); }},
      {"a site by its URL", 10, [&] { (void)take(catalog->find_url("https://s3.example/")); }},
      {"a new site", 30,
       [&] {
         const std::vector records{
             contract::site("https://new-" + std::to_string(++round) + ".example/")};
         (void)take(catalog->upsert(records, &added));
       }},
      {"pausing and going on", 30,
       [&] {
         EXPECT_EQ(take(catalog->set_active(std::vector{core::SiteId{500}}, false)), 1U);
         EXPECT_EQ(take(catalog->set_active(std::vector{core::SiteId{500}}, true)), 1U);
       }},
      {"removing a site", 60,
       [&] {
         EXPECT_EQ(take(catalog->remove(
                       std::vector{core::SiteId{static_cast<std::uint64_t>(600 + ++round)}})),
                   1U);
       }},
      {"what is open", 400,
       [&] {
         EXPECT_EQ(take(incidents->list({.open_only = true, .site = {}}, 0, 50)).size(), kOpen);
       }},
      {"one site's incidents", 60,
       [&] {
         EXPECT_GE(
             take(incidents->list({.open_only = false, .site = core::SiteId{9}}, 0, 50)).size(),
             1U);
       }},
      {"the newest incidents", 300,
       [&] {
         EXPECT_EQ(take(incidents->list({.open_only = false, .site = {}}, 0, 20)).size(), 20U);
       }},
      {"a fault of the vantage", 10,
       [&] {
         ASSERT_TRUE(vantage->put({.started_at = contract::at(0),
                                   .ended_at = {},
                                   .reason = "canaries",
                                   .detail = "",
                                   .withheld = 1}));
       }},
  };
  for (const Call& call : calls) EXPECT_LE(read_by(call.make), call.rows_max) << call.what;
}

TEST_F(RowsRead, ATestThatCouldNotFailWouldPassThis) {
  const auto all = read_by([&] { run("DO (SELECT count(*) FROM r.sites WHERE name = 'x')"); });
  EXPECT_GE(all, static_cast<std::int64_t>(kSites));
}

}  // namespace
}  // namespace watchwheel::db
