// SPDX-License-Identifier: Apache-2.0
// What is healthy is called up, with its times and facts: over real sockets, plain and TLS.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include "support/certs.h"
#include "support/checker_driver.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/gzip.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using core::Warning;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

TEST(CheckerHealthy, PlainPageIsUp) {
  FaultServer server;
  server.on("/", ok("hello"));
  CheckerDriver driver;
  const core::ProbeResult result = driver.check(server.url("/"));
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.phase, Phase::Done);
  EXPECT_EQ(result.http_status, 200);
  EXPECT_EQ(result.address, "127.0.0.1");
  EXPECT_EQ(result.addresses_tried, 1);
  EXPECT_EQ(result.body_bytes, 5U);
  EXPECT_EQ(result.detail, "");
  EXPECT_EQ(result.final_url, "");
  EXPECT_FALSE(result.tls);
  EXPECT_TRUE(result.warnings.empty());
}

TEST(CheckerHealthy, PhasesThatTookPlaceHaveTimesAndSumUpToTheTotal) {
  FaultServer server;
  server.on("/", {pause(30ms), send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"), pause(30ms),
                  send("ab")});
  FakeDns dns;
  dns.a("shop.example", {"127.0.0.1"});
  CheckerDriver driver(loopback_settings({dns.endpoint()}));
  const core::ProbeResult result = driver.check(server.url("/", "shop.example"));
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  const core::Timings& t = result.timings;
  ASSERT_TRUE(t.dns && t.connect && t.first_byte && t.transfer);
  EXPECT_FALSE(t.tls);
  EXPECT_GE(*t.first_byte, 30ms);
  // A first byte that we read late takes from the transfer what it adds to the wait.
  EXPECT_GT(*t.transfer, 0ms);
  EXPECT_GE(*t.first_byte + *t.transfer, 59ms);
  EXPECT_LE(*t.dns + *t.connect + *t.first_byte + *t.transfer, t.total);
  EXPECT_LT(t.total - (*t.dns + *t.connect + *t.first_byte + *t.transfer), 50ms);
}

TEST(CheckerHealthy, RequestSaysWhoAsksAndNothingElse) {
  FaultServer server;
  server.otherwise(ok("hello"));
  CheckerDriver driver;
  core::CheckOptions options;
  options.headers = {{"X-Watch", "yes"}, {"X-Empty", ""}};
  ASSERT_EQ(driver.check(server.url("/a/../b?q=1"), options).cause, Cause::Ok);
  const std::string request = server.last_request();
  EXPECT_THAT(request,
              HasSubstr(" HTTP/1.1\r\nHost: 127.0.0.1:" + std::to_string(server.port()) + "\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nUser-Agent: watchwheel-test\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nConnection: close\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nX-Watch: yes\r\n"));
  EXPECT_THAT(request, HasSubstr("\r\nX-Empty:\r\n"));
  EXPECT_THAT(request, HasSubstr("?q=1 "));
  EXPECT_THAT(request, Not(HasSubstr("Cookie")));
  EXPECT_THAT(request, Not(HasSubstr("Authorization")));
}

TEST(CheckerHealthy, MethodAndBodyAreSent) {
  FaultServer server;
  server.otherwise(ok(""));
  CheckerDriver driver;
  core::CheckOptions options;
  options.method = "POST";
  options.body = "a=1";
  ASSERT_EQ(driver.check(server.url("/p"), options).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(), StartsWith("POST /p HTTP/1.1\r\n"));
  EXPECT_THAT(server.last_request(), HasSubstr("Content-Length: 3\r\n"));
  EXPECT_THAT(server.last_request(), ::testing::EndsWith("\r\n\r\na=1"));
  options.body.clear();
  ASSERT_EQ(driver.check(server.url("/p"), options).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(), HasSubstr("Content-Length: 0\r\n"));
  options.method = "DELETE";
  ASSERT_EQ(driver.check(server.url("/d"), options).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(), StartsWith("DELETE /d HTTP/1.1\r\n"));
}

// A HEAD response names the length of a body that does not come.
TEST(CheckerHealthy, HeadHasNoBodyToMissOrToSearch) {
  FaultServer server;
  server.on("/", {send("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")});
  CheckerDriver driver;
  core::CheckOptions options;
  options.method = "HEAD";
  options.keyword = {"welcome"};
  const core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_THAT(server.last_request(), StartsWith("HEAD / "));
}

TEST(CheckerHealthy, EveryFramingOfABodyIsRead) {
  FaultServer server;
  server.on("/chunked", {send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"),
                         pause(5ms), send("2;x=y\r\nde\r\n0\r\nX-T: 1\r\n\r\n")});
  server.on("/until-close", {send("HTTP/1.1 200 OK\r\n\r\nabcde")});
  server.on("/http10", {send("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nabcde")});
  server.on("/none", {send("HTTP/1.1 204 No Content\r\n\r\n")});
  server.on("/interim", {send("HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 "
                              "OK\r\nContent-Length: 5\r\n\r\nabcde")});
  server.on("/no-reason", {send("HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nabcde")});
  CheckerDriver driver;
  for (const char* path :
       {"/chunked", "/until-close", "/http10", "/none", "/interim", "/no-reason"}) {
    const core::ProbeResult result = driver.check(server.url(path));
    EXPECT_EQ(result.cause, Cause::Ok) << path << ": " << result.detail;
    EXPECT_EQ(result.body_bytes, std::string_view(path) == "/none" ? 0U : 5U) << path;
  }
}

TEST(CheckerHealthy, CompressedBodyIsSearchedAsAVisitorSeesIt) {
  FaultServer server;
  const std::string packed = gzip("well hidden welcome");
  server.on("/", ok(packed, "Content-Type: text/html\r\nContent-Encoding: gzip\r\n"));
  server.on("/odd",
            ok("plain after all", "Content-Type: text/html\r\nContent-Encoding: utf-8\r\n"));
  CheckerDriver driver;
  core::CheckOptions options;
  options.keyword = {"welcome"};
  const core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.body_bytes, 19U);
  // A coding that is none: browsers show the page. Only who must look into it cannot.
  EXPECT_EQ(driver.check(server.url("/odd")).cause, Cause::Ok);
  EXPECT_EQ(driver.check(server.url("/odd"), options).cause, Cause::BodyMalformed);
}

TEST(CheckerHealthy, KeywordIsFoundAcrossPieces) {
  FaultServer server;
  server.on("/", {send("HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nhello wel"), pause(30ms),
                  send("co")});
  CheckerDriver driver;
  core::CheckOptions options;
  options.keyword = {"welco"};
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
}

TEST(CheckerHealthy, BodyBeyondTheCapIsCutAndNoFailure) {
  FaultServer server;
  server.on("/", {send("HTTP/1.1 200 OK\r\n\r\n"), endless(std::string(8192, 'x'))});
  server.on("/bomb", ok(gzip_bomb(50'000'000), "Content-Encoding: gzip\r\n"));
  server.on("/exact", ok(std::string(1000, 'z')));
  CheckerDriver driver;
  core::CheckOptions options;
  options.max_body_bytes = 100'000;
  core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.body_bytes, 100'000U);
  result = driver.check(server.url("/bomb"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.body_bytes, 100'000U);
  options.max_body_bytes = 1000;
  EXPECT_EQ(driver.check(server.url("/exact"), options).body_bytes, 1000U);
  options.max_body_bytes = 0;
  EXPECT_EQ(driver.check(server.url("/exact"), options).cause, Cause::Ok);
}

TEST(CheckerHealthy, SlowPageWithinTheDeadlineIsUpWithAWarning) {
  FaultServer server;
  server.on("/", {pause(60ms), send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")});
  CheckerDriver driver;
  core::CheckOptions options;
  options.latency_warning = 50ms;
  core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::Ok);
  EXPECT_TRUE(result.warnings.has(Warning::LatencyExceeded));
  options.latency_warning = 30s;
  EXPECT_FALSE(driver.check(server.url(), options).warnings.has(Warning::LatencyExceeded));
}

TEST(CheckerHealthy, IPv6IsAsked) {
  FaultServer server("::1");
  server.on("/", ok("six"));
  CheckerDriver driver;
  const core::ProbeResult result = driver.check(server.url());
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.address, "::1");
  EXPECT_THAT(server.last_request(), HasSubstr("Host: [::1]:"));
}

TEST(CheckerHealthy, ProxiesOfTheEnvironmentAreIgnored) {
  FaultServer proxy;
  proxy.otherwise(ok("from the proxy"));
  const std::string where = "http://127.0.0.1:" + std::to_string(proxy.port());
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"})
    ::setenv(name, where.c_str(), 1);
  FaultServer server;
  server.on("/", ok("direct"));
  core::CheckOptions options;
  options.keyword = {"direct"};
  CheckerDriver driver;
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  EXPECT_EQ(proxy.connections(), 0U);
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "ALL_PROXY"}) ::unsetenv(name);
}

// ---- TLS ----

class CheckerTlsHealthy : public ::testing::Test {
 protected:
  CheckerTlsHealthy() {
    dns.a("shop.example", {"127.0.0.1"});
    options.ca_file = root.ca_file();
  }
  Authority root{"Test Root"};
  FakeDns dns;
  CheckerDriver driver{loopback_settings({dns.endpoint()})};
  core::CheckOptions options;
};

TEST_F(CheckerTlsHealthy, GoodCertificateIsUpAndItsFactsAreTold) {
  FaultServer server(TlsOptions{
      .certificate =
          root.issue({.dns_names = {"shop.example", "www.shop.example"}, .ips = {"192.0.2.9"}})});
  server.on("/", ok("hello"));
  const core::ProbeResult result = driver.check(server.url("/", "shop.example"), options);
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  ASSERT_TRUE(result.tls);
  EXPECT_EQ(result.tls->version, "TLSv1.3");
  EXPECT_THAT(result.tls->cipher, StartsWith("TLS_"));
  EXPECT_EQ(result.tls->subject, "CN=shop.example");
  EXPECT_EQ(result.tls->issuer, "CN=Test Root");
  EXPECT_THAT(result.tls->sans, ElementsAre("shop.example", "www.shop.example", "192.0.2.9"));
  EXPECT_EQ(result.tls->key_type, "EC 256");
  EXPECT_GT(result.tls->not_after, result.started_at + std::chrono::hours{24 * 89});
  EXPECT_LT(result.tls->not_before, result.started_at);
  EXPECT_TRUE(result.warnings.empty());
  EXPECT_TRUE(result.timings.tls);
}

TEST_F(CheckerTlsHealthy, SameCertificateIsSharedBetweenChecksAndHandshakesAreFullEachTime) {
  FaultServer server(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}})});
  server.on("/", ok("hello"));
  const auto first = driver.check(server.url("/", "shop.example"), options).tls;
  const auto second = driver.check(server.url("/", "shop.example"), options).tls;
  ASSERT_TRUE(first);
  EXPECT_EQ(first.get(), second.get());
  EXPECT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(server.resumed(), 0U);
}

TEST_F(CheckerTlsHealthy, IntermediateWildcardAndAddressNamesAreGood) {
  const auto middle = root.intermediate({.common_name = "Middle"});
  FaultServer wildcard(TlsOptions{.certificate = middle->issue({.dns_names = {"*.shop.example"}})});
  wildcard.on("/", ok("hello"));
  dns.a("www.shop.example", {"127.0.0.1"});
  EXPECT_EQ(driver.check(wildcard.url("/", "www.shop.example"), options).cause, Cause::Ok);
  FaultServer address(TlsOptions{.certificate = root.issue({.ips = {"127.0.0.1"}})});
  address.on("/", ok("hello"));
  const core::ProbeResult result = driver.check(address.url(), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
}

TEST_F(CheckerTlsHealthy, UnverifiedCertificateIsUpAndStillTold) {
  FaultServer server(
      TlsOptions{.certificate = self_signed({.common_name = "other.example", .valid_for = -1h})});
  server.on("/", ok("hello"));
  options.tls_verify = false;
  options.ca_file.clear();
  const core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  ASSERT_TRUE(result.tls);
  EXPECT_EQ(result.tls->subject, "CN=other.example");
}

TEST_F(CheckerTlsHealthy, CertificateThatEndsSoonIsWarnedOf) {
  FaultServer soon(TlsOptions{
      .certificate = root.issue({.dns_names = {"shop.example"}, .valid_for = 24h * 29})});
  soon.on("/", ok("hello"));
  EXPECT_TRUE(
      driver.check(soon.url("/", "shop.example"), options).warnings.has(Warning::TlsExpiring));
  FaultServer later(TlsOptions{
      .certificate = root.issue({.dns_names = {"shop.example"}, .valid_for = 24h * 31})});
  later.on("/", ok("hello"));
  EXPECT_FALSE(
      driver.check(later.url("/", "shop.example"), options).warnings.has(Warning::TlsExpiring));
}

TEST_F(CheckerTlsHealthy, OldTlsIsSpokenWhereAskedForAndWarnedOf) {
  FaultServer server(TlsOptions{
      .certificate = root.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa2048}),
      .version_max = TLS1_VERSION});
  server.on("/", ok("hello"));
  options.tls_min = "1.0";
  const core::ProbeResult result = driver.check(server.url("/", "shop.example"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_TRUE(result.warnings.has(Warning::TlsDeprecated));
  ASSERT_TRUE(result.tls);
  EXPECT_EQ(result.tls->version, "TLSv1");
}

// Many servers close the connection without TLS's own goodbye.
TEST_F(CheckerTlsHealthy, EndWithoutCloseNotifyIsTheEndOfABodyWithoutLength) {
  FaultServer server(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}})});
  server.on("/", {send("HTTP/1.1 200 OK\r\n\r\nabcde"), cut_off()});
  const core::ProbeResult result = driver.check(server.url("/", "shop.example"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.body_bytes, 5U);
}

// The trust of one plan must not leak into another, whatever libcurl caches.
TEST_F(CheckerTlsHealthy, TrustOfOneSiteIsNotTheTrustOfAnother) {
  FaultServer server(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}})});
  server.on("/", ok("hello"));
  core::CheckOptions system;
  const std::string url = server.url("/", "shop.example");
  EXPECT_EQ(driver.check(url, options).cause, Cause::Ok);
  EXPECT_EQ(driver.check(url, system).cause, Cause::TlsCertUntrusted);
  EXPECT_EQ(driver.check(url, options).cause, Cause::Ok);
  EXPECT_EQ(driver.check(url, system).cause, Cause::TlsCertUntrusted);
}

}  // namespace
}  // namespace watchwheel::testing
