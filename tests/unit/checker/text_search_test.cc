// SPDX-License-Identifier: Apache-2.0
#include "checker/text_search.h"

#include <gtest/gtest.h>

#include <cctype>

namespace watchwheel::checker {
namespace {

TEST(TextSearch, TellsTheFirstPlaceWhateverThePieces) {
  const std::string body = "xxabcxxabcxxABCxx";
  for (std::size_t i = 0; i <= body.size(); ++i) {
    for (std::size_t j = i; j <= body.size(); ++j) {
      TextSearch search({"abc", "ABC", "xx", "nothing"}, false);
      search.feed(std::string_view(body).substr(0, i));
      search.feed(std::string_view(body).substr(i, j - i));
      search.feed(std::string_view(body).substr(j));
      EXPECT_EQ(search.first(0), 2U) << i << " " << j;
      EXPECT_EQ(search.first(1), 12U) << i << " " << j;
      EXPECT_EQ(search.first(2), 0U) << i << " " << j;
      EXPECT_FALSE(search.first(3)) << i << " " << j;
    }
  }
}

TEST(TextSearch, WithoutCaseIsOnlyForAsciiLetters) {
  TextSearch search({"HeLLo", "\xc3\xa4", "[x]", "{x}"}, true);
  search.feed("..hEllO..\xc3\x84..[X]..");
  EXPECT_EQ(search.first(0), 2U);
  EXPECT_FALSE(search.first(1));  // Capital a with diaeresis is another text.
  EXPECT_EQ(search.first(2), 13U);
  EXPECT_FALSE(search.first(3));  // '[' and '{' differ by the same bit as letters do.
}

// Its place must hold beyond the blocks in which bodies are made small.
TEST(TextSearch, WithoutCaseFindsAcrossItsOwnBlocks) {
  for (const std::size_t at : {8190U, 8191U, 8192U, 8193U, 20'000U}) {
    std::string body(30'000, 'X');
    body.replace(at, 4, "NeeD");
    TextSearch search({"need"}, true);
    search.feed(body);
    EXPECT_EQ(search.first(0), at);
  }
}

TEST(TextSearch, FoldsEveryByteAsTheStandardLibraryDoesInTheCLocale) {
  for (int lead = 0; lead < 9; ++lead) {
    std::string bytes(static_cast<std::size_t>(lead), 'Q');
    for (int c = 0; c < 256; ++c) bytes.push_back(static_cast<char>(c));
    std::string folded(bytes.size(), '\0');
    fold_ascii(bytes, folded.data());
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto byte = static_cast<unsigned char>(bytes[i]);
      const int expected = byte < 128 ? std::tolower(byte) : byte;
      EXPECT_EQ(static_cast<unsigned char>(folded[i]), expected) << i;
    }
  }
}

TEST(TextSearch, MovesWithItsShortTexts) {
  TextSearch one({"Ab", "cd"}, true);
  one.feed("a");
  TextSearch other(std::move(one));
  other.feed("B..CD");
  EXPECT_EQ(other.first(0), 0U);
  EXPECT_EQ(other.first(1), 4U);
  EXPECT_TRUE(other.all_found());
}

}  // namespace
}  // namespace watchwheel::checker
