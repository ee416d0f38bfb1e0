// SPDX-License-Identifier: Apache-2.0
#include "app/loop_lateness.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

using core::Cause;
using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};
constexpr Duration kBusy = LoopLateness::kBusyTurn;

core::ProbeResult ended(Cause cause, SteadyTime started = kStart) {
  core::ProbeResult result;
  result.cause = cause;
  result.started = started;
  return result;
}

core::CheckOptions options(Duration timeout = 10s, Duration connect_timeout = 5s) {
  core::CheckOptions o;
  o.timeout = timeout;
  o.connect_timeout = connect_timeout;
  return o;
}

bool is_ours(const core::ProbeResult& result, const core::CheckOptions& options,
             const LoopLateness& loop) {
  return our_share(result, options, loop) != OurShare::None;
}

TEST(LoopLateness, SumsTheLongestAbsencesOfACheck) {
  LoopLateness loop;
  loop.note(kBusy + 500ms, kStart - 1s);  // Before it.
  EXPECT_EQ(loop.cost_since(kStart, 8), 0s);
  for (int i = 1; i <= 20; ++i) loop.note(kBusy + std::chrono::milliseconds{i}, kStart + i * 200ms);
  EXPECT_EQ(loop.cost_since(kStart, 1), 20ms);
  EXPECT_EQ(loop.cost_since(kStart, 3), 57ms);
  EXPECT_EQ(loop.cost_since(kStart, 8), 132ms);
  EXPECT_EQ(loop.cost_since(kStart, 100), 132ms);  // No check has more steps than that.
  EXPECT_EQ(loop.cost_since(kStart - 2s, 1), 500ms);
  EXPECT_EQ(loop.cost_since(kStart + 5s, 8), 0s);
}

TEST(LoopLateness, ALaterSmallAbsenceHidesNoLongOne) {
  LoopLateness loop;
  loop.note(kBusy + 120s, kStart + 1s);
  loop.note(kBusy + 300ms, kStart + 2s);
  EXPECT_EQ(loop.cost_since(kStart, 1), 120s);
  EXPECT_EQ(loop.cost_since(kStart + 1500ms, 1), 300ms);
}

TEST(LoopLateness, ForgetsWhatNoCheckCanHaveSeen) {
  LoopLateness loop;
  loop.note(kBusy + 1s, kStart);
  const SteadyTime much_later = kStart + LoopLateness::kWindow * LoopLateness::kWindows + 1s;
  loop.note(kBusy + 10ms, much_later);
  EXPECT_EQ(loop.cost_since(kStart, 8), 10ms);
}

TEST(LoopLateness, ATimeoutIsOursByTheShareOfItsTimeThatWeWereAway) {
  struct Case {
    Cause cause;
    Duration away;
    bool ours;
  };
  const Case cases[] = {{Cause::HttpTimeout, 999ms, false},    {Cause::HttpTimeout, 1000ms, true},
                        {Cause::BodyTimeout, 1000ms, true},     {Cause::TlsTimeout, 1000ms, true},
                        {Cause::ConnectTimeout, 499ms, false}, {Cause::ConnectTimeout, 500ms, true},
                        {Cause::DnsTimeout, 299ms, false},      {Cause::DnsTimeout, 300ms, true},
                        {Cause::HttpStatus, 1h, false},        {Cause::ConnectRefused, 1h, false},
                        {Cause::DnsNxdomain, 1h, false},       {Cause::Ok, 1h, false},
                        {Cause::HttpClosed, 1999ms, false},    {Cause::HttpClosed, 2s, true},
                        {Cause::ConnectReset, 2s, true},       {Cause::TlsHandshake, 2s, true},
                        {Cause::BodyTruncated, 2s, true},      {Cause::ConnectReset, 1s, false}};
  for (const Case& c : cases) {
    LoopLateness loop;
    loop.note(kBusy + c.away, kStart + 3s);
    EXPECT_EQ(is_ours(ended(c.cause), options(), loop), c.ours)
        << core::to_string(c.cause) << " away " << core::to_ms(c.away) << " ms";
  }
}

// Goal: an answer that waits for many turns has a late loop, though no turn is long; and it is one absence, not one a turn.
TEST(LoopLateness, AnswersThatWaitForManyTurnsAreOneAbsence) {
  LoopLateness loop;
  for (SteadyTime now = kStart; now <= kStart + 2s + kBusy; now += 10ms) {
    loop.note(10ms, now);
    loop.note_waiting(kStart, now);
  }
  EXPECT_EQ(loop.cost_since(kStart, 8), 2s);
  EXPECT_TRUE(is_ours(ended(Cause::TlsTimeout), options(), loop));
  loop.note(3s + kBusy, kStart + 3s);
  loop.note_waiting(core::kNoSteadyTime, kStart + 3s);
  EXPECT_EQ(loop.cost_since(kStart, 8), 3s);
  EXPECT_EQ(loop.cost_since(kStart + 3s + 1ms, 8), 0s);
}

// Goal: a lane that always has something left, a turn's worth, is busy and not late.
TEST(LoopLateness, SteadyLightWaitingIsNoLateness) {
  LoopLateness loop;
  for (SteadyTime now = kStart; now < kStart + 60s; now += 20ms) {
    loop.note(20ms, now);
    loop.note_waiting(now - 15ms, now);
  }
  EXPECT_FALSE(is_ours(ended(Cause::HttpTimeout), options(1s), loop));
}

// Goal: at any timeout and any number of turns, a turn within the contract is no lateness.
TEST(LoopLateness, TheTurnsOfABusyLoopExplainNothing) {
  LoopLateness busy;
  for (SteadyTime at = kStart - 10s; at < kStart + 10s; at += kBusy) busy.note(kBusy, at);
  for (const Duration timeout : {100ms, 500ms, 1000ms, 2000ms, 6400ms})
    for (const Cause cause : {Cause::DnsTimeout, Cause::ConnectTimeout, Cause::TlsTimeout,
                              Cause::HttpTimeout, Cause::BodyTimeout})
      EXPECT_EQ(our_share(ended(cause), options(timeout, timeout), busy), OurShare::None)
          << core::to_string(cause) << " of " << core::to_ms(timeout) << " ms";
}

// Goal: a loop that is always somewhat late hides no outage for ever.
TEST(LoopLateness, TheThirdTimeoutInARowThatLatenessHardlyExplainsIsTheSites) {
  LoopLateness loop;
  loop.note(kBusy + 1s, kStart + 3s);
  std::uint8_t discounted = 0;
  const auto tells = [&](Cause cause, SteadyTime started = kStart) {
    return is_discounted(ended(cause, started), options(), loop, discounted);
  };
  EXPECT_TRUE(tells(Cause::HttpTimeout));
  EXPECT_TRUE(tells(Cause::HttpTimeout));
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(tells(Cause::HttpTimeout));
  EXPECT_FALSE(tells(Cause::Cancelled));
  EXPECT_FALSE(tells(Cause::HttpTimeout)) << "what was not measured is no answer";
  EXPECT_FALSE(tells(Cause::Ok));
  EXPECT_TRUE(tells(Cause::HttpTimeout)) << "it has answered, so they are no longer in a row";
  EXPECT_FALSE(tells(Cause::HttpTimeout, kStart + 10s)) << "no lateness at all";
  EXPECT_EQ(discounted, 0U);
}

TEST(LoopLateness, WhatTookHalfOfTheTimeIsOursHoweverOften) {
  LoopLateness loop;
  loop.note(kBusy + 5s, kStart + 6s);
  std::uint8_t discounted = 0;
  for (int i = 0; i < 10; ++i)
    EXPECT_TRUE(is_discounted(ended(Cause::HttpTimeout), options(), loop, discounted));
}

// Goal: many small absences are as bad as one long one; a loop that is merely busy is not late.
TEST(LoopLateness, SmallAbsencesAddUp) {
  LoopLateness slow;
  LoopLateness busy;
  for (SteadyTime at = kStart; at < kStart + 10s; at += 300ms) slow.note(300ms, at);
  for (SteadyTime at = kStart; at < kStart + 10s; at += 25ms) busy.note(25ms, at);
  for (const Cause cause : {Cause::DnsTimeout, Cause::ConnectTimeout, Cause::HttpTimeout}) {
    EXPECT_TRUE(is_ours(ended(cause), options(), slow)) << core::to_string(cause);
    for (const Duration timeout : {1s, 2s, 10s})
      EXPECT_FALSE(is_ours(ended(cause), options(timeout), busy)) << core::to_string(cause);
  }
}

// Goal: a server that was asked at once and said nothing for ten seconds is silent, however late we were meanwhile: what it says is
// read before its deadline is looked at.
TEST(LoopLateness, OnlyLatenessBeforeItWasAskedCountsForASilentServer) {
  LoopLateness loop;
  for (SteadyTime at = kStart; at < kStart + 10s; at += 500ms) loop.note(kBusy + 400ms, at);
  core::ProbeResult result = ended(Cause::HttpTimeout);
  result.phase = core::Phase::FirstByte;
  EXPECT_TRUE(is_ours(result, options(), loop)) << "nobody says when it was asked";
  result.timings.connect = 30ms;
  result.asked = 930ms;
  EXPECT_FALSE(is_ours(result, options(), loop));
  // Bug: the wait for its turn, and hops before, are in none of the phases.
  result.asked = 1s;
  EXPECT_TRUE(is_ours(result, options(), loop)) << "a second, and all of it may be ours";
  result.asked = 30ms;
  result.phase = core::Phase::Body;
  EXPECT_TRUE(is_ours(result, options(), loop)) << "a body is read piece by piece, each when we come to it";
  result.phase = core::Phase::FirstByte;
  EXPECT_FALSE(is_ours(result, options(), loop));
  loop.note_waiting(kStart + 8s, kStart + 10s);
  EXPECT_TRUE(is_ours(result, options(), loop)) << "its answer may be among those that wait now";
  loop.note_waiting(core::kNoSteadyTime, kStart + 10s);
  EXPECT_FALSE(is_ours(result, options(), loop));
  loop.note(kBusy + 2s, kStart + 9s);
  EXPECT_TRUE(is_ours(result, options(), loop)) << "a machine that stood still may have lost its answer";
}

TEST(LoopLateness, AServerThatGaveUpOnUsSaysSoWithAStatus) {
  LoopLateness loop;
  loop.note(30s, kStart + 30s);
  core::ProbeResult result = ended(Cause::HttpStatus);
  result.http_status = 408;
  EXPECT_TRUE(is_ours(result, options(), loop));
  result.http_status = 503;
  EXPECT_FALSE(is_ours(result, options(), loop));
}

// Goal: silence about a name that was found out while we were late, and is remembered, is not told of the check that asks next.
TEST(LoopLateness, ARememberedSilenceIsJudgedByWhenItWasFoundOut) {
  LoopLateness loop;
  loop.note(1s, kStart - 500ms);
  EXPECT_TRUE(is_ours(ended(Cause::DnsTimeout), options(), loop));
  EXPECT_FALSE(is_ours(ended(Cause::HttpTimeout), options(), loop));
  EXPECT_FALSE(is_ours(ended(Cause::DnsTimeout, kStart + 10s), options(), loop));
}

TEST(LoopLateness, AShortTimeoutBearsLess) {
  LoopLateness loop;
  loop.note(kBusy + 100ms, kStart + 100ms);
  EXPECT_TRUE(is_ours(ended(Cause::HttpTimeout), options(1s), loop));
  EXPECT_FALSE(is_ours(ended(Cause::HttpTimeout), options(10s), loop));
}

}  // namespace
}  // namespace watchwheel::app
