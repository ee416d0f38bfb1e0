// SPDX-License-Identifier: Apache-2.0
// Goal: what sites answered is handed over once, for its hour, and takes a bounded room until then. Method: virtual time.
#include "sideeffects/response_gatherer.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <utility>

namespace watchwheel::sideeffects {
namespace {

using core::ResponseHistogram;
using core::SiteId;
using core::WallTime;
using namespace std::chrono_literals;

const WallTime kHour =
    std::chrono::floor<std::chrono::hours>(core::from_unix_ms(1'700'000'000'000));

core::FreshnessMark mark(std::uint64_t site, WallTime at,
                         std::initializer_list<core::Duration> took) {
  core::FreshnessMark made{.site = SiteId{site}, .checked_at = at};
  for (const core::Duration one : took) made.responses.add(one);
  return made;
}

ResponseHistogram of(std::initializer_list<core::Duration> took) {
  core::ResponseCounts counts;
  for (const core::Duration one : took) counts.add(one);
  ResponseHistogram all;
  all += counts;
  return all;
}

using Told = std::map<std::pair<std::uint64_t, WallTime>, ResponseHistogram>;  // By site and hour.

std::size_t tell(const std::vector<ResponsePage>& pages, Told& told) {
  for (const ResponsePage& page : pages) {
    for (const auto& site : page.sites)
      told[{page.number * ResponsePage::kSites + site.offset, page.hour}] += site.counts;
  }
  return pages.size();
}

TEST(ResponseGatherer, NeighboursAreOnePageWhenTheirHourIsOver) {
  ResponseGatherer gatherer(7);
  const std::uint64_t first = 5 * ResponsePage::kSites;
  gatherer.add(mark(first, kHour + 59min + 58s, {100ms}));
  gatherer.add(mark(first + 127, kHour + 59min + 59s, {200ms, 3s}));
  gatherer.add(mark(first + 3, kHour + 59min + 59s, {}));
  EXPECT_TRUE(gatherer.take(kHour + 1h, 10, false).empty()) << "others may be on their way";
  gatherer.add(mark(first, kHour + 1h, {400ms}));  // The next hour's, before this one was taken.
  const auto pages = gatherer.take(kHour + 1h + 1s, 10, false);
  ASSERT_EQ(pages.size(), 1U);
  EXPECT_EQ(pages[0].number, 5U);
  EXPECT_EQ(pages[0].token, 7);
  EXPECT_FALSE(pages[0].by_hour);
  Told told;
  tell(pages, told);
  EXPECT_EQ(told, (Told{{{first, kHour}, of({100ms})}, {{first + 127, kHour}, of({200ms, 3s})}}));
  EXPECT_EQ(tell(gatherer.take(kHour + 1h + 1s, 10, true), told), 1U);
  EXPECT_EQ(told.at({first, kHour + 1h}), of({400ms}));
  EXPECT_EQ(gatherer.pages(), 0U);
  EXPECT_EQ(gatherer.bytes(), 0U);
}

TEST(ResponseGatherer, FewAreTakenSoonAndManyWithTheHour) {
  EXPECT_EQ(ResponseGatherer::wait(0), 5s);
  EXPECT_EQ(ResponseGatherer::wait(40), 40s);
  EXPECT_EQ(ResponseGatherer::wait(782), 782s) << "100,000 sites";
  EXPECT_EQ(ResponseGatherer::wait(31'250), 1h) << "4 million";
  ResponseGatherer few(1);
  few.add(mark(1, kHour + 1min, {100ms}));
  EXPECT_TRUE(few.take(kHour + 1min + 4s, 10, false).empty());
  EXPECT_EQ(few.take(kHour + 1min + 5s, 10, false).size(), 1U);
  ResponseGatherer many(1);
  for (std::uint64_t site = 0; site < 20'000 * ResponsePage::kSites; site += ResponsePage::kSites)
    many.add(mark(site, kHour + 1min, {100ms}));
  std::size_t taken = 0;
  for (WallTime now = kHour + 1min; now < kHour + 1h; now += 1min)
    taken += many.take(now, 1000, false).size();
  EXPECT_EQ(taken, 0U);
  // Then at the taker's pace, each once.
  std::set<std::uint64_t> numbers;
  for (int calls = 0; calls < 400; ++calls) {
    const auto pages = many.take(kHour + 1h + 10s, 64, false);
    EXPECT_LE(pages.size(), 64U);
    for (const auto& page : pages) EXPECT_TRUE(numbers.insert(page.number).second);
  }
  EXPECT_EQ(numbers.size(), 20'000U);
}

TEST(ResponseGatherer, LosesNothingAndKeepsTheHours) {
  ResponseGatherer gatherer(1);
  std::minstd_rand random(3);
  Told earned;
  Told told;
  std::set<std::int64_t> tokens;
  for (core::Duration passed{}; passed < 5h; passed += 1s) {
    const WallTime now = kHour + passed;
    for (int i = 0; i < 3; ++i) {
      const std::uint64_t site = 1 + random() % 400;
      const core::FreshnessMark one =
          mark(site, now - (random() % 3) * 1s, {(1 + random() % 2000) * 1ms, 300ms});
      earned[{site, std::chrono::floor<std::chrono::hours>(one.checked_at)}] += one.responses;
      gatherer.add(one);
    }
    for (const auto& page : gatherer.take(now, 1 + random() % 3, false)) {
      EXPECT_TRUE(tokens.insert(page.token).second);
      tell({page}, told);
    }
  }
  while (tell(gatherer.take(kHour + 5h, 2, true), told) > 0) continue;
  ResponseHistogram all_earned;
  ResponseHistogram all_told;
  for (const auto& [at, counts] : earned) all_earned += counts;
  for (const auto& [at, counts] : told) all_told += counts;
  EXPECT_EQ(all_told, all_earned) << "no step became coarser";
  // What came behind the first of the next hour counts for that: two seconds an hour.
  std::size_t elsewhere = 0;
  for (const auto& [at, counts] : earned) elsewhere += told[at] == counts ? 0U : 1U;
  EXPECT_LT(elsewhere, 5U * 12U);
  EXPECT_EQ(gatherer.bytes(), 0U);
}

TEST(ResponseGatherer, TakesABoundedRoomWhileNobodyTakes) {
  ResponseGatherer gatherer(1);
  constexpr std::uint64_t kSites = 5 * ResponsePage::kSites;
  std::minstd_rand random(5);
  std::uint64_t answers = 0;
  for (int quarter = 0; quarter < 4 * 12; ++quarter) {
    for (std::uint64_t site = 0; site < kSites; ++site) {
      gatherer.add(mark(site, kHour + quarter * 15min,
                        {100ms + random() % 20 * 1ms, 100ms + random() % 20 * 1ms}));
      answers += 2;
    }
    if (quarter == 3) {
      EXPECT_LT(gatherer.bytes() / kSites, 14U) << "of one hour";
    }
  }
  EXPECT_LT(gatherer.bytes() / kSites, 28U);
  Told told;
  while (tell(gatherer.take(kHour + 12h, 64, true), told) > 0) continue;
  std::uint64_t all = 0;
  for (const auto& [at, counts] : told) all += counts.total();
  EXPECT_EQ(all, answers) << "late, not lost: 96 of each";

  // Times that scatter over all steps: coarser, and never faster than they were.
  for (int quarter = 0; quarter < 4 * 12; ++quarter) {
    for (std::uint64_t site = 0; site < kSites; ++site)
      gatherer.add(mark(site, kHour + quarter * 15min, {(1 + random() % 50'000) * 1ms, 54s}));
  }
  EXPECT_LT(gatherer.bytes() / kSites, 2 * 2 * sizeof(ResponsePage::Site) + 4);
  told.clear();
  while (tell(gatherer.take(kHour + 12h, 64, true), told) > 0) continue;
  for (const auto& [at, counts] : told) EXPECT_GE(*counts.quantile(1.0), 54s);
}

TEST(ResponseGatherer, BeyondWhatACountHoldsNothingIsCounted) {
  ResponseGatherer gatherer(1);
  for (int answers = 0; answers < 3 * 1023; ++answers) {
    for (std::uint64_t site = 0; site < ResponsePage::kSites; ++site)
      gatherer.add(mark(site, kHour, {100ms}));
  }
  Told told;
  while (tell(gatherer.take(kHour + 9h, 64, true), told) > 0) continue;
  for (const auto& [at, counts] : told) EXPECT_EQ(counts.total(), 2 * 1023U);
  EXPECT_EQ(told.size(), ResponsePage::kSites);
}

TEST(ResponseGatherer, AClockThatWasAheadHoldsNothingUp) {
  ResponseGatherer gatherer(1);
  gatherer.add(mark(1, kHour + 5h, {100ms}));
  gatherer.add(mark(1, kHour + 1min, {200ms}));  // It was put right.
  const auto pages = gatherer.take(kHour + 1min, 10, false);
  ASSERT_EQ(pages.size(), 1U);
  EXPECT_EQ(pages[0].sites.size(), 1U);
  EXPECT_EQ(gatherer.pages(), 0U);
}

}  // namespace
}  // namespace watchwheel::sideeffects
