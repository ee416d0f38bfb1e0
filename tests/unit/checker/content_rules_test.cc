// SPDX-License-Identifier: Apache-2.0
#include "checker/content_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checker/header_judge.h"

namespace watchwheel::checker {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::string problem_of(const core::CheckOptions& options) {
  const auto fits = check_content_options(options);
  EXPECT_TRUE(fits || fits.error().kind == core::ErrorKind::Invalid);
  return fits ? "" : fits.error().message;
}

std::string refused(const char* option, const char* text) {
  core::CheckOptions options;
  const auto set = core::apply_option(options, option, text);
  return set ? problem_of(options) : set.error().message;
}

TEST(ContentRules, ABadExpressionIsRefusedWithItsOptionAndRe2sWords) {
  EXPECT_THAT(refused("body_match", "a(b"),
              AllOf(StartsWith("body_match: \"a(b\""), HasSubstr("missing )")));
  EXPECT_THAT(refused("body_not_match", "(?=x)"),
              AllOf(StartsWith("body_not_match: "), HasSubstr("invalid perl operator")));
  EXPECT_THAT(refused("body_match", "(a)\\1"), HasSubstr("invalid escape sequence"));
  EXPECT_THAT(refused("expect_header", "Vary ~ ["),
              AllOf(StartsWith("expect_header: \"Vary ~ [\": "), HasSubstr("missing ]")));
  EXPECT_THAT(refused("body_match", "\xff"), HasSubstr("UTF-8"));
}

TEST(ContentRules, AnExpressionThatIsTooLargeIsRefused) {
  EXPECT_THAT(refused("body_match", "((a{100}){100}){100}"), StartsWith("body_match: "));
  EXPECT_THAT(refused("body_match", "[^<]{0,900}x"), HasSubstr("too large"));
  EXPECT_EQ(refused("body_match", "[a-z]{1,500}"), "");
  EXPECT_EQ(refused("body_match", "[a-z]{1,900}x\n[a-z]{1,900}y"), "");
  EXPECT_THAT(refused("body_match", "[a-z]{1,900}x\n[a-z]{1,900}y\n[a-z]{1,900}z"),
              AllOf(StartsWith("body_match: "), HasSubstr("together")));
}

TEST(ContentRules, PointersAndValuesAreReadWhenTheyEnter) {
  EXPECT_EQ(refused("json_equals", "/status == \"ok\""), "");
  EXPECT_EQ(refused("json_equals", "/a~1b/~0 == [1, {\"x\": null}]"), "");
  EXPECT_EQ(refused("json_equals", " == {}"), "");
  EXPECT_THAT(refused("json_equals", "/a~2 == 1"),
              AllOf(StartsWith("json_equals: "), HasSubstr("~0")));
  EXPECT_THAT(refused("json_equals", "/a~ == 1"), HasSubstr("~0"));
  EXPECT_THAT(
      refused("json_equals", "/status == ok"),
      AllOf(StartsWith("json_equals: "), HasSubstr("is no JSON value"), HasSubstr("quotes")));
  EXPECT_THAT(refused("json_equals", "/status == "), StartsWith("json_equals: "));

  core::CheckOptions options;
  options.json_equals = {"/a~1b/~01/ == 1"};
  const auto rules = make_content_rules(options);
  ASSERT_TRUE(rules);
  EXPECT_THAT(rules->json.at(0).steps, ElementsAre("a/b", "~1", ""));
}

TEST(ContentRules, HeaderAssertionsAreReadWhenTheyEnter) {
  EXPECT_EQ(refused("expect_header", "X-A\n!X-B\nX-C: v\nX-D ~ ^v$\nX-E:"), "");
  EXPECT_THAT(refused("expect_header", "!X-A: v"), StartsWith("expect_header: \"!X-A: v\""));
  core::CheckOptions options;
  options.expect_header = {"Link ~ a:b", "X: a ~ b", "X:"};
  const auto rules = make_content_rules(options);
  ASSERT_TRUE(rules);
  EXPECT_EQ(rules->headers.at(0).kind, HeaderRule::Kind::Match);
  EXPECT_EQ(rules->headers.at(0).name, "Link");
  EXPECT_EQ(rules->headers.at(1).kind, HeaderRule::Kind::Equal);
  EXPECT_EQ(rules->headers.at(1).value, "a ~ b");
  EXPECT_EQ(rules->headers.at(2).value, "");
  EXPECT_TRUE(rules->asks_header("LINK"));
  EXPECT_FALSE(rules->asks_header("Lin"));
}

TEST(ContentRules, MaxBodyIsBoundedWhereTheWholeTextIsJudged) {
  core::CheckOptions options;
  options.max_body_bytes = kJudgedBytesMax + 1;
  EXPECT_EQ(problem_of(options), "");
  options.keyword = {"x"};
  EXPECT_EQ(problem_of(options), "");
  for (auto* list : {&options.body_match, &options.body_not_match, &options.json_equals}) {
    core::CheckOptions one = options;
    list->push_back(list == &options.json_equals ? "/x == 1" : "x");
    one = options;
    list->clear();
    EXPECT_THAT(problem_of(one), StartsWith("max_body: "));
    one.max_body_bytes = kJudgedBytesMax;
    EXPECT_EQ(problem_of(one), "");
  }
}

TEST(Expression, MatchesAndTellsWhere) {
  const auto at = [](const char* text, std::string_view body) {
    const auto made = Expression::make(text);
    EXPECT_TRUE(made) << text;
    EXPECT_EQ(made->matches(body), made->find(body).has_value()) << text;
    return made->find(body);
  };
  EXPECT_EQ(at("b+c", "aabbc"), 2U);
  EXPECT_FALSE(at("^b", "ab"));
  EXPECT_FALSE(at("^b", "a\nb"));  // Lines are asked for: (?m).
  EXPECT_EQ(at("(?m)^b$", "a\nb\nc"), 2U);
  EXPECT_FALSE(at("a.b", "a\nb"));
  EXPECT_EQ(at("(?s)a.b", "a\nb"), 0U);
  EXPECT_EQ(at("(?i)\xc3\xa4", "\xc3\x84"), 0U);
  EXPECT_EQ(at("^x.y$", "x\xc3\xa4y"), 0U);
  EXPECT_EQ(at("", ""), 0U);
  EXPECT_EQ(at("^$", ""), 0U);
  EXPECT_FALSE(at("x", std::string_view()));
}

// ---- header lines ----

std::string judged(const char* rule, const std::vector<core::Header>& lines, bool holds) {
  core::CheckOptions options;
  options.expect_header = {rule};
  const auto rules = make_content_rules(options);
  EXPECT_TRUE(rules) << rule;
  const HeaderAnswer answer = judge_header(rules->headers.at(0), lines);
  EXPECT_EQ(answer.holds, holds) << rule << ": " << answer.what;
  return answer.what;
}

TEST(HeaderJudge, PresentAndAbsent) {
  EXPECT_EQ(judged("X-A", {{"x-a", "1"}}, true), "header X-A is sent: \"1\"");
  EXPECT_EQ(judged("X-A", {{"X-AB", "1"}}, false), "header X-A is not sent");
  EXPECT_EQ(judged("!X-A", {}, true), "header X-A is not sent");
  EXPECT_EQ(judged("!X-A", {{"X-A", ""}}, false),
            "header X-A is sent, which it should not be: \"\"");
}

TEST(HeaderJudge, AnyLineOfTheNameMayBeEqual) {
  EXPECT_EQ(judged("X-A: two words", {{"X-A", "one"}, {"x-A", "two words"}}, true),
            "header X-A is \"one\" and \"two words\"");
  EXPECT_EQ(judged("X-A: One", {{"X-A", "one"}}, false),
            "header X-A is \"one\"; it should be \"One\"");
  EXPECT_EQ(judged("X-A: b", {}, false), "header X-A is not sent; it should be \"b\"");
  EXPECT_EQ(judged("X-A:", {{"X-A", ""}}, true), "header X-A is \"\"");
  EXPECT_THAT(judged("X-A: z", {{"X-A", "1"}, {"X-A", "2"}, {"X-A", "3"}, {"X-A", "4"}}, false),
              HasSubstr("\"1\" and \"2\" and 2 more"));
}

TEST(HeaderJudge, ExpressionsLookAtOneLineAtATime) {
  EXPECT_EQ(judged("Vary ~ (?i)encoding", {{"Vary", "Accept-Encoding"}}, true),
            "header Vary is \"Accept-Encoding\", which matches \"(?i)encoding\"");
  EXPECT_EQ(judged("Vary ~ ^a$", {{"Vary", "b"}}, false),
            "header Vary is \"b\"; it should match \"^a$\"");
  judged("Vary ~ ^b$", {{"Vary", "a"}, {"Vary", "b"}}, true);
}

TEST(HeaderJudge, SecretsAreNotShown) {
  for (const char* rule : {"Set-Cookie: x", "Set-Cookie ~ ^x$", "!Set-Cookie"}) {
    const std::string what = judged(rule, {{"Set-Cookie", "id=geheim"}}, false);
    EXPECT_THAT(what, ::testing::Not(HasSubstr("geheim"))) << what;
    EXPECT_THAT(what, HasSubstr("(not shown)"));
  }
  EXPECT_EQ(judged("X-Auth-Token", {{"X-Auth-Token", "geheim"}}, true),
            "header X-Auth-Token is sent: (not shown)");
  EXPECT_EQ(judged("X-Auth-Token: mine", {}, false),
            "header X-Auth-Token is not sent; it should be (not shown)");
  EXPECT_EQ(judged("!Content-Location", {{"Content-Location", "/a?token=geheim"}}, false),
            "header Content-Location is sent, which it should not be: \"/a?...\"");
}

TEST(HeaderJudge, WhatASiteSendsIsShownShortAndPrintable) {
  const std::string what = judged("X-A: b", {{"X-A", std::string(5000, 'x') + "\x1b[31m"}}, false);
  EXPECT_LT(what.size(), 300U);
  EXPECT_THAT(judged("X-A: b", {{"X-A", "\x1b[31m\xff"}}, false), HasSubstr("\"?[31m?\""));
}

}  // namespace
}  // namespace watchwheel::checker
