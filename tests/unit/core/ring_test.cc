// SPDX-License-Identifier: Apache-2.0
#include "core/ring.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <thread>

namespace watchwheel::core {
namespace {

TEST(SpscRing, HoldsExactlyItsCapacityAndRefusesMore) {
  SpscRing<int> ring(3);
  EXPECT_EQ(ring.capacity(), 3U);
  for (int i = 1; i <= 3; ++i) EXPECT_TRUE(ring.offer(int{i}));
  EXPECT_EQ(ring.depth(), 3U);
  EXPECT_FALSE(ring.offer(4));
  EXPECT_FALSE(ring.offer(5));
  EXPECT_EQ(ring.refused(), 2U);
  int out = 0;
  for (int i = 1; i <= 3; ++i) {
    ASSERT_TRUE(ring.take(out));
    EXPECT_EQ(out, i);
  }
  EXPECT_FALSE(ring.take(out));
  EXPECT_EQ(ring.depth(), 0U);
}

TEST(SpscRing, LeavesARefusedValueWithTheCaller) {
  SpscRing<std::unique_ptr<int>> ring(1);
  EXPECT_TRUE(ring.offer(std::make_unique<int>(1)));
  auto kept = std::make_unique<int>(2);
  EXPECT_FALSE(ring.offer(std::move(kept)));
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(*kept, 2);
}

TEST(SpscRing, FreesWhatAValueHoldsWhenItIsTaken) {
  SpscRing<std::shared_ptr<int>> ring(4);
  const auto held = std::make_shared<int>(1);
  EXPECT_TRUE(ring.offer(std::shared_ptr<int>(held)));
  std::shared_ptr<int> out;
  ASSERT_TRUE(ring.take(out));
  out.reset();
  EXPECT_EQ(held.use_count(), 1);
}

TEST(SpscRing, KeepsOrderWhileItWrapsAround) {
  SpscRing<int> ring(3);
  int sent = 0;
  int received = 0;
  int out = 0;
  for (int round = 0; round < 100; ++round) {
    for (int i = 0; i <= round % 3; ++i) EXPECT_TRUE(ring.offer(int{sent++}));
    while (ring.take(out)) EXPECT_EQ(out, received++);
  }
  EXPECT_EQ(received, sent);
}

TEST(SpscRingDeathTest, NeedsACapacity) {
  EXPECT_DEATH(SpscRing<int>{0}, "a ring needs a capacity");
}

// Goal: between two threads nothing is lost, doubled or reordered, full and empty ring included. Method: a small ring and
// 200,000 numbers; the consumer checks each. The thread sanitizer reads the same run.
TEST(SpscRing, HandsEveryValueOverOnceAndInOrderBetweenTwoThreads) {
  constexpr std::uint64_t kCount = 200'000;
  SpscRing<std::uint64_t> ring(7);
  std::thread producer([&ring] {
    for (std::uint64_t i = 0; i < kCount;) {
      if (ring.offer(std::uint64_t{i})) {
        ++i;
      } else {
        std::this_thread::yield();
      }
    }
  });
  std::uint64_t out = 0;
  std::uint64_t wrong = 0;
  for (std::uint64_t expected = 0; expected < kCount;) {
    if (!ring.take(out)) {
      std::this_thread::yield();
      continue;
    }
    if (out != expected) ++wrong;
    ++expected;
    if (ring.depth() > ring.capacity()) ++wrong;
  }
  producer.join();
  EXPECT_EQ(wrong, 0U);
  EXPECT_FALSE(ring.take(out));
}

}  // namespace
}  // namespace watchwheel::core
