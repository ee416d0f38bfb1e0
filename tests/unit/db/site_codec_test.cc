// SPDX-License-Identifier: Apache-2.0
#include "db/site_codec.h"

#include <gtest/gtest.h>

#include <functional>

namespace watchwheel::db {
namespace {

using namespace std::chrono_literals;

core::SiteRecord good() {
  core::SiteRecord record;
  record.id = core::SiteId{7};
  record.url = "https://shop.example/";
  record.interval = 60s;
  record.name = "Shop";
  record.tags = {"eu", "prod"};
  record.options = {{"keyword", "Welcome"}, {"timeout", "5s"}};
  return record;
}

TEST(SiteCodec, TextsComeBackAsTheyWere) {
  const std::vector<std::string> tags{"b", "a", "quote \" and \\", "\xC3\xBC"};
  EXPECT_EQ(tags_from_json(tags_to_json(tags)).value(), tags);
  EXPECT_EQ(tags_to_json({}), "[]");
  const core::SiteOptions options{{"body", std::string("nul\0line\nend", 12)},
                                  {"keyword", "\"x\""}};
  EXPECT_EQ(options_from_json(options_to_json(options)).value(), options);
  EXPECT_EQ(options_to_json({}), "{}");
}

TEST(SiteCodec, OptionsAreStoredSortedByName) {
  const core::SiteOptions sorted{{"body", "1"}, {"timeout", "2s"}};
  const core::SiteOptions other{{"timeout", "2s"}, {"body", "1"}};
  EXPECT_EQ(options_to_json(sorted), options_to_json(other));
  EXPECT_EQ(options_from_json(options_to_json(other)).value(), sorted);
}

TEST(SiteCodec, WhatIsNotOursIsCorrupt) {
  for (const char* json : {"", "{}", "[1]", "[\"a\"", "null", "\xFF"}) {
    EXPECT_EQ(tags_from_json(json).error().kind, core::ErrorKind::Corrupt) << json;
  }
  for (const char* json : {"", "[]", "{\"timeout\":5}", "{", "{\"a\":null}"}) {
    EXPECT_EQ(options_from_json(json).error().kind, core::ErrorKind::Corrupt) << json;
  }
}

TEST(SiteCodec, AFitRecordIsTaken) {
  EXPECT_TRUE(check_record(good()));
  core::SiteRecord edge = good();
  edge.url = "https://" + std::string(core::kUrlBytesMax - 8, 'x');
  edge.name = std::string(256, 'n');
  edge.tags.assign(32, std::string(64, 't'));
  edge.interval = core::kIntervalMax;
  edge.id = core::SiteId{kGivenSiteIdMax};
  EXPECT_TRUE(check_record(edge));
  edge.interval.reset();
  edge.id = core::SiteId{};
  EXPECT_TRUE(check_record(edge));
}

// Goal: each thing that cannot be stored is refused with a word that says what. Method: spoil one
// thing of a fit record.
TEST(SiteCodec, EachUnfitThingIsNamed) {
  struct Case {
    const char* word;
    std::function<void(core::SiteRecord&)> spoil;
  };
  const std::vector<Case> cases{
      {"id", [](auto& r) { r.id = core::SiteId{kGivenSiteIdMax + 1}; }},
      {"URL is empty", [](auto& r) { r.url.clear(); }},
      {"URL has 2049 bytes", [](auto& r) { r.url = std::string(2049, 'x'); }},
      {"URL is not UTF-8", [](auto& r) { r.url = "https://\xFF/"; }},
      {"URL holds a control", [](auto& r) { r.url = "https://a\n/"; }},
      {"URL holds a control", [](auto& r) { r.url = std::string("https://a\0b", 11); }},
      {"name has 257", [](auto& r) { r.name = std::string(257, 'n'); }},
      {"name is not UTF-8", [](auto& r) { r.name = "M\xFCller"; }},
      {"name holds a control", [](auto& r) { r.name = "a\tb"; }},
      {"33 tags", [](auto& r) { r.tags.assign(33, "t"); }},
      {"a tag has 65", [](auto& r) { r.tags = {std::string(65, 't')}; }},
      {"a tag is empty", [](auto& r) { r.tags = {""}; }},
      {"a tag is not UTF-8", [](auto& r) { r.tags = {"\xC3"}; }},
      {"interval 999ms", [](auto& r) { r.interval = 999ms; }},
      {"interval", [](auto& r) { r.interval = 24h + 1ms; }},
      {"whole milliseconds", [](auto& r) { r.interval = 1s + 1us; }},
      {"'colour' is not a check option",
       [](auto& r) {
         r.options = {{"colour", "red"}};
       }},
      {"timeout is given twice",
       [](auto& r) {
         r.options = {{"timeout", "1s"}, {"timeout", "2s"}};
       }},
      {"option keyword is not UTF-8",
       [](auto& r) {
         r.options = {{"keyword", "\xFF"}};
       }},
  };
  for (const Case& one : cases) {
    core::SiteRecord record = good();
    one.spoil(record);
    const core::Result<void> checked = check_record(record);
    ASSERT_FALSE(checked) << one.word;
    EXPECT_EQ(checked.error().kind, core::ErrorKind::Invalid);
    EXPECT_NE(checked.error().message.find(one.word), std::string::npos) << checked.error().message;
  }
}

}  // namespace
}  // namespace watchwheel::db
