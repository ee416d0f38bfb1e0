// SPDX-License-Identifier: Apache-2.0
#include "app/problem.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

TEST(Problem, LeavesOutThePartsThatAreNotKnown) {
  EXPECT_EQ(format({"a.toml", 3, 7, Severity::Error, "no"}), "a.toml:3:7: error: no");
  EXPECT_EQ(format({"a.toml", 3, 0, Severity::Warning, "hm"}), "a.toml:3: warning: hm");
  EXPECT_EQ(format({"a.toml", 0, 5, Severity::Error, "no"}), "a.toml: error: no");
}

TEST(Problem, IsOneLineWhateverTheTextHolds) {
  EXPECT_EQ(format({"a\nb", 1, 1, Severity::Error, "x\r\ny\x1b[31m"}),
            "a\\x0ab:1:1: error: x\\x0d\\x0ay\\x1b[31m");
}

TEST(Problem, PrintableKeepsGoodUtf8AndEscapesBadBytes) {
  EXPECT_EQ(printable("grün"), "grün");
  EXPECT_EQ(printable("a\xff"
                      "b"),
            "a\\xff"
            "b");
  EXPECT_EQ(printable("äääää", 4), "ää…");
  EXPECT_EQ(printable("äääää", 5), "ää…");  // Not half a letter.
}

TEST(Problem, NearestFindsSlipsAndNotStrangers) {
  const std::vector<std::string_view> known{"timeout", "interval", "connect_timeout"};
  EXPECT_EQ(nearest("timeuot", known), "timeout");
  EXPECT_EQ(nearest("intervall", known), "interval");
  EXPECT_EQ(nearest("connect-timeout", known), "connect_timeout");
  EXPECT_EQ(nearest("colour", known), "");
  EXPECT_EQ(nearest(std::string(5000, 't'), known), "");
}

TEST(Problem, Utf8IsJudgedAsRfc3629Has) {
  for (const std::string_view good : {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                      "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
    EXPECT_TRUE(is_utf8(good)) << good;
  // Overlong, surrogate, beyond U+10FFFF, a lone follower, cut short.
  for (const std::string_view bad :
       {"\xc0\x80", "\xe0\x80\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\x80", "\xe2\x82", "\xf8"})
    EXPECT_FALSE(is_utf8(bad));
  std::size_t at = 0;
  EXPECT_FALSE(is_utf8("ab\xff", &at));
  EXPECT_EQ(at, 2U);
}

}  // namespace
}  // namespace watchwheel::app
