// SPDX-License-Identifier: Apache-2.0
// The daemon when everything fails at once: with canaries that answer it is the sites' trouble, with canaries that do not it is ours.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "daemon.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kCanaries = 3;

// Sites first, then the canaries, which are not in the site list.
fleet::Config fleet_of(const TempDir& dir, std::uint32_t sites) {
  fleet::Config config;
  config.sites = sites + kCanaries;
  config.interval = 10s;
  config.cert_dir = dir.file("certs");
  return config;
}

std::string vantage_section(const FleetThread& fleet, std::uint32_t sites) {
  std::string urls;
  for (std::uint32_t i = 0; i < kCanaries; ++i)
    urls += (i == 0 ? "\"" : ", \"") + fleet.url(sites + i) + "\"";
  return "[vantage]\ncanaries = [" + urls + "]\n";
}

std::string vantage_state(const DaemonUnderTest& daemon) {
  return daemon.status().at("vantage").at("state").get<std::string>();
}

bool all_up(const DaemonUnderTest& daemon, std::uint32_t sites) {
  return daemon.metric("watchwheel_sites{state=\"up\"}") == sites;
}

// Goal: 1,400 sites on six networks that all stop answering while the canaries answer are all told down, and as one outage.
TEST(DaemonVantage, TellsARealMassOutageAsOne) {
  constexpr std::uint32_t kSites = 1400;
  const TempDir dir;
  const FleetThread fleet(fleet_of(dir, kSites));
  DaemonUnderTest daemon(fleet, 10s, vantage_section(fleet, kSites));
  daemon.import_sites(kSites);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return all_up(daemon, kSites); }, 60s)) << daemon.status().dump(1);
  // Not "silent": the names of such sites all point to one address, and one network is not many.
  fleet.fault("no_answer", 0, kSites - 1);
  ASSERT_TRUE(eventually(
      [&] { return daemon.metric("watchwheel_incidents_open{state=\"down\"}") == kSites; }, 120s))
      << daemon.status().dump(1);
  EXPECT_EQ(daemon.metric("watchwheel_vantage_healthy"), 1);
  EXPECT_EQ(daemon.metric("watchwheel_mass_outages_total"), 1);
  ASSERT_TRUE(eventually(
      [&] {
        const json open = daemon.incidents(true);
        return open.at("groups").size() == 1 && open.at("groups")[0].at("down") == kSites;
      },
      30s))
      << daemon.incidents(true).at("groups").dump(1);
  const json all = daemon.incidents(false);
  EXPECT_TRUE(all.at("vantage").empty());
  EXPECT_EQ(all.at("incidents").size(), kSites);
  const Finished text = daemon.command({"incidents"});
  EXPECT_NE(text.out.find("mass outage 1 open"), std::string::npos) << text.out.substr(0, 1000);
  EXPECT_EQ(text.out.find("fleet.test"), std::string::npos) << "its sites are in the one line";
  const Finished members = daemon.command({"incidents", "--group", "1", "--limit", "5"});
  EXPECT_NE(members.out.find("fleet.test"), std::string::npos) << members.out;
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: when canaries and sites stop answering together nobody is called down; the fault is an event of its own, which a killed
// process leaves closed and the next one tells anew, and which ends when the network is back.
TEST(DaemonVantage, CallsNobodyDownForOurOwnFault) {
  constexpr std::uint32_t kSites = 300;
  const TempDir dir;
  const FleetThread fleet(fleet_of(dir, kSites));
  DaemonUnderTest daemon(fleet, 3s, vantage_section(fleet, kSites));
  daemon.import_sites(kSites);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return all_up(daemon, kSites); }, 60s)) << daemon.status().dump(1);
  const json well = daemon.status().at("vantage");
  EXPECT_EQ(well.at("state"), "healthy");
  ASSERT_EQ(well.at("canaries").size(), kCanaries);
  EXPECT_EQ(well.at("canaries")[0].at("ok"), true) << well.dump(1);

  fleet.fault("silent", 0, kSites + kCanaries - 1);
  ASSERT_TRUE(eventually([&] { return vantage_state(daemon) == "fault"; }, 30s))
      << daemon.status().dump(1);
  ASSERT_TRUE(eventually(
      [&] { return daemon.metric("watchwheel_sites{state=\"unknown\"}") == kSites; }, 60s));
  EXPECT_EQ(daemon.metric("watchwheel_vantage_healthy"), 0);
  // On a busy machine a site may be unknown first because we had no time for it.
  EXPECT_TRUE(eventually([&] {
    return daemon.metric("watchwheel_results_withheld_total{reason=\"canaries\"}") >= kSites;
  }));
  const json blind = daemon.incidents(true);
  EXPECT_TRUE(blind.at("incidents").empty()) << blind.dump(1);
  ASSERT_EQ(blind.at("vantage").size(), 1U);
  EXPECT_EQ(blind.at("vantage")[0].at("reason"), "canaries");
  EXPECT_TRUE(daemon.get("/-/ready").has_value());

  daemon.kill();
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return daemon.incidents(false).at("vantage").size() == 2; }, 30s));
  EXPECT_EQ(daemon.incidents(true).at("vantage").size(), 1U) << "the first one is closed";

  fleet.clear(0, kSites + kCanaries - 1);
  ASSERT_TRUE(eventually([&] { return vantage_state(daemon) == "healthy"; }, 60s))
      << daemon.status().dump(1);
  ASSERT_TRUE(eventually([&] { return all_up(daemon, kSites); }, 60s)) << daemon.status().dump(1);
  ASSERT_TRUE(eventually([&] { return daemon.incidents(true).at("vantage").empty(); }));
  EXPECT_TRUE(daemon.incidents(false).at("incidents").empty());
  const Finished end = daemon.stop();
  EXPECT_EQ(end.status, 0);
  EXPECT_NE(end.err.find("vantage_fault"), std::string::npos);
}

// Goal: canaries come and go by a reload.
TEST(DaemonVantage, TakesNewCanariesWithAReload) {
  const TempDir dir;
  const FleetThread fleet(fleet_of(dir, 4));
  DaemonUnderTest daemon(fleet, 3s);
  daemon.import_sites(4);
  daemon.start();
  daemon.wait_ready();
  EXPECT_TRUE(daemon.status().at("vantage").at("canaries").empty());
  write_file(daemon.config_file(), daemon.config_text() + vantage_section(fleet, 4));
  daemon.process().signal(SIGHUP);
  ASSERT_TRUE(eventually([&] {
    return daemon.metric("watchwheel_canary_checks_total{result=\"ok\"}") >= kCanaries;
  })) << daemon.status().dump(1);
  EXPECT_EQ(daemon.status().at("vantage").at("canaries").size(), kCanaries);
  EXPECT_TRUE(daemon.status().at("config").at("restart_needed").empty());
  write_file(daemon.config_file(), daemon.config_text());
  daemon.process().signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return daemon.status().at("vantage").at("canaries").empty(); }));
  EXPECT_EQ(daemon.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
