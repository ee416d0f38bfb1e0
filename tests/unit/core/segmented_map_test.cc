// SPDX-License-Identifier: Apache-2.0
#include "core/segmented_map.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

#include "core/ids.h"

namespace watchwheel::core {
namespace {

// Goal: it is a map. Method: random steps beside one.
TEST(SegmentedMap, AgreesWithAMapOverRandomSteps) {
  SegmentedMap<SiteId, std::string> map;
  std::map<std::uint64_t, std::string> model;
  std::mt19937_64 random(20261121);
  for (int step = 0; step < 100'000; ++step) {
    const std::uint64_t id = random() % 5000;
    if (random() % 3 != 0) {
      const auto [value, is_new] = map.try_emplace(SiteId{id}, "first");
      ASSERT_EQ(is_new, model.try_emplace(id, "first").second);
      ASSERT_EQ(value, model[id]);
      value = model[id] = std::to_string(step);
    } else {
      ASSERT_EQ(map.erase(SiteId{id}), model.erase(id) == 1);
    }
    ASSERT_EQ(map.size(), model.size());
    ASSERT_EQ(map.empty(), model.empty());
  }
  for (std::uint64_t id = 0; id < 5000; ++id) {
    const auto known = model.find(id);
    const std::string* const value = map.find(SiteId{id});
    ASSERT_EQ(value != nullptr, known != model.end()) << id;
    ASSERT_EQ(map.contains(SiteId{id}), known != model.end());
    if (value != nullptr) {
      ASSERT_EQ(*value, known->second);
    }
  }
}

// Goal: no call moves more than a small share of the entries, however regular the keys are.
TEST(SegmentedMap, SpreadsIdsThatRiseByOneEvenly) {
  constexpr std::uint64_t kIds = 200'000;
  for (const std::uint64_t step : {1U, 2U, 1024U}) {
    SegmentedMap<SiteId, int> map;
    for (std::uint64_t i = 0; i < kIds; ++i) map.try_emplace(SiteId{i * step});
    EXPECT_EQ(map.size(), kIds);
    EXPECT_LT(map.fullest(), 2 * kIds / decltype(map)::kSegments);
  }
}

TEST(SegmentedMap, LosesWhatIsGoneSegmentBySegment) {
  SegmentedMap<SiteId, int> map;
  for (std::uint64_t i = 0; i < 10'000; ++i) map.try_emplace(SiteId{i});
  for (std::size_t at = 0; at < decltype(map)::kSegments; ++at)
    map.erase_if(at, [](SiteId id) { return id.value % 4 != 0; });
  EXPECT_EQ(map.size(), 2'500U);
  EXPECT_TRUE(map.contains(SiteId{8}));
  EXPECT_FALSE(map.contains(SiteId{9}));
}

TEST(SegmentedMap, ValuesStayWhereTheyAre) {
  SegmentedMap<SiteId, int> map;
  int& first = map.try_emplace(SiteId{1}, 42).first;
  for (std::uint64_t i = 2; i < 100'000; ++i) map.try_emplace(SiteId{i});
  EXPECT_EQ(&first, map.find(SiteId{1}));
  EXPECT_EQ(first, 42);
}

}  // namespace
}  // namespace watchwheel::core
