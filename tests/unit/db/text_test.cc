// SPDX-License-Identifier: Apache-2.0
#include "db/text.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace watchwheel::db {
namespace {

TEST(Utf8, IsToldFromWhatOnlyLooksLikeIt) {
  const std::vector<std::pair<std::string_view, bool>> texts{
      {"", true},
      {"plain", true},
      {"b\xC3\xBC"
       "cher",
       true},
      {"\xE2\x82\xAC", true},
      {"\xF0\x9F\x98\x80", true},
      {"\xF4\x8F\xBF\xBF", true},  // U+10FFFF
      {"\xEF\xBF\xBF", true},      // U+FFFF
      {"\xFF", false},
      {"\x80", false},  // A continuation on its own.
      {"\xC3", false},  // Cut off.
      {"\xE2\x82", false},
      {"\xC0\xAF", false},  // Overlong.
      {"\xE0\x80\x80", false},
      {"\xF0\x80\x80\x80", false},
      {"\xED\xA0\x80", false},      // A surrogate.
      {"\xF4\x90\x80\x80", false},  // Above U+10FFFF.
      {"\xF5\x80\x80\x80", false},
      {"a\xE2\x28\xA1", false},
  };
  for (const auto& [text, good] : texts) {
    EXPECT_EQ(is_utf8(text), good) << ::testing::PrintToString(std::string(text));
    EXPECT_TRUE(is_utf8(to_utf8(text, 100)));
  }
}

TEST(Utf8, BadBytesAreReplacedAndGoodOnesKept) {
  EXPECT_EQ(to_utf8("a\xFF"
                    "b\xC3\xBC\xE2\x82",
                    100),
            "a\xEF\xBF\xBD"
            "b\xC3\xBC\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(Utf8, IsCutBetweenCharacters) {
  const std::string two_each = "\xC3\xBC\xC3\xBC\xC3\xBC";
  EXPECT_EQ(to_utf8(two_each, 6), two_each);
  EXPECT_EQ(to_utf8(two_each, 5), "\xC3\xBC\xC3\xBC");
  EXPECT_EQ(to_utf8(two_each, 1), "");
  EXPECT_EQ(to_utf8("\xFF\xFF", 5), "\xEF\xBF\xBD");
}

TEST(ShownUrl, HidesWhatCouldBeASecret) {
  EXPECT_EQ(shown_url("https://shop.example/a/b"), "https://shop.example/a/b");
  EXPECT_EQ(shown_url("https://user:pass@shop.example/a?token=x#y"), "https://shop.example/a");
  EXPECT_EQ(shown_url("https://a@b:c@shop.example"), "https://shop.example");
  EXPECT_EQ(shown_url("https://shop.example/a@b"), "https://shop.example/a@b");
  EXPECT_EQ(shown_url("no url at all"), "no url at all");
  EXPECT_EQ(shown_url("\xFF"), "\xEF\xBF\xBD");
  EXPECT_EQ(shown_url(std::string(5000, 'x')).size(), 200U);
}

}  // namespace
}  // namespace watchwheel::db
