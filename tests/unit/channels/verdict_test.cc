// SPDX-License-Identifier: Apache-2.0
#include "channels/verdict.h"

#include <gtest/gtest.h>

namespace watchwheel::channels {
namespace {

using namespace std::chrono_literals;
using sideeffects::SendOutcome;

const core::WallTime kNow = core::parse_iso8601("2026-11-21T12:00:00Z").value();

SendOutcome outcome(int status) {
  return judge_http({.status = status}, kNow).outcome;
}

// Every status there can be, against the table in the header.
TEST(HttpVerdict, EveryStatusMeansWhatTheTableSays) {
  for (int status = 100; status < 600; ++status) {
    SendOutcome expected = SendOutcome::Permanent;
    if (status / 100 == 2) expected = SendOutcome::Delivered;
    if (status / 100 == 3 || status / 100 == 5) expected = SendOutcome::Retry;
    if (status == 408 || status == 425 || status == 429) expected = SendOutcome::Retry;
    if (status == 410) expected = SendOutcome::Gone;
    EXPECT_EQ(outcome(status), expected) << status;
    EXPECT_EQ(judge_http({.status = status}, kNow).status, status);
  }
}

TEST(HttpVerdict, NoAnswerIsTriedAgainAndOurOwnTroubleIsNoAttempt) {
  EXPECT_EQ(judge_http({.failed = true, .error = "refused"}, kNow).outcome, SendOutcome::Retry);
  EXPECT_EQ(judge_http({.failed = true, .timed_out = true, .error = "x"}, kNow).outcome,
            SendOutcome::Retry);
  EXPECT_EQ(judge_http({.failed = true, .our_trouble = true, .error = "x"}, kNow).outcome,
            SendOutcome::NotSent);
  // A head that came before the end of the connection says nothing: the message may be lost behind it.
  EXPECT_EQ(judge_http({.failed = true, .status = 200, .error = "cut"}, kNow).outcome,
            SendOutcome::Retry);
}

TEST(HttpVerdict, RetryAfterIsHeardWhereItIsTriedAgainAndOnlyThere) {
  const auto wish = [](int status) {
    return judge_http({.status = status, .retry_after = "7"}, kNow).retry_after;
  };
  EXPECT_EQ(wish(429), 7s);
  EXPECT_EQ(wish(503), 7s);
  EXPECT_EQ(wish(200), std::nullopt);
  EXPECT_EQ(wish(404), std::nullopt);
  EXPECT_EQ(wish(410), std::nullopt);
}

TEST(HttpVerdict, DetailIsOneShortLineOfWhatWasSaid) {
  const auto result = judge_http(
      {.status = 400, .said = "\n{\"error\":\"no\x01such\"}\r\nsecond " + std::string(500, 'x')},
      kNow);
  EXPECT_EQ(result.detail, "status 400: {\"error\":\"no?such\"}");
  EXPECT_LE(judge_http({.status = 400, .said = std::string(5000, 'x')}, kNow).detail.size(), 200U);
  EXPECT_EQ(judge_http({.status = 204, .said = "thank you"}, kNow).detail, "status 204");
  EXPECT_NE(judge_http({.status = 301}, kNow).detail.find("not followed"), std::string::npos);
}

TEST(RetryAfter, IsSecondsOrADateAndAtMostADay) {
  EXPECT_EQ(parse_retry_after("7", kNow), 7s);
  EXPECT_EQ(parse_retry_after(" 120 ", kNow), 2min);
  EXPECT_EQ(parse_retry_after("0", kNow), 0s);
  EXPECT_EQ(parse_retry_after("86401", kNow), 24h);
  EXPECT_EQ(parse_retry_after("99999999999999999999999999", kNow), 24h);
  EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2026 12:00:07 GMT", kNow), 7s);
  EXPECT_EQ(parse_retry_after("Saturday, 21-Nov-26 12:00:07 GMT", kNow), 7s);
  EXPECT_EQ(parse_retry_after("Sat Nov 21 12:00:07 2026", kNow), 7s);
  EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2026 11:00:00 GMT", kNow), 0s);
  EXPECT_EQ(parse_retry_after("Sat, 21 Nov 2099 11:00:00 GMT", kNow), 24h);
  for (const char* text :
       {"", "-1", "1.5", "soon", "Soon", "7 s", "0x10", "20261121", "Someday, 99"})
    if (std::string_view(text) != "20261121") {
      EXPECT_EQ(parse_retry_after(text, kNow), std::nullopt) << text;
    }
  EXPECT_EQ(parse_retry_after(std::string(65, '1'), kNow), std::nullopt);
}

TEST(MailVerdict, FollowsTheFirstDigit) {
  EXPECT_EQ(judge_mail({.status = 250}).outcome, SendOutcome::Delivered);
  const auto later = judge_mail(
      {.failed = true, .status = 451, .said = "451 4.7.1 greylisted", .error = "RCPT failed: 451"});
  EXPECT_EQ(later.outcome, SendOutcome::Retry);
  EXPECT_EQ(later.detail, "RCPT failed: 451: 451 4.7.1 greylisted");
  EXPECT_EQ(judge_mail({.failed = true, .status = 550, .error = "x"}).outcome,
            SendOutcome::Permanent);
  EXPECT_EQ(judge_mail({.failed = true, .status = 535, .error = "x"}).outcome,
            SendOutcome::Permanent);
  EXPECT_EQ(judge_mail({.failed = true, .status = 0, .error = "x"}).outcome, SendOutcome::Retry);
  EXPECT_EQ(judge_mail({.failed = true, .timed_out = true, .status = 554, .error = "x"}).outcome,
            SendOutcome::Retry);
  EXPECT_EQ(judge_mail({.failed = true, .our_trouble = true, .error = "x"}).outcome,
            SendOutcome::NotSent);
}

TEST(ProgramVerdict, TellsDeliveredFromRefusedFromBroken) {
  using Why = ProgramEnd::Why;
  EXPECT_EQ(judge_program({.why = Why::Exited, .status = 0}).outcome, SendOutcome::Delivered);
  EXPECT_EQ(judge_program({.why = Why::Exited, .status = 65}).outcome, SendOutcome::Permanent);
  EXPECT_EQ(judge_program({.why = Why::Exited, .status = 1}).outcome, SendOutcome::Retry);
  EXPECT_EQ(judge_program({.why = Why::Exited, .status = 75}).status, 75);
  EXPECT_EQ(judge_program({.why = Why::Exited, .status = 127, .output = "not\nfound"}).detail,
            "exit status 127: not");
  EXPECT_EQ(judge_program({.why = Why::Signalled, .status = 9}).detail, "ended by signal 9");
  EXPECT_EQ(judge_program({.why = Why::Signalled, .status = 9}).outcome, SendOutcome::Retry);
  EXPECT_EQ(judge_program({.why = Why::TimedOut}).outcome, SendOutcome::Retry);
  EXPECT_EQ(judge_program({.why = Why::TooMuchOutput}).outcome, SendOutcome::Retry);
}

}  // namespace
}  // namespace watchwheel::channels
