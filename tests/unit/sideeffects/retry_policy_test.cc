// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/retry_policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include "core/hash.h"

namespace watchwheel::sideeffects {
namespace {

using core::Duration;
using namespace std::chrono_literals;

RetrySettings settings(RetryKind kind) {
  return {.kind = kind, .base = 5s, .cap = 900s};
}

std::vector<std::int64_t> first_seconds(const RetrySettings& retry, std::uint64_t random,
                                        std::uint32_t attempts = 20) {
  std::vector<std::int64_t> out;
  for (std::uint32_t n = 1; n <= attempts; ++n)
    out.push_back(std::chrono::round<std::chrono::seconds>(retry_delay(retry, n, random)).count());
  return out;
}

// A random number that leaves a delay of about n * 10 % jitter where it is: the middle of its span.
Duration middle_of(const RetrySettings& retry, std::uint32_t failed) {
  Duration low = retry_delay(retry, failed, 0);
  Duration high = low;
  for (std::uint64_t i = 0; i < 2000; ++i) {
    const Duration delay = retry_delay(retry, failed, i * 0x9e3779b97f4a7c15ULL);
    low = std::min(low, delay);
    high = std::max(high, delay);
  }
  return low + (high - low) / 2;
}

// Golden: 5 s and 15 min, attempts 1 to 20.
TEST(RetryPolicy, ThePoliciesWithoutJitterAreExact) {
  EXPECT_EQ(first_seconds(settings(RetryKind::Fixed), 7), std::vector<std::int64_t>(20, 5));
  EXPECT_EQ(first_seconds(settings(RetryKind::Linear), 7),
            (std::vector<std::int64_t>{5,  10, 15, 20, 25, 30, 35, 40, 45, 50,
                                       55, 60, 65, 70, 75, 80, 85, 90, 95, 100}));
  EXPECT_EQ(first_seconds(settings(RetryKind::Exponential), 7),
            (std::vector<std::int64_t>{5,   10,  20,  40,  80,  160, 320, 640, 900, 900,
                                       900, 900, 900, 900, 900, 900, 900, 900, 900, 900}));
}

// Golden: with the same random bits the policies with jitter are exact too.
TEST(RetryPolicy, ThePoliciesWithJitterAreExactForGivenRandomness) {
  EXPECT_EQ(first_seconds(settings(RetryKind::FullJitter), 0), std::vector<std::int64_t>(20, 0));
  EXPECT_EQ(retry_delay(settings(RetryKind::FullJitter), 3, 0), 250ms);
  EXPECT_EQ(retry_delay(settings(RetryKind::FullJitter), 3, 1'000'000'000), 1250ms);
  EXPECT_EQ(retry_delay(settings(RetryKind::EqualJitter), 3, 0), 10s);
  EXPECT_EQ(retry_delay(settings(RetryKind::EqualJitter), 3, 10'000'000'000), 20s);
  EXPECT_EQ(retry_delay(settings(RetryKind::EqualJitter), 3, 10'000'000'001), 10s);
  EXPECT_EQ(first_seconds(settings(RetryKind::EqualJitter), 0),
            (std::vector<std::int64_t>{2,   5,   10,  20,  40,  80,  160, 320, 450, 450,
                                       450, 450, 450, 450, 450, 450, 450, 450, 450, 450}));

  const RetrySettings river{.kind = RetryKind::Poly4, .base = 1s, .cap = 168h};
  for (std::uint32_t n = 1; n <= 20; ++n) {
    const Duration exact = std::chrono::seconds{std::uint64_t{n} * n * n * n};
    EXPECT_EQ(retry_delay(river, n, 0), exact - exact / 10) << n;
    EXPECT_NEAR(core::to_seconds(middle_of(river, n)), core::to_seconds(exact),
                core::to_seconds(exact) / 100)
        << n;
  }

  const RetrySettings listed;
  const std::vector<Duration> entries{5s, 1min, 5min, 30min, 2h, 5h, 10h};
  for (std::uint32_t n = 1; n <= 20; ++n) {
    const Duration entry = entries[std::min<std::size_t>(n - 1, entries.size() - 1)];
    EXPECT_EQ(retry_delay(listed, n, 0), entry - entry / 10) << n;
    EXPECT_NEAR(core::to_seconds(middle_of(listed, n)), core::to_seconds(entry),
                core::to_seconds(entry) / 100)
        << n;
  }
}

TEST(RetryPolicy, EightAttemptsOfTheScheduleLastToTheNextMorning) {
  const RetrySettings listed;
  Duration total{};
  for (std::uint32_t n = 1; n < listed.attempts_max; ++n) total += listed.schedule[n - 1];
  EXPECT_EQ(total, 17h + 36min + 5s);
}

// Property: whatever is asked, the delay is within its limits. Undefined behaviour is the sanitizer's to tell.
TEST(RetryPolicy, StaysWithinItsLimitsForAnyNumberOfAttempts) {
  std::mt19937_64 random{20261121};
  const auto upto = [&random](std::uint64_t from, std::uint64_t to) {
    return from + random() % (to - from + 1);
  };
  constexpr std::uint64_t kHour = 3'600'000'000'000;
  for (int i = 0; i < 200'000; ++i) {
    RetrySettings retry;
    retry.kind = static_cast<RetryKind>(random() % kRetryKindNames.size());
    retry.base = Duration{static_cast<std::int64_t>(upto(1'000'000, kHour))};
    retry.cap = Duration{static_cast<std::int64_t>(upto(1'000'000, 168 * kHour))};
    if (retry.kind == RetryKind::Schedule) {
      retry.schedule.resize(upto(1, 10));
      for (Duration& entry : retry.schedule)
        entry = Duration{static_cast<std::int64_t>(upto(0, 24 * kHour))};
    }
    std::uint32_t attempt = static_cast<std::uint32_t>(random() >> (random() % 32 + 32));
    if (i % 1000 == 0) attempt = 2'147'483'647;
    if (i % 1000 == 1) attempt = 4'294'967'295;
    if (i % 1000 < 200 && i % 1000 > 1) attempt = static_cast<std::uint32_t>(i % 1000);
    const Duration delay = retry_delay(retry, attempt, random());
    const bool listed = retry.kind == RetryKind::Schedule;
    const Duration most =
        listed ? *std::max_element(retry.schedule.begin(), retry.schedule.end()) * 11 / 10 + 1ns
               : retry.cap;
    ASSERT_GE(delay, listed ? retry.least : std::min(retry.least, retry.cap))
        << to_string(retry.kind) << ' ' << attempt;
    ASSERT_LE(delay, std::max(most, retry.least < most || !listed ? most : retry.least))
        << to_string(retry.kind) << ' ' << attempt;
  }
}

// Goal: the k-th of attempts waits at least as long as the one before it, where there is no chance in it.
TEST(RetryPolicy, NeverGetsMoreImpatient) {
  for (const RetryKind kind : {RetryKind::Fixed, RetryKind::Linear, RetryKind::Exponential}) {
    for (const auto& [base, cap] : std::vector<std::pair<Duration, Duration>>{
             {1ms, 168h}, {1h, 168h}, {5s, 15min}, {3ns, 168h}}) {
      Duration before{};
      for (std::uint32_t n = 1; n < 200; ++n) {
        const Duration delay =
            retry_delay({.kind = kind, .base = base, .cap = cap, .least = 0ns}, n, 1);
        ASSERT_GE(delay, before) << to_string(kind) << ' ' << n;
        before = delay;
      }
    }
  }
}

struct Draws {
  std::vector<double> seconds;
  std::size_t distinct = 0;  // At a microsecond.
};

Draws draw(const RetrySettings& retry, std::uint32_t failed) {
  std::mt19937_64 random{4711};
  Draws draws;
  std::set<std::int64_t> seen;
  for (int i = 0; i < 100'000; ++i) {
    const Duration delay = retry_delay(retry, failed, random());
    draws.seconds.push_back(core::to_seconds(delay));
    seen.insert(std::chrono::floor<std::chrono::microseconds>(delay).count());
  }
  draws.distinct = seen.size();
  std::sort(draws.seconds.begin(), draws.seconds.end());
  return draws;
}

double mean(const std::vector<double>& values) {
  double sum = 0;
  for (const double value : values) sum += value;
  return sum / static_cast<double>(values.size());
}

// The largest distance between what was drawn and a uniform distribution (Kolmogorov, Smirnov).
double distance_from_uniform(const std::vector<double>& sorted, double from, double to) {
  double worst = 0;
  const auto n = static_cast<double>(sorted.size());
  for (std::size_t i = 0; i < sorted.size(); ++i) {
    const double expected = (sorted[i] - from) / (to - from);
    worst = std::max({worst, std::abs(expected - static_cast<double>(i) / n),
                      std::abs(expected - static_cast<double>(i + 1) / n)});
  }
  return worst;
}

// Goal: those that failed together do not come back together. 1.628 / sqrt(n) is the distance at which p is 0.01.
TEST(RetryPolicy, JitterSpreadsEvenly) {
  const double allowed = 1.628 / std::sqrt(100'000.0);

  const Draws full = draw(settings(RetryKind::FullJitter), 20);
  EXPECT_NEAR(mean(full.seconds), 450, 4.5);
  EXPECT_LT(distance_from_uniform(full.seconds, 0.25, 900), allowed);
  EXPECT_GE(full.distinct, 99'000U);

  const Draws equal = draw(settings(RetryKind::EqualJitter), 20);
  EXPECT_GE(equal.seconds.front(), 450);
  EXPECT_LE(equal.seconds.back(), 900);
  EXPECT_LT(distance_from_uniform(equal.seconds, 450, 900), allowed);
  EXPECT_GE(equal.distinct, 99'000U);

  const Draws listed = draw(RetrySettings{}, 4);  // 30 min: 27 to 33.
  EXPECT_GE(listed.seconds.front(), 27 * 60);
  EXPECT_LE(listed.seconds.back(), 33 * 60);
  EXPECT_LT(distance_from_uniform(listed.seconds, 27 * 60, 33 * 60), allowed);
  EXPECT_GE(listed.distinct, 99'000U);
}

// Goal: a receiver that comes back is not run over by what failed while it was away. Method: 5,000 attempts that ended in one
// millisecond, half of them in each of two processes whose randomness goes on as a worker's does; in no tenth of a second come more
// than three times as many as there would be on average.
TEST(RetryPolicy, ThousandsThatFailedAtOnceComeBackSpread) {
  for (const auto& [kind, span_s] :
       {std::pair{RetryKind::FullJitter, 16.0}, std::pair{RetryKind::EqualJitter, 8.0}}) {
    RetrySettings retry = settings(kind);
    retry.base = 1s;
    retry.cap = 16s;
    std::vector<double> at;
    for (std::uint64_t random : {core::stable_hash(1), core::stable_hash(2)}) {
      for (int i = 0; i < 2500; ++i) {
        random = core::stable_hash(random);
        at.push_back(core::to_seconds(retry_delay(retry, 5, random)));
      }
    }
    std::sort(at.begin(), at.end());
    std::size_t most = 0;
    for (std::size_t first = 0, last = 0; last < at.size(); ++last) {
      while (at[last] - at[first] > 0.1) ++first;
      most = std::max(most, last - first + 1);
    }
    const double average = 5000 * 0.1 / span_s;
    EXPECT_LE(static_cast<double>(most), 3 * average) << to_string(kind);
    EXPECT_GE(static_cast<double>(most), average) << to_string(kind);
  }
}

TEST(RetryPolicy, WhatWasAskedForIsKeptAndATenthOnTop) {
  std::mt19937_64 random{1};
  Duration least = 1h;
  Duration most{};
  for (int i = 0; i < 10'000; ++i) {
    const Duration delay = delay_as_asked(7s, random());
    least = std::min(least, delay);
    most = std::max(most, delay);
  }
  EXPECT_GE(least, 7s);
  EXPECT_LE(most, 7700ms);
  EXPECT_GT(most - least, 600ms);
  EXPECT_EQ(delay_as_asked(0s, 12345), 0s);
}

TEST(RetryPolicy, ItsWordsAreReadBack) {
  for (const std::string_view name : kRetryKindNames) {
    const auto kind = parse_retry_kind(name);
    ASSERT_TRUE(kind);
    EXPECT_EQ(to_string(*kind), name);
  }
  EXPECT_FALSE(parse_retry_kind("quadratic"));
}

}  // namespace
}  // namespace watchwheel::sideeffects
