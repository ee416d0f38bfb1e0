// SPDX-License-Identifier: Apache-2.0
// That the guard stands on the socket that connects: whatever the environment, a name's next answer or a redirect say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/checker_driver.h"
#include "support/child_process.h"
#include "support/fake_dns.h"
#include "support/fault_server.h"
#include "support/paths.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using ::testing::HasSubstr;

// Goal: what is checked is the site and not a proxy, and no proxy is a way around the guard. Method: every variable that
// programs take a proxy from names a server that would answer anything; it is never connected to.
TEST(GuardEnvironment, ProxiesAreNotAsked) {
  FaultServer proxy;
  proxy.otherwise(ok("from the proxy"));
  FaultServer site;
  site.on("/", ok("from the site"));
  const std::string at = "http://127.0.0.1:" + std::to_string(proxy.port());
  std::vector<std::string> env{"/usr/bin/env"};
  for (const char* name : {"http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY",
                           "ALL_PROXY", "ftp_proxy"}) {
    env.push_back(std::string(name) + "=" + at);
  }
  env.emplace_back("no_proxy=");
  env.emplace_back("NO_PROXY=");
  const auto check = [&](std::vector<std::string> arguments) {
    std::vector<std::string> argv = env;
    argv.push_back(binary_dir() + "/src/app/watchwheel");
    argv.emplace_back("check");
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return run_program(argv);
  };
  const Finished up = check({site.url("/"), "--allow-private", "--keyword", "from the site"});
  EXPECT_EQ(up.status, 0) << up.out << up.err;
  const Finished down = check(
      {"https://127.0.0.1:" + std::to_string(closed_port()) + "/", "--allow-private", "--json"});
  EXPECT_EQ(down.status, 1);
  EXPECT_THAT(down.out, HasSubstr("\"connect_refused\""));
  const Finished blocked = check({site.url("/"), "--json"});
  EXPECT_EQ(blocked.status, 3);
  EXPECT_THAT(blocked.out, HasSubstr("\"address_blocked\""));
  EXPECT_EQ(proxy.connections(), 0U);
  EXPECT_EQ(site.connections(), 1U);
}

class GuardRebinding : public ::testing::Test {
 protected:
  GuardRebinding() {
    allowed_.otherwise(ok("the allowed one"));
    options.allow = {"127.0.0.1/32"};
  }
  static checker::Settings strict(const FakeDns& dns) {
    checker::Settings settings = loopback_settings({dns.endpoint()});
    settings.allow.clear();
    return settings;
  }
  FakeDns dns;
  FaultServer allowed_;
  core::CheckOptions options;
};

// Goal: between looking and connecting a name cannot change. Method: it has an allowed address once and a forbidden one ever
// after; it is asked once, and what was guarded is what is connected to.
TEST_F(GuardRebinding, ANameIsAskedOnceAndThatAnswerIsConnectedTo) {
  dns.script("moving.example", FakeDns::Type::A,
             {{.addresses = {"127.0.0.1"}}, {.addresses = {"127.0.0.2"}}});
  CheckerDriver driver(strict(dns));
  const core::ProbeResult first = driver.check(allowed_.url("/", "moving.example"), options);
  EXPECT_EQ(first.cause, Cause::Ok) << first.detail;
  EXPECT_EQ(first.address, "127.0.0.1");
  EXPECT_EQ(dns.queries("moving.example", FakeDns::Type::A), 1U);
  // Another lane, which asks anew.
  CheckerDriver other(strict(dns));
  EXPECT_EQ(other.check(allowed_.url("/", "moving.example"), options).cause, Cause::AddressBlocked);
  EXPECT_EQ(allowed_.connections(), 1U);
}

// The same from hop to hop: the name is allowed when the check begins and forbidden when its own redirect leads to it again. A
// new answer would have to be guarded again; the first one, still in the cache, is.
TEST_F(GuardRebinding, ARedirectToTheSameNameConnectsToAGuardedAddress) {
  dns.script("moving.example", FakeDns::Type::A,
             {{.addresses = {"127.0.0.1"}}, {.addresses = {"10.0.0.1"}}});
  allowed_.on("/", redirect(302, "/again"));
  CheckerDriver driver(strict(dns));
  const core::ProbeResult result = driver.check(allowed_.url("/", "moving.example"), options);
  EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.address, "127.0.0.1");
}

// What one site may ask does not open it to another one in the same engine, on the same name and address.
TEST_F(GuardRebinding, AnAllowanceIsOfItsSiteAlone) {
  dns.a("inside.example", {"127.0.0.1"});
  CheckerDriver driver(strict(dns));
  const std::string url = allowed_.url("/", "inside.example");
  EXPECT_EQ(driver.check(url, options).cause, Cause::Ok);
  EXPECT_EQ(driver.check(url, {}).cause, Cause::AddressBlocked);
  core::CheckOptions anywhere;
  anywhere.allow_private = true;
  EXPECT_EQ(driver.check(url, anywhere).cause, Cause::Ok);
  EXPECT_EQ(driver.check(url, {}).cause, Cause::AddressBlocked);
}

TEST_F(GuardRebinding, TheEnginesAllowanceIsForEverySite) {
  dns.a("inside.example", {"127.0.0.1"});
  checker::Settings settings = strict(dns);
  settings.allow = {"127.0.0.1/32"};
  CheckerDriver driver(settings);
  EXPECT_EQ(driver.check(allowed_.url("/", "inside.example")).cause, Cause::Ok);
  EXPECT_EQ(driver.check("http://127.0.0.2:" + std::to_string(allowed_.port()) + "/").cause,
            Cause::AddressBlocked);
  // A site's own adds to it.
  core::CheckOptions more;
  more.allow = {"127.0.0.2/32"};
  EXPECT_EQ(driver.check(allowed_.url("/", "inside.example"), more).cause, Cause::Ok);
}

}  // namespace
}  // namespace watchwheel::testing
