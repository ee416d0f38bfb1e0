// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/svg.h"

#include <gtest/gtest.h>

#include <cctype>
#include <cmath>
#include <limits>

namespace watchwheel::rig {
namespace {

// What is wrong with `text` as XML: tags that do not nest, quotes that do not close, bare `<` and `&`.
std::string wrong_with_xml(const std::string& text) {
  std::vector<std::string> open;
  std::size_t elements = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '&') {
      const std::string rest = text.substr(i, 6);
      if (!rest.starts_with("&amp;") && !rest.starts_with("&lt;") && !rest.starts_with("&gt;") &&
          !rest.starts_with("&quot;")) {
        return "a bare & at " + std::to_string(i);
      }
    }
    if (text[i] != '<') continue;
    std::size_t end = i + 1;
    bool is_quoted = false;
    for (; end < text.size() && (is_quoted || text[end] != '>'); ++end) {
      if (text[end] == '"') is_quoted = !is_quoted;
      if (text[end] == '<') return "a < within a tag at " + std::to_string(end);
    }
    if (end == text.size()) return "a tag without an end at " + std::to_string(i);
    const bool is_closing = text[i + 1] == '/';
    const bool is_empty = text[end - 1] == '/';
    std::size_t name = i + (is_closing ? 2 : 1);
    const std::size_t name_start = name;
    while (std::isalpha(static_cast<unsigned char>(text[name])) != 0) ++name;
    const std::string tag = text.substr(name_start, name - name_start);
    if (tag.empty()) return "a tag without a name at " + std::to_string(i);
    if (is_closing) {
      if (open.empty() || open.back() != tag) return "</" + tag + "> closes nothing";
      open.pop_back();
    } else if (!is_empty) {
      open.push_back(tag);
    }
    ++elements;
    i = end;
  }
  if (!open.empty()) return "<" + open.back() + "> is not closed";
  return elements == 0 ? "no element at all" : "";
}

TEST(Svg, TheJudgeOfThisTestTells) {
  EXPECT_EQ(wrong_with_xml("<a b=\"x > y\"><c/></a>\n"), "");
  for (const char* bad : {"", "<a>", "<a></b>", "<a b=\"x></a>", "<a>x & y</a>", "<a <b/></a>"}) {
    EXPECT_NE(wrong_with_xml(bad), "") << bad;
  }
}

TEST(Svg, IsWellFormedWhateverIsInIt) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double inf = std::numeric_limits<double>::infinity();
  const std::vector<Chart> charts{
      {"", "", "", {}, false},
      {"A < B & \"C\"", "<x>", "y&z", {{"no points", {}}}, true},
      {"One point", "x", "y", {{"a", {{5, 5}}}}, true},
      {"Nothing finite", "x", "y", {{"a", {{nan, 1}, {1, inf}, {nan, nan}}}}, true},
      {"All the same", "x", "y", {{"a", {{0, 7}, {1, 7}, {2, 7}}}}, false},
      {"Below zero", "x", "y", {{"a", {{-3, -7}, {1, 7e9}}}, {"b<", {{0, 1e-9}}}}, false},
  };
  for (const Chart& chart : charts) {
    const std::string text = svg_of(chart);
    EXPECT_EQ(wrong_with_xml(text), "") << chart.title;
    EXPECT_TRUE(text.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\"")) << chart.title;
    EXPECT_EQ(text.find("nan"), std::string::npos) << chart.title;
    EXPECT_EQ(text.find("inf"), std::string::npos) << chart.title;
  }
}

// Goal: a point lies where its value is: the line goes from the lower left to the upper right corner.
TEST(Svg, PointsAreWhereTheirValuesAre) {
  const std::string text = svg_of({"t", "x", "y", {{"a", {{0, 0}, {10, 100}}}}, false});
  EXPECT_NE(text.find("points=\"78.0,328.0 842.0,56.0 \""), std::string::npos) << text;
}

TEST(Svg, ManyPointsAreThinned) {
  Chart chart{"t", "x", "y", {{"a", {}}}, false};
  for (int i = 0; i < 100'000; ++i) chart.series[0].points.emplace_back(i, std::sin(i));
  EXPECT_LT(svg_of(chart).size(), 30'000U);
}

TEST(Svg, TicksAreRoundAndCoverTheRange) {
  EXPECT_EQ(ticks_over(0, 1000, 5), (std::vector<double>{0, 200, 400, 600, 800, 1000}));
  EXPECT_EQ(ticks_over(13, 13, 2), (std::vector<double>{13, 13.5, 14}));
  for (const double high : {0.003, 0.7, 9.0, 13'333.0, 4e6}) {
    const std::vector<double> ticks = ticks_over(0, high, 6);
    EXPECT_LE(ticks.size(), 9U) << high;
    EXPECT_GE(ticks.size(), 3U) << high;
    EXPECT_LE(ticks.front(), 0) << high;
    EXPECT_GE(ticks.back(), high) << high;
  }
}

}  // namespace
}  // namespace watchwheel::rig
