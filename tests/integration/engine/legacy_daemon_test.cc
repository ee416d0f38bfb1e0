// SPDX-License-Identifier: Apache-2.0
// The daemon on another program's table: its list comes from there, what it knows is written there, and the other program can go on
// from it at any moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "daemon.h"
#include "support/mariadb.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

constexpr std::uint32_t kSites = 20;

// The other program: plain SQL on its own table.
class OtherProgram {
 public:
  OtherProgram() { (void)sql("CREATE DATABASE watchwheel; CREATE DATABASE other", ""); }

  std::string sql(const std::string& text, const std::string& database = "other") const {
    std::vector<std::string> words{"mariadb",
                                   "--no-defaults",
                                   "-uroot",
                                   "-h127.0.0.1",
                                   "-P" + std::to_string(server_.port()),
                                   "-N",
                                   "-e",
                                   text};
    if (!database.empty()) words.push_back(database);
    const Finished done = run_program(words);
    EXPECT_EQ(done.status, 0) << done.err << " in " << text;
    std::string out = done.out;
    while (out.ends_with('\n')) out.pop_back();
    return out;
  }
  std::string url() const { return server_.url("watchwheel"); }

  void make_table(const FleetThread& fleet) const {
    std::string rows;
    for (std::uint32_t site = 0; site < kSites; ++site) {
      rows += (site == 0 ? "" : ", ") + row(site, fleet.url(site));
    }
    (void)sql(
        "CREATE TABLE jetpack_monitor_sites ("
        " jetpack_monitor_site_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,"
        " blog_id BIGINT UNSIGNED NOT NULL, bucket_no SMALLINT UNSIGNED NOT NULL,"
        " monitor_url VARCHAR(2083) NOT NULL, monitor_active TINYINT UNSIGNED NOT NULL DEFAULT 1,"
        " site_status TINYINT UNSIGNED NOT NULL DEFAULT 1, last_status_change DATETIME,"
        " check_interval SMALLINT UNSIGNED NOT NULL DEFAULT 2, last_checked_at DATETIME,"
        " note VARCHAR(20) NOT NULL DEFAULT 'theirs',"
        " KEY bucket_active (bucket_no, monitor_active)) ENGINE=InnoDB;"
        "INSERT INTO jetpack_monitor_sites (jetpack_monitor_site_id, blog_id, bucket_no, "
        "monitor_url) VALUES " +
        rows);
  }
  // As that software keeps them: often without a scheme.
  static std::string row(std::uint32_t site, std::string url) {
    if (site % 2 == 0 && url.starts_with("http://")) url = url.substr(7);
    return "(" + std::to_string(1000 + site) + ", " + std::to_string(site / 2) + ", " +
           std::to_string(site % 4) + ", '" + url + "')";
  }
  std::string statuses() const {
    return sql(
        "SELECT group_concat(site_status ORDER BY jetpack_monitor_site_id SEPARATOR '') FROM "
        "jetpack_monitor_sites");
  }

 private:
  MariaDb server_;
};

// Goal: all that the two programs do through the table works: its rows are watched, outages are seen in it, edits by its
// other clients are seen, and a daemon that dies leaves it as true as it was.
TEST(LegacyDaemon, WatchesTheTablesRowsAndTellsItWhatItKnows) {
  const OtherProgram other;
  const TempDir dir;
  fleet::Config config;
  config.sites = kSites + 1;
  config.interval = 2s;
  config.cert_dir = dir.file("certs");
  const FleetThread fleet(config);
  other.make_table(fleet);
  (void)other.sql(
      "INSERT INTO jetpack_monitor_sites (jetpack_monitor_site_id, blog_id, bucket_no, "
      "monitor_url, check_interval) VALUES"
      " (5000, 1, 1, 'http://', 2), (5001, 1, 1, 'zero.example', 0)");
  DaemonUnderTest daemon(
      fleet, 2s,
      "[legacy]\npreset = \"jetpack\"\ntable = \"other.jetpack_monitor_sites\"\n"
      "interval_unit = \"seconds\"\nsweep = \"5s\"\nchecked_at = \"last_checked_at\"\n",
      other.url());
  const Finished valid =
      run_program({watchwheel_binary(), "validate-config", daemon.config_file()});
  EXPECT_EQ(valid.status, 0) << valid.err;
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return daemon.status().at("sites").at("up") == kSites; }, 60s))
      << daemon.status().dump(1);
  EXPECT_EQ(daemon.status().at("legacy").at("read").at("rejected"), 2);
  ASSERT_TRUE(eventually(
      [&] {
        return other.sql(
                   "SELECT count(*) FROM jetpack_monitor_sites WHERE last_checked_at IS NOT "
                   "NULL") == std::to_string(kSites);
      },
      60s))
      << daemon.status().at("legacy").dump(1);
  const std::string all_up(kSites + 2, '1');
  EXPECT_EQ(other.statuses(), all_up);

  fleet.fault("status_500", 0, 4);
  ASSERT_TRUE(eventually([&] { return other.statuses() == "22222" + all_up.substr(5); }, 60s))
      << other.statuses();
  EXPECT_EQ(other.sql("SELECT count(*) FROM jetpack_monitor_sites WHERE site_status = 2 AND "
                      "last_status_change > UTC_TIMESTAMP() - INTERVAL 10 MINUTE"),
            "5");
  fleet.clear(0, 4);
  ASSERT_TRUE(eventually([&] { return other.statuses() == all_up; }, 60s)) << other.statuses();

  // What another client edits.
  (void)other.sql(
      "UPDATE jetpack_monitor_sites SET monitor_active = 0 WHERE jetpack_monitor_site_id = 1001;"
      "DELETE FROM jetpack_monitor_sites WHERE jetpack_monitor_site_id = 1002;"
      "UPDATE jetpack_monitor_sites SET monitor_url = '" +
      fleet.url(2) +
      "' WHERE jetpack_monitor_site_id = 1003;"
      "UPDATE jetpack_monitor_sites SET check_interval = 3600 WHERE jetpack_monitor_site_id = 1004;"
      "INSERT INTO jetpack_monitor_sites (jetpack_monitor_site_id, blog_id, bucket_no, "
      "monitor_url) VALUES " +
      OtherProgram::row(kSites, fleet.url(kSites)));
  ASSERT_TRUE(eventually(
      [&] {
        const json changes = daemon.status().at("legacy").at("read");
        return changes.at("added") == kSites + 1 && changes.at("changed") == 2 &&
               changes.at("paused") == 1 && changes.at("removed") == 1;
      },
      60s))
      << daemon.status().at("legacy").dump(1);
  ASSERT_TRUE(eventually([&] { return daemon.status().at("sites").at("up") == kSites - 1; }, 60s))
      << daemon.status().dump(1);
  fleet.reset_window();
  ASSERT_TRUE(eventually(
      [&] { return fleet.site(kSites).at("asked") >= 3 && fleet.site(2).at("asked") >= 3; }, 60s));
  EXPECT_EQ(fleet.site(1).at("asked"), 0);
  EXPECT_EQ(fleet.site(3).at("asked"), 0);

  // Whose list it is.
  const Finished refused = daemon.command({"sites", "add", "http://own.example/"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_THAT(refused.err,
              HasSubstr("the site list comes from the table other.jetpack_monitor_sites"));
  EXPECT_EQ(daemon.command({"sites", "set", "1005", "--keyword", "watchwheel"}).status, 0);

  const auto diff = [&] {
    const Finished done = daemon.command({"legacy", "diff", "--json"});
    return std::pair(done.status, done.out.empty() ? json(done.err) : json::parse(done.out));
  };
  auto [same, report] = diff();
  EXPECT_EQ(same, 0) << report.dump(1);
  EXPECT_EQ(report.at("compared"), kSites - 1);
  EXPECT_EQ(report.at("rejected"), 2);

  // Another program says otherwise: it is told.
  (void)other.sql(
      "UPDATE jetpack_monitor_sites SET site_status = 2, last_status_change = UTC_TIMESTAMP() "
      "WHERE jetpack_monitor_site_id = 1010");
  std::tie(same, report) = diff();
  EXPECT_EQ(same, 1);
  EXPECT_EQ(report.at("differences").at("status"), 1) << report.dump(1);

  // Going back: killed in the middle of an outage, it leaves the table true. Only the lie of the other program differs.
  fleet.fault("status_500", 6, 8);
  ASSERT_TRUE(eventually(
      [&] {
        return other.sql(
                   "SELECT count(*) FROM jetpack_monitor_sites WHERE site_status = 2 AND "
                   "jetpack_monitor_site_id BETWEEN 1006 AND 1008") == "3";
      },
      60s))
      << other.statuses();
  daemon.kill();
  std::tie(same, report) = diff();
  EXPECT_EQ(report.at("differences").at("status"), 1) << report.dump(1);
  EXPECT_EQ(report.at("differences").at("checked_at"), 0) << report.dump(1);
  EXPECT_EQ(other.sql("SELECT count(*) FROM jetpack_monitor_sites WHERE note <> 'theirs' OR "
                      "monitor_active NOT IN (0, 1)"),
            "0");
  // Its next start finds the same list and puts nothing wrong into the table.
  fleet.clear(0, kSites);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually(
      [&] {
        return other.sql(
                   "SELECT count(*) FROM jetpack_monitor_sites WHERE site_status = 2 AND "
                   "jetpack_monitor_site_id BETWEEN 1006 AND 1008") == "0";
      },
      60s))
      << other.statuses();
  const auto paused = [&] { return daemon.status().at("sites").at("paused").get<int>(); };
  ASSERT_TRUE(eventually([&] { return paused() == 1; }, 60s)) << daemon.status().dump(1);
  // Released while it runs, the list is followed no longer; taken back, it is as the table has it.
  const Finished released = daemon.command({"legacy", "release"});
  EXPECT_EQ(released.status, 0);
  EXPECT_THAT(released.err, HasSubstr("set legacy.role to \"target\""));
  EXPECT_EQ(daemon.command({"sites", "pause", "1005"}).status, 0);
  ASSERT_TRUE(eventually([&] { return paused() == 2; }, 60s)) << daemon.status().dump(1);
  EXPECT_EQ(daemon.command({"legacy", "adopt"}).status, 0);
  ASSERT_TRUE(eventually([&] { return paused() == 1; }, 60s)) << daemon.status().dump(1);
  EXPECT_EQ(daemon.command({"legacy", "release"}).status, 0);
  EXPECT_EQ(daemon.stop().status, 0);
  EXPECT_EQ(daemon.command({"sites", "pause", "1005"}).status, 0);
}

TEST(LegacyDaemon, AMappingThatDoesNotFitIsToldBeforeTheStart) {
  const OtherProgram other;
  const TempDir dir;
  fleet::Config config;
  config.sites = kSites + 1;
  config.cert_dir = dir.file("certs");
  const FleetThread fleet(config);
  other.make_table(fleet);
  DaemonUnderTest daemon(fleet, 2s,
                         "[legacy]\npreset = \"jetpack\"\ntable = \"other.jetpack_monitor_sites\"\n"
                         "checked_at = \"last_checked\"\n",
                         other.url());
  const Finished judged =
      run_program({watchwheel_binary(), "validate-config", daemon.config_file()});
  EXPECT_EQ(judged.status, 1);
  EXPECT_THAT(
      judged.err,
      HasSubstr("legacy.checked_at: other.jetpack_monitor_sites has no column last_checked"));
  const Finished diff = daemon.command({"legacy", "diff"});
  EXPECT_EQ(diff.status, 3);
  EXPECT_THAT(diff.err, HasSubstr("legacy.checked_at"));
}

}  // namespace
}  // namespace watchwheel::testing
