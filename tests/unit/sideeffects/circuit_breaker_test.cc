// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/circuit_breaker.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;
using core::SteadyTime;

constexpr SteadyTime kBegin{1h};

// Sends one now and answers it at once. False: it may not go.
bool send(CircuitBreaker& breaker, SteadyTime now, SendOutcome outcome) {
  const auto pass = breaker.allow(now);
  if (!pass) return false;
  breaker.on_result(*pass, outcome, now);
  return true;
}

// AC-WH-7: five failures open it, one probe goes, an answer closes it.
TEST(CircuitBreaker, OpensAfterFiveFailuresAndClosesAfterAProbe) {
  CircuitBreaker breaker;
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(breaker.state(), CircuitState::Closed);
    ASSERT_TRUE(send(breaker, kBegin, SendOutcome::Retry));
  }
  EXPECT_EQ(breaker.state(), CircuitState::Open);
  EXPECT_EQ(breaker.retry_at(), kBegin + 30s);
  int sent = 0;
  for (SteadyTime now = kBegin; now < kBegin + 30s; now += 100ms)
    sent += breaker.allow(now) ? 1 : 0;
  EXPECT_EQ(sent, 0);

  const SteadyTime later = kBegin + 30s;
  const auto probe = breaker.allow(later);
  ASSERT_TRUE(probe);
  EXPECT_EQ(breaker.state(), CircuitState::HalfOpen);
  EXPECT_FALSE(breaker.allow(later)) << "a second one beside the probe";
  EXPECT_GT(breaker.retry_at(), later);
  breaker.on_result(*probe, SendOutcome::Delivered, later + 1s);
  EXPECT_EQ(breaker.state(), CircuitState::Closed);
  EXPECT_TRUE(breaker.allow(later + 1s));
  EXPECT_EQ(breaker.opened_total(), 1U);
}

TEST(CircuitBreaker, WaitsTwiceAsLongEachTimeUpToAQuarterOfAnHour) {
  CircuitBreaker breaker;
  SteadyTime now = kBegin;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(breaker, now, SendOutcome::Retry));
  std::vector<core::Duration> waits;
  for (int i = 0; i < 8; ++i) {
    waits.push_back(breaker.retry_at() - now);
    now = breaker.retry_at();
    ASSERT_TRUE(send(breaker, now, SendOutcome::Retry));
  }
  EXPECT_EQ(waits, (std::vector<core::Duration>{30s, 60s, 120s, 240s, 480s, 900s, 900s, 900s}));

  // A probe that is answered does not forgive all: only what is delivered afterwards does.
  now = breaker.retry_at();
  ASSERT_TRUE(send(breaker, now, SendOutcome::Delivered));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(breaker, now, SendOutcome::Retry));
  EXPECT_EQ(breaker.retry_at() - now, 900s);
  now = breaker.retry_at();
  ASSERT_TRUE(send(breaker, now, SendOutcome::Delivered));
  ASSERT_TRUE(send(breaker, now, SendOutcome::Delivered));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(breaker, now, SendOutcome::Retry));
  EXPECT_EQ(breaker.retry_at() - now, 30s);
}

TEST(CircuitBreaker, AnAnswerOfAnyKindBreaksARowOfFailures) {
  for (const SendOutcome answer :
       {SendOutcome::Delivered, SendOutcome::Permanent, SendOutcome::Gone}) {
    CircuitBreaker breaker;
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(send(breaker, kBegin, SendOutcome::Retry));
    ASSERT_TRUE(send(breaker, kBegin, answer));
    for (int i = 0; i < 4; ++i) ASSERT_TRUE(send(breaker, kBegin, SendOutcome::Retry));
    EXPECT_EQ(breaker.state(), CircuitState::Closed) << to_string(answer);
  }
  CircuitBreaker breaker;
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(send(breaker, kBegin, SendOutcome::Retry));
  ASSERT_TRUE(send(breaker, kBegin, SendOutcome::NotSent));
  ASSERT_TRUE(send(breaker, kBegin, SendOutcome::Retry));
  EXPECT_EQ(breaker.state(), CircuitState::Open) << "what was not sent is no answer";
}

TEST(CircuitBreaker, OpensWhenHalfOfTwentyInAMinuteFail) {
  CircuitBreaker breaker;
  SteadyTime now = kBegin;
  for (int i = 0; i < 19; ++i, now += 1s) {
    ASSERT_TRUE(send(breaker, now, i % 2 == 0 ? SendOutcome::Retry : SendOutcome::Delivered));
    ASSERT_EQ(breaker.state(), CircuitState::Closed) << i;
  }
  ASSERT_TRUE(send(breaker, now, SendOutcome::Retry));
  EXPECT_EQ(breaker.state(), CircuitState::Open);

  // The same, spread over more than a minute: 12 of a minute are not 20.
  CircuitBreaker slow;
  for (int i = 0; i < 200; ++i, now += 5s)
    ASSERT_TRUE(send(slow, now, i % 2 == 0 ? SendOutcome::Retry : SendOutcome::Delivered));
  EXPECT_EQ(slow.state(), CircuitState::Closed);
}

TEST(CircuitBreaker, WhatWasSentBeforeItOpenedDecidesNothingAfterwards) {
  CircuitBreaker breaker;
  const auto slow = breaker.allow(kBegin);
  const auto slower = breaker.allow(kBegin);
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(breaker, kBegin, SendOutcome::Retry));
  ASSERT_EQ(breaker.state(), CircuitState::Open);
  breaker.on_result(*slow, SendOutcome::Delivered, kBegin + 1s);
  EXPECT_EQ(breaker.state(), CircuitState::Open);
  const auto probe = breaker.allow(kBegin + 30s);
  ASSERT_TRUE(probe);
  breaker.on_result(*slower, SendOutcome::Retry, kBegin + 31s);
  EXPECT_EQ(breaker.state(), CircuitState::HalfOpen);
  breaker.on_result(*probe, SendOutcome::Delivered, kBegin + 32s);
  EXPECT_EQ(breaker.state(), CircuitState::Closed);
}

TEST(CircuitBreaker, AProbeThatWasNotSentLeavesTheNextOneGo) {
  CircuitBreaker breaker;
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(send(breaker, kBegin, SendOutcome::Retry));
  const SteadyTime later = kBegin + 30s;
  ASSERT_TRUE(send(breaker, later, SendOutcome::NotSent));
  EXPECT_LE(breaker.retry_at(), later);
  ASSERT_TRUE(send(breaker, later, SendOutcome::Delivered));
  EXPECT_EQ(breaker.state(), CircuitState::Closed);
}

// Property: whatever happens, never more than one is under way while it is not closed, and it always becomes able to close again.
TEST(CircuitBreaker, IsNeverStuckAndProbesOneByOne) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random{seed};
    CircuitBreaker breaker;
    SteadyTime now = kBegin;
    std::vector<CircuitBreaker::Pass> under_way;
    for (int i = 0; i < 2000; ++i) {
      now += std::chrono::milliseconds{random() % 5000};
      const CircuitState before = breaker.state();
      if (random() % 2 == 0) {
        if (const auto pass = breaker.allow(now)) {
          ASSERT_TRUE(before == CircuitState::Closed || breaker.state() == CircuitState::HalfOpen);
          if (breaker.state() == CircuitState::HalfOpen) {
            for (const auto& other : under_way) ASSERT_NE(other, *pass) << "two probes";
          }
          under_way.push_back(*pass);
        } else {
          ASSERT_NE(breaker.state(), CircuitState::Closed);
        }
      } else if (!under_way.empty()) {
        const std::size_t which = random() % under_way.size();
        const CircuitBreaker::Pass pass = under_way[which];
        under_way.erase(under_way.begin() + static_cast<std::ptrdiff_t>(which));
        breaker.on_result(pass, random() % 3 == 0 ? SendOutcome::Delivered : SendOutcome::Retry,
                          now);
      }
    }
    for (const auto& pass : under_way) breaker.on_result(pass, SendOutcome::NotSent, now);
    if (breaker.state() == CircuitState::Closed) continue;
    ASSERT_TRUE(send(breaker, std::max(now, breaker.retry_at()), SendOutcome::Delivered)) << seed;
    EXPECT_EQ(breaker.state(), CircuitState::Closed) << seed;
  }
}

}  // namespace
}  // namespace watchwheel::sideeffects
