// SPDX-License-Identifier: Apache-2.0
// The walk of a probe from hop to hop, the table it walks in, and what must not get from one check into another.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <set>

#include "support/certs.h"
#include "support/checker_driver.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"

namespace watchwheel::testing {
namespace {

using checker::Start;
using core::Cause;
using core::Warning;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using namespace std::chrono_literals;

std::size_t open_descriptors() {
  std::size_t open = 0;
  for (int fd = 0; fd < 4096; ++fd) open += ::fcntl(fd, F_GETFD) != -1 ? 1U : 0U;
  return open;
}

class CheckerRedirects : public ::testing::Test {
 protected:
  CheckerRedirects() {
    dns.a("shop.example", {"127.0.0.1"});
    dns.a("other.example", {"127.0.0.1"});
  }
  FakeDns dns;
  FaultServer server;
  CheckerDriver driver{loopback_settings({dns.endpoint()})};
  core::CheckOptions options;
};

TEST_F(CheckerRedirects, ChainIsFollowedHopByHop) {
  server.on("/1", redirect(301, "2"));
  server.on("/2", redirect(302, "/3?token=abc"));
  server.on("/3", redirect(307, server.url("/4", "other.example")));
  server.on("/4", ok("here"));
  options.keyword = {"here"};
  const core::ProbeResult result = driver.check(server.url("/1", "shop.example"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.redirects, 3);
  EXPECT_EQ(result.http_status, 200);
  EXPECT_EQ(result.final_url, "http://other.example:" + std::to_string(server.port()) + "/4");
  EXPECT_EQ(dns.queries("other.example", FakeDns::Type::A), 1U);
  EXPECT_EQ(server.requests().size(), 4U);
}

// Goal: the certificate of one hop is not taken for that of a later hop which showed none.
TEST_F(CheckerRedirects, ACertificateIsTheLastHopsOrNobodys) {
  const Authority root("Root of this test");
  FaultServer secure(TlsOptions{.certificate = root.issue(
                                    {.common_name = "shop.example", .dns_names = {"shop.example"}})});
  secure.on("/here", ok("hello"));
  secure.on("/away", redirect(302, "http://127.0.0.1:" + std::to_string(closed_port()) + "/"));
  options.ca_file = root.ca_file();
  const core::ProbeResult here = driver.check(secure.url("/here", "shop.example"), options);
  ASSERT_TRUE(here.tls) << here.detail;
  const core::ProbeResult away = driver.check(secure.url("/away", "shop.example"), options);
  EXPECT_EQ(away.cause, Cause::ConnectRefused) << away.detail;
  EXPECT_FALSE(away.tls);
  EXPECT_EQ(away.redirects, 1);
}

TEST_F(CheckerRedirects, DeadHopIsTheChecksFailure) {
  server.on("/", redirect(302, "http://127.0.0.1:" + std::to_string(closed_port()) + "/"));
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::ConnectRefused);
  server.on("/", redirect(302, "http://gone.example/"));
  const core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::DnsNxdomain);
  EXPECT_EQ(result.http_status, 0);
  EXPECT_EQ(result.address, "");
}

TEST_F(CheckerRedirects, OneDeadlineForAllHops) {
  server.on("/1", {pause(250ms), redirect(302, "/2").front()});
  server.on("/2", {pause(250ms), redirect(302, "/1").front()});
  options.timeout = 600ms;
  options.connect_timeout = 600ms;
  const core::ProbeResult result = driver.check(server.url("/1"), options);
  EXPECT_EQ(result.cause, Cause::HttpTimeout) << result.detail;
  EXPECT_EQ(result.redirects, 2);
  EXPECT_LT(result.timings.total, 800ms);
}

TEST_F(CheckerRedirects, BodyOfARedirectIsNotWaitedFor) {
  server.on("/", {send("HTTP/1.1 302 Found\r\nLocation: /there\r\nContent-Length: 1000\r\n\r\n"),
                  hold()});
  server.on("/there", ok("hello"));
  options.timeout = 2s;
  const core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_LT(result.timings.total, 1s);
}

TEST_F(CheckerRedirects, MethodChangesAsInBrowsers) {
  options.method = "POST";
  options.body = "a=1";
  server.on("/end", ok("hello"));
  for (const int code : {301, 302, 303}) {
    server.on("/", redirect(code, "/end"));
    ASSERT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
    EXPECT_THAT(server.last_request(), AllOf(StartsWith("GET /end "), Not(HasSubstr("a=1"))))
        << code;
  }
  for (const int code : {307, 308}) {
    server.on("/", redirect(code, "/end"));
    ASSERT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
    EXPECT_THAT(server.last_request(), AllOf(StartsWith("POST /end "), HasSubstr("a=1"))) << code;
  }
  options.method = "HEAD";
  options.body.clear();
  server.on("/", redirect(303, "/end"));
  ASSERT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(), StartsWith("HEAD /end "));
}

TEST_F(CheckerRedirects, CredentialsStayWithTheOrigin) {
  FaultServer elsewhere;
  elsewhere.otherwise(ok("hello"));
  options.headers = {{"Authorization", "Bearer s3cret"},
                     {"Cookie", "id=s3cret"},
                     {"X-Api-Key", "s3cret"},
                     {"Accept-Language", "de"},
                     {"Host", "front.example"}};
  const auto to = [&](std::string location) {
    server.on("/", redirect(302, location));
    EXPECT_EQ(driver.check(server.url("/", "shop.example"), options).cause, Cause::Ok);
  };
  server.on("/same", ok("hello"));
  to("/same");
  EXPECT_THAT(server.last_request(),
              AllOf(HasSubstr("Bearer s3cret"), HasSubstr("Cookie: id=s3cret"),
                    HasSubstr("Host: front.example")));
  for (const std::string& location :
       {elsewhere.url("/", "shop.example"), elsewhere.url("/", "other.example")}) {
    to(location);
    EXPECT_THAT(
        elsewhere.last_request(),
        AllOf(Not(HasSubstr("s3cret")), Not(HasSubstr("front.example")), HasSubstr("Accept-Language: de")))
        << location;
  }
  // Back again, on a path that somebody else chose: still without.
  elsewhere.otherwise(redirect(302, server.url("/same", "shop.example")));
  to(elsewhere.url("/", "other.example"));
  EXPECT_THAT(server.last_request(), AllOf(StartsWith("GET /same "), Not(HasSubstr("s3cret"))));
}

TEST_F(CheckerRedirects, PasswordOfTheUrlStaysWithTheOriginAndOutOfTheResult) {
  FaultServer elsewhere;
  elsewhere.otherwise(status(500, "Broken"));
  server.on("/here", redirect(302, "/next"));
  server.on("/next", redirect(302, elsewhere.url("/?session=s3cret")));
  std::string url = server.url("/here");
  url.insert(url.find("127"), "user:s3cret@");
  const core::ProbeResult result = driver.check(url, options);
  EXPECT_EQ(result.cause, Cause::HttpStatus);
  ASSERT_EQ(server.requests().size(), 2U);
  for (const std::string& request : server.requests())
    EXPECT_THAT(request, HasSubstr("Authorization: Basic dXNlcjpzM2NyZXQ="));
  EXPECT_THAT(elsewhere.last_request(), Not(HasSubstr("Authorization")));
  EXPECT_THAT(result.final_url + result.detail, Not(HasSubstr("s3cret")));
}

TEST_F(CheckerRedirects, FromHttpsToHttpIsWarnedOf) {
  Authority root("Test Root");
  FaultServer secure(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}})});
  secure.on("/", redirect(302, server.url("/", "shop.example")));
  server.on("/", ok("hello"));
  options.ca_file = root.ca_file();
  const core::ProbeResult result = driver.check(secure.url("/", "shop.example"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_TRUE(result.warnings.has(Warning::RedirectDowngrade));
  EXPECT_FALSE(result.tls) << "the last hop shows no certificate";
  EXPECT_FALSE(result.timings.tls);
  server.on("/up", redirect(302, secure.url("/end", "shop.example")));
  secure.on("/end", ok("hello"));
  EXPECT_FALSE(driver.check(server.url("/up", "shop.example"), options)
                   .warnings.has(Warning::RedirectDowngrade));
}

// ---- the table ----

TEST(CheckerTable, ThousandProbesGiveOneResultEach) {
  FaultServer server;
  server.on("/ok", ok("hello"));
  server.on("/slow", {pause(50ms), send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab")});
  server.on("/closed", {});
  server.on("/reset", {reset()});
  server.on("/status", status(500, "Broken"));
  server.on("/short", {send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab")});
  const std::uint16_t nobody = closed_port();
  const std::vector<std::pair<std::string, Cause>> kinds{
      {server.url("/ok"), Cause::Ok},
      {server.url("/slow"), Cause::Ok},
      {server.url("/status"), Cause::HttpStatus},
      {server.url("/closed"), Cause::HttpClosed},
      {server.url("/reset"), Cause::HttpClosed},
      {server.url("/short"), Cause::BodyTruncated},
      {"http://127.0.0.1:" + std::to_string(nobody) + "/", Cause::ConnectRefused},
      {"nonsense", Cause::TargetInvalid},
      {"http://10.1.2.3/", Cause::AddressBlocked}};
  core::CheckOptions options;
  options.timeout = 60s;
  options.connect_timeout = 30s;
  const std::size_t before = open_descriptors();
  {
    CheckerDriver driver;
    for (checker::ProbeToken token = 0; token < 1000; ++token) {
      ASSERT_EQ(driver.start(token, kinds[token % kinds.size()].first, options), Start::Started);
    }
    EXPECT_EQ(driver.checker().in_flight(), 1000U);
    ASSERT_TRUE(driver.run(1000, 90s));
    EXPECT_EQ(driver.checker().in_flight(), 0U);
    for (checker::ProbeToken token = 0; token < 1000; ++token) {
      ASSERT_EQ(driver.results_of(token).size(), 1U) << token;
      const core::ProbeResult& result = driver.results_of(token).front();
      EXPECT_EQ(core::to_string(result.cause), core::to_string(kinds[token % kinds.size()].second))
          << token << ": " << result.detail;
    }
    std::uint64_t counted = 0;
    for (const core::Counter& counter : driver.checker().stats().results)
      counted += counter.value();
    EXPECT_EQ(counted, 1000U);
  }
  while (server.finished() < server.connections()) ::usleep(1000);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(CheckerTable, IsFullAtItsLimitAndTakesAgainAfterwards) {
  FaultServer server;
  server.on("/", {pause(50ms), send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")});
  checker::Settings settings = loopback_settings();
  settings.limits.in_flight_max = 4;
  CheckerDriver driver(settings);
  for (checker::ProbeToken token = 0; token < 4; ++token)
    EXPECT_EQ(driver.start(token, server.url()), Start::Started);
  EXPECT_EQ(driver.start(9, server.url()), Start::Full);
  driver.checker().set_in_flight_limit(2);
  ASSERT_TRUE(driver.run(2));
  EXPECT_TRUE(driver.results_of(9).empty());
  ASSERT_TRUE(driver.run(4));
  EXPECT_EQ(driver.start(10, server.url()), Start::Started);
  EXPECT_EQ(driver.start(11, server.url()), Start::Started);
  EXPECT_EQ(driver.start(12, server.url()), Start::Full);
  driver.checker().set_in_flight_limit(100);  // Never beyond the table.
  EXPECT_EQ(driver.start(12, server.url()), Start::Started);
  EXPECT_EQ(driver.start(13, server.url()), Start::Started);
  EXPECT_EQ(driver.start(14, server.url()), Start::Full);
  ASSERT_TRUE(driver.run(8));
}

// The lane starts the next check from inside the result of the last one.
TEST(CheckerTable, ProbesMayBeStartedFromInsideAResult) {
  FaultServer server;
  server.on("/", ok("hello"));
  checker::Settings settings = loopback_settings();
  settings.limits.in_flight_max = 1;
  CheckerDriver driver(settings);
  driver.hook = [&](checker::ProbeToken token, const core::ProbeResult&) {
    if (token < 20) {
      EXPECT_EQ(driver.start(token + 1, token % 2 == 0 ? "nonsense" : server.url()),
                Start::Started);
    }
  };
  ASSERT_EQ(driver.start(0, server.url()), Start::Started);
  ASSERT_TRUE(driver.run(21));
  EXPECT_EQ(driver.results_of(19).front().cause, Cause::TargetInvalid);
  EXPECT_EQ(driver.results_of(20).front().cause, Cause::Ok);
}

// One easy handle serves all of these, one after the other.
TEST(CheckerTable, NothingOfOneCheckReachesTheNext) {
  FaultServer server;
  server.otherwise(
      ok("hello",
         "Set-Cookie: id=1\r\nStrict-Transport-Security: max-age=1000\r\nAlt-Svc: h2=\":1\"\r\n"));
  server.on("/broken", {send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na"), reset()});
  CheckerDriver driver;
  core::CheckOptions rich;
  rich.method = "POST";
  rich.body = "s3cret";
  rich.headers = {
      {"Authorization", "Bearer s3cret"}, {"Range", "bytes=0-1"}, {"Accept-Encoding", "identity"}};
  std::string with_password = server.url("/");
  with_password.insert(with_password.find("127"), "user:s3cret@");
  core::CheckOptions head;
  head.method = "HEAD";

  ASSERT_EQ(driver.check(with_password, rich).cause, Cause::Ok);
  ASSERT_EQ(driver.check(server.url("/")).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(),
              AllOf(StartsWith("GET / "), Not(HasSubstr("s3cret")), Not(HasSubstr("Range")),
                    Not(HasSubstr("Cookie")), Not(HasSubstr("Authorization")),
                    Not(HasSubstr("Content-")), HasSubstr("Accept-Encoding: gzip, deflate\r\n")));
  ASSERT_EQ(driver.check(server.url("/"), head).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(), StartsWith("HEAD / "));
  ASSERT_EQ(driver.check(server.url("/broken"), rich).cause, Cause::BodyTruncated);
  const core::ProbeResult last = driver.check(server.url("/"));
  EXPECT_EQ(last.cause, Cause::Ok) << last.detail;
  EXPECT_EQ(last.body_bytes, 5U);
  EXPECT_THAT(server.last_request(), AllOf(StartsWith("GET / "), Not(HasSubstr("s3cret"))));
}

TEST(CheckerTable, EndsWithProbesUnderWayAndLeavesNothingOpen) {
  FakeDns dns;
  dns.fail("silent.example", FakeDns::Kind::Silence);
  FaultServer server;
  server.on("/", {hold()});
  DeafPort deaf;
  const std::size_t before = open_descriptors();
  {
    CheckerDriver driver(loopback_settings({dns.endpoint()}));
    ASSERT_EQ(driver.start(1, server.url()), Start::Started);
    ASSERT_EQ(driver.start(2, "http://127.0.0.1:" + std::to_string(deaf.port()) + "/"),
              Start::Started);
    ASSERT_EQ(driver.start(3, "http://silent.example/"), Start::Started);
    while (server.requests().empty()) driver.turn_once(10ms);
    ASSERT_EQ(driver.start(4, server.url()), Start::Started);
  }
  while (server.finished() < server.connections()) ::usleep(1000);
  EXPECT_EQ(open_descriptors(), before);
}

TEST(CheckerTable, SettingsAndOptionsThatCannotWorkAreRefused) {
  const auto refuses = [](checker::Settings settings) {
    try {
      const CheckerDriver driver(settings);
    } catch (const std::runtime_error& e) {
      return std::string(e.what());
    }
    return std::string("accepted");
  };
  checker::Settings settings = loopback_settings();
  settings.resolvers = {"not an address"};
  EXPECT_THAT(refuses(settings), HasSubstr("resolvers"));
  settings = loopback_settings();
  settings.allow = {"10.0.0.0/99"};
  EXPECT_THAT(refuses(settings), HasSubstr("allow"));

  CheckerDriver driver;
  const auto problem = [&](const std::function<void(core::CheckOptions&)>& change) {
    core::CheckOptions options;
    change(options);
    auto plan = driver.checker().prepare(options);
    return plan ? std::string("accepted") : plan.error().message;
  };
  EXPECT_EQ(problem([](auto&) {}), "accepted");
  EXPECT_THAT(problem([](auto& o) { o.ca_file = "/nonexistent/ca.pem"; }), HasSubstr("ca_file"));
  EXPECT_THAT(problem([](auto& o) { o.ca_file = "/dev/null"; }), HasSubstr("ca_file"));
  EXPECT_THAT(problem([](auto& o) { o.resolvers = {"x"}; }), HasSubstr("resolvers"));
  EXPECT_THAT(problem([](auto& o) { o.allow = {"x"}; }), HasSubstr("allow"));
  EXPECT_THAT(problem([](auto& o) { o.tls_min = "0.9"; }), HasSubstr("tls_min"));
  EXPECT_THAT(problem([](auto& o) {
                o.headers = {{"X", "a\r\nHost: b"}};
              }),
              HasSubstr("line break"));
  EXPECT_THAT(problem([](auto& o) { o.headers = {{"X Y", "a"}}; }), HasSubstr("header name"));
  EXPECT_THAT(problem([](auto& o) { o.method = "GET / HTTP/1.1\r\nX:"; }), HasSubstr("method"));
}

}  // namespace
}  // namespace watchwheel::testing
