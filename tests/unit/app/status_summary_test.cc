// SPDX-License-Identifier: Apache-2.0
#include "app/status_summary.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

Json healthy() {
  return Json::parse(
      R"({"ready":true,"sites":{"total":2000000,"up":1999988,"down":12,"seems_down":1,"paused":0},
    "checks":{"required_per_second":6666.7,"done_per_second":6670.2},"lag_s":{"p99":0.0123},
    "freshness":{"stale_sites":0,"oldest_age_s":301},"in_flight":{"limited_by":"descriptors"},
    "vantage":{"healthy":true,"state":"healthy"},"stretch":{"factor":1.0,"limited_by":""},
    "config":{"reload_ok":true},"memory":{"level":0},"recording":{"poisoned":[]}})");
}

TEST(Summary, SaysThatAllIsOnTimeAndWhoIsDown) {
  const Summary summary = summarize(healthy());
  EXPECT_EQ(summary.standing, Standing::Ok);
  EXPECT_EQ(
      summary.text,
      "on time: 2,000,000 sites, 6,670 of 6,667 checks/s, lag p99 12.3ms; 12 down, 1 seem down");
}

TEST(Summary, TheWorstComesFirstAndTheRestAfterIt) {
  Json status = healthy();
  status["freshness"]["stale_sites"] = 7;
  EXPECT_EQ(summarize(status).standing, Standing::Late);
  EXPECT_TRUE(
      summarize(status).text.starts_with("no fresh result of 7 sites, the oldest 5m 1s old"));

  status["lag_s"]["p99"] = 3.24;
  EXPECT_TRUE(summarize(status).text.starts_with(
      "late: one check in a hundred starts 3.2s or more after it is due, limited by descriptors"));

  status["stretch"] = {{"factor", 1.4}, {"limited_by", "descriptors"}};
  EXPECT_TRUE(summarize(status).text.starts_with(
      "late: intervals stretched 1.4x, limited by descriptors; 12 down"));

  status["recording"]["poisoned"] = Json::parse(R"([{"site":1}])");
  EXPECT_EQ(summarize(status).standing, Standing::Fault);
  EXPECT_TRUE(
      summarize(status).text.starts_with("not recorded: the store refuses what became of 1 site"));

  status["vantage"] = {
      {"healthy", false}, {"since", "2026-11-21T03:00:00.000Z"}, {"reason", "canaries"}};
  EXPECT_TRUE(summarize(status).text.starts_with(
      "vantage fault since 2026-11-21T03:00:00.000Z (canaries): nothing is called down"));

  status["ready"] = false;
  EXPECT_EQ(summarize(status).standing, Standing::Loading);

  status["config"]["reload_ok"] = false;
  status["memory"]["level"] = 3;
  EXPECT_TRUE(
      summarize(status).text.ends_with("; memory is short: hardly any new checks; the last reload was refused"));
}

TEST(Summary, AStoreThatIsBackIsNotToldAsAway) {
  Json status = healthy();
  status["recording"]["store_away_since"] = "2026-11-21T10:00:00Z";
  status["recording"]["journal"] = {{"entries", 12}, {"replaying", false}};
  EXPECT_TRUE(summarize(status).text.starts_with("the store is away since 2026-11-21T10:00:00Z"));
  status["recording"]["journal"]["replaying"] = true;
  EXPECT_TRUE(summarize(status).text.starts_with(
      "the store is back: checks go on, 12 writes of the journal are being replayed"))
      << summarize(status).text;
  EXPECT_EQ(summarize(status).standing, Standing::Fault) << "the tables are behind";
}

TEST(Summary, NoSitesAreNoTrouble) {
  EXPECT_EQ(summarize(Json::parse(R"({"ready":true,"sites":{"total":0,"paused":0}})")).text,
            "nothing to do: there are no sites yet");
  EXPECT_EQ(summarize(Json::parse(R"({"ready":true,"sites":{"total":3,"paused":3}})")).text,
            "nothing to do: every site is paused");
}

// A document of another version, or of somebody else, is no reason to fall.
TEST(Summary, WhatIsNotToldOrOddIsNotSpokenOf) {
  EXPECT_EQ(summarize(Json::object()).text, "on time");
  for (
      const char* odd :
      {R"({"sites":5,"vantage":[],"stretch":"x","lag_s":{"p99":"slow"},"recording":{"poisoned":3}})",
       R"({"ready":"yes","sites":{"total":"many"},"stretch":{"factor":null},"freshness":null})"}) {
    EXPECT_NE(summarize(Json::parse(odd)).text, "") << odd;
  }
}

TEST(ShownNumber, IsForPeople) {
  EXPECT_EQ(shown_number(0), "0");
  EXPECT_EQ(shown_number(19.9), "19.9");
  EXPECT_EQ(shown_number(39.98), "40");
  EXPECT_EQ(shown_number(999.4), "999");
  EXPECT_EQ(shown_number(1234567), "1,234,567");
  EXPECT_EQ(shown_number(-1234567), "-1,234,567");
  EXPECT_EQ(shown_number(1e300), "?");
}

TEST(ShownSeconds, IsForPeople) {
  EXPECT_EQ(shown_seconds(0.0000123), "0.0ms");
  EXPECT_EQ(shown_seconds(0.0123), "12.3ms");
  EXPECT_EQ(shown_seconds(0.25), "250ms");
  EXPECT_EQ(shown_seconds(1.26), "1.3s");
  EXPECT_EQ(shown_seconds(301.7), "5m 1s");
  EXPECT_EQ(shown_seconds(-1), "?");
}

}  // namespace
}  // namespace watchwheel::app
