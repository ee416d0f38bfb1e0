// SPDX-License-Identifier: Apache-2.0
#include "core/buckets.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "core/clock.h"

namespace watchwheel::core {
namespace {

using namespace std::chrono_literals;

// Goal: whatever their number, every site is in one bucket, and the hashes that name it are the bucket's.
TEST(Buckets, EverySiteIsInTheBucketOfItsHash) {
  for (const std::uint32_t buckets : {1U, 7U, 64U, 1000U, 1024U, kBucketsMax}) {
    std::vector<int> sites(buckets);
    for (std::uint64_t id = 1; id <= 100'000; ++id) {
      const BucketNo bucket = bucket_of(SiteId{id}, buckets);
      const BucketHashes hashes = hashes_of(bucket, buckets);
      ASSERT_LT(bucket.value, buckets);
      ASSERT_GE(bucket_hash(SiteId{id}), hashes.first);
      ASSERT_LT(bucket_hash(SiteId{id}), hashes.end);
      ++sites[bucket.value];
    }
    const double fair = 100'000.0 / buckets;
    for (const int n : sites) {
      EXPECT_GT(n, fair / 2) << "of " << buckets;
      EXPECT_LT(n, fair * 2) << "of " << buckets;
    }
  }
}

class AskedOrNot : public ::testing::Test {
 protected:
  AskedOrNot() : table(8, clock) { renew(); }
  void renew() {
    table.set_valid_until(clock.boot() + 12s);
    table.set_asked(clock.boot());
  }
  // A lane turns ten times a second. In how many turns it might start nothing.
  int unsure_turns(Duration time) {
    int unsure = 0;
    for (const SteadyTime end = clock.steady() + time; clock.steady() < end;) {
      clock.advance(100ms);
      unsure += table.unsure() ? 1 : 0;
    }
    return unsure;
  }

  ManualClock clock;
  BucketTable table;
};

TEST_F(AskedOrNot, WhoStoodStillPastItsLeaseStartsNothingBeforeItHasAsked) {
  EXPECT_EQ(unsure_turns(5s), 0);
  clock.advance(60s);
  EXPECT_EQ(unsure_turns(3s), 30);
  const SteadyTime awake = clock.boot() - 2900ms;  // The first of these turns.
  table.set_asked(awake - 1s);  // On its way before it stood still: an answer from then.
  EXPECT_TRUE(table.unsure());
  table.set_asked(awake);
  EXPECT_FALSE(table.unsure());
}

TEST_F(AskedOrNot, AStandstillWithinTheLeaseIsNone) {
  EXPECT_EQ(unsure_turns(1s), 0);
  clock.advance(8s);
  EXPECT_FALSE(table.unsure());
  renew();
  EXPECT_EQ(unsure_turns(30s), 0);
}

// The machine is so busy that no lane turns for seconds, and the lease has run out meanwhile: we knew of it all the time.
TEST_F(AskedOrNot, AMachineThatIsBusyDidNotStandStill) {
  for (int i = 0; i < 10; ++i) {
    clock.advance(4s);
    EXPECT_FALSE(table.unsure());
  }
  EXPECT_FALSE(table.valid());
}

// The answer comes so late that the lease is over when it does, again and again.
TEST_F(AskedOrNot, WhereTheDatabaseIsSlowTheChecksGoOn) {
  for (int i = 0; i < 5; ++i) {
    const SteadyTime from = clock.boot();
    ASSERT_EQ(unsure_turns(20s), 0);
    table.set_valid_until(from + 12s);
    table.set_asked(from);
  }
}

// Goal: a writer that was refused goes on as soon as it is known why, and waits for nothing when that is known already. The patience
// would fail the test by ctest's limit, should it be waited for.
TEST_F(AskedOrNot, WhoWasRefusedWaitsUntilTheFenceIsAnother) {
  table.set_fence(7);
  EXPECT_EQ(*table.fence_after(7, 1ms), 7);
  EXPECT_EQ(*table.fence_after(6, 1h), 7);
  std::thread looks([this] { table.set_fence(8); });
  EXPECT_EQ(*table.fence_after(7, 1h), 8);
  looks.join();
  table.set_valid_until(kNoSteadyTime);
  EXPECT_FALSE(table.fence_after(7, 1h));
}

}  // namespace
}  // namespace watchwheel::core
