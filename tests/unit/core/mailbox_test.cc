// SPDX-License-Identifier: Apache-2.0
#include "core/mailbox.h"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace watchwheel::core {
namespace {

TEST(Mailbox, KeepsTheNewestValueInThePlaceOfTheFirst) {
  Mailbox<int, std::string> box(4);
  EXPECT_TRUE(box.post(1, "one, old"));  // It was empty: wake the consumer.
  EXPECT_FALSE(box.post(2, "two"));
  EXPECT_FALSE(box.post(1, "one, new"));
  EXPECT_EQ(box.depth(), 2U);
  EXPECT_EQ(box.capacity(), 4U);
  EXPECT_EQ(box.coalesced(), 1U);
  std::vector<std::string> taken;
  EXPECT_EQ(box.take(taken, 10), 2U);
  EXPECT_EQ(taken, (std::vector<std::string>{"one, new", "two"}));
  EXPECT_EQ(box.depth(), 0U);
}

TEST(Mailbox, GivesAtMostWhatIsAskedOldestFirst) {
  Mailbox<int, int> box(5);
  for (int key = 0; key < 5; ++key) box.post(key, key * 10);
  std::vector<int> taken;
  EXPECT_EQ(box.take(taken, 2), 2U);
  EXPECT_EQ(box.take(taken, 2), 2U);
  box.post(0, 1);
  EXPECT_EQ(box.take(taken, 2), 2U);
  EXPECT_EQ(box.take(taken, 2), 0U);
  EXPECT_EQ(taken, (std::vector<int>{0, 10, 20, 30, 40, 1}));
}

TEST(Mailbox, IsEmptyAgainAfterATake) {
  Mailbox<int, int> box(1);
  std::vector<int> taken;
  EXPECT_TRUE(box.post(1, 1));
  box.take(taken, 1);
  EXPECT_TRUE(box.post(1, 2));
}

TEST(Mailbox, SeatsFollowTheNumberOfSites) {
  Mailbox<int, int> box(1);
  box.post(1, 1);
  box.set_seats_max(2);
  box.post(2, 2);
  EXPECT_EQ(box.capacity(), 2U);
  EXPECT_EQ(box.depth(), 2U);
}

TEST(MailboxDeathTest, MoreKeysThanSeatsIsOurMistake) {
  EXPECT_DEATH((Mailbox<int, int>{0}), "a mailbox needs seats");
  Mailbox<int, int> box(1);
  box.post(1, 1);
  EXPECT_DEATH(box.post(2, 2), "more keys are waiting");
  EXPECT_DEATH(box.set_seats_max(0), "fewer seats than values waiting");
}

// Goal: with several producers the newest value of every key arrives, and a key's values never go back. Method: three threads
// count up on ten keys each; what is taken must rise for each key, and end at the last.
TEST(Mailbox, DeliversTheLastValueOfEveryKeyFromSeveralThreads) {
  struct Value {
    std::uint32_t key = 0;
    std::uint32_t count = 0;
  };
  constexpr std::uint32_t kProducers = 3;
  constexpr std::uint32_t kKeys = 10;
  constexpr std::uint32_t kLast = 5000;
  Mailbox<std::uint32_t, Value> box(kProducers * kKeys);
  std::array<std::thread, kProducers> producers;
  for (std::uint32_t p = 0; p < kProducers; ++p) {
    producers[p] = std::thread([&box, p] {
      for (std::uint32_t count = 1; count <= kLast; ++count) {
        const std::uint32_t key = p * kKeys + count % kKeys;
        box.post(key, Value{key, count});
      }
    });
  }
  std::array<std::uint32_t, kProducers * kKeys> newest{};
  std::uint32_t went_back = 0;
  std::uint64_t received = 0;
  std::vector<Value> batch;
  const auto finished = [&newest] {
    for (std::uint32_t key = 0; key < newest.size(); ++key) {
      const std::uint32_t rest = key % kKeys;
      if (newest[key] != (rest == 0 ? kLast : kLast - kKeys + rest)) return false;
    }
    return true;
  };
  while (!finished()) {
    batch.clear();
    received += box.take(batch, 8);
    for (const Value& value : batch) {
      if (value.count <= newest[value.key]) ++went_back;
      newest[value.key] = value.count;
    }
    if (batch.empty()) std::this_thread::yield();
  }
  for (std::thread& producer : producers) producer.join();
  EXPECT_EQ(went_back, 0U);
  EXPECT_EQ(box.depth(), 0U);
  EXPECT_EQ(received + box.coalesced(), std::uint64_t{kProducers} * kLast);
}

}  // namespace
}  // namespace watchwheel::core
