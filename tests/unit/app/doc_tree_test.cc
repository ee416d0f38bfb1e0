// SPDX-License-Identifier: Apache-2.0
#include "app/doc_tree.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "app/foreign_draft.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

DocNode tree(const std::string& text) {
  auto read = read_document("f", text);
  if (auto* problem = std::get_if<Problem>(&read)) ADD_FAILURE() << format(*problem);
  return std::holds_alternative<DocNode>(read) ? std::get<DocNode>(std::move(read)) : DocNode{};
}
std::string problem_of(const std::string& text) {
  const auto read = read_document("f", text);
  return std::holds_alternative<Problem>(read) ? format(std::get<Problem>(read)) : "it was read";
}

TEST(DocTree, KnowsLinesOfKeysAndValues) {
  const DocNode root = tree("# first\na: 1\nb:\n  - x\n  - {c: \"2\", d: null}\n");
  EXPECT_EQ(root.text_at("a"), "1");
  EXPECT_EQ(root.keys[1].second, 3U);
  const DocNode* list = root.find("b");
  ASSERT_TRUE(list != nullptr && list->is_list() && list->items.size() == 2);
  EXPECT_EQ(list->items[0].line, 4U);
  EXPECT_TRUE(list->items[1].find("c")->quoted);
  EXPECT_EQ(list->items[1].find("d"), nullptr);
  EXPECT_EQ(root.find("nothing"), nullptr);
  EXPECT_EQ(tree("").kind, DocNode::Kind::Null);
}

TEST(DocTree, ReadsJsonWithTabsAndSurrogatePairs) {
  const DocNode root =
      tree("{\n\t\"a\":\t[1, true],\n\t\"b\": \"x \\ud83d\\udED2 \\u00e9 \\\\ud83d\"\n}");
  EXPECT_EQ(root.text_at("b"), "x 🛒 é \\ud83d");
  EXPECT_TRUE(root.find("a")->items[1].is_true());
  EXPECT_EQ(join_surrogates("\\ud83d"), "\\ud83d");
  EXPECT_EQ(join_surrogates("\\"), "\\");
  EXPECT_THAT(problem_of("{\"a\": \"\\ud83d\"}"), HasSubstr("f:1:"));
}

TEST(DocTree, FollowsAnchorsAndMerges) {
  const DocNode root =
      tree("base: &b {x: 1, y: 2}\nown: {<<: *b, y: 3}\nboth: {<<: [*b, {z: 4}]}\nagain: *b\n");
  EXPECT_EQ(root.find("own")->text_at("x"), "1");
  EXPECT_EQ(root.find("own")->text_at("y"), "3");
  EXPECT_EQ(root.find("both")->text_at("z"), "4");
  EXPECT_EQ(root.find("again")->text_at("y"), "2");
  EXPECT_THAT(problem_of("a: *nobody"), HasSubstr("*nobody is not defined above"));
}

TEST(DocTree, RefusesWhatIsTooMuchOrNoSuchFile) {
  std::string laughs = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 10; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 9; ++k) laughs += "," + before;
    laughs += "]\n";
  }
  EXPECT_THAT(problem_of(laughs), HasSubstr("values; split the file"));
  EXPECT_THAT(problem_of(std::string(100, '[') + std::string(100, ']')),
              HasSubstr("nested deeper"));
  EXPECT_THAT(problem_of(std::string(100'000, '[')), HasSubstr("f:1"));
  EXPECT_THAT(problem_of("a: [1"), HasSubstr("neither YAML nor JSON"));
  EXPECT_THAT(problem_of("a: x\n\xff"), HasSubstr("f:2: error: not UTF-8"));
}

TEST(GoDuration, IsReadAsGoAndPrometheusWriteIt) {
  EXPECT_EQ(parse_go_duration("1m30s"), 90s);
  EXPECT_EQ(parse_go_duration("1.5h"), 90min);
  EXPECT_EQ(parse_go_duration("250ms"), 250ms);
  EXPECT_EQ(parse_go_duration("1d"), 24h);
  EXPECT_EQ(parse_go_duration("0"), 0s);
  for (const char* bad : {"", "5", "s", "1x", "-1s", "1s2", "1e9s", "1..5s", "999999999w"})
    EXPECT_FALSE(parse_go_duration(bad)) << bad;
  EXPECT_EQ(our_duration(90s), "90s");
  EXPECT_EQ(our_duration(1us), "1ms");
}

TEST(SiteDraftTest, WhatDoesNotFitIsAProblemOfItsKey) {
  SiteDraft draft("f", 7);
  draft.set("url", "https://a.example/", "url", 8);
  draft.set("interval", "forty", "every", 9);
  DuplicateFinder duplicates;
  const SiteRow row = draft.finish(ChecksConfig{}, duplicates);
  ASSERT_EQ(row.problems.size(), 1U);
  EXPECT_THAT(format(row.problems[0]), HasSubstr("f:9: error: every: interval: "));
}

TEST(SiteDraftTest, TheSameUrlTwiceIsSaid) {
  DuplicateFinder duplicates;
  for (const std::uint32_t line : {3U, 5U}) {
    SiteDraft draft("f", line);
    draft.set("url", "https://a.example/", "url", line);
    const SiteRow row = draft.finish(ChecksConfig{}, duplicates);
    EXPECT_EQ(any_error(row.problems), line == 5);
  }
}

}  // namespace
}  // namespace watchwheel::app
