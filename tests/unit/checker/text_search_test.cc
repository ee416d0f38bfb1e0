// SPDX-License-Identifier: Apache-2.0
#include "checker/text_search.h"

#include <gtest/gtest.h>

#include <algorithm>
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
      search.finish();
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
  search.finish();
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
    search.finish();
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
  other.finish();
  EXPECT_EQ(other.first(0), 0U);
  EXPECT_EQ(other.first(1), 4U);
  EXPECT_TRUE(other.all_found());
}

// Pieces that are gathered, pieces that are looked at where they lie, and both in turn, with a text at every kind of border.
TEST(TextSearch, FindsAcrossWhatItGathersAndWhatItDoesNot) {
  const std::string text = "needle";
  for (const std::size_t at : {4'090U, 4'093U, 4'095U, 4'096U, 8'190U, 9'000U, 12'285U, 19'994U}) {
    std::string body(20'000, 'n');
    body.replace(at, text.size(), text);
    for (const std::size_t piece : {1U, 7U, 4'000U, 4'095U, 4'096U, 4'097U, 5'000U, 20'000U}) {
      for (const std::size_t first : {0U, 1U, 5U, 4'000U}) {
        TextSearch search({text, "never"}, false);
        std::string_view rest(body);
        search.feed(rest.substr(0, first));
        rest.remove_prefix(first);
        while (!rest.empty()) {
          search.feed(rest.substr(0, piece));
          rest.remove_prefix(std::min<std::size_t>(piece, rest.size()));
        }
        search.finish();
        ASSERT_EQ(search.first(0), at) << piece << ' ' << first;
        ASSERT_FALSE(search.first(1));
      }
    }
  }
}

// Goal: nobody makes a search dear by sending his body in small pieces. Method: count what is compared, not the time.
TEST(TextSearch, CostsAsMuchInSmallPiecesAsInOne) {
  const std::string body(64 * 1024, 'x');
  for (const std::size_t longest : {8U, 1'002U, 10'000U}) {
    std::vector<std::string> texts(16, std::string(longest, 'y'));
    for (const std::size_t piece : {1U, 3U, 100U, 1'000U, 4'095U, 4'097U, 16'384U, 65'536U}) {
      TextSearch search({texts.begin(), texts.end()}, false);
      for (std::size_t at = 0; at < body.size(); at += piece)
        search.feed(std::string_view(body).substr(at, piece));
      search.finish();
      EXPECT_GE(search.bytes_compared(), texts.size() * body.size());
      EXPECT_LE(search.bytes_compared(), texts.size() * body.size() * 3) << longest << ' ' << piece;
    }
  }
}

TEST(TextSearch, LooksAgainAfterItWasAsked) {
  TextSearch search({"abcd"}, false);
  search.feed("ab");
  search.finish();
  EXPECT_FALSE(search.first(0));
  search.feed("cd");
  search.finish();
  search.finish();
  EXPECT_EQ(search.first(0), 0U);
}

}  // namespace
}  // namespace watchwheel::checker
