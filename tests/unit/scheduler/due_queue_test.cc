// SPDX-License-Identifier: Apache-2.0
#include "scheduler/due_queue.h"

#include <gtest/gtest.h>

#include <vector>

namespace watchwheel::scheduler {
namespace {

using core::SiteId;
using core::SiteSlot;
using namespace std::chrono_literals;
using Place = SiteTable::Place;

class DueQueueTest : public testing::Test {
 protected:
  DueQueueTest() {
    for (std::uint64_t id = 1; id <= 4000; ++id)
      slots_.push_back(sites_.add(SiteId{id}, "http://a/", 1min, 0));
  }
  std::vector<SiteSlot> drain() {
    std::vector<SiteSlot> out;
    while (!queue_.empty()) out.push_back(queue_.pop_front());
    return out;
  }

  SiteTable sites_{4000};
  std::vector<SiteSlot> slots_;
  DueQueue queue_{sites_};
};

TEST_F(DueQueueTest, GivesTheOldestFirstAndWhatWasRefusedBeforeIt) {
  for (std::size_t i = 0; i < 4; ++i) queue_.push_back(slots_[i]);
  const SiteSlot a = queue_.pop_front();
  const SiteSlot b = queue_.pop_front();
  EXPECT_EQ(sites_.timing(a).place, Place::Nowhere);
  queue_.push_front(b);
  queue_.push_front(a);
  EXPECT_EQ(sites_.timing(a).place, Place::Queue);
  EXPECT_EQ(queue_.front(), a);
  EXPECT_EQ(drain(), (std::vector{slots_[0], slots_[1], slots_[2], slots_[3]}));
}

TEST_F(DueQueueTest, RemovesFromAnywhere) {
  for (std::size_t i = 0; i < 6; ++i) queue_.push_back(slots_[i]);
  queue_.remove(slots_[0]);
  queue_.remove(slots_[3]);
  queue_.remove(slots_[5]);
  EXPECT_EQ(queue_.size(), 3U);
  queue_.push_front(slots_[3]);
  queue_.push_back(slots_[0]);
  EXPECT_EQ(drain(), (std::vector{slots_[3], slots_[1], slots_[2], slots_[4], slots_[0]}));
}

// Goal: with nothing handed out for long, sites that come and go leave no growing trail, and the rest keep their order.
TEST_F(DueQueueTest, StaysWholeWhileManyLeaveFromTheMiddle) {
  queue_.push_back(slots_[0]);
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 1; i < slots_.size() - 1; ++i) queue_.push_back(slots_[i]);
    for (std::size_t i = slots_.size() - 2; i > 0; --i) queue_.remove(slots_[i]);
  }
  queue_.push_back(slots_.back());
  EXPECT_EQ(queue_.size(), 2U);
  EXPECT_EQ(drain(), (std::vector{slots_[0], slots_.back()}));
}

TEST_F(DueQueueTest, DeathOnOurOwnMistakes) {
  EXPECT_DEATH((void)queue_.pop_front(), "empty queue");
  queue_.push_back(slots_[0]);
  EXPECT_DEATH(queue_.push_back(slots_[0]), "two places");
  EXPECT_DEATH(queue_.remove(slots_[1]), "not where it says");
}

}  // namespace
}  // namespace watchwheel::scheduler
