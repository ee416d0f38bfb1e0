// SPDX-License-Identifier: Apache-2.0
#include "verify/wire.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

namespace watchwheel::verify {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using namespace std::chrono_literals;

core::CheckOptions unusual() {
  core::CheckOptions o;
  o.timeout = 1500ms;
  o.connect_timeout = 700ms;
  o.latency_warning = 1s;
  o.method = "POST";
  o.headers = {{"Accept", "text/html"}, {"X-Token", "a: b"}};
  o.body = "a=1\nb=2";
  o.expect_status = {{200, 204}, {404, 404}};
  o.keyword = {"Add to basket", "Ünïcode"};
  o.forbidden = {"Fatal"};
  o.ignore_case = true;
  o.body_match = {"a+b", "c$"};
  o.body_not_match = {"d"};
  o.json_equals = {"/a == 1"};
  o.expect_header = {"Via", "!X-Debug"};
  o.size_min_bytes = 10;
  o.size_max_bytes = 5000;
  o.redirects = core::Redirects::SameHost;
  o.max_redirects = 3;
  o.max_body_bytes = 123'456;
  o.user_agent = "ours";
  o.detect_error_pages = false;
  o.tls_verify = false;
  o.tls_min = "1.3";
  o.http_version = "2";
  o.exchange = "curl";
  o.ip = core::IpFamily::V6;
  o.resolvers = {"192.0.2.53", "[2001:db8::53]:5353"};
  return o;
}

// Goal: another place makes the very same check. Method: every option away from its default, there and back.
TEST(VerifyWire, OptionsComeOutAsTheyWentIn) {
  const core::SiteOptions sent = options_to_send(unusual(), true);
  core::CheckOptions got;
  for (const auto& [name, text] : sent) {
    const auto applied = core::apply_option(got, name, text);
    ASSERT_TRUE(applied) << name << ": " << applied.error().message;
  }
  EXPECT_EQ(got, unusual());
  EXPECT_THAT(options_to_send(core::CheckOptions{}, true), IsEmpty());
}

// Those of the host are not the site's: elsewhere they may be nobody's.
TEST(VerifyWire, ResolversAreSentOnlyWhereTheyAreTheSitesOwn) {
  core::CheckOptions o;
  o.resolvers = {"192.0.2.53"};
  EXPECT_THAT(options_to_send(o, false), IsEmpty());
  EXPECT_EQ(options_to_send(o, true), (core::SiteOptions{{"resolver", "192.0.2.53"}}));
}

// A new option must be sent, or be named as one that is not.
TEST(VerifyWire, EveryOptionIsSentOrNamedAsNotSent) {
  std::set<std::string_view> covered(kNotSent.begin(), kNotSent.end());
  const core::SiteOptions sent = options_to_send(unusual(), true);
  for (const auto& [name, text] : sent) covered.insert(name);
  for (const std::string_view name : core::option_names()) EXPECT_TRUE(covered.contains(name)) << name;
  EXPECT_EQ(covered.size(), core::option_names().size());
}

TEST(VerifyWire, WhatNeedsAFileOfThisHostIsBoundToIt) {
  EXPECT_EQ(bound_to_here(unusual()), "");
  core::CheckOptions o;
  o.ca_file = "/ca.pem";
  EXPECT_EQ(bound_to_here(o), "ca_file");
  o = {};
  o.bearer_token_file = "/t";
  EXPECT_EQ(bound_to_here(o), "bearer_token_file");
}

// What is nested deeper than anything we say is passed over, what is beside it is read.
TEST(VerifyWire, DepthIsNoMemory) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  EXPECT_FALSE(decode_reply(deep));
  EXPECT_FALSE(decode_reply(std::string(1'000'000, '[')));
  const auto reply = decode_reply(R"({"x":)" + deep + R"(,"results":[{"id":"1","cause":"ok","y":)" + deep + "}]}");
  ASSERT_TRUE(reply);
  ASSERT_EQ(reply->answers.size(), 1U);
  EXPECT_EQ(reply->answers[0].cause, core::Cause::Ok);
}

TEST(VerifyWire, BytesThatAreNoTextCannotBeSent) {
  EXPECT_TRUE(can_be_sent("http://a.test/\u00fc\u20ac\U0001F600", unusual()));
  EXPECT_FALSE(can_be_sent("http://a.test/\xFC", core::CheckOptions{}));
  for (const char* bytes : {"\xFC", "\xC3", "\xC0\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xE2\x82", "\x80"}) {
    core::CheckOptions o;
    o.keyword = {"well", bytes};
    EXPECT_FALSE(can_be_sent("http://a.test/", o)) << bytes;
  }
}

TEST(VerifyWire, ARequestIsReadAsItWasWritten) {
  Request request{.deadline = 14s, .checks = {}};
  request.checks.push_back({.id = "1", .url = "http://a.test/", .options = options_to_send(unusual(), true)});
  request.checks.push_back({.id = "2", .url = "http://b.test/?q=\"x\"", .options = {}});
  const auto read = decode_request(encode(request), 2);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->deadline, 14s);
  ASSERT_EQ(read->checks.size(), 2U);
  EXPECT_EQ(read->checks[0].id, "1");
  EXPECT_EQ(read->checks[0].options, request.checks[0].options);
  EXPECT_EQ(read->checks[1].url, "http://b.test/?q=\"x\"");
  EXPECT_FALSE(decode_request(encode(request), 1));
}

TEST(VerifyWire, WhatIsNoRequestIsRefusedWithTheReason) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "no JSON object"},
      {"[]", "no JSON object"},
      {"{}", "checks is missing"},
      {R"({"checks":[]})", "checks is missing"},
      {R"({"checks":[7]})", "a check is no JSON object"},
      {R"({"checks":[{"url":"http://a/"}]})", "needs an id"},
      {R"({"checks":[{"id":"1"}]})", "has no url"},
      {R"({"checks":[{"id":"1","url":"http://a/","options":[]}]})", "options is no JSON object"},
      {R"({"checks":[{"id":"1","url":"http://a/","options":{"timeout":5}}]})", "is not a text"},
      {R"({"deadline_ms":-1,"checks":[{"id":"1","url":"http://a/"}]})", "deadline_ms"},
      {R"({"deadline_ms":300001,"checks":[{"id":"1","url":"http://a/"}]})", "deadline_ms"},
  };
  for (const auto& [body, wanted] : cases) {
    const auto read = decode_request(body, 10);
    ASSERT_FALSE(read) << body;
    EXPECT_THAT(read.error().message, HasSubstr(wanted)) << body;
  }
}

TEST(VerifyWire, AReplyGivesEachResultItsId) {
  const std::string body = encode_reply(
      "fra", "eu", {"7", "8", "9"},
      {R"({ "url": "http://a/", "cause": "http_status", "phase": "first_byte", "http_status": 503, "detail": "503", "address": "192.0.2.1" })",
       R"({ "url": "http://b/", "cause": "ok", "phase": "done", "http_status": 200, "detail": "", "address": null })",
       R"({ "url": "http://c/", "cause": "a_new_one", "phase": "done" })"});
  const auto reply = decode_reply(body);
  ASSERT_TRUE(reply) << reply.error().message << body;
  EXPECT_EQ(reply->name, "fra");
  EXPECT_EQ(reply->region, "eu");
  ASSERT_EQ(reply->answers.size(), 2U);  // A cause that we do not know says nothing.
  EXPECT_EQ(reply->answers[0].id, "7");
  EXPECT_EQ(reply->answers[0].cause, core::Cause::HttpStatus);
  EXPECT_EQ(reply->answers[0].http_status, 503);
  EXPECT_EQ(reply->answers[0].address, "192.0.2.1");
  EXPECT_EQ(reply->answers[1].cause, core::Cause::Ok);
  EXPECT_FALSE(decode_reply("<html>"));
  EXPECT_FALSE(decode_reply("{}"));
}

}  // namespace
}  // namespace watchwheel::verify
