// SPDX-License-Identifier: Apache-2.0
// Phase, lane, shard and bucket of every site come from these values. They were computed apart from this code, from the published
// descriptions of SplitMix64 and FNV-1a. There is no flag to renew them: a change moves every site of every installation.
#include "core/hash.h"

#include <gtest/gtest.h>

namespace watchwheel::core {
namespace {

TEST(GoldenHash, OfNumbersIsUnchanged) {
  EXPECT_EQ(stable_hash(std::uint64_t{0}), 0xe220a8397b1dcdafULL);
  EXPECT_EQ(stable_hash(std::uint64_t{1}), 0x910a2dec89025cc1ULL);
  EXPECT_EQ(stable_hash(std::uint64_t{2}), 0x975835de1c9756ceULL);
  EXPECT_EQ(stable_hash(std::uint64_t{42}), 0xbdd732262feb6e95ULL);
  EXPECT_EQ(stable_hash(std::uint64_t{1000}), 0x3c1eba8b4dccc148ULL);
  EXPECT_EQ(stable_hash(std::uint64_t{1'000'000}), 0x680d1cce9cff45e7ULL);
  EXPECT_EQ(stable_hash(std::uint64_t{9'223'372'036'854'775'807ULL}), 0x2a67d7552e039ea7ULL);
  EXPECT_EQ(stable_hash(~std::uint64_t{0}), 0xe4d971771b652c20ULL);
}

TEST(GoldenHash, OfTextsIsUnchanged) {
  EXPECT_EQ(stable_hash(std::string_view("")), 0xc3817c016ba4ff30ULL);
  EXPECT_EQ(stable_hash(std::string_view("a")), 0x5f29c2aadd9b8527ULL);
  EXPECT_EQ(stable_hash(std::string_view("https://example.com/")), 0xad30665727dc1ba4ULL);
  EXPECT_EQ(stable_hash(std::string_view("watchwheel")), 0xb4eb0c3ee790f0daULL);
  EXPECT_EQ(stable_hash(std::string_view("\xc3\xa9")), 0x6e2411eb685090baULL);
}

// The phase of site 42 at an interval of five minutes, in milliseconds, as the scheduler takes it.
TEST(GoldenHash, PhaseOfAKnownSiteIsUnchanged) {
  EXPECT_EQ(stable_hash(std::uint64_t{42}) % 300'000, 275'413U);
}

}  // namespace
}  // namespace watchwheel::core
