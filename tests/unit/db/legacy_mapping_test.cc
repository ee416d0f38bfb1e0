// SPDX-License-Identifier: Apache-2.0
#include "db/legacy_mapping.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace watchwheel::db {
namespace {

using core::SiteState;
using ::testing::HasSubstr;

core::WallTime at(std::int64_t seconds) {
  return core::from_unix_ms((1'700'000'000 + seconds) * 1000);
}

std::string problem(const LegacyMapping& mapping) {
  const auto fits = check_mapping(mapping);
  return fits ? "" : fits.error().message;
}

TEST(LegacyMapping, TheShippedOneIsWhole) {
  EXPECT_EQ(problem(jetpack_mapping()), "");
}

TEST(LegacyMapping, EachMistakeNamesItsKeyAndWhatWouldBeRight) {
  struct Case {
    void (*spoil)(LegacyMapping&);
    const char* words;
  };
  const Case cases[] = {
      {[](LegacyMapping& m) { m.table = "a.b.c"; }, "legacy.table: 'a.b.c' is no name of a table"},
      {[](LegacyMapping& m) { m.table = ".b"; }, "legacy.table"},
      {[](LegacyMapping& m) { m.table = "a."; }, "legacy.table"},
      {[](LegacyMapping& m) { m.table = ""; }, "legacy.table: is empty"},
      {[](LegacyMapping& m) { m.url = "u`; DROP"; }, "legacy.url: 'u`; DROP' is no name"},
      {[](LegacyMapping& m) { m.id = ""; }, "legacy.id: is empty"},
      {[](LegacyMapping& m) { m.name = "what?"; }, "legacy.name"},
      {[](LegacyMapping& m) { m.status_down = ""; }, "legacy.status_up and legacy.status_down"},
      {[](LegacyMapping& m) { m.status = "MONITOR_active"; },
       "legacy.status: the column MONITOR_active is that of legacy.active too"},
      {[](LegacyMapping& m) { m.checked_at = m.status_changed_at; },
       "legacy.checked_at: the column last_status_change is that of legacy.status_changed_at too"},
      {[](LegacyMapping& m) { m.next_check_at = m.interval; }, "legacy.next_check_at: the column"},
      {[](LegacyMapping& m) { m.active_when = ""; }, "legacy.active_when: is empty"},
      {[](LegacyMapping& m) { m.status = m.status_changed_at = ""; }, "legacy.status: to write"},
      {[](LegacyMapping& m) {
         m.bucket = "";
         m.buckets = {{1, 2}};
       },
       "legacy.buckets: without"},
      {[](LegacyMapping& m) {
         m.status = "";
         m.checked_at = "c";
       },
       "legacy.status_changed_at: without"},
  };
  for (const Case& one : cases) {
    LegacyMapping mapping = jetpack_mapping();
    one.spoil(mapping);
    EXPECT_THAT(problem(mapping), HasSubstr(one.words));
  }
}

TEST(LegacyMapping, AUrlGetsItsSchemeAndLosesBlanks) {
  const LegacyMapping mapping = jetpack_mapping();
  EXPECT_EQ(legacy_url(mapping, "https://a.example/x"), "https://a.example/x");
  EXPECT_EQ(legacy_url(mapping, " a.example/x\r\n"), "http://a.example/x");
  EXPECT_EQ(legacy_url(mapping, "a.example:8080/"), "http://a.example:8080/");
  EXPECT_EQ(legacy_url(mapping, "a.example/?to=https://b.example"),
            "http://a.example/?to=https://b.example");
  EXPECT_EQ(legacy_url(mapping, "//a.example/"), "http://a.example/");
  EXPECT_EQ(legacy_url(mapping, "ftp://a.example/"), "ftp://a.example/");
  EXPECT_EQ(legacy_url(mapping, "   "), "");
}

TEST(LegacyMapping, BucketRangesRise) {
  const auto ranges = parse_bucket_ranges(" 0-127, 300 ,-5-2");
  EXPECT_FALSE(ranges);
  const auto good = parse_bucket_ranges("-5--2, 0-127,300");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(*good, (std::vector<BucketRange>{{-5, -2}, {0, 127}, {300, 300}}));
  EXPECT_EQ(format_bucket_ranges(*good), "-5--2,0-127,300");
  EXPECT_TRUE(parse_bucket_ranges("")->empty());
  for (const char* bad : {"a", "1-", "3-1", "1,1", "1-5,5", ",", "1,,2", "-"})
    EXPECT_FALSE(parse_bucket_ranges(bad)) << bad;
}

// Goal: what is written follows from what we know and what stands there, in every combination.
TEST(LegacyMapping, OnlyWhatDiffersIsWritten) {
  LegacyMapping mapping = jetpack_mapping();
  mapping.checked_at = "checked";
  const LegacyTruth down{.url = "http://a.example/",
                         .active = true,
                         .state = SiteState::Down,
                         .since = at(100),
                         .checked_at = at(200)};
  const LegacyWord up{
      .url = "a.example/", .status = "1", .status_changed_at = at(0), .checked_at = at(150)};
  LegacyChange change = legacy_change(mapping, down, up, at(201));
  EXPECT_TRUE(change.ours);
  EXPECT_EQ(change.status, "2");
  EXPECT_EQ(change.status_changed_at, at(100));
  EXPECT_TRUE(change.fresh);
  EXPECT_FALSE(change.overruled);

  // Said already: the time of its change stays too.
  LegacyWord same = up;
  same.status = "2";
  same.status_changed_at = at(101);
  same.checked_at = at(200);
  EXPECT_FALSE(legacy_change(mapping, down, same, at(201)).any());

  // Another program said otherwise after it began.
  LegacyWord other = up;
  other.status_changed_at = at(150);
  change = legacy_change(mapping, down, other, at(201));
  EXPECT_EQ(change.status, "2");
  EXPECT_TRUE(change.overruled);

  // It looked later than we did, and its clock is right; or is not.
  other.checked_at = at(205);
  EXPECT_FALSE(legacy_change(mapping, down, other, at(201)).fresh);
  other.checked_at = at(500);
  EXPECT_TRUE(legacy_change(mapping, down, other, at(201)).fresh);
}

TEST(LegacyMapping, WhatWasNotMeasuredIsNotSaid) {
  const LegacyMapping mapping = jetpack_mapping();
  const LegacyWord word{.url = "http://a.example/", .status = "1"};
  LegacyTruth truth{
      .url = "http://a.example/", .active = true, .state = SiteState::Down, .since = at(1)};
  EXPECT_TRUE(legacy_change(mapping, truth, word, at(9)).any());
  truth.state.reset();
  EXPECT_FALSE(legacy_change(mapping, truth, word, at(9)).any());
  for (const SiteState state : {SiteState::Unknown, SiteState::Maintenance, SiteState::Paused}) {
    truth.state = state;
    EXPECT_FALSE(legacy_change(mapping, truth, word, at(9)).any());
  }
  truth.state = SiteState::Down;
  truth.active = false;
  EXPECT_FALSE(legacy_change(mapping, truth, word, at(9)).ours);
  truth.active = true;
  truth.url = "http://b.example/";  // What we measured was another URL.
  EXPECT_FALSE(legacy_change(mapping, truth, word, at(9)).ours);
  EXPECT_FALSE(legacy_change(mapping, truth, word, at(9)).any());
}

TEST(LegacyMapping, AStateWithoutACodeIsLeftAlone) {
  LegacyMapping mapping = jetpack_mapping();
  mapping.status_seems_down = "";
  const LegacyWord word{.url = "http://a.example/", .status = "1"};
  LegacyTruth truth{
      .url = "http://a.example/", .active = true, .state = SiteState::SeemsDown, .since = at(1)};
  EXPECT_FALSE(legacy_change(mapping, truth, word, at(9)).any());
  truth.state = SiteState::Up;  // Never down: seen up is all that is known.
  truth.since = core::kNoWallTime;
  truth.checked_at = at(5);
  LegacyWord down = word;
  down.status = "2";
  const LegacyChange change = legacy_change(mapping, truth, down, at(9));
  EXPECT_EQ(change.status, "1");
  EXPECT_EQ(change.status_changed_at, at(5));
}

}  // namespace
}  // namespace watchwheel::db
