// SPDX-License-Identifier: Apache-2.0
// Bodies are written by strangers: random ones, cut at random places, against naive models. The seed is printed and replays
// (WATCHWHEEL_SEED).
#include <gtest/gtest.h>

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

}  // namespace
}  // namespace watchwheel::checker
