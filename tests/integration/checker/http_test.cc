// SPDX-License-Identifier: Apache-2.0
// What the table of cases cannot say of HTTP: what goes over the wire, what one check leaves for the next, and where the time went.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "support/certs.h"
#include "support/checker_driver.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/h2_frames.h"
#include "support/slow_build.h"
#include "support/temp_dir.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

class CheckerHttp : public ::testing::Test {
 protected:
  static std::size_t count(const std::vector<std::string>& requests, std::string_view text) {
    return static_cast<std::size_t>(std::count_if(
        requests.begin(), requests.end(),
        [&](const std::string& request) { return request.find(text) != std::string::npos; }));
  }

  TempDir files;
  FakeDns dns;
  FaultServer server;
  CheckerDriver driver{loopback_settings({dns.endpoint()})};
  core::CheckOptions options;
};

// Goal: the memory of libcurl stays whole when a response begins with a folded line. It keeps a pointer into the response before.
TEST_F(CheckerHttp, AFoldedFirstLineAfterAnotherResponseHarmsNothing) {
  server.on("/good", ok("hello", "X-Long: " + std::string(500, 'x') + "\r\n"));
  server.on("/bad", {send("HTTP/1.1 200 OK\r\n folded: " + std::string(5000, 'y') +
                          "\r\nContent-Length: 0\r\n\r\n")});
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(driver.check(server.url("/good")).cause, Cause::Ok);
    EXPECT_EQ(driver.check(server.url("/bad")).cause, Cause::HttpMalformed);
  }
}

// Goal: what one check was given, the next does not send, though it follows on the same row.
TEST_F(CheckerHttp, NothingIsLeftForTheNextCheck) {
  server.on("/login", "session=1\r\n", ok("hello"));
  server.on("/login", status(302, "Found", "Location: /login\r\nSet-Cookie: session=1\r\n"));
  server.on("/plain", ok("hello"));
  options.method = "POST";
  options.body = "a=1";
  options.headers = {{"X-Api-Key", "k3y"}, {"Cookie", "own=1"}, {"Host", "front.example"}};
  options.auth_user = "ann";
  options.auth_password_file = files.write("password", "s3cret");
  options.http_version = "1.0";
  options.redirects = core::Redirects::Follow;
  const core::ProbeResult first = driver.check(server.url("/login"), options);
  EXPECT_EQ(first.cause, Cause::Ok) << first.detail;
  EXPECT_EQ(count(server.requests(), "own=1; session=1"), 1U);
  EXPECT_EQ(driver.check(server.url("/plain")).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(),
              AllOf(HasSubstr("GET /plain HTTP/1.1\r\n"), HasSubstr("Host: 127.0.0.1"),
                    Not(HasSubstr("ookie")), Not(HasSubstr("Authorization")), Not(HasSubstr("k3y")),
                    Not(HasSubstr("a=1")), Not(HasSubstr("Content-"))));
  // Nor does a second check of the same site begin with the first one's session.
  EXPECT_EQ(driver.check(server.url("/login"), options).redirects, 1);
}

// Goal: secrets go to the origin and are in nothing that a check says.
TEST_F(CheckerHttp, SecretsAreInNoResult) {
  dns.a("shop.example", {"127.0.0.1"});
  dns.a("evil.example", {"127.0.0.1"});
  server.otherwise(
      status(302, "Found", "Location: " + server.url("/end", "evil.example") + "\r\n"));
  server.on("/end", status(503, "Away"));
  options.auth_user = "ann";
  options.auth_password_file = files.write("password", "s3cret");
  options.headers = {{"Cookie", "own=c00kie"}};
  const core::ProbeResult result = driver.check(server.url("/", "shop.example"), options);
  EXPECT_EQ(result.cause, Cause::HttpStatus);
  const auto requests = server.requests();
  ASSERT_EQ(requests.size(), 2U);
  EXPECT_THAT(requests[0],
              AllOf(HasSubstr("Authorization: Basic YW5uOnMzY3JldA=="), HasSubstr("own=c00kie")));
  EXPECT_THAT(requests[1], AllOf(Not(HasSubstr("Authorization")), Not(HasSubstr("c00kie"))));
  EXPECT_THAT(result.detail + result.final_url,
              AllOf(Not(HasSubstr("s3cret")), Not(HasSubstr("ann")), Not(HasSubstr("c00kie"))));
}

// Goal: a Host header changes what is asked for, and nothing of whom we ask and believe.
TEST_F(CheckerHttp, AHostHeaderLeavesNameAndCertificateAlone) {
  dns.a("shop.example", {"127.0.0.1"});
  Authority root("root");
  FaultServer secure(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}})});
  secure.on("/", ok("hello"));
  options.ca_file = root.ca_file();
  options.headers = {{"Host", "front.example"}};
  EXPECT_EQ(driver.check(secure.url("/", "shop.example"), options).cause, Cause::Ok);
  EXPECT_THAT(secure.last_request(), HasSubstr("\r\nHost: front.example\r\n"));
  FaultServer front(TlsOptions{.certificate = root.issue({.dns_names = {"front.example"}})});
  front.on("/", ok("hello"));
  EXPECT_EQ(driver.check(front.url("/", "shop.example"), options).cause, Cause::TlsCertHostname);
}

// Goal: redirects to an international name are asked by its encoded one, and a cookie of a domain reaches its hosts only.
TEST_F(CheckerHttp, RedirectsToAnInternationalName) {
  dns.a("xn--mnchen-3ya.example", {"127.0.0.1"});
  dns.a("shop.example", {"127.0.0.1"});
  dns.a("www.shop.example", {"127.0.0.1"});
  server.on("/", status(302, "Found",
                        "Location: http://m\xc3\xbcnchen.example:" + std::to_string(server.port()) +
                            "/end\r\nSet-Cookie: a=b; Domain=shop.example\r\n"));
  server.on("/end", ok("hello"));
  EXPECT_EQ(driver.check(server.url("/", "www.shop.example")).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(),
              AllOf(HasSubstr("Host: xn--mnchen-3ya.example"), Not(HasSubstr("a=b"))));
  server.on("/up", status(302, "Found",
                          "Location: " + server.url("/end", "shop.example") +
                              "\r\nSet-Cookie: a=b; Domain=shop.example\r\n"));
  EXPECT_EQ(driver.check(server.url("/up", "www.shop.example")).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(), HasSubstr("Cookie: a=b"));
}

// Goal: secrets are rotated on disk while the daemon runs. Each file is looked at once a minute; one that is unfit changes nothing.
TEST_F(CheckerHttp, ASecretThatChangedIsSentWithinAMinute) {
  server.on("/", "Authorization: Bearer new", ok("hello"));
  server.on("/", status(401, "Unauthorized"));
  options.bearer_token_file = files.write("token", "old");
  EXPECT_EQ(driver.check(server.url("/"), options).cause, Cause::HttpStatus);
  files.write("token", "newer");
  EXPECT_EQ(driver.check(server.url("/"), options).cause, Cause::HttpStatus);
  driver.move_on(61s);
  EXPECT_EQ(driver.check(server.url("/"), options).cause, Cause::Ok);
  EXPECT_EQ(driver.checker().stats().trust_reloads.value(), 1U);
  files.write("token", "two\nlines\n");
  driver.move_on(61s);
  EXPECT_EQ(driver.check(server.url("/"), options).cause, Cause::Ok);
  EXPECT_EQ(driver.checker().stats().trust_reload_failures.value(), 1U);
  files.write("token", "new again");
  driver.move_on(61s);
  EXPECT_EQ(driver.check(server.url("/"), options).cause, Cause::Ok);
  EXPECT_THAT(server.last_request(), HasSubstr("Bearer new again\r\n"));
}

// Goal: our own certificate that has ended is told as ours, and one that has taken its place is used.
TEST_F(CheckerHttp, AClientCertificateThatEndedIsOurTroubleUntilItIsRenewed) {
  Authority root("root"), clients("clients");
  FaultServer asks(TlsOptions{.certificate = root.issue({.ips = {"127.0.0.1"}}),
                              .wants_client_certificate = true,
                              .client_authority = clients.certificate()});
  asks.otherwise(ok("hello"));
  FaultServer asks_not(TlsOptions{.certificate = root.issue({.ips = {"127.0.0.1"}})});
  asks_not.otherwise(ok("hello"));
  const auto write = [&](const Certificate& ours) {
    write_pem(ours, options.client_cert_file);
    write_key(ours, options.client_key_file);
  };
  options.ca_file = root.ca_file();
  options.client_cert_file = files.file("client.pem");
  options.client_key_file = files.file("client.key");
  write(clients.issue({.common_name = "monitor", .valid_for = 1h}));
  core::ProbeResult result = driver.check(asks.url("/"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  driver.move_on(2h);
  result = driver.check(asks.url("/"), options);
  EXPECT_EQ(result.cause, Cause::LocalResources);
  EXPECT_THAT(result.detail, AllOf(HasSubstr("client_cert_file"), HasSubstr("expired")));
  EXPECT_EQ(driver.check(asks_not.url("/"), options).cause, Cause::Ok);
  write(clients.issue({.common_name = "monitor"}));
  driver.move_on(61s);
  result = driver.check(asks.url("/"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
}

// Goal: who asks for no trust needs none. Method: a machine without trusted certificates.
TEST_F(CheckerHttp, WithoutVerifyingNoTrustIsNeeded) {
  ASSERT_EQ(::setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);  // NOLINT(concurrency-mt-unsafe)
  CheckerDriver bare(loopback_settings({dns.endpoint()}));
  FaultServer secure(TlsOptions{.certificate = self_signed({.ips = {"127.0.0.1"}})});
  secure.otherwise(ok("hello"));
  EXPECT_EQ(bare.check(secure.url("/"), options).cause, Cause::LocalResources);
  options.tls_verify = false;
  const core::ProbeResult result = bare.check(secure.url("/"), options);
  ASSERT_EQ(::unsetenv("SSL_CERT_FILE"), 0);  // NOLINT(concurrency-mt-unsafe)
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
}

// Goal: a warning before the handshake's good end is not what ended the connection afterwards.
TEST_F(CheckerHttp, AWarningOfTheServersIsNoRefusal) {
  Authority root("root");
  dns.a("shop.example", {"127.0.0.1"});
  FaultServer warns(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}}),
                               .version_max = TLS1_2_VERSION,
                               .warns_of_names = true});
  warns.on("/", ok("hello"));
  warns.on("/closes", {});
  options.ca_file = root.ca_file();
  core::ProbeResult result = driver.check(warns.url("/", "shop.example"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  result = driver.check(warns.url("/closes", "shop.example"), options);
  EXPECT_EQ(result.cause, Cause::HttpClosed) << result.detail;
}

// Goal: with HTTP/2 too, every check has a connection of its own, also two at the same time.
TEST_F(CheckerHttp, ConnectionsOfHttp2AreNotShared) {
  Authority root("root");
  FaultServer two(TlsOptions{.certificate = root.issue({.ips = {"127.0.0.1"}}), .alpn = "h2"});
  two.on("*", {send(h2_hello()), pause(50ms), send(h2_head(200) + h2_data("hello", true)), hold()});
  options.ca_file = root.ca_file();
  options.http_version = "2";
  for (checker::ProbeToken token = 0; token < 6; ++token)
    ASSERT_EQ(driver.start(token, two.url("/x"), options), checker::Start::Started);
  ASSERT_TRUE(driver.run(6));
  for (checker::ProbeToken token = 0; token < 6; ++token)
    EXPECT_EQ(driver.results_of(token).front().cause, Cause::Ok)
        << driver.results_of(token).front().detail;
  EXPECT_EQ(driver.check(two.url("/x"), options).cause, Cause::Ok);
  EXPECT_EQ(two.connections(), 7U);
}

// Goal: each phase's time is where it was spent, and together they are no more than the whole.
TEST_F(CheckerHttp, TimesAddUp) {
  dns.a("shop.example", {"127.0.0.1"});
  Authority root("root");
  FaultServer secure(TlsOptions{.certificate = root.issue({.dns_names = {"shop.example"}})});
  secure.on("/", {pause(150ms), send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"),
                  pause(100ms), send("llo")});
  options.ca_file = root.ca_file();
  const core::ProbeResult result = driver.check(secure.url("/", "shop.example"), options);
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  const core::Timings& t = result.timings;
  ASSERT_TRUE(t.dns && t.connect && t.tls && t.first_byte && t.transfer);
  for (const core::Duration part : {*t.dns, *t.connect, *t.tls}) {
    EXPECT_GE(part, 0ms);
    EXPECT_LT(part, 150ms * kSlowness);
  }
  EXPECT_GE(*t.first_byte, 150ms - 5ms);
  EXPECT_LT(*t.first_byte, 250ms * kSlowness);
  EXPECT_GE(*t.transfer, 100ms - 5ms);
  EXPECT_LT(*t.transfer, 200ms * kSlowness);
  const core::Duration sum = *t.dns + *t.connect + *t.tls + *t.first_byte + *t.transfer;
  EXPECT_LE(sum, t.total);
  EXPECT_GE(sum, t.total - 100ms * kSlowness);  // What is lost between phases is a turn or two.
}

// Over redirects the parts are those of the last hop.
TEST_F(CheckerHttp, TimesAreTheLastHops) {
  server.on("/", {pause(200ms), redirect(302, "/end").front()});
  server.on("/end", ok("hello"));
  const core::ProbeResult result = driver.check(server.url());
  ASSERT_EQ(result.cause, Cause::Ok);
  EXPECT_GE(result.timings.total, 200ms - 5ms);
  EXPECT_LT(*result.timings.connect + *result.timings.first_byte + *result.timings.transfer, 200ms);
}

// Goal: a phase that ends by the deadline has not eaten another's time.
TEST_F(CheckerHttp, ADeadlineInTheBodyKeepsTheTimesBefore) {
  server.on("/", {pause(100ms), send("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"), hold()});
  options.timeout = 400ms;
  options.connect_timeout = 300ms;
  const core::ProbeResult result = driver.check(server.url(), options);
  EXPECT_EQ(result.cause, Cause::BodyTimeout);
  ASSERT_TRUE(result.timings.first_byte && result.timings.transfer);
  EXPECT_GE(*result.timings.first_byte, 100ms - 5ms);
  EXPECT_LE(*result.timings.first_byte + *result.timings.transfer, result.timings.total);
  EXPECT_GE(result.timings.total, 400ms);
  EXPECT_LT(result.timings.total, 1s * kSlowness);
}

}  // namespace
}  // namespace watchwheel::testing
