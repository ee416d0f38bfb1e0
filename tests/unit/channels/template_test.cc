// SPDX-License-Identifier: Apache-2.0
#include "channels/template.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace watchwheel::channels {
namespace {

std::size_t site_field(std::string_view name) {
  return static_cast<std::size_t>(std::find(kSiteFields.begin(), kSiteFields.end(), name) -
                                  kSiteFields.begin());
}

TemplateValues two_sites() {
  TemplateValues values;
  values.message[4] = "DOWN 2 sites";  // headline
  values.sites.resize(2);
  values.sites[0][site_field("name")] = "shop";
  values.sites[1][site_field("name")] = "blog";
  values.sites[1][site_field("detail")] = "refused";
  return values;
}

std::string rendered(std::string_view text, std::size_t bytes_max = 1000) {
  const auto parsed = Template::parse(text);
  return parsed ? parsed->render(two_sites(), bytes_max) : "! " + parsed.error().message;
}

std::string problem(std::string_view text) {
  const auto parsed = Template::parse(text);
  return parsed ? "" : parsed.error().message;
}

TEST(Template, SaysWhatItIsGiven) {
  EXPECT_EQ(rendered(""), "");
  EXPECT_EQ(rendered("plain } { text"), "plain } { text");
  EXPECT_EQ(rendered("{{headline}}!"), "DOWN 2 sites!");
  EXPECT_EQ(rendered("{{ name }}"), "shop");
  EXPECT_EQ(rendered("[{{note}}]"), "[]");
  EXPECT_EQ(rendered("{{#sites}}{{name}};{{/sites}}"), "shop;blog;");
  EXPECT_EQ(rendered("{{#sites}}{{name}}{{#detail}} ({{detail}}){{/detail}} {{/sites}}"),
            "shop blog (refused) ");
  EXPECT_EQ(rendered("{{#note}}never{{/note}}{{#headline}}always{{/headline}}"), "always");
  EXPECT_EQ(rendered("{{#detail}}of the first{{/detail}}"), "");
}

TEST(Template, WithoutSitesTheirFieldsAreEmpty) {
  const auto parsed = Template::parse("<{{name}}{{#sites}}{{name}}{{/sites}}>");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->render(TemplateValues{}, 100), "<>");
}

TEST(Template, WhatIsToldIsEscapedAndTheOperatorsOwnTextIsNot) {
  const auto parsed = Template::parse("<b>{{headline}}</b>");
  ASSERT_TRUE(parsed);
  TemplateValues values;
  values.message[4] = "a<b";
  const auto escape = [](std::string_view text) {
    std::string out;
    for (const char c : text) out += c == '<' ? '_' : c;
    return out;
  };
  EXPECT_EQ(parsed->render(values, 100, escape), "<b>a_b</b>");
}

TEST(Template, WhatIsToldIsNoTemplate) {
  const auto parsed = Template::parse("{{headline}}");
  ASSERT_TRUE(parsed);
  TemplateValues values;
  values.message[4] = "{{name}} {{#sites}}";
  EXPECT_EQ(parsed->render(values, 100), "{{name}} {{#sites}}");
}

TEST(Template, ProblemsSayWhereAndWhatWouldBeRight) {
  EXPECT_NE(problem("{{nmae}}").find("\"nmae\" is no field; there are id, kind"),
            std::string::npos);
  EXPECT_NE(problem("a\nb\n{{").find("line 3"), std::string::npos);
  EXPECT_NE(problem("{{#note}}x").find("{{/note}} is missing"), std::string::npos);
  EXPECT_NE(problem("x{{/note}}").find("closes no section"), std::string::npos);
  EXPECT_NE(problem("{{#note}}{{#sites}}{{/note}}{{/sites}}").find("where {{/sites}} is due"),
            std::string::npos);
  EXPECT_NE(problem("{{#sites}}{{#sites}}{{/sites}}{{/sites}}").find("within {{#sites}}"),
            std::string::npos);
  EXPECT_NE(problem("{{#note}}{{#note}}{{#note}}{{#note}}{{#note}}").find("4 deep"),
            std::string::npos);
  EXPECT_NE(problem("{{}}").find("is no field"), std::string::npos);
  EXPECT_NE(problem("{{sites}}").find("is no field"), std::string::npos);
  EXPECT_NE(problem(std::string(kTemplateBytesMax + 1, 'x')).find("16 KiB"), std::string::npos);
  EXPECT_EQ(problem(std::string(kTemplateBytesMax, 'x')), "");
}

TEST(Template, IsCutAtACharacter) {
  EXPECT_EQ(rendered("äöü", 3), "ä…");
  EXPECT_EQ(rendered("äöü", 4), "äö…");
  EXPECT_EQ(rendered("äöü", 6), "äöü");
  TemplateValues many;
  many.sites.resize(1000);
  const auto parsed = Template::parse("{{#sites}}" + std::string(1000, 'x') + "{{/sites}}");
  ASSERT_TRUE(parsed);
  EXPECT_EQ(parsed->render(many, 5000).size(), 5000 + std::string("…").size());
}

// Property: any text is read or refused, and what is read can be rendered; pieces of templates in any order find the edges.
TEST(Template, AnyTextIsReadOrRefused) {
  const std::vector<std::string> pieces{"{{",           "}}",         "#",          "/",
                                        "sites",        "{{#sites}}", "{{/sites}}", "{{name}}",
                                        "{{note}}",     "{{#note}}",  "{{/note}}",  "x",
                                        "\n",           " ",          "ä",          "{{#headline}}",
                                        "{{/headline}}"};
  std::size_t read = 0;
  for (std::uint64_t seed = 1; seed <= 20'000; ++seed) {
    std::mt19937_64 random{seed};
    std::string text;
    for (std::uint64_t i = 0; i < random() % 12; ++i) text += pieces[random() % pieces.size()];
    const auto parsed = Template::parse(text);
    if (!parsed) {
      EXPECT_FALSE(parsed.error().message.empty());
      continue;
    }
    ++read;
    EXPECT_LE(parsed->render(two_sites(), 50).size(), 53U) << text;
  }
  EXPECT_GT(read, 1000U);
}

}  // namespace
}  // namespace watchwheel::channels
