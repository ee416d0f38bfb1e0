// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_reader.h"

#include <gtest/gtest.h>

#include <atomic>

#include "legacy_fakes.h"
#include "support/eventually.h"

namespace watchwheel::app {
namespace {

using core::SiteId;
using testing::eventually;

using namespace std::chrono_literals;

// What the fakes are asked and told; they die with the reader, this does not.
struct Told {
  std::atomic<int> pages{0}, asked{0}, lists{0};
  std::atomic<int> claimed_s{1};  // 0: it is not.
};

class FakeTable final : public EmptyTable {
 public:
  explicit FakeTable(Told& told) : told_(told) {}
  core::Result<db::LegacyPage> page(const db::LegacyCursor& /*from*/,
                                    std::size_t /*limit*/) override {
    ++told_.pages;
    return whole({});
  }
  core::Result<std::optional<core::WallTime>> claimed_since() override {
    ++told_.asked;
    const int since_s = told_.claimed_s;
    if (since_s == 0) return std::optional<core::WallTime>{};
    return std::optional(core::from_unix_ms(since_s * 1000));
  }

 private:
  Told& told_;
};

class FakeList final : public EmptyList {
 public:
  explicit FakeList(Told& told) : told_(told) {}
  core::Result<std::vector<db::SiteView>> list(const db::SiteFilter& /*filter*/, SiteId /*after*/,
                                               std::size_t /*limit*/) override {
    ++told_.lists;
    return std::vector<db::SiteView>{};
  }

 private:
  Told& told_;
};

// Goal: a list that was released is not written any more by a daemon that runs on; one that is taken back is read from the start.
TEST(LegacyReader, AReleasedListIsLeftAlone) {
  Told told;
  const core::SystemClock clock;
  NoLog log;
  LegacyReader reader({.mapping = db::jetpack_mapping(),
                       .defaults = {},
                       .sweep = core::Duration(1ms),
                       .rows_per_second = 100'000,
                       .turn = nullptr},
                      std::make_unique<FakeTable>(told), std::make_unique<FakeList>(told), clock,
                      log);
  reader.start();
  EXPECT_TRUE(eventually([&] { return told.pages >= 2; }));
  told.claimed_s = 0;
  // The page under way may still be read; what comes after the next question is not.
  int asked = told.asked;
  EXPECT_TRUE(eventually([&] { return told.asked > asked + 1; }));
  const int pages = told.pages;
  int lists = told.lists;
  asked = told.asked;
  EXPECT_TRUE(eventually([&] { return told.asked > asked + 1; }));
  EXPECT_EQ(told.pages, pages);
  told.claimed_s = 2;
  EXPECT_TRUE(eventually([&] { return told.pages > pages; }));
  EXPECT_GT(told.lists, lists);
  // Released and taken back between two looks: what is known of the list may be wrong.
  lists = told.lists;
  told.claimed_s = 3;
  EXPECT_TRUE(eventually([&] { return told.lists > lists; }));
  reader.stop();
}

// Goal: a list that another node may have changed meanwhile is read anew, and one that it may be changing now is left alone.
TEST(LegacyReader, WhatOthersMayHaveChangedIsReadAnew) {
  Told told;
  std::atomic<int> turn{7}, turns{0};  // Below 0: it cannot be told.
  const core::SystemClock clock;
  NoLog log;
  LegacyReader reader({.mapping = db::jetpack_mapping(),
                       .defaults = {},
                       .sweep = core::Duration(1ms),
                       .rows_per_second = 100'000,
                       .turn = [&]() -> std::optional<std::uint64_t> {
                         ++turns;
                         const int now = turn;
                         return now < 0 ? std::nullopt : std::optional<std::uint64_t>(now);
                       }},
                      std::make_unique<FakeTable>(told), std::make_unique<FakeList>(told), clock,
                      log);
  const auto asked_twice = [&] {
    const int before = turns;
    return eventually([&] { return turns > before + 1; });
  };
  reader.start();
  EXPECT_TRUE(eventually([&] { return told.pages >= 2; }));
  turn = -1;
  EXPECT_TRUE(asked_twice());
  int pages = told.pages;
  const int lists = told.lists;
  EXPECT_TRUE(asked_twice());
  EXPECT_EQ(told.pages, pages);
  turn = 7;  // It was ours all the time.
  EXPECT_TRUE(eventually([&] { return told.pages > pages; }));
  EXPECT_EQ(told.lists, lists);
  turn = 9;  // It was another's in between, of which nothing was seen.
  EXPECT_TRUE(eventually([&] { return told.lists > lists; }));
  turn = 0;
  EXPECT_TRUE(asked_twice());
  pages = told.pages;
  EXPECT_TRUE(asked_twice());
  EXPECT_EQ(told.pages, pages);
  reader.stop();
}

}  // namespace
}  // namespace watchwheel::app
