// SPDX-License-Identifier: Apache-2.0
// What a report reads: sites that were there in a window, their events, and when nobody knew how they were.
#include <algorithm>

#include "contract.h"

namespace watchwheel::db::contract {
namespace {

using core::FreshnessMark;
using namespace std::chrono_literals;

constexpr std::int64_t kQuietMs = 10'000;

// As a lane tells it that has had results without a break since `unbroken`.
FreshnessMark told(core::SiteId site, std::int64_t checked, std::int64_t unbroken) {
  FreshnessMark mark = measured(site, checked);
  mark.unbroken_since = at(unbroken);
  mark.quiet_max = std::chrono::milliseconds{kQuietMs};
  return mark;
}

std::vector<SiteHistory> read(Store& store, const core::TimeSpan& window,
                              const UptimeFilter& filter = {}) {
  return take(take(store.make_uptime_log())->page(filter, window, {}, 1000));
}

// The sites that the tests add begin now; these marks are of long ago.
void begun_long_ago(StoreUnderTest& store) {
  store.execute("UPDATE sites SET created_at = " + std::to_string(core::to_unix_ms(at(-1000))) +
                ", updated_at = " + std::to_string(core::to_unix_ms(at(-1000))) +
                ", change_seq = change_seq + 1000");
}

const core::TimeSpan kAlways{at(-10'000'000), at(10'000'000)};

TEST_P(StoreContract, AGapIsToldOnceAndOnlyWhereThereIsOne) {
  const auto ids = add_sites(5);
  begun_long_ago(*under_test);
  // All are known from the beginning.
  std::vector<FreshnessMark> first;
  for (const core::SiteId id : ids) first.push_back(told(id, 0, -500));
  ASSERT_TRUE(freshness->write(first));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_gaps"), 0);

  FreshnessMark blind = measured(ids[3], 2000);
  blind.measured = false;
  blind.made_at = at(4000);
  ASSERT_TRUE(freshness->write(std::vector{blind}));
  const std::vector<FreshnessMark> second{
      told(ids[0], 900'000, -500),                 // Written late, seen all the time.
      told(ids[1], kQuietMs + 500, kQuietMs),      // Taken over after a time that may be ordinary.
      told(ids[2], kQuietMs + 500, kQuietMs + 1),  // After one that is not.
      told(ids[3], 5000, 5000),                    // Unknown meanwhile, however short.
      measured(ids[4], 900'000)};                  // Nothing is told of before.
  ASSERT_TRUE(freshness->write(second));
  ASSERT_TRUE(freshness->write(second)) << "a batch may be repeated";
  const auto sites = read(*store, kAlways);
  ASSERT_EQ(sites.size(), 5U);
  EXPECT_TRUE(sites[0].gaps.empty());
  EXPECT_TRUE(sites[1].gaps.empty());
  EXPECT_EQ(sites[2].gaps, (std::vector<core::TimeSpan>{{at(0), at(kQuietMs + 1)}}));
  EXPECT_EQ(sites[3].gaps, (std::vector<core::TimeSpan>{{at(2000), at(5000)}}));
  EXPECT_TRUE(sites[4].gaps.empty());
}

TEST_P(StoreContract, ASiteThatNobodyLookedAtHasAGapFromItsBeginning) {
  const auto ids = add_sites(2);
  begun_long_ago(*under_test);
  EXPECT_FALSE(read(*store, kAlways).at(0).seen);
  ASSERT_TRUE(freshness->write(
      std::vector{told(ids[0], 60'500, 60'000), told(ids[1], 500, kQuietMs - 1000)}));
  const auto sites = read(*store, kAlways);
  EXPECT_TRUE(sites.at(0).seen);
  EXPECT_EQ(sites[0].gaps, (std::vector<core::TimeSpan>{{at(-1000), at(60'000)}}));
  EXPECT_TRUE(sites[1].gaps.empty()) << "the first check comes when it is due";
}

TEST_P(StoreContract, AClockThatRunsAheadLeavesNoGap) {
  const auto ids = add_sites(1);
  begun_long_ago(*under_test);
  ASSERT_TRUE(freshness->write(std::vector{told(ids[0], 0, -500)}));
  FreshnessMark ahead = told(ids[0], 0, 0);
  ahead.checked_at = ahead.unbroken_since = core::SystemClock().wall() + 24h * 365;
  ASSERT_TRUE(freshness->write(std::vector{ahead}));
  EXPECT_EQ(under_test->number("SELECT count(*) FROM site_gaps"), 0);
}

// Goal: many at once are told as one is, whatever the statement takes.
TEST_P(StoreContract, ManyGapsAreToldAtOnce) {
  const auto ids = add_sites(237);
  begun_long_ago(*under_test);
  std::vector<FreshnessMark> marks;
  for (const core::SiteId id : ids)
    marks.push_back(told(id, 900'000, 800'000 + static_cast<std::int64_t>(id.value)));
  ASSERT_TRUE(freshness->write(marks));
  for (const SiteHistory& site : read(*store, kAlways)) {
    EXPECT_EQ(site.gaps, (std::vector<core::TimeSpan>{
                             {at(-1000), at(800'000 + static_cast<std::int64_t>(site.id.value))}}));
  }
}

TEST_P(StoreContract, AHistoryHoldsWhatTouchesItsWindow) {
  const auto ids = add_sites(3);
  begun_long_ago(*under_test);
  commit(whole_story(ids[0], 0));  // Over after a minute.
  commit(opened(ids[0], 200'000));
  commit(whole_story(ids[2], 100'000));
  const core::TroubleSpan over{at(0), at(60'000), true};
  const core::TroubleSpan open{at(200'000), core::kNoWallTime, false};
  const core::TroubleSpan other{at(100'000), at(160'000), true};
  const auto troubles = [&](std::int64_t from, std::int64_t until) {
    std::vector<core::TroubleSpan> all;
    for (const SiteHistory& site : read(*store, {at(from), at(until)}))
      all.insert(all.end(), site.troubles.begin(), site.troubles.end());
    return all;
  };
  using Troubles = std::vector<core::TroubleSpan>;
  EXPECT_EQ(troubles(-500, 900'000), (Troubles{over, open, other}));
  EXPECT_EQ(troubles(59'999, 90'000), (Troubles{over}));
  EXPECT_EQ(troubles(60'001, 100'000), Troubles{});
  EXPECT_EQ(troubles(-500, 0), Troubles{}) << "the window ends as it begins";
  EXPECT_EQ(troubles(300'000, 400'000), (Troubles{open}));
}

TEST_P(StoreContract, AHistoryIsOfTheSitesAskedForAndThereInTheWindow) {
  core::SiteRecord tagged = site("https://tagged.example/");
  tagged.tags = {"shop", "eu"};
  (void)take(catalog->upsert(std::vector{tagged}));
  const auto ids = add_sites(3);
  begun_long_ago(*under_test);
  (void)take(catalog->remove(std::vector{ids[1]}));
  under_test->execute(
      "UPDATE sites SET deleted_at = " + std::to_string(core::to_unix_ms(at(50'000))) +
      ", change_seq = change_seq + 1000 WHERE deleted_at IS NOT NULL");
  const core::TimeSpan early{at(0), at(10'000)};
  EXPECT_EQ(read(*store, early).size(), 4U);
  EXPECT_EQ(read(*store, {at(50'000), at(60'000)}).size(), 3U) << "one was removed by then";
  EXPECT_EQ(read(*store, {at(-9000), at(-1000)}).size(), 0U) << "before any was there";
  const auto with_tag = read(*store, early, {.tag = "shop"});
  ASSERT_EQ(with_tag.size(), 1U);
  EXPECT_EQ(with_tag[0].tags, tagged.tags);
  EXPECT_EQ(read(*store, early, {.tag = "sho"}).size(), 0U);
  const auto one = read(*store, early, {.site = ids[1]});
  ASSERT_EQ(one.size(), 1U);
  EXPECT_EQ(one[0].deleted_at, at(50'000));
  EXPECT_EQ(read(*store, early, {.site = core::SiteId{99}}).size(), 0U);

  const auto log = take(store->make_uptime_log());
  std::vector<core::SiteId> walked;
  core::SiteId after{};
  for (;;) {
    const auto page = take(log->page({}, early, after, 3));
    for (const SiteHistory& site : page) walked.push_back(after = site.id);
    if (page.size() < 3) break;
  }
  EXPECT_EQ(walked.size(), 4U);
  EXPECT_TRUE(std::is_sorted(walked.begin(), walked.end()));
}

}  // namespace
}  // namespace watchwheel::db::contract
