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
  EXPECT_TRUE(has(page, "<tr><th>in_flight</th></tr>\n<tr><td>2</td></tr>"));
  EXPECT_TRUE(has(page, "href=\"/metrics\""));
}

TEST(Page, TheSentenceIsOnTopAndTheLastMinutesAreDrawn) {
  const std::string page = render_page(
      {true, "", true, "",
       R"({"summary":{"standing":"late","text":"late: <stretched>"},"pressure":{"memory":0.25,"ports":7},
           "recent":{"step_s":5,"done_per_second":[0,50,100],"lag_p99_s":[0,0]},
           "lanes":[{"sites":3,"cpu_share":0.5},{"sites":4,"cpu_share":0.6}],"mixed":[{"a":1},{"b":2}]})"});
  EXPECT_LT(page.find("late: &lt;stretched&gt;"), page.find("Makes progress"));
  EXPECT_TRUE(has(page, "<p class=\"summary late\">"));
  EXPECT_TRUE(has(page, "<polyline points=\"0,59 180,30 360,1 \"/>"));
  EXPECT_TRUE(has(page, "lag p99 in seconds, the last minutes, to 0"));
  EXPECT_TRUE(has(page, "<meter min=\"0\" max=\"1\" value=\"0.25\"></meter> 0.25"));
  EXPECT_TRUE(has(page, "value=\"1\"></meter> 7"));
  EXPECT_TRUE(
      has(page, "<tr><th>sites</th><th>cpu_share</th></tr>\n<tr><td>3</td><td>0.5</td></tr>"));
  EXPECT_TRUE(has(page, "<th>2</th><td><table><tr><th>b</th><td>2</td>"))
      << "rows that differ stay a list";
  EXPECT_FALSE(has(page, "<th>summary</th>"));
  EXPECT_TRUE(has(page, "http-equiv=\"refresh\""));
}

TEST(Page, ASummaryOrHistoryThatIsOddIsLeftOut) {
  for (
      const char* odd :
      {R"({"summary":5,"recent":[1]})",
       R"({"summary":{"text":3},"recent":{"done_per_second":[1]}})",
       R"({"summary":{"text":"x","standing":"\"><script>"},"recent":{"done_per_second":["a",{}],"lag_p99_s":[1e999,-1]}})"}) {
    const std::string page = render_page({true, "", true, "", odd});
    EXPECT_TRUE(has(page, "</html>")) << odd;
    EXPECT_FALSE(has(page, "<script")) << odd;
  }
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
