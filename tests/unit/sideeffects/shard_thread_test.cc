// SPDX-License-Identifier: Apache-2.0 Goal: the thread takes what is posted, sleeps when there is
// nothing, drains when stopped, and gives up at the deadline. A real thread and a real clock, but
// nothing waits for a time: each step waits for what the other thread has done.
#include "sideeffects/shard_thread.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <array>
#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/fake_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::Cause;
using core::Phase;
using core::SiteFacts;
using core::SiteId;
using core::SiteNote;
using watchwheel::testing::FakeEventStore;
using watchwheel::testing::FakeFailure;
using namespace std::chrono_literals;

const core::WallTime kT = core::from_unix_ms(1'700'000'000'000);

// Counts notes, and lets the test wait for them.
class Notes final : public NoteSink {
 public:
  bool offer(SiteNote&& note) override {
    std::array<char, 16> name{};
    pthread_getname_np(pthread_self(), name.data(), name.size());
    const std::lock_guard lock(mutex_);
    if (closed_) return false;
    thread_name_ = name.data();
    sent_.push_back(std::move(note));
    condition_.notify_all();
    return true;
  }
  void wait_for(std::size_t count) {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [&] { return sent_.size() >= count; });
  }
  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
  }
  [[nodiscard]] std::string thread_name() const {
    const std::lock_guard lock(mutex_);
    return thread_name_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable condition_;
  std::vector<SiteNote> sent_;
  std::string thread_name_;
  bool closed_ = false;
};

SiteFacts failing(std::uint64_t site, std::uint64_t seq) {
  core::Outage outage;
  outage.started_at = kT;
  outage.last_failed_at = kT;
  outage.failures = 1;
  outage.evidence = outage.opened_by = {Cause::ConnectRefused, Phase::Connect, 0, "refused", "a"};
  return {.site = SiteId{site}, .seq = seq, .at = kT, .outages = {outage}};
}

struct ShardBench {
  ShardBench() : shard(quick(), {}, mailbox, store, notes, clock, 1), thread(3, shard, clock) {}
  static ShardLimits quick() {
    ShardLimits limits;
    limits.backoff = {.first = 1ms, .max = 2ms};
    limits.note_retry = 1ms;
    return limits;
  }
  void post(std::uint64_t site, std::uint64_t seq = 1) {
    if (mailbox.post({.site = SiteId{site}}, failing(site, seq))) thread.wake();
  }

  core::SystemClock clock;
  FakeEventStore store;
  FactsMailbox mailbox{100'000};
  Notes notes;
  Shard shard;
  ShardThread thread;
};

TEST(ShardThread, TakesWhatSeveralLanesPostAndIsNamed) {
  ShardBench bench;
  bench.thread.start();
  std::vector<std::jthread> lanes;
  for (std::uint64_t lane = 0; lane < 4; ++lane) {
    lanes.emplace_back([&bench, lane] {
      for (std::uint64_t i = 0; i < 500; ++i) bench.post(1 + lane * 500 + i);
    });
  }
  bench.notes.wait_for(2000);
  lanes.clear();
  EXPECT_EQ(bench.notes.thread_name(), "shard-3");
  EXPECT_TRUE(bench.thread.stop(bench.clock.steady() + 1h));
  EXPECT_EQ(bench.store.events().size(), 2000U);
  EXPECT_EQ(bench.shard.stats().sites.value(), 2000U);
}

TEST(ShardThread, WakesForEachPostAfterItHasGoneToSleep) {
  ShardBench bench;
  bench.thread.start();
  for (std::uint64_t site = 1; site <= 200; ++site) {
    bench.post(site);
    bench.notes.wait_for(site);
  }
  EXPECT_TRUE(bench.thread.stop(bench.clock.steady() + 1h));
}

TEST(ShardThread, TriesAgainByItselfWhileTheStoreIsAway) {
  ShardBench bench;
  bench.store.fail_commits(FakeFailure::Unavailable, 5);
  bench.thread.start();
  bench.post(1);
  bench.notes.wait_for(1);
  EXPECT_EQ(bench.shard.stats().retries.value(), 5U);
}

TEST(ShardThread, DrainsBeforeItStopsThoughNobodyTakesNotes) {
  ShardBench bench;
  bench.notes.close();
  bench.store.fail_commits(FakeFailure::Unavailable, 3);
  for (std::uint64_t site = 1; site <= 1000; ++site) bench.post(site);
  bench.thread.start();
  EXPECT_TRUE(bench.thread.stop(bench.clock.steady() + 1h));
  EXPECT_EQ(bench.store.events().size(), 1000U);
}

TEST(ShardThread, GivesUpAtTheDeadlineAndSaysSo) {
  ShardBench bench;
  bench.store.set_away(true);
  bench.post(1);
  bench.thread.start();
  EXPECT_FALSE(bench.thread.stop(bench.clock.steady() + 5ms));
  EXPECT_TRUE(bench.store.events().empty());
}

TEST(ShardThread, StopWithoutStartSaysWhetherSomethingIsLeft) {
  ShardBench bench;
  EXPECT_TRUE(bench.thread.stop(bench.clock.steady()));
  bench.post(1);
  EXPECT_FALSE(bench.thread.stop(bench.clock.steady()));
}

TEST(ShardThread, ShowsWhatWasSetAsideToOtherThreads) {
  ShardBench bench;
  bench.store.set_poison(SiteId{1}, true);
  bench.thread.start();
  bench.post(1);
  while (bench.thread.poisoned().empty()) std::this_thread::yield();
  EXPECT_EQ(bench.thread.poisoned().front().site, SiteId{1});
}

TEST(ShardThread, TakesANewPolicyBeforeItsNextTurn) {
  ShardBench bench;
  bench.thread.start();
  bench.thread.set_policy({.failures = 2, .successes = 1, .retry_interval = 10s});
  SiteFacts facts = failing(1, 1);
  facts.outages.front().failures = 2;
  facts.outages.front().confirmed_at = kT;
  facts.outages.front().confirmed_failures = 2;
  if (bench.mailbox.post(core::key_of(facts), facts)) bench.thread.wake();
  bench.notes.wait_for(1);
  EXPECT_EQ(bench.store.events().front().row.state, core::SiteState::Down);
}

}  // namespace
}  // namespace watchwheel::sideeffects
