// SPDX-License-Identifier: Apache-2.0
// Content that takes long to judge: the lane's thread goes on, and the check ends at its deadline.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "support/checker_driver.h"
#include "support/fault_server.h"

namespace watchwheel::testing {
namespace {

using core::Cause;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

// What RE2 finds hard: which of the last hundreds of letters were an "a" is another state for each text.
constexpr const char* kHard = "a[ab]{400}c";
// A second or so for it.
constexpr std::size_t kHardBytes = 400'000;

std::string hard_text(std::size_t bytes) {
  std::mt19937 random(1);  // NOLINT: the same text every time.
  std::string text;
  for (std::size_t i = 0; i < bytes; ++i) text.push_back(random() % 2 == 0 ? 'a' : 'b');
  return text;
}

// Goal: a page that takes long to judge holds no other check. Method: ask it, and a plain one all the while.
TEST(JudgeThread, AHardExpressionHoldsNoOtherCheck) {
  FaultServer server;
  server.on("/hard", ok(hard_text(kHardBytes)));
  server.on("/plain", ok("hello"));
  CheckerDriver driver;
  core::CheckOptions hard;
  hard.timeout = 60s;
  hard.body_match = {kHard};
  hard.detect_error_pages = false;
  ASSERT_EQ(driver.start(1, server.url("/hard"), hard), checker::Start::Started);
  // The hard one is at the judge's as soon as it is read.
  const core::SteadyTime until = driver.now() + 60s;
  std::size_t plain = 0;
  for (checker::ProbeToken token = 2; driver.results_of(1).empty(); ++token) {
    ASSERT_EQ(driver.start(token, server.url("/plain")), checker::Start::Started);
    while (driver.results_of(token).empty() && driver.now() < until) driver.turn_once(100ms);
    ASSERT_FALSE(driver.results_of(token).empty());
    EXPECT_EQ(driver.results_of(token)[0].cause, Cause::Ok);
    ++plain;
  }
  const core::ProbeResult& result = driver.results_of(1).at(0);
  EXPECT_EQ(result.cause, Cause::KeywordMissing) << result.detail;
  // The page takes a second; a plain check takes milliseconds.
  EXPECT_GT(plain, 5U);
}

TEST(JudgeThread, WhatIsNotJudgedInTimeIsNotMeasured) {
  FaultServer server;
  server.on("/hard", ok(hard_text(kHardBytes)));
  server.on("/plain", ok("hello"));
  CheckerDriver driver;
  core::CheckOptions hard;
  hard.timeout = 300ms;
  hard.connect_timeout = 200ms;
  hard.body_match = {kHard};
  const core::SteadyTime from = driver.now();
  const core::ProbeResult result = driver.check(server.url("/hard"), hard);
  EXPECT_EQ(result.cause, Cause::LocalResources) << result.detail;
  EXPECT_EQ(result.phase, core::Phase::Content);
  EXPECT_THAT(result.detail, HasSubstr("not judged in time"));
  EXPECT_EQ(result.http_status, 200);
  EXPECT_LT(driver.now() - from, 20s);
  // Its verdict comes later and finds nobody; the next check of the same row is not touched by it.
  EXPECT_EQ(driver.check(server.url("/plain")).cause, Cause::Ok);
}

TEST(JudgeThread, ACancelledCheckIsForgotten) {
  FaultServer server;
  server.on("/hard", ok(hard_text(kHardBytes)));
  CheckerDriver driver;
  core::CheckOptions hard;
  hard.timeout = 30s;
  hard.body_match = {kHard};
  ASSERT_EQ(driver.start(1, server.url("/hard"), hard), checker::Start::Started);
  while (server.finished() == 0) driver.turn_once(10ms);
  for (int i = 0; i < 5; ++i) driver.turn_once(1ms);
  driver.checker().cancel_all(driver.now());
  ASSERT_TRUE(driver.run(1, 30s));
  EXPECT_EQ(driver.results_of(1).at(0).cause, Cause::Cancelled);
  EXPECT_EQ(driver.checker().in_flight(), 0U);
}

}  // namespace
}  // namespace watchwheel::testing
