// SPDX-License-Identifier: Apache-2.0
// Goal: the thread replays when it is woken, tells another thread what was set aside, and ends at once though something set aside is
// still looked at now and then. Real threads and a real clock; each step waits for what another thread has done.
#include "sideeffects/replayer_thread.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <vector>

#include "sideeffects/shard_thread.h"
#include "support/fake_journal.h"
#include "support/fake_store.h"
#include "support/fake_vantage_store.h"

namespace watchwheel::sideeffects {
namespace {

using core::SiteId;
using namespace std::chrono_literals;

class Notes final : public NoteSink {
 public:
  bool offer(core::SiteNote&& note) override {
    const std::lock_guard lock(mutex_);
    sent_.push_back(note);
    condition_.notify_all();
    return true;
  }
  core::SiteNote wait_for_first() {
    std::unique_lock lock(mutex_);
    condition_.wait(lock, [&] { return !sent_.empty(); });
    return sent_.front();
  }

 private:
  std::mutex mutex_;
  std::condition_variable condition_;
  std::vector<core::SiteNote> sent_;
};

class TellsTheShard final : public OutageWatch {
 public:
  explicit TellsTheShard(ShardThread& shard) : shard_(shard) {}
  void on_store_away(const core::Error& /*why*/) override {}
  void on_store_back(core::Duration /*away*/, std::uint64_t /*replayed*/) override {}
  void on_set_aside(SiteId site, const std::string& /*reason*/) override { shard_.doubt(site); }
  void on_journal_refuses(const core::Error& /*why*/) override {}
  void on_journal_takes_again() override {}

 private:
  ShardThread& shard_;
};

EventWrite opening(std::uint64_t site) {
  EventWrite write;
  write.site = SiteId{site};
  write.started_at = core::from_unix_ms(1'700'000'000'000);
  write.state = core::SiteState::SeemsDown;
  write.failures = 1;
  write.transitions_total = 1;
  write.transitions = {{.seq = 1,
                        .reason = core::TransitionReason::Opened,
                        .before = core::SiteState::Up,
                        .after = core::SiteState::SeemsDown,
                        .at = write.started_at,
                        .failures = 1,
                        .evidence = {}}};
  return write;
}

TEST(ReplayerThread, TellsAShardWhatWasSetAsideAndEndsWhenItIsToldTo) {
  core::SystemClock clock;
  testing::FakeEventStore store;
  testing::FakeVantageStore vantage;
  testing::FakeJournal journal;
  FactsMailbox mailbox{100};
  Notes notes;
  Shard shard({}, {}, mailbox, store, notes, clock, 1);
  ShardThread shard_thread(0, shard, clock);
  TellsTheShard watch(shard_thread);
  Detour detour(journal, clock, watch);
  DetourEventStore events(store, detour);
  Replayer replayer({}, detour, journal, store, vantage, clock, watch, 5);
  ReplayerThread thread(replayer, clock);
  detour.on_taken([&thread] { thread.wake(); });
  shard_thread.start();
  thread.start();

  store.set_poison(SiteId{7}, true);
  store.fail_commits(testing::FakeFailure::Unavailable);
  ASSERT_TRUE(events.commit(std::vector{opening(7)}));
  const core::SiteNote note = notes.wait_for_first();
  EXPECT_TRUE(note.doubted);
  EXPECT_EQ(note.site, SiteId{7});
  thread.stop(clock.steady() + 10min);
  EXPECT_FALSE(detour.taken());
  EXPECT_EQ(replayer.stats().set_aside.value(), 1U);
  EXPECT_TRUE(shard_thread.stop(clock.steady() + 10min));
}

}  // namespace
}  // namespace watchwheel::sideeffects
