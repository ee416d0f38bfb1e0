// SPDX-License-Identifier: Apache-2.0
// Goal: the laws of a cluster hold whatever happens to it. Method: cluster_world.h, seeded.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "cluster_world.h"

namespace watchwheel::app::sim {
namespace {

// Whatever happens, in any order: whoever wrote under an epoch was alone, and when all is well again all are owned, soon, by somebody
// who knows of every event that is open.
class ClusterStorm : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(ClusterStorm, LawsHold) {
  std::mt19937_64 random(GetParam());
  const auto chance = [&](int one_in) { return random() % static_cast<unsigned>(one_in) == 0; };
  World world;
  for (const char* name : {"a", "b", "c", "d"}) {
    world.add(name, std::chrono::seconds{static_cast<int>(random() % 600) - 300},
              1 + static_cast<std::uint32_t>(random() % 3));
  }
  // Transactions under way: they name what was true when they began, and are committed later, if ever.
  struct Write {
    std::string node;
    std::int64_t fence;
    BucketNo bucket;
    std::uint64_t epoch;
    SteadyTime at;
    bool judges;  // An event begins, or ends.
  };
  std::vector<Write> writes;
  const auto host_of = [&](const std::string& name) -> Host& {
    return **std::find_if(world.hosts.begin(), world.hosts.end(),
                          [&](const auto& host) { return host->name() == name; });
  };
  for (int i = 0; i < 1500; ++i) {
    for (auto& host : world.hosts) {
      if (chance(60)) host->paused = !host->paused;
      if (chance(60)) host->store.set_away(chance(2));
      if (chance(40)) host->store.lose_next_answer();
      if (host->member == nullptr) {
        host->store.set_away(false);
        if (chance(10)) host->start();
      } else if (!host->paused && chance(150)) {
        if (chance(3)) host->begin_stop();
        chance(2) ? host->crash() : host->stop();
      }
      if (chance(100)) host->writes_wait = chance(3);
      if (chance(200)) (void)host->store.ask_to_drain(host->name(), chance(2));
      if (!host->is_running()) continue;
      const BucketNo bucket{static_cast<std::uint32_t>(random() % kBuckets)};
      const auto fence = host->table->fence();
      const std::uint64_t epoch = host->table->epoch(bucket);
      if (fence && epoch != 0 && !host->writes_wait)
        writes.push_back({host->name(), *fence, bucket, epoch,
                          world.clock.steady() + std::chrono::milliseconds{random() % 30000}, chance(3)});
    }
    world.run_for(200ms);
    std::erase_if(writes, [&](const Write& write) {
      if (write.at > world.clock.steady()) return false;
      if (world.database.commit(write.node, write.fence, write.bucket, write.epoch) && write.judges) {
        Host& host = host_of(write.node);  // This very run, or its fence would be another.
        if (world.events.erase(write.bucket) > 0) {
          host.known_events.erase(write.bucket);
        } else {
          world.events.insert(write.bucket);
          if (host.rows.contains(write.bucket)) host.known_events.insert(write.bucket);
        }
      }
      return true;
    });
    ASSERT_EQ(world.database.unlawful_writes(), 0U) << "seed " << GetParam() << " step " << i;
  }
  EXPECT_GT(world.database.commits(), 50U);
  EXPECT_GT(world.database.refused(), 0U);
  for (auto& host : world.hosts) {
    host->store.set_away(false);
    (void)host->store.ask_to_drain(host->name(), false);
    host->paused = host->writes_wait = false;
    if (host->member == nullptr) host->start();
  }
  world.run_for(30s);
  EXPECT_EQ(world.owned()[""], 0);
  world.begin_watch();
  world.run_for(3min);  // Every node comes by its share.
  EXPECT_EQ(world.owned().size(), 4U);
  EXPECT_FALSE(world.events.empty());
  for (const BucketNo bucket : world.events) {
    const Host& owner = host_of(world.database.leases()[bucket.value].owner);
    EXPECT_TRUE(owner.known_events.contains(bucket)) << "seed " << GetParam() << " " << bucket.value;
  }
  EXPECT_EQ(world.missed(), 0U) << "seed " << GetParam();
  EXPECT_EQ(world.doubled(), 0U) << "seed " << GetParam();
  EXPECT_LE(world.longest_gap, kInterval + 300ms);
}
INSTANTIATE_TEST_SUITE_P(Seeds, ClusterStorm, ::testing::Range<std::uint64_t>(1, 13));

}  // namespace
}  // namespace watchwheel::app::sim
