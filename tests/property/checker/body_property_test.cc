// SPDX-License-Identifier: Apache-2.0
// Bodies are written by strangers: random ones, cut at random places, against naive models. The seed is printed and replays
// (WATCHWHEEL_SEED).
#include <gtest/gtest.h>
#include <iconv.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>

#include "checker/body_scan.h"
#include "checker/error_pages.h"

namespace watchwheel::checker {
namespace {

std::uint64_t seed_from_env() {
  const char* text = std::getenv("WATCHWHEEL_SEED");
  return text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 10);
}

class BodyProperty : public ::testing::Test {
 protected:
  BodyProperty() : seed_(seed_from_env()), random_(seed_) {
    RecordProperty("seed", std::to_string(seed_));
  }
  std::size_t up_to(std::size_t most) {
    return std::uniform_int_distribution<std::size_t>(0, most)(random_);
  }
  // From few letters, so that texts almost match again and again.
  std::string letters(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text.push_back(static_cast<char>('a' + up_to(1)));
    return text;
  }
  const std::uint64_t seed_;
  std::mt19937_64 random_;
};

TEST_F(BodyProperty, ScanFindsWhatASearchOfTheWholeFinds) {
  for (int round = 0; round < 20'000; ++round) {
    BodyRules rules;
    for (std::size_t i = up_to(2); i > 0; --i) rules.keyword.push_back(letters(1 + up_to(6)));
    for (std::size_t i = up_to(3); i > 0; --i) rules.forbidden.push_back(letters(1 + up_to(8)));
    const std::string body = letters(up_to(40));
    BodyScan scan(rules);
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t size = up_to(8);
      scan.feed(std::string_view(body).substr(at, size));
      at += size;
    }
    scan.finish();
    std::optional<std::string_view> forbidden;
    for (const std::string& text : rules.forbidden) {
      if (!forbidden && body.find(text) != std::string::npos) forbidden = text;
    }
    std::optional<std::string_view> missing;
    for (const std::string& text : rules.keyword) {
      if (!missing && body.find(text) == std::string::npos) missing = text;
    }
    ASSERT_EQ(scan.keyword_missing(), missing) << "seed " << seed_;
    ASSERT_EQ(scan.forbidden_found(), forbidden) << "seed " << seed_;
    ASSERT_EQ(scan.bytes(), body.size()) << "seed " << seed_;
  }
}

// Any soup of tags, cut anywhere, is read to its end without harm.
TEST_F(BodyProperty, ErrorPageRulesReadAnything) {
  const std::vector<std::string> pieces{"<",
                                        ">",
                                        "</",
                                        "<!--",
                                        "-->",
                                        "<script",
                                        "</script>",
                                        "<title>",
                                        "</title",
                                        "<h1>",
                                        "</h1>",
                                        "<h2 a='>'",
                                        "&nbsp;",
                                        "&",
                                        "&amp",
                                        " ",
                                        "\n",
                                        "Index of /",
                                        "Fatal error:",
                                        " on line ",
                                        "502 Bad Gateway",
                                        "x",
                                        std::string("\0", 1),
                                        "\xff\xfe",
                                        "<style>",
                                        "<template>",
                                        "It works!"};
  std::size_t recognised = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string page;
    for (std::size_t i = up_to(12); i > 0; --i) page += pieces[up_to(pieces.size() - 1)];
    page.resize(page.size() - up_to(std::min<std::size_t>(page.size(), 3)));
    const auto match = recognise_error_page({.content_type = "text/html", .body = page});
    if (match) {
      ++recognised;
      ASSERT_EQ(match->rfind("the page is ", 0), 0U) << "seed " << seed_;
    }
  }
  RecordProperty("recognised", std::to_string(recognised));
}

std::string in_small(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

TEST_F(BodyProperty, SearchWithoutCaseFindsWhatASearchOfSmallLettersFinds) {
  const std::string alphabet = "aAbB[{@`zZ";
  const auto text = [&](std::size_t size) {
    std::string out;
    for (std::size_t i = 0; i < size; ++i) out.push_back(alphabet[up_to(alphabet.size() - 1)]);
    return out;
  };
  for (int round = 0; round < 20'000; ++round) {
    const std::vector<std::string> texts{text(1 + up_to(3)), text(1 + up_to(12)),
                                         text(1 + up_to(20))};
    const std::string body = text(up_to(80));
    TextSearch search({texts.begin(), texts.end()}, true);
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t size = up_to(20);
      search.feed(std::string_view(body).substr(at, size));
      if (up_to(5) == 0) search.finish();  // Whenever somebody asks.
      at += size;
    }
    search.finish();
    for (std::size_t i = 0; i < texts.size(); ++i) {
      const std::size_t at = in_small(body).find(in_small(texts[i]));
      ASSERT_EQ(search.first(i).value_or(std::string::npos), at)
          << "seed " << seed_ << " \"" << texts[i] << "\" in \"" << body << '"';
    }
  }
}

// The whole text at once, with the library's own state and nothing else: what pieces must give too.
std::string converted_at_once(const char* charset, std::string_view text, std::size_t unit) {
  iconv_t descriptor = iconv_open("UTF-8", charset);
  std::vector<char> out(text.size() * 4 + 16);
  std::string in(text);
  char* from = in.data();
  std::size_t left = in.size();
  char* to = out.data();
  std::size_t room = out.size();
  while (left > 0) {
    const std::string_view before(from, left);
    if (iconv(descriptor, &from, &left, &to, &room) != static_cast<std::size_t>(-1)) break;
    const bool cut = errno == EINVAL;
    // glibc 2.36 names this pair bad and has already stepped over it.
    const bool stepped_over = std::string_view(charset) == "UHC" &&
                              before.substr(0, before.size() - left).ends_with("\xa2\xe8");
    const std::size_t skip = cut ? left : stepped_over ? 0 : std::min(left, unit);
    from += skip;
    left -= skip;
    to = std::copy_n("\xef\xbf\xbd", 3, to);
    room -= 3;
  }
  iconv(descriptor, nullptr, nullptr, &to, &room);
  iconv_close(descriptor);
  return {out.data(), to};
}

TEST_F(BodyProperty, PiecesOfAPageAreTheCharactersOfTheWhole) {
  struct Pair {
    const char* label;
    const char* iconv;
    std::size_t unit;
  };
  const std::vector<Pair> pairs{
      {"shift_jis", "CP932", 1},   {"gbk", "GB18030", 1},           {"euc-jp", "EUC-JP-MS", 1},
      {"euc-kr", "UHC", 1},        {"big5", "BIG5-HKSCS", 1},       {"utf-16", "UTF-16LE", 2},
      {"utf-16be", "UTF-16BE", 2}, {"iso-8859-2", "ISO-8859-2", 1}, {"windows-1251", "CP1251", 1}};
  BodyMeans means{{}, KeptBytes{1024 * 1024}};
  const BodyRules rules{.keyword = {}, .forbidden = {}, .keep_text = true};
  for (int round = 0; round < 20'000; ++round) {
    const Pair& pair = pairs[up_to(pairs.size() - 1)];
    std::string body;
    for (std::size_t i = up_to(30); i > 0; --i)
      body.push_back(static_cast<char>(up_to(2) == 0 ? up_to(255) : 0x81 + up_to(0x7e)));
    // A byte order mark would be another charset.
    if (body.size() > 1) body[0] = 'x';
    BodyScan scan(rules, &means, std::string("text/plain; charset=") + pair.label);
    for (std::size_t at = 0; at < body.size();) {
      const std::size_t size = up_to(6);
      scan.feed(std::string_view(body).substr(at, size));
      at += size;
    }
    scan.finish();
    ASSERT_EQ(scan.text(), converted_at_once(pair.iconv, body, pair.unit))
        << "seed " << seed_ << ' ' << pair.label << ", " << testing::PrintToString(body);
  }
  EXPECT_EQ(means.kept.used(), 0U);
}

// Any soup of declarations, cut anywhere, is read to its end without harm.
TEST_F(BodyProperty, DeclarationsReadAnything) {
  const std::vector<std::string> pieces{
      "<meta",   "<META ",     " charset",     "=",      "'",   "\"",   ">",   "/",     " ",
      "content", "http-equiv", "content-type", "utf-16", "gbk", "<!--", "-->", "<?xml", "encoding",
      "?>",      "x",          "\n",           ";"};
  std::size_t declared = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string head;
    for (std::size_t i = up_to(14); i > 0; --i) head += pieces[up_to(pieces.size() - 1)];
    std::string type;
    for (std::size_t i = up_to(4); i > 0; --i) type += pieces[up_to(pieces.size() - 1)];
    const Declaration said = declared_charset(up_to(1) == 0 ? "" : type, head);
    if (said.charset != nullptr) ++declared;
    ASSERT_LE(said.label.size(), 40U);
  }
  EXPECT_GT(declared, 0U);
}

}  // namespace
}  // namespace watchwheel::checker
