// SPDX-License-Identifier: Apache-2.0
// The daemon while its database server is away, in each of the ways a server can be: checks go on, what is judged arrives in
// order when the server is back, also from a daemon that was killed meanwhile, and people are told of it once.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "daemon.h"
#include "db/sqlite_journal.h"
#include "event_tables.h"
#include "support/fault_server.h"
#include "support/mariadb.h"
#include "support/tcp_proxy.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using namespace std::chrono_literals;

constexpr std::uint32_t kSites = 12;

std::size_t count_of(const std::string& text, const std::string& word) {
  std::size_t count = 0;
  for (auto at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) ++count;
  return count;
}

// A server, a way to it that can be cut, a fleet and a daemon between them, and who is told.
class Installation {
 public:
  explicit Installation(const MariaDb::Options& options = {})
      : server(options), proxy(server.port()), tables(server.port(), "watchwheel") {
    EventTables(server.port(), "")
        .execute(
            "CREATE DATABASE watchwheel; CREATE USER w@'127.0.0.1';"
            "GRANT ALL ON watchwheel.* TO w@'127.0.0.1'");
    fleet::Config config;
    config.sites = kSites;
    config.interval = 2s;
    config.cert_dir = dir.file("certs");
    fleet = std::make_unique<FleetThread>(config);
    receiver.on("/hook", ok(""));
    // A user without the right to write on a server that is read only.
    daemon = std::make_unique<DaemonUnderTest>(
        *fleet, 2s,
        "[[notify]]\nname = \"ops\"\nurl = \"" + receiver.url("/hook") +
            "\"\nallow = [\"127.0.0.0/8\"]\nretry = \"fixed\"\nretry_base = \"1s\"\n",
        "mysql://w@127.0.0.1:" + std::to_string(proxy.port()) + "/watchwheel");
    daemon->import_sites(kSites);
    daemon->start();
    daemon->wait_ready();
    for (const std::string& row : tables.rows("SELECT id, url FROM sites")) {
      const auto host = row.find("//s");
      index_of[std::stoull(row)] = static_cast<std::uint32_t>(std::stoul(row.substr(host + 3)));
    }
  }

  // By their number in the fleet.
  [[nodiscard]] std::set<std::uint32_t> down() const {
    std::set<std::uint32_t> all;
    for (const std::uint64_t site : tables.sites_down()) all.insert(index_of.at(site));
    return all;
  }
  [[nodiscard]] bool lanes_see_down(double count) const {
    return daemon->metric("watchwheel_incidents_open{state=\"down\"}") == count &&
           daemon->metric("watchwheel_incidents_open{state=\"seems_down\"}") == 0;
  }
  // Of each site what the receiver heard, in order: "down up ". A message that came twice counts once.
  [[nodiscard]] std::map<std::uint32_t, std::string> told() const {
    std::map<std::uint32_t, std::string> words;
    std::set<std::string> ids;
    for (const std::string& request : receiver.requests()) {
      const std::size_t end = request.find("\r\n\r\n");
      const json message = json::parse(request.substr(std::min(end, request.size())), nullptr, false);
      if (!message.contains("data")) continue;
      const std::size_t id = request.find("\r\nwebhook-id: ");
      if (!ids.insert(request.substr(id, request.find("\r\n", id + 2) - id)).second) continue;
      for (const json& site : message.at("data").at("sites")) {
        const std::string url = site.at("url");
        const auto number =
            static_cast<std::uint32_t>(std::stoul(url.substr(url.find("//s") + 3)));
        words[number] += message.at("data").at("kind").get<std::string>() + " ";
      }
    }
    return words;
  }

  TempDir dir;
  FaultServer receiver;
  MariaDb server;
  TcpProxy proxy;
  EventTables tables;
  std::unique_ptr<FleetThread> fleet;
  std::unique_ptr<DaemonUnderTest> daemon;
  std::map<std::uint64_t, std::uint32_t> index_of;
};

struct Way {
  const char* name;
  std::function<void(Installation&)> away;
  std::function<void(Installation&)> back;
  bool dies = false;     // The daemon too, meanwhile.
  bool answers = false;  // A question, while it takes no writes.
};
void PrintTo(const Way& way, std::ostream* out) {
  *out << way.name;
}

void kill_server(Installation& it) {
  it.server.kill();
}
void start_server(Installation& it) {
  it.server.start_again();
}
void freeze(Installation& it) {
  ::kill(it.server.pid(), SIGSTOP);
}
void thaw(Installation& it) {
  ::kill(it.server.pid(), SIGCONT);
}
void cut(Installation& it) {
  it.proxy.set(TcpProxy::Network::Cut);
}
void silence(Installation& it) {
  it.proxy.set(TcpProxy::Network::Silent);
}
void mend(Installation& it) {
  it.proxy.set(TcpProxy::Network::Whole);
}
void read_only(Installation& it) {
  it.tables.execute("SET GLOBAL read_only = 1");
}
void writable(Installation& it) {
  it.tables.execute("SET GLOBAL read_only = 0");
}

// The ways that differ from each other; all of them in tools/bench/crash, for each takes half a minute of waiting for deadlines.
const std::vector<Way>& ways() {
  static const std::vector<Way> all = [] {
    std::vector<Way> some{
        {"ServerFrozen", freeze, thaw},
        {"ServerReadOnly", read_only, writable, false, true},
        {"NetworkCut", cut, mend},
        {"ServerKilledAndThenTheDaemon", kill_server, start_server, true},
    };
    if (std::getenv("WATCHWHEEL_CRASHES") != nullptr) {
      some.push_back({"ServerKilled", kill_server, start_server});
      some.push_back({"NetworkSilent", silence, mend});
      some.push_back({"ServerFrozenAndThenTheDaemon", freeze, thaw, true});
    }
    return some;
  }();
  return all;
}

class StoreAway : public ::testing::TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(WithA, StoreAway, ::testing::ValuesIn(ways()),
                         [](const auto& one) { return one.param.name; });

// Goal: whatever the server does, checks and judging go on, nothing is told twice or lost, and what is open at the end is what
// fails; and of each outage people hear once that it began and once that it is over. Method: some sites are down when the server goes;
// meanwhile some of them recover and others fail.
TEST_P(StoreAway, ChecksGoOnAndWhatIsJudgedArrives) {
  Installation it;
  DaemonUnderTest& daemon = *it.daemon;
  it.fleet->fault("status_500", 0, 4);
  ASSERT_TRUE(eventually([&] { return it.down() == std::set<std::uint32_t>{0, 1, 2, 3, 4}; }, 60s));
  EXPECT_EQ(daemon.get("/-/ready"), "ready\n");

  GetParam().away(it);
  it.fleet->fault("status_500", 5, 7);
  it.fleet->clear(0, 2);
  // 8 fails and recovers within the outage.
  it.fleet->fault("status_500", 8, 8);
  ASSERT_TRUE(eventually([&] { return it.lanes_see_down(6); }, 60s)) << daemon.process().err();
  it.fleet->clear(8, 8);
  ASSERT_TRUE(eventually(
      [&] {
        return it.lanes_see_down(5) && daemon.metric("watchwheel_journal_entries") > 5 &&
               daemon.metric("watchwheel_store_away") == 1;
      },
      60s))
      << *daemon.get("/metrics");
  const std::string ready = daemon.get("/-/ready").value_or("503");
  EXPECT_TRUE(ready.starts_with("degraded: store away since ")) << ready;
  EXPECT_NE(ready.find("writes in the journal"), std::string::npos) << ready;
  EXPECT_EQ(daemon.get("/-/healthy"), "healthy\n");
  it.fleet->reset_window();
  EXPECT_TRUE(eventually(
      [&] { return it.fleet->report().at("requests").get<std::uint64_t>() > 3 * kSites; }, 30s))
      << "checks wait for the store";
  const std::set<Promised> promised = promised_in_journal(daemon.state_dir());
  EXPECT_GT(promised.size(), 8U);

  if (GetParam().dies) {
    daemon.kill();
    EXPECT_EQ(count_of(daemon.process().err(), "store_away "), 1U) << daemon.process().err();
    daemon.start();
    ASSERT_TRUE(eventually([&] { return daemon.get("/-/healthy").has_value(); }, 60s));
    EXPECT_EQ(daemon.get("/-/ready"), std::nullopt) << "it knows no site";
    EXPECT_TRUE(eventually(
        [&] {
          return daemon.status().at("recording").at("journal").at("entries").get<int>() > 5;
        },
        60s))
        << daemon.status().dump(1);
  }
  GetParam().back(it);

  ASSERT_TRUE(eventually(
      [&] {
        return it.down() == std::set<std::uint32_t>{3, 4, 5, 6, 7};
      },
      90s))
      << daemon.process().err();
  ASSERT_TRUE(eventually(
      [&] {
        const auto now = daemon.get("/-/ready");
        return now == "ready\n" && daemon.metric("watchwheel_journal_entries") == 0;
      },
      60s))
      << daemon.process().err();
  EXPECT_EQ(it.tables.sites_with_open_event().size(), 5U);
  EXPECT_EQ(it.tables.broken_laws(), "");
  // Each of the nine failed once.
  EXPECT_EQ(it.tables.number("SELECT count(*) FROM events"), 9);
  const std::set<Promised> stored = it.tables.transitions();
  for (const Promised& one : promised) EXPECT_TRUE(stored.contains(one)) << std::get<3>(one);
  EXPECT_EQ(daemon.metric("watchwheel_journal_set_aside"), 0);

  std::map<std::uint32_t, std::string> expected;
  for (const std::uint32_t site : {0U, 1U, 2U, 8U}) expected[site] = "down up ";
  for (std::uint32_t site = 3; site <= 7; ++site) expected[site] = "down ";
  EXPECT_TRUE(eventually([&] { return it.told() == expected; }, 60s));

  const Finished ended = daemon.stop();
  EXPECT_EQ(ended.status, 0);
  EXPECT_EQ(it.told(), expected) << ended.err;
  if (!GetParam().dies) {
    // Who answers a question may be thought to be back, until the next write.
    const std::size_t away = count_of(ended.err, "store_away ");
    EXPECT_EQ(count_of(ended.err, "store_back "), away) << ended.err;
    EXPECT_GE(away, 1U) << ended.err;
    EXPECT_LE(away, GetParam().answers ? 10U : 1U) << ended.err;
    EXPECT_LE(count_of(ended.err, "site_feed_failed"), 2U) << ended.err;
  }
}

// Goal: what an earlier process left, and may yet leave, is in the store before a site is read. Method: somebody holds the journal.
TEST(JournalInUse, IsWaitedForAndSaidSo) {
  Installation it;
  DaemonUnderTest& daemon = *it.daemon;
  EXPECT_EQ(daemon.stop().status, 0);
  auto held = db::SqliteJournal::open({.directory = daemon.state_dir()});
  ASSERT_TRUE(held);
  daemon.start();
  ASSERT_TRUE(eventually([&] { return daemon.get("/-/healthy").has_value(); }, 60s));
  EXPECT_EQ(daemon.get("/-/ready"), std::nullopt);
  EXPECT_TRUE(eventually(
      [&] {
        const std::string text = daemon.status().at("summary").at("text");
        return text.starts_with("another process has the journal");
      },
      60s))
      << daemon.status().dump(1);
  EXPECT_EQ(daemon.metric("watchwheel_store_away"), 0);
  held->reset();
  EXPECT_TRUE(eventually([&] { return daemon.get("/-/ready") == "ready\n"; }, 60s))
      << daemon.process().err();
}

// Goal: a site that recovered during an outage does not stay down for good because the server refuses its end when it is replayed.
// Method: a trigger refuses the ends of before the replay; what is told after it is taken.
TEST(StoreAwayThenRefuses, TheEndOfAnEventIsToldAnew) {
  Installation it;
  DaemonUnderTest& daemon = *it.daemon;
  it.fleet->fault("status_500", 0, 1);
  ASSERT_TRUE(eventually([&] { return it.down() == std::set<std::uint32_t>{0, 1}; }, 60s));
  cut(it);
  it.fleet->clear(0, 0);
  ASSERT_TRUE(eventually(
      [&] { return it.lanes_see_down(1) && daemon.metric("watchwheel_journal_entries") >= 1; }, 60s))
      << daemon.process().err();
  const std::int64_t now = it.tables.number("SELECT FLOOR(UNIX_TIMESTAMP(NOW(3)) * 1000)");
  it.tables.execute(
      "CREATE TRIGGER refuse BEFORE INSERT ON event_transitions FOR EACH ROW SET NEW.reason ="
      " IF(NEW.reason = 'recovered' AND NEW.at <= " +
      std::to_string(now) + ", NULL, NEW.reason)");
  mend(it);
  EXPECT_TRUE(eventually([&] { return it.down() == std::set<std::uint32_t>{1}; }, 60s))
      << daemon.process().err();
  EXPECT_EQ(daemon.metric("watchwheel_journal_set_aside"), 1);
  EXPECT_EQ(it.tables.broken_laws(), "");
  EXPECT_EQ(it.tables.number("SELECT count(*) FROM events"), 2);
  EXPECT_EQ(it.tables.number("SELECT count(*) FROM event_transitions WHERE reason = 'recovered'"), 1);
}

}  // namespace
}  // namespace watchwheel::testing
