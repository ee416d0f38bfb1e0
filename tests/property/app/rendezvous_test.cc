// SPDX-License-Identifier: Apache-2.0
#include "app/rendezvous.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <string>

#include "core/buckets.h"

namespace watchwheel::app {
namespace {

constexpr std::uint32_t kBuckets = 1024;

std::vector<std::string> owners(const std::vector<Candidate>& candidates) {
  std::vector<std::string> names;
  for (const std::size_t one : wanted_owners(candidates, kBuckets))
    names.push_back(candidates[one].name);
  return names;
}

std::vector<Candidate> some(std::mt19937_64& random) {
  std::vector<Candidate> nodes;
  const std::size_t count = 1 + random() % 8;
  for (std::size_t i = 0; i < count; ++i)
    nodes.push_back({"node-" + std::to_string(random() % 100000),
                     1 + static_cast<std::uint32_t>(random() % 4)});
  std::sort(nodes.begin(), nodes.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  nodes.erase(std::unique(nodes.begin(), nodes.end(),
                          [](const auto& a, const auto& b) { return a.name == b.name; }),
              nodes.end());
  return nodes;
}

TEST(Rendezvous, AJoinMovesOnlyToTheOneThatJoinedAndALeaveOnlyWhatItHad) {
  std::mt19937_64 random(20261121);
  for (int round = 0; round < 200; ++round) {
    std::vector<Candidate> nodes = some(random);
    const auto before = owners(nodes);
    const Candidate joined{"new-" + std::to_string(round), 1 + static_cast<std::uint32_t>(random() % 4)};
    nodes.insert(nodes.begin() + static_cast<std::ptrdiff_t>(random() % (nodes.size() + 1)), joined);
    const auto with = owners(nodes);
    double weights = 0;
    for (const Candidate& node : nodes) weights += node.weight;
    std::size_t moved = 0;
    for (std::uint32_t i = 0; i < kBuckets; ++i) {
      if (before[i] == with[i]) continue;
      ++moved;
      ASSERT_EQ(with[i], joined.name);
    }
    // Its share, as far as chance goes: five deviations.
    const double share = joined.weight / weights;
    EXPECT_NEAR(static_cast<double>(moved), share * kBuckets,
                5 * std::sqrt(kBuckets * share * (1 - share)) + 1)
        << round;
  }
}

TEST(Rendezvous, TheOrderInWhichNodesAreSeenMeansNothing) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Candidate> nodes = some(random);
    const auto before = owners(nodes);
    std::shuffle(nodes.begin(), nodes.end(), random);
    EXPECT_EQ(owners(nodes), before);
  }
}

TEST(Rendezvous, NobodyWantsWhatThereIsNobodyFor) {
  EXPECT_TRUE(wanted_owners({}, kBuckets).empty());
}

TEST(Rendezvous, WeightsAreShares) {
  std::map<std::string, int> count;
  for (const std::string& owner : owners({{"a", 1}, {"b", 2}, {"c", 1}})) ++count[owner];
  EXPECT_NEAR(count["a"], 256, 60);
  EXPECT_NEAR(count["b"], 512, 80);
  EXPECT_NEAR(count["c"], 256, 60);
}

// The expression is the database's too, so its values are a promise.
TEST(Buckets, HashesAreAPromise) {
  EXPECT_EQ(core::bucket_hash(core::SiteId{1}), 40503U);
  EXPECT_EQ(core::bucket_hash(core::SiteId{2}), 15470U);
  EXPECT_EQ(core::bucket_hash(core::SiteId{65536}), 40503U);
  EXPECT_EQ(core::bucket_hash(core::SiteId{1'000'000'007}), (((1000000007U ^ (1000000007U >> 16U)) & 65535U) * 40503U) & 65535U);
}

TEST(Buckets, EveryHashBelongsToOneBucket) {
  for (const std::uint32_t buckets : {1U, 2U, 3U, 7U, 100U, 1000U, 1024U, 4096U}) {
    std::uint32_t next = 0;
    for (std::uint32_t bucket = 0; bucket < buckets; ++bucket) {
      const core::BucketHashes hashes = core::hashes_of(core::BucketNo{bucket}, buckets);
      ASSERT_EQ(hashes.first, next);
      next = hashes.end;
    }
    EXPECT_EQ(next, core::kBucketHashes);
    for (std::uint64_t id = 1; id < 5000; ++id) {
      const core::SiteId site{id * 977};
      const auto hashes = core::hashes_of(core::bucket_of(site, buckets), buckets);
      ASSERT_GE(core::bucket_hash(site), hashes.first);
      ASSERT_LT(core::bucket_hash(site), hashes.end);
    }
  }
}

// Ids that were given one after the other, by one server or by three in turns.
TEST(Buckets, NeighboursAreSpreadEvenly) {
  for (const std::uint64_t step : {1U, 3U}) {
    std::vector<int> sites(kBuckets);
    for (std::uint64_t id = 1; id <= 100'000; ++id)
      ++sites[core::bucket_of(core::SiteId{id * step}, kBuckets).value];
    const auto [least, most] = std::minmax_element(sites.begin(), sites.end());
    EXPECT_GT(*least, 70) << step;
    EXPECT_LT(*most, 130) << step;
  }
}

}  // namespace
}  // namespace watchwheel::app
