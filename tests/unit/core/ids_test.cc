// SPDX-License-Identifier: Apache-2.0
#include "core/ids.h"

#include <gtest/gtest.h>

#include <type_traits>
#include <unordered_set>

namespace watchwheel::core {
namespace {

static_assert(!std::is_convertible_v<std::uint64_t, SiteId>,
              "a number is not taken for an id by accident");
static_assert(!std::is_convertible_v<SiteId, std::uint64_t>,
              "an id is not taken for a number by accident");
static_assert(!std::is_constructible_v<SiteId, EventId>, "one kind of id does not become another");
static_assert(sizeof(SiteId) == sizeof(std::uint64_t) && sizeof(SiteSlot) == sizeof(std::uint32_t));

TEST(Ids, CompareByTheirNumber) {
  EXPECT_EQ(SiteId{7}, SiteId{7});
  EXPECT_LT(SiteId{7}, SiteId{8});
  EXPECT_EQ(SiteId{}.value, 0U);
  EXPECT_GT(kNoSlot, SiteSlot{UINT32_MAX - 1});
}

TEST(Ids, AreKeysOfHashedContainers) {
  std::unordered_set<SiteId> seen;
  for (std::uint64_t i = 0; i < 100; ++i) seen.insert(SiteId{i % 50});
  EXPECT_EQ(seen.size(), 50U);
  EXPECT_TRUE(seen.contains(SiteId{49}));
  EXPECT_FALSE(seen.contains(SiteId{50}));
}

}  // namespace
}  // namespace watchwheel::core
