// SPDX-License-Identifier: Apache-2.0
#include "checker/content_judge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "checker/plan.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// A plan and a response, without a network.
class ContentJudge : public ::testing::Test {
 protected:
  void make() {
    auto content = make_content_rules(options);
    ASSERT_TRUE(content) << content.error().message;
    plan.content = std::move(*content);
    plan.body_rules = {.keyword = options.keyword,
                       .forbidden = options.forbidden,
                       .keep_page = options.detect_error_pages,
                       .ignore_case = options.ignore_case,
                       .keep_text = plan.content.judge_text(),
                       .size_max = options.size_max_bytes};
    plan.options = options;
  }
  // As a transfer reads it: no more than is wanted.
  void answer(std::string_view body, bool cut = false, std::string_view type = "text/html") {
    result.head_complete = true;
    result.head.content_type = type;
    result.body.emplace(plan.body_rules, &means, type);
    result.body_cut = cut;
    if (!result.body->feed(body)) result.body_cut = true;
    result.body->finish();
  }
  void expect(Cause cause, std::string_view detail, std::string_view method = "GET") {
    const Verdict verdict = judge_content(plan, method, result);
    EXPECT_EQ(core::to_string(verdict.cause), core::to_string(cause)) << verdict.detail;
    EXPECT_THAT(verdict.detail, HasSubstr(std::string(detail)));
    EXPECT_EQ(verdict.phase, cause == Cause::Ok              ? core::Phase::Done
                             : cause == Cause::BodyMalformed ? core::Phase::Body
                                                             : core::Phase::Content);
  }
  core::CheckOptions options;
  BodyMeans means{{}, KeptBytes{200'000}};
  ProbePlan plan;
  ExchangeResult result;
};

// Everything is wrong at once; what is put right goes, and the next one is the cause.
TEST_F(ContentJudge, TheFirstProblemIsTheCause) {
  options.expect_header = {"X-A"};
  options.forbidden = {"bad"};
  options.keyword = {"good"};
  options.body_match = {"m+"};
  options.json_equals = {" == [\"good m\"]"};
  options.size_min_bytes = 100;
  make();
  answer("bad");
  expect(Cause::ContentHeader, "header X-A is not sent");
  result.head.asked = {{"X-A", ""}};
  expect(Cause::KeywordForbidden, "the forbidden text \"bad\" at byte 0");
  answer("x");
  expect(Cause::KeywordMissing, "the text \"good\" is not in the body of 1 bytes");
  answer("good");
  expect(Cause::KeywordMissing, "the expression \"m+\" does not match the body of 4 bytes");
  answer("good m");
  expect(Cause::ContentJson, "no JSON");
  answer("[\"good m\"]");
  expect(Cause::ContentSize, "the body has 10 bytes, fewer than size_min, which is 100 bytes");
  answer("[\"good m\"]" + std::string(90, ' '));
  expect(Cause::Ok, "");
}

TEST_F(ContentJudge, AnErrorPageComesLast) {
  options.size_min_bytes = 1;
  make();
  answer("<title>502 Bad Gateway</title><h1>502 Bad Gateway</h1><hr>nginx");
  expect(Cause::ContentErrorPage, "the page is ");
}

TEST_F(ContentJudge, WhatIsTooLongIsNotMissing) {
  options.size_max_bytes = 10;
  options.keyword = {"end"};
  options.forbidden = {"bad"};
  options.body_match = {"end$"};
  make();
  answer("0123456789");
  expect(Cause::KeywordMissing, "\"end\"");
  answer("01234567890 end");
  expect(Cause::ContentSize, "longer than size_max, which is 10 bytes");
  answer("bad 01234567890 end");
  expect(Cause::KeywordForbidden, "\"bad\"");
}

// size_max may be all that is read; that the body goes on is then known from its cut.
TEST_F(ContentJudge, ABodyCutAtSizeMaxIsTooLong) {
  options.size_max_bytes = 10;
  options.max_body_bytes = 10;
  make();
  answer("0123456789", true);
  expect(Cause::ContentSize, "longer than size_max");
  answer("0123456789", false);
  expect(Cause::Ok, "");
}

TEST_F(ContentJudge, ForbiddenExpressionTellsItsPlace) {
  options.body_not_match = {"(?i)hack(ed|ing)"};
  make();
  answer("not Hacked");
  expect(Cause::KeywordForbidden, "the forbidden expression \"(?i)hack(ed|ing)\" at byte 4");
}

TEST_F(ContentJudge, PlacesInAConvertedBodySaySo) {
  options.forbidden = {"\xc3\xa4"};
  make();
  answer("xx\xe4", false, "text/html; charset=latin1");
  expect(Cause::KeywordForbidden, "at byte 2 of its text in UTF-8 (it is in windows-1252)");
}

// Neither says anything about the site.
TEST_F(ContentJudge, WhatWeCouldNotKeepOrReadIsNotMeasured) {
  options.body_match = {"x"};
  make();
  answer(std::string(300'000, 'y'));
  expect(Cause::LocalResources, "too many bodies are kept");
  options.body_match.clear();
  options.json_equals = {" == 1"};
  make();
  answer("[1, 2, ", true);
  expect(Cause::LocalResources, "longer than max_body");
}

TEST_F(ContentJudge, ACodingThatIsNotKnownHidesWhatIsAskedFor) {
  for (const char* option : {"keyword", "body_match", "size_min", "json_equals", "size_max"}) {
    options = {};
    const bool size = std::string_view(option).substr(0, 4) == "size";
    ASSERT_TRUE(core::apply_option(options, option, size ? "10B" : "/x == 1"));
    make();
    answer("");
    result.body_opaque = true;
    expect(Cause::BodyMalformed, "content coding we do not know");
  }
  options = {};
  options.expect_header = {"X-A"};
  make();
  result.body_opaque = true;
  expect(Cause::ContentHeader, "X-A");
  result.head.asked = {{"X-A", "1"}};
  expect(Cause::Ok, "");
}

TEST_F(ContentJudge, HeadIsJudgedByItsHeader) {
  options.expect_header = {"X-A: 1"};
  make();
  answer("");
  result.head.asked = {{"X-A", "2"}};
  expect(Cause::ContentHeader, "header X-A is \"2\"; it should be \"1\"", "HEAD");
}

// The lane must not stand still: what counts is the size of programs and texts together.
TEST_F(ContentJudge, LongTextsAndLargeExpressionsAreNotForTheLane) {
  make();
  answer(std::string(60'000, 'x'));
  EXPECT_TRUE(judged_quickly(plan, result));
  options.body_match = {"Orders: [0-9]+"};
  make();
  answer(std::string(1'000, 'x'));
  EXPECT_TRUE(judged_quickly(plan, result));
  answer(std::string(90'000, 'x'));
  EXPECT_FALSE(judged_quickly(plan, result));
  options.body_match = {"[a-z]{1,900}x"};
  make();
  answer(std::string(1'000, 'x'));
  EXPECT_FALSE(judged_quickly(plan, result));
  options.body_match.clear();
  options.json_equals = {"/a == 1"};
  make();
  answer(std::string(60'000, 'x'));
  EXPECT_TRUE(judged_quickly(plan, result));
  answer(std::string(70'000, 'x'));
  EXPECT_FALSE(judged_quickly(plan, result));
}

TEST_F(ContentJudge, LongHeaderLinesAreNotForTheLaneEither) {
  options.expect_header = {"X-A ~ [a-z]{1,900}x"};
  make();
  answer("");
  result.head.asked = {{"X-A", std::string(100, 'a')}};
  EXPECT_TRUE(judged_quickly(plan, result));
  result.head.asked = {{"X-A", std::string(60'000, 'a')}};
  EXPECT_FALSE(judged_quickly(plan, result));
}

TEST_F(ContentJudge, WorkHasALimitThatIsOursAndSaysSo) {
  options.body_match = {"[a-z]{1,900}x"};
  make();
  answer(std::string(30'000, 'y'));
  EXPECT_LE(content_work(plan, result), kJudgedWorkMax);
  expect(Cause::KeywordMissing, "does not match");
  options.body_not_match = {"[a-c]{1,900}x"};
  make();
  BodyMeans large{{}, KeptBytes{4'000'000}};
  const auto long_answer = [&](std::size_t bytes) {
    result.body.emplace(plan.body_rules, &large, "");
    result.body->feed(std::string(bytes, 'y'));
    result.body->finish();
  };
  long_answer(1'000'000);
  expect(Cause::LocalResources, "set a smaller max_body or simpler expressions");
  // It is said at once, by the lane.
  EXPECT_TRUE(judged_quickly(plan, result));
  EXPECT_THAT(content_findings(plan, "GET", result),
              ::testing::Contains(HasSubstr("too much work")));
  // What is wrong before it is told all the same.
  options.keyword = {"good"};
  make();
  long_answer(1'000'000);
  expect(Cause::KeywordMissing, "\"good\"");
  result.body.reset();
}

TEST_F(ContentJudge, HeaderLinesHaveTheSameLimit) {
  options.expect_header = {"X-A ~ [a-z]{1,900}x"};
  make();
  answer("");
  result.head.asked = std::vector<core::Header>(4, {"X-A", std::string(60'000, 'a')});
  result.head.asked.resize(40, result.head.asked[0]);
  EXPECT_TRUE(judged_quickly(plan, result));
  expect(Cause::LocalResources, "header lines are too much work");
  EXPECT_THAT(content_findings(plan, "HEAD", result), ElementsAre(HasSubstr("too much work")));
}

// Goal: between any two expressions somebody can end it. Method: allow one more look each time.
TEST_F(ContentJudge, StopsBetweenAnyTwoThings) {
  options.expect_header = {"X-A"};
  options.body_not_match = {"b1", "b2"};
  options.body_match = {"m"};
  options.json_equals = {" == [\"m\"]"};
  make();
  answer("[\"m\"]");
  result.head.asked = {{"X-A", "1"}};
  for (int allowed = 0; allowed <= 5; ++allowed) {
    int left = allowed;
    const Enough enough = [&left] { return left-- == 0; };
    const Verdict verdict = judge_content(plan, "GET", result, enough);
    EXPECT_EQ(verdict.cause, allowed < 5 ? Cause::LocalResources : Cause::Ok) << allowed;
    EXPECT_THAT(verdict.detail, HasSubstr(allowed < 5 ? "not judged in time" : ""));
  }
  const auto findings = content_findings(plan, "GET", result, [] { return true; });
  EXPECT_EQ(std::count_if(findings.begin(), findings.end(),
                          [](const std::string& line) {
                            return line.find("not judged in time") != std::string::npos;
                          }),
            1);
}

// The end of what was read is not the body's.
TEST_F(ContentJudge, ACutMakesNoEnd) {
  const auto judged = [&](const char* option, const char* expression, bool cut) {
    options = {};
    EXPECT_TRUE(core::apply_option(options, option, expression));
    make();
    answer("one\ntwo", cut);
    return judge_content(plan, "GET", result).cause;
  };
  for (const char* expression : {"two$", "two\\z", "(?m)^two$", "(one|two)$"}) {
    EXPECT_EQ(judged("body_not_match", expression, false), Cause::KeywordForbidden);
    EXPECT_EQ(judged("body_not_match", expression, true), Cause::LocalResources) << expression;
    EXPECT_EQ(judged("body_match", expression, false), Cause::Ok) << expression;
    EXPECT_EQ(judged("body_match", expression, true), Cause::LocalResources) << expression;
  }
  EXPECT_EQ(judged("body_match", "three$", false), Cause::KeywordMissing);
  EXPECT_EQ(judged("body_match", "three$", true), Cause::LocalResources);
  // Certain, whatever follows.
  EXPECT_EQ(judged("body_match", "(?m)^one$", true), Cause::Ok);
  EXPECT_EQ(judged("body_not_match", "(?m)^one$", true), Cause::KeywordForbidden);
  EXPECT_EQ(judged("body_not_match", "two", true), Cause::KeywordForbidden);
  EXPECT_EQ(judged("body_not_match", "three$", true), Cause::Ok);
  // Looked for in what was read, like a text.
  EXPECT_EQ(judged("body_match", "three", true), Cause::KeywordMissing);
  EXPECT_EQ(judged("body_match", "three[$]|\\$|[]$]", true), Cause::KeywordMissing);
}

// ---- findings ----

TEST_F(ContentJudge, FindingsSayWhatCameOfEachThing) {
  options.expect_header = {"X-A: 1", "!X-B"};
  options.forbidden = {"bad"};
  options.keyword = {"good", "gone"};
  options.body_match = {"g(o+)d"};
  options.body_not_match = {"xyz"};
  options.json_equals = {"/n == 7"};
  options.size_min_bytes = 3;
  make();
  answer("{\"n\":7,\"is\":\"good\"}", false, "application/json; charset=iso-8859-1");
  result.head.asked = {{"x-a", "1"}};
  EXPECT_THAT(content_findings(plan, "GET", result),
              ElementsAre("header X-A is \"1\"", "header X-B is not sent",
                          "the body is in iso-8859-1, its header says",
                          "the forbidden text \"bad\" is not in the body",
                          "the text \"good\" is in the body, at byte 13",
                          "the text \"gone\" is not in the body of 19 bytes",
                          "the forbidden expression \"xyz\" does not match the body of 19 bytes",
                          "the expression \"g(o+)d\" matches the body, at byte 13 of its text in "
                          "UTF-8 (it is in windows-1252)",
                          "/n is 7", "the body of 19 bytes is within size_min and size_max",
                          "the page looks like no error page"));
}

TEST_F(ContentJudge, FindingsLeaveOutWhatWasNotReached) {
  options.expect_header = {"X-A"};
  options.keyword = {"good"};
  make();
  EXPECT_THAT(content_findings(plan, "GET", result), ElementsAre());
  answer("");
  EXPECT_THAT(content_findings(plan, "HEAD", result), ElementsAre("header X-A is not sent"));
  result.cause = Cause::BodyTruncated;
  EXPECT_THAT(content_findings(plan, "GET", result), ElementsAre("header X-A is not sent"));
  result.cause = Cause::Ok;
  result.body_opaque = true;
  EXPECT_THAT(content_findings(plan, "GET", result),
              ElementsAre("header X-A is not sent", HasSubstr("content coding we do not know")));
}

}  // namespace
}  // namespace watchwheel::checker
