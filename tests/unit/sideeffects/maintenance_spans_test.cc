// SPDX-License-Identifier: Apache-2.0
// Goal: what a report counts as maintenance is what held back notices at that time, to the second. Method: random windows over the
// days around changes of the clocks, each looked at moment by moment.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "sideeffects/maintenance.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

TEST(MaintenanceSpans, HoldWhenTheWindowHolds) {
  std::mt19937_64 random(23);
  const auto upto = [&](int most) { return std::uniform_int_distribution<>(0, most)(random); };
  const std::array<const char*, 5> zones{"UTC", "Europe/Berlin", "America/New_York",
                                         "Australia/Lord_Howe", "Asia/Kathmandu"};
  const std::array<const char*, 3> changes{"2026-03-08T07:00:00Z", "2026-03-29T01:00:00Z",
                                           "2026-10-25T01:00:00Z"};
  for (int round = 0; round < 120; ++round) {
    const core::WallTime middle =
        *core::parse_iso8601(changes.at(static_cast<std::size_t>(upto(2))));
    MaintenanceWindow window;
    window.all_sites = true;
    window.weekdays = static_cast<std::uint8_t>(1 + upto(126));
    window.at = std::chrono::minutes{upto(1439)};
    window.length = std::chrono::minutes{1 + upto(upto(1) == 0 ? 240 : 7 * 1440 - 1)};
    window.zone = zones.at(static_cast<std::size_t>(upto(4)));
    if (upto(2) == 0) window.starts_at = middle - std::chrono::minutes{upto(5000)};
    if (upto(2) == 0) window.ends_at = middle + std::chrono::minutes{upto(5000)};
    if (upto(2) == 0) window.created_at = middle - std::chrono::minutes{upto(5000)};
    const core::WallTime from = middle - std::chrono::minutes{upto(3000)};
    const core::WallTime until = middle + std::chrono::minutes{upto(3000)};
    const auto spans = spans_between(window, from, until);
    ASSERT_TRUE(std::is_sorted(spans.begin(), spans.end(),
                               [](const auto& a, const auto& b) { return a.from < b.from; }));
    // Every edge, a second before it, and moments between.
    std::vector<core::WallTime> moments;
    for (core::WallTime at = from; at < until; at += 7min) moments.push_back(at);
    for (const auto& span : spans) {
      for (const core::WallTime edge : {span.from, span.until}) {
        moments.push_back(edge);
        moments.push_back(edge - 1s);
      }
    }
    for (const core::WallTime at : moments) {
      if (at < from || at >= until) continue;
      const bool told = std::any_of(spans.begin(), spans.end(), [&](const MaintenanceSpan& span) {
        return span.from <= at && at < span.until;
      });
      const bool announced = window.created_at == core::kNoWallTime || window.created_at <= at;
      ASSERT_EQ(told, announced && span_at(window, at).has_value())
          << "round " << round << " at " << core::to_iso8601(at) << " in " << window.zone;
    }
  }
}

TEST(MaintenanceSpans, OfOneThatComesOnceIsItself) {
  MaintenanceWindow window;
  window.all_sites = true;
  window.starts_at = core::WallTime{100s};
  window.ends_at = core::WallTime{200s};
  window.created_at = core::WallTime{1000s};  // Said afterwards: it counts.
  const auto spans = [&](core::Duration from, core::Duration until) {
    return spans_between(window, core::WallTime{from}, core::WallTime{until});
  };
  const std::vector<MaintenanceSpan> itself{{core::WallTime{100s}, core::WallTime{200s}}};
  EXPECT_EQ(spans(0s, 1000s), itself);
  EXPECT_EQ(spans(199s, 300s), itself);
  EXPECT_TRUE(spans(200s, 300s).empty());
  EXPECT_TRUE(spans(0s, 100s).empty());
}

}  // namespace
}  // namespace watchwheel::sideeffects
