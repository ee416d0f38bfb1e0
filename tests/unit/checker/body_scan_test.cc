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
      scan.finish();
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
  scan.finish();
  EXPECT_FALSE(scan.keyword_missing().has_value());
}

TEST(BodyScan, DoesNotFindWhatIsNotThere) {
  const BodyRules rules{.keyword = {"welcome"}, .forbidden = {"hacked"}, .keep_page = false};
  BodyScan scan(rules);
  scan.feed("welcom");
  scan.feed("welcom");
  scan.feed("");
  scan.feed("e hacke");
  scan.finish();
  EXPECT_FALSE(scan.keyword_missing().has_value());  // "welcom" + "e".
  EXPECT_FALSE(scan.forbidden_found());
  BodyScan other(rules);
  other.feed("welcom");
  other.feed("Xe");
  other.finish();
  EXPECT_TRUE(other.keyword_missing().has_value());
}

TEST(BodyScan, TextsAreBytes) {
  const BodyRules rules{.keyword = {std::string("\0\xff", 2)}, .forbidden = {}, .keep_page = false};
  BodyScan scan(rules);
  scan.feed(std::string("a\0", 2));
  EXPECT_TRUE(scan.keyword_missing().has_value());
  scan.feed("\xff");
  scan.finish();
  EXPECT_FALSE(scan.keyword_missing().has_value());
}

TEST(BodyScan, FirstForbiddenOfTheRulesIsTold) {
  const BodyRules rules{.keyword = {}, .forbidden = {"b", "a"}, .keep_page = false};
  BodyScan scan(rules);
  scan.feed("ab");
  scan.finish();
  EXPECT_EQ(scan.forbidden_found(), "b");
  EXPECT_FALSE(scan.keyword_missing().has_value());
  BodyScan other(rules);
  other.feed("a");
  other.finish();
  EXPECT_EQ(other.forbidden_found(), "a");
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

// What comes byte by byte, and is converted byte by byte, is not looked at byte by byte.
TEST(BodyScan, SmallPiecesAreNotDear) {
  BodyRules rules{.keyword = {}, .forbidden = {}};
  for (int i = 0; i < 16; ++i) rules.forbidden.push_back("\xc3\xa4" + std::string(1'000, 'z'));
  BodyMeans means{{}, KeptBytes{10'000}};
  BodyScan scan(rules, &means, "text/html; charset=latin1");
  const std::size_t bytes = 64 * 1024;
  for (std::size_t i = 0; i < bytes; ++i) scan.feed("x");
  scan.finish();
  EXPECT_TRUE(scan.converted());
  EXPECT_LE(scan.bytes_compared(), 2 * 16 * bytes * 3);
}

// ---- by characters ----

class BodyScanCharacters : public ::testing::Test {
 protected:
  BodyScan scan_of(const BodyRules& rules, std::string_view type, std::string_view body,
                   std::size_t piece = 7) {
    BodyScan scan(rules, &means, type);
    for (std::size_t at = 0; at < body.size(); at += piece) scan.feed(body.substr(at, piece));
    scan.finish();
    return scan;
  }
  BodyMeans means{{}, KeptBytes{10'000}};
};

TEST_F(BodyScanCharacters, FindsATextInTheCharactersOfThePage) {
  const BodyRules rules{.keyword = {"Gr\xc3\xbc\xc3\x9f"}, .forbidden = {}};
  const std::string latin = "xx Gr\xfc\xdf xx";
  const BodyScan declared = scan_of(rules, "text/html; charset=iso-8859-1", latin);
  ASSERT_TRUE(declared.keyword_place(0));
  EXPECT_TRUE(declared.keyword_place(0)->converted);
  EXPECT_EQ(declared.keyword_place(0)->byte, 3U);
  EXPECT_TRUE(declared.converted());
  // Nobody said what it is, so it is bytes.
  EXPECT_TRUE(scan_of(rules, "text/html", latin).keyword_missing());
  EXPECT_TRUE(scan_of(rules, "text/html; charset=utf-8", latin).keyword_missing());
  // As bytes it is there, whatever the page says of itself.
  const BodyScan bytes = scan_of(rules, "text/html; charset=iso-8859-1", rules.keyword[0]);
  ASSERT_TRUE(bytes.keyword_place(0));
  EXPECT_FALSE(bytes.keyword_place(0)->converted);
}

TEST_F(BodyScanCharacters, DeclarationInThePageCountsForWhatStandsBeforeIt) {
  const BodyRules rules{.keyword = {"\xc3\xa4"}, .forbidden = {}};
  const std::string page = "<title>\xe4</title><meta charset=latin1>";
  EXPECT_FALSE(scan_of(rules, "", page).keyword_missing());
  EXPECT_FALSE(scan_of(rules, "", page + std::string(5000, 'x'), 1).keyword_missing());
  // Beyond the first 1024 bytes nobody looks for one.
  EXPECT_TRUE(scan_of(rules, "", std::string(1020, ' ') + page).keyword_missing());
}

TEST_F(BodyScanCharacters, PlainTextsAreFoundInUtf16Only) {
  const BodyRules rules{.keyword = {"hello"}, .forbidden = {"bye"}, .ignore_case = true};
  std::string page = "\xff\xfe";
  for (const char c : std::string("Hello Bye")) page += std::string(1, c) + '\0';
  const BodyScan scan = scan_of(rules, "text/html", page, 3);
  EXPECT_FALSE(scan.keyword_missing());
  EXPECT_EQ(scan.forbidden_found(), "bye");
  EXPECT_EQ(scan.forbidden_place(0)->byte, 6U);
}

TEST_F(BodyScanCharacters, NothingIsConvertedWhereItCannotDiffer) {
  const BodyRules rules{.keyword = {"hello"}, .forbidden = {}};
  EXPECT_FALSE(scan_of(rules, "text/html; charset=iso-8859-1", "hello").converted());
  const BodyRules page{.keyword = {}, .forbidden = {}, .keep_page = true};
  EXPECT_FALSE(scan_of(page, "text/html; charset=utf-16", "hello").converted());
}

TEST_F(BodyScanCharacters, TextIsKeptAsUtf8WithoutItsMark) {
  const BodyRules rules{.keyword = {}, .forbidden = {}, .keep_text = true};
  EXPECT_EQ(scan_of(rules, "text/html; charset=latin1", "a\xe4").text(), "a\xc3\xa4");
  EXPECT_EQ(scan_of(rules, "", "\xef\xbb\xbf{}").text(), "{}");
  EXPECT_EQ(scan_of(rules, "", "\xef\xbb").text(), "\xef\xbb");
  EXPECT_EQ(scan_of(rules, "", "").text(), "");
  EXPECT_EQ(scan_of(rules, "text/html; charset=gbk", "a\xd6").text(), "a\xef\xbf\xbd");
  const BodyRules none;
  EXPECT_EQ(scan_of(none, "", "abc").text(), "");
  EXPECT_EQ(means.kept.used(), 0U);
}

TEST_F(BodyScanCharacters, KeptBytesAreBoundedTogetherAndGivenBack) {
  const BodyRules rules{.keyword = {}, .forbidden = {}, .keep_text = true};
  {
    BodyScan one = scan_of(rules, "", std::string(6000, 'x'));
    EXPECT_FALSE(one.not_kept());
    EXPECT_EQ(one.text().size(), 6000U);
    EXPECT_GE(means.kept.used(), 6000U);
    const BodyScan other = scan_of(rules, "", std::string(6000, 'x'));
    EXPECT_TRUE(other.not_kept());
    EXPECT_EQ(other.text(), "");
    EXPECT_EQ(other.bytes(), 6000U);
    const BodyScan moved = std::move(one);
    EXPECT_EQ(moved.text().size(), 6000U);
  }
  EXPECT_EQ(means.kept.used(), 0U);
  EXPECT_FALSE(scan_of(rules, "", std::string(6000, 'x')).not_kept());
}

TEST(BodyScan, EndsWhenItIsLongerThanWanted) {
  const BodyRules rules{.keyword = {}, .forbidden = {}, .size_max = 5};
  BodyScan scan(rules);
  EXPECT_TRUE(scan.feed("abc"));
  EXPECT_TRUE(scan.feed("de"));
  EXPECT_FALSE(scan.feed("f"));
}

TEST(BodyScan, WithoutCase) {
  const BodyRules rules{.keyword = {"WelCome"}, .forbidden = {"HACKED"}, .ignore_case = true};
  BodyScan scan(rules);
  scan.feed("..wELC");
  scan.feed("OME..hack");
  scan.feed("ed");
  scan.finish();
  EXPECT_FALSE(scan.keyword_missing());
  EXPECT_EQ(scan.keyword_place(0)->byte, 2U);
  EXPECT_EQ(scan.forbidden_found(), "HACKED");
}

}  // namespace
}  // namespace watchwheel::checker
