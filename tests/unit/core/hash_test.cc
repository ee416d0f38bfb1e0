// SPDX-License-Identifier: Apache-2.0
// The values themselves are held by tests/golden/core; here is what phase and shard need of them.
#include "core/hash.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

namespace watchwheel::core {
namespace {

// Goal: consecutive site ids, which is what a store gives out, spread evenly. Method: 64,000 ids over 64 parts; for a fair
// hash each part holds 1000 with a standard deviation of 31, so 6 of them are a wide margin.
TEST(StableHash, SpreadsConsecutiveIdsEvenly) {
  std::array<int, 64> parts{};
  for (std::uint64_t id = 1; id <= 64'000; ++id) ++parts[stable_hash(id) % parts.size()];
  EXPECT_GT(*std::min_element(parts.begin(), parts.end()), 1000 - 190);
  EXPECT_LT(*std::max_element(parts.begin(), parts.end()), 1000 + 190);
}

TEST(StableHash, SpreadsSimilarTextsEvenly) {
  std::array<int, 64> parts{};
  for (int i = 0; i < 64'000; ++i) {
    ++parts[stable_hash("https://site-" + std::to_string(i) + ".example/") % parts.size()];
  }
  EXPECT_GT(*std::min_element(parts.begin(), parts.end()), 1000 - 190);
  EXPECT_LT(*std::max_element(parts.begin(), parts.end()), 1000 + 190);
}

TEST(StableHash, ReadsBytesAsUnsigned) {
  // A platform whose char is unsigned must agree with one whose char is signed.
  EXPECT_EQ(stable_hash(std::string_view("\xc3\xa9")), 0x6e2411eb685090baULL);
}

}  // namespace
}  // namespace watchwheel::core
