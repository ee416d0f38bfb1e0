// SPDX-License-Identifier: Apache-2.0
#include "checker/request_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "checker/direct_exchange.h"

namespace watchwheel::checker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::shared_ptr<ProbePlan> plan_of(const core::CheckOptions& options) {
  const PlanGround ground{
      .user_agent = "agent/1", .allow = {}, .trust = std::make_shared<TrustStores>()};
  return *make_plan(options, ground, core::WallTime{});
}

struct Asked {
  std::string url = "http://shop.example/a?b=c";
  std::string method = "GET";
  bool at_origin = true;
  std::string cookies{};
};

std::string text_of(const core::CheckOptions& options, const Asked& asked = {}) {
  const auto plan = plan_of(options);
  const Target target = *parse_target(asked.url);
  return request_text({.fd = -1,
                       .peer = {},
                       .target = &target,
                       .plan = plan.get(),
                       .method = asked.method,
                       .with_body = true,
                       .at_origin = asked.at_origin,
                       .cookies = asked.cookies});
}

TEST(RequestText, IsWhatIsAskedFor) {
  EXPECT_EQ(text_of({}),
            "GET /a?b=c HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nConnection: close\r\n"
            "Accept-Encoding: gzip, deflate\r\nUser-Agent: agent/1\r\n\r\n");
  core::CheckOptions options;
  options.http_version = "1.0";
  EXPECT_THAT(text_of(options, {.method = "HEAD"}), HasSubstr("HEAD /a?b=c HTTP/1.0\r\n"));
  options.http_version = "2";  // By who asks for 1.1 all the same: there was no TLS to agree by.
  EXPECT_THAT(text_of(options), HasSubstr("GET /a?b=c HTTP/1.1\r\n"));
}

TEST(RequestText, NamesTheHost) {
  EXPECT_THAT(text_of({}, {.url = "https://shop.example:444/"}),
              HasSubstr("\r\nHost: shop.example:444\r\n"));
  EXPECT_THAT(text_of({}, {.url = "https://shop.example:443/"}),
              HasSubstr("\r\nHost: shop.example\r\n"));
  EXPECT_THAT(text_of({}, {.url = "http://[2001:db8::1]:81/"}),
              HasSubstr("\r\nHost: [2001:db8::1]:81\r\n"));
  core::CheckOptions options;
  options.headers = {{"host", "front.example"}};
  EXPECT_THAT(text_of(options), HasSubstr("\r\nhost: front.example\r\n"));
  EXPECT_THAT(text_of(options), Not(HasSubstr("shop.example")));
  EXPECT_THAT(text_of(options, {.at_origin = false}), HasSubstr("\r\nHost: shop.example\r\n"));
  options.headers = {{"Host", "first.example"}, {"X-A", "b"}, {"host", "second.example"}};
  EXPECT_THAT(text_of(options), HasSubstr("\r\nHost: first.example\r\n"));
  EXPECT_THAT(text_of(options), Not(HasSubstr("second.example")));
}

TEST(RequestText, LogsInAtTheOriginOnly) {
  const Asked by_url{.url = "http://ann:s3cret@shop.example/"};
  const std::string ann = "\r\nAuthorization: Basic YW5uOnMzY3JldA==\r\n";
  EXPECT_THAT(text_of({}, by_url), HasSubstr(ann));
  EXPECT_THAT(text_of({}, {.url = by_url.url, .at_origin = false}),
              Not(HasSubstr("Authorization")));
  EXPECT_THAT(text_of({}), Not(HasSubstr("Authorization")));
  core::CheckOptions own;
  own.headers = {{"Authorization", "Own x"}};
  EXPECT_THAT(text_of(own, by_url), HasSubstr("\r\nAuthorization: Own x\r\n"));
  EXPECT_THAT(text_of(own, by_url), Not(HasSubstr("Basic")));
}

TEST(RequestText, SendsCookiesAndOwnHeaders) {
  core::CheckOptions options;
  options.headers = {{"Accept", "text/plain"}, {"X-Empty", ""}, {"X-Key", "v"}};
  const std::string text = text_of(options, {.cookies = "a=b; c=d"});
  EXPECT_THAT(text, HasSubstr("\r\nAccept: text/plain\r\n"));
  EXPECT_THAT(text, Not(HasSubstr("*/*")));
  EXPECT_THAT(text, HasSubstr("\r\nX-Empty:\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nX-Key: v\r\n"));
  EXPECT_THAT(text, HasSubstr("\r\nCookie: a=b; c=d\r\n"));
  EXPECT_THAT(text_of(options, {.at_origin = false}), Not(HasSubstr("X-Key")));
}

TEST(RequestText, EncodesAsBase64) {
  const std::vector<std::pair<std::string, std::string>> table = {
      {"", ""},
      {"f", "Zg=="},
      {"fo", "Zm8="},
      {"foo", "Zm9v"},
      {"foob", "Zm9vYg=="},
      {"\xff\xfe\xfd", "//79"},
      {"ann:s3cret", "YW5uOnMzY3JldA=="}};
  for (const auto& [bytes, text] : table) EXPECT_EQ(base64(bytes), text);
}

// Goal: our own exchange is asked for nothing it cannot serve.
TEST(DirectExchange, ServesPlainRequestsOnly) {
  struct Row {
    bool direct;
    std::string method = "GET";
    std::string url = "http://shop.example/";
    std::string version = "1.1";
    std::string header{};
    std::string body{};
    bool with_body = true;
    bool no_http2 = false;
  };
  const std::vector<Row> table = {
      {.direct = true},
      {.direct = true, .method = "HEAD"},
      {.direct = true, .url = "https://shop.example/"},
      {.direct = true, .version = "1.0"},
      {.direct = true, .version = "2"},
      {.direct = false, .url = "https://shop.example/", .version = "2"},
      {.direct = true, .url = "https://shop.example/", .version = "2", .no_http2 = true},
      {.direct = false, .method = "POST"},
      {.direct = false, .method = "OPTIONS"},
      {.direct = false, .method = "get"},
      {.direct = false, .body = "x"},
      {.direct = true, .body = "x", .with_body = false},  // A redirect took it away.
      {.direct = true, .header = "X-Key"},
      {.direct = false, .header = "Expect"},
      {.direct = false, .header = "transfer-encoding"},
      {.direct = false, .header = "Content-Length"},
      {.direct = false, .header = "Upgrade"},
  };
  for (const Row& row : table) {
    core::CheckOptions options;
    options.http_version = row.version;
    options.body = row.body;
    if (!row.header.empty()) options.headers = {{row.header, "1"}};
    const auto plan = plan_of(options);
    const Target target = *parse_target(row.url);
    EXPECT_EQ(is_direct({.fd = -1,
                         .peer = {},
                         .target = &target,
                         .plan = plan.get(),
                         .method = row.method,
                         .with_body = row.with_body,
                         .no_http2 = row.no_http2}),
              row.direct)
        << row.method << " " << row.url << " " << row.version << " " << row.header;
  }
}

}  // namespace
}  // namespace watchwheel::checker
