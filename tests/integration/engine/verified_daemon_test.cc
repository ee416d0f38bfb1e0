// SPDX-License-Identifier: Apache-2.0
// The built daemon with built verifiers beside it: one that is right, one that sees everything up, one that is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "daemon.h"
#include "support/certs.h"
#include "support/fault_server.h"
#include "verifier_process.h"

namespace watchwheel::testing {
namespace {

using ::testing::HasSubstr;
using nlohmann::json;
using namespace std::chrono_literals;

fleet::Config three_sites() {
  fleet::Config config;
  config.sites = 3;
  config.interval = 1s;
  return config;
}

// A verifier that says of every site that it is up, whatever it is asked: it speaks the protocol and lies.
class Liar {
 public:
  Liar() { server_.on("/v1/verify", ok("{\"results\": []}", "Content-Type: application/json\r\n")); }
  // Its answers carry the ids of the first so many questions.
  void lie(int questions) {
    json results = json::array();
    for (int id = 1; id <= questions; ++id)
      results.push_back({{"id", std::to_string(id)}, {"cause", "ok"}, {"phase", "done"}, {"http_status", 200}});
    server_.on("/v1/verify", ok(json{{"results", results}}.dump(), "Content-Type: application/json\r\n"));
  }
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(server_.port());
  }

 private:
  FaultServer server_;
};

std::string entry(const std::string& name, const std::string& url, const std::string& more = "") {
  return "[[verifier]]\nname = \"" + name + "\"\nurl = \"" + url + "\"\n" + more;
}
std::string gone() {
  return entry("gone", "http://127.0.0.1:" + std::to_string(closed_port()));
}
std::string checks_of(const FleetThread& fleet) {
  return "resolvers = [\"127.0.0.1:" + std::to_string(fleet.fleet().dns_port()) + "\"]\n";
}

json incident_of(const DaemonUnderTest& daemon, const std::string& state) {
  const json all = daemon.incidents(false);
  for (const json& one : all["incidents"]) {
    if (one["state"] == state) return one;
  }
  return {};
}
json verifier_of(const DaemonUnderTest& daemon, const std::string& name) {
  const json status = daemon.status();
  for (const json& one : status["verification"]["verifiers"]) {
    if (one["name"] == name) return one;
  }
  return {};
}
json witness_of(const json& verification, const std::string& vantage) {
  for (const json& one : verification["witnesses"]) {
    if (one["vantage"] == vantage) return one;
  }
  return {};
}

// Goal: a real outage is confirmed by who sees it, over TLS of a private authority with a token, though another lies and a third is
// dead; and the incident says what each saw.
TEST(VerifiedDaemon, IsConfirmedByAQuorumAndSaysWhoSawWhat) {
  const FleetThread fleet(three_sites());
  const Authority ca("verifier test root");
  const TempDir dir;
  const Certificate certificate = ca.issue({.common_name = "v", .ips = {"127.0.0.1"}});
  write_pem(certificate, dir.file("v.pem"));
  write_key(certificate, dir.file("v.key"));
  const std::string token = dir.write("token", "open-sesame\n");
  VerifierUnderTest honest("cert_file = \"" + dir.file("v.pem") + "\"\nkey_file = \"" +
                               dir.file("v.key") + "\"\ntoken_file = \"" + token + "\"\n",
                           checks_of(fleet), true);
  honest.start();
  Liar liar;
  liar.lie(100);
  DaemonUnderTest daemon(fleet, 2s,
                         entry("honest", honest.url(),
                               "region = \"eu\"\ntoken_file = \"" + token + "\"\nca_file = \"" +
                                   ca.ca_file() + "\"\n") +
                             entry("liar", liar.url()) + gone());
  daemon.import_sites(3);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 0, 0);
  ASSERT_TRUE(eventually([&] { return !incident_of(daemon, "down").empty(); }))
      << daemon.incidents(false).dump(1) << daemon.status()["verification"].dump(1);
  const json incident = incident_of(daemon, "down");
  const json& verification = incident["transitions"][1]["verification"];
  EXPECT_EQ(incident["transitions"][1]["reason"], "confirmed");
  EXPECT_EQ(verification["basis"], "quorum") << verification.dump(1);
  EXPECT_EQ(verification["quorum"], 2);
  EXPECT_EQ(witness_of(verification, "local")["saw"], "down");
  EXPECT_EQ(witness_of(verification, "honest")["saw"], "down");
  EXPECT_EQ(witness_of(verification, "honest")["region"], "eu");
  EXPECT_EQ(witness_of(verification, "honest")["http_status"], 500);
  const Finished text = daemon.command({"incidents"});
  EXPECT_THAT(text.out, HasSubstr("quorum of 2 reached; local down (http_status), honest down"));
  EXPECT_GE(daemon.metric("watchwheel_verifications_total{basis=\"quorum\"}"), 1);
  EXPECT_EQ(verifier_of(daemon, "honest")["state"], "well");
  EXPECT_EQ(daemon.stop().status, 0);
  EXPECT_EQ(honest.process().stop(), 0);
}

// Goal: what others see up is not called down, and is shown as disputed; when it recovers it was a false alarm. Method: two
// verifiers, one lying, one dead; what lies is noticed, and so is what is dead.
TEST(VerifiedDaemon, IsNotCalledDownAgainstOthersAndTheyAreShown) {
  const FleetThread fleet(three_sites());
  Liar liar;
  liar.lie(1000);
  DaemonUnderTest daemon(fleet, 2s, entry("liar", liar.url()) + gone());
  daemon.import_sites(3);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 1, 1);
  ASSERT_TRUE(eventually([&] {
    return daemon.metric("watchwheel_verifications_total{basis=\"disagreement\"}") >= 1 &&
           incident_of(daemon, "seems_down")["verification"].is_object();
  })) << daemon.incidents(false).dump(1);
  const json verification = incident_of(daemon, "seems_down")["verification"];
  EXPECT_EQ(verification["basis"], "disagreement");
  EXPECT_EQ(witness_of(verification, "liar")["saw"], "up");
  EXPECT_EQ(witness_of(verification, "gone")["saw"], "error");
  EXPECT_EQ(daemon.metric("watchwheel_verifications_disputed"), 1);
  // Not counted as down by anybody.
  EXPECT_EQ(daemon.metric("watchwheel_incidents_open{state=\"down\"}"), 0);
  EXPECT_EQ(verifier_of(daemon, "gone")["state"], "silent");
  EXPECT_GE(verifier_of(daemon, "liar")["disagreed"], 1);
  EXPECT_THAT(daemon.command({"incidents", "--open"}).out, HasSubstr("others see it up"));
  // The daemon dies in the middle: the streak goes on, and others are asked anew.
  daemon.kill();
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] {
    return daemon.metric("watchwheel_verifications_total{basis=\"disagreement\"}") >= 1;
  }));
  fleet.clear(1, 1);
  ASSERT_TRUE(eventually([&] { return !incident_of(daemon, "up").empty(); }));
  const json over = incident_of(daemon, "up")["transitions"];
  ASSERT_EQ(over.size(), 2U) << over.dump(1);
  EXPECT_EQ(over[1]["reason"], "false_alarm");
  EXPECT_EQ(over[1]["verification"]["basis"], "disagreement");
  EXPECT_EQ(daemon.stop().status, 0);
}

TEST(VerifiedDaemon, DecidesByItselfWhenNobodyAnswersAndSaysSo) {
  const FleetThread fleet(three_sites());
  DaemonUnderTest daemon(fleet, 2s, gone());
  daemon.import_sites(3);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 2, 2);
  ASSERT_TRUE(eventually([&] { return !incident_of(daemon, "down").empty(); }));
  const json verification = incident_of(daemon, "down")["transitions"][1]["verification"];
  EXPECT_EQ(verification["basis"], "unanswered");
  EXPECT_EQ(witness_of(verification, "gone")["saw"], "error");
  EXPECT_EQ(daemon.stop().status, 0);
}

// A token that is not the one asked for is a verifier that does not answer, and status says why.
TEST(VerifiedDaemon, SaysThatItsTokenIsRefused) {
  const FleetThread fleet(three_sites());
  const TempDir dir;
  VerifierUnderTest verifier("token_file = \"" + dir.write("right", "open-sesame\n") + "\"\n",
                             checks_of(fleet));
  verifier.start();
  DaemonUnderTest daemon(
      fleet, 2s,
      entry("v", verifier.url(), "token_file = \"" + dir.write("wrong", "let-me-in\n") + "\"\n"));
  daemon.import_sites(3);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 0, 0);
  ASSERT_TRUE(eventually([&] { return !incident_of(daemon, "down").empty(); }));
  EXPECT_EQ(incident_of(daemon, "down")["transitions"][1]["verification"]["basis"], "unanswered");
  EXPECT_THAT(verifier_of(daemon, "v")["error"].get<std::string>(), HasSubstr("token"));
  EXPECT_EQ(daemon.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
