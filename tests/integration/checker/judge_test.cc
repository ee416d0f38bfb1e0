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

// One row, so whatever comes next is in the place of what ended.
checker::Settings one_row() {
  checker::Settings settings = loopback_settings();
  settings.limits.in_flight_max = 1;
  return settings;
}

std::size_t judging(CheckerDriver& driver) {
  return static_cast<std::size_t>(driver.checker().stats().judging.value());
}

// Starts a check that waits, and turns until the verdict of the one before has come. It must find nobody.
void expect_verdict_finds_nobody(CheckerDriver& driver, const std::string& waits) {
  ASSERT_EQ(judging(driver), 1U);
  constexpr checker::ProbeToken kNext = 77;
  core::CheckOptions options;
  options.timeout = 60s;
  ASSERT_EQ(driver.start(kNext, waits, options), checker::Start::Started);
  const core::SteadyTime until = driver.now() + 50s;
  while (judging(driver) > 0 && driver.now() < until) driver.turn_once(100ms);
  ASSERT_EQ(judging(driver), 0U);
  EXPECT_TRUE(driver.results_of(kNext).empty());
  EXPECT_EQ(driver.checker().in_flight(), 1U);
  driver.checker().cancel_all(driver.now());
  ASSERT_EQ(driver.results_of(kNext).size(), 1U);
  EXPECT_EQ(driver.results_of(kNext)[0].cause, Cause::Cancelled);
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
  server.on("/waits", {hold()});
  CheckerDriver driver(one_row());
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
  expect_verdict_finds_nobody(driver, server.url("/waits"));
}

TEST(JudgeThread, ACancelledCheckIsForgotten) {
  FaultServer server;
  server.on("/hard", ok(hard_text(kHardBytes)));
  server.on("/waits", {hold()});
  CheckerDriver driver(one_row());
  core::CheckOptions hard;
  hard.timeout = 30s;
  hard.body_match = {kHard};
  ASSERT_EQ(driver.start(1, server.url("/hard"), hard), checker::Start::Started);
  const core::SteadyTime until = driver.now() + 25s;
  while (judging(driver) == 0 && driver.now() < until) driver.turn_once(10ms);
  driver.checker().cancel_all(driver.now());
  ASSERT_TRUE(driver.run(1, 30s));
  EXPECT_EQ(driver.results_of(1).at(0).cause, Cause::Cancelled);
  EXPECT_EQ(driver.checker().in_flight(), 0U);
  expect_verdict_finds_nobody(driver, server.url("/waits"));
}

// Goal: what nobody can judge in time is said at once, and a stop waits for no more than the expression under way.
TEST(JudgeThread, WhatIsTooMuchWorkIsSaidAtOnce) {
  FaultServer server;
  server.on("/hard", ok(hard_text(1'000'000)));
  CheckerDriver driver;
  core::CheckOptions hard;
  hard.timeout = 60s;
  hard.body_match = {"a[ab]{900}c", "a[ab]{900}d", "a[ab]{900}e"};
  const core::ProbeResult result = driver.check(server.url("/hard"), hard);
  EXPECT_EQ(result.cause, Cause::LocalResources) << result.detail;
  EXPECT_THAT(result.detail, HasSubstr("set a smaller max_body or simpler expressions"));
  EXPECT_EQ(judging(driver), 0U);
}

}  // namespace
}  // namespace watchwheel::testing
