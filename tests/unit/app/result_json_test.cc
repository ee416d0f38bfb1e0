// SPDX-License-Identifier: Apache-2.0
#include "app/result_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "app/result_text.h"

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
  for (const std::string& text :
       {result_json("http://me:hunter2@a.example/", result),
        result_text("http://me:hunter2@a.example/", result, {.verbose = true})}) {
    EXPECT_THAT(text, AllOf(Not(HasSubstr("hunter2")), HasSubstr("http://a.example/")));
  }
  EXPECT_EQ(Json::parse(result_json("x", result))["final_url"], "http://b.example/x@y");
}

TEST(ResultJson, BytesThatAreNoUtf8DoNotBreakTheDocument) {
  core::ProbeResult result = refused();
  result.detail = "bad \xff byte";
  EXPECT_TRUE(Json::accept(result_json("http://a.example/\xfe", result)));
}

TEST(ResultJson, AHopHasItsHeaderLinesOnlyWhenAskedFor) {
  core::ProbeResult result = refused();
  core::ProbeTrace trace;
  core::HopTrace& hop = trace.hops.emplace_back();
  hop.url = "http://me:hunter2@a.example/?q";
  hop.tries = {{"203.0.113.7", 1500us, "refused"}};
  hop.request = {"GET / HTTP/1.1"};
  trace.findings = {"found"};
  result.trace = std::make_shared<core::ProbeTrace>(trace);
  const Json json = Json::parse(result_json("http://a.example/", result));
  EXPECT_EQ(json["hops"].size(), 1U);
  EXPECT_EQ(json["hops"][0]["url"], "http://a.example/?q");
  EXPECT_TRUE(json["hops"][0]["http_status"].is_null());
  EXPECT_FALSE(json["hops"][0].contains("request"));
  EXPECT_EQ(json["addresses"],
            Json::parse(R"([{"address":"203.0.113.7","after_ms":1.5,"result":"refused"}])"));
  EXPECT_EQ(json["findings"], Json::array({"found"}));
  const Json verbose = Json::parse(result_json("http://a.example/", result, true));
  EXPECT_EQ(verbose["hops"][0]["request"], Json::array({"GET / HTTP/1.1"}));
  EXPECT_EQ(verbose["hops"][0]["response"], Json::array());
  result.trace.reset();
  EXPECT_EQ(Json::parse(result_json("http://a.example/", result))["hops"], Json::array());
}

}  // namespace
}  // namespace watchwheel::app
