// SPDX-License-Identifier: Apache-2.0
// Every cause of the public interface, each produced by something real.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "support/certs.h"
#include "support/checker_driver.h"
#include "support/eventually.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/gzip.h"
#include "support/script_server.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using core::Phase;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

// What a result should say; `detail` is the part of it that means something.
void expect(const core::ProbeResult& result, Cause cause, Phase phase, std::string_view detail) {
  EXPECT_EQ(core::to_string(result.cause), core::to_string(cause)) << result.detail;
  EXPECT_EQ(result.outcome(), core::outcome_of(cause));
  EXPECT_EQ(core::to_string(result.phase), core::to_string(phase)) << result.detail;
  EXPECT_THAT(result.detail, HasSubstr(std::string(detail)));
  EXPECT_LE(result.detail.size(), 512U);
}

class CheckerCauses : public ::testing::Test {
 protected:
  CheckerCauses() {
    options.timeout = 5s;
    options.connect_timeout = 1s;
  }
  FakeDns dns;
  FaultServer server;
  CheckerDriver driver{loopback_settings({dns.endpoint()})};
  core::CheckOptions options;
};

// ---- dns ----

TEST_F(CheckerCauses, DnsNxdomain) {
  dns.fail("gone.example", FakeDns::Kind::Nxdomain);
  expect(driver.check("http://gone.example/", options), Cause::DnsNxdomain, Phase::Dns, "");
}
TEST_F(CheckerCauses, DnsNoAddress) {
  dns.fail("bare.example", FakeDns::Kind::Nodata);
  expect(driver.check("http://bare.example/", options), Cause::DnsNoAddress, Phase::Dns, "");
}
TEST_F(CheckerCauses, DnsServfail) {
  dns.fail("broken.example", FakeDns::Kind::Servfail);
  expect(driver.check("http://broken.example/", options), Cause::DnsServfail, Phase::Dns, "");
}
TEST_F(CheckerCauses, DnsRefused) {
  dns.fail("closed.example", FakeDns::Kind::Refused);
  expect(driver.check("http://closed.example/", options), Cause::DnsRefused, Phase::Dns, "");
}
TEST_F(CheckerCauses, DnsTimeout) {
  dns.fail("silent.example", FakeDns::Kind::Silence);
  expect(driver.check("http://silent.example/", options), Cause::DnsTimeout, Phase::Dns, "");
}
TEST_F(CheckerCauses, DnsTimeoutAtTheChecksOwnDeadline) {
  dns.fail("silent.example", FakeDns::Kind::Silence);
  dns.a("shop.example", {"127.0.0.1"});
  server.on("/", ok("hello"));
  options.timeout = 700ms;
  options.connect_timeout = 500ms;
  ASSERT_EQ(driver.start(1, "http://silent.example/", options), checker::Start::Started);
  driver.turn_once(0ms);
  ASSERT_EQ(driver.start(2, server.url("/", "shop.example"), options), checker::Start::Started);
  ASSERT_TRUE(driver.run(2));
  expect(driver.results_of(1).front(), Cause::DnsTimeout, Phase::Dns, "silent.example");
  EXPECT_GE(driver.results_of(1).front().timings.total, 700ms);
}
TEST_F(CheckerCauses, DnsMalformed) {
  dns.fail("odd.example", FakeDns::Kind::Malformed);
  expect(driver.check("http://odd.example/", options), Cause::DnsMalformed, Phase::Dns, "");
}
TEST_F(CheckerCauses, ResolverUnreachable) {
  dns.silence(true);
  expect(driver.check("http://shop.example/", options), Cause::ResolverUnreachable, Phase::Dns, "");
}
TEST_F(CheckerCauses, ResolverUnreachableAtTheChecksOwnDeadline) {
  dns.silence(true);
  options.timeout = 300ms;
  options.connect_timeout = 200ms;
  expect(driver.check("http://shop.example/", options), Cause::ResolverUnreachable, Phase::Dns,
         "shop.example");
}

// ---- connect ----

TEST_F(CheckerCauses, ConnectRefused) {
  const core::ProbeResult result =
      driver.check("http://127.0.0.1:" + std::to_string(closed_port()) + "/", options);
  expect(result, Cause::ConnectRefused, Phase::Connect, "127.0.0.1");
  EXPECT_EQ(result.address, "127.0.0.1");
  EXPECT_EQ(result.addresses_tried, 1);
}
// The reset lies ready before we look. The other side of this race, a request on its way already, is HttpClosed.
TEST_F(CheckerCauses, ConnectReset) {
  dns.a("shop.example", {"127.0.0.1"});
  server.on_connect({reset()});
  ASSERT_EQ(driver.start(1, server.url("/", "shop.example"), options), checker::Start::Started);
  // The turn that brings the name's answer only begins to connect; the server resets before the next one looks.
  while (server.finished() == 0 && driver.results() == 0) {
    driver.turn_once(5ms);
    ::usleep(100'000);
  }
  ASSERT_TRUE(driver.run(1));
  expect(driver.results_of(1).front(), Cause::ConnectReset, Phase::Connect, "reset");
}
TEST_F(CheckerCauses, ConnectTimeout) {
  DeafPort deaf;
  options.connect_timeout = 300ms;
  const core::ProbeResult result =
      driver.check("http://127.0.0.1:" + std::to_string(deaf.port()) + "/", options);
  expect(result, Cause::ConnectTimeout, Phase::Connect, "127.0.0.1");
  EXPECT_GE(result.timings.total, 300ms);
  EXPECT_LT(result.timings.total, 2s);
}
TEST_F(CheckerCauses, ConnectTimeoutAtTheChecksOwnDeadline) {
  DeafPort deaf;
  options.timeout = 300ms;
  options.connect_timeout = 300ms;
  expect(driver.check("http://127.0.0.1:" + std::to_string(deaf.port()) + "/", options),
         Cause::ConnectTimeout, Phase::Connect, "");
}

// In a network of its own a test may say who is reachable. On its thread; skips where that is not allowed.
class CheckerInOwnNetwork : public ::testing::Test {
 protected:
  void in_own_network(const std::function<void(CheckerDriver&)>& body) {
    bool skipped = false;
    std::thread([&] {
      skipped = ::unshare(CLONE_NEWNET) != 0 || std::system("ip link set lo up 2>/dev/null") != 0;
      if (skipped) return;
      checker::Settings settings = loopback_settings();
      settings.allow.emplace_back("192.0.2.0/24");
      CheckerDriver driver(settings);
      body(driver);
    }).join();
    if (skipped) GTEST_SKIP() << "no right to make a network namespace";
  }
};

TEST_F(CheckerInOwnNetwork, LocalNetworkWithoutARoute) {
  in_own_network([](CheckerDriver& driver) {
    expect(driver.check("http://192.0.2.1/"), Cause::LocalNetwork, Phase::Connect, "192.0.2.1");
  });
}
TEST_F(CheckerInOwnNetwork, ConnectUnreachableByWordFromTheWay) {
  in_own_network([](CheckerDriver& driver) {
    if (std::system(
            "nft 'table inet f { chain in { type filter hook input priority 0; policy accept; "
            "tcp dport 81 reject with icmpx type host-unreachable; }; }' 2>/dev/null") != 0) {
      GTEST_SKIP() << "no nft here";
    }
    expect(driver.check("http://127.0.0.1:81/"), Cause::ConnectUnreachable, Phase::Connect,
           "127.0.0.1");
  });
}

// ---- request, first_byte ----

TEST_F(CheckerCauses, HttpTimeoutWithoutAnAnswer) {
  server.on("/", {hold()});
  options.timeout = 400ms;
  options.connect_timeout = 400ms;
  const core::ProbeResult result = driver.check(server.url(), options);
  expect(result, Cause::HttpTimeout, Phase::FirstByte, "no answer within 400ms");
  EXPECT_GE(result.timings.total, 400ms);
  EXPECT_LT(result.timings.total, 600ms);
  EXPECT_FALSE(result.timings.first_byte);
}
TEST_F(CheckerCauses, HttpTimeoutInADrippingHeader) {
  server.on("/", {drip("HTTP/1.1 200 OK\r\n" + std::string(4000, 'x'), 20ms)});
  options.timeout = 800ms;
  options.connect_timeout = 400ms;
  expect(driver.check(server.url(), options), Cause::HttpTimeout, Phase::FirstByte,
         "header was not complete within 800ms");
}
TEST_F(CheckerCauses, HttpClosedByFinWithoutAnAnswer) {
  server.on("/", {});
  expect(driver.check(server.url(), options), Cause::HttpClosed, Phase::FirstByte,
         "closed by the server without an answer");
}
TEST_F(CheckerCauses, HttpClosedByResetAfterTheRequest) {
  server.on("/", {reset()});
  expect(driver.check(server.url(), options), Cause::HttpClosed, Phase::FirstByte,
         "reset by the server");
}
TEST_F(CheckerCauses, HttpClosedInTheMiddleOfTheHeader) {
  server.on("/", {send("HTTP/1.1 200 OK\r\nContent-Type: te")});
  expect(driver.check(server.url(), options), Cause::HttpClosed, Phase::FirstByte,
         "middle of the response header");
  server.on("/line", {send("HTTP/1.1 2")});
  expect(driver.check(server.url("/line"), options), Cause::HttpClosed, Phase::FirstByte, "");
}
TEST_F(CheckerCauses, HttpMalformed) {
  server.on("/ssh", {send("SSH-2.0-OpenSSH_9.2\r\n"), hold()});
  expect(driver.check(server.url("/ssh"), options), Cause::HttpMalformed, Phase::FirstByte,
         "not HTTP");
  server.on("/garbage",
            {send(std::string("\x00\xff\xfe garbage garbage garbage\r\n\r\n", 29)), hold()});
  expect(driver.check(server.url("/garbage"), options), Cause::HttpMalformed, Phase::FirstByte,
         "not HTTP");
  server.on("/length", {send("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabcde")});
  expect(driver.check(server.url("/length"), options), Cause::HttpMalformed, Phase::FirstByte,
         "Content-Length");
}
TEST_F(CheckerCauses, HttpMalformedByAHeaderWithoutEnd) {
  server.on("/lines", {send("HTTP/1.1 200 OK\r\n"), endless("X-Filler: 1\r\n")});
  expect(driver.check(server.url("/lines"), options), Cause::HttpMalformed, Phase::FirstByte,
         "200 lines");
  server.on("/bytes",
            {send("HTTP/1.1 200 OK\r\n"), endless("X-Filler: " + std::string(8000, 'x') + "\r\n")});
  expect(driver.check(server.url("/bytes"), options), Cause::HttpMalformed, Phase::FirstByte,
         "64 KiB");
  server.on("/line", {send("HTTP/1.1 200 OK\r\nX-Filler: "), endless(std::string(8000, 'x'))});
  expect(driver.check(server.url("/line"), options), Cause::HttpMalformed, Phase::FirstByte,
         "too long");
  server.on("/interim", {endless("HTTP/1.1 103 Early Hints\r\n\r\n")});
  expect(driver.check(server.url("/interim"), options), Cause::HttpMalformed, Phase::FirstByte,
         "20 interim");
}
TEST_F(CheckerCauses, HttpStatus) {
  server.on("/", status(503, "Service Unavailable", "", "away"));
  const core::ProbeResult result = driver.check(server.url(), options);
  expect(result, Cause::HttpStatus, Phase::FirstByte, "503 Service Unavailable");
  EXPECT_EQ(result.http_status, 503);
  options.expect_status = {{.first = 503, .last = 503}};
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
}

// ---- redirects ----

TEST_F(CheckerCauses, RedirectTooMany) {
  server.on("/a", redirect(302, "/b?secret=1"));
  server.on("/b", redirect(302, "/a"));
  options.max_redirects = 4;
  const core::ProbeResult result = driver.check(server.url("/a"), options);
  expect(result, Cause::RedirectTooMany, Phase::FirstByte, "more than 4 redirects");
  EXPECT_THAT(result.detail, Not(HasSubstr("secret")));
  EXPECT_EQ(result.redirects, 4);
  EXPECT_EQ(server.connections(), 5U);
}
TEST_F(CheckerCauses, RedirectRefusedToAnotherHost) {
  server.on("/", redirect(301, "http://elsewhere.example/"));
  options.redirects = core::Redirects::SameHost;
  expect(driver.check(server.url(), options), Cause::RedirectRefused, Phase::FirstByte,
         "elsewhere.example");
  server.on("/same", redirect(301, "/there"));
  server.on("/there", ok("here"));
  EXPECT_EQ(driver.check(server.url("/same"), options).cause, Cause::Ok);
}
TEST_F(CheckerCauses, RedirectRefusedToAnotherScheme) {
  for (const char* location : {"ftp://127.0.0.1/", "file:///etc/passwd", "javascript:alert(1)"}) {
    server.on("/", redirect(302, location));
    expect(driver.check(server.url(), options), Cause::RedirectRefused, Phase::FirstByte, "scheme");
  }
}
TEST_F(CheckerCauses, RedirectInvalid) {
  for (const char* location : {"http://", "http://127.0.0.1:99999/", "https://:80/"}) {
    server.on("/", redirect(302, location));
    expect(driver.check(server.url(), options), Cause::RedirectInvalid, Phase::FirstByte,
           "redirect to an unusable location");
  }
}
TEST_F(CheckerCauses, RedirectThatIsNotToBeFollowedIsJudgedByItsStatus) {
  server.on("/", redirect(302, "/next"));
  server.on("/missing", status(302, "Found"));
  server.on("/unchanged", status(304, "Not Modified", "Location: /next\r\n"));
  EXPECT_EQ(driver.check(server.url("/missing"), options).cause, Cause::Ok);
  EXPECT_EQ(driver.check(server.url("/unchanged"), options).http_status, 304);
  options.redirects = core::Redirects::None;
  EXPECT_EQ(driver.check(server.url(), options).http_status, 302);
  options.expect_status = {{.first = 200, .last = 299}};
  expect(driver.check(server.url(), options), Cause::HttpStatus, Phase::FirstByte, "302 Moved");
}

// ---- body ----

TEST_F(CheckerCauses, BodyTimeout) {
  server.on("/", {send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"), hold()});
  options.timeout = 400ms;
  options.connect_timeout = 400ms;
  const core::ProbeResult result = driver.check(server.url(), options);
  expect(result, Cause::BodyTimeout, Phase::Body, "3 of 1000 bytes");
  EXPECT_EQ(result.http_status, 200);
  EXPECT_TRUE(result.timings.first_byte);
}
// Starts a check of `path`, and comes back when the server has the request: long after the deadline.
void ask_and_be_away(CheckerDriver& driver, const ScriptServer& server, checker::ProbeToken token,
                     const std::string& path, const core::CheckOptions& options) {
  const std::size_t before = server.requests(path).size();
  ASSERT_EQ(driver.start(token, server.url(path, false), options), checker::Start::Started);
  ASSERT_TRUE(eventually([&] {
    driver.turn_once(1ms);
    return server.requests(path).size() > before;
  }));
  driver.move_on(2 * options.timeout);
}

// Goal: whoever was away until the deadline does not call an answer slow that is there as a whole, though it takes several turns to
// read.
TEST_F(CheckerCauses, ALongAnswerThatIsThereAtTheDeadlineIsReadToItsEnd) {
  ScriptServer scripts(Authority("a root").issue({.common_name = "127.0.0.1"}));
  const std::string page(300'000, '.');
  scripts.on("/", {pause(200ms), ok(page).front()});
  options.timeout = 10s;  // What is not there when the server was asked comes long before it.
  checker::ProbeToken token = 0;
  for (const char* exchange : {"auto", "curl"}) {
    options.exchange = exchange;
    ASSERT_NO_FATAL_FAILURE(ask_and_be_away(driver, scripts, ++token, "/", options));
    pollfd ready{.fd = driver.checker().descriptor(), .events = POLLIN, .revents = 0};
    while (driver.results() < token) {
      ASSERT_EQ(::poll(&ready, 1, 20'000), 1);  // The server's thread has to have its turns too.
      driver.checker().turn(driver.now());
    }
    const core::ProbeResult& result = driver.results_of(token).at(0);
    expect(result, Cause::Ok, Phase::Done, "");
    EXPECT_EQ(result.body_bytes, page.size()) << exchange;
  }
}

// Goal: but what goes on and on has to end, and that of which nothing more comes is over at once.
TEST_F(CheckerCauses, AnAnswerThatIsNotWholeSoonAfterTheDeadlineIsLate) {
  ScriptServer scripts(Authority("a root").issue({.common_name = "127.0.0.1"}));
  const std::string head = "HTTP/1.1 200 OK\r\nContent-Length: 90000000\r\n\r\n";
  scripts.on("/endless", {pause(200ms), send(head), endless(std::string(60'000, '.'))});
  scripts.on("/part", {pause(200ms), send(head + "..."), hold()});
  options.timeout = 10s;
  options.max_body_bytes = 64U << 20U;
  checker::ProbeToken token = 0;
  for (const char* path : {"/endless", "/part"}) {
    ASSERT_NO_FATAL_FAILURE(ask_and_be_away(driver, scripts, ++token, path, options));
    pollfd ready{.fd = driver.checker().descriptor(), .events = POLLIN, .revents = 0};
    ASSERT_EQ(::poll(&ready, 1, 20'000), 1);
    int turns = 0;
    while (driver.results() < token && ++turns < 50) driver.checker().turn(driver.now());
    ASSERT_EQ(driver.results(), token) << path << " goes on";
    expect(driver.results_of(token).at(0), Cause::BodyTimeout, Phase::Body, " of 90000000 bytes");
  }
}

TEST_F(CheckerCauses, BodyTruncated) {
  server.on("/length", {send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")});
  expect(driver.check(server.url("/length"), options), Cause::BodyTruncated, Phase::Body,
         "3 of 1000 bytes");
  server.on("/chunk", {send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc")});
  expect(driver.check(server.url("/chunk"), options), Cause::BodyTruncated, Phase::Body,
         "ended early");
  server.on("/last-chunk",
            {send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")});
  expect(driver.check(server.url("/last-chunk"), options), Cause::BodyTruncated, Phase::Body,
         "ended early");
  server.on("/reset",
            {send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"), pause(50ms), reset()});
  expect(driver.check(server.url("/reset"), options), Cause::BodyTruncated, Phase::Body,
         "reset by the server after 3 of 1000 bytes");
}
TEST_F(CheckerCauses, BodyMalformed) {
  server.on("/chunk",
            {send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n0\r\n\r\n")});
  expect(driver.check(server.url("/chunk"), options), Cause::BodyMalformed, Phase::Body, "chunk");
  server.on("/gzip", ok("this is not gzip at all", "Content-Encoding: gzip\r\n"));
  expect(driver.check(server.url("/gzip"), options), Cause::BodyMalformed, Phase::Body,
         "compressed body");
}

// ---- content ----

TEST_F(CheckerCauses, KeywordMissing) {
  server.on("/", ok("hello"));
  server.on("/long", ok(std::string(5000, 'x') + "welcome"));
  options.keyword = {"welcome"};
  expect(driver.check(server.url(), options), Cause::KeywordMissing, Phase::Content,
         "\"welcome\" is not in the body of 5 bytes");
  options.keyword = {std::string("\xff\n", 2) + std::string(600, 'k')};
  expect(driver.check(server.url(), options), Cause::KeywordMissing, Phase::Content, "\"??kkk");
  options.keyword = {"welcome"};
  options.max_body_bytes = 1000;
  expect(driver.check(server.url("/long"), options), Cause::KeywordMissing, Phase::Content,
         "first 1000 bytes");
}
TEST_F(CheckerCauses, KeywordForbidden) {
  server.on("/", ok("hello, you have been hacked"));
  options.forbidden = {"casino", "hacked"};
  expect(driver.check(server.url(), options), Cause::KeywordForbidden, Phase::Content,
         "\"hacked\"");
}
TEST_F(CheckerCauses, ContentErrorPage) {
  const std::string page =
      "<!DOCTYPE html><html><head><title>Database Error</title></head><body><h1>Error establishing "
      "a "
      "database connection</h1></body></html>";
  server.on("/", ok(page));
  server.on("/gzip", ok(gzip(page), "Content-Type: text/html\r\nContent-Encoding: gzip\r\n"));
  server.on("/text", ok(page, "Content-Type: text/plain\r\n"));
  expect(driver.check(server.url(), options), Cause::ContentErrorPage, Phase::Content,
         "WordPress database error");
  EXPECT_EQ(driver.check(server.url("/gzip"), options).cause, Cause::ContentErrorPage);
  EXPECT_EQ(driver.check(server.url("/text"), options).cause, Cause::Ok);
  options.detect_error_pages = false;
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
}

// ---- ours ----

TEST_F(CheckerCauses, TargetInvalidComesOnALaterTurn) {
  for (const char* url : {"ftp://shop.example/", "http://", "nonsense", "http://shop.example:0/"}) {
    expect(driver.check(url, options), Cause::TargetInvalid, Phase::Dns, "");
  }
  ASSERT_EQ(driver.start(1, "nonsense", options), checker::Start::Started);
  EXPECT_TRUE(driver.results_of(1).empty());
  EXPECT_EQ(driver.checker().in_flight(), 1U);
}
TEST_F(CheckerCauses, AddressBlocked) {
  expect(driver.check("http://10.0.0.1/", options), Cause::AddressBlocked, Phase::Connect,
         "10.0.0.1");
  expect(driver.check("http://[::ffff:10.0.0.1]/", options), Cause::AddressBlocked, Phase::Connect,
         "");
  dns.a("inside.example", {"192.168.1.1"});
  expect(driver.check("http://inside.example/", options), Cause::AddressBlocked, Phase::Connect,
         "192.168.1.1");
  // A redirect is a way in like any other.
  server.on("/", redirect(302, "http://169.254.169.254/latest/meta-data/"));
  const core::ProbeResult result = driver.check(server.url(), options);
  expect(result, Cause::AddressBlocked, Phase::Connect, "169.254.169.254");
  EXPECT_EQ(result.redirects, 1);
}
TEST_F(CheckerCauses, LoopbackIsBlockedUnlessAllowed) {
  checker::Settings strict = loopback_settings();
  strict.allow.clear();
  CheckerDriver guarded(strict);
  server.on("/", ok("hello"));
  expect(guarded.check(server.url(), options), Cause::AddressBlocked, Phase::Connect, "loopback");
  EXPECT_EQ(server.connections(), 0U);
  options.allow = {"127.0.0.1"};
  EXPECT_EQ(guarded.check(server.url(), options).cause, Cause::Ok);
  options.allow.clear();
  options.allow_private = true;
  EXPECT_EQ(guarded.check(server.url(), options).cause, Cause::Ok);
}
TEST_F(CheckerCauses, LocalResourcesWithoutDescriptors) {
  server.on("/", ok("hello"));
  ASSERT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  const int next = ::fcntl(0, F_DUPFD, 0);  // The lowest free number.
  ASSERT_GE(next, 0);
  ::close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  const core::ProbeResult result = driver.check(server.url(), options);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  expect(result, Cause::LocalResources, Phase::Connect, "");
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
}
TEST_F(CheckerCauses, LocalOverloadWhenTheWholeTimeWentByBeforeItBegan) {
  options.timeout = 100ms;
  options.connect_timeout = 100ms;
  ASSERT_EQ(driver.start(1, server.url(), options), checker::Start::Started);
  ::usleep(150'000);  // The lane is away.
  ASSERT_TRUE(driver.run(1));
  expect(driver.results_of(1).front(), Cause::LocalOverload, Phase::Dns, "not begun");
}
TEST_F(CheckerCauses, Cancelled) {
  DeafPort deaf;
  server.on("/", {hold()});
  dns.fail("silent.example", FakeDns::Kind::Silence);
  ASSERT_EQ(driver.start(1, server.url(), options), checker::Start::Started);
  ASSERT_EQ(driver.start(2, "http://127.0.0.1:" + std::to_string(deaf.port()) + "/", options),
            checker::Start::Started);
  ASSERT_EQ(driver.start(3, "http://silent.example/", options), checker::Start::Started);
  while (server.requests().empty()) driver.turn_once(10ms);
  ASSERT_EQ(driver.start(4, server.url(), options), checker::Start::Started);
  driver.checker().cancel_all(driver.now());
  EXPECT_EQ(driver.results(), 4U);
  const std::vector<Phase> phases{Phase::Request, Phase::Connect, Phase::Dns, Phase::Dns};
  for (checker::ProbeToken token = 1; token <= 4; ++token) {
    ASSERT_EQ(driver.results_of(token).size(), 1U);
    expect(driver.results_of(token).front(), Cause::Cancelled, phases[token - 1], "");
  }
  EXPECT_EQ(driver.checker().in_flight(), 0U);
  server.on("/", ok("hello"));
  EXPECT_EQ(driver.check(server.url(), options).cause, Cause::Ok);
}

// ---- tls ----

class CheckerTlsCauses : public CheckerCauses {
 protected:
  CheckerTlsCauses() {
    dns.a("shop.example", {"127.0.0.1"});
    options.ca_file = root.ca_file();
  }
  [[nodiscard]] core::ProbeResult check(const TlsOptions& tls,
                                        std::string_view host = "shop.example") {
    FaultServer secure(tls);
    secure.on("/", ok("hello"));
    return driver.check(secure.url("/", host), options);
  }
  [[nodiscard]] core::ProbeResult check(Certificate certificate,
                                        std::string_view host = "shop.example") {
    return check(TlsOptions{.certificate = std::move(certificate)}, host);
  }
  Authority root{"Test Root"};
};

TEST_F(CheckerTlsCauses, TlsCertExpired) {
  const core::ProbeResult result = check(
      root.issue({.dns_names = {"shop.example"}, .valid_from = -24h * 30, .valid_for = -24h * 3}));
  expect(result, Cause::TlsCertExpired, Phase::Tls, "certificate expired 3d");
  ASSERT_TRUE(result.tls);
  EXPECT_EQ(result.tls->subject, "CN=shop.example");
  EXPECT_THAT(result.detail, HasSubstr(core::to_iso8601(result.tls->not_after)));
}
TEST_F(CheckerTlsCauses, TlsCertExpiredInTheChain) {
  const auto middle =
      root.intermediate({.common_name = "Old Middle", .valid_from = -24h * 30, .valid_for = -24h});
  expect(check(middle->issue({.dns_names = {"shop.example"}})), Cause::TlsCertExpired, Phase::Tls,
         "CN=Old Middle");
}
TEST_F(CheckerTlsCauses, TlsCertNotYetValid) {
  expect(check(root.issue({.dns_names = {"shop.example"}, .valid_from = 24h})),
         Cause::TlsCertNotYetValid, Phase::Tls, "not valid before");
}
TEST_F(CheckerTlsCauses, TlsCertHostname) {
  expect(check(root.issue({.common_name = "x", .dns_names = {"other.example", "*.shop.example"}})),
         Cause::TlsCertHostname, Phase::Tls,
         "not for shop.example but for other.example, *.shop.example");
  expect(check(root.issue({.dns_names = {"shop.example"}, .ips = {"192.0.2.1"}}), "127.0.0.1"),
         Cause::TlsCertHostname, Phase::Tls, "not for 127.0.0.1");
}
TEST_F(CheckerTlsCauses, TlsCertSelfSigned) {
  expect(check(self_signed({.dns_names = {"shop.example"}})), Cause::TlsCertSelfSigned, Phase::Tls,
         "self-signed");
}
TEST_F(CheckerTlsCauses, TlsCertUntrusted) {
  Authority stranger("Strange Root");
  expect(check(stranger.issue({.dns_names = {"shop.example"}})), Cause::TlsCertUntrusted,
         Phase::Tls, "CN=Strange Root");
  const auto middle = root.intermediate({.common_name = "Middle"});
  expect(check(middle->issue_without_chain({.dns_names = {"shop.example"}})),
         Cause::TlsCertUntrusted, Phase::Tls, "sent no intermediate certificate");
  expect(check(root.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa1024})),
         Cause::TlsCertUntrusted, Phase::Tls, "weak key (RSA 1024)");
}
// Who vouches for it comes before its dates, and these before the name.
TEST_F(CheckerTlsCauses, OfSeveralProblemsTheGravestIsTold) {
  const CertSpec all_wrong{
      .common_name = "x", .dns_names = {"other.example"}, .valid_from = -48h, .valid_for = -24h};
  EXPECT_EQ(check(self_signed(all_wrong)).cause, Cause::TlsCertSelfSigned);
  EXPECT_EQ(check(Authority("Strange Root").issue(all_wrong)).cause, Cause::TlsCertUntrusted);
  EXPECT_EQ(check(root.issue(all_wrong)).cause, Cause::TlsCertExpired);
}
TEST_F(CheckerTlsCauses, TlsProtocolPlainHttpOnATlsPort) {
  server.on_first_bytes({send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")});
  expect(driver.check("https://127.0.0.1:" + std::to_string(server.port()) + "/", options),
         Cause::TlsProtocol, Phase::Tls, "plain HTTP");
}
TEST_F(CheckerTlsCauses, TlsProtocolOldVersionOnly) {
  const Certificate rsa = root.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa2048});
  expect(check(TlsOptions{.certificate = rsa, .version_max = TLS1_1_VERSION}), Cause::TlsProtocol,
         Phase::Tls, "");
  options.tls_min = "1.3";
  expect(check(TlsOptions{.certificate = rsa, .version_max = TLS1_2_VERSION}), Cause::TlsProtocol,
         Phase::Tls, "protocol_version (70)");
}
TEST_F(CheckerTlsCauses, TlsHandshakeRefusedByAlert) {
  const Certificate rsa = root.issue({.dns_names = {"shop.example"}, .key = KeyKind::Rsa2048});
  expect(check(TlsOptions{
             .certificate = rsa, .version_max = TLS1_2_VERSION, .ciphers = "NULL-SHA256"}),
         Cause::TlsHandshake, Phase::Tls, "handshake_failure (40)");
  expect(check(TlsOptions{.certificate = rsa, .refuses_names = true}), Cause::TlsHandshake,
         Phase::Tls, "unrecognized_name (112)");
  expect(check(TlsOptions{
             .certificate = rsa, .version_max = TLS1_2_VERSION, .wants_client_certificate = true}),
         Cause::TlsHandshake, Phase::Tls, "handshake_failure (40)");
  expect(check(TlsOptions{.certificate = rsa, .wants_client_certificate = true}),
         Cause::TlsHandshake, Phase::Tls, "certificate_required (116)");
}
TEST_F(CheckerTlsCauses, TlsHandshakeBrokenOff) {
  server.on_first_bytes({reset()});
  expect(driver.check("https://127.0.0.1:" + std::to_string(server.port()) + "/", options),
         Cause::TlsHandshake, Phase::Tls, "reset by the server");
  server.on_first_bytes({});
  expect(driver.check("https://127.0.0.1:" + std::to_string(server.port()) + "/", options),
         Cause::TlsHandshake, Phase::Tls, "closed by the server");
}
TEST_F(CheckerTlsCauses, TlsTimeout) {
  server.on_first_bytes({hold()});
  options.timeout = 400ms;
  options.connect_timeout = 400ms;
  const core::ProbeResult result =
      driver.check("https://127.0.0.1:" + std::to_string(server.port()) + "/", options);
  expect(result, Cause::TlsTimeout, Phase::Tls, "TLS handshake was not complete within 400ms");
  EXPECT_FALSE(result.timings.tls);
  EXPECT_TRUE(result.timings.connect);
}
TEST_F(CheckerTlsCauses, HttpAndBodyFailuresUnderTlsAreThoseOfPlainHttp) {
  FaultServer secure(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}})});
  secure.on("/closed", {});
  secure.on("/reset", {reset()});
  secure.on("/short", {send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")});
  secure.on("/cut", {send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc"), cut_off()});
  secure.on("/chunk", {send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")});
  secure.on("/silent", {hold()});
  const auto ask = [&](std::string_view path) {
    return driver.check(secure.url(path, "shop.example"), options);
  };
  expect(ask("/closed"), Cause::HttpClosed, Phase::FirstByte, "without an answer");
  expect(ask("/reset"), Cause::HttpClosed, Phase::FirstByte, "without an answer");
  expect(ask("/short"), Cause::BodyTruncated, Phase::Body, "3 of 1000 bytes");
  expect(ask("/cut"), Cause::BodyTruncated, Phase::Body, "3 of 1000 bytes");
  expect(ask("/chunk"), Cause::BodyMalformed, Phase::Body, "chunk");
  options.timeout = 500ms;
  options.connect_timeout = 400ms;
  expect(ask("/silent"), Cause::HttpTimeout, Phase::FirstByte, "no answer");
}

}  // namespace
}  // namespace watchwheel::testing
