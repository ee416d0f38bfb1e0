// SPDX-License-Identifier: Apache-2.0
#include "checker/plan.h"

#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

std::vector<std::string> lines(const HeaderList& list) {
  std::vector<std::string> out;
  for (const curl_slist* at = list.get(); at != nullptr; at = at->next) out.emplace_back(at->data);
  return out;
}

PlanGround ground() {
  return {.user_agent = "watchwheel",
          .allow = {*parse_cidr("127.0.0.0/8")},
          .system_trust = TrustStore::system()};
}

TEST(ProbePlan, HoldsWhatIsParsedOnce) {
  core::CheckOptions options;
  options.allow = {"10.0.0.0/8"};
  options.resolvers = {"192.0.2.53", "[2001:db8::53]:5353"};
  options.tls_min = "1.1";
  options.keyword = {"welcome"};
  options.forbidden = {"", "hacked"};
  const auto plan = make_plan(options, ground());
  ASSERT_TRUE(plan);
  EXPECT_THAT((*plan)->allow, ElementsAre(*parse_cidr("127.0.0.0/8"), *parse_cidr("10.0.0.0/8")));
  ASSERT_EQ((*plan)->resolvers.size(), 2U);
  EXPECT_EQ((*plan)->resolvers[0].port, 53);
  EXPECT_EQ((*plan)->resolvers[1].port, 5353);
  EXPECT_EQ((*plan)->tls_min, TlsVersion::V1_1);
  EXPECT_EQ((*plan)->body_rules.keyword, std::vector<std::string>{"welcome"});
  EXPECT_THAT((*plan)->body_rules.forbidden, ElementsAre("hacked"));
  EXPECT_TRUE((*plan)->body_rules.keep_page);
  EXPECT_NE((*plan)->trust, nullptr);
}

TEST(ProbePlan, SendsCredentialsAtTheOriginOnly) {
  core::CheckOptions options;
  options.headers = {{"authorization", "Bearer x"},
                     {"COOKIE", "a=b"},
                     {"X-Auth-Token", "t"},
                     {"Host", "front"},
                     {"Accept", "text/html"}};
  const auto plan = make_plan(options, ground());
  ASSERT_TRUE(plan);
  EXPECT_THAT(
      lines((*plan)->headers),
      UnorderedElementsAre("Connection: close", "User-Agent: watchwheel", "authorization: Bearer x",
                           "COOKIE: a=b", "X-Auth-Token: t", "Host: front", "Accept: text/html"));
  EXPECT_THAT(
      lines((*plan)->headers_elsewhere),
      UnorderedElementsAre("Connection: close", "User-Agent: watchwheel", "Accept: text/html"));
}

TEST(ProbePlan, OptionsWinOverItsOwnHeaders) {
  core::CheckOptions options;
  options.user_agent = "agent";
  auto plan = make_plan(options, ground());
  ASSERT_TRUE(plan);
  EXPECT_THAT(lines((*plan)->headers),
              UnorderedElementsAre("Connection: close", "User-Agent: agent"));
  options.headers = {{"User-Agent", "mine"}, {"connection", "keep-alive"}, {"X-Empty", ""}};
  plan = make_plan(options, ground());
  ASSERT_TRUE(plan);
  EXPECT_THAT(lines((*plan)->headers),
              UnorderedElementsAre("User-Agent: mine", "connection: keep-alive", "X-Empty;"));
}

TEST(ProbePlan, CredentialHeadersAreKnownByTheirNames) {
  for (const char* name : {"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "apikey",
                           "X-CSRF-Token", "Client-Secret", "X-Password"}) {
    EXPECT_TRUE(is_credential_header(name)) << name;
  }
  for (const char* name : {"Accept", "Host", "User-Agent", "X-Watch", "Range"})
    EXPECT_FALSE(is_credential_header(name)) << name;
}

}  // namespace
}  // namespace watchwheel::checker
