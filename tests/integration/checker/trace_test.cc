// SPDX-License-Identifier: Apache-2.0
// What a trace says of a probe, over real sockets; and that nobody has one who did not ask.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "support/checker_driver.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;
using namespace std::chrono_literals;

checker::Settings tracing(std::vector<std::string> resolvers = {}) {
  checker::Settings settings = loopback_settings(std::move(resolvers));
  settings.trace = true;
  return settings;
}

bool holds(const std::vector<std::string>& lines, std::string_view text) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const std::string& line) { return line.find(text) != line.npos; });
}

TEST(CheckerTrace, IsKeptOnlyWhereItIsAskedFor) {
  FaultServer server;
  server.on("/", ok("hello"));
  CheckerDriver plain;
  EXPECT_FALSE(plain.check(server.url("/")).trace);
  CheckerDriver traced(tracing());
  EXPECT_TRUE(traced.check(server.url("/")).trace);
}

TEST(CheckerTrace, HasEveryHopWithItsOwnFacts) {
  FaultServer server;
  FakeDns dns;
  dns.a("shop.example", {"127.0.0.1"});
  server.on("/a", redirect(302, "/b"));
  server.on("/b", ok("hello"));
  core::CheckOptions options;
  options.keyword = {"hello"};
  CheckerDriver driver(tracing({dns.endpoint()}));
  const core::ProbeResult result = driver.check(server.url("/a", "shop.example"), options);
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  ASSERT_TRUE(result.trace);
  ASSERT_THAT(result.trace->hops, SizeIs(2));
  const core::HopTrace& first = result.trace->hops[0];
  const core::HopTrace& second = result.trace->hops[1];
  EXPECT_EQ(first.url, server.url("/a", "shop.example"));
  EXPECT_EQ(first.status, 302);
  EXPECT_EQ(first.http_version, "HTTP/1.1");
  EXPECT_FALSE(first.dns_cached);
  EXPECT_THAT(first.addresses, ElementsAre("127.0.0.1"));
  ASSERT_THAT(first.tries, SizeIs(1));
  EXPECT_EQ(first.tries[0].result, "connected");
  EXPECT_TRUE(holds(first.request, "GET /a HTTP/1.1"));
  EXPECT_TRUE(holds(first.response, "Location: /b"));
  EXPECT_EQ(second.status, 200);
  EXPECT_TRUE(second.dns_cached);
  EXPECT_EQ(second.timings.first_byte, result.timings.first_byte);
  EXPECT_LE(first.timings.total + second.timings.total, result.timings.total);
  EXPECT_THAT(result.trace->findings, Contains(HasSubstr("hello")));
}

// One of two addresses refuses, the other is silent, the third is not allowed.
TEST(CheckerTrace, HasWhatEachAddressSaid) {
  const DeafPort deaf;
  FakeDns dns;
  dns.a("shop.example", {"127.0.0.2", "127.0.0.1", "10.0.0.1"});
  core::CheckOptions options;
  options.timeout = options.connect_timeout = 1s;
  CheckerDriver driver(tracing({dns.endpoint()}));
  const core::ProbeResult result =
      driver.check("http://shop.example:" + std::to_string(deaf.port()) + "/", options);
  ASSERT_TRUE(result.trace);
  std::vector<std::string> said;
  for (const core::AddressTry& tried : result.trace->hops.at(0).tries)
    said.push_back(tried.address + " " + tried.result);
  EXPECT_THAT(said, ::testing::UnorderedElementsAre("127.0.0.2 refused", "127.0.0.1 no answer",
                                                    HasSubstr("10.0.0.1 blocked: ")));
}

TEST(CheckerTrace, OfACheckThatRanOutOfTimeHasWhatCameUntilThen) {
  FaultServer server;
  server.on("/", {send("HTTP/1.1 200 OK\r\nX-Half: way\r\n"), hold()});
  core::CheckOptions options;
  options.timeout = options.connect_timeout = 300ms;
  CheckerDriver driver(tracing());
  const core::ProbeResult result = driver.check(server.url("/"), options);
  EXPECT_EQ(result.cause, Cause::HttpTimeout);
  ASSERT_TRUE(result.trace);
  const core::HopTrace& hop = result.trace->hops.at(0);
  EXPECT_EQ(hop.status, 0);
  EXPECT_TRUE(holds(hop.request, "GET / HTTP/1.1"));
  EXPECT_TRUE(holds(hop.response, "X-Half: way"));
  EXPECT_GE(hop.timings.total, 290ms);  // The deadline is the check's, which began a moment before its first hop.
}

TEST(CheckerTrace, OfAUrlThatCannotBeAskedHasAHopWithoutAnything) {
  CheckerDriver driver(tracing());
  const core::ProbeResult result = driver.check("http://user:hunter2@");
  EXPECT_EQ(result.cause, Cause::TargetInvalid);
  ASSERT_TRUE(result.trace);
  for (const core::HopTrace& hop : result.trace->hops) EXPECT_EQ(hop.url, "");
}

// Goal: exact stamps beside those of turns never make time run backwards. Method: many at once, so that one turn has events of
// several, each with redirects.
TEST(CheckerTrace, TimesAreNeverNegative) {
  FaultServer server;
  server.on("/a", redirect(301, "/b"));
  server.on("/b", redirect(302, "/c"));
  server.on("/c", ok("hello"));
  CheckerDriver driver(tracing());
  constexpr std::size_t kChecks = 60;
  for (std::size_t i = 0; i < kChecks; ++i)
    ASSERT_EQ(driver.start(i, server.url("/a")), checker::Start::Started);
  ASSERT_TRUE(driver.run(kChecks));
  for (std::size_t i = 0; i < kChecks; ++i) {
    const core::ProbeResult& result = driver.results_of(i).at(0);
    ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
    ASSERT_THAT(result.trace->hops, SizeIs(3));
    for (const core::HopTrace& hop : result.trace->hops) {
      EXPECT_GE(hop.timings.total.count(), 0);
      EXPECT_GE(hop.timings.connect.value_or(-1s).count(), 0);
      EXPECT_GE(hop.timings.first_byte.value_or(-1s).count(), 0);
      EXPECT_GE(hop.timings.transfer.value_or(-1s).count(), 0);
      for (const core::AddressTry& tried : hop.tries) EXPECT_GE(tried.after.count(), 0);
    }
  }
}

}  // namespace
}  // namespace watchwheel::testing
