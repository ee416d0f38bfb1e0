// SPDX-License-Identifier: Apache-2.0
#include "fleet/observer.h"

#include <gtest/gtest.h>

namespace watchwheel::fleet {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Config ten_sites() {
  Config config;
  config.sites = 10;
  return config;
}

class FleetObserver : public ::testing::Test {
 protected:
  [[nodiscard]] Time at(int ms) const { return start_ + milliseconds(ms); }
  // Asks every site of [first, last] at each `every` until `until`, the first time at `from`.
  void ask(std::uint32_t first, std::uint32_t last, int from, int every, int until) {
    for (int ms = from; ms <= until; ms += every) {
      for (std::uint32_t site = first; site <= last; ++site) observer_.asked(site, at(ms));
    }
  }
  Time start_{seconds(5000)};
  SiteMap map_{ten_sites()};
  FaultBoard board_{map_};
  Observer observer_{map_, board_, seconds(10), seconds(10), start_};
};

TEST_F(FleetObserver, PunctualEngineHasRatioOneAndNothingStale) {
  ask(0, 9, 5000, 10'000, 95'000);
  const Summary summary = observer_.summary(at(100'000));
  EXPECT_DOUBLE_EQ(summary.request_ratio, 1.0);
  EXPECT_EQ(summary.requests, 100U);
  EXPECT_EQ(summary.never_seen, 0U);
  EXPECT_EQ(summary.stale, 0U);
  EXPECT_NEAR(summary.gap.p50, 10.0, 0.1);
  EXPECT_DOUBLE_EQ(summary.gap.max, 10.0);
  EXPECT_DOUBLE_EQ(summary.age.max, 5.0);
}

TEST_F(FleetObserver, WaitsAtBothEdgesOfTheWindowMakeStale) {
  ask(1, 9, 5000, 10'000, 95'000);
  ask(0, 0, 11'500, 10'000, 95'000);  // 11.5 s before its first.
  EXPECT_EQ(observer_.summary(at(100'000)).stale, 1U);
  EXPECT_EQ(observer_.summary(at(100'000)).worst_site, 0U);
  observer_.reset(start_);
  ask(1, 9, 5000, 10'000, 95'000);
  ask(0, 0, 5000, 10'000, 85'000);  // 15 s after its last.
  EXPECT_EQ(observer_.summary(at(100'000)).stale, 1U);
  EXPECT_EQ(observer_.summary(at(96'000)).stale, 0U);
}

TEST_F(FleetObserver, GapOfJustIntervalAndASecondIsNotStale) {
  ask(0, 9, 0, 11'000, 99'000);
  EXPECT_EQ(observer_.summary(at(100'000)).stale, 0U);
  ask(3, 3, 110'002, 1, 110'002);
  ask(0, 2, 110'000, 1, 110'000);
  ask(4, 9, 110'000, 1, 110'000);
  EXPECT_EQ(observer_.summary(at(110'002)).stale, 1U);
}

TEST_F(FleetObserver, SiteNeverAskedIsNeverSeenAndStale) {
  ask(1, 9, 5000, 10'000, 95'000);
  const Summary summary = observer_.summary(at(100'000));
  EXPECT_EQ(summary.never_seen, 1U);
  EXPECT_EQ(summary.stale, 1U);
  EXPECT_DOUBLE_EQ(summary.gap.max, 100.0);
}

TEST_F(FleetObserver, BrokenSitesAreReportedApart) {
  ASSERT_EQ(board_.schedule({FaultKind::Status500, {0, 4}, {}, seconds(30)}, start_, start_), "");
  ask(0, 4, 1000, 1000, 29'000);  // Quick re-checks.
  board_.advance(at(40'000));
  ask(5, 9, 5000, 10'000, 95'000);
  const Summary summary = observer_.summary(at(100'000));
  EXPECT_EQ(summary.healthy_sites, 5U);
  EXPECT_EQ(summary.broken_sites, 5U);
  EXPECT_DOUBLE_EQ(summary.request_ratio, 1.0);
  EXPECT_EQ(summary.stale, 0U);
  EXPECT_EQ(summary.asked_by_kind[static_cast<std::size_t>(FaultKind::Status500)], 5U * 29U);
  EXPECT_TRUE(observer_.site(0, at(100'000)).was_broken);
}

TEST_F(FleetObserver, PairOfQueriesIsOneAsking) {
  observer_.asked_by_dns(0, at(1000));
  observer_.asked_by_dns(0, at(1001));
  EXPECT_EQ(observer_.site(0, at(2000)).asked, 1U);
  observer_.asked_by_dns(0, at(3000));
  EXPECT_EQ(observer_.site(0, at(3000)).asked, 2U);
}

TEST_F(FleetObserver, SeriesShowsBurstsAndKeepsTheLastHour) {
  ask(0, 9, 2500, 1, 2500);
  Summary summary = observer_.summary(at(4999));
  EXPECT_EQ(summary.series, (std::vector<std::uint32_t>{0, 0, 10, 0, 0}));
  ask(0, 0, 4'000'000, 1, 4'000'000);
  summary = observer_.summary(at(4'000'500));
  EXPECT_EQ(summary.series.size(), Observer::kSeriesMax);
  EXPECT_EQ(summary.series_start_s, 401U);
  EXPECT_EQ(summary.series.back(), 1U);
  EXPECT_EQ(summary.series.front(), 0U);
}

// Goal: a window about some of the sites with another measure says nothing of the others.
TEST_F(FleetObserver, WindowCanBeAboutSomeSitesWithAnotherInterval) {
  observer_.reset(start_, {seconds(20), seconds(5), {2, 4}});
  ask(2, 4, 5000, 20'000, 95'000);
  ask(7, 7, 1000, 50'000, 60'000);
  const Summary summary = observer_.summary(at(100'000));
  EXPECT_EQ(summary.sites, 3U);
  EXPECT_EQ(summary.healthy_sites, 3U);
  EXPECT_EQ(summary.never_seen, 0U);
  EXPECT_EQ(summary.healthy_requests, 15U);
  EXPECT_EQ(summary.requests, 17U);
  EXPECT_DOUBLE_EQ(summary.request_ratio, 1.0);
  EXPECT_DOUBLE_EQ(summary.gap.max, 20.0);
  EXPECT_DOUBLE_EQ(summary.longest_wait.max, 20.0);
}

TEST_F(FleetObserver, ExpiredIsLongerThanIntervalAndTimeout) {
  ask(0, 8, 5000, 10'000, 95'000);
  ask(9, 9, 5000, 10'000, 45'000);
  ask(9, 9, 65'000, 10'000, 95'000);  // 20 s without: not above 10 s and 10 s.
  Summary summary = observer_.summary(at(100'000));
  EXPECT_EQ(summary.stale, 1U);
  EXPECT_EQ(summary.expired, 0U);
  EXPECT_NEAR(summary.longest_wait.p50, 10.0, 0.1);
  EXPECT_DOUBLE_EQ(summary.longest_wait.max, 20.0);
  ask(0, 8, 105'000, 10'000, 115'000);
  ask(9, 9, 115'001, 1, 115'001);
  summary = observer_.summary(at(116'000));
  EXPECT_EQ(summary.expired, 1U);
}

// Goal: the shift is that of the phase, whatever stood still in between and whenever windows began.
TEST_F(FleetObserver, PhaseShiftIsTheDistanceFromTheMarkPlusWholeIntervals) {
  for (std::uint32_t site = 0; site < 9; ++site)
    ask(site, site, 1000 + 500 * static_cast<int>(site), 10'000, 29'000);
  observer_.mark();
  EXPECT_EQ(observer_.summary(at(30'000)).phase_shift.max, 0.0);
  observer_.reset(at(43'700));
  for (std::uint32_t site = 0; site < 8;
       ++site) {  // Nothing for two minutes, then where they were.
    ask(site, site, 151'000 + 500 * static_cast<int>(site), 10'000, 169'000);
  }
  ask(8, 8, 163'200, 1, 163'200);  // It belongs at 165 s.
  ask(9, 9, 164'000, 1, 164'000);  // Not asked before the mark: not among them.
  const Summary summary = observer_.summary(at(170'000));
  EXPECT_EQ(summary.phase_sites, 9U);
  EXPECT_DOUBLE_EQ(summary.phase_shift.p50, 0.0);
  EXPECT_DOUBLE_EQ(summary.phase_shift.max, 1.8);
}

TEST(FleetHistogram, PercentilesAreWithinOnePercentAbove) {
  Histogram histogram;
  EXPECT_EQ(histogram.at(0.5), 0U);
  for (std::uint32_t value = 1; value <= 100'000; ++value) histogram.add(value);
  for (const double share : {0.001, 0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const double exact = share * 100'000;
    EXPECT_GE(histogram.at(share), exact - 1);
    EXPECT_LE(histogram.at(share), exact * 1.008 + 1);
  }
  histogram.add(0xffffffffU);
  EXPECT_EQ(histogram.at(1.0), 0xffffffffU);
}

}  // namespace
}  // namespace watchwheel::fleet
