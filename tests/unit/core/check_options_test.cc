// SPDX-License-Identifier: Apache-2.0
#include "core/check_options.h"

#include <gtest/gtest.h>

#include <functional>
#include <set>

namespace watchwheel::core {
namespace {

CheckOptions applied(std::string_view name, std::string_view text) {
  CheckOptions options;
  const Result<void> fits = apply_option(options, name, text);
  EXPECT_TRUE(fits) << name << ": " << (fits ? "" : fits.error().message);
  return options;
}

// What is said when `text` is refused; "" when it is taken. A refused option must change nothing.
std::string refusal(std::string_view name, std::string_view text) {
  CheckOptions options;
  const Result<void> fits = apply_option(options, name, text);
  if (fits) return "";
  EXPECT_EQ(options, CheckOptions{}) << name;
  EXPECT_EQ(fits.error().kind, ErrorKind::Invalid);
  EXPECT_LT(fits.error().message.size(), 500U);
  return fits.error().message;
}

TEST(CheckOptions, TheRepeatableOnesTakeOneValueALine) {
  const std::set<std::string_view> expected{"header",        "keyword",        "forbidden",
                                            "body_match",    "body_not_match", "json_equals",
                                            "expect_header", "resolver",       "allow"};
  std::set<std::string_view> repeatable;
  for (const std::string_view name : option_names()) {
    if (is_repeatable_option(name)) repeatable.insert(name);
  }
  EXPECT_EQ(repeatable, expected);
  EXPECT_FALSE(is_repeatable_option("colour"));
  EXPECT_EQ(applied("keyword", "a\nb").keyword.size(), 2U);
}

std::string lines(int count, const std::string& line) {
  std::string text;
  for (int i = 0; i < count; ++i) text += line + "\n";
  return text;
}

TEST(CheckOptions, NamesAreThoseOfTheInterface) {
  const std::vector<std::string_view> expected{"method",
                                               "header",
                                               "body",
                                               "expect_status",
                                               "keyword",
                                               "forbidden",
                                               "ignore_case",
                                               "body_match",
                                               "body_not_match",
                                               "json_equals",
                                               "expect_header",
                                               "size_min",
                                               "size_max",
                                               "redirects",
                                               "max_redirects",
                                               "timeout",
                                               "connect_timeout",
                                               "max_body",
                                               "http_version",
                                               "exchange",
                                               "auth_user",
                                               "auth_password_file",
                                               "bearer_token_file",
                                               "tls_verify",
                                               "tls_min",
                                               "ca_file",
                                               "client_cert_file",
                                               "client_key_file",
                                               "resolver",
                                               "ip",
                                               "allow",
                                               "allow_private",
                                               "detect_error_pages",
                                               "latency_warning",
                                               "user_agent",
                                               "priority"};
  EXPECT_EQ(option_names(), expected);
}

TEST(CheckOptions, EachNameSetsItsOwnField) {
  EXPECT_EQ(applied("method", "POST").method, "POST");
  EXPECT_EQ(applied("header", "Accept: text/html\nX-Key:v:1").headers,
            (std::vector<Header>{{"Accept", "text/html"}, {"X-Key", "v:1"}}));
  EXPECT_EQ(applied("body", "a=1\nb").body, "a=1\nb");
  EXPECT_EQ(applied("expect_status", "200, 301-302,404").expect_status,
            (std::vector<StatusRange>{{200, 200}, {301, 302}, {404, 404}}));
  EXPECT_EQ(applied("keyword", " Welcome ").keyword, std::vector<std::string>{" Welcome "});
  EXPECT_EQ(applied("forbidden", "fatal error\r\n\nno such table").forbidden,
            (std::vector<std::string>{"fatal error", "no such table"}));
  EXPECT_TRUE(applied("ignore_case", "true").ignore_case);
  EXPECT_EQ(applied("body_match", "a+b\n^c$").body_match, (std::vector<std::string>{"a+b", "^c$"}));
  EXPECT_EQ(applied("body_not_match", "x|y").body_not_match, std::vector<std::string>{"x|y"});
  EXPECT_EQ(applied("json_equals", "/status == \"ok\"\n == {}").json_equals,
            (std::vector<std::string>{"/status == \"ok\"", " == {}"}));
  EXPECT_EQ(
      applied("expect_header", "ETag\n!Server\nVary: Accept\nX-Id ~ [0-9]+").expect_header.size(),
      4U);
  EXPECT_EQ(applied("size_min", "1KiB").size_min_bytes, 1024U);
  EXPECT_EQ(applied("size_max", "2KiB").size_max_bytes, 2048U);
  EXPECT_EQ(applied("priority", "high").priority, Priority::High);
  EXPECT_EQ(applied("priority", "low").priority, Priority::Low);
  EXPECT_EQ(applied("http_version", "2").http_version, "2");
  EXPECT_EQ(applied("exchange", "curl").exchange, "curl");
  EXPECT_EQ(applied("auth_user", "probe").auth_user, "probe");
  EXPECT_EQ(applied("auth_password_file", "site-password").auth_password_file, "site-password");
  EXPECT_EQ(applied("bearer_token_file", "/run/token").bearer_token_file, "/run/token");
  EXPECT_EQ(applied("client_cert_file", "/run/c.pem").client_cert_file, "/run/c.pem");
  EXPECT_EQ(applied("client_key_file", "/run/k.pem").client_key_file, "/run/k.pem");
  EXPECT_EQ(applied("redirects", "none").redirects, Redirects::None);
  EXPECT_EQ(applied("redirects", "same-host").redirects, Redirects::SameHost);
  EXPECT_EQ(applied("max_redirects", "0").max_redirects, 0);
  EXPECT_EQ(applied("timeout", "30s").timeout, 30s);
  EXPECT_EQ(applied("connect_timeout", "250ms").connect_timeout, 250ms);
  EXPECT_EQ(applied("max_body", "64KiB").max_body_bytes, 65536U);
  EXPECT_FALSE(applied("tls_verify", "false").tls_verify);
  EXPECT_EQ(applied("tls_min", "1.3").tls_min, "1.3");
  EXPECT_EQ(applied("ca_file", "/etc/ssl/own.pem").ca_file, "/etc/ssl/own.pem");
  EXPECT_EQ(applied("resolver",
                    "192.0.2.53\n192.0.2.54:5353\n[2001:db8::1]:53\n2001:db8::2\n[2001:db8::3]")
                .resolvers.size(),
            5U);
  EXPECT_EQ(applied("ip", "6").ip, IpFamily::V6);
  EXPECT_EQ(
      applied("allow", "10.0.0.0/8\n2001:db8::/32\n192.0.2.7\n0.0.0.0/0\n::1/128").allow.size(),
      5U);
  EXPECT_TRUE(applied("allow_private", "true").allow_private);
  EXPECT_FALSE(applied("detect_error_pages", "false").detect_error_pages);
  EXPECT_EQ(applied("latency_warning", "2s").latency_warning, 2s);
  EXPECT_EQ(applied("latency_warning", "0").latency_warning, 0s);
  EXPECT_EQ(applied("user_agent", "probe/1 (+https://example.org)").user_agent,
            "probe/1 (+https://example.org)");
}

TEST(CheckOptions, UnfitValuesAreRefusedWithTheNameOfTheOption) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"method", {"", "get", "GET /", "CONNECT", "VERYLONGMETHODNAME"}},
      {"header",
       {"no colon", ": v", "Bad Name: v",
        "X: a\x01"
        "b",
        "Content-Length: 5", "transfer-encoding: chunked", "Connection: keep-alive",
        lines(33, "A: b"), "X: " + std::string(5000, 'x')}},
      {"body", {std::string(64 * 1024 + 1, 'x'), std::string("a\0b", 3)}},
      {"expect_status",
       {"", "abc", "99", "1000", "300-200", "200,", "200-", "-200", "2xx", "65736", "200;301"}},
      {"keyword", {std::string(1025, 'x'), lines(17, "x")}},
      {"ignore_case", {"yes"}},
      {"body_match", {std::string(1025, 'x'), lines(9, "x")}},
      {"body_not_match", {lines(9, "x")}},
      {"json_equals", {"status", "status == 1", "/status = 1", lines(17, "/a == 1")}},
      {"expect_header", {"no such name", "!", ": v", "!: v", lines(17, "A")}},
      {"size_min", {"", "-1", "65MiB"}},
      {"size_max", {"", "1MB"}},
      {"http_version", {"", "3", "HTTP/2"}},
      {"exchange", {"", "direct", "Curl"}},
      {"auth_user", {"a:b", "a\nb", "a\tb", std::string(257, 'x')}},
      {"auth_password_file", {std::string(4097, 'x')}},
      {"bearer_token_file", {std::string(4097, 'x')}},
      {"client_cert_file", {std::string(4097, 'x')}},
      {"client_key_file", {std::string(4097, 'x')}},
      {"forbidden", {std::string(1025, 'x'), lines(17, "x")}},
      {"redirects", {"", "Follow", "yes"}},
      {"max_redirects", {"", "-1", "51", "ten", "65546"}},
      {"timeout", {"", "0", "99ms", "301s", "10"}},
      {"connect_timeout", {"0", "99ms", "6m"}},
      {"max_body", {"", "65MiB", "1MB"}},
      {"tls_verify", {"", "yes", "True", "1"}},
      {"tls_min", {"", "1.4", "TLSv1.2", "0.9"}},
      {"ca_file", {std::string(4097, 'x')}},
      {"resolver",
       {"dns.example", "192.0.2.53:0", "192.0.2.53:65536", "192.0.2.53:", "[2001:db8::1",
        "[192.0.2.1]:53", "2001:db8::1:53:x", "[2001:db8::1]53", "300.0.0.1",
        lines(9, "192.0.2.1")}},
      {"ip", {"", "v4", "5"}},
      {"allow",
       {"10.0.0.1/8", "10.0.0.0/33", "2001:db8::/129", "10.0.0.0/", "10.0.0.0/8x", "example.org",
        "2001:db8::1/64", lines(65, "10.0.0.0/8")}},
      {"allow_private", {"maybe"}},
      {"detect_error_pages", {"on"}},
      {"latency_warning", {"fast", "6m"}},
      {"user_agent", {"a\nb", std::string(257, 'x')}},
      {"priority", {"", "urgent", "High", "1"}}};
  std::set<std::string_view> covered;
  for (const auto& [name, texts] : cases) {
    covered.insert(name);
    for (const std::string& text : texts) {
      EXPECT_EQ(refusal(name, text).substr(0, std::string_view(name).size()), name)
          << "\"" << text.substr(0, 60) << "\" was taken";
    }
  }
  EXPECT_EQ(covered.size(), option_names().size());
}

TEST(CheckOptions, LimitsThemselvesAreFit) {
  EXPECT_EQ(refusal("timeout", "100ms"), "");
  EXPECT_EQ(refusal("timeout", "5m"), "");
  EXPECT_EQ(refusal("max_redirects", "50"), "");
  EXPECT_EQ(refusal("max_body", "64MiB"), "");
  EXPECT_EQ(refusal("max_body", "0"), "");
  EXPECT_EQ(refusal("header", lines(32, "A: b")), "");
  EXPECT_EQ(refusal("forbidden", lines(16, "x")), "");
  EXPECT_EQ(refusal("resolver", lines(8, "192.0.2.1")), "");
  EXPECT_EQ(refusal("allow", lines(64, "10.0.0.0/8")), "");
  EXPECT_EQ(refusal("body", std::string(64 * 1024, 'x')), "");
  EXPECT_EQ(refusal("expect_status", "100-999"), "");
}

TEST(CheckOptions, AnUnknownNameIsToldTheOnesThereAre) {
  const std::string said = refusal("expect-status", "200");
  EXPECT_NE(said.find("expect_status"), std::string::npos);
}

TEST(CheckOptions, ARepeatableOptionReplacesWhatWasThere) {
  CheckOptions options;
  ASSERT_TRUE(apply_option(options, "forbidden", "one\ntwo"));
  ASSERT_TRUE(apply_option(options, "forbidden", "three"));
  EXPECT_EQ(options.forbidden, (std::vector<std::string>{"three"}));
  ASSERT_TRUE(apply_option(options, "forbidden", ""));
  EXPECT_TRUE(options.forbidden.empty());
}

TEST(MergeOptions, ASitesOwnValuesWinAndTheRestIsKept) {
  CheckOptions defaults;
  defaults.user_agent = "ours";
  defaults.timeout = 20s;
  const Result<CheckOptions> merged =
      merge_options(defaults, {{"keyword", "hello"}, {"timeout", "7s"}});
  ASSERT_TRUE(merged);
  EXPECT_EQ(merged->keyword, std::vector<std::string>{"hello"});
  EXPECT_EQ(merged->timeout, 7s);
  EXPECT_EQ(merged->user_agent, "ours");
  EXPECT_EQ(*merge_options(defaults, {}), defaults);
}

TEST(MergeOptions, ADefaultGivesWayToAShorterTimeoutOfTheSite) {
  CheckOptions defaults;
  defaults.latency_warning = 2s;
  const Result<CheckOptions> merged = merge_options(defaults, {{"timeout", "1s"}});
  ASSERT_TRUE(merged) << merged.error().message;
  EXPECT_EQ(merged->connect_timeout, 1s);
  EXPECT_EQ(merged->latency_warning, 0s);
}

TEST(MergeOptions, IsRefusedAtTheFirstUnfitOptionAndAtAContradiction) {
  EXPECT_NE(merge_options({}, {{"ip", "6"}, {"timeout", "soon"}}).error().message.find("timeout"),
            std::string::npos);
  EXPECT_NE(merge_options({}, {{"connect_timeout", "5s"}, {"timeout", "1s"}})
                .error()
                .message.find("connect_timeout"),
            std::string::npos);
}

TEST(Consistency, HoldsForTheDefaults) {
  EXPECT_TRUE(check_consistency(CheckOptions{}));
}

TEST(Consistency, NamesTheOptionThatContradicts) {
  const std::pair<std::function<void(CheckOptions&)>, const char*> cases[] = {
      {[](CheckOptions& o) { o.connect_timeout = o.timeout + 1ms; }, "connect_timeout"},
      {[](CheckOptions& o) { o.latency_warning = o.timeout; }, "latency_warning"},
      {[](CheckOptions& o) { o.body = "x"; }, "body"},
      {[](CheckOptions& o) { o.method = "HEAD", o.keyword = {"x"}; }, "keyword"},
      {[](CheckOptions& o) { o.method = "HEAD", o.forbidden = {"x"}; }, "forbidden"},
      {[](CheckOptions& o) { o.max_body_bytes = 0, o.keyword = {"x"}; }, "keyword"},
      {[](CheckOptions& o) { o.method = "HEAD", o.body_match = {"x"}; }, "body_match"},
      {[](CheckOptions& o) { o.method = "HEAD", o.body_not_match = {"x"}; }, "body_not_match"},
      {[](CheckOptions& o) { o.method = "HEAD", o.json_equals = {"/a == 1"}; }, "json_equals"},
      {[](CheckOptions& o) { o.max_body_bytes = 0, o.size_min_bytes = 1; }, "size_min"},
      {[](CheckOptions& o) { o.size_max_bytes = o.max_body_bytes + 1; }, "size_max"},
      {[](CheckOptions& o) { o.size_min_bytes = o.max_body_bytes + 1; }, "size_min"},
      {[](CheckOptions& o) { o.size_min_bytes = 2, o.size_max_bytes = 1; }, "size_min"},
      {[](CheckOptions& o) { o.auth_user = "x"; }, "auth_user"},
      {[](CheckOptions& o) { o.auth_password_file = "x"; }, "auth_password_file"},
      {[](CheckOptions& o) { o.auth_user = o.auth_password_file = o.bearer_token_file = "x"; },
       "bearer_token_file"},
      {[](CheckOptions& o) { o.client_key_file = "x"; }, "client_key_file"},
      {[](CheckOptions& o) { o.expect_status.clear(); }, "expect_status"}};
  for (const auto& [change, name] : cases) {
    CheckOptions options;
    change(options);
    const Result<void> fits = check_consistency(options);
    ASSERT_FALSE(fits) << name;
    EXPECT_EQ(fits.error().message.substr(0, std::string_view(name).size()), name);
  }
  CheckOptions post;
  post.method = "POST";
  post.body = "x";
  EXPECT_TRUE(check_consistency(post));
}

// Goal: two sets of options share a plan exactly when they are equal. Method: change each field alone.
TEST(Fingerprint, DiffersExactlyWhenTheOptionsDo) {
  const std::function<void(CheckOptions&)> changes[] = {
      [](CheckOptions&) {},
      [](CheckOptions& o) { o.timeout = 9s; },
      [](CheckOptions& o) { o.connect_timeout = 4s; },
      [](CheckOptions& o) { o.latency_warning = 1s; },
      [](CheckOptions& o) { o.method = "HEAD"; },
      [](CheckOptions& o) {
        o.headers = {{"a", "b"}};
      },
      [](CheckOptions& o) {
        o.headers = {{"a", "b"}, {"c", "d"}};
      },
      [](CheckOptions& o) {
        o.headers = {{"ab", ""}};
      },
      [](CheckOptions& o) { o.body = "x"; },
      [](CheckOptions& o) {
        o.expect_status = {{200, 299}};
      },
      [](CheckOptions& o) {
        o.expect_status = {{200, 299}, {301, 301}};
      },
      [](CheckOptions& o) { o.keyword = {"x"}; },
      [](CheckOptions& o) { o.forbidden = {"x"}; },
      [](CheckOptions& o) {
        o.forbidden = {"x", "y"};
      },
      [](CheckOptions& o) { o.forbidden = {"x1:y"}; },
      [](CheckOptions& o) { o.redirects = Redirects::None; },
      [](CheckOptions& o) { o.redirects = Redirects::SameHost; },
      [](CheckOptions& o) { o.max_redirects = 9; },
      [](CheckOptions& o) { o.max_body_bytes = 1; },
      [](CheckOptions& o) { o.user_agent = "x"; },
      [](CheckOptions& o) { o.priority = Priority::High; },
      [](CheckOptions& o) { o.detect_error_pages = false; },
      [](CheckOptions& o) { o.tls_verify = false; },
      [](CheckOptions& o) { o.tls_min = "1.3"; },
      [](CheckOptions& o) { o.ca_file = "x"; },
      [](CheckOptions& o) { o.ip = IpFamily::V4; },
      [](CheckOptions& o) { o.ip = IpFamily::V6; },
      [](CheckOptions& o) { o.resolvers = {"192.0.2.1"}; },
      [](CheckOptions& o) { o.allow = {"192.0.2.1"}; },
      [](CheckOptions& o) { o.allow_private = true; },
      [](CheckOptions& o) { o.ignore_case = true; },
      [](CheckOptions& o) { o.body_match = {"x"}; },
      [](CheckOptions& o) { o.body_not_match = {"x"}; },
      [](CheckOptions& o) { o.json_equals = {"/x == 1"}; },
      [](CheckOptions& o) { o.expect_header = {"x"}; },
      [](CheckOptions& o) { o.size_min_bytes = 1; },
      [](CheckOptions& o) { o.size_max_bytes = 1; },
      [](CheckOptions& o) { o.http_version = "2"; },
      [](CheckOptions& o) { o.exchange = "curl"; },
      [](CheckOptions& o) { o.auth_user = "x"; },
      [](CheckOptions& o) { o.auth_password_file = "x"; },
      [](CheckOptions& o) { o.bearer_token_file = "x"; },
      [](CheckOptions& o) { o.client_cert_file = "x"; },
      [](CheckOptions& o) { o.client_key_file = "x"; }};
  std::set<std::string> seen;
  for (const auto& change : changes) {
    CheckOptions options;
    change(options);
    EXPECT_TRUE(seen.insert(fingerprint(options)).second) << fingerprint(options);
    CheckOptions same;
    change(same);
    EXPECT_EQ(fingerprint(same), fingerprint(options));
  }
}

TEST(StatusRanges, ArePrintedAsTheyAreRead) {
  for (const char* text : {"200-399", "200", "200-299,301,404-410"}) {
    EXPECT_EQ(format_status_ranges(applied("expect_status", text).expect_status), text);
  }
}

TEST(StatusRanges, ExpectTheirEndsAndNothingBeside) {
  const CheckOptions options = applied("expect_status", "200-299,404");
  EXPECT_FALSE(status_expected(options, 199));
  EXPECT_TRUE(status_expected(options, 200));
  EXPECT_TRUE(status_expected(options, 299));
  EXPECT_FALSE(status_expected(options, 300));
  EXPECT_TRUE(status_expected(options, 404));
  EXPECT_FALSE(status_expected(options, 0));
}

TEST(CheckOptionWords, AreThoseOfTheInterface) {
  EXPECT_EQ(to_string(Redirects::Follow), "follow");
  EXPECT_EQ(to_string(Redirects::SameHost), "same-host");
  EXPECT_EQ(to_string(IpFamily::Any), "any");
  EXPECT_EQ(to_string(IpFamily::V4), "4");
}

}  // namespace
}  // namespace watchwheel::core
