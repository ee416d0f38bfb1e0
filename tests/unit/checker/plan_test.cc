// SPDX-License-Identifier: Apache-2.0
#include "checker/plan.h"

#include <curl/curl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/temp_dir.h"

namespace watchwheel::checker {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

std::vector<std::string> lines(const HeaderList& list) {
  std::vector<std::string> out;
  for (const curl_slist* at = list.get(); at != nullptr; at = at->next) out.emplace_back(at->data);
  return out;
}

const core::WallTime kNow = core::SystemClock{}.wall();

PlanGround ground() {
  return {.user_agent = "watchwheel",
          .allow = {*parse_cidr("127.0.0.0/8")},
          .trust = std::make_shared<TrustStores>()};
}

TEST(ProbePlan, HoldsWhatIsParsedOnce) {
  core::CheckOptions options;
  options.allow = {"10.0.0.0/8"};
  options.resolvers = {"192.0.2.53", "[2001:db8::53]:5353"};
  options.tls_min = "1.1";
  options.keyword = {"welcome"};
  options.forbidden = {"", "hacked"};
  const auto plan = make_plan(options, ground(), kNow);
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
  options.headers = {
      {"authorization", "Bearer x"}, {"COOKIE", "a=b"}, {"cookie", "c=d"},      {"Cookie", ""},
      {"X-Auth-Token", "t"},         {"Host", "front"}, {"Accept", "text/html"}};
  const auto plan = make_plan(options, ground(), kNow);
  ASSERT_TRUE(plan);
  EXPECT_THAT(lines((*plan)->headers),
              UnorderedElementsAre("Connection: close", "Accept-Encoding: gzip, deflate",
                                   "User-Agent: watchwheel", "authorization: Bearer x",
                                   "X-Auth-Token: t", "Host: front", "Accept: text/html"));
  EXPECT_THAT(lines((*plan)->headers_elsewhere),
              UnorderedElementsAre("Connection: close", "Accept-Encoding: gzip, deflate",
                                   "User-Agent: watchwheel", "Accept: text/html"));
  EXPECT_EQ((*plan)->cookies, "a=b; c=d");
}

TEST(ProbePlan, OptionsWinOverItsOwnHeaders) {
  core::CheckOptions options;
  options.user_agent = "agent";
  auto plan = make_plan(options, ground(), kNow);
  ASSERT_TRUE(plan);
  EXPECT_THAT(lines((*plan)->headers),
              UnorderedElementsAre("Connection: close", "Accept-Encoding: gzip, deflate",
                                   "User-Agent: agent"));
  options.headers = {{"User-Agent", "mine"},
                     {"connection", "keep-alive"},
                     {"accept-encoding", "identity"},
                     {"X-Empty", ""}};
  plan = make_plan(options, ground(), kNow);
  ASSERT_TRUE(plan);
  EXPECT_THAT(lines((*plan)->headers),
              UnorderedElementsAre("User-Agent: mine", "connection: keep-alive",
                                   "accept-encoding: identity", "X-Empty;"));
}

TEST(ProbePlan, ReadsSecretsFromTheirFiles) {
  const testing::TempDir dir;
  core::CheckOptions options;
  options.auth_user = "ann";
  options.auth_password_file = dir.write("password", "pass:word\n");
  auto plan = make_plan(options, ground(), kNow);
  ASSERT_TRUE(plan);
  ASSERT_TRUE((*plan)->login);
  EXPECT_EQ((*plan)->login->user, "ann");
  EXPECT_EQ((*plan)->login->password, "pass:word");
  options.headers = {{"authorization", "Digest x"}};
  EXPECT_THAT(make_plan(options, ground(), kNow).error().message, HasSubstr("choose one"));
  options = {};
  options.bearer_token_file = dir.write("token", "t0ken\n");
  plan = make_plan(options, ground(), kNow);
  ASSERT_TRUE(plan);
  EXPECT_FALSE((*plan)->login);
  EXPECT_THAT(lines((*plan)->headers), Contains("Authorization: Bearer t0ken"));
  EXPECT_THAT(lines((*plan)->headers_elsewhere), Not(Contains(HasSubstr("t0ken"))));
  options.bearer_token_file = dir.file("absent");
  const auto refused = make_plan(options, ground(), kNow);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Invalid);
  EXPECT_THAT(refused.error().message, HasSubstr("bearer_token_file: cannot read"));
  options = {};
  options.auth_user = "ann";
  options.auth_password_file = dir.write("two", "a\nb\n");
  EXPECT_THAT(make_plan(options, ground(), kNow).error().message,
              AllOf(HasSubstr("auth_password_file: "), Not(HasSubstr("a\nb"))));
}

TEST(ProbePlan, KnowsTheVersionsOfHttp) {
  core::CheckOptions options;
  EXPECT_EQ((*make_plan(options, ground(), kNow))->http, HttpVersion::V1_1);
  options.http_version = "1.0";
  EXPECT_EQ((*make_plan(options, ground(), kNow))->http, HttpVersion::V1_0);
  options.http_version = "2";
  EXPECT_EQ((*make_plan(options, ground(), kNow))->http, HttpVersion::V2);
  options.http_version = "3";
  EXPECT_THAT(make_plan(options, ground(), kNow).error().message, HasSubstr("http_version"));
  options.http_version = "1.1";
  EXPECT_EQ((*make_plan(options, ground(), kNow))->exchange, ExchangeChoice::Auto);
  options.exchange = "curl";
  EXPECT_EQ((*make_plan(options, ground(), kNow))->exchange, ExchangeChoice::Curl);
  options.exchange = "direct";
  EXPECT_THAT(make_plan(options, ground(), kNow).error().message, HasSubstr("exchange"));
}

// Goal: what is sent elsewhere hangs on no guess of which header is a secret.
TEST(ProbePlan, ElsewhereGoesOnlyWhatSaysHowWeAsk) {
  core::CheckOptions options;
  options.headers = {{"x-functions-key", "k"},
                     {"X-Tenant", "acme"},
                     {"From", "ann"},
                     {"Accept", "text/html"},
                     {"DNT", "1"},
                     {"Range", "bytes=0-9"},
                     {"Sec-Fetch-Mode", "cors"},
                     {"Content-Type", "text/plain"}};
  const auto plan = make_plan(options, ground(), kNow);
  ASSERT_TRUE(plan);
  EXPECT_THAT(lines((*plan)->headers), Contains("X-Tenant: acme"));
  EXPECT_THAT(
      lines((*plan)->headers_elsewhere),
      UnorderedElementsAre("Connection: close", "Accept-Encoding: gzip, deflate",
                           "User-Agent: watchwheel", "Accept: text/html", "DNT: 1",
                           "Range: bytes=0-9", "Sec-Fetch-Mode: cors", "Content-Type: text/plain"));
}

TEST(ProbePlan, CredentialHeadersAreKnownByTheirNames) {
  for (const char* name : {"Authorization", "Proxy-Authorization", "Cookie", "X-Api-Key", "apikey",
                           "X-CSRF-Token", "Client-Secret", "X-Password", "x-functions-key",
                           "Ocp-Apim-Subscription-Key", "X-Session", "X-Signature", "X-JWT"}) {
    EXPECT_TRUE(is_credential_header(name)) << name;
  }
  for (const char* name : {"Accept", "Host", "User-Agent", "X-Watch", "Range"})
    EXPECT_FALSE(is_credential_header(name)) << name;
}

}  // namespace
}  // namespace watchwheel::checker
