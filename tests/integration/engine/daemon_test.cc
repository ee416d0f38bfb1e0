// SPDX-License-Identifier: Apache-2.0
// The daemon as its user runs it: real processes, real sockets, real names, a real store; killed, reloaded, locked out.
#include "daemon.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <map>
#include <set>
#include <string>

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

fleet::Config fleet_config(const TempDir& dir, std::uint32_t sites, std::uint32_t https) {
  fleet::Config config;
  config.sites = sites;
  config.https = https;
  config.interval = std::chrono::seconds(2);
  config.cert_dir = dir.file("certs");
  return config;
}

// url -> newest incident of it.
std::map<std::string, json> by_url(const json& incidents) {
  std::map<std::string, json> all;
  for (const json& incident : incidents.at("incidents"))
    all.emplace(incident.at("url").get<std::string>(), incident);
  return all;
}

std::vector<std::string> reasons_of(const json& incident) {
  std::vector<std::string> reasons;
  std::uint64_t seq = 0;
  for (const json& transition : incident.at("transitions")) {
    EXPECT_EQ(transition.at("seq").get<std::uint64_t>(), ++seq) << incident.dump();
    reasons.push_back(transition.at("reason"));
  }
  return reasons;
}

bool all_down(const DaemonUnderTest& daemon, std::size_t count) {
  std::size_t down = 0;
  const json incidents = daemon.incidents(true);
  for (const json& incident : incidents.at("incidents"))
    down += incident.at("state") == "down" ? 1U : 0U;
  return down == count;
}

struct Fault {
  const char* kind;
  const char* cause;
};

// Goal: sites broken in every way that a name, a connection, TLS, a response or a page can break are all told down with the
// right cause, all recover, and no healthy site is told of. Method: two sites a fault among healthy ones, over real sockets.
TEST(Daemon, TellsEveryKindOfOutageByItsCauseAndItsEnd) {
  constexpr std::array<Fault, 12> kPlain{{{"refused", "connect_refused"},
                                          {"silent", "connect_timeout"},
                                          {"no_answer", "http_timeout"},
                                          {"reset", "http_closed"},
                                          {"status_500", "http_status"},
                                          {"truncated", "body_truncated"},
                                          {"slow_body", "body_timeout"},
                                          {"bad_chunks", "body_malformed"},
                                          {"redirect_loop", "redirect_too_many"},
                                          {"error_page", "content_error_page"},
                                          {"nxdomain", "dns_nxdomain"},
                                          {"servfail", "dns_servfail"}}};
  constexpr std::array<Fault, 4> kTls{{{"tls_expired", "tls_cert_expired"},
                                       {"tls_wrong_host", "tls_cert_hostname"},
                                       {"tls_self_signed", "tls_cert_self_signed"},
                                       {"tls_alert", "tls_handshake"}}};
  const TempDir dir;
  const FleetThread fleet(fleet_config(dir, 60, 12));
  DaemonUnderTest daemon(fleet, 3s);
  daemon.import_sites(60);
  daemon.start();
  daemon.wait_ready();

  std::map<std::string, std::string> expected;
  std::uint32_t site = 0;
  const auto break_two = [&](const Fault& fault) {
    fleet.fault(fault.kind, site, site + 1);
    for (int i = 0; i < 2; ++i) expected[fleet.url(site++)] = fault.cause;
  };
  for (const Fault& fault : kTls) break_two(fault);
  site = 12;
  for (const Fault& fault : kPlain) break_two(fault);

  const auto not_yet_down = [&] {
    std::string missing;
    const auto open = by_url(daemon.incidents(true));
    for (const auto& [url, cause] : expected) {
      const auto incident = open.find(url);
      if (incident == open.end() || incident->second.at("state") != "down") {
        missing += url + " (" + cause + ") ";
      }
    }
    return missing;
  };
  ASSERT_TRUE(eventually([&] { return not_yet_down().empty(); }, 60s)) << not_yet_down();
  for (const auto& [url, incident] : by_url(daemon.incidents(true))) {
    ASSERT_TRUE(expected.contains(url)) << "healthy, and told down: " << incident.dump(1);
    EXPECT_EQ(incident.at("cause"), expected[url]) << incident.dump(1);
  }
  // The store is written before the number is.
  EXPECT_TRUE(eventually([&] {
    return daemon.metric("watchwheel_incidents_open{state=\"down\"}") ==
           static_cast<double>(expected.size());
  }));

  fleet.clear(0, 59);
  ASSERT_TRUE(eventually([&] { return daemon.incidents(true).at("incidents").empty(); }, 60s))
      << daemon.incidents(true).dump(1);
  // Expired, for another name, self-signed: two sites each that show another certificate now.
  EXPECT_GE(daemon.metric("watchwheel_certificates_changed_total"), 6);
  const json all = daemon.incidents(false);
  EXPECT_EQ(all.at("incidents").size(), expected.size());
  for (const json& incident : all.at("incidents")) {
    EXPECT_EQ(reasons_of(incident), (std::vector<std::string>{"opened", "confirmed", "recovered"}))
        << incident.dump(1);
  }
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: killed in the middle of incidents, again and again, no transition is lost or doubled, starts do not move, and what
// seemed down before goes on.
TEST(Daemon, LosesAndDoublesNothingWhenItIsKilled) {
  const TempDir dir;
  const FleetThread fleet(fleet_config(dir, 30, 0));
  DaemonUnderTest daemon(fleet, 2s);
  daemon.import_sites(30);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 0, 9);
  std::map<std::string, std::string> started;
  std::map<std::string, std::size_t> transitions;
  for (int round = 0; round < 4; ++round) {
    ASSERT_TRUE(eventually(
        [&] { return daemon.incidents(true).at("incidents").size() >= (round == 0 ? 3U : 10U); },
        30s));
    daemon.kill();
    // What is committed at this moment must be there, unchanged, ever after.
    for (const auto& [url, incident] : by_url(daemon.incidents(true))) {
      const std::string start = incident.at("started_at");
      EXPECT_EQ(started.emplace(url, start).first->second, start)
          << "the start of an event has moved";
      const std::size_t count = incident.at("transitions").size();
      EXPECT_GE(count, transitions[url]) << "a transition is gone";
      transitions[url] = count;
    }
    daemon.start();
    daemon.wait_ready();
  }
  ASSERT_TRUE(eventually([&] { return all_down(daemon, 10); }, 30s));
  daemon.kill();
  fleet.clear(0, 9);
  daemon.start();
  ASSERT_TRUE(eventually([&] { return daemon.incidents(true).at("incidents").empty(); }, 30s));
  const json all = daemon.incidents(false);
  EXPECT_EQ(all.at("incidents").size(), 10U) << "one outage, one event";
  for (const json& incident : all.at("incidents")) {
    EXPECT_EQ(reasons_of(incident), (std::vector<std::string>{"opened", "confirmed", "recovered"}))
        << incident.dump(1);
  }
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: edits of the site list reach the running daemon: a new site is checked, a paused one is not, one that is removed while it is
// down has its incident closed for that reason.
TEST(Daemon, FollowsTheSiteListWhileItRuns) {
  const TempDir dir;
  const FleetThread fleet(fleet_config(dir, 10, 0));
  DaemonUnderTest daemon(fleet, 2s);
  daemon.import_sites(4);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 0, 1);
  ASSERT_TRUE(eventually([&] { return all_down(daemon, 2); }));

  ASSERT_EQ(daemon.command({"sites", "remove", fleet.url(0)}).status, 0);
  ASSERT_EQ(daemon.command({"sites", "pause", fleet.url(1)}).status, 0);
  ASSERT_EQ(daemon
                .command({"sites", "add", fleet.url(7), "--interval", "1s", "--timeout", "1s",
                          "--connect-timeout", "1s"})
                .status,
            0);
  ASSERT_TRUE(eventually([&] { return daemon.incidents(true).at("incidents").empty(); }));
  const auto closed = by_url(daemon.incidents(false));
  std::set<std::string> last;
  for (const auto& [url, incident] : closed) last.insert(reasons_of(incident).back());
  EXPECT_EQ(last, (std::set<std::string>{"operator", "site_removed"}));
  ASSERT_TRUE(eventually([&] {
    const json sites = daemon.status().at("sites");
    return sites.at("paused") == 1 && sites.at("up") == 3;
  })) << daemon.status().dump(1);
  fleet.reset_window();
  ASSERT_TRUE(eventually([&] { return fleet.report().at("requests").get<double>() >= 6; }));
  // Each site's first answer is projected at once, and read as history: over HTTP and by the command.
  ASSERT_TRUE(eventually([&] {
    const auto page = daemon.get("/api/v1/report?since=1h&limit=500");
    return page && json::parse(*page).at("all").at("responses").get<int>() >= 3;
  }));
  const auto report = daemon.command({"report", "--since", "1h", "--json"});
  EXPECT_EQ(report.status, 0) << report.err;
  const json all = json::parse(report.out).at("all");
  EXPECT_GE(all.at("responses").get<int>(), 3);
  EXPECT_GT(all.at("p99_ms").get<double>(), 0.0);
  EXPECT_EQ(all.at("outages"), 2);
  EXPECT_GT(all.at("down_s").get<double>(), 0.0);
  EXPECT_EQ(daemon.metric("watchwheel_history_removed_total{table=\"events\"}"), 0.0);
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: SIGHUP with a bad configuration changes nothing and says why; with a good one it is in force without a restart.
TEST(Daemon, RefusesABadReloadWholeAndTakesAGoodOne) {
  const TempDir dir;
  const FleetThread fleet(fleet_config(dir, 4, 0));
  DaemonUnderTest daemon(fleet, 2s);
  daemon.import_sites(4);
  daemon.start();
  daemon.wait_ready();
  const std::string good = daemon.config_text();

  write_file(daemon.config_file(), good + "[engine]\nlanes = \"many\"\n[checks.bad]\n");
  daemon.process().signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return daemon.status().at("config").at("reload_ok") == false; }));
  EXPECT_EQ(daemon.metric("watchwheel_config_reload_success"), 0);
  const auto refusal = daemon.post("/-/reload");
  ASSERT_TRUE(refusal.has_value());
  EXPECT_NE(refusal->find("lanes"), std::string::npos) << *refusal;
  EXPECT_EQ(daemon.status().at("checks").at("required_per_second").get<double>(), 2.0)
      << "four sites each 2 s, as before";

  std::string faster = good;
  faster.replace(faster.find("interval = \"2s\""), 15, "interval = \"4s\"");
  write_file(daemon.config_file(), faster);
  daemon.process().signal(SIGHUP);
  ASSERT_TRUE(eventually([&] {
    const json status = daemon.status();
    return status.at("config").at("reload_ok") == true &&
           status.at("checks").at("required_per_second").get<double>() == 1.0;
  })) << daemon.status().dump(1);
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: while another program holds the store's write lock, checks go on; what happened meanwhile is recorded once, afterwards.
TEST(Daemon, GoesOnWhileTheStoreIsLocked) {
  const TempDir dir;
  const FleetThread fleet(fleet_config(dir, 10, 0));
  DaemonUnderTest daemon(fleet, 2s);
  daemon.import_sites(10);
  daemon.start();
  daemon.wait_ready();
  sqlite3* store = nullptr;
  ASSERT_EQ(sqlite3_open(daemon.store_file().c_str(), &store), SQLITE_OK);
  sqlite3_busy_timeout(store, 5000);
  ASSERT_EQ(sqlite3_exec(store, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  fleet.fault("status_500", 0, 4);
  ASSERT_TRUE(eventually(
      [&] { return daemon.metric("watchwheel_incidents_open{state=\"down\"}") == 5; }, 20s))
      << "the lanes know";
  ASSERT_TRUE(eventually(
      [&] { return daemon.metric("watchwheel_db_errors_total{operation=\"commit_events\"}") >= 1; },
      20s));
  const double before = daemon.metric("watchwheel_checks_total{outcome=\"up\"}");
  ASSERT_TRUE(eventually([&] {
    return daemon.metric("watchwheel_checks_total{outcome=\"up\"}") >= before + 10;
  })) << "checks go on";
  EXPECT_TRUE(daemon.get("/-/healthy").has_value());
  sqlite3_exec(store, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(store);
  ASSERT_TRUE(eventually([&] { return all_down(daemon, 5); }, 30s));
  const json open =
      daemon.incidents(true);  // Not in the loop's head: what at() refers to would be gone.
  for (const json& incident : open.at("incidents")) {
    EXPECT_EQ(reasons_of(incident), (std::vector<std::string>{"opened", "confirmed"}))
        << incident.dump(1);
  }
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: SIGTERM while checks hang ends them and the process within the drain time, and opens nothing for them.
TEST(Daemon, DrainsWithinItsTimeWithChecksHanging) {
  const TempDir dir;
  const FleetThread fleet(fleet_config(dir, 6, 0));
  DaemonUnderTest daemon(fleet, 60s, "[engine]\ndrain_timeout = \"1s\"\n");
  daemon.import_sites(4);
  fleet.fault("no_answer", 4, 4);
  // Its own timeout is far longer than the drain.
  ASSERT_EQ(daemon
                .command({"sites", "add", fleet.url(4), "--interval", "60s", "--timeout", "50s",
                          "--connect-timeout", "1s"})
                .status,
            0);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] { return daemon.metric("watchwheel_in_flight") >= 1; }, 70s));
  const Finished end = daemon.stop();
  EXPECT_EQ(end.status, 0) << end.err;
  EXPECT_TRUE(daemon.incidents(false).at("incidents").empty());
}

// Goal: a lane with little to do sleeps. A loop that never waited looked healthy from outside but burnt a core: 500 thousand
// turns a second. Method: turns made between two readings of the uptime; it may make some tens a second.
TEST(Daemon, SleepsWhenThereIsLittleToDo) {
  const TempDir dir;
  const FleetThread fleet(fleet_config(dir, 4, 0));
  DaemonUnderTest daemon(fleet, 2s);
  daemon.import_sites(4);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(
      eventually([&] { return daemon.metric("watchwheel_checks_total{outcome=\"up\"}") >= 8; }));
  const auto turns_per_second = [&] {
    const json status = daemon.status();
    double turns = 0;
    for (const json& lane : status.at("lanes"))
      turns = std::max(turns, lane.at("turns").get<double>());
    return turns / status.at("uptime_s").get<double>();
  };
  EXPECT_LT(turns_per_second(), 2000);
  EXPECT_GT(turns_per_second(), 5) << "it polls its rings ten times a second";
  EXPECT_EQ(daemon.stop().status, 0);
}

// Goal: what cannot start says why and ends with the right status: bad configuration 1, our own trouble 3.
TEST(Daemon, SaysWhyItCannotStart) {
  const TempDir dir;
  const std::string file = dir.file("bad.toml");
  write_file(file, "[checks]\ninterval = \"soon\"\n");
  const Finished bad = run_program({watchwheel_binary(), "run", "--config", file});
  EXPECT_EQ(bad.status, 1);
  EXPECT_NE(bad.err.find(file + ":2:"), std::string::npos) << bad.err;

  write_file(
      file,
      "[store]\nurl = \"sqlite:///proc/no/such/place.db\"\n[http]\nlisten = \"127.0.0.1:9464\"\n");
  const Finished no_store = run_program({watchwheel_binary(), "run", "--config", file});
  EXPECT_EQ(no_store.status, 3) << no_store.err;
  EXPECT_NE(no_store.err.find("/proc/no/such"), std::string::npos) << no_store.err;
}

}  // namespace
}  // namespace watchwheel::testing
