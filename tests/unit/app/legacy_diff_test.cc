// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_diff.h"

#include <gtest/gtest.h>

#include <map>

#include "legacy_fakes.h"

namespace watchwheel::app {
namespace {

using core::SiteId;
using namespace std::chrono_literals;

class FakeTable final : public EmptyTable {
 public:
  core::Result<db::LegacyPage> page_by_key(SiteId /*after*/, std::size_t /*limit*/) override {
    std::vector<db::LegacyRow> all;
    for (const auto& [id, row] : rows) all.push_back(row);
    return whole(std::move(all));
  }
  core::Result<std::vector<db::LegacyRow>> find(std::span<const SiteId> ids) override {
    std::vector<db::LegacyRow> found;
    for (const SiteId id : ids) {
      if (const auto row = rows.find(id); row != rows.end()) found.push_back(row->second);
    }
    return found;
  }
  std::map<SiteId, db::LegacyRow> rows;
};

class FakeList final : public EmptyList {
 public:
  core::Result<std::vector<db::SiteView>> list(const db::SiteFilter& /*filter*/, SiteId after,
                                               std::size_t /*limit*/) override {
    std::vector<db::SiteView> views;
    for (auto site = sites.upper_bound(after); site != sites.end(); ++site)
      views.push_back(site->second);
    return views;
  }
  core::Result<db::SiteView> get(SiteId id) override {
    const auto site = sites.find(id);
    if (site == sites.end()) return core::Error{core::ErrorKind::NotFound, "none"};
    return site->second;
  }
  std::map<SiteId, db::SiteView> sites;
};

class LegacyDiff : public ::testing::Test {
 protected:
  // A site that was never down, as both have it but for the row's status.
  void add(std::uint64_t id, core::Duration checked_ago, const char* status = "1") {
    db::LegacyRow& row = table_.rows[SiteId{id}];
    row.id = SiteId{id};
    row.active = true;
    row.url = "s.example";
    row.interval = 5;
    row.status = status;
    db::SiteView& site = list_.sites[SiteId{id}];
    site.record.id = SiteId{id};
    site.record.url = "http://s.example";
    site.record.interval = 5min;
    site.state = core::SiteState::Up;
    site.checked_at = kNow - checked_ago;
  }
  LegacyComparison compare() {
    auto result = compare_legacy({.mapping = db::jetpack_mapping(),
                                  .defaults = {},
                                  .projection = 1min,
                                  .now = kNow,
                                  .wait =
                                      [this] {
                                        ++waits_;
                                        while_waiting_();
                                        return kNow + kLegacyOnItsWay;
                                      }},
                                 table_, list_, nullptr);
    if (!result) throw std::runtime_error(result.error().message);
    return *std::move(result);
  }
  static std::uint64_t statuses(const LegacyComparison& result) {
    return result.differences[static_cast<std::size_t>(LegacyDifference::Status)];
  }

  static constexpr core::WallTime kNow{1'800'000'000s};
  FakeTable table_;
  FakeList list_;
  int waits_ = 0;
  std::function<void()> while_waiting_ = [] {};
};

TEST_F(LegacyDiff, WhatIsTheSameIsReadOnce) {
  add(1, 1s);
  add(2, 1h);
  EXPECT_TRUE(compare().same());
  EXPECT_EQ(waits_, 0);
}

// Goal: a first result that is on its way to the table is no difference; one that does not arrive is, and so is an old one at once.
TEST_F(LegacyDiff, AFirstResultIsGivenTimeToArrive) {
  for (std::uint64_t id = 1; id <= 4; ++id) add(id, 1s, "0");
  add(5, 1h, "2");
  while_waiting_ = [this] {
    table_.rows[SiteId{1}].status = "1";       // It arrives.
    table_.rows.erase(SiteId{3});              // Somebody deletes it.
    table_.rows[SiteId{4}].url = "t.example";  // And edits this.
    list_.sites[SiteId{2}].checked_at = kNow + 9s;
  };
  const LegacyComparison result = compare();
  EXPECT_EQ(waits_, 1);
  EXPECT_EQ(statuses(result), 2U);
  ASSERT_EQ(result.findings.size(), 2U);
  EXPECT_EQ(result.findings[0].id, SiteId{5});
  EXPECT_EQ(result.findings[1].id, SiteId{2});
}

TEST_F(LegacyDiff, AStateThatHasJustChangedIsNoDifference) {
  add(1, 1s, "2");
  list_.sites[SiteId{1}].state_since = kNow - 3s;
  EXPECT_TRUE(compare().same());
  list_.sites[SiteId{1}].state_since = kNow - 11s;
  EXPECT_EQ(statuses(compare()), 1U);
  EXPECT_EQ(waits_, 0);
}

}  // namespace
}  // namespace watchwheel::app
