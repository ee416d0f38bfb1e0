// SPDX-License-Identifier: Apache-2.0
// Goal: every fault shows on the wire as its cause says, and the observer counts what was asked.
// Method: a whole fleet on free ports, asked over real sockets.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "fleet_client.h"

namespace watchwheel::fleet {
namespace {

constexpr std::uint32_t kHttps = 10;  // Sites 0 to 9.
constexpr std::uint32_t kPlain = 10;  // The first plain site.

Config small() {
  Config config;
  config.sites = 40;
  config.https = kHttps;
  config.cert_mode = CertMode::Distinct;
  return config;
}

class FleetServes : public ::testing::Test {
 protected:
  void fault(const std::string& kind, std::uint32_t site) {
    const auto answer =
        fleet_.control("POST", "/fault?kind=" + kind + "&sites=" + std::to_string(site));
    ASSERT_TRUE(answer) << answer.problem;
  }
  nlohmann::json report() {
    return nlohmann::json::parse(fleet_.control("GET", "/report").value.value_or("{}"));
  }
  nlohmann::json site(std::uint32_t number) {
    const auto answer = fleet_.control("GET", "/sites/" + std::to_string(number));
    return nlohmann::json::parse(answer.value.value_or("{}"));
  }
  RunningFleet fleet_{small()};
};

TEST_F(FleetServes, HealthyPageOverHttpAndHttps) {
  const Heard plain = fleet_.ask(kPlain);
  EXPECT_EQ(plain.error, 0);
  EXPECT_TRUE(plain.text.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_NE(plain.text.find("<title>Site 10</title>"), std::string::npos);
  const TlsSeen tls = fleet_.ask_https(3);
  EXPECT_TRUE(tls.is_agreed);
  EXPECT_EQ(tls.verify, X509_V_OK);
  EXPECT_NE(tls.text.find("<title>Site 3</title>"), std::string::npos);
}

TEST_F(FleetServes, ManyRequestsOnOneConnectionAlsoPipelinedAndInPieces) {
  int error = 0;
  const Fd socket = connected(fleet_->map().address(11), fleet_->http_port(), error);
  const std::string name = fleet_->map().name(11);
  const std::string three =
      request_for(name, "/", false) + request_for(name, "/", false) + request_for(name, "/", true);
  for (const char byte : three) ASSERT_EQ(::send(socket.get(), &byte, 1, MSG_NOSIGNAL), 1);
  const Heard heard = hear(socket.get());
  EXPECT_EQ(heard.error, 0);
  std::size_t pages = 0;
  for (std::size_t at = 0; (at = heard.text.find("HTTP/1.1 200", at)) != std::string::npos; ++at) {
    ++pages;
  }
  EXPECT_EQ(pages, 3U);
  EXPECT_EQ(site(11)["asked"], 3);
}

TEST_F(FleetServes, FaultsAfterTheRequest) {
  struct Expected {
    const char* kind;
    const char* begins;  // What the answer begins with.
    int error;           // How it ends.
  };
  for (const Expected& expected : {Expected{"no_answer", "", EAGAIN},
                                   {"reset", "", ECONNRESET},
                                   {"closed", "", 0},
                                   {"garbage", "\x16", 0},
                                   {"status_500", "HTTP/1.1 500 ", 0},
                                   {"status_404", "HTTP/1.1 404 ", 0},
                                   {"redirect_loop", "HTTP/1.1 302 ", 0},
                                   {"redirect_invalid", "HTTP/1.1 302 ", 0},
                                   {"truncated", "HTTP/1.1 200 ", 0},
                                   {"slow_body", "HTTP/1.1 200 ", EAGAIN},
                                   {"bad_chunks", "HTTP/1.1 200 ", 0},
                                   {"error_page", "HTTP/1.1 200 ", 0},
                                   {"chunked_ok", "HTTP/1.1 200 ", 0},
                                   {"redirect_ok", "HTTP/1.1 301 ", 0},
                                   {"none", "HTTP/1.1 200 ", 0}}) {
    fault(expected.kind, kPlain);
    const Heard heard = fleet_.ask(kPlain);
    EXPECT_EQ(heard.error, expected.error) << expected.kind;
    EXPECT_TRUE(heard.text.starts_with(expected.begins)) << expected.kind << ": " << heard.text;
    EXPECT_EQ(heard.text.empty(), expected.begins[0] == '\0') << expected.kind;
  }
}

TEST_F(FleetServes, SecondHopsAreNotAskings) {
  fault("redirect_ok", kPlain);
  EXPECT_NE(fleet_.ask(kPlain).text.find("Location: /hop/page\r\n"), std::string::npos);
  EXPECT_TRUE(fleet_.ask(kPlain, "/hop/page").text.starts_with("HTTP/1.1 200 "));
  EXPECT_EQ(site(kPlain)["asked"], 1);
  EXPECT_EQ(site(kPlain)["was_broken"], false);
}

TEST_F(FleetServes, FaultsInTheHandshake) {
  struct Expected {
    const char* kind;
    long verify;
  };
  for (const Expected& expected :
       {Expected{"tls_expired", X509_V_ERR_CERT_HAS_EXPIRED},
        {"tls_not_yet", X509_V_ERR_CERT_NOT_YET_VALID},
        {"tls_wrong_host", X509_V_ERR_HOSTNAME_MISMATCH},
        {"tls_self_signed", X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT},
        {"tls_unknown_issuer", X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY}}) {
    fault(expected.kind, 5);
    const TlsSeen seen = fleet_.ask_https(5);
    EXPECT_FALSE(seen.is_agreed) << expected.kind;
    EXPECT_EQ(seen.verify, expected.verify) << expected.kind;
  }
  fault("tls_alert", 5);
  EXPECT_TRUE(fleet_.ask_https(5).got_alert);
  fault("tls_stall", 5);
  EXPECT_TRUE(fleet_.ask_https(5).is_timed_out);
  EXPECT_EQ(site(5)["asked"], 7) << "each client hello is one asking";
  fault("none", 5);
  EXPECT_TRUE(fleet_.ask_https(5).is_agreed);
}

TEST_F(FleetServes, FaultsInDns) {
  const std::string own = to_text(fleet_->map().address(20));
  EXPECT_EQ(fleet_.resolve(20).last_address(), own);
  EXPECT_EQ(fleet_.resolve(20, 28).answers, 0);
  EXPECT_EQ(ask_dns_tcp(fleet_->dns_port(), fleet_->map().name(20)).last_address(), own);
  EXPECT_EQ(ask_dns(fleet_->dns_port(), "www.fleet.test").code, 3);
  EXPECT_EQ(ask_dns(fleet_->dns_port(), "s1.elsewhere.test").code, 5);
  EXPECT_EQ(ask_dns(fleet_->dns_port(), "").code, 0) << "it serves us";
  fault("nxdomain", 20);
  EXPECT_EQ(fleet_.resolve(20).code, 3);
  fault("nodata", 20);
  EXPECT_EQ(fleet_.resolve(20).code, 0);
  EXPECT_EQ(fleet_.resolve(20).answers, 0);
  fault("servfail", 20);
  EXPECT_EQ(fleet_.resolve(20).code, 2);
  fault("dns_refused", 20);
  EXPECT_EQ(fleet_.resolve(20).code, 5);
  fault("dns_malformed", 20);
  EXPECT_EQ(fleet_.resolve(20).message.back(), 127) << "the record is cut off within its data";
  fault("dns_silent", 20);
  EXPECT_TRUE(fleet_.resolve(20).is_silent);
  EXPECT_FALSE(fleet_.resolve(21).is_silent);
  EXPECT_GE(site(20)["asked"], 1);
}

// Connect faults are reached the way an engine reaches them: by the address that DNS gives.
TEST_F(FleetServes, FaultsWhileConnecting) {
  fault("silent", 20);
  const std::string silent = fleet_.resolve(20).last_address();
  EXPECT_NE(silent, to_text(fleet_->map().address(20)));
  for (const std::uint16_t port : {fleet_->http_port(), fleet_->https_port()}) {
    int error = 0;
    const Fd socket = connected(*parse_loopback(silent).value, port, error);
    EXPECT_TRUE(error == EINPROGRESS || error == EAGAIN || error == ETIMEDOUT) << error;
  }
  fault("refused", 20);
  const DnsSeen refused = fleet_.resolve(20);
  if (refused.answers == 0) GTEST_SKIP() << "no raw sockets here: refused by [::1]";
  for (const std::uint16_t port : {fleet_->http_port(), fleet_->https_port()}) {
    int error = 0;
    const Fd socket = connected(*parse_loopback(refused.last_address()).value, port, error);
    EXPECT_EQ(error, ECONNREFUSED);
  }
}

TEST_F(FleetServes, ObserverCountsAndStartsAfresh) {
  for (std::uint32_t i = kPlain; i < 40; ++i) static_cast<void>(fleet_.ask(i));
  nlohmann::json seen = report();
  EXPECT_EQ(seen["requests"], 30);
  EXPECT_EQ(seen["never_seen"], 10);
  EXPECT_EQ(seen["connections"]["wrong_addresses"], 0);
  fault("status_500", kPlain);
  static_cast<void>(fleet_.ask(kPlain));
  seen = report();
  EXPECT_EQ(seen["broken_sites"], 1);
  EXPECT_EQ(seen["per_fault"]["status_500"], 1);
  ASSERT_TRUE(fleet_.control("POST", "/clear?sites=all"));
  ASSERT_TRUE(fleet_.control("POST", "/observe/reset"));
  seen = report();
  EXPECT_EQ(seen["requests"], 0);
  EXPECT_EQ(seen["broken_sites"], 0);
}

TEST_F(FleetServes, WindowTakesAnotherIntervalAndSomeSites) {
  ASSERT_TRUE(fleet_.control("POST", "/observe/reset?interval=5m&sites=12-13"));
  static_cast<void>(fleet_.ask(12));
  nlohmann::json seen = report();
  EXPECT_EQ(seen["interval_s"], 300);
  EXPECT_EQ(seen["sites"], 2);
  EXPECT_EQ(seen["never_seen"], 1);
  ASSERT_TRUE(fleet_.control("POST", "/observe/mark"));
  ASSERT_TRUE(fleet_.control("POST", "/observe/reset"));
  static_cast<void>(fleet_.ask(12));
  seen = report();
  EXPECT_EQ(seen["interval_s"], 300);  // It stays; the sites are all again.
  EXPECT_EQ(seen["sites"], 40);
  EXPECT_EQ(seen["phase_sites"], 1);
}

TEST_F(FleetServes, DeadNameServerSaysNothing) {
  EXPECT_FALSE(fleet_.resolve(12).is_silent);
  ASSERT_TRUE(fleet_.control("POST", "/dns?answering=no"));
  EXPECT_FALSE(report()["dns"]["is_answering"]);
  EXPECT_TRUE(fleet_.resolve(12).is_silent);
  ASSERT_TRUE(fleet_.control("POST", "/dns?answering=yes"));
  EXPECT_FALSE(fleet_.resolve(12).is_silent);
}

TEST_F(FleetServes, FaultEndsByItself) {
  ASSERT_TRUE(fleet_.control("POST", "/fault?kind=status_500&sites=12&for=300ms"));
  EXPECT_TRUE(fleet_.ask(12).text.starts_with("HTTP/1.1 500 "));
  std::this_thread::sleep_for(std::chrono::milliseconds(500));
  EXPECT_TRUE(fleet_.ask(12).text.starts_with("HTTP/1.1 200 "));
}

TEST_F(FleetServes, ControlRefusesWithReasons) {
  for (const char* target : {"/fault?kind=nonsense&sites=1", "/fault?kind=reset&sites=40",
                             "/fault?kind=tls_alert&sites=20", "/fault?kind=reset&sites=1&for=x",
                             "/observe/reset?interval=x", "/observe/reset?sites=40",
                             "/dns?answering=maybe", "/clear?sites=9-1", "/nothing", "/report"}) {
    const auto answer = fleet_.control("POST", target);
    EXPECT_FALSE(answer) << target;
    EXPECT_NE(answer.problem.find("{\"error\":"), std::string::npos) << answer.problem;
  }
  EXPECT_FALSE(fleet_.control("GET", "/sites/40"));
}

TEST_F(FleetServes, JunkClosesItsConnectionAndNothingElse) {
  EXPECT_TRUE(ask_plain(fleet_->map().address(12), fleet_->http_port(), "junk\r\n\r\n")
                  .text.starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(ask_plain(fleet_->map().address(12), fleet_->http_port(), std::string(9000, 'a'))
                  .text.starts_with("HTTP/1.1 431 "));
  const Heard nobody = ask_plain(INADDR_LOOPBACK, fleet_->http_port(), request_for("nobody.test"));
  EXPECT_TRUE(nobody.text.starts_with("HTTP/1.1 421 "));
  EXPECT_TRUE(fleet_.ask(12).text.starts_with("HTTP/1.1 200 "));
}

TEST(FleetRuns, BodiesLargerThanASocketBufferArriveWhole) {
  Config config = small();
  config.body_bytes = 6'000'000;
  config.delay = std::chrono::milliseconds(20);
  const RunningFleet fleet(config);
  const Heard plain = fleet.ask(kPlain);
  EXPECT_TRUE(plain.text.ends_with("</html>\n"));
  EXPECT_EQ(plain.text.size() - plain.text.find("\r\n\r\n") - 4, 6'000'000U);
}

TEST(FleetRuns, SharedAddressesAreToldApartByName) {
  Config config = small();
  config.addresses = 3;
  const RunningFleet fleet(config);
  EXPECT_NE(fleet.ask(13).text.find("<title>Site 13</title>"), std::string::npos);
  EXPECT_NE(fleet.ask(16).text.find("<title>Site 16</title>"), std::string::npos);
  EXPECT_NE(fleet.ask_https(4).text.find("<title>Site 4</title>"), std::string::npos);
}

TEST(FleetRuns, RefusesToShareAPortAndABadTimeline) {
  Config config = small();
  config.https = 0;
  const RunningFleet fleet(config);
  config.dns.port = config.control.port = config.https_port = 0;
  config.http_port = fleet->http_port();
  EXPECT_THROW(Fleet second(config), std::runtime_error);
  config.http_port = 0;
  config.timeline_file = "/nonexistent/timeline";
  EXPECT_THROW(Fleet third(config), std::runtime_error);
}

TEST(FleetRuns, TableThatIsFullAcceptsAgainWhenConnectionsEnd) {
  Config config = small();
  config.https = 0;
  config.connections_max = 24;  // Eight for sites, sixteen kept for control.
  const RunningFleet fleet(config);
  std::vector<Fd> held;
  const std::string half = "GET / HTTP/1.1\r\n";
  for (int i = 0; i < 12; ++i) {
    int error = 0;
    held.push_back(connected(fleet->map().address(1), fleet->http_port(), error));
    ::send(held.back().get(), half.data(), half.size(), MSG_NOSIGNAL);
  }
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  const auto report = fleet.control("GET", "/report");
  ASSERT_TRUE(report) << report.problem;
  EXPECT_EQ(nlohmann::json::parse(*report.value)["connections"]["table_full"], 1);
  held.clear();
  EXPECT_TRUE(fleet.ask(1).text.starts_with("HTTP/1.1 200 "));
}

TEST(FleetRuns, CertificateAuthorityOutlivesARestart) {
  const std::string directory =
      std::filesystem::temp_directory_path() / ("fleet-ca-" + std::to_string(::getpid()));
  const SiteMap map(small());
  const auto content = [&directory] {
    std::ifstream in(directory + "/ca.pem");
    return std::string(std::istreambuf_iterator<char>(in), {});
  };
  { const CertSet first(directory, CertMode::Shared, map); }
  const std::string before = content();
  EXPECT_NE(before.find("BEGIN CERTIFICATE"), std::string::npos);
  { const CertSet second(directory, CertMode::Shared, map); }
  EXPECT_EQ(content(), before);
  std::ofstream(directory + "/ca-key.pem") << "nonsense";
  EXPECT_THROW(CertSet(directory, CertMode::Shared, map), std::runtime_error);
  std::filesystem::remove_all(directory);
}

}  // namespace
}  // namespace watchwheel::fleet
