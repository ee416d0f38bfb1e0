// SPDX-License-Identifier: Apache-2.0
#include "app/site_import.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace watchwheel::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Rows http://N.example/, N from 1.
class ManyRows final : public SiteReader {
 public:
  explicit ManyRows(std::uint64_t count) : count_(count) {}
  bool next(SiteRow& row) override {
    row = SiteRow{};
    if (line_ == count_) return false;
    row.line = ++line_;
    row.record.url = "http://" + std::to_string(line_) + ".example/";
    if (bad.contains(line_)) row.problems.push_back({"s", line_, 0, Severity::Error, "bad"});
    return true;
  }
  std::set<std::uint64_t> bad;

 private:
  std::uint64_t count_;
  std::uint64_t line_ = 0;
};

// Remembers batches; refuses those that hold one of `poison`, and all after `dies_after` calls.
class ScriptedCatalog final : public db::SiteCatalog {
 public:
  core::Result<db::UpsertCounts> upsert(std::span<const core::SiteRecord> records,
                                        std::vector<core::SiteId>*) override {
    if (++calls > dies_after) return core::Error{core::ErrorKind::Unavailable, "disk full"};
    for (const core::SiteRecord& record : records) {
      if (poison.contains(record.url))
        return core::Error{core::ErrorKind::Invalid, "cannot store it"};
    }
    batches.push_back(records.size());
    for (const core::SiteRecord& record : records) stored.insert(record.url);
    return db::UpsertCounts{.added = records.size()};
  }
  core::Result<std::vector<db::SiteView>> list(const db::SiteFilter&, core::SiteId,
                                               std::size_t) override {
    return std::vector<db::SiteView>{};
  }
  core::Result<db::SiteView> get(core::SiteId) override {
    return core::Error{core::ErrorKind::NotFound, ""};
  }
  core::Result<std::vector<core::SiteId>> find_url(const std::string&) override {
    return std::vector<core::SiteId>{};
  }
  core::Result<std::uint64_t> set_active(std::span<const core::SiteId>, bool) override {
    return std::uint64_t{0};
  }
  core::Result<std::uint64_t> remove(std::span<const core::SiteId>) override {
    return std::uint64_t{0};
  }
  core::Result<std::uint64_t> count() override { return std::uint64_t{0}; }

  std::set<std::string> poison, stored;
  std::vector<std::size_t> batches;
  std::size_t calls = 0;
  std::size_t dies_after = SIZE_MAX;
};

TEST(SiteImport, GoesInBatchesOfTwoThousand) {
  ScriptedCatalog catalog;
  ManyRows rows(4500);
  SiteImport import(&catalog, "s", [](const Problem&) { FAIL(); });
  ASSERT_TRUE(import.run(rows));
  EXPECT_THAT(catalog.batches, ElementsAre(2000, 2000, 500));
  EXPECT_EQ(import.counts().rows, 4500U);
  EXPECT_EQ(import.counts().written.added, 4500U);
}

TEST(SiteImport, WhatTheStoreRefusesIsFoundAndItsNeighboursGoIn) {
  ScriptedCatalog catalog;
  catalog.poison = {"http://7.example/", "http://1999.example/"};
  ManyRows rows(2000);
  rows.bad = {100};
  std::vector<std::string> problems;
  SiteImport import(&catalog, "s", [&](const Problem& p) { problems.push_back(format(p)); });
  ASSERT_TRUE(import.run(rows));
  EXPECT_EQ(catalog.stored.size(), 1997U);
  EXPECT_EQ(import.counts().rejected, 3U);
  EXPECT_EQ(import.counts().accepted(), import.counts().written.added);
  EXPECT_THAT(problems,
              ElementsAre("s:100: error: bad",
                          HasSubstr("s:7: error: the store refuses this site: cannot store it"),
                          HasSubstr("s:1999: error: ")));
  EXPECT_LE(catalog.calls, 50U);
}

TEST(SiteImport, StopsWhenTheStoreIsAwayAndSaysHowFarItCame) {
  ScriptedCatalog catalog;
  catalog.dies_after = 1;
  ManyRows rows(5000);
  SiteImport import(&catalog, "s", [](const Problem&) {});
  const auto done = import.run(rows);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().kind, core::ErrorKind::Unavailable);
  EXPECT_EQ(import.counts().written.added, 2000U);
}

TEST(SiteImport, WithoutACatalogRowsAreOnlyJudged) {
  ManyRows rows(10);
  rows.bad = {3};
  SiteImport import(nullptr, "s", [](const Problem&) {});
  ASSERT_TRUE(import.run(rows));
  EXPECT_EQ(import.counts().accepted(), 9U);
  EXPECT_EQ(import.counts().written.added, 0U);
}

}  // namespace
}  // namespace watchwheel::app
