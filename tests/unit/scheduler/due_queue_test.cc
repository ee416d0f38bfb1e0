// SPDX-License-Identifier: Apache-2.0
#include "scheduler/due_queue.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <utility>
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

// Goal: no single removal costs as much as the queue is long, the gaps stay bounded all the same, and the order holds. Method: what
// was moved and how many places there are is counted at each step; random removals and returns to both ends, against a list.
TEST_F(DueQueueTest, GapsAreClosedALittleAtATime) {
  std::mt19937 random(5);
  std::deque<SiteSlot> expected;
  for (const SiteSlot slot : slots_) {
    queue_.push_back(slot);
    expected.push_back(slot);
  }
  std::vector<SiteSlot> away;
  std::uint64_t moved = 0;
  for (int step = 0; step < 30'000; ++step) {
    const bool leaves =
        away.empty() || (expected.size() > 10 && random() % 8 < (step / 4000 % 2 == 0 ? 7 : 2));
    if (leaves) {
      const auto at = expected.begin() + static_cast<std::ptrdiff_t>(random() % expected.size());
      away.push_back(*at);
      queue_.remove(*at);
      expected.erase(at);
    } else {
      const bool first = random() % 3 == 0;
      first ? queue_.push_front(away.back()) : queue_.push_back(away.back());
      first ? expected.push_front(away.back()) : expected.push_back(away.back());
      away.pop_back();
    }
    ASSERT_LE(queue_.moved() - std::exchange(moved, queue_.moved()), 4U);
    ASSERT_LE(queue_.places(), 4 * queue_.size() + 2048);
    ASSERT_EQ(queue_.size(), expected.size());
    ASSERT_EQ(queue_.front(), expected.front());
  }
  EXPECT_GT(moved, 1000U) << "nothing was tested";
  EXPECT_EQ(drain(), std::vector<SiteSlot>(expected.begin(), expected.end()));
}

TEST_F(DueQueueTest, DeathOnOurOwnMistakes) {
  EXPECT_DEATH((void)queue_.pop_front(), "empty queue");
  queue_.push_back(slots_[0]);
  EXPECT_DEATH(queue_.push_back(slots_[0]), "two places");
  EXPECT_DEATH(queue_.remove(slots_[1]), "not where it says");
}

}  // namespace
}  // namespace watchwheel::scheduler
