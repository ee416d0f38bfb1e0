// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <mutex>
#include <set>
#include <vector>

#include "legacy_fakes.h"
#include "support/eventually.h"

namespace watchwheel::app {
namespace {

using core::ErrorKind;
using core::SiteId;
using ::testing::ElementsAre;
using testing::eventually;
using namespace std::chrono_literals;

// What a table was told, and how it takes it. Told from the writer's thread, read from the test's.
struct Told {
  std::mutex mutex;
  std::vector<std::vector<SiteId>> batches;  // Taken.
  std::size_t away = 0;                      // So many calls fail.
  SiteId away_at;            // So does the first without refused rows that holds this one.
  std::set<SiteId> refused;  // Rows that no batch may hold.
  bool held = false;         // Calls fail as long as it is.
  std::set<SiteId> locked;   // Rows that another program holds, for one call.
  std::size_t most = db::kLegacyTransactionMax;  // It takes no more at once: it is slow.

  std::vector<std::uint64_t> all() {
    const std::lock_guard lock(mutex);
    std::vector<std::uint64_t> ids;
    for (const auto& batch : batches) {
      for (const SiteId id : batch) ids.push_back(id.value);
    }
    return ids;
  }
};

class FakeTable final : public EmptyTable {
 public:
  explicit FakeTable(Told& told) : told_(told) {}
  core::Result<db::LegacyWrites> project(std::span<const SiteId> sites) override {
    const std::lock_guard lock(told_.mutex);
    EXPECT_LE(sites.size(), db::kLegacyTransactionMax);
    EXPECT_TRUE(std::is_sorted(sites.begin(), sites.end()));
    if (told_.held || told_.away > 0) {
      if (!told_.held) --told_.away;
      return core::Error{ErrorKind::Unavailable, "away"};
    }
    if (std::any_of(sites.begin(), sites.end(),
                    [&](SiteId id) { return told_.refused.contains(id); }))
      return core::Error{ErrorKind::Invalid, "a trigger says no"};
    if (told_.away_at.value != 0 &&
        std::find(sites.begin(), sites.end(), told_.away_at) != sites.end()) {
      told_.away_at = {};
      return core::Error{ErrorKind::Unavailable, "away"};
    }
    sites = sites.first(std::min(sites.size(), told_.most));
    told_.batches.emplace_back(sites.begin(), sites.end());
    db::LegacyWrites writes;
    writes.sites = sites.size();
    for (const SiteId id : sites) {
      if (told_.locked.erase(id) > 0) writes.locked.push_back(id);
    }
    writes.checked = sites.size() - writes.locked.size();
    return writes;
  }

 private:
  Told& told_;
};

class LegacyWriterTest : public ::testing::Test {
 protected:
  core::SystemClock clock_;
  NoLog log_;
  Told told_;
  LegacyWriter writer_{std::make_unique<FakeTable>(told_), clock_, log_};
};

TEST_F(LegacyWriterTest, WhatIsNotedOftenIsWrittenOnceInOrder) {
  for (std::uint64_t id = 2500; id > 0; --id) {
    writer_.note(SiteId{id});
    writer_.note(SiteId{id});
  }
  writer_.start();
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
  EXPECT_EQ(told_.batches.size(), 3U);
  const auto all = told_.all();
  EXPECT_EQ(all.size(), 2500U);
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end()));
  EXPECT_EQ(writer_.stats().checked.value(), 2500U);
}

TEST_F(LegacyWriterTest, WhatIsUrgentGoesFirst) {
  for (std::uint64_t id = 1; id <= 2500; ++id) writer_.note(SiteId{id});
  writer_.note_urgent(SiteId{9000});
  writer_.note_urgent(SiteId{8000});
  writer_.start();
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
  ASSERT_EQ(told_.batches.size(), 4U);
  EXPECT_THAT(told_.batches[0], ElementsAre(SiteId{8000}, SiteId{9000}));
}

// Goal: a server that does not take all at once is given the rest, in order, the urgent ones before all others, each once, with
// refused rows among them.
TEST_F(LegacyWriterTest, WhatASlowServerLeavesIsWrittenNext) {
  told_.most = 100;
  told_.refused = {SiteId{250}, SiteId{5321}};
  for (std::uint64_t id = 1; id <= 1000; ++id) writer_.note(SiteId{id});
  for (std::uint64_t id = 5001; id <= 6200; ++id) writer_.note_urgent(SiteId{id});
  writer_.start();
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
  std::vector<std::uint64_t> all = told_.all();
  EXPECT_EQ(all.front(), 5001U);
  ASSERT_EQ(all.size(), 2198U);
  const auto first = all.begin() + 1199;
  EXPECT_TRUE(std::is_sorted(all.begin(), first));
  EXPECT_EQ(*first, 1U);
  EXPECT_TRUE(std::is_sorted(first, all.end()));
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end());
  EXPECT_EQ(writer_.stats().refused.value(), 2U);
}

// Goal: what was written before a refused row's neighbours met a store that is away is not written again.
TEST_F(LegacyWriterTest, AStoreThatGoesAwayAmongRefusedRowsLosesNothing) {
  told_.refused = {SiteId{600}};
  told_.away_at = SiteId{900};
  for (std::uint64_t id = 1; id <= 1000; ++id) writer_.note(SiteId{id});
  writer_.start();
  EXPECT_TRUE(eventually([&] { return told_.all().size() == 999; }));
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
  const auto all = told_.all();
  EXPECT_EQ(all.size(), 999U);
  EXPECT_EQ(std::set(all.begin(), all.end()).size(), 999U);
  EXPECT_EQ(told_.away_at, SiteId{}) << "it was away";
}

TEST_F(LegacyWriterTest, AStoreThatIsAwayIsAskedAgainAndNothingIsLost) {
  told_.away = 2;
  writer_.start();
  writer_.note(SiteId{1});
  writer_.note_urgent(SiteId{2});
  EXPECT_TRUE(eventually([&] { return told_.all().size() == 2; }));
  EXPECT_EQ(writer_.stats().errors.value(), 2U);
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
}

TEST_F(LegacyWriterTest, ARowThatIsRefusedHoldsUpNoOther) {
  told_.refused = {SiteId{7}, SiteId{42}};
  for (std::uint64_t id = 1; id <= 50; ++id) writer_.note(SiteId{id});
  writer_.start();
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
  EXPECT_EQ(told_.all().size(), 48U);
  EXPECT_EQ(writer_.stats().refused.value(), 2U);
}

TEST_F(LegacyWriterTest, ARowThatIsLockedComesAgainSoon) {
  told_.locked = {SiteId{7}};
  for (std::uint64_t id = 1; id <= 50; ++id) writer_.note(SiteId{id});
  writer_.start();
  EXPECT_TRUE(eventually([&] { return writer_.stats().checked.value() == 50; }));
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
  EXPECT_EQ(told_.batches.back(), std::vector{SiteId{7}});
}

TEST_F(LegacyWriterTest, WhatIsUrgentAndStuckIsLag) {
  told_.held = true;
  writer_.note_urgent(SiteId{1});
  writer_.start();
  // The first failure is published at once; the second a backoff later.
  EXPECT_TRUE(eventually([&] { return writer_.stats().errors.value() >= 2; }));
  EXPECT_TRUE(eventually([&] { return writer_.stats().lag_s.value() >= 0.1; }));
  EXPECT_EQ(writer_.stats().pending.value(), 1.0);
  EXPECT_FALSE(writer_.stop(clock_.steady()));
}

TEST_F(LegacyWriterTest, WhatIsLeftAtTheDeadlineIsTold) {
  told_.held = true;
  writer_.note(SiteId{1});
  writer_.start();
  EXPECT_FALSE(writer_.stop(clock_.steady() + 50ms));
  EXPECT_TRUE(told_.all().empty());
}

// Goal: only what the store took is written on, and what it may have taken.
TEST_F(LegacyWriterTest, ACommitThatFailedIsNotNoted) {
  struct Store final : sideeffects::EventStore {
    core::Result<void> commit(std::span<const sideeffects::EventWrite> /*writes*/) override {
      return answer;
    }
    core::Result<std::optional<sideeffects::StoredEvent>> open_event(SiteId /*site*/) override {
      return std::optional<sideeffects::StoredEvent>{};
    }
    core::Result<void> answer;
  };
  auto store = std::make_unique<Store>();
  Store& answers = *store;
  NotedEvents events(std::move(store), writer_);
  const auto commit = [&](std::uint64_t id) {
    sideeffects::EventWrite write;
    write.site = SiteId{id};
    return events.commit(std::span(&write, 1)).has_value();
  };
  EXPECT_TRUE(commit(1));
  answers.answer = core::Error{ErrorKind::Unavailable, "away"};
  EXPECT_FALSE(commit(2));
  answers.answer = core::Error{ErrorKind::Unknown, "lost"};
  EXPECT_FALSE(commit(3));
  writer_.start();
  EXPECT_TRUE(writer_.stop(clock_.steady() + 30s));
  EXPECT_THAT(told_.all(), ElementsAre(1, 3));
}

}  // namespace
}  // namespace watchwheel::app
