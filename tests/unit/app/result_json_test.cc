// SPDX-License-Identifier: Apache-2.0
#include "app/result_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace watchwheel::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;
using Json = nlohmann::json;

core::ProbeResult refused() {
  core::ProbeResult result;
  result.cause = core::Cause::ConnectRefused;
  result.phase = core::Phase::Connect;
  result.started_at = *core::parse_iso8601("2026-11-20T12:00:00.123Z");
  result.timings.dns = 1200us;
  result.timings.total = 2ms;
  result.address = "203.0.113.7";
  result.addresses_tried = 1;
  result.detail = "refused";
  return result;
}

TEST(ResultJson, WhatWasNotReachedIsNull) {
  const Json json = Json::parse(result_json("http://a.example/", refused()));
  EXPECT_EQ(json["outcome"], "down");
  EXPECT_EQ(json["cause"], "connect_refused");
  EXPECT_TRUE(json["http_status"].is_null());
  EXPECT_TRUE(json["tls"].is_null());
  EXPECT_EQ(json["timings_ms"]["dns"], 1.2);
  EXPECT_TRUE(json["timings_ms"]["connect"].is_null());
  EXPECT_EQ(json["final_url"], "http://a.example/");
  EXPECT_EQ(json["warnings"], Json::array());
}

TEST(ResultJson, DaysLeftAreWholeDaysEitherWay) {
  core::ProbeResult result = refused();
  auto tls = std::make_shared<core::TlsFacts>();
  tls->not_after = result.started_at - 75h;
  result.tls = tls;
  EXPECT_EQ(Json::parse(result_json("https://a.example/", result))["tls"]["days_left"], -3);
  tls->not_after = result.started_at + 23h;
  EXPECT_EQ(Json::parse(result_json("https://a.example/", result))["tls"]["days_left"], 0);
  tls->not_after = core::kNoWallTime;
  EXPECT_TRUE(Json::parse(result_json("https://a.example/", result))["tls"]["days_left"].is_null());
}

TEST(ResultJson, CredentialsOfTheUrlAreLeftOut) {
  core::ProbeResult result = refused();
  result.final_url = "http://me:hunter2@b.example/x@y";
  for (const std::string& text : {result_json("http://me:hunter2@a.example/", result),
                                  result_text("http://me:hunter2@a.example/", result, true)}) {
    EXPECT_THAT(text, AllOf(Not(HasSubstr("hunter2")), HasSubstr("http://a.example/")));
  }
  EXPECT_EQ(Json::parse(result_json("x", result))["final_url"], "http://b.example/x@y");
}

TEST(ResultJson, BytesThatAreNoUtf8DoNotBreakTheDocument) {
  core::ProbeResult result = refused();
  result.detail = "bad \xff byte";
  EXPECT_TRUE(Json::accept(result_json("http://a.example/\xfe", result)));
}

TEST(ResultText, TextFromTheSiteCannotWriteLinesOfItsOwn) {
  core::ProbeResult result = refused();
  result.detail = "first\nup, ok";
  EXPECT_THAT(result_text("http://a.example/", result, false), Not(HasSubstr("\nup, ok")));
}

TEST(ResultText, BeginsWithTheVerdict) {
  core::ProbeResult result = refused();
  EXPECT_TRUE(
      result_text("http://a.example/", result, false)
          .starts_with("http://a.example/: down, connect_refused (ended in phase connect)\n"));
  result.cause = core::Cause::Ok;
  result.warnings.add(core::Warning::LatencyExceeded);
  const std::string text = result_text("http://a.example/", result, false);
  EXPECT_TRUE(text.starts_with("http://a.example/: up\n"));
  EXPECT_THAT(text, HasSubstr("latency_exceeded"));
}

}  // namespace
}  // namespace watchwheel::app
