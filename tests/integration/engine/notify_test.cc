// SPDX-License-Identifier: Apache-2.0
// A running daemon tells a real receiver of what happens to sites: once, in order, signed; killed or not.
#include <gtest/gtest.h>
#include <sqlite3.h>

#include <csignal>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "channels/signature.h"
#include "daemon.h"
#include "event_tables.h"
#include "support/certs.h"
#include "support/eventually.h"
#include "support/fault_server.h"
#include "support/mariadb.h"
#include "support/paths.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

const std::string kKeyText = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

// One request as it came.
struct Hook {
  std::string id;
  std::string timestamp;
  std::string signature;
  std::string body;
  json data;

  [[nodiscard]] std::string kind() const { return data.at("kind"); }
  [[nodiscard]] std::size_t sites() const { return data.at("sites").size(); }
};

std::string header(const std::string& request, const std::string& name) {
  const std::string start = "\r\n" + name + ": ";
  const std::size_t at = request.find(start);
  if (at == std::string::npos) return "";
  const std::size_t from = at + start.size();
  return request.substr(from, request.find("\r\n", from) - from);
}

class Receiver {
 public:
  void answer(int code) { server_.on("/hook", code == 200 ? ok("") : status(code, "No")); }
  [[nodiscard]] std::string url() const { return server_.url("/hook"); }
  [[nodiscard]] std::vector<Hook> hooks() const {
    std::vector<Hook> all;
    for (const std::string& request : server_.requests()) {
      const std::size_t end = request.find("\r\n\r\n");
      if (end == std::string::npos || !request.starts_with("POST /hook")) continue;
      Hook hook{.id = header(request, "webhook-id"),
                .timestamp = header(request, "webhook-timestamp"),
                .signature = header(request, "webhook-signature"),
                .body = request.substr(end + 4),
                .data = {}};
      const json document = json::parse(hook.body, nullptr, false);
      hook.data = document.contains("data") ? document.at("data") : document;
      all.push_back(std::move(hook));
    }
    return all;
  }
  [[nodiscard]] std::string kinds() const {
    std::string words;
    for (const Hook& hook : hooks()) words += hook.kind() + " ";
    return words;
  }

 private:
  FaultServer server_;
};

class Notify : public ::testing::Test {
 protected:
  Notify() {
    fleet::Config config;
    config.sites = 4;
    config.https = 0;
    config.interval = 2s;
    config.cert_dir = dir_.file("certs");
    fleet_ = std::make_unique<FleetThread>(config);
    receiver_.answer(200);
    write_file(dir_.file("key"), kKeyText + "\n");
  }

  void start(const std::string& keys, const std::string& store_url = "") {
    daemon_ = std::make_unique<DaemonUnderTest>(*fleet_, 2s, keys, store_url);
    daemon_->import_sites(4);
    daemon_->start();
    daemon_->wait_ready();
  }
  std::string target(const std::string& name, const std::string& more = "") const {
    return "[[notify]]\nname = \"" + name + "\"\nurl = \"" + receiver_.url() +
           "\"\nsecret_file = \"" + dir_.file("key") +
           "\"\nallow = [\"127.0.0.0/8\"]\nretry = \"fixed\"\nretry_base = \"4s\"\n" + more;
  }
  bool is_down(std::uint32_t count) const {
    return daemon_->incidents(true).at("incidents").size() == count;
  }

  void make_wakes_due() const {
    sqlite3* store = nullptr;
    ASSERT_EQ(
        sqlite3_open_v2(daemon_->store_file().c_str(), &store, SQLITE_OPEN_READWRITE, nullptr),
        SQLITE_OK);
    sqlite3_busy_timeout(store, 10'000);
    const char* const due = "UPDATE outbox_wakes SET due_at = 1 WHERE memo LIKE 'hold:%'";
    EXPECT_EQ(sqlite3_exec(store, due, nullptr, nullptr, nullptr), SQLITE_OK);
    sqlite3_close(store);
  }

  TempDir dir_;
  std::unique_ptr<FleetThread> fleet_;
  Receiver receiver_;
  std::unique_ptr<DaemonUnderTest> daemon_;
};

void expect_signed(const Hook& hook) {
  const auto key = channels::webhook_key(kKeyText);
  ASSERT_TRUE(key);
  const std::vector<std::string> keys{*key};
  EXPECT_EQ(
      hook.signature,
      channels::webhook_signature(
          {.id = hook.id, .unix_seconds = std::stoll(hook.timestamp), .body = hook.body}, keys));
}

TEST_F(Notify, SiteThatGoesDownAndComesBackIsToldOnceEachInOrderAndSigned) {
  start(target("ops"));
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; })) << daemon_->process().err();
  fleet_->clear(1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down up "; }))
      << receiver_.kinds() << daemon_->process().err();
  // All that was committed was looked at, and nothing waits: there is no third message to come.
  ASSERT_TRUE(eventually([&] {
    const json notify = daemon_->status().at("notify");
    return notify.at("notices_routed") == 3 && notify.at("under_way") == 0 &&
           daemon_->metric(
               "watchwheel_deliveries_total{channel=\"webhook\",result=\"delivered\"}") == 2;
  })) << daemon_->status().at("notify");
  const std::vector<Hook> hooks = receiver_.hooks();
  ASSERT_EQ(hooks.size(), 2U);
  EXPECT_NE(hooks[0].id, hooks[1].id);
  for (const Hook& hook : hooks) {
    expect_signed(hook);
    ASSERT_EQ(hook.sites(), 1U);
    EXPECT_EQ(hook.data.at("sites").at(0).at("url"), fleet_->url(1));
  }
  EXPECT_EQ(hooks[0].data.at("sites").at(0).at("cause"), "http_status");
  EXPECT_EQ(hooks[0].data.at("sites").at(0).at("incident"),
            hooks[1].data.at("sites").at(0).at("incident"));
  EXPECT_EQ(hooks[1].data.at("sites").at(0).at("reason"), "recovered");
  const json targets = daemon_->status().at("notify").at("targets");
  ASSERT_EQ(targets.size(), 1U);
  EXPECT_EQ(targets.at(0).at("delivered"), 2);
  EXPECT_EQ(daemon_->stop().status, 0);
}

TEST_F(Notify, DatabaseServerKeepsWhatIsToBeToldToo) {
  MariaDb server;
  EventTables(server.port(), "").execute("CREATE DATABASE watchwheel");
  start(target("ops"), server.url("watchwheel"));
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; })) << daemon_->process().err();
  fleet_->clear(1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down up "; }))
      << receiver_.kinds() << daemon_->process().err();
  EXPECT_EQ(daemon_->stop().status, 0);
}

// Killed while a message waits, and again after the site has come back: told once each, in order, with the id of the first attempt.
TEST_F(Notify, KillLosesNothing) {
  start(target("ops"));
  receiver_.answer(503);
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return !receiver_.hooks().empty(); })) << daemon_->process().err();
  daemon_->kill();
  const std::vector<Hook> refused = receiver_.hooks();
  ASSERT_EQ(refused.front().kind(), "down");

  daemon_->start();
  daemon_->wait_ready();
  fleet_->clear(1, 1);
  ASSERT_TRUE(eventually([&] { return is_down(0); }));
  daemon_->kill();
  const std::size_t before = receiver_.hooks().size();
  receiver_.answer(200);
  daemon_->start();
  ASSERT_TRUE(eventually([&] { return receiver_.hooks().size() >= before + 2; }, 60s))
      << receiver_.kinds() << daemon_->process().err();
  daemon_->wait_ready();
  ASSERT_TRUE(eventually([&] {
    const json notify = daemon_->status().at("notify");
    return notify.at("targets").at(0).at("delivered") == 2 && notify.at("under_way") == 0;
  }));
  const std::vector<Hook> hooks = receiver_.hooks();
  ASSERT_EQ(hooks.size(), before + 2);
  EXPECT_EQ(hooks[before].kind(), "down");
  EXPECT_EQ(hooks[before].id, refused.front().id);
  EXPECT_EQ(hooks[before + 1].kind(), "up");
  for (std::size_t i = 0; i < before; ++i) EXPECT_EQ(hooks[i].kind(), "down") << i;
  EXPECT_EQ(daemon_->stop().status, 0);
}

// What is said of it nobody is told; closed it is told as over; what fails on is an incident of its own.
TEST_F(Notify, WhatPeopleDoToAnIncidentIsDoneAndHeard) {
  start(target("ops"));
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; })) << daemon_->process().err();
  const json first = daemon_->incidents(true).at("incidents").at(0);
  const std::string id = std::to_string(first.at("id").get<int>());
  const auto act = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "incidents");
    words.insert(words.end(), {"--by", "ann", "--wait", "60s"});
    const Finished done = daemon_->command(words);
    EXPECT_EQ(done.status, 0) << done.err << daemon_->process().err();
  };
  act({"ack", id});
  act({"comment", id, "a cable"});
  act({"close", id, "--why", "not ours"});
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down up down "; }))
      << receiver_.kinds() << daemon_->process().err();
  const std::vector<Hook> hooks = receiver_.hooks();
  for (const Hook& hook : hooks) {
    if (hook.kind() != "up") continue;
    EXPECT_EQ(hook.data.at("sites").at(0).at("reason"), "operator");
    EXPECT_EQ(hook.data.at("sites").at(0).at("state"), "unknown");
  }
  const json all = daemon_->incidents(false).at("incidents");
  ASSERT_EQ(all.size(), 2U);
  EXPECT_TRUE(all.at(0).at("open"));
  const json& closed = all.at(1);
  EXPECT_EQ(closed.at("acked_by"), "ann");
  std::string story;
  for (const json& transition : closed.at("transitions")) {
    story += transition.at("reason").get<std::string>();
    if (!transition.at("act").is_null())
      story += ":" + transition.at("act").get<std::string>() + ":" + transition.at("why").get<std::string>();
    story += " ";
  }
  EXPECT_EQ(story, "opened confirmed operator:ack: operator:comment:a cable operator:close:not ours ");
  EXPECT_EQ(daemon_->command({"incidents", "ack", id}).status, 1) << "it is over";
  fleet_->clear(1, 1);
  EXPECT_EQ(daemon_->stop().status, 0);
}

// The same over HTTP, in the name of whoever has the token; what is asked twice is done once.
TEST_F(Notify, WhatPeopleDoOverHttpIsDoneOnceAndHeard) {
  write_file(dir_.file("token"), "sesame\n");
  start("token_file = \"" + dir_.file("token") + "\"\n" + target("ops"));
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; })) << daemon_->process().err();
  const std::string bearer = "Authorization: Bearer sesame";
  const std::string is_json = "Content-Type: application/json";
  const auto shown = [&](const std::string& path) {
    const auto answer = daemon_->call(path, {bearer});
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body);
  };
  const json open = shown("/api/v1/incidents?open=true").at("incidents");
  ASSERT_EQ(open.size(), 1U);
  const std::string incident =
      "/api/v1/incidents/" + std::to_string(open.at(0).at("id").get<int>());
  const std::string ack = R"({"by": "ann", "why": "on it"})";
  EXPECT_EQ(daemon_->call(incident + "/ack", {is_json}, ack).status, 401);
  EXPECT_EQ(daemon_->call(incident + "/ack", {bearer}, ack).status, 415);
  EXPECT_EQ(daemon_->call(incident + "/ack", {bearer, is_json}, "{}").status, 400);
  EXPECT_EQ(daemon_->call("/api/v1/incidents/999/ack", {bearer, is_json}, ack).status, 404);
  const auto act = [&](const std::string& what, const std::string& body) {
    const auto answer = daemon_->call(incident + what, {bearer, is_json, "Idempotency-Key: " + what},
                                      body);
    EXPECT_TRUE(answer.status == 202 || answer.status == 200) << answer.status << answer.body;
    const json asked = json::parse(answer.body);
    EXPECT_TRUE(eventually([&] {
      return shown(asked.at("url").get<std::string>()).at("state") == "done";
    })) << daemon_->process().err();
    return asked.at("request");
  };
  const json first = act("/ack", ack);
  EXPECT_EQ(act("/ack", ack), first);
  act("/comment", R"({"by": "ann", "text": "a cable"})");
  act("/comment", R"({"by": "ann", "text": "a cable"})");
  act("/close", R"({"by": "bob", "why": "not ours"})");
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down up down "; }))
      << receiver_.kinds() << daemon_->process().err();
  EXPECT_EQ(daemon_->call(incident + "/comment", {bearer, is_json}, R"({"by": "ann", "text": "x"})")
                .status,
            409)
      << "it is over";
  EXPECT_EQ(act("/ack", ack), first) << "it was done before that";
  std::string story;
  const json seen = shown(incident);
  for (const json& transition : seen.at("transitions")) {
    if (transition.at("act").is_null()) continue;
    EXPECT_EQ(transition.at("source"), "api");
    story += transition.at("act").get<std::string>() + " " +
             transition.at("who").get<std::string>() + ": " +
             transition.at("why").get<std::string>() + "; ";
  }
  EXPECT_EQ(story, "ack ann: on it; comment ann: a cable; close bob: not ours; ");
  fleet_->clear(1, 1);
  EXPECT_EQ(daemon_->stop().status, 0);
}

// Told once that it flaps, killed or not; then an outage only when it lasts, and once that it is steady. How long any of it takes is
// not looked at.
TEST_F(Notify, SiteThatFlapsIsToldOnceAndWhatStaysDownIsTold) {
  const std::string keys = "[flapping]\nlow = 5\nhigh = 8\n" + target("ops");
  start(keys);
  // What was under way when the daemon was killed comes again, with the same id.
  const auto told = [&](const std::string& kind) {
    std::set<std::string> ids;
    for (const Hook& hook : receiver_.hooks()) {
      if (hook.kind() == kind) ids.insert(hook.id);
    }
    return ids.size();
  };
  for (int outage = 0; outage < 20 && told("flapping") == 0; ++outage) {
    const std::size_t before = told("down");
    fleet_->fault("status_500", 1, 1);
    ASSERT_TRUE(eventually([&] { return told("down") > before || told("flapping") > 0; }))
        << receiver_.kinds() << daemon_->process().err();
    fleet_->clear(1, 1);
    ASSERT_TRUE(eventually([&] { return is_down(0); })) << daemon_->process().err();
  }
  ASSERT_EQ(told("flapping"), 1U) << receiver_.kinds() << daemon_->process().err();
  daemon_->kill();
  daemon_->start();
  daemon_->wait_ready();
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] {
    return told("flapping_over") == 1;
  }, 120s)) << receiver_.kinds() << daemon_->process().err();
  std::set<std::string> seen;
  std::string after;
  std::string incident;
  for (const Hook& hook : receiver_.hooks()) {
    if (!seen.insert(hook.id).second) continue;
    if (!hook.kind().starts_with("flapping") && after.empty()) continue;
    after += hook.kind() + " ";
    if (!hook.kind().starts_with("flapping")) continue;
    const json& site = hook.data.at("sites").at(0);
    if (incident.empty()) incident = site.at("incident");
    EXPECT_EQ(site.at("incident"), incident) << "what began is what ends";
  }
  // Where all is slow, the outage before the kill lasted too.
  EXPECT_TRUE(after.starts_with("flapping ") && after.ends_with("down flapping_over ")) << after;
  EXPECT_EQ(told("flapping"), 1U);
  EXPECT_EQ(daemon_->status().at("notify").at("flapping"), 0);
  EXPECT_TRUE(daemon_->incidents(true).at("incidents").at(0).at("site_flapping_since").is_null());
  EXPECT_EQ(daemon_->stop().status, 0);
}

// What began in a window and is down at its end is told then; the end of what was told before is told at once.
TEST_F(Notify, AMaintenanceWindowHoldsBackWhatBeginsInIt) {
  start(target("ops"));
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; })) << daemon_->process().err();
  ASSERT_EQ(daemon_->command({"maintenance", "add", "--all", "--for", "1h"}).status, 0);
  // Within five seconds the window is known to the daemon: the second outage shows that, for its notice is held.
  fleet_->fault("status_500", 2, 2);
  fleet_->clear(1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds().find("up") != std::string::npos; }))
      << receiver_.kinds() << daemon_->process().err();
  fleet_->fault("status_500", 3, 3);
  ASSERT_TRUE(eventually([&] {
    return daemon_->metric(R"(watchwheel_notices_held_total{reason="maintenance"})") >= 1;
  })) << daemon_->process().err();
  nlohmann::json why;
  ASSERT_TRUE(eventually([&] {
    why = daemon_->incidents(true).at("incidents").at(0).at("held");
    return !why.is_null();
  }));
  EXPECT_EQ(why.at("reason"), "maintenance");
  EXPECT_EQ(why.at("window"), 1);
  EXPECT_TRUE(why.at("until").is_string()) << why.dump();
  const std::string held = receiver_.kinds();
  ASSERT_EQ(daemon_->command({"maintenance", "remove", "1"}).status, 0);
  // The minute after which it is looked at again is over at once; how long it is is shown in virtual time. Again and again: before
  // the removal is known it is held for another one.
  ASSERT_TRUE(eventually(
      [&] {
        make_wakes_due();
        return receiver_.kinds() != held;
      },
      60s))
      << held << daemon_->process().err();
  EXPECT_EQ(daemon_->stop().status, 0);
}

// What depends on a site that is down is not told until that is up and the other was looked at again.
TEST_F(Notify, AParentThatIsDownHoldsBackItsChildren) {
  start(target("ops"));
  const std::string parent = fleet_->url(1);
  const std::string child = fleet_->url(2);
  ASSERT_EQ(daemon_->command({"sites", "set", child, "--parent", parent}).status, 0);
  const Finished circle = daemon_->command({"sites", "set", parent, "--parent", child});
  EXPECT_NE(circle.status, 0);
  EXPECT_NE(circle.err.find("circle"), std::string::npos) << circle.err;

  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; }, 60s))
      << daemon_->process().err();
  EXPECT_EQ(receiver_.hooks().at(0).data.at("note"), "Holds the notices of 1 site that depends on it.");
  fleet_->fault("status_500", 2, 2);
  ASSERT_TRUE(eventually(
      [&] { return daemon_->metric(R"(watchwheel_notices_held_total{reason="parent"})") >= 1; },
      60s))
      << daemon_->process().err();
  const nlohmann::json newest = daemon_->incidents(true).at("incidents").at(0);
  ASSERT_EQ(newest.at("url"), child);
  ASSERT_TRUE(newest.at("held").is_object()) << "what is counted is in the store";
  EXPECT_EQ(newest.at("held").at("reason"), "parent");
  EXPECT_TRUE(newest.at("held").at("parent").is_number()) << newest.at("held").dump();
  EXPECT_EQ(receiver_.kinds(), "down ");
  EXPECT_TRUE(is_down(2)) << "it is checked and known all the same";

  fleet_->clear(1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down up down "; }, 120s))
      << receiver_.kinds() << daemon_->process().err();
  EXPECT_EQ(receiver_.hooks().at(2).data.at("sites").at(0).at("url"), child);
  EXPECT_EQ(daemon_->stop().status, 0);
}

// What one site was told, in order; a message that was sent twice counts once.
std::string kinds_of(const std::vector<Hook>& hooks, const std::string& url) {
  std::string words;
  std::set<std::string> ids;
  for (const Hook& hook : hooks) {
    if (hook.sites() == 1 && hook.data.at("sites").at(0).at("url") == url &&
        ids.insert(hook.id).second)
      words += hook.kind() + " ";
  }
  return words;
}

// Goal: who is alone on a database server tells people while that is away, in order, also after a SIGKILL, and nothing again once it
// is back. Method: site 1 failed before, 2 fails and recovers meanwhile, of 3 the receiver refuses the message until we were killed.
TEST_F(Notify, ADatabaseThatIsAwayKeepsNothingFromBeingTold) {
  MariaDb server;
  EventTables(server.port(), "").execute("CREATE DATABASE watchwheel");
  start(target("ops"), server.url("watchwheel"));
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; }, 60s))
      << daemon_->process().err();
  ASSERT_TRUE(eventually([&] { return daemon_->status().at("notify").at("source") == "store"; }));

  server.kill();
  fleet_->clear(1, 1);
  fleet_->fault("status_500", 2, 2);
  ASSERT_TRUE(eventually(
      [&] {
        return kinds_of(receiver_.hooks(), fleet_->url(1)) == "down up " &&
               kinds_of(receiver_.hooks(), fleet_->url(2)) == "down ";
      },
      90s))
      << receiver_.kinds() << daemon_->process().err();
  fleet_->clear(2, 2);
  ASSERT_TRUE(eventually(
      [&] { return kinds_of(receiver_.hooks(), fleet_->url(2)) == "down up "; }, 60s))
      << receiver_.kinds() << daemon_->process().err();
  EXPECT_EQ(receiver_.hooks().size(), 4U) << receiver_.kinds();
  EXPECT_EQ(daemon_->status().at("notify").at("source"), "journal");
  EXPECT_TRUE(daemon_->status().at("notify").at("not_kept").is_null());
  EXPECT_EQ(daemon_->metric("watchwheel_notices_from_journal"), 1);
  EXPECT_EQ(daemon_->metric("watchwheel_notices_not_kept"), 0);

  receiver_.answer(503);
  fleet_->fault("status_500", 3, 3);
  ASSERT_TRUE(eventually([&] { return receiver_.hooks().size() > 4; }, 60s))
      << daemon_->process().err();
  daemon_->kill();
  const std::size_t before = receiver_.hooks().size();
  receiver_.answer(200);
  daemon_->start();
  ASSERT_TRUE(eventually([&] { return receiver_.hooks().size() > before; }, 90s))
      << daemon_->process().err();
  EXPECT_EQ(daemon_->status().at("notify").at("source"), "journal");
  EXPECT_EQ(kinds_of(receiver_.hooks(), fleet_->url(3)), "down ");
  EXPECT_EQ(receiver_.hooks().size(), before + 1);

  server.start_again();
  ASSERT_TRUE(eventually(
      [&] {
        return daemon_->get("/-/ready") == "ready\n" &&
               daemon_->status().at("notify").at("source") == "store";
      },
      90s))
      << daemon_->process().err();
  fleet_->clear(3, 3);
  ASSERT_TRUE(eventually(
      [&] { return kinds_of(receiver_.hooks(), fleet_->url(3)) == "down up "; }, 60s))
      << receiver_.kinds() << daemon_->process().err();
  ASSERT_TRUE(eventually([&] {
    EventTables tables(server.port(), "watchwheel");
    return tables.number("SELECT count(*) FROM outbox") == 0 &&
           tables.number("SELECT count(*) FROM deliveries") == 0;
  })) << daemon_->process().err();
  EXPECT_EQ(receiver_.hooks().size(), before + 2) << receiver_.kinds();
  for (std::uint32_t site = 1; site <= 3; ++site)
    EXPECT_EQ(kinds_of(receiver_.hooks(), fleet_->url(site)), "down up ") << site;
  EventTables tables(server.port(), "watchwheel");
  EXPECT_EQ(tables.number("SELECT count(*) FROM deliveries_done WHERE outcome = 'delivered'"), 6);
  EXPECT_EQ(tables.broken_laws(), "");
  EXPECT_EQ(daemon_->stop().status, 0);
}

// Goal: a host that could not tell anybody should its database go away says so, and tells as long as it is there.
TEST_F(Notify, AHostThatCannotKeepItsNoticesSaysSo) {
  MariaDb server;
  EventTables(server.port(), "").execute("CREATE DATABASE watchwheel");
  daemon_ = std::make_unique<DaemonUnderTest>(*fleet_, 2s, target("ops"), server.url("watchwheel"));
  daemon_->import_sites(4);
  std::filesystem::create_directories(daemon_->state_dir() + "/notices.db/full");
  daemon_->start();
  daemon_->wait_ready();
  const nlohmann::json notify = daemon_->status().at("notify");
  EXPECT_EQ(notify.at("source"), "store");
  EXPECT_NE(notify.at("not_kept").get<std::string>().find("notices.db"), std::string::npos) << notify;
  EXPECT_EQ(daemon_->metric("watchwheel_notices_not_kept"), 1);
  fleet_->fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "down "; }, 60s))
      << daemon_->process().err();
  EXPECT_EQ(daemon_->stop().status, 0);
}

// Goal: a certificate that ends in some days is told once, whatever becomes of the process, and so is its end; the site is up all the
// while. Method: a TLS server with such a certificate, a daemon that is killed, and a site that is paused.
TEST_F(Notify, ACertificateThatEndsSoonIsToldOnceAndSoIsItsEnd) {
  const Authority root("Test root");
  FaultServer shop(TlsOptions{
      .certificate = root.issue({.ips = {"127.0.0.1"}, .valid_for = 1h * (5 * 24 + 1)})});
  shop.otherwise(ok("<html>fine</html>"));
  start(target("ops", "states = [\"down\", \"up\", \"warning\"]\nseverity = \"warning\"\n") +
        target("outages"));
  ASSERT_EQ(daemon_->command({"sites", "add", shop.url(), "--interval", "5s", "--timeout", "5s",
                              "--ca-file", root.ca_file()}).status, 0);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "warning "; }))
      << receiver_.kinds() << daemon_->process().err();
  const auto warnings = [&] {
    const auto shown = daemon_->command({"incidents", "--json", "--kind", "tls_expiring"});
    return json::parse(shown.out).at("incidents");
  };
  const auto seen = [&] {
    const json found = warnings();
    EXPECT_EQ(found.size(), 1U) << found;
    EXPECT_TRUE(found.at(0).at("open"));
    return found.at(0);
  };
  const json incident = seen();
  EXPECT_EQ(incident.at("kind"), "tls_expiring");
  EXPECT_EQ(incident.at("cause"), "tls_expiring");
  EXPECT_EQ(incident.at("step"), "7d");
  EXPECT_EQ(incident.at("severity"), "warning");
  EXPECT_EQ(incident.at("state"), "warning");
  EXPECT_EQ(daemon_->metric("watchwheel_warnings_open{kind=\"tls_expiring\"}"), 1);
  EXPECT_EQ(daemon_->metric("watchwheel_incidents_open{state=\"down\"}"), 0);
  const Hook told = receiver_.hooks().at(0);
  EXPECT_EQ(told.data.at("severity"), "warning");
  EXPECT_EQ(told.data.at("sites").at(0).at("cause"), "tls_expiring");
  EXPECT_EQ(told.data.at("sites").at(0).at("state"), "warning");
  const std::string detail = told.data.at("sites").at(0).at("detail");
  EXPECT_EQ(detail.substr(0, 29), "the certificate expires in 5d") << detail;

  daemon_->kill();
  daemon_->start();
  daemon_->wait_ready();
  ASSERT_TRUE(eventually([&] {
    return daemon_->metric("watchwheel_warnings_open{kind=\"tls_expiring\"}") == 1;
  }));
  EXPECT_EQ(seen().at("id"), incident.at("id"));
  EXPECT_EQ(receiver_.kinds(), "warning ");

  ASSERT_EQ(daemon_->command({"sites", "pause", shop.url()}).status, 0);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "warning warning_over "; }, 60s))
      << receiver_.kinds() << daemon_->process().err();
  const json over = receiver_.hooks().at(1).data.at("sites").at(0);
  EXPECT_EQ(over.at("incident"), told.data.at("sites").at(0).at("incident"));
  EXPECT_EQ(over.at("reason"), "operator");
  EXPECT_EQ(over.at("state"), "paused");
  const json after = warnings();
  ASSERT_EQ(after.size(), 1U) << after;
  EXPECT_EQ(after.at(0).at("transitions").size(), 2U);
  EXPECT_TRUE(daemon_->incidents(false).at("incidents").empty()) << "no outage";
  EXPECT_EQ(daemon_->stop().status, 0);
}

TEST_F(Notify, ReloadTakesOverATargetAndTestSendsOneMessage) {
  start("");
  std::string text = daemon_->config_text() + target("later");
  write_file(daemon_->config_file(), text);
  EXPECT_EQ(daemon_->command({"deliveries", "test", "later"}).status, 0);
  EXPECT_EQ(receiver_.kinds(), "test ");
  EXPECT_EQ(daemon_->command({"deliveries", "test", "nobody"}).status, 2);
  receiver_.answer(500);
  const Finished refused = daemon_->command({"deliveries", "test", "later", "--json"});
  EXPECT_EQ(refused.status, 1);
  EXPECT_EQ(json::parse(refused.out).at("result"), "retry");
  receiver_.answer(200);
  ASSERT_TRUE(daemon_->post("/-/reload"));
  ASSERT_TRUE(eventually([&] { return daemon_->status().at("notify").at("targets").size() == 1; }));
  fleet_->fault("status_500", 2, 2);
  ASSERT_TRUE(eventually([&] { return receiver_.kinds() == "test test down "; }))
      << receiver_.kinds() << daemon_->process().err();
  EXPECT_EQ(daemon_->stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
