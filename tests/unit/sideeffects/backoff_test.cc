// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/backoff.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <set>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

TEST(Backoff, DoublesUpToItsMaximumWithTheUpperHalfAsJitter) {
  const BackoffLimits limits{.first = 100ms, .max = 5s};
  core::Duration step = 100ms;
  for (std::uint32_t attempt = 1; attempt <= 100; ++attempt) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const core::Duration delay = backoff_delay(limits, attempt, seed);
      EXPECT_GE(delay, step / 2) << attempt;
      EXPECT_LE(delay, step) << attempt;
    }
    step = std::min<core::Duration>(step * 2, 5s);
  }
}

TEST(Backoff, HoldsForAnyNumberOfAttempts) {
  EXPECT_LE(backoff_delay({}, UINT32_MAX, 1), 5s);
  EXPECT_GE(backoff_delay({}, UINT32_MAX, 1), 2500ms);
}

TEST(Backoff, SpreadsThoseThatFailedTogether) {
  std::set<core::Duration> delays;
  for (std::uint64_t seed = 0; seed < 100; ++seed) delays.insert(backoff_delay({}, 3, seed));
  EXPECT_GT(delays.size(), 95U);
}

}  // namespace
}  // namespace watchwheel::sideeffects
