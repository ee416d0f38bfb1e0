// SPDX-License-Identifier: Apache-2.0
// Goal: over random steps the wheel fires every site exactly once, at its due time, in order, also a few at a time, and no site that
// was moved, removed or replaced by another in its slot. Method: a std::multimap of due times beside it. WATCHWHEEL_SEED replays a failure.
#include "scheduler/wheel.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "property/scheduler/seed.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SiteId;
using core::SiteSlot;
using core::SteadyTime;
using namespace std::chrono_literals;

constexpr Duration kTick = 100ms;
constexpr Duration kHorizon = 20s;

class WheelRun {
 public:
  explicit WheelRun(std::uint64_t seed) : random_(seed) {}

  void steps(int count) {
    for (int i = 0; i < count && !testing::Test::HasFatalFailure(); ++i) step();
    // Let all of them out.
    advance(2 * kHorizon + 10min);
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_EQ(waiting_.size(), 0U);
  }
  std::uint64_t fired_total = 0;

 private:
  struct Waiting {
    SiteId id;
    SteadyTime fires_from;  // Its due time, or the next tick's beginning when it was placed late.
  };

  std::uint64_t below(std::uint64_t n) { return random_() % n; }

  void step() {
    switch (below(10)) {
      case 0:
        add();
        break;
      case 1:
        remove_site();
        break;
      case 2:
      case 3:
      case 4:
        place();
        break;
      case 5:
        move();
        break;
      default:
        advance(random_step());
        break;
    }
  }

  Duration random_step() {
    switch (below(20)) {
      case 0:
        return std::chrono::milliseconds{below(60'000)};  // A stall, sometimes beyond the horizon.
      case 1:
        return 0ms;
      default:
        return std::chrono::milliseconds{below(150)};
    }
  }

  SteadyTime random_due() {
    switch (below(8)) {
      case 0:
        return now_ - std::chrono::milliseconds{below(5000)};
      case 1:
        return now_ + std::chrono::milliseconds{below(3'600'000) / 10};  // Far beyond the horizon.
      default:
        return now_ + std::chrono::milliseconds{below(15'000)};
    }
  }

  void add() {
    const SiteSlot slot = sites_.add(SiteId{++last_id_}, "http://a/", 1min, 0);
    if (slot != core::kNoSlot) idle_.push_back(slot);
  }

  void remove_site() {
    // An idle one or a waiting one: its slot is soon used again.
    if (!idle_.empty() && below(2) == 0) {
      const std::size_t i = below(idle_.size());
      sites_.remove(idle_[i]);
      idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
    } else if (const SiteSlot slot = any_waiting(); slot != core::kNoSlot) {
      wheel_.remove(slot);
      waiting_.erase(slot);
      sites_.remove(slot);
    }
  }

  void place() {
    if (idle_.empty()) return;
    const std::size_t i = below(idle_.size());
    const SiteSlot slot = idle_[i];
    idle_.erase(idle_.begin() + static_cast<std::ptrdiff_t>(i));
    place_at(slot, random_due());
  }

  void move() {
    const SiteSlot slot = any_waiting();
    if (slot == core::kNoSlot) return;
    const SteadyTime before = sites_.timing(slot).due;
    wheel_.remove(slot);
    waiting_.erase(slot);
    place_at(slot, random_due());
    if (below(2) == 0) {  // Away and back again.
      wheel_.remove(slot);
      waiting_.erase(slot);
      place_at(slot, before);
    }
  }

  void place_at(SiteSlot slot, SteadyTime due) {
    wheel_.place(slot, due);
    const SteadyTime tick_end = start_ + ((now_ - start_) / kTick + 1) * kTick;
    waiting_[slot] = {sites_.id(slot), due < tick_end ? tick_end : due};
  }

  SiteSlot any_waiting() {
    if (waiting_.empty()) return core::kNoSlot;
    auto it = waiting_.lower_bound(SiteSlot{static_cast<std::uint32_t>(below(sites_.slots_end()))});
    return it == waiting_.end() ? waiting_.begin()->first : it->first;
  }

  void advance(Duration by) {
    if (const auto next = wheel_.next()) {
      for (const auto& [slot, one] : waiting_) ASSERT_LE(*next, one.fires_from);
    } else {
      ASSERT_TRUE(waiting_.empty());
    }
    now_ += by;
    std::vector<SiteSlot> fired;
    const std::size_t most = 1 + below(20);
    for (std::size_t before = 0;; before = fired.size()) {
      wheel_.advance(now_, fired, most);
      ASSERT_LE(fired.size() - before, most);
      const auto next = wheel_.next();
      if (!next || *next > now_) break;
    }
    std::multimap<SteadyTime, SiteSlot> expected;
    for (const auto& [slot, one] : waiting_) {
      if (one.fires_from <= now_) expected.emplace(one.fires_from, slot);
    }
    ASSERT_EQ(fired.size(), expected.size());
    Duration last_tick = Duration::min();
    SteadyTime last_due{};
    for (const SiteSlot slot : fired) {
      const auto waiting = waiting_.find(slot);
      ASSERT_NE(waiting, waiting_.end()) << "fired twice, or after it was removed";
      ASSERT_EQ(waiting->second.id, sites_.id(slot));
      const Duration tick = (waiting->second.fires_from - start_) / kTick * kTick;
      ASSERT_GE(tick, last_tick) << "a later tick before an earlier one";
      if (tick == last_tick) {
        ASSERT_GE(sites_.timing(slot).due, last_due) << "not by due time within a tick";
      }
      last_tick = tick;
      last_due = sites_.timing(slot).due;
      ASSERT_LE(waiting->second.fires_from, now_) << "fired early";
      waiting_.erase(waiting);
      idle_.push_back(slot);
      ++fired_total;
    }
    ASSERT_EQ(wheel_.size(), waiting_.size());
  }

  std::mt19937_64 random_;
  const SteadyTime start_{1h};
  SteadyTime now_ = start_;
  SiteTable sites_{300};
  Wheel wheel_{{.tick = kTick, .horizon = kHorizon}, sites_, start_};
  std::map<SiteSlot, Waiting> waiting_;
  std::vector<SiteSlot> idle_;
  std::uint64_t last_id_ = 0;
};

TEST(WheelProperty, AgreesWithAMultimap) {
  std::uint64_t fired = 0;
  for (std::uint64_t round = 0; round < 20; ++round) {
    const std::uint64_t seed = seed_of(round);
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    WheelRun run(seed);
    run.steps(5000);
    if (HasFatalFailure()) return;
    fired += run.fired_total;
  }
  EXPECT_GT(fired, 10'000U) << "the steps did not exercise it";
}

}  // namespace
}  // namespace watchwheel::scheduler
