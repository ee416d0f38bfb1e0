// SPDX-License-Identifier: Apache-2.0
// `watchwheel verifier` with the built program: what it answers, whom it refuses, and how it ends.
#include <arpa/inet.h>
#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>
#include <thread>

#include "daemon.h"
#include "support/certs.h"
#include "support/eventually.h"
#include "support/fault_server.h"
#include "verifier_process.h"

namespace watchwheel::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

json check(const std::string& id, const std::string& url, json options = json::object()) {
  return {{"id", id}, {"url", url}, {"options", std::move(options)}};
}

TEST(Verifier, AnswersABatchInItsOrderWithWhatItSaw) {
  FaultServer site;
  site.on("/well", ok("hello"));
  site.on("/ill", status(503, "Service Unavailable"));
  VerifierUnderTest verifier("name = \"fra\"\nregion = \"eu\"\n");
  verifier.start();
  const json answer = verifier.verify({check("b", site.url("/ill")), check("a", site.url("/well")),
                                       check("c", site.url("/well"), {{"keyword", "bye"}}),
                                       check("d", "http://10.0.0.1/"),
                                       check("e", site.url("/well"), {{"allow_private", "true"}}),
                                       check("f", site.url("/well"), {{"timeout", "never"}})});
  EXPECT_EQ(answer["vantage"], (json{{"name", "fra"}, {"region", "eu"}}));
  const json& results = answer["results"];
  ASSERT_EQ(results.size(), 6U);
  EXPECT_EQ(results[0]["id"], "b");
  EXPECT_EQ(results[0]["outcome"], "down");
  EXPECT_EQ(results[0]["http_status"], 503);
  EXPECT_EQ(results[0]["url"], site.url("/ill"));
  EXPECT_EQ(results[1]["id"], "a");
  EXPECT_EQ(results[1]["outcome"], "up");
  EXPECT_EQ(results[2]["cause"], "keyword_missing");
  EXPECT_EQ(results[3]["cause"], "address_blocked");  // The guard is the verifier's own,
  EXPECT_EQ(results[4]["cause"], "target_invalid");   // and nobody who asks can lift it.
  EXPECT_THAT(results[4]["detail"].get<std::string>(), HasSubstr("allow_private"));
  EXPECT_EQ(results[5]["cause"], "target_invalid");
  EXPECT_EQ(verifier.process().stop(), 0);
}

// A site may have name servers of its own, and its name mean something only there. They are asked where the guard lets them be.
TEST(Verifier, AsksASitesOwnNameServersWhereTheyMayBeReached) {
  fleet::Config config;
  config.sites = 1;
  const FleetThread fleet(config);
  VerifierUnderTest verifier;
  verifier.start();
  const std::string own = "127.0.0.1:" + std::to_string(fleet.fleet().dns_port());
  const json answer =
      verifier.verify({check("1", fleet.url(0), {{"resolver", own}}),
                       check("2", fleet.url(0), {{"resolver", "10.0.0.53"}}),
                       check("3", fleet.url(0), {{"resolver", own + "\n169.254.169.254"}}),
                       check("4", fleet.url(0), {{"resolver", "nobody"}})});
  EXPECT_EQ(answer["results"][0]["outcome"], "up") << answer.dump(1);
  EXPECT_EQ(answer["results"][1]["cause"], "address_blocked");
  EXPECT_THAT(answer["results"][1]["detail"].get<std::string>(), HasSubstr("resolver 10.0.0.53"));
  EXPECT_EQ(answer["results"][2]["cause"], "address_blocked");
  EXPECT_EQ(answer["results"][3]["cause"], "target_invalid");
}

// A site that answers nothing: the request's deadline holds, not the check's.
TEST(Verifier, AnswersAtTheDeadlineWhatHasNoResultByThen) {
  FaultServer site;
  site.on("/hang", {hold()});
  site.on("/well", ok("hello"));
  VerifierUnderTest verifier;
  verifier.start();
  const json answer = verifier.verify(
      {check("1", site.url("/hang"), {{"timeout", "60s"}}), check("2", site.url("/well"))}, 4000);
  EXPECT_EQ(answer["results"][0]["outcome"], "not_measured");
  EXPECT_EQ(answer["results"][0]["cause"], "cancelled");
  EXPECT_EQ(answer["results"][1]["outcome"], "up");
}

TEST(Verifier, SaysWhatItHasNoRoomForAndWhen) {
  FaultServer site;
  site.on("/hang", {hold()});
  VerifierUnderTest verifier("in_flight_max = 2\nbatch_max = 4\nbody_max = \"64KiB\"\n");
  verifier.start();
  const json hanging = check("1", site.url("/hang"), {{"timeout", "60s"}});
  // Three at once, and room for two: the third is answered as our overload, and is no word about the site.
  const json answer = verifier.verify({hanging, hanging, hanging}, 1000);
  EXPECT_EQ(answer["results"][2]["cause"], "local_overload");
  EXPECT_EQ(answer["results"][0]["cause"], "cancelled");
  // Those two go on for a minute: nothing else finds room.
  const std::string one = json{{"checks", json::array({hanging})}}.dump();
  const HttpAnswer full = ask_http({.url = verifier.url() + "/v1/verify", .body = one});
  EXPECT_EQ(full.status, 503);
  EXPECT_THAT(full.headers, HasSubstr("Retry-After: 1"));
  const std::string five =
      json{{"checks", json::array({hanging, hanging, hanging, hanging, hanging})}}.dump();
  EXPECT_EQ(ask_http({.url = verifier.url() + "/v1/verify", .body = five}).status, 400);
  EXPECT_EQ(
      ask_http({.url = verifier.url() + "/v1/verify", .body = std::string(70'000, ' ')}).status,
      413);
  EXPECT_EQ(ask_http({.url = verifier.url() + "/v1/verify"}).status, 405);
  EXPECT_EQ(ask_http({.url = verifier.url() + "/else"}).status, 404);
  const std::string page = ask_http({.url = verifier.url() + "/metrics"}).body;
  EXPECT_THAT(page, HasSubstr("watchwheel_verifier_requests_total{result=\"full\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("watchwheel_verifier_requests_total{result=\"malformed\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("watchwheel_verifier_in_flight 2\n"));
  EXPECT_EQ(verifier.process().stop(), 0);
}

TEST(Verifier, AnswersWhatIsUnderWayWhenItIsStopped) {
  FaultServer site;
  site.on("/slow", {pause(1500ms), send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")});
  VerifierUnderTest verifier;
  verifier.start();
  json answer;
  std::thread client(
      [&] { answer = verifier.verify(json::array({check("1", site.url("/slow"))})); });
  ASSERT_TRUE(eventually([&] { return site.connections() > 0; }));
  verifier.process().signal(SIGTERM);
  client.join();
  EXPECT_EQ(answer["results"][0]["outcome"], "up");
  EXPECT_EQ(verifier.process().wait(60s), 0);
}

TEST(Verifier, AnswersOnlyWhoHasTheToken) {
  const TempDir dir;
  VerifierUnderTest verifier("token_file = \"" + dir.write("token", "open-sesame\n") + "\"\n");
  verifier.start();
  const std::string body = json{{"checks", {check("1", "http://10.0.0.1/")}}}.dump();
  const std::string url = verifier.url() + "/v1/verify";
  EXPECT_EQ(ask_http({.url = url, .body = body}).status, 401);
  EXPECT_EQ(ask_http({.url = url, .body = body, .token = "open-sesamE"}).status, 401);
  EXPECT_EQ(ask_http({.url = url, .body = body, .token = "open-sesame"}).status, 200);
  EXPECT_EQ(ask_http({.url = verifier.url() + "/metrics"}).status, 401);
  EXPECT_EQ(ask_http({.url = verifier.url() + "/-/healthy"}).status, 200);
}

TEST(Verifier, SpeaksTlsWithAPrivateAuthorityAndKnowsItsClients) {
  const Authority ca("verifier test root");
  const TempDir dir;
  const auto pem = [&](const std::string& name, const CertSpec& spec) {
    const Certificate certificate = ca.issue(spec);
    write_pem(certificate, dir.file(name + ".pem"));
    write_key(certificate, dir.file(name + ".key"));
    return dir.file(name);
  };
  const std::string server = pem("server", {.common_name = "v", .ips = {"127.0.0.1"}});
  const std::string client = pem("client", {.common_name = "engine"});
  VerifierUnderTest verifier("cert_file = \"" + server + ".pem\"\nkey_file = \"" + server +
                                 ".key\"\nclient_ca_file = \"" + ca.ca_file() + "\"\n",
                             "", true);
  verifier.start();
  const std::string body = json{{"checks", {check("1", "http://10.0.0.1/")}}}.dump();
  HttpAsk ask{.url = verifier.url() + "/v1/verify", .body = body, .ca_file = ca.ca_file()};
  EXPECT_EQ(ask_http(ask).status, 0);  // No certificate, no connection.
  ask.client_cert = client + ".pem";
  ask.client_key = client + ".key";
  EXPECT_EQ(ask_http(ask).status, 200);
  // Who comes back with the session of his last visit is no stranger.
  CURLSH* const share = curl_share_init();
  curl_share_setopt(share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
  ask.share = share;
  for (int visit = 0; visit < 3; ++visit) EXPECT_EQ(ask_http(ask).status, 200) << visit;
  ask.share = nullptr;
  curl_share_cleanup(share);
  ask.ca_file = Authority("another root").ca_file();
  EXPECT_EQ(ask_http(ask).status, 0);
  EXPECT_EQ(verifier.process().stop(), 0);
}

// Goal: a renewed certificate and token are taken over without a restart, and bad ones are not. Method: SIGHUP, which unhandled ends a
// process, in a way that its service manager takes for a clean one.
TEST(Verifier, ReadsItsCertificateAndTokenAnewOnSighup) {
  const Authority first("first root");
  const Authority second("second root");
  const TempDir dir;
  const auto write = [&](const Authority& ca, const std::string& token) {
    const Certificate certificate = ca.issue({.common_name = "v", .ips = {"127.0.0.1"}});
    write_pem(certificate, dir.file("v.pem"));
    write_key(certificate, dir.file("v.key"));
    return dir.write("token", token);
  };
  const std::string token_file = write(first, "the-first-token");
  VerifierUnderTest verifier("cert_file = \"" + dir.file("v.pem") + "\"\nkey_file = \"" +
                                 dir.file("v.key") + "\"\ntoken_file = \"" + token_file + "\"\n",
                             "", true);
  verifier.start();
  const auto status = [&](const Authority& ca, const std::string& token) {
    return ask_http({.url = verifier.url() + "/metrics", .token = token, .ca_file = ca.ca_file()}).status;
  };
  EXPECT_EQ(status(first, "the-first-token"), 200);
  (void)write(second, "the-second-token");
  verifier.process().signal(SIGHUP);
  EXPECT_TRUE(eventually([&] { return status(second, "the-second-token") == 200; }))
      << verifier.process().err();
  EXPECT_EQ(status(second, "the-first-token"), 401);
  (void)dir.write("v.pem", "no certificate");
  verifier.process().signal(SIGHUP);
  EXPECT_TRUE(eventually([&] {
    return verifier.process().err().find("reload_failed") != std::string::npos;
  }));
  EXPECT_EQ(status(second, "the-second-token"), 200);
  EXPECT_EQ(verifier.process().stop(), 0);
}

// Goal: overload is told as overload over TLS too: a closed connection would count as a failure. Method: somebody silent takes the only
// place; and a body that is too long is sent to its end.
TEST(Verifier, SaysOverTlsThatThereIsNoRoomAndThatItIsTooMuch) {
  const Authority ca("a root");
  const TempDir dir;
  const Certificate certificate = ca.issue({.common_name = "v", .ips = {"127.0.0.1"}});
  write_pem(certificate, dir.file("v.pem"));
  write_key(certificate, dir.file("v.key"));
  VerifierUnderTest verifier("cert_file = \"" + dir.file("v.pem") + "\"\nkey_file = \"" +
                                 dir.file("v.key") + "\"\nconnections_max = 1\nbody_max = \"64KiB\"\n",
                             "", true);
  verifier.start();
  HttpAsk ask{.url = verifier.url() + "/v1/verify", .body = std::string(3'000'000, 'x'), .ca_file = ca.ca_file()};
  EXPECT_EQ(ask_http(ask).status, 413);
  sockaddr_in there{};
  there.sin_family = AF_INET;
  const std::string url = verifier.url();
  there.sin_port = htons(static_cast<std::uint16_t>(std::stoi(url.substr(url.rfind(':') + 1))));
  there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int silent = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(::connect(silent, reinterpret_cast<const sockaddr*>(&there), sizeof there), 0);
  ask.body = json{{"checks", {check("1", "http://10.0.0.1/")}}}.dump();
  int status = 0;
  EXPECT_TRUE(eventually([&] { return (status = ask_http(ask).status) == 503; })) << status;
  ::close(silent);
  EXPECT_TRUE(eventually([&] { return (status = ask_http(ask).status) == 200; })) << status;
}

TEST(Verifier, IsNotOpenedToTheWorldByMistake) {
  const TempDir dir;
  const auto refused = [&](const std::string& server) {
    const std::string file = dir.write("v.toml", "[verifier_server]\n" + server);
    return run_program({watchwheel_binary(), "verifier", "--config", file});
  };
  const Finished plain = refused("listen = \"0.0.0.0:9465\"\ntoken_file = \"/t\"\n");
  EXPECT_EQ(plain.status, 1);
  EXPECT_THAT(plain.err, HasSubstr("no certificate"));
  const Finished open = refused("listen = \"0.0.0.0:9465\"\nplain_http = true\n");
  EXPECT_EQ(open.status, 1);
  EXPECT_THAT(open.err, HasSubstr("nobody is asked who they are"));
  const Finished broken = refused("listen = \"127.0.0.1:" + std::to_string(free_port()) +
                                  "\"\ncert_file = \"/none.pem\"\n");
  EXPECT_EQ(broken.status, 3);
  EXPECT_THAT(broken.err, HasSubstr("/none.pem"));
}

// docs/reference/verifier.md has the families of a verifier's page, and no other.
TEST(Verifier, ItsMetricsAreThoseOfTheReference) {
  VerifierUnderTest verifier;
  verifier.start();
  std::stringstream page(ask_http({.url = verifier.url() + "/metrics"}).body);
  std::set<std::string> made;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("# TYPE ") || line.find("watchwheel_http_") != std::string::npos)
      continue;
    made.insert(line.substr(7, line.rfind(' ') - 7) + line.substr(line.rfind(' ')));
  }
  std::ifstream file(WATCHWHEEL_SOURCE_DIR "/docs/reference/verifier.md");
  std::set<std::string> written;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("| `watchwheel_")) continue;
    std::string type = line.substr(line.find("| ", 3) + 2);
    type.resize(type.find(' '));
    written.insert(line.substr(3, line.find('`', 3) - 3) + " " + type);
  }
  ASSERT_GT(written.size(), 5U);
  EXPECT_EQ(made, written);
}

}  // namespace
}  // namespace watchwheel::testing
