// SPDX-License-Identifier: Apache-2.0
// Goal: there is no state in which work stops while work is due: whenever a check is due and admission has room, something
// starts within a bounded time, and nothing that waits is passed over for ever. Method: random refusals, stalls, steps of the
// wall clock, sites that come, go, change and fall under suspicion, of every priority. Time moves only to
// where next_turn() asks for, or to where a result comes, so that a scheduler that sleeps too long is
// caught. WATCHWHEEL_SEED replays a failure.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <random>
#include <vector>

#include "property/scheduler/seed.h"
#include "scheduler/admission.h"
#include "scheduler/scheduler.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::Priority;
using core::SiteId;
using core::SiteSlot;
using core::SteadyTime;
using core::WallTime;
using namespace std::chrono_literals;

constexpr SteadyTime kStart{1h};
constexpr WallTime kWall = core::from_unix_ms(1'700'000'000'000);
// A tick after a refusal, or the wait for the pacer at its slowest (16 x 1.25 a second).
constexpr Duration kStartsWithin = 110ms;

class ProgressRun {
 public:
  explicit ProgressRun(std::uint64_t seed) : random_(seed) {
    for (int i = 0; i < 300; ++i) add();
  }

  void run_for(Duration time) {
    for (const SteadyTime end = now_ + time; now_ < end;) {
      change_something();
      turn();
      if (testing::Test::HasFatalFailure()) return;
      sleep(end);
    }
  }
  // With room for everything, what waits is gone after a bounded time.
  void settle() {
    room_ = 1'000'000;
    quiet_ = true;
    run_for(3min);
    if (testing::Test::HasFatalFailure()) return;
    ASSERT_LE(scheduler_.oldest_queued(now_), 1s);
    ASSERT_EQ(scheduler_.stats().overloaded.value(), 0);
  }
  std::uint64_t started = 0;
  std::uint64_t refused = 0;
  Duration longest_wait{};

 private:
  std::uint64_t below(std::uint64_t n) { return random_() % n; }
  Duration ms_below(std::uint64_t n) {
    return std::chrono::milliseconds{static_cast<std::int64_t>(below(n))};
  }
  [[nodiscard]] WallTime wall() const { return kWall + (now_ - kStart) + wall_step_; }

  Duration interval() {
    static constexpr std::array<Duration, 4> kIntervals{2s, 10s, 60s, 300s};
    return kIntervals[below(kIntervals.size())];
  }
  SiteSlot any() {
    auto it = alive_.lower_bound(below(last_id_ + 1));
    return it == alive_.end() ? alive_.begin()->second : it->second;
  }
  void add() {
    const SiteSlot site = sites_.add(SiteId{++last_id_}, "http://a/", interval(), 0);
    scheduler_.set_priority(site, static_cast<Priority>(below(3)));
    scheduler_.add(site, below(2) == 0 ? core::kNoWallTime : kWall, now_);
    alive_[last_id_] = site;
  }
  void remove() {
    const SiteSlot site = any();
    const std::uint64_t id = sites_.id(site).value;
    for (auto it = in_flight_.begin(); it != in_flight_.end();) {
      it = it->second == site ? in_flight_.erase(it) : std::next(it);
    }
    scheduler_.remove(site);
    sites_.remove(site);
    alive_.erase(id);
  }

  void change_something() {
    if (quiet_) return;
    switch (below(400)) {
      case 0:
        room_ = below(30);  // Sometimes none at all.
        break;
      case 1:
        room_ = 1'000'000;
        break;
      case 2:
        now_ += ms_below(60'000);  // A stall.
        break;
      case 3:
        wall_step_ += ms_below(7'200'000) - 1h;
        break;
      case 4:
      case 5:
        if (alive_.size() < 400) add();
        break;
      case 6:
      case 7:
        if (alive_.size() > 200) remove();
        break;
      case 8: {
        const SiteSlot site = any();
        sites_.set_interval(site, interval());
        scheduler_.reschedule(site, now_);
        scheduler_.set_priority(site, static_cast<Priority>(below(3)));
        break;
      }
      default:
        break;
    }
  }

  void finish_what_is_answered() {
    while (!in_flight_.empty() && in_flight_.begin()->first <= now_) {
      const SiteSlot site = in_flight_.begin()->second;
      in_flight_.erase(in_flight_.begin());
      std::optional<Duration> recheck;
      if (!quiet_ && below(4) == 0) recheck = 10s;
      scheduler_.finished(site, now_, recheck);
    }
  }

  void turn() {
    finish_what_is_answered();
    scheduler_.turn(now_, wall());
    std::size_t starts = 0;
    std::array<SiteSlot, 16> due;
    bool full = false;
    while (!full) {
      const std::size_t n = scheduler_.take_due(due, now_);
      if (n == 0) break;
      for (std::size_t i = 0; i < n && !full; ++i) {
        if (in_flight_.size() >= room_) {
          full = true;
          for (std::size_t back = n; back > i; --back) scheduler_.refused(due[back - 1]);
          refused += n - i;
          break;
        }
        in_flight_.emplace(now_ + 1ms + ms_below(3000), due[i]);
        ++starts;
      }
    }
    started += starts;
    const bool could = scheduler_.queued() > 0 && in_flight_.size() < room_;
    if (starts > 0 || !could) {
      could_since_ = now_;
      return;
    }
    longest_wait = std::max(longest_wait, now_ - could_since_);
    ASSERT_LE(now_ - could_since_, kStartsWithin)
        << scheduler_.queued() << " are due, there is room, and nothing starts";
  }

  void sleep(SteadyTime end) {
    const SteadyTime wanted = scheduler_.next_turn(now_);
    SteadyTime next = std::min(end, std::max(wanted, now_ + 1ms));
    if (!in_flight_.empty()) next = std::min(next, std::max(in_flight_.begin()->first, now_ + 1ms));
    now_ = std::max(now_, next);
  }

  std::mt19937_64 random_;
  SteadyTime now_ = kStart;
  Duration wall_step_{};
  SiteTable sites_{500};
  Scheduler scheduler_{{}, sites_, kStart, kWall};
  std::map<std::uint64_t, SiteSlot> alive_;
  std::multimap<SteadyTime, SiteSlot> in_flight_;
  std::uint64_t last_id_ = 0;
  std::size_t room_ = 1'000'000;
  bool quiet_ = false;
  SteadyTime could_since_ = kStart;
};

TEST(SchedulerProgress, SomethingStartsWheneverSomethingIsDueAndThereIsRoom) {
  std::uint64_t started = 0;
  std::uint64_t refused = 0;
  Duration longest_wait{};
  for (std::uint64_t round = 0; round < 8; ++round) {
    const std::uint64_t seed = seed_of(round);
    SCOPED_TRACE("WATCHWHEEL_SEED=" + std::to_string(seed));
    ProgressRun run(seed);
    run.run_for(20min);
    if (HasFatalFailure()) return;
    run.settle();
    if (HasFatalFailure()) return;
    started += run.started;
    refused += run.refused;
    longest_wait = std::max(longest_wait, run.longest_wait);
  }
  std::printf("started %lu, refused %lu, longest wait with room %.0f ms\n", started, refused,
              core::to_ms(longest_wait));
  EXPECT_GT(started, 10'000U);
  EXPECT_GT(refused, 1000U);
}

}  // namespace
}  // namespace watchwheel::scheduler
