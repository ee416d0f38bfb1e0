// SPDX-License-Identifier: Apache-2.0
// The daemon where the machine is too small, stands still or has lost its resolver: whatever becomes of being on time, no healthy
// site is called down, the work goes on, and afterwards everything is as before.
#include <gtest/gtest.h>

#include <csignal>
#include <string>

#include "daemon.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

fleet::Config slow_fleet(const TempDir& dir, std::uint32_t sites, core::Duration delay) {
  fleet::Config config;
  config.sites = sites;
  config.interval = std::chrono::seconds(2);
  config.cert_dir = dir.file("certs");
  config.delay = delay;
  return config;
}

double up_results(const DaemonUnderTest& daemon) {
  return daemon.metric("watchwheel_checks_total{outcome=\"up\"}");
}

std::uint64_t limit_of(const json& status, const std::string& name) {
  for (const json& limit : status.at("limits")) {
    if (limit.at("name") == name) return limit.at("value");
  }
  ADD_FAILURE() << "no limit " << name;
  return 0;
}

// Nothing was ever opened: neither down nor "seems down".
void expect_no_incident(const DaemonUnderTest& daemon) {
  const json incidents = daemon.incidents(false).at("incidents");
  EXPECT_TRUE(incidents.empty()) << incidents.size() << " incidents, the first: "
                                 << (incidents.empty() ? "" : incidents.front().dump(1));
}

bool all_up(const DaemonUnderTest& daemon, std::uint64_t sites) {
  const json status = daemon.status();
  return status.at("sites").at("up") == sites && status.at("freshness").at("stale_sites") == 0;
}

// Goal: with 200 descriptors a fleet that would need twice as many is late, and nothing else. Method: 800 sites that answer after
// 0.4 s, every 2 s: 160 in flight are wanted, half of that is afforded.
TEST(DaemonUnderPressure, WithFewDescriptorsChecksAreLateAndNobodyIsDown) {
  const TempDir dir;
  const FleetThread fleet(slow_fleet(dir, 800, 400ms));
  DaemonUnderTest daemon(fleet, 2s, "[engine]\nlanes = 2\n");
  daemon.import_sites(800);
  daemon.start({"sh", "-c", "ulimit -n 200 && exec \"$@\"", "sh"});
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return up_results(daemon) > 1500; }, 60s));
  const json status = daemon.status();
  EXPECT_EQ(limit_of(status, "in_flight_descriptors"), 80U);
  EXPECT_LE(status.at("in_flight").at("now"), 80);
  EXPECT_EQ(status.at("in_flight").at("limit"), 80);
  EXPECT_GT(daemon.metric("watchwheel_admission_refused_total{reason=\"descriptors\"}"), 0);
  expect_no_incident(daemon);
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: a process that was stopped for longer than any timeout, with hundreds of checks in flight, calls nobody down for it and
// is on time again.
TEST(DaemonUnderPressure, StoppedForAWhileItCallsNobodyDown) {
  const TempDir dir;
  const FleetThread fleet(slow_fleet(dir, 1000, 1s));
  DaemonUnderTest daemon(fleet, 2s);
  daemon.import_sites(1000);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return all_up(daemon, 1000); }, 60s)) << daemon.status().dump(1);
  ASSERT_TRUE(eventually([&] { return daemon.status().at("in_flight").at("now") >= 300; }));
  daemon.process().signal(SIGSTOP);
  core::SystemClock{}.sleep_for(5s);  // More than twice the timeout of 2 s.
  daemon.process().signal(SIGCONT);
  const double before = up_results(daemon);
  ASSERT_TRUE(eventually([&] { return up_results(daemon) > before + 1000; }, 60s));
  ASSERT_TRUE(eventually([&] { return all_up(daemon, 1000); }, 60s)) << daemon.status().dump(1);
  for (const char* cause : {"http_timeout", "connect_timeout", "dns_timeout", "body_timeout"}) {
    EXPECT_EQ(
        daemon.metric("watchwheel_check_failures_total{cause=\"" + std::string(cause) + "\"}"), 0)
        << cause;
  }
  expect_no_incident(daemon);
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: with a dead resolver nobody is called down; all sites turn unknown in their time, and come back.
TEST(DaemonUnderPressure, WithADeadResolverAllSitesTurnUnknownAndComeBack) {
  const TempDir dir;
  const FleetThread fleet(slow_fleet(dir, 300, 5ms));
  DaemonUnderTest daemon(fleet, 3s);
  daemon.import_sites(300);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return all_up(daemon, 300); }, 60s)) << daemon.status().dump(1);
  fleet.dns(false);
  ASSERT_TRUE(eventually([&] { return daemon.status().at("sites").at("unknown") == 300; }, 60s))
      << daemon.status().dump(1);
  fleet.dns(true);
  ASSERT_TRUE(eventually([&] { return all_up(daemon, 300); }, 60s)) << daemon.status().dump(1);
  expect_no_incident(daemon);
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: a process that takes more than its budget sheds, says so, and goes on; nobody is called down for it. Method: the smallest
// budget there is, and a list of sites that alone takes more of it than is fine: those beyond the fleet's are asked once a day.
TEST(DaemonUnderPressure, BeyondItsMemoryBudgetItShedsAndGoesOn) {
  const TempDir dir;
  const FleetThread fleet(slow_fleet(dir, 2000, 1500ms));
  DaemonUnderTest daemon(fleet, 2s, "[engine]\nlanes = 2\nmemory = \"64MiB\"\n");
  daemon.import_sites(2000);
  std::string csv = "url,interval\n";
  for (std::uint32_t i = 0; i < 150'000; ++i)
    csv += fleet.url(i % 2000) + "page/" + std::to_string(i) + ",24h\n";
  write_file(dir.file("many.csv"), csv);
  ASSERT_EQ(daemon.command({"sites", "import", dir.file("many.csv")}).status, 0);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return daemon.status().at("memory").at("level") >= 1; }, 60s))
      << daemon.status().at("memory").dump(1);
  const json status = daemon.status();
  EXPECT_EQ(status.at("memory").at("budget_bytes"), 64 * 1024 * 1024);
  EXPECT_EQ(status.at("memory").at("origin"), "engine.memory");
  const double before = up_results(daemon);
  EXPECT_TRUE(eventually([&] { return up_results(daemon) > before + 100; }, 60s))
      << "the work stopped: " << daemon.status().dump(1);
  expect_no_incident(daemon);
  const Finished end = daemon.stop();
  EXPECT_EQ(end.status, 0);
  EXPECT_NE(end.err.find("memory_level from=0 to="), std::string::npos);
}

}  // namespace
}  // namespace watchwheel::testing
