// SPDX-License-Identifier: Apache-2.0
// Three daemons on one database: one joins, one stops, one is killed, one stands still. The fleet says whether each site was asked in
// its time, the database whether each outage was told once.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "daemon.h"
#include "support/mariadb.h"
#include "support/slow_build.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kSites = 120;
constexpr core::Duration kInterval = 2s;
constexpr core::Duration kSoon = 60s;

std::string cluster_of(const std::string& node) {
  return "[cluster]\nnode = \"" + node + "\"\nbuckets = 64\nlease = \"5s\"\n";
}

class ClusterTest : public ::testing::Test {
 protected:
  ClusterTest() : fleet(fleet_config()) {
    EXPECT_EQ(run_program({"mariadb", "--no-defaults", "-uroot", "-h127.0.0.1",
                           "-P" + std::to_string(server.port()), "-e", "CREATE DATABASE w"})
                  .status,
              0);
    for (const char* node : {"a", "b", "c"})
      daemons[node] = std::make_unique<DaemonUnderTest>(fleet, kInterval, cluster_of(node), server.url("w"));
  }

  fleet::Config fleet_config() const {
    fleet::Config config;
    config.sites = kSites;
    config.interval = std::chrono::duration_cast<std::chrono::milliseconds>(kInterval);
    config.cert_dir = dir.file("certs");
    return config;
  }
  DaemonUnderTest& daemon(const std::string& node) { return *daemons.at(node); }
  void start(const std::string& node) {
    daemon(node).start();
    daemon(node).wait_ready();
  }
  json nodes() {
    const Finished said = daemon("a").command({"nodes", "--json"});
    EXPECT_TRUE(said.status == 0 || said.status == 1) << said.err;
    return json::parse(said.out);
  }
  int buckets_of(const std::string& node) {
    const json all = nodes();
    for (const json& one : all.at("nodes")) {
      if (one.at("name") == node) return one.at("buckets").get<int>();
    }
    return -1;
  }
  // All are owned, by these alone, and nothing moves.
  bool settled(const std::vector<std::string>& owners) {
    const json all = nodes();
    if (all.at("buckets").at("unowned") != 0 || all.at("buckets").at("moving") != 0) return false;
    for (const json& one : all.at("nodes")) {
      const bool should = std::find(owners.begin(), owners.end(), one.at("name")) != owners.end();
      if ((one.at("buckets").get<int>() > 0) != should) return false;
    }
    return true;
  }
  double gap_max() { return fleet.report().at("gap_s").at("max").get<double>(); }
  std::uint64_t doubled() { return fleet.report().at("doubled").get<std::uint64_t>(); }
  bool down(std::uint32_t count) {
    const json open = daemon("a").incidents(true);
    std::uint32_t n = 0;
    for (const json& one : open.at("incidents")) n += one.at("state") == "down" ? 1U : 0U;
    return n == count && open.at("incidents").size() == count;
  }

  const TempDir dir;
  const MariaDb server;
  const FleetThread fleet;
  std::map<std::string, std::unique_ptr<DaemonUnderTest>> daemons;
};

TEST_F(ClusterTest, SitesMoveWithTheNodesAndNoOutageIsToldTwice) {
  constexpr std::uint32_t kBroken = 40;
  daemon("a").import_sites(kSites);
  start("a");
  ASSERT_TRUE(eventually([&] { return settled({"a"}); }, kSoon)) << nodes().dump(1);
  fleet.fault("status_500", 0, kBroken - 1);
  ASSERT_TRUE(eventually([&] { return down(kBroken); }, kSoon));

  // Two more join. Nobody waits, and the outages that are open go on with them.
  fleet.reset_window();
  start("b");
  start("c");
  ASSERT_TRUE(eventually([&] { return settled({"a", "b", "c"}); }, kSoon)) << nodes().dump(1);
  if (kSlowness == 1) {
    EXPECT_LT(gap_max(), 2 * core::to_seconds(kInterval));
    EXPECT_LE(doubled(), kSites / 20);
  }
  EXPECT_TRUE(down(kBroken)) << daemon("a").incidents(true).dump(1);

  // Half of them recover, wherever they are now.
  fleet.clear(0, kBroken / 2 - 1);
  ASSERT_TRUE(eventually([&] { return down(kBroken / 2); }, kSoon));

  // One stops: the others have its buckets at once.
  EXPECT_EQ(daemon("b").stop().status, 0);
  ASSERT_TRUE(eventually([&] { return settled({"a", "c"}); }, kSoon)) << nodes().dump(1);

  // One is killed: the lease ends.
  daemon("c").kill();
  fleet.clear(0, kSites - 1);
  ASSERT_TRUE(eventually([&] { return settled({"a"}); }, kSoon)) << nodes().dump(1);
  ASSERT_TRUE(eventually([&] { return down(0); }, kSoon)) << daemon("a").incidents(true).dump(1);
  EXPECT_GT(daemon("a").metric("watchwheel_buckets_taken_total{from=\"expired\"}"), 0);

  const json all = daemon("a").incidents(false);
  EXPECT_EQ(all.at("incidents").size(), kBroken);
  for (const json& incident : all.at("incidents"))
    EXPECT_EQ(incident.at("transitions").size(), 3U) << incident.dump(1);
  EXPECT_EQ(daemon("a").stop().status, 0);
}

TEST_F(ClusterTest, ANodeThatStoodStillWritesNothingAndGivesItsSitesAway) {
  daemon("a").import_sites(kSites);
  start("a");
  start("b");
  ASSERT_TRUE(eventually([&] { return settled({"a", "b"}); }, kSoon)) << nodes().dump(1);
  ::kill(daemon("b").process().pid(), SIGSTOP);
  ASSERT_TRUE(eventually([&] { return settled({"a"}); }, kSoon)) << nodes().dump(1);
  // What happens meanwhile happens without it.
  fleet.fault("status_500", 0, kSites - 1);
  ASSERT_TRUE(eventually([&] { return down(kSites); }, kSoon));
  fleet.clear(0, kSites - 1);
  ASSERT_TRUE(eventually([&] { return down(0); }, kSoon));
  ::kill(daemon("b").process().pid(), SIGCONT);
  ASSERT_TRUE(eventually([&] { return daemon("b").metric("watchwheel_lease_lost_total") > 0; }, kSoon));
  ASSERT_TRUE(eventually([&] { return settled({"a", "b"}); }, kSoon)) << nodes().dump(1);
  const json all = daemon("a").incidents(false);
  EXPECT_EQ(all.at("incidents").size(), kSites);
  for (const json& incident : all.at("incidents"))
    EXPECT_EQ(incident.at("transitions").size(), 3U) << incident.dump(1);

  // Drained, it holds nothing and runs on; and takes its share again when it may.
  EXPECT_EQ(daemon("b").command({"nodes", "drain"}).status, 0);
  ASSERT_TRUE(eventually([&] { return settled({"a"}); }, kSoon)) << nodes().dump(1);
  EXPECT_EQ(daemon("b").command({"nodes", "drain", "--cancel"}).status, 0);
  ASSERT_TRUE(eventually([&] { return settled({"a", "b"}); }, kSoon)) << nodes().dump(1);
}

TEST_F(ClusterTest, TwoOfOneNameAreOneTooMany) {
  start("a");
  DaemonUnderTest twin(fleet, kInterval, cluster_of("a"), server.url("w"));
  twin.start();
  EXPECT_EQ(twin.process().wait(kSoon), 3) << twin.process().err();
  EXPECT_TRUE(daemon("a").get("/-/ready"));
}

// A second daemon that was given the first one's directory cannot begin, and holds nothing while it waits.
TEST_F(ClusterTest, WhoHasNoJournalYetTakesNoSites) {
  start("a");
  DaemonUnderTest& second = daemon("b");
  std::string with = second.config_text();
  with.replace(with.find(second.state_dir() + "\"\n"), second.state_dir().size(), daemon("a").state_dir());
  write_file(second.config_file(), with);
  second.start();
  ASSERT_TRUE(eventually([&] { return second.process().err().find("journal_in_use") != std::string::npos; }, kSoon))
      << second.process().err();
  EXPECT_EQ(nodes().at("nodes").size(), 1U) << nodes().dump(1);
  EXPECT_EQ(daemon("a").stop().status, 0);
  second.wait_ready();
  EXPECT_TRUE(eventually([&] { return settled({"b"}); }, kSoon)) << nodes().dump(1);
}

// One file is for one process.
TEST(SqliteDaemon, ASecondOneIsRefusedAndTheFirstGoesOn) {
  const TempDir dir;
  fleet::Config config;
  config.sites = 1;
  config.cert_dir = dir.file("certs");
  const FleetThread fleet(config);
  DaemonUnderTest first(fleet, kInterval);
  first.start();
  first.wait_ready();
  DaemonUnderTest second(fleet, kInterval, "", "sqlite://" + first.store_file());
  second.start();
  EXPECT_EQ(second.process().wait(kSoon), 3);
  EXPECT_NE(second.process().err().find("another daemon"), std::string::npos)
      << second.process().err();
  EXPECT_EQ(first.command({"sites", "list"}).status, 0);  // Commands are welcome.
  first.kill();
  second.start();
  second.wait_ready();
  EXPECT_EQ(second.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
