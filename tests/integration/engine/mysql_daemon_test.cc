// SPDX-License-Identifier: Apache-2.0
// The daemon on a database server: the main job, a server that stands still, a daemon that is killed.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <set>
#include <string>

#include "daemon.h"
#include "support/mariadb.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kSites = 20;
constexpr std::uint32_t kBroken = 5;

std::size_t open_and_down(const DaemonUnderTest& daemon) {
  std::size_t down = 0;
  const json incidents = daemon.incidents(true);
  for (const json& incident : incidents.at("incidents"))
    down += incident.at("state") == "down" ? 1U : 0U;
  return down;
}

// Goal: on MariaDB outages are told, checks go on while the server stands still, and what ended meanwhile is written when it
// is back; a killed daemon goes on with the events it finds.
TEST(MysqlDaemon, TellsOutagesThroughAServerThatStandsStillAndADeathOfItsOwn) {
  const MariaDb server;
  ASSERT_EQ(run_program({"mariadb", "--no-defaults", "-uroot", "-h127.0.0.1",
                         "-P" + std::to_string(server.port()), "-e", "CREATE DATABASE watchwheel"})
                .status,
            0);
  const TempDir dir;
  fleet::Config config;
  config.sites = kSites;
  config.interval = std::chrono::seconds(2);
  config.cert_dir = dir.file("certs");
  const FleetThread fleet(config);
  DaemonUnderTest daemon(fleet, 2s, "", server.url("watchwheel"));
  daemon.import_sites(kSites);
  daemon.start();
  daemon.wait_ready();

  fleet.fault("status_500", 0, kBroken - 1);
  ASSERT_TRUE(eventually([&] { return open_and_down(daemon) == kBroken; }, 60s))
      << daemon.incidents(false).dump(1);

  // The server stands still, its connections open; the sites recover.
  ::kill(server.pid(), SIGSTOP);
  fleet.clear(0, kSites - 1);
  fleet.reset_window();
  EXPECT_TRUE(eventually(
      [&] { return fleet.report().at("requests").get<std::uint64_t>() > 3 * kSites; }, 30s))
      << "checks wait for the store";
  ::kill(server.pid(), SIGCONT);
  ASSERT_TRUE(eventually([&] { return daemon.incidents(true).at("incidents").empty(); }, 60s))
      << daemon.incidents(true).dump(1);

  fleet.fault("status_500", 0, kBroken - 1);
  ASSERT_TRUE(eventually([&] { return open_and_down(daemon) == kBroken; }, 60s));
  daemon.kill();
  fleet.clear(0, kSites - 1);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return daemon.incidents(true).at("incidents").empty(); }, 60s))
      << daemon.incidents(true).dump(1);
  const json all = daemon.incidents(false);
  EXPECT_EQ(all.at("incidents").size(), 2 * kBroken) << all.dump(1);
  for (const json& incident : all.at("incidents"))
    EXPECT_EQ(incident.at("transitions").size(), 3U) << incident.dump(1);
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: a server that is killed and comes back after a while is found again by the running daemon, which meanwhile checks on, and
// asks for it with growing pauses instead of all the time; what happened in the meantime is told once.
TEST(MysqlDaemon, GoesOnWhenAKilledServerIsBack) {
  MariaDb server;
  ASSERT_EQ(run_program({"mariadb", "--no-defaults", "-uroot", "-h127.0.0.1",
                         "-P" + std::to_string(server.port()), "-e", "CREATE DATABASE watchwheel"})
                .status,
            0);
  const TempDir dir;
  fleet::Config config;
  config.sites = kSites;
  config.interval = std::chrono::seconds(2);
  config.cert_dir = dir.file("certs");
  const FleetThread fleet(config);
  DaemonUnderTest daemon(fleet, 2s, "", server.url("watchwheel"));
  daemon.import_sites(kSites);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 0, kBroken - 1);
  ASSERT_TRUE(eventually([&] { return open_and_down(daemon) == kBroken; }, 60s))
      << daemon.incidents(false).dump(1);

  const auto refused = [&] {
    double all = 0;
    for (const char* operation : {"commit_events", "read_event", "project", "site_feed"})
      all +=
          daemon.metric("watchwheel_db_errors_total{operation=\"" + std::string(operation) + "\"}");
    return all;
  };
  const double refused_before = refused();
  server.kill();
  fleet.clear(0, kSites - 1);
  fleet.reset_window();
  ASSERT_TRUE(eventually(
      [&] { return fleet.report().at("requests").get<std::uint64_t>() > 4 * kSites; }, 60s))
      << "checks wait for the store";
  const double refused_while_away = refused() - refused_before;
  std::printf("%.0f calls refused while the server was away\n", refused_while_away);
  EXPECT_GT(refused_while_away, 0) << "nobody noticed";
  // 13 were counted in some ten seconds. Pauses grow up to seconds, so a slow machine that takes a minute for it comes to about ten
  // times that; without a pause a refused connection is asked for anew a thousand times a second.
  EXPECT_LT(refused_while_away, 200) << "asked without a pause";

  server.start_again();
  ASSERT_TRUE(eventually([&] { return daemon.incidents(true).at("incidents").empty(); }, 60s))
      << daemon.incidents(true).dump(1);
  const json all = daemon.incidents(false);
  EXPECT_EQ(all.at("incidents").size(), kBroken) << all.dump(1);
  for (const json& incident : all.at("incidents"))
    EXPECT_EQ(incident.at("transitions").size(), 3U) << incident.dump(1);
  EXPECT_EQ(daemon.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
