// SPDX-License-Identifier: Apache-2.0
#include "checker/json_value.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

using ::testing::HasSubstr;

JsonAnswer judged(const std::string& line, std::string_view document) {
  core::CheckOptions options;
  options.json_equals = {line};
  const auto rules = make_content_rules(options);
  EXPECT_TRUE(rules) << line;
  return judge_json(rules->json, document).at(0);
}
bool holds(const std::string& line, std::string_view document) {
  return judged(line, document).holds;
}
std::string what(const std::string& line, std::string_view document) {
  return judged(line, document).what;
}

constexpr std::string_view kDocument =
    R"({"status":"ok","n":1,"list":[10,{"x":null}],"a/b":true,"m~n":false,"":0,"01":"z"})";

TEST(JsonValue, FollowsPointersAsRfc6901Says) {
  EXPECT_TRUE(holds("/status == \"ok\"", kDocument));
  EXPECT_TRUE(holds("/list/0 == 10", kDocument));
  EXPECT_TRUE(holds("/list/1/x == null", kDocument));
  EXPECT_TRUE(holds("/a~1b == true", kDocument));
  EXPECT_TRUE(holds("/m~0n == false", kDocument));
  EXPECT_TRUE(holds("/ == 0", kDocument));
  EXPECT_TRUE(holds("/01 == \"z\"", kDocument));
  EXPECT_TRUE(holds(" == [1,2]", "[1, 2]"));
  EXPECT_TRUE(holds(" == \"x\"", "\"x\""));
}

TEST(JsonValue, WhatIsNotThereIsSaid) {
  EXPECT_EQ(what("/gone == 1", kDocument), "the JSON has no /gone, which should be 1");
  for (const char* line : {"/list/2 == 1", "/list/- == 1", "/list/01 == 1", "/list/+1 == 1",
                           "/status/0 == 1", "/n/x == 1", "/list/99999999999999999999 == 1"}) {
    EXPECT_FALSE(holds(line, kDocument)) << line;
    EXPECT_THAT(what(line, kDocument), HasSubstr("has no /")) << line;
  }
}

TEST(JsonValue, NumbersAreEqualByValue) {
  EXPECT_TRUE(holds(" == 1", "1.0"));
  EXPECT_TRUE(holds(" == 1e2", "100"));
  EXPECT_TRUE(holds(" == -0", "0"));
  EXPECT_TRUE(holds(" == 18446744073709551615", "18446744073709551615"));
  EXPECT_FALSE(holds(" == 18446744073709551615", "-1"));
  EXPECT_FALSE(holds(" == 9007199254740993", "9007199254740992"));
  EXPECT_FALSE(holds(" == 9007199254740993", "9007199254740992.0"));
  EXPECT_FALSE(holds(" == 1", "\"1\""));
  EXPECT_FALSE(holds(" == 1", "true"));
  EXPECT_FALSE(holds(" == 0", "null"));
}

TEST(JsonValue, ObjectsHaveNoOrderAndArraysHave) {
  EXPECT_TRUE(holds(" == {\"a\":1,\"b\":[2,{\"c\":3}]}", R"({"b":[2.0,{"c":3}],"a":1})"));
  EXPECT_FALSE(holds(" == {\"a\":1}", R"({"a":1,"b":2})"));
  EXPECT_FALSE(holds(" == {\"a\":1,\"b\":2}", R"({"a":1,"c":2})"));
  EXPECT_FALSE(holds(" == [1,2]", "[2,1]"));
  EXPECT_FALSE(holds(" == []", "{}"));
  EXPECT_TRUE(holds(" == \"\xc3\xa4\"", "\"\\u00e4\""));
}

TEST(JsonValue, SaysWhatIsThereAndWhatShouldBe) {
  EXPECT_EQ(what("/status == \"ok\"", kDocument), "/status is \"ok\"");
  EXPECT_EQ(what("/status == \"fine\"", kDocument), "/status is \"ok\", not \"fine\"");
  EXPECT_EQ(what(" == 1", "2"), "the document is 2, not 1");
  const std::string longest = what("/a == 1", "{\"a\":\"" + std::string(5000, 'x') + "\"}");
  EXPECT_LT(longest.size(), 250U);
  EXPECT_THAT(longest, HasSubstr("..."));
  std::string many = "{\"a\":[0";
  for (int i = 0; i < 5000; ++i) many += ",1";
  EXPECT_THAT(what("/a == 1", many + "]}"), HasSubstr("an array of 5001"));
  EXPECT_THAT(what("/a == 1", "{\"a\":\"\\u001b[31m\"}"), ::testing::Not(HasSubstr("\x1b")));
}

TEST(JsonValue, WhatIsNoJsonIsSaid) {
  EXPECT_THAT(what("/a == 1", ""), HasSubstr("the body is no JSON: it is empty"));
  EXPECT_THAT(what("/a == 1", "{\"a\":1"), HasSubstr("it ends too early"));
  EXPECT_THAT(what("/a == 1", "<html>"), HasSubstr("an error at byte 0"));
  EXPECT_THAT(what("/a == 1", "{\"a\":1} x"), HasSubstr("an error at byte 8"));
  EXPECT_THAT(what("/a == 1", "{\"a\":\"\xff\"}"), HasSubstr("an error at byte"));
  EXPECT_THAT(what("/a == 1", std::string_view("{\"a\":\0}", 7)), HasSubstr("no JSON"));
  EXPECT_TRUE(holds("/a == 1", "\xef\xbb\xbf{\"a\":1}\n"));
}

// What we cannot hold is our limit; what comes before it and is broken is the site's.
TEST(JsonValue, OurLimitsAreNotTheSites) {
  const auto nested = [](std::size_t depth) {
    return std::string(depth, '[') + std::string(depth, ']');
  };
  const std::vector<std::pair<std::string, const char*>> beyond{
      {nested(kJsonDepthMax + 1), "nested too deeply: more than 100 levels"},
      {nested(500'000), "nested too deeply"},
      {"{\"a\":1,\"b\":" + nested(kJsonDepthMax) + "}", "nested too deeply"},
      {"{\"a\":1,\"b\":1e400}", "a number beyond all bounds"},
      {"{\"a\":1,\"b\":\"\\ud800\"}", "half of a surrogate pair"},
      {"{\"a\":1,\"b\":\"\\ud800\\u0041\"}", "half of a surrogate pair"},
      {"{\"a\":1,\"b\":\"\\udc00\"}", "half of a surrogate pair"}};
  for (const auto& [document, why] : beyond) {
    const JsonAnswer answer = judged("/a == 1", document);
    EXPECT_FALSE(answer.holds);
    EXPECT_FALSE(answer.measured) << document.substr(0, 50);
    EXPECT_THAT(answer.what, HasSubstr("JSON that we cannot read: "));
    EXPECT_THAT(answer.what, HasSubstr(why));
  }
  for (const std::string& document : {"<html>" + std::string(500, '{'), "[}" + nested(500),
                                      std::string("{\"a\":\"\\ud8\"}"), std::string("[1,2")}) {
    const JsonAnswer answer = judged("/a == 1", document);
    EXPECT_TRUE(answer.measured) << document.substr(0, 50);
    EXPECT_THAT(answer.what, HasSubstr("no JSON"));
  }
  EXPECT_THAT(what("/0 == 1", nested(kJsonDepthMax)), HasSubstr("/0 is [["));
  EXPECT_TRUE(holds(" == \"" + std::string(200, '[') + "\"", "\"" + std::string(200, '[') + "\""));
  std::string siblings = "[0";
  for (int i = 0; i < 300; ++i) siblings += ",[],{}";
  EXPECT_TRUE(holds("/0 == 0", siblings + "]"));
  EXPECT_TRUE(holds("/a == \"\\ud83d\\ude00\"", "{\"a\":\"\\ud83d\\ude00\"}"));
  EXPECT_EQ(json_problem(nested(kJsonDepthMax)), "");
  EXPECT_NE(json_problem(nested(kJsonDepthMax + 1)), "");
}

// Of a part it can be said that it begins no JSON, and nothing else.
TEST(JsonValue, OfACutDocumentOnlyWhatIsCertainIsSaid) {
  core::CheckOptions options;
  options.json_equals = {"/a == 1"};
  const auto rules = make_content_rules(options);
  ASSERT_TRUE(rules);
  const std::string document = "{\"a\":2,\"b\":[true,-1.5e+10,\"x\\u00e4\xc3\xa4\",null]}  ";
  for (std::size_t size = 0; size <= document.size(); ++size) {
    const JsonAnswer answer = judge_json(rules->json, document.substr(0, size), true).at(0);
    EXPECT_FALSE(answer.measured) << size << answer.what;
    EXPECT_THAT(answer.what, HasSubstr("longer than max_body"));
  }
  // Half a character became a whole replacement one.
  EXPECT_FALSE(judge_json(rules->json, "{\"a\":2}\xef\xbf\xbd", true).at(0).measured);
  const JsonAnswer page = judge_json(rules->json, "<html><p>Sorry", true).at(0);
  EXPECT_TRUE(page.measured);
  EXPECT_THAT(page.what, HasSubstr("the body is no JSON: an error at byte 0"));
}

}  // namespace
}  // namespace watchwheel::checker
