// SPDX-License-Identifier: Apache-2.0
#include "http/page.h"

#include <gtest/gtest.h>

namespace watchwheel::http {
namespace {

bool has(const std::string& page, std::string_view text) {
  return page.find(text) != std::string::npos;
}

TEST(Page, ShowsStateAndStatus) {
  const std::string page =
      render_page({.healthy = true,
                   .healthy_why = {},
                   .ready = false,
                   .ready_why = "loading",
                   .status_json = R"({"sites":{"up":3,"down":0},"lanes":[{"in_flight":2}]})"});
  EXPECT_TRUE(has(page, "Makes progress</th><td class=\"good\">yes"));
  EXPECT_TRUE(has(page, "Checks its sites</th><td class=\"bad\">no: loading"));
  EXPECT_TRUE(has(page, "<th>up</th><td>3</td>"));
  EXPECT_TRUE(has(page, "<th>in_flight</th><td>2</td>"));
  EXPECT_TRUE(has(page, "href=\"/metrics\""));
}

// Whatever reaches the page from outside, as key, value or reason, stays text.
TEST(Page, TextFromOutsideCannotBecomeMarkup) {
  const std::string attack = R"(<script>alert(1)</script>)";
  const std::string page =
      render_page({.healthy = false,
                   .healthy_why = attack,
                   .ready = false,
                   .ready_why = attack + "\"'&",
                   .status_json = R"({"<b>k":"<img src=x onerror=1>","n":[")" + attack + R"("]})"});
  EXPECT_FALSE(has(page, "<script"));
  EXPECT_FALSE(has(page, "<img"));
  EXPECT_FALSE(has(page, "<b>"));
  EXPECT_TRUE(has(page, "&lt;img src=x onerror=1&gt;"));
  EXPECT_TRUE(has(page, "&quot;&#39;&amp;"));
}

TEST(Page, ControlCharactersAreReplaced) {
  EXPECT_EQ(escape_html(std::string("a\0b\x1b[0m\tc\nd", 11)),
            "a\xEF\xBF\xBD"
            "b\xEF\xBF\xBD[0m\tc\nd");
}

TEST(Page, AStatusThatCannotBeReadIsSaidSo) {
  for (const char* broken : {"", "{", "not json", "{\"a\":\"\xff\"}"}) {
    const std::string page = render_page({true, "", true, "", broken});
    EXPECT_TRUE(has(page, "could not be read")) << broken;
    EXPECT_TRUE(has(page, "</html>"));
  }
}

TEST(Page, DepthAndLengthAreBounded) {
  std::string deep;
  for (int i = 0; i < 50; ++i) deep += "{\"k\":";
  deep += "1" + std::string(50, '}');
  const std::string page = render_page({true, "", true, "", deep});
  EXPECT_TRUE(has(page, "&hellip;"));

  std::string wide = "[0";
  for (int i = 0; i < 5000; ++i) wide += "," + std::to_string(i);
  const std::string long_page = render_page({true, "", true, "", wide + "]"});
  EXPECT_TRUE(has(long_page, "and more: see /api/v1/status"));
  EXPECT_LT(long_page.size(), 100'000u);
}

TEST(Page, OddValuesHaveAReading) {
  const std::string page = render_page(
      {true, "", true, "", R"({"a":null,"b":[],"c":{},"d":true,"e":0.0006387755102,"f":-2})"});
  EXPECT_TRUE(has(page, "<th>a</th><td>&ndash;</td>"));
  EXPECT_TRUE(has(page, "<th>b</th><td>none</td>"));
  EXPECT_TRUE(has(page, "<th>d</th><td>true</td>"));
  EXPECT_TRUE(has(page, "<th>e</th><td>0.0006388</td>"));
}

}  // namespace
}  // namespace watchwheel::http
