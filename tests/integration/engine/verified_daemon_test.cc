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

using nlohmann::json;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

fleet::Config three_sites() {
  fleet::Config config;
  config.sites = 3;
  config.interval = 1s;
  return config;
}

// A verifier that says the same of every site, whatever it is asked: it speaks the protocol and lies.
class Liar {
 public:
  // Its answers carry the ids of the first so many questions. Of its examination (what does not exist, then canaries) it tells
  // the truth unless `everywhere`.
  explicit Liar(int questions, const std::string& cause = "ok", bool everywhere = false) {
    json results = json::array();
    const auto add = [&](const std::string& id, const std::string& what) {
      results.push_back({{"id", id}, {"cause", what}, {"phase", "done"}, {"http_status", 200}});
    };
    for (int id = 1; id <= questions; ++id) add(std::to_string(id), cause);
    add("exam-0", everywhere ? cause : "dns_nxdomain");
    for (int id = 1; id <= 3; ++id) add("exam-" + std::to_string(id), everywhere ? cause : "ok");
    server_.on("/v1/verify",
               ok(json{{"results", results}}.dump(), "Content-Type: application/json\r\n"));
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
  const Liar liar(100);
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
  const Liar liar(1000);
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

// Goal: as its operator sees it: what only we cannot reach is not told as down, to anybody; what is down for all is, with the names
// of who saw it, in incident, text, message and metrics; and it is a false alarm when it is over. Method: two verifiers, one asked for
// with a token, one with mutual TLS; a site that answers by who asks.
TEST(VerifiedDaemon, TellsWhatOthersSeeTooAndNotWhatOnlyWeSee) {
  const FleetThread fleet(three_sites());
  const TempDir dir;
  const Authority ca("verifier test root");
  const auto papers = [&](const std::string& name, const CertSpec& spec) {
    const Certificate certificate = ca.issue(spec);
    write_pem(certificate, dir.file(name + ".pem"));
    write_key(certificate, dir.file(name + ".key"));
    return "\"" + dir.file(name);
  };
  const std::string server = papers("server", {.common_name = "v", .ips = {"127.0.0.1"}});
  const std::string client = papers("client", {.common_name = "engine"});
  const std::string token = dir.write("token", "open-sesame\n");
  const std::string who = "user_agent = \"elsewhere\"\n";
  VerifierUnderTest fra("name = \"fra\"\ntoken_file = \"" + token + "\"\n", who);
  VerifierUnderTest ams("name = \"ams\"\ncert_file = " + server + ".pem\"\nkey_file = " + server +
                            ".key\"\nclient_ca_file = \"" + ca.ca_file() + "\"\n",
                        who, true);
  fra.start();
  ams.start();
  FaultServer site;
  site.on("/ours", status(500, "Internal Server Error"));
  site.on("/ours", "elsewhere", ok("fine"));
  site.on("/all", status(503, "Service Unavailable"));
  FaultServer receiver;
  receiver.on("/hook", ok(""));
  DaemonUnderTest daemon(
      fleet, 2s,
      entry("fra", fra.url(), "region = \"eu\"\ntoken_file = \"" + token + "\"\n") +
          entry("ams", ams.url(),
                "region = \"eu\"\nca_file = \"" + ca.ca_file() + "\"\nclient_cert_file = " +
                    client + ".pem\"\nclient_key_file = " + client + ".key\"\n") +
          "[[notify]]\nname = \"ops\"\nurl = \"" + receiver.url("/hook") +
          "\"\nallow = [\"127.0.0.0/8\"]\n");
  daemon.import_sites(1);
  ASSERT_EQ(daemon.command({"sites", "add", site.url("/ours")}).status, 0);
  ASSERT_EQ(daemon.command({"sites", "add", site.url("/all")}).status, 0);
  daemon.start();
  daemon.wait_ready();
  const auto of = [&](const std::string& path, const std::string& state) {
    const json all = daemon.incidents(false);
    for (const json& one : all["incidents"]) {
      if (one["url"] == site.url(path) && one["state"] == state) return one;
    }
    return json();
  };
  ASSERT_TRUE(eventually([&] { return !of("/all", "down").empty(); }))
      << daemon.incidents(false).dump(1) << daemon.status()["verification"].dump(1);
  const json verification = of("/all", "down")["transitions"][1]["verification"];
  EXPECT_EQ(verification["basis"], "quorum");
  // Both stand in one region: they are one vantage, decided when both have spoken, and both are named.
  EXPECT_EQ(witness_of(verification, "fra")["saw"], "down") << verification.dump(1);
  EXPECT_EQ(witness_of(verification, "ams")["saw"], "down");
  EXPECT_EQ(witness_of(verification, "ams")["http_status"], 503);
  ASSERT_TRUE(eventually([&] { return !receiver.requests().empty(); }));
  EXPECT_THAT(receiver.requests()[0], HasSubstr(site.url("/all")));
  EXPECT_THAT(receiver.requests()[0], HasSubstr("\"fra\""));
  EXPECT_THAT(receiver.requests()[0], HasSubstr("\"ams\""));
  ASSERT_TRUE(eventually([&] {
    return daemon.metric("watchwheel_verifications_disputed") == 1 &&
           of("/ours", "seems_down")["verification"].is_object();
  }));
  EXPECT_EQ(of("/ours", "seems_down")["verification"]["basis"], "disagreement");
  EXPECT_EQ(daemon.metric("watchwheel_incidents_open{state=\"down\"}"), 1);
  site.on("/ours", ok("fine"));
  ASSERT_TRUE(eventually([&] { return !of("/ours", "up").empty(); }));
  EXPECT_EQ(of("/ours", "up")["transitions"][1]["reason"], "false_alarm");
  EXPECT_EQ(verifier_of(daemon, "fra")["state"], "well");
  EXPECT_EQ(verifier_of(daemon, "ams")["state"], "well");
  EXPECT_EQ(daemon.metric("watchwheel_verifier_state{verifier=\"ams\",state=\"well\"}"), 1);
  EXPECT_EQ(daemon.stop().status, 0);
  for (const std::string& message : receiver.requests())
    EXPECT_THAT(message, Not(HasSubstr(site.url("/ours"))));
  EXPECT_EQ(fra.process().stop(), 0);
  EXPECT_EQ(ams.process().stop(), 0);
}

// Goal: a verifier that says yes to everything and one that says no are found by their examination, told once, and neither has a
// vote: our own word decides, and says so. Method: our canaries, which the second sees down too.
TEST(VerifiedDaemon, WhoFailsItsExaminationHasNoVote) {
  const FleetThread fleet(three_sites());
  const Liar yes(100, "ok", true);
  const Liar no(100, "connect_refused", true);
  DaemonUnderTest daemon(fleet, 2s,
                         "[vantage]\ncanaries = [\"" + fleet.url(2) + "\"]\n" +
                             entry("yes", yes.url()) + entry("no", no.url()));
  daemon.import_sites(2);
  daemon.start();
  daemon.wait_ready();
  ASSERT_TRUE(eventually([&] {
    return verifier_of(daemon, "yes")["state"] == "wrong" &&
           verifier_of(daemon, "no")["state"] == "wrong";
  })) << daemon.status()["verification"].dump(1);
  EXPECT_THAT(verifier_of(daemon, "yes")["error"].get<std::string>(), HasSubstr("does not exist"));
  EXPECT_THAT(verifier_of(daemon, "no")["error"].get<std::string>(), HasSubstr("canaries"));
  EXPECT_EQ(daemon.metric("watchwheel_verifier_state{verifier=\"no\",state=\"wrong\"}"), 1);
  EXPECT_GE(
      daemon.metric("watchwheel_verifier_examinations_total{verifier=\"no\",result=\"failed\"}"),
      2);
  fleet.fault("status_500", 0, 0);
  ASSERT_TRUE(eventually([&] { return !incident_of(daemon, "down").empty(); }));
  const json verification = incident_of(daemon, "down")["transitions"][1]["verification"];
  EXPECT_EQ(verification["basis"], "unanswered");
  EXPECT_EQ(witness_of(verification, "yes")["saw"], "not_measured");
  EXPECT_THAT(witness_of(verification, "yes")["detail"].get<std::string>(),
              HasSubstr("it said up"));
  EXPECT_EQ(witness_of(verification, "no")["saw"], "not_measured");
  const Finished end = daemon.stop();
  EXPECT_EQ(end.status, 0);
  const auto told = end.err.find("verifier_wrong name=\"no\"");
  EXPECT_NE(told, std::string::npos) << end.err;
  EXPECT_EQ(end.err.find("verifier_wrong name=\"no\"", told + 1), std::string::npos);
}

TEST(VerifiedDaemon, WithoutOthersItsOwnWordIsEnoughAndTheIncidentSaysSo) {
  const FleetThread fleet(three_sites());
  DaemonUnderTest daemon(fleet, 2s);
  daemon.import_sites(1);
  daemon.start();
  daemon.wait_ready();
  fleet.fault("status_500", 0, 0);
  ASSERT_TRUE(eventually([&] { return !incident_of(daemon, "down").empty(); }));
  const json verification = incident_of(daemon, "down")["transitions"][1]["verification"];
  EXPECT_EQ(verification["basis"], "local_only") << verification.dump(1);
  EXPECT_EQ(daemon.stop().status, 0);
}

}  // namespace
}  // namespace watchwheel::testing
