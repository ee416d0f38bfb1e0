// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>

namespace watchwheel::app {
namespace {

using core::SiteId;
using ::testing::HasSubstr;

// A table in memory, read by key or bucket by bucket.
class FakeTable final : public db::LegacySource {
 public:
  explicit FakeTable(bool by_buckets) : by_buckets_(by_buckets) {}

  core::Result<db::LegacyPage> page(const db::LegacyCursor& from, std::size_t limit) override {
    if (failing) return core::Error{core::ErrorKind::Unavailable, "away"};
    std::vector<db::LegacyRow> order;
    for (const auto& [id, row] : rows) order.push_back(row);
    if (by_buckets_) {
      std::erase_if(order, [](const db::LegacyRow& row) { return !row.active; });
      std::stable_sort(order.begin(), order.end(),
                       [](const auto& a, const auto& b) { return a.bucket < b.bucket; });
    } else {
      for (db::LegacyRow& row : order) row.bucket = 0;
    }
    const auto begin = std::find_if(order.begin(), order.end(), [&](const db::LegacyRow& row) {
      return std::pair(row.bucket, row.id) > std::pair(from.bucket, from.after);
    });
    db::LegacyPage page;
    for (auto row = begin;
         row != order.end() && page.rows.size() < limit && row->bucket == begin->bucket; ++row) {
      page.rows.push_back(*row);
      if (!row->active) page.rows.back().url.reset();
    }
    page.rows_read = page.rows.size();
    if (page.rows.empty() || (!by_buckets_ && page.rows.size() < limit)) {
      page.last = true;
      page.until = {INT64_MAX, SiteId{db::kLegacyIdMax}};
    } else if (page.rows.size() < limit) {
      page.until = {page.rows.back().bucket + 1, SiteId{0}};
    } else {
      page.until = {page.rows.back().bucket, page.rows.back().id};
    }
    return page;
  }

  core::Result<std::vector<db::LegacyRow>> find(std::span<const SiteId> ids) override {
    ++finds;
    std::vector<db::LegacyRow> found;
    for (const SiteId id : ids) {
      if (const auto row = rows.find(id); row != rows.end()) found.push_back(row->second);
    }
    return found;
  }

  void put(std::uint64_t id, const std::string& url, std::int64_t bucket = 1,
           std::int64_t interval = 5) {
    db::LegacyRow& row = rows[SiteId{id}];
    row = {};
    row.id = SiteId{id};
    row.bucket = bucket;
    row.active = true;
    row.url = url;
    row.interval = interval;
    row.name = "blog";
  }

  std::map<SiteId, db::LegacyRow> rows;
  std::size_t finds = 0;
  bool failing = false;

 private:
  const bool by_buckets_;
};

class FakeList final : public db::SiteCatalog {
 public:
  core::Result<db::UpsertCounts> upsert(std::span<const core::SiteRecord> records,
                                        std::vector<SiteId>*) override {
    if (failing) return core::Error{core::ErrorKind::Unavailable, "away"};
    db::UpsertCounts counts;
    for (const core::SiteRecord& record : records) {
      const auto known = sites.find(record.id);
      if (known == sites.end()) {
        ++counts.added;
      } else if (known->second == record) {
        ++counts.unchanged;
      } else {
        ++counts.changed;
      }
      sites[record.id] = record;
      ++writes;
    }
    return counts;
  }
  core::Result<std::vector<db::SiteView>> list(const db::SiteFilter&, SiteId after,
                                               std::size_t limit) override {
    std::vector<db::SiteView> views;
    for (auto site = sites.upper_bound(after); site != sites.end() && views.size() < limit; ++site)
      views.push_back(view_of(site->second));
    return views;
  }
  core::Result<db::SiteView> get(SiteId id) override {
    const auto site = sites.find(id);
    if (site == sites.end()) return core::Error{core::ErrorKind::NotFound, "none"};
    return view_of(site->second);
  }
  core::Result<std::vector<SiteId>> find_url(const std::string&) override {
    return std::vector<SiteId>{};
  }
  core::Result<std::uint64_t> set_active(std::span<const SiteId> ids, bool active) override {
    if (failing) return core::Error{core::ErrorKind::Unavailable, "away"};
    most_at_once = std::max(most_at_once, ids.size());
    std::uint64_t changed = 0;
    for (const SiteId id : ids) {
      const auto site = sites.find(id);
      if (site == sites.end() || site->second.active == active) continue;
      site->second.active = active;
      ++changed;
    }
    writes += changed;
    return changed;
  }
  core::Result<std::uint64_t> remove(std::span<const SiteId> ids) override {
    most_at_once = std::max(most_at_once, ids.size());
    std::uint64_t removed = 0;
    for (const SiteId id : ids) removed += sites.erase(id);
    writes += removed;
    return removed;
  }
  core::Result<std::uint64_t> count() override { return sites.size(); }

  static db::SiteView view_of(const core::SiteRecord& record) {
    db::SiteView view;
    view.record = record;
    return view;
  }

  std::map<SiteId, core::SiteRecord> sites;
  std::uint64_t writes = 0;
  std::size_t most_at_once = 0;  // Paused or removed in one call: a transaction.
  bool failing = false;
};

db::LegacyMapping mapping() {
  return db::jetpack_mapping();
}

class LegacySweepTest : public ::testing::TestWithParam<bool> {
 protected:
  LegacySweep::Step sweep(std::size_t limit = 3) {
    LegacySweep::Step sum;
    for (int pages = 0; pages < 10'000; ++pages) {
      const auto step = sweep_.step(limit);
      if (!step) throw std::runtime_error(step.error().message);
      sum.added += step->added;
      sum.changed += step->changed;
      sum.paused += step->paused;
      sum.removed += step->removed;
      sum.rejected += step->rejected;
      sum.withheld += step->withheld;
      if (step->whole) return sum;
    }
    throw std::runtime_error("there is no end");
  }
  void recall() {
    while (!*sweep_.recall(2)) {
    }
  }
  // The list as it should be after a sweep: the active rows that are sites.
  void expect_same() {
    std::map<SiteId, std::string> wanted;
    for (const auto& [id, row] : table_.rows) {
      if (!row.active) continue;
      if (const auto site = legacy_site(mapping(), {}, row))
        wanted[id] = site->url + " " + core::to_iso8601(core::WallTime{*site->interval});
    }
    std::map<SiteId, std::string> have;
    for (const auto& [id, site] : list_.sites) {
      if (site.active) have[id] = site.url + " " + core::to_iso8601(core::WallTime{*site.interval});
      EXPECT_TRUE(table_.rows.contains(id)) << id.value;
    }
    EXPECT_EQ(have, wanted);
  }

  FakeTable table_{GetParam()};
  FakeList list_;
  LegacySweep sweep_{mapping(), {}, table_, list_};
};

TEST_P(LegacySweepTest, EveryKindOfEditIsSeenInOneSweep) {
  recall();
  for (std::uint64_t id = 1; id <= 10; ++id)
    table_.put(id, "s" + std::to_string(id) + ".example", static_cast<std::int64_t>(id % 3));
  EXPECT_EQ(sweep().added, 10U);
  expect_same();
  EXPECT_EQ(list_.sites[SiteId{4}].url, "http://s4.example");
  EXPECT_EQ(list_.sites[SiteId{4}].interval, std::chrono::minutes{5});
  EXPECT_EQ(list_.sites[SiteId{4}].name, "blog");
  const std::uint64_t before = list_.writes;
  (void)sweep();
  EXPECT_EQ(list_.writes, before);  // Nothing changed: nothing is written.

  table_.put(1, "other.example");
  table_.rows[SiteId{2}].interval = 10;
  table_.rows[SiteId{3}].active = false;
  table_.rows.erase(SiteId{4});
  table_.put(11, "new.example", 2);
  table_.rows[SiteId{9}].bucket = 7;  // In another bucket it is the same site.
  const LegacySweep::Step done = sweep();
  EXPECT_EQ(done.added, 1U);
  EXPECT_EQ(done.changed, 2U);
  EXPECT_EQ(done.paused, 1U);
  EXPECT_EQ(done.removed, 1U);
  expect_same();
  EXPECT_FALSE(list_.sites[SiteId{3}].active);
  table_.rows[SiteId{3}].active = true;
  (void)sweep();
  EXPECT_TRUE(list_.sites[SiteId{3}].active);
  expect_same();
}

TEST_P(LegacySweepTest, ARowThatCannotBeASiteIsPassedOverAndTold) {
  recall();
  table_.put(1, "good.example");
  table_.put(2, "http://");
  table_.put(3, "zero.example", 1, 0);
  table_.put(4, "null.example");
  table_.rows[SiteId{4}].url.reset();
  table_.put(5, "ftp://files.example");
  table_.put(6, "long.example", 1, 10'000);
  table_.put(7, "null.example");
  table_.rows[SiteId{7}].interval.reset();
  table_.put(8, "last.example");
  EXPECT_EQ(sweep(2).rejected, 6U);
  EXPECT_EQ(list_.sites.size(), 2U);
  ASSERT_EQ(sweep_.problems().size(), 6U);
  std::map<std::uint64_t, std::string> told;
  for (const LegacyProblem& problem : sweep_.problems()) told[problem.id.value] = problem.message;
  EXPECT_THAT(told[3], HasSubstr("interval: 0 is out of range"));
  EXPECT_THAT(told[4], HasSubstr("url: is NULL"));
  EXPECT_THAT(told[7], HasSubstr("interval: is NULL"));

  table_.rows[SiteId{1}].interval = 0;  // What was a site and is none any more is not asked.
  table_.put(2, "better.example");
  EXPECT_EQ(sweep().rejected, 6U);
  EXPECT_FALSE(list_.sites[SiteId{1}].active);
  EXPECT_TRUE(list_.sites[SiteId{2}].active);
}

TEST_P(LegacySweepTest, AfterARestartOnlyWhatChangedIsWritten) {
  recall();
  for (std::uint64_t id = 1; id <= 20; ++id)
    table_.put(id, "s.example", static_cast<std::int64_t>(id % 4));
  (void)sweep();
  const std::uint64_t before = list_.writes;
  sweep_.forget();
  recall();
  table_.rows.erase(SiteId{7});
  table_.put(8, "changed.example");
  table_.rows[SiteId{9}].active = false;
  (void)sweep();
  EXPECT_EQ(list_.writes - before, 3U);
  expect_same();
}

TEST_P(LegacySweepTest, AFailedStepIsDoneAgainWhole) {
  recall();
  for (std::uint64_t id = 1; id <= 5; ++id) table_.put(id, "s.example");
  (void)sweep();
  table_.put(2, "b.example");
  table_.rows.erase(SiteId{3});
  list_.failing = true;
  EXPECT_THROW((void)sweep(10), std::runtime_error);
  EXPECT_FALSE(sweep_.flush());
  list_.failing = false;
  LegacySweep::Step done = sweep(10);  // The end of that sweep.
  table_.failing = true;
  EXPECT_FALSE(sweep_.step(10));
  table_.failing = false;
  EXPECT_EQ(done.changed, 1U);
  EXPECT_EQ(done.removed, 1U);
  expect_same();
  done = sweep(10);
  EXPECT_EQ(done.changed + done.removed, 0U);
}

// Goal: whatever changes at once, a step is a bounded part of it, and a transaction a smaller one.
TEST_P(LegacySweepTest, AMassChangeIsStoredInParts) {
  recall();
  for (std::uint64_t id = 1; id <= 6'000; ++id) table_.put(id, "s.example");
  (void)sweep(1000);
  sweep_.forget();
  recall();
  for (std::uint64_t id = 1; id <= 3'000; ++id) table_.rows[SiteId{id}].active = false;
  for (std::uint64_t id = 3'001; id <= 3'700; ++id) table_.rows.erase(SiteId{id});
  LegacySweep::Step sum;
  for (int steps = 0; steps < 100 && !sum.whole; ++steps) {
    const std::size_t finds = table_.finds;
    const auto step = sweep_.step(1000);
    ASSERT_TRUE(step);
    EXPECT_LE(table_.finds - finds, 20U);
    sum.paused += step->paused;
    sum.removed += step->removed;
    sum.whole = step->whole;
  }
  EXPECT_TRUE(sum.whole);
  EXPECT_EQ(sum.paused, 3'000U);
  EXPECT_EQ(sum.removed, 700U);
  EXPECT_LE(list_.most_at_once, LegacySweep::kStoredAtOnce);
  expect_same();
}

// Goal: a table that is loaded again, and an empty copy of it, take no site away.
TEST_P(LegacySweepTest, ATableThatIsEmptyForAWhileRemovesNothing) {
  recall();
  for (std::uint64_t id = 1; id <= 40; ++id) table_.put(id, "s.example");
  (void)sweep(100);
  const std::uint64_t before = list_.writes;
  const auto rows = std::exchange(table_.rows, {});
  for (int sweeps = 0; sweeps < 3 * LegacySweep::kAgreeing; ++sweeps) {
    const LegacySweep::Step done = sweep(100);
    EXPECT_EQ(done.withheld, 40U);
    EXPECT_EQ(done.removed, 0U);
  }
  // Row by row it comes back: each sweep finds fewer gone than the one before.
  for (const auto& [id, row] : rows) {
    table_.rows[id] = row;
    if (id.value % 5 == 0) {
      EXPECT_EQ(sweep(100).removed, 0U) << id.value;
      if (id.value == 25) break;  // With fewer than a quarter gone they would go.
    }
  }
  table_.rows = rows;
  EXPECT_EQ(sweep(100).withheld, 0U);
  EXPECT_EQ(list_.writes, before);
  expect_same();
}

TEST_P(LegacySweepTest, AMassRemovalIsBelievedWhenItLasts) {
  recall();
  for (std::uint64_t id = 1; id <= 40; ++id) table_.put(id, "s.example");
  (void)sweep(100);
  for (std::uint64_t id = 1; id <= 20; ++id) table_.rows.erase(SiteId{id});
  for (int sweeps = 1; sweeps < LegacySweep::kAgreeing; ++sweeps) {
    EXPECT_EQ(sweep(7).withheld, 20U);
    EXPECT_EQ(list_.sites.size(), 40U);
  }
  EXPECT_EQ(sweep(7).removed, 20U);
  expect_same();
}

TEST_P(LegacySweepTest, OptionsOfOurOwnStay) {
  recall();
  table_.put(1, "s.example");
  (void)sweep();
  list_.sites[SiteId{1}].options = {{"keyword", "hello"}};
  list_.sites[SiteId{1}].tags = {"gold"};
  table_.put(1, "other.example");
  (void)sweep();
  EXPECT_EQ(list_.sites[SiteId{1}].url, "http://other.example");
  EXPECT_EQ(list_.sites[SiteId{1}].options.size(), 1U);
  EXPECT_EQ(list_.sites[SiteId{1}].tags.size(), 1U);
}

// Goal: a list that becomes the table's keeps what the table has no column for. Method: a mapping without name and interval; one
// row says the same URL, the other another one.
TEST_P(LegacySweepTest, WhatTheTableHasNoColumnForStays) {
  db::LegacyMapping bare = mapping();
  bare.name = bare.interval = "";
  for (std::uint64_t id = 1; id <= 2; ++id) {
    core::SiteRecord& own = list_.sites[SiteId{id}];
    own.id = SiteId{id};
    own.url = "http://s.example";
    own.name = "the shop";
    own.interval = 30s;
    table_.put(id, id == 1 ? "s.example" : "other.example");
    table_.rows[SiteId{id}].name = "";
    table_.rows[SiteId{id}].interval.reset();
  }
  LegacySweep adopting{bare, {}, table_, list_};
  while (!*adopting.recall(2)) {
  }
  std::uint64_t changed = 0;
  for (bool whole = false; !whole;) {
    const auto step = adopting.step(10);
    ASSERT_TRUE(step);
    changed += step->changed;
    whole = step->whole;
  }
  EXPECT_EQ(changed, 1U);
  EXPECT_EQ(list_.sites[SiteId{2}].url, "http://other.example");
  for (const auto& [id, site] : list_.sites) {
    EXPECT_EQ(site.name, "the shop");
    EXPECT_EQ(site.interval, 30s);
  }
}

// Goal: whatever another client does between and during sweeps, one whole sweep after it stopped the list is the table's.
TEST_P(LegacySweepTest, AfterRandomEditsOneSweepIsEnough) {
  for (std::uint32_t seed = 1; seed <= 30; ++seed) {
    SCOPED_TRACE(seed);
    std::minstd_rand random(seed);
    const auto up_to = [&](std::uint64_t n) {
      return std::uniform_int_distribution<std::uint64_t>(0, n)(random);
    };
    table_.rows.clear();
    list_.sites.clear();
    sweep_.forget();
    recall();
    const auto edit = [&] {
      const std::uint64_t id = 1 + up_to(40);
      switch (up_to(5)) {
        case 0:
          table_.rows.erase(SiteId{id});
          break;
        case 1:
          if (table_.rows.contains(SiteId{id})) table_.rows[SiteId{id}].active = false;
          break;
        case 2:
          if (table_.rows.contains(SiteId{id}))
            table_.rows[SiteId{id}].bucket = static_cast<std::int64_t>(up_to(5));
          break;
        case 3:
          table_.put(id, "http://", static_cast<std::int64_t>(up_to(5)));
          break;
        default:
          table_.put(id, "s" + std::to_string(up_to(9)) + ".example",
                     static_cast<std::int64_t>(up_to(5)), static_cast<std::int64_t>(up_to(3)));
      }
    };
    for (int turns = 0; turns < 200; ++turns) {
      for (std::uint64_t edits = up_to(3); edits > 0; --edits) edit();
      ASSERT_TRUE(sweep_.step(1 + up_to(6)));
      if (turns == 120) {
        sweep_.forget();
        recall();
      }
    }
    (void)sweep();  // The rest of the one under way.
    (void)sweep();
    expect_same();
    const std::uint64_t before = list_.writes;
    (void)sweep();
    EXPECT_EQ(list_.writes, before);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, LegacySweepTest, ::testing::Bool(), [](const auto& by_buckets) {
  return std::string(by_buckets.param ? "ByBuckets" : "ByKey");
});

}  // namespace
}  // namespace watchwheel::app
