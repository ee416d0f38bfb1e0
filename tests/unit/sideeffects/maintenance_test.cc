// SPDX-License-Identifier: Apache-2.0
// Goal: a window holds exactly when its words say, whatever the clocks of its place do. Method: tables of moments around its
// edges and around changes of the clocks, in the zones of this machine.
#include "sideeffects/maintenance.h"

#include <gtest/gtest.h>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

core::WallTime at(const std::string& text) {
  const auto time = core::parse_iso8601(text);
  EXPECT_TRUE(time) << text;
  return time ? *time : core::kNoWallTime;
}

MaintenanceWindow once(const std::string& from, const std::string& until) {
  MaintenanceWindow window;
  window.all_sites = true;
  window.starts_at = at(from);
  window.ends_at = at(until);
  return window;
}

MaintenanceWindow recurring(const std::string& days, const std::string& time, core::Duration length,
                            const std::string& zone) {
  MaintenanceWindow window;
  window.all_sites = true;
  window.weekdays = parse_weekdays(days);
  window.at = parse_time_of_day(time).value_or(0min);
  window.length = length;
  window.zone = zone;
  return window;
}

std::string shown(const std::optional<MaintenanceSpan>& span) {
  if (!span) return "none";
  return core::to_iso8601(span->from).substr(0, 16) + " " +
         core::to_iso8601(span->until).substr(0, 16);
}

TEST(MaintenanceWindow, ThatComesOnceHoldsFromItsBeginningToBeforeItsEnd) {
  const MaintenanceWindow window = once("2026-11-20T22:00:00Z", "2026-11-20T23:00:00Z");
  EXPECT_TRUE(check_window(window));
  EXPECT_EQ(shown(span_at(window, at("2026-11-20T21:59:59Z"))), "none");
  EXPECT_EQ(shown(span_at(window, at("2026-11-20T22:00:00Z"))),
            "2026-11-20T22:00 2026-11-20T23:00");
  EXPECT_EQ(shown(span_at(window, at("2026-11-20T22:59:59Z"))),
            "2026-11-20T22:00 2026-11-20T23:00");
  EXPECT_EQ(shown(span_at(window, at("2026-11-20T23:00:00Z"))), "none");
  EXPECT_EQ(shown(next_span(window, at("2026-11-01T00:00:00Z"))),
            "2026-11-20T22:00 2026-11-20T23:00");
  EXPECT_EQ(shown(next_span(window, at("2026-11-20T23:00:00Z"))), "none");
}

struct Moment {
  const char* what;
  const char* days;
  const char* time;
  core::Duration length;
  const char* zone;
  const char* now;
  const char* span;  // What holds then.
  const char* next;  // What holds or comes next.
};

const Moment kMoments[] = {
    {"a plain evening", "daily", "22:00", 2h, "UTC", "2026-06-10T22:00:00Z",
     "2026-06-10T22:00 2026-06-11T00:00", "2026-06-10T22:00 2026-06-11T00:00"},
    {"just over", "daily", "22:00", 2h, "UTC", "2026-06-11T00:00:00Z", "none",
     "2026-06-11T22:00 2026-06-12T00:00"},
    {"after midnight it belongs to the day before", "fri", "23:00", 3h, "UTC",
     "2026-06-13T01:30:00Z", "2026-06-12T23:00 2026-06-13T02:00",
     "2026-06-12T23:00 2026-06-13T02:00"},
    {"the same hour of another day", "fri", "23:00", 3h, "UTC", "2026-06-14T01:30:00Z", "none",
     "2026-06-19T23:00 2026-06-20T02:00"},
    {"local summer time", "daily", "02:00", 1h, "Europe/Berlin", "2026-07-01T00:30:00Z",
     "2026-07-01T00:00 2026-07-01T01:00", "2026-07-01T00:00 2026-07-01T01:00"},
    {"local winter time", "daily", "02:00", 1h, "Europe/Berlin", "2026-12-01T00:30:00Z", "none",
     "2026-12-01T01:00 2026-12-01T02:00"},
    {"the hour that a spring night lacks begins with the change", "sun", "02:30", 1h,
     "Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T01:00 2026-03-29T02:00",
     "2026-03-29T01:00 2026-03-29T02:00"},
    {"before that change", "sun", "02:30", 1h, "Europe/Berlin", "2026-03-29T00:59:00Z", "none",
     "2026-03-29T01:00 2026-03-29T02:00"},
    {"of the hour that an autumn night has twice the first", "sun", "02:30", 30min, "Europe/Berlin",
     "2026-10-25T00:45:00Z", "2026-10-25T00:30 2026-10-25T01:00",
     "2026-10-25T00:30 2026-10-25T01:00"},
    {"and not the second", "sun", "02:30", 30min, "Europe/Berlin", "2026-10-25T01:45:00Z", "none",
     "2026-11-01T01:30 2026-11-01T02:00"},
    {"a night with a change is as long as was said", "sun", "01:00", 3h, "Europe/Berlin",
     "2026-03-29T02:59:00Z", "2026-03-29T00:00 2026-03-29T03:00",
     "2026-03-29T00:00 2026-03-29T03:00"},
    {"a whole week without a gap", "mon", "00:00", 7 * 24h, "UTC", "2026-06-14T23:59:00Z",
     "2026-06-08T00:00 2026-06-15T00:00", "2026-06-08T00:00 2026-06-15T00:00"},
    {"the other side of the date line", "mon", "00:30", 1h, "Pacific/Kiritimati",
     "2026-06-07T10:45:00Z", "2026-06-07T10:30 2026-06-07T11:30",
     "2026-06-07T10:30 2026-06-07T11:30"},
    {"a zone of half an hour's difference", "daily", "00:00", 1h, "Asia/Kolkata",
     "2026-06-10T18:30:00Z", "2026-06-10T18:30 2026-06-10T19:30",
     "2026-06-10T18:30 2026-06-10T19:30"},
    {"a year that no table of changes lists", "daily", "02:00", 1h, "America/New_York",
     "2045-07-01T06:30:00Z", "2045-07-01T06:00 2045-07-01T07:00",
     "2045-07-01T06:00 2045-07-01T07:00"},
};

TEST(MaintenanceWindow, ThatComesAgainHoldsWhenTheClocksOfItsPlaceSaySo) {
  for (const Moment& moment : kMoments) {
    const MaintenanceWindow window =
        recurring(moment.days, moment.time, moment.length, moment.zone);
    ASSERT_TRUE(check_window(window)) << moment.what;
    EXPECT_EQ(shown(span_at(window, at(moment.now))), moment.span) << moment.what;
    EXPECT_EQ(shown(next_span(window, at(moment.now))), moment.next) << moment.what;
  }
}

// Method: a year minute by minute in coarse steps; what span_at says is what the begins of next_span say.
TEST(MaintenanceWindow, NextSpanAndSpanAtAgreeThroughAYear) {
  const MaintenanceWindow window = recurring("tue,sun", "01:30", 90min, "America/New_York");
  int held = 0;
  for (core::WallTime now = at("2026-01-01T00:00:00Z"); now < at("2027-01-01T00:00:00Z");
       now += 31min) {
    const auto next = next_span(window, now);
    ASSERT_TRUE(next);
    const bool holds = next->from <= now;
    held += holds ? 1 : 0;
    ASSERT_EQ(span_at(window, now).has_value(), holds) << core::to_iso8601(now);
    ASSERT_LT(now, next->until);
  }
  EXPECT_NEAR(held, 104 * 90 / 31, 30);
}

TEST(MaintenanceWindow, ItsBoundsCutWhatComesAgain) {
  MaintenanceWindow window = recurring("daily", "22:00", 4h, "UTC");
  window.starts_at = at("2026-06-10T22:30:00Z");
  window.ends_at = at("2026-06-12T23:00:00Z");
  ASSERT_TRUE(check_window(window));
  EXPECT_EQ(shown(span_at(window, at("2026-06-10T23:00:00Z"))), "none") << "began before";
  EXPECT_EQ(shown(next_span(window, at("2026-01-01T00:00:00Z"))),
            "2026-06-11T22:00 2026-06-12T02:00");
  EXPECT_EQ(shown(span_at(window, at("2026-06-12T22:30:00Z"))),
            "2026-06-12T22:00 2026-06-12T23:00");
  EXPECT_EQ(shown(next_span(window, at("2026-06-12T23:00:00Z"))), "none");
}

TEST(MaintenanceWindow, CoversSitesItNamesAndSitesWithOneOfItsTags) {
  MaintenanceWindow window = once("2026-11-20T22:00:00Z", "2026-11-20T23:00:00Z");
  const std::vector<std::string> eu{"prod", "eu"};
  EXPECT_TRUE(covers(window, core::SiteId{7}, {}));
  window.all_sites = false;
  window.sites = {core::SiteId{3}};
  window.tags = {"eu"};
  EXPECT_TRUE(covers(window, core::SiteId{3}, {}));
  EXPECT_TRUE(covers(window, core::SiteId{7}, eu));
  EXPECT_FALSE(covers(window, core::SiteId{7}, std::vector<std::string>{"prod"}));
  EXPECT_FALSE(covers(window, core::SiteId{7}, {}));
}

TEST(MaintenanceWindow, ThatSaysNothingIsRefused) {
  const MaintenanceWindow good = recurring("daily", "22:00", 1h, "UTC");
  ASSERT_TRUE(check_window(good));
  const auto refused = [&](auto change) {
    MaintenanceWindow window = good;
    change(window);
    const auto checked = check_window(window);
    return !checked && checked.error().kind == core::ErrorKind::Invalid;
  };
  EXPECT_TRUE(refused([](auto& w) { w.all_sites = false; }));
  EXPECT_TRUE(refused([](auto& w) { w.tags = {"eu"}; })) << "all, and some";
  EXPECT_TRUE(refused([](auto& w) { w.length = 30s; }));
  EXPECT_TRUE(refused([](auto& w) { w.length = kRecurringMax + 1min; }));
  EXPECT_TRUE(refused([](auto& w) { w.weekdays = 0; })) << "once, without times";
  EXPECT_TRUE(refused([](auto& w) { w.at = 24h; }));
  for (const char* zone :
       {"", "Europe/Atlantis", "localtime", "/etc/passwd", "../UTC", "Europe/../UTC"})
    EXPECT_TRUE(refused([&](auto& w) { w.zone = zone; })) << zone;
  MaintenanceWindow backwards = once("2026-11-20T22:00:00Z", "2026-11-20T21:00:00Z");
  EXPECT_FALSE(check_window(backwards));
}

TEST(MaintenanceWindow, WordsOfDaysAndTimesAreReadBack) {
  EXPECT_EQ(weekdays_text(parse_weekdays("mon,wed,sun")), "mon,wed,sun");
  EXPECT_EQ(weekdays_text(parse_weekdays("daily")), "daily");
  EXPECT_EQ(weekdays_text(parse_weekdays("sun,mon,tue,wed,thu,fri,sat")), "daily");
  for (const char* bad : {"", "monday", "mon,", ",mon", "mon tue", "MON"})
    EXPECT_EQ(parse_weekdays(bad), 0) << bad;
  EXPECT_EQ(parse_time_of_day("00:00"), 0min);
  EXPECT_EQ(parse_time_of_day("23:59"), 23h + 59min);
  for (const char* bad : {"", "24:00", "2:30", "02:60", "02-30", "02:3a", "02:300"})
    EXPECT_FALSE(parse_time_of_day(bad)) << bad;
}

TEST(MaintenanceCalendar, OfTwoThatCoverASiteTheOneThatEndsLastCounts) {
  MaintenanceWindow first = once("2026-11-20T22:00:00Z", "2026-11-20T23:00:00Z");
  first.id = MaintenanceId{1};
  MaintenanceWindow second = once("2026-11-20T22:30:00Z", "2026-11-20T23:30:00Z");
  second.id = MaintenanceId{2};
  MaintenanceCalendar calendar({first, second});
  EXPECT_FALSE(calendar.of(core::SiteId{1}, {}));
  calendar.move_to(at("2026-11-20T22:10:00Z"));
  ASSERT_TRUE(calendar.of(core::SiteId{1}, {}));
  EXPECT_EQ(calendar.of(core::SiteId{1}, {})->id, MaintenanceId{1});
  calendar.move_to(at("2026-11-20T22:40:00Z"));
  EXPECT_EQ(calendar.of(core::SiteId{1}, {})->id, MaintenanceId{2});
  EXPECT_EQ(calendar.holding(), 2U);
  calendar.move_to(at("2026-11-20T23:30:00Z"));
  EXPECT_FALSE(calendar.of(core::SiteId{1}, {}));
}

}  // namespace
}  // namespace watchwheel::sideeffects
