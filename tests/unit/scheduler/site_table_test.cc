// SPDX-License-Identifier: Apache-2.0
#include "scheduler/site_table.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <map>
#include <random>
#include <string>

#include "core/site.h"
#include "scheduler/scheduler.h"

namespace watchwheel::scheduler {
namespace {

using core::kNoSlot;
using core::SiteId;
using core::SiteSlot;
using namespace std::chrono_literals;

std::string url_of(std::uint64_t id) {
  std::string url = "https://www.customer-" + std::to_string(id) + ".example/";
  url.resize(50, 'p');
  return url;
}

TEST(SiteTable, KeepsWhatItIsGiven) {
  SiteTable sites(10);
  const SiteSlot a = sites.add(SiteId{7}, "http://a.example/", 90s, 3);
  const SiteSlot b = sites.add(SiteId{8}, "http://b.example/", 1500ms, 4);
  EXPECT_EQ(sites.size(), 2U);
  EXPECT_EQ(sites.find(SiteId{7}), a);
  EXPECT_EQ(sites.find(SiteId{9}), kNoSlot);
  EXPECT_EQ(sites.id(b), SiteId{8});
  EXPECT_EQ(sites.url(a), "http://a.example/");
  EXPECT_EQ(sites.interval(b), 1500ms);
  EXPECT_EQ(sites.plan(b), 4U);
  sites.set_url(a, "http://a.example/elsewhere");
  sites.set_interval(a, 10s);
  sites.set_plan(a, 9);
  sites.row(a).http_status = 204;
  EXPECT_EQ(sites.url(a), "http://a.example/elsewhere");
  EXPECT_EQ(sites.interval(a), 10s);
  EXPECT_EQ(sites.plan(a), 9U);
  EXPECT_EQ(sites.row(a).http_status, 204);
  EXPECT_EQ(sites.url(b), "http://b.example/");
}

TEST(SiteTable, RefusesWhenFullAndWhenTheIdIsThere) {
  SiteTable sites(2);
  const SiteSlot a = sites.add(SiteId{1}, "http://a/", 1min, 0);
  EXPECT_EQ(sites.add(SiteId{1}, "http://again/", 1min, 0), kNoSlot);
  ASSERT_NE(sites.add(SiteId{2}, "http://b/", 1min, 0), kNoSlot);
  EXPECT_EQ(sites.add(SiteId{3}, "http://c/", 1min, 0), kNoSlot);
  EXPECT_EQ(sites.size(), 2U);
  sites.remove(a);
  EXPECT_NE(sites.add(SiteId{3}, "http://c/", 1min, 0), kNoSlot);
}

TEST(SiteTable, RefusesAUrlThatIsTooLong) {
  SiteTable sites(2);
  EXPECT_EQ(sites.add(SiteId{1}, std::string(core::kUrlBytesMax + 1, 'x'), 1min, 0), kNoSlot);
  EXPECT_NE(sites.add(SiteId{1}, std::string(core::kUrlBytesMax, 'x'), 1min, 0), kNoSlot);
}

TEST(SiteTable, ASlotThatIsUsedAgainHasAnotherGenerationAndNothingOfTheOld) {
  SiteTable sites(2);
  const SiteSlot a = sites.add(SiteId{1}, "http://a/", 1min, 0);
  const std::uint16_t before = sites.generation(a);
  sites.row(a).troubled = true;
  sites.timing(a).suspect = true;
  sites.remove(a);
  EXPECT_FALSE(sites.contains(a));
  EXPECT_EQ(sites.find(SiteId{1}), kNoSlot);
  const SiteSlot b = sites.add(SiteId{2}, "http://b/", 1min, 0);
  ASSERT_EQ(a, b);
  EXPECT_NE(sites.generation(b), before);
  EXPECT_FALSE(sites.row(b).troubled);
  EXPECT_FALSE(sites.timing(b).suspect);
}

// Goal: a result in flight is not taken for another site's, however often its slot was used meanwhile: a thousand changes a
// second for a minute is what a list that is rewritten brings.
TEST(SiteTable, AGenerationDoesNotComeBackSoon) {
  SiteTable sites(1);
  const SiteSlot first = sites.add(SiteId{1}, "http://a/", 1min, 0);
  const auto before = sites.generation(first);
  for (std::uint64_t use = 2; use <= 60'000; ++use) {
    sites.remove(first);
    ASSERT_EQ(sites.add(SiteId{use}, "http://a/", 1min, 0), first);
    ASSERT_NE(sites.generation(first), before) << "after " << use << " uses";
  }
}

TEST(SiteTable, SlotsOutsideTheTableAreNotInIt) {
  SiteTable sites(2);
  EXPECT_FALSE(sites.contains(kNoSlot));
  EXPECT_FALSE(sites.contains(SiteSlot{0}));
  EXPECT_EQ(sites.slots_end(), 0U);
}

// Goal: id, URL and slot stay together whatever comes and goes, index deletions and URL moves included. Method: 200,000 random
// steps beside a map.
TEST(SiteTable, AgreesWithAMapOverRandomSteps) {
  constexpr std::size_t kMax = 20'000;
  SiteTable sites(kMax);
  struct Expected {
    std::string url;
    SiteSlot slot;
  };
  std::map<std::uint64_t, Expected> model;
  std::mt19937_64 random(20261121);
  const auto random_url = [&random] {
    return "http://h/" + std::string(random() % 300, static_cast<char>('a' + random() % 26));
  };
  for (int step = 0; step < 200'000; ++step) {
    const std::uint64_t id = random() % 30'000;
    const auto known = model.find(id);
    // Growing and shrinking in turns, so that slots, index places and room for URLs are used again.
    const bool growing = step / 25'000 % 2 == 0;
    if (known == model.end()) {
      if (!growing && random() % 8 != 0) continue;
      const std::string url = random_url();
      const SiteSlot slot = sites.add(SiteId{id}, url, 1min, 0);
      ASSERT_EQ(slot == kNoSlot, model.size() == kMax);
      if (slot != kNoSlot) model[id] = {url, slot};
    } else if (growing || random() % 8 == 0) {
      known->second.url = random_url();
      sites.set_url(known->second.slot, known->second.url);
    } else {
      sites.remove(known->second.slot);
      model.erase(known);
    }
    ASSERT_EQ(sites.size(), model.size());
  }
  for (std::uint64_t id = 0; id < 30'000; ++id) {
    const auto known = model.find(id);
    const SiteSlot slot = sites.find(SiteId{id});
    ASSERT_EQ(slot == kNoSlot, known == model.end()) << id;
    if (slot == kNoSlot) continue;
    ASSERT_EQ(slot, known->second.slot);
    ASSERT_EQ(sites.url(slot), known->second.url);
    ASSERT_EQ(sites.id(slot), SiteId{id});
  }
  std::size_t walked = 0;
  for (std::uint32_t s = 0; s < sites.slots_end(); ++s)
    walked += sites.contains(SiteSlot{s}) ? 1U : 0U;
  EXPECT_EQ(walked, model.size());
}

// Goal: months of sites that come and go with URLs of ever other lengths do not grow the table.
TEST(SiteTable, UrlsThatWereReplacedDoNotPileUp) {
  SiteTable sites(2000);
  std::vector<SiteSlot> slots;
  for (std::uint64_t id = 0; id < 2000; ++id)
    slots.push_back(sites.add(SiteId{id}, std::string(1000, 'u'), 1min, 0));
  const std::size_t before = sites.bytes();
  for (std::size_t length = 100; length < 2000; length += 20) {
    for (const SiteSlot slot : slots) sites.set_url(slot, std::string(length, 'v'));
  }
  EXPECT_LT(sites.bytes(), 3 * before + 4 * 2'000'000);
  EXPECT_EQ(sites.url(slots[77]), std::string(1980, 'v'));
}

// Goal: no call moves a share of the table that grows with it: a lane's loop would stand still meanwhile. Method: the table's own
// count of what one call moved, while a fleet is loaded, while all its URLs change their length (so that they must move), and
// while it is removed. Nothing is lost on the way.
TEST(SiteTable, NoCallMovesMoreThanASliver) {
  constexpr std::uint64_t kSites = 300'000;
  SiteTable sites(kSites);
  std::vector<SiteSlot> slots;
  for (std::uint64_t id = 1; id <= kSites; ++id)
    slots.push_back(sites.add(SiteId{id}, url_of(id), 1min, 0));
  const std::size_t loaded = sites.bytes();
  std::size_t most = loaded;
  for (int round = 0; round < 4; ++round) {
    for (std::uint64_t id = 1; id <= kSites; ++id) {
      sites.set_url(slots[id - 1],
                    url_of(id) + std::string(static_cast<std::size_t>(round) * 16 + 16, 'q'));
    }
    most = std::max(most, sites.bytes());
  }
  for (std::uint64_t id = 1; id <= kSites; ++id) {
    ASSERT_EQ(sites.url(slots[id - 1]), url_of(id) + std::string(64, 'q'));
    ASSERT_EQ(sites.find(SiteId{id}), slots[id - 1]);
  }
  EXPECT_GT(sites.moved_at_once_max(), 0U);
  EXPECT_LE(sites.moved_at_once_max(), 1024U);
  EXPECT_LT(most, 3 * loaded) << "what the URLs left behind was not given back";
  for (const SiteSlot slot : slots) sites.remove(slot);
  EXPECT_EQ(sites.size(), 0U);
  EXPECT_LE(sites.moved_at_once_max(), 1024U);
}

TEST(SiteTable, TakesAtMost256BytesASiteAllTold) {
  constexpr std::size_t kSites = 100'000;
  SiteTable sites(1'000'000);
  Scheduler scheduler({}, sites, core::SteadyTime{1h}, core::from_unix_ms(1'700'000'000'000));
  for (std::uint64_t id = 1; id <= kSites; ++id) {
    const SiteSlot slot = sites.add(SiteId{id}, url_of(id), 5min, 0);
    ASSERT_NE(slot, kNoSlot);
    scheduler.add(slot, core::from_unix_ms(1), core::SteadyTime{1h});
  }
  const double table = static_cast<double>(sites.bytes()) / kSites;
  const double wheel = static_cast<double>(scheduler.bytes()) / kSites;
  std::printf("bytes per site at %zu sites, URLs of 50 bytes: table %.1f, wheel %.1f\n", kSites,
              table, wheel);
  RecordProperty("bytes_per_site", std::to_string(table + wheel));
  EXPECT_LE(table + wheel, 256);
  EXPECT_GE(table, sizeof(SiteTable::Timing) + sizeof(SiteRow) + 50 + 8)
      << "something is not counted";
}

TEST(SiteTableDeathTest, OurOwnMistakesStopTheProcess) {
  EXPECT_DEATH(SiteTable{0}, "from 1 to");
  EXPECT_DEATH(SiteTable{kSitesMax + 1}, "from 1 to");
  SiteTable sites(2);
  EXPECT_DEATH((void)sites.row(SiteSlot{0}), "no site in it");
  EXPECT_DEATH((void)sites.add(SiteId{1}, "http://a/", 0s, 0), "whole number of milliseconds");
  EXPECT_DEATH((void)sites.add(SiteId{1}, "http://a/", 1500us, 0), "whole number of milliseconds");
  const SiteSlot a = sites.add(SiteId{1}, "http://a/", 1min, 0);
  sites.timing(a).place = SiteTable::Place::Wheel;
  EXPECT_DEATH(sites.remove(a), "leaves its scheduler");
}

}  // namespace
}  // namespace watchwheel::scheduler
