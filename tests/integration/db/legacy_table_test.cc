// SPDX-License-Identifier: Apache-2.0
// The legacy table on a real server: what a mapping must be, what is read of it, and that a projection writes what is known and
// nothing else.
#include "db/legacy_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>

#include "contract.h"
#include "db/mysql.h"
#include "support/mariadb.h"
#include "support/temp_dir.h"

namespace watchwheel::db {
namespace {

using contract::at;
using contract::is_error;
using contract::take;
using core::ErrorKind;
using core::SiteId;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

testing::MariaDb& server() {
  static testing::MariaDb one;
  return one;
}

constexpr const char* kJetpack =
    "CREATE TABLE jetpack_monitor_sites (\n"
    " jetpack_monitor_site_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,\n"
    " blog_id BIGINT UNSIGNED NOT NULL, bucket_no SMALLINT UNSIGNED NOT NULL,\n"
    " monitor_url VARCHAR(2083) NOT NULL, monitor_active TINYINT UNSIGNED NOT NULL DEFAULT 1,\n"
    " site_status TINYINT UNSIGNED NOT NULL DEFAULT 1, last_status_change DATETIME,\n"
    " check_interval SMALLINT UNSIGNED NOT NULL DEFAULT 5,\n"
    " KEY bucket_active (bucket_no, monitor_active)) ENGINE=InnoDB DEFAULT CHARSET=latin1;\n";

// A table of our own making, with everything that a table can have, and no buckets.
constexpr const char* kPlain =
    "CREATE TABLE watched (nr INT NOT NULL PRIMARY KEY, address TEXT, state ENUM('on', 'off') NOT "
    "NULL,\n"
    " every_s INT, health VARCHAR(16), since BIGINT, seen DATETIME(3), next_one INT,\n"
    " touched TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP, note TEXT) "
    "ENGINE=InnoDB;\n";

LegacyMapping plain_mapping() {
  LegacyMapping mapping;
  mapping.table = "watched";
  mapping.id = "nr";
  mapping.url = "address";
  mapping.active = "state";
  mapping.active_when = "on";
  mapping.interval = "every_s";
  mapping.status = "health";
  mapping.status_up = "fine";
  mapping.status_seems_down = "odd";
  mapping.status_down = "dead";
  mapping.status_changed_at = "since";
  mapping.status_changed_kind = LegacyTime::Milliseconds;
  mapping.checked_at = "seen";
  mapping.next_check_at = "next_one";
  return mapping;
}

class LegacyTableTest : public ::testing::Test {
 protected:
  LegacyTableTest()
      : admin_(
            take(MysqlConnection::open({take(parse_mysql_url(server().url("mysql"))), nullptr}))) {
    static int made = 0;
    database_ = "legacy" + std::to_string(++made);
    run("CREATE DATABASE " + database_ + " CHARACTER SET utf8mb4;\nUSE " + database_ + ";\n");
    store_ = take(open_store(server().url(database_)));
    (void)take(store_->migrate(false));
    catalog_ = take(store_->make_site_catalog());
    events_ = take(store_->make_event_store());
    freshness_ = take(store_->make_freshness_sink());
  }
  ~LegacyTableTest() override { run("DROP DATABASE " + database_ + ";\n"); }

  void run(const std::string& sql) {
    const auto done = admin_->execute(sql);
    ASSERT_TRUE(done) << done.error().message;
  }
  std::string text(const std::string& sql) {
    kept_.push_back(sql);  // A query is known by where its text stands.
    Query query = admin_->query(kept_.back().c_str());
    EXPECT_TRUE(take(query.step())) << sql;
    return query.is_null(0) ? "NULL" : std::string(query.text(0));
  }
  std::unique_ptr<LegacyTable> table(const LegacyMapping& mapping) {
    auto made = take(store_->make_legacy_table(mapping));
    EXPECT_THAT(take(made->check()), IsEmpty());
    return made;
  }
  std::vector<std::string> problems(const LegacyMapping& mapping) {
    return take(take(store_->make_legacy_table(mapping))->check());
  }
  // All pages, `limit` at a time.
  std::vector<LegacyRow> read_all(LegacyTable& table, std::size_t limit) {
    std::vector<LegacyRow> all;
    LegacyCursor from;
    for (int pages = 0; pages < 1000; ++pages) {
      LegacyPage page = take(table.page(from, limit));
      EXPECT_LE(page.rows.size(), limit);
      EXPECT_GT(page.until, from);
      for (LegacyRow& row : page.rows) all.push_back(std::move(row));
      if (page.last) return all;
      from = page.until;
    }
    ADD_FAILURE() << "there is no end";
    return all;
  }
  static std::vector<std::uint64_t> ids(const std::vector<LegacyRow>& rows) {
    std::vector<std::uint64_t> all;
    for (const LegacyRow& row : rows) all.push_back(row.id.value);
    return all;
  }
  void add_site(std::uint64_t id, const std::string& url) {
    core::SiteRecord record = contract::site(url);
    record.id = SiteId{id};
    (void)take(catalog_->upsert(std::span(&record, 1)));
  }
  void commit(const sideeffects::EventWrite& write) {
    const auto done = events_->commit(std::span(&write, 1));
    ASSERT_TRUE(done) << done.error().message;
  }
  void measured(std::uint64_t id, std::int64_t checked_ms) {
    core::FreshnessMark mark = contract::measured(SiteId{id}, checked_ms);
    mark.next_due_at = at(checked_ms + 300'000);
    const auto done = freshness_->write(std::span(&mark, 1));
    ASSERT_TRUE(done) << done.error().message;
  }

  std::unique_ptr<MysqlConnection> admin_;
  std::deque<std::string> kept_;
  std::string database_;
  std::unique_ptr<Store> store_;
  std::unique_ptr<SiteCatalog> catalog_;
  std::unique_ptr<sideeffects::EventStore> events_;
  std::unique_ptr<sideeffects::FreshnessSink> freshness_;
};

TEST_F(LegacyTableTest, EveryMistakeOfTheMappingIsToldWithWhatWouldBeRight) {
  run(kJetpack);
  run(kPlain);
  run("CREATE TABLE heap (id BIGINT, url TEXT, active INT) ENGINE=InnoDB;\n"
      "CREATE TABLE old (id BIGINT PRIMARY KEY, url TEXT, active INT, status INT) "
      "ENGINE=MyISAM;\n");
  struct Case {
    LegacyMapping mapping;
    void (*spoil)(LegacyMapping&);
    const char* words;
  };
  const Case cases[] = {
      {jetpack_mapping(), [](LegacyMapping& m) { m.table = "nowhere"; },
       "legacy.table: there is no table nowhere in the database"},
      {jetpack_mapping(), [](LegacyMapping& m) { m.url = "adress"; },
       "legacy.url: jetpack_monitor_sites has no column adress"},
      {jetpack_mapping(), [](LegacyMapping& m) { m.interval = "monitor_url"; },
       "legacy.interval: the column monitor_url of jetpack_monitor_sites is varchar; a whole "
       "number is needed"},
      {jetpack_mapping(),
       [](LegacyMapping& m) {
         m.name = "";
         m.status_changed_at = "blog_id";
         m.status_changed_kind = LegacyTime::Datetime;
       },
       "legacy.status_changed_at: the column blog_id of jetpack_monitor_sites is bigint; DATETIME "
       "or TIMESTAMP is needed"},
      {jetpack_mapping(), [](LegacyMapping& m) { m.checked_at = "note"; },
       "legacy.checked_at: jetpack_monitor_sites has no column note"},
      {jetpack_mapping(), [](LegacyMapping& m) { m.id = "blog_id"; }, "ADD PRIMARY KEY (blog_id)"},
      {jetpack_mapping(), [](LegacyMapping& m) { m.bucket = "check_interval"; },
       "ADD INDEX (check_interval, monitor_active)"},
      {jetpack_mapping(), [](LegacyMapping& m) { m.status_down = "down"; },
       "legacy.status_down: 'down' is no number, and the column site_status of "
       "jetpack_monitor_sites is tinyint"},
      {plain_mapping(), [](LegacyMapping& m) { m.next_check_kind = LegacyTime::Milliseconds; },
       "legacy.next_check_at: the column next_one of watched is int; BIGINT is needed"},
  };
  for (const Case& one : cases) {
    LegacyMapping mapping = one.mapping;
    one.spoil(mapping);
    EXPECT_THAT(problems(mapping), ElementsAre(HasSubstr(one.words)));
  }
  LegacyMapping heap;
  heap.table = database_ + ".heap";
  heap.id = "id";
  heap.url = "url";
  heap.target = false;
  EXPECT_THAT(problems(heap), ElementsAre(HasSubstr("legacy.id: the column id")));
  heap.table = database_ + ".old";
  EXPECT_THAT(problems(heap), ElementsAre(HasSubstr("ENGINE=InnoDB")));
  EXPECT_THAT(problems(jetpack_mapping()), IsEmpty());
  EXPECT_THAT(problems(plain_mapping()), IsEmpty());
  run("INSERT INTO jetpack_monitor_sites (jetpack_monitor_site_id, blog_id, bucket_no, "
      "monitor_url) VALUES"
      " (18446744073709551615, 1, 1, 'http://a/');\n");
  EXPECT_THAT(problems(jetpack_mapping()), ElementsAre(HasSubstr("legacy.id: a row of")));
}

TEST_F(LegacyTableTest, OfBucketsOnlyTheActiveRowsAreReadInOrder) {
  run(kJetpack);
  for (int i = 1; i <= 60; ++i) {
    run("INSERT INTO jetpack_monitor_sites (blog_id, bucket_no, monitor_url, monitor_active, "
        "check_interval) VALUES (" +
        std::to_string(i / 2) + ", " + std::to_string(i % 3 * 10) + ", 'example-" +
        std::to_string(i) + ".org', " + std::to_string(i % 5 == 0 ? 0 : 1) + ", 5);\n");
  }
  const auto legacy = table(jetpack_mapping());
  EXPECT_TRUE(legacy->by_buckets());
  for (const std::size_t limit : {1U, 2U, 7U, 16U, 1000U}) {
    const auto rows = read_all(*legacy, limit);
    ASSERT_EQ(rows.size(), 48U) << limit;
    EXPECT_TRUE(
        std::is_sorted(rows.begin(), rows.end(), [](const LegacyRow& a, const LegacyRow& b) {
          return std::pair(a.bucket, a.id) < std::pair(b.bucket, b.id);
        }));
    EXPECT_EQ(rows[0].id, SiteId{3});
    EXPECT_EQ(rows[0].bucket, 0);
    EXPECT_EQ(rows[0].url, "example-3.org");
    EXPECT_EQ(rows[0].interval, 5);
    EXPECT_EQ(rows[0].name, "1");
    EXPECT_FALSE(rows[0].status) << "a sweep has no use for it";
  }
  EXPECT_EQ(take(legacy->page_by_key(SiteId{0}, 5)).rows[0].status, "1");
  legacy->set_buckets({{5, 15}, {21, 90}});
  const auto some = read_all(*legacy, 5);
  EXPECT_EQ(some.size(), 16U);
  for (const LegacyRow& row : some) EXPECT_EQ(row.bucket, 10);
  const std::vector<SiteId> asked{SiteId{1}, SiteId{2}, SiteId{10}, SiteId{1000}};
  EXPECT_THAT(ids(take(legacy->find(asked))), ElementsAre(1, 10));  // 10 is there and not active.
}

TEST_F(LegacyTableTest, AServerReadsNoMoreThanItSays) {
  run(kJetpack);
  run("INSERT INTO jetpack_monitor_sites (blog_id, bucket_no, monitor_url, monitor_active) SELECT "
      "seq, seq % 50, concat('a', seq, '.example'), seq % 5 = 0 FROM seq_1_to_10000;\n"
      "ANALYZE TABLE jetpack_monitor_sites;\n");
  const auto legacy = table(jetpack_mapping());
  const auto read_by_server = [&] {
    return std::stoll(text(
        "SELECT sum(variable_value) FROM information_schema.global_status WHERE variable_name IN"
        " ('HANDLER_READ_FIRST', 'HANDLER_READ_KEY', 'HANDLER_READ_NEXT', "
        "'HANDLER_READ_RND_NEXT')"));
  };
  const auto before = read_by_server();
  EXPECT_EQ(read_all(*legacy, 100).size(), 2000U);
  // 50 buckets of 40 rows; each bucket is two questions. The status itself is a table that is read.
  EXPECT_LT(read_by_server() - before, 2'000 + 4 * 51 + 1'000);
}

TEST_F(LegacyTableTest, ByKeyRowsThatAreNotActiveShowOnlyThat) {
  run(kPlain);
  run("INSERT INTO watched (nr, address, state, every_s, health, since) VALUES (-1, 'x', 'on', 60, "
      "NULL, NULL),"
      " (1, 'https://ü.example/', 'on', 60, 'fine', 1700000000123), (2, 'b', 'off', 0, NULL, "
      "NULL), (3, NULL, 'on', NULL, NULL, NULL);\n"
      "DELETE FROM watched WHERE nr < 1;\n");
  const auto legacy = table(plain_mapping());
  EXPECT_FALSE(legacy->by_buckets());
  const auto rows = read_all(*legacy, 2);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].url, "https://ü.example/");
  const LegacyPage whole = take(legacy->page_by_key(SiteId{0}, 5));
  EXPECT_EQ(core::to_unix_ms(whole.rows.at(0).status_changed_at), 1'700'000'000'123);
  EXPECT_FALSE(rows[1].active);
  EXPECT_FALSE(rows[1].url);
  EXPECT_TRUE(rows[2].active);
  EXPECT_FALSE(rows[2].url);
  EXPECT_FALSE(rows[2].interval);
}

TEST_F(LegacyTableTest, AProjectionWritesWhatIsKnownAndNothingElse) {
  run(kJetpack);
  for (int i = 1; i <= 4; ++i) {
    run("INSERT INTO jetpack_monitor_sites (blog_id, bucket_no, monitor_url, site_status, "
        "last_status_change) VALUES (7, 1, 'http://site-" +
        std::to_string(i) + ".example/', 1, '2020-01-01 00:00:00');\n");
    add_site(static_cast<std::uint64_t>(i), "http://site-" + std::to_string(i) + ".example/");
  }
  const auto legacy = table(jetpack_mapping());
  commit(contract::opened(SiteId{1}, 1000));
  commit(contract::opened(SiteId{2}, 1000));
  commit(contract::confirmed(SiteId{2}, 1000));
  for (const std::uint64_t id : {1U, 2U, 3U}) measured(id, 5000);
  run("UPDATE jetpack_monitor_sites SET monitor_url = 'http://elsewhere.example/' WHERE "
      "jetpack_monitor_site_id = 2;\n");
  const std::vector<SiteId> all{SiteId{1}, SiteId{2}, SiteId{3}, SiteId{4}, SiteId{99}};
  LegacyWrites writes = take(legacy->project(all));
  EXPECT_EQ(writes.status, 1U);
  EXPECT_EQ(writes.not_ours, 1U);
  const auto shown = [&](int id) {
    return text(
        "SELECT concat_ws(' ', site_status, coalesce(last_status_change, '-')) FROM "
        "jetpack_monitor_sites WHERE jetpack_monitor_site_id = " +
        std::to_string(id));
  };
  const std::string start = core::to_iso8601(at(1000)).substr(0, 19).replace(10, 1, " ");
  EXPECT_EQ(shown(1), "0 " + start);
  EXPECT_EQ(shown(2), "1 2020-01-01 00:00:00");  // It is about another URL than we measured.
  EXPECT_EQ(shown(3), "1 2020-01-01 00:00:00");
  EXPECT_EQ(take(legacy->project(all)).status, 0U);  // Said already.

  run("UPDATE jetpack_monitor_sites SET monitor_url = 'http://site-2.example/' WHERE "
      "jetpack_monitor_site_id = 2;\n");
  EXPECT_EQ(take(legacy->project(all)).status, 1U);
  EXPECT_THAT(shown(2), HasSubstr("2 "));
  // Another program says otherwise: ours wins, and it is counted.
  run("UPDATE jetpack_monitor_sites SET site_status = 1, last_status_change = UTC_TIMESTAMP() "
      "WHERE jetpack_monitor_site_id = 2;\n");
  writes = take(legacy->project(all));
  EXPECT_EQ(writes.status, 1U);
  EXPECT_EQ(writes.overruled, 1U);
  commit(contract::recovered(SiteId{2}, 1000));
  measured(2, 90'000);
  EXPECT_EQ(take(legacy->project(all)).status, 1U);
  EXPECT_THAT(shown(2), HasSubstr("1 "));
  // Not active: nothing is said of it.
  run("UPDATE jetpack_monitor_sites SET site_status = 2, monitor_active = 0 WHERE "
      "jetpack_monitor_site_id = 2;\n");
  EXPECT_EQ(take(legacy->project(all)).status, 0U);
}

// Goal: an open event is told only while it is what we see: not of a URL that was never measured, and not while we are blind.
TEST_F(LegacyTableTest, AnEventOfAnotherUrlOrOfATimeWeAreBlindIsNotTold) {
  run(kJetpack);
  run("INSERT INTO jetpack_monitor_sites (blog_id, bucket_no, monitor_url, site_status) VALUES (7, "
      "1, 'http://a.example/', 1), (7, 1, 'http://c.example/', 1);\n");
  add_site(1, "http://a.example/");
  add_site(2, "http://c.example/");
  const auto legacy = table(jetpack_mapping());
  for (const std::uint64_t id : {1U, 2U}) {
    commit(contract::opened(SiteId{id}, 1000));
    commit(contract::confirmed(SiteId{id}, 1000));
    measured(id, 2000);
  }
  run("UPDATE jetpack_monitor_sites SET monitor_url = 'http://b.example/' WHERE "
      "jetpack_monitor_site_id = 1;\n");
  add_site(1, "http://b.example/");
  core::FreshnessMark blind = contract::measured(SiteId{2}, 2000);
  blind.measured = false;
  ASSERT_TRUE(freshness_->write(std::span(&blind, 1)));
  const std::vector<SiteId> both{SiteId{1}, SiteId{2}};
  EXPECT_EQ(take(legacy->project(both)).status, 0U);
  EXPECT_EQ(text("SELECT group_concat(site_status) FROM jetpack_monitor_sites"), "1,1");
  measured(2, 3000);
  EXPECT_EQ(take(legacy->project(both)).status, 1U);
  EXPECT_EQ(text("SELECT group_concat(site_status ORDER BY jetpack_monitor_site_id) FROM "
                 "jetpack_monitor_sites"),
            "1,2");
}

// Goal: a row that belongs to no bucket is a site like the others, unless only some buckets are ours.
TEST_F(LegacyTableTest, RowsWithoutABucketAreRead) {
  run(kJetpack);
  run("ALTER TABLE jetpack_monitor_sites MODIFY bucket_no SMALLINT UNSIGNED;\n"
      "INSERT INTO jetpack_monitor_sites (jetpack_monitor_site_id, blog_id, bucket_no, "
      "monitor_url, "
      "monitor_active) VALUES (1, 1, 3, 'a', 1), (2, 1, NULL, 'b', 1), (3, 1, 0, 'c', 1), (4, 1, "
      "NULL, 'd', 0), (5, 1, NULL, 'e', 1), (6, 1, NULL, 'f', 1);\n");
  for (const std::size_t limit : {1U, 2U, 100U}) {
    const auto all = table(jetpack_mapping());
    EXPECT_THAT(ids(read_all(*all, limit)), ElementsAre(2, 5, 6, 3, 1)) << limit;
    EXPECT_EQ(take(all->find(std::vector{SiteId{2}, SiteId{4}})).size(), 2U);
  }
  LegacyMapping some = jetpack_mapping();
  some.buckets = {{0, 3}};
  const auto ours = table(some);
  EXPECT_THAT(ids(read_all(*ours, 2)), ElementsAre(3, 1));
  EXPECT_THAT(take(ours->find(std::vector{SiteId{2}})), IsEmpty());
}

// Goal: a number or a time that nobody can mean stops neither the page it is on nor what is written to its row.
TEST_F(LegacyTableTest, AbsurdNumbersAreNone) {
  run("CREATE TABLE odd (id BIGINT UNSIGNED PRIMARY KEY, url TEXT, every BIGINT UNSIGNED, health "
      "INT, since BIGINT UNSIGNED, seen DATETIME(6), next_one BIGINT) ENGINE=InnoDB;\n"
      "INSERT INTO odd VALUES (1, 'http://a.example/', 18446744073709551615, 0, "
      "18446744073709551615, '9999-12-31 23:59:59.999999', 9223372036854775807),"
      " (2, 'http://b.example/', 60, 0, 0, '0001-01-01', -1),"
      " (3, 'http://c.example/', NULL, 0, 1234, '2020-01-01 00:00:00.5', NULL);\n");
  LegacyMapping mapping;
  mapping.table = "odd";
  mapping.id = "id";
  mapping.url = "url";
  mapping.interval = "every";
  mapping.status = "health";
  mapping.status_up = "1";
  mapping.status_down = "2";
  mapping.status_changed_at = "since";
  mapping.checked_at = "seen";
  mapping.next_check_at = "next_one";
  const auto legacy = table(mapping);
  const auto rows = read_all(*legacy, 2);
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].interval, INT64_MAX);
  EXPECT_EQ(rows[1].interval, 60);
  EXPECT_EQ(rows[2].interval, std::nullopt);
  const LegacyPage whole = take(legacy->page_by_key(SiteId{0}, 10));
  ASSERT_EQ(whole.rows.size(), 3U);
  for (const std::size_t i : {0U, 1U}) {
    EXPECT_EQ(whole.rows[i].status_changed_at, core::kNoWallTime);
    EXPECT_EQ(whole.rows[i].checked_at, core::kNoWallTime);
  }
  EXPECT_EQ(whole.rows[2].status_changed_at, core::from_unix_ms(1'234'000));
  EXPECT_EQ(whole.rows[2].checked_at, core::from_unix_ms(1'577'836'800'500));
  for (const std::uint64_t id : {1U, 2U}) {
    add_site(id, id == 1 ? "http://a.example/" : "http://b.example/");
    measured(id, 100'000'000'000);
  }
  EXPECT_EQ(take(legacy->project(std::vector{SiteId{1}, SiteId{2}})).status, 2U);
  EXPECT_EQ(text("SELECT group_concat(concat(health, ' ', seen, ' ', next_one) ORDER BY id) FROM "
                 "odd WHERE id < 3"),
            "1 2027-01-15 08:00:00.000000 1800000300,1 2027-01-15 08:00:00.000000 1800000300");
}

// Goal: a user who may not do what the mapping asks for is told so before the start, not by a projection that fails for ever.
TEST_F(LegacyTableTest, MissingRightsAreTold) {
  run(kPlain);
  run("CREATE USER " + database_ + "@'127.0.0.1';\nGRANT ALL ON " + database_ + ".sites TO " +
      database_ + "@'127.0.0.1';\nGRANT SELECT (nr) ON " + database_ + ".watched TO " + database_ +
      "@'127.0.0.1';\nGRANT ALL ON " + database_ + ".schema_version TO " + database_ +
      "@'127.0.0.1';\n");
  std::string url = server().url(database_);
  url.replace(url.find("root"), 4, database_);
  const auto problems_of = [&](const LegacyMapping& mapping) {
    const auto store = take(open_store(url));
    return take(take(store->make_legacy_table(mapping))->check());
  };
  const auto grant = [&](const std::string& rights) {
    run("GRANT " + rights + " ON " + database_ + ".watched TO " + database_ + "@'127.0.0.1';\n");
  };
  LegacyMapping reading = plain_mapping();
  reading.target = false;
  grant("SELECT");
  EXPECT_THAT(problems_of(reading), IsEmpty());
  const auto told = problems_of(plain_mapping());
  ASSERT_EQ(told.size(), 1U);
  EXPECT_THAT(told[0], HasSubstr("the store's user may not write to watched"));
  EXPECT_THAT(told[0], HasSubstr("GRANT SELECT, UPDATE ON " + database_ + ".watched"));
  grant("UPDATE (health, since, seen, next_one)");
  EXPECT_EQ(problems_of(plain_mapping()).size(), 1U) << "touched is kept by writing it";
  grant("UPDATE (touched)");
  EXPECT_THAT(problems_of(plain_mapping()), IsEmpty());
  grant("UPDATE");
  run("REVOKE SELECT ON " + database_ + ".watched FROM " + database_ + "@'127.0.0.1';\n");
  const auto unread = problems_of(reading);
  ASSERT_EQ(unread.size(), 1U);
  EXPECT_THAT(unread[0], HasSubstr("may not read watched"));
  run("DROP USER " + database_ + "@'127.0.0.1';\n");
}

// Goal: what a trigger of theirs, or a foreign key, says no to is the row's fault, not the store's absence: it is not tried for ever.
TEST_F(LegacyTableTest, ARowThatIsRefusedIsToldAsThat) {
  run(kPlain);
  run("INSERT INTO watched (nr, address, state) VALUES (1, 'http://a.example/', 'on'), (2, "
      "'http://b.example/', 'on');\n"
      "CREATE TRIGGER guard BEFORE UPDATE ON watched FOR EACH ROW IF NEW.nr = 2 THEN SIGNAL "
      "SQLSTATE '45000' SET MESSAGE_TEXT = 'hands off'; END IF;\n");
  for (const std::uint64_t id : {1U, 2U}) {
    add_site(id, id == 1 ? "http://a.example/" : "http://b.example/");
    measured(id, 1000);
  }
  const auto legacy = table(plain_mapping());
  const auto refused = legacy->project(std::vector{SiteId{1}, SiteId{2}});
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid, "hands off"));
  EXPECT_EQ(take(legacy->project(std::vector{SiteId{1}})).status, 1U);
  run("DROP TRIGGER guard;\n"
      "CREATE TABLE healths (health VARCHAR(16) PRIMARY KEY) ENGINE=InnoDB DEFAULT "
      "CHARSET=utf8mb4;\n"
      "UPDATE watched SET health = NULL;\n"
      "ALTER TABLE watched ADD FOREIGN KEY (health) REFERENCES healths (health);\n");
  const auto unknown = legacy->project(std::vector{SiteId{1}});
  ASSERT_FALSE(unknown);
  EXPECT_TRUE(is_error(unknown.error(), ErrorKind::Invalid, "foreign key"));
}

// Goal: a row in a transaction that another program left open does not keep the others from being written.
TEST_F(LegacyTableTest, ARowThatIsHeldHoldsUpNoOther) {
  run(kPlain);
  std::vector<SiteId> ids;
  for (std::uint64_t id = 1; id <= 5; ++id) {
    const std::string url = "http://s" + std::to_string(id) + ".example/";
    run("INSERT INTO watched (nr, address, state) VALUES (" + std::to_string(id) + ", '" + url +
        "', '" + (id == 5 ? "off" : "on") + "');\n");
    add_site(id, url);
    measured(id, 1000);
    ids.push_back(SiteId{id});
  }
  const auto legacy = table(plain_mapping());
  run("START TRANSACTION;\nUPDATE watched SET note = 'mine' WHERE nr = 3;\n");
  const LegacyWrites writes = take(legacy->project(ids));
  run("COMMIT;\n");
  EXPECT_EQ(writes.status, 3U);
  EXPECT_THAT(writes.locked, ElementsAre(SiteId{3}));
  EXPECT_EQ(text("SELECT group_concat(nr ORDER BY nr) FROM watched WHERE health = 'fine'"),
            "1,2,4");
  EXPECT_EQ(take(legacy->project(writes.locked)).status, 1U);
}

TEST_F(LegacyTableTest, TimesAreWrittenInTheColumnsOwnKind) {
  run(kPlain);
  run("INSERT INTO watched (nr, address, state, health, since, note, touched) VALUES (1, "
      "'http://a.example/', 'on', 'odd', 5, 'mine', '2020-01-01 00:00:00');\n");
  add_site(1, "http://a.example/");
  const auto legacy = table(plain_mapping());
  measured(1, 61'123);
  const LegacyWrites writes = take(legacy->project(std::vector{SiteId{1}}));
  EXPECT_EQ(writes.status, 1U);
  EXPECT_EQ(writes.checked, 1U);
  EXPECT_EQ(text("SELECT health FROM watched"), "fine");
  EXPECT_EQ(text("SELECT since FROM watched"), std::to_string(core::to_unix_ms(at(61'123))));
  EXPECT_EQ(text("SELECT CAST(seen AS CHAR) FROM watched"),
            core::to_iso8601(at(61'123)).substr(0, 23).replace(10, 1, " "));
  EXPECT_EQ(text("SELECT next_one FROM watched"),
            std::to_string(core::to_unix_ms(at(361'123)) / 1000));
  EXPECT_EQ(text("SELECT note FROM watched"), "mine");
  EXPECT_EQ(text("SELECT CAST(touched AS CHAR) FROM watched"), "2020-01-01 00:00:00");
  EXPECT_EQ(take(legacy->project(std::vector{SiteId{1}})).checked, 0U);
  measured(1, 121'123);
  EXPECT_EQ(take(legacy->project(std::vector{SiteId{1}})).checked, 1U);
  EXPECT_EQ(text("SELECT since FROM watched"), std::to_string(core::to_unix_ms(at(61'123))));
}

// Goal: every size of batch writes its own rows: 100 at once, tens, singles.
TEST_F(LegacyTableTest, BatchesOfEverySizeWriteTheirRows) {
  run(kPlain);
  std::vector<core::SiteRecord> records;
  std::vector<core::FreshnessMark> marks;
  std::vector<SiteId> ids;
  for (std::uint64_t i = 1; i <= 99; ++i) {
    records.push_back(contract::site("http://s" + std::to_string(i) + ".example/"));
    records.back().id = SiteId{i};
    ids.push_back(SiteId{i});
    marks.push_back(contract::measured(SiteId{i}, static_cast<std::int64_t>(i) * 1000));
    run("INSERT INTO watched (nr, address, state, health) VALUES (" + std::to_string(i) + ", 's" +
        std::to_string(i) + ".example/', 'on', '" + (i % 2 == 0 ? "fine" : "dead") + "');\n");
  }
  (void)take(catalog_->upsert(records));
  ASSERT_TRUE(freshness_->write(marks));
  const LegacyWrites writes = take(table(plain_mapping())->project(ids));
  EXPECT_EQ(writes.status, 50U);
  EXPECT_EQ(writes.checked, 99U);
  EXPECT_EQ(
      text("SELECT count(*) FROM watched w JOIN site_state t ON t.site_id = w.nr WHERE w.health = "
           "'fine' AND TIMESTAMPDIFF(MICROSECOND, '1970-01-01', w.seen) = t.checked_at * 1000"),
      "99");
}

// Goal: of many that wait one transaction takes as many as it has time for, at least a statement's worth, and says how many; and
// none of them when one is refused.
TEST_F(LegacyTableTest, ATransactionTakesWhatItHasTimeFor) {
  struct HastyClock final : core::Clock {
    core::SteadyTime steady() const override { return core::SteadyTime{++looks * step}; }
    core::WallTime wall() const override { return system.wall(); }
    core::SteadyTime boot() const override { return system.boot(); }
    void sleep_for(core::Duration d) const override { system.sleep_for(d); }
    core::SystemClock system;
    mutable std::int64_t looks = 0;
    core::Duration step{};
  };
  run(kPlain);
  std::vector<core::SiteRecord> records;
  std::vector<core::FreshnessMark> marks;
  std::vector<SiteId> ids;
  std::string rows;
  for (std::uint64_t i = 1; i <= 250; ++i) {
    records.push_back(contract::site("http://s" + std::to_string(i) + ".example/"));
    records.back().id = SiteId{i};
    ids.push_back(SiteId{i});
    marks.push_back(contract::measured(SiteId{i}, 1000));
    rows += std::string(i == 1 ? "" : ", ") + "(" + std::to_string(i) + ", 's" + std::to_string(i) +
            ".example/', 'on', 'dead')";
  }
  run("INSERT INTO watched (nr, address, state, health) VALUES " + rows + ";\n");
  (void)take(catalog_->upsert(records));
  ASSERT_TRUE(freshness_->write(marks));
  HastyClock clock;
  StoreAccess access;
  access.url = server().url(database_);
  access.clock = &clock;
  const auto store = take(open_store(access));
  const auto legacy = take(store->make_legacy_table(plain_mapping()));
  ASSERT_THAT(take(legacy->check()), IsEmpty());

  run("CREATE TRIGGER guard BEFORE UPDATE ON watched FOR EACH ROW IF NEW.nr = 240 THEN SIGNAL "
      "SQLSTATE '45000' SET MESSAGE_TEXT = 'hands off'; END IF;\n");
  const auto refused = legacy->project(ids);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid, "hands off"));
  EXPECT_EQ(text("SELECT count(*) FROM watched WHERE health = 'fine'"), "0");
  run("DROP TRIGGER guard;\n");

  clock.step = kLegacyHeldMost;
  LegacyWrites writes = take(legacy->project(ids));
  EXPECT_EQ(writes.sites, 100U);
  EXPECT_EQ(writes.status, 100U);
  EXPECT_EQ(text("SELECT count(*) FROM watched WHERE health = 'fine'"), "100");
  clock.step = {};
  writes = take(legacy->project(ids));
  EXPECT_EQ(writes.sites, 250U);
  EXPECT_EQ(writes.status, 150U);
  EXPECT_EQ(text("SELECT count(*) FROM watched WHERE health = 'fine'"), "250");
}

TEST_F(LegacyTableTest, AListWithSitesOfItsOwnIsNotTakenOver) {
  run(kJetpack);
  const auto legacy = table(jetpack_mapping());
  add_site(5, "http://own.example/");
  const auto refused = legacy->claim(false);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(is_error(refused.error(), ErrorKind::Invalid,
                       "the store has sites of its own (id 5 is the first)"));
  EXPECT_EQ(take(catalog_->origin()), "");
  EXPECT_EQ(take(legacy->claimed_since()), std::nullopt);
  ASSERT_TRUE(legacy->claim(true));
  EXPECT_EQ(take(catalog_->origin()), database_ + ".jetpack_monitor_sites");
  const auto since = take(legacy->claimed_since());
  ASSERT_TRUE(since);
  ASSERT_TRUE(legacy->claim(false));  // It is this one's already.
  EXPECT_EQ(take(legacy->claimed_since()), since);
  run(kPlain);
  const auto other = table(plain_mapping());
  const auto second = other->claim(false);
  ASSERT_FALSE(second);
  EXPECT_TRUE(is_error(second.error(), ErrorKind::Invalid, "watchwheel legacy adopt"));
  EXPECT_EQ(take(other->claimed_since()), std::nullopt);
  ASSERT_TRUE(catalog_->release_origin());
  EXPECT_EQ(take(catalog_->origin()), "");
  EXPECT_EQ(take(legacy->claimed_since()), std::nullopt);
}

TEST_F(LegacyTableTest, AFileHasNoLegacyTable) {
  const testing::TempDir dir;
  const auto file = take(open_store("sqlite://" + dir.path() + "/x.db"));
  const auto made = file->make_legacy_table(jetpack_mapping());
  ASSERT_FALSE(made);
  EXPECT_TRUE(is_error(made.error(), ErrorKind::Invalid, "legacy.table: the store is a file"));
}

}  // namespace
}  // namespace watchwheel::db
