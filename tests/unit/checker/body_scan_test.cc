// SPDX-License-Identifier: Apache-2.0
#include "checker/body_scan.h"

#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

// Every way to cut a body in two or three must find the same.
TEST(BodyScan, FindsTextsAcrossEveryBorder) {
  const BodyRules rules{.keyword = {"welcome"}, .forbidden = {"hacked", "wel"}, .keep_page = false};
  const std::string body = "aawelcomebbhackecc";
  for (std::size_t i = 0; i <= body.size(); ++i) {
    for (std::size_t j = i; j <= body.size(); ++j) {
      BodyScan scan(rules);
      scan.feed(body.substr(0, i));
      scan.feed(body.substr(i, j - i));
      scan.feed(body.substr(j));
      EXPECT_FALSE(scan.keyword_missing().has_value()) << i << " " << j;
      EXPECT_EQ(scan.forbidden_found(), "wel") << i << " " << j;
      EXPECT_EQ(scan.bytes(), body.size());
    }
  }
}

TEST(BodyScan, FindsATextThatComesByteByByte) {
  const BodyRules rules{.keyword = {"aab"}, .forbidden = {}, .keep_page = false};
  BodyScan scan(rules);
  for (const char c : std::string("aaaaab")) scan.feed({&c, 1});
  EXPECT_FALSE(scan.keyword_missing().has_value());
}

TEST(BodyScan, DoesNotFindWhatIsNotThere) {
  const BodyRules rules{.keyword = {"welcome"}, .forbidden = {"hacked"}, .keep_page = false};
  BodyScan scan(rules);
  scan.feed("welcom");
  scan.feed("welcom");
  scan.feed("");
  scan.feed("e hacke");
  EXPECT_FALSE(scan.keyword_missing().has_value());  // "welcom" + "e".
  EXPECT_FALSE(scan.forbidden_found());
  BodyScan other(rules);
  other.feed("welcom");
  other.feed("Xe");
  EXPECT_TRUE(other.keyword_missing().has_value());
}

TEST(BodyScan, TextsAreBytes) {
  const BodyRules rules{.keyword = {std::string("\0\xff", 2)}, .forbidden = {}, .keep_page = false};
  BodyScan scan(rules);
  scan.feed(std::string("a\0", 2));
  EXPECT_TRUE(scan.keyword_missing().has_value());
  scan.feed("\xff");
  EXPECT_FALSE(scan.keyword_missing().has_value());
}

TEST(BodyScan, FirstForbiddenOfTheRulesIsTold) {
  const BodyRules rules{.keyword = {}, .forbidden = {"b", "a"}, .keep_page = false};
  BodyScan scan(rules);
  scan.feed("a");
  EXPECT_EQ(scan.forbidden_found(), "a");
  scan.feed("b");
  EXPECT_EQ(scan.forbidden_found(), "b");
  EXPECT_FALSE(scan.keyword_missing().has_value());
}

TEST(BodyScan, KeepsASmallPageAndGivesUpALongOne) {
  const BodyRules rules{.keyword = {}, .forbidden = {}, .keep_page = true};
  BodyScan scan(rules);
  scan.feed("hello ");
  scan.feed("world");
  EXPECT_EQ(scan.page(), "hello world");
  scan.feed(std::string(kPageBytesMax - 11, 'x'));
  ASSERT_TRUE(scan.page());
  EXPECT_EQ(scan.page()->size(), kPageBytesMax);
  scan.feed("x");
  EXPECT_FALSE(scan.page());
  scan.feed("x");
  EXPECT_FALSE(scan.page());
  EXPECT_EQ(scan.bytes(), kPageBytesMax + 2);

  const BodyRules none;
  BodyScan unkept(none);
  unkept.feed("hello");
  EXPECT_FALSE(unkept.page());
}

}  // namespace
}  // namespace watchwheel::checker
