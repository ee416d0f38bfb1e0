// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_pace.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;
using core::SteadyTime;

constexpr SteadyTime kStart{1h};

// Reads `rows` rows to the end of a sweep, pages of nothing but their waits; returns when the next one begins.
SteadyTime sweep(LegacyPace& pace, std::uint64_t rows, SteadyTime now) {
  pace.begin(now);
  while (rows > 0) {
    const std::uint64_t page = std::min<std::uint64_t>(rows, pace.page_rows());
    rows -= page;
    now = pace.after_page(page, now);
  }
  return pace.after_sweep(now);
}

TEST(LegacyPace, TheFirstSweepGoesAsFastAsAllowedAndTheOthersTakeTheirTime) {
  LegacyPace pace(60s, 20'000);
  SteadyTime next = sweep(pace, 100'000, kStart);
  EXPECT_NEAR(core::to_seconds(pace.took()), 5, 0.1);
  EXPECT_EQ(next, kStart + 48s);
  for (int i = 0; i < 3; ++i) {
    const SteadyTime begun = next;
    next = sweep(pace, 100'000, begun);
    EXPECT_NEAR(core::to_seconds(next - begun), 48, 0.5);
    EXPECT_NEAR(pace.rate(), 100'000 / 48.0, 1);
  }
}

TEST(LegacyPace, TheRateHoldsWhereTheRowsAreTooMany) {
  LegacyPace pace(10s, 1000);
  (void)sweep(pace, 100'000, kStart);
  EXPECT_NEAR(core::to_seconds(pace.took()), 100, 1);
  (void)sweep(pace, 100'000, kStart + 200s);
  EXPECT_NEAR(core::to_seconds(pace.took()), 100, 1);
  EXPECT_LE(pace.rate(), 1000);
}

TEST(LegacyPace, LatePagesAreMadeUpForAtTheRateAllowed) {
  LegacyPace pace(60s, 20'000);
  const SteadyTime next = sweep(pace, 100'000, kStart);
  pace.begin(next);
  const SteadyTime late = next + 30s;
  EXPECT_NEAR(core::to_seconds(pace.after_page(200, late) - late), 200 / 20'000.0, 0.001);
  // A hundred pages that each take long all the same: the sweep is in time.
  SteadyTime now = next;
  pace.begin(next);
  for (std::uint64_t rows = 0; rows < 100'000; rows += 1000)
    now = pace.after_page(1000, now + 300ms);
  (void)pace.after_sweep(now);
  EXPECT_LT(core::to_seconds(pace.took()), 50);
}

TEST(LegacyPace, AnEmptyTableIsAskedOnceASweep) {
  LegacyPace pace(60s, 1000);
  pace.begin(kStart);
  (void)pace.after_page(0, kStart);
  EXPECT_EQ(pace.after_sweep(kStart), kStart + 48s);
}

}  // namespace
}  // namespace watchwheel::app
