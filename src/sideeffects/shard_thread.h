// SPDX-License-Identifier: Apache-2.0
// sideeffects/shard_thread.h - runs a shard on a thread of its own, "shard-N".
//
// Owns     the thread. The shard given outlives it and is touched by nobody else between start()
//          and stop().
// Thread   start(), stop(): the one who made it. wake(), set_policy(), doubt(), poisoned(), stats of
//          the shard: any.
// Time     the clock is read once a turn. Waits are on a condition, woken by wake() or by the
//          shard's next turn.
// Fails    the body is noexcept: what the store throws at us stops the process.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/site_facts.h"
#include "sideeffects/chore.h"
#include "sideeffects/shard.h"

namespace watchwheel::sideeffects {

class ShardThread : core::Pinned {
 public:
  // `chore`: has a turn after each of the shard's, and a last one when it has drained; null: none.
  ShardThread(unsigned number, Shard& shard, const core::Clock& clock, Chore* chore = nullptr);
  // stop() with no time left, if it was not stopped.
  ~ShardThread();

  void start();

  // There is something in the mailbox. Cheap when it was woken already: one atomic exchange.
  void wake();

  // Drains: takes turns until the mailbox is empty and committed, or `deadline` has passed. The
  // lanes must have stopped; notes that they no longer take are dropped. Joins. False: something
  // was left. A call to the store is not cut short.
  bool stop(core::SteadyTime deadline);

  void set_policy(core::ConfirmPolicy policy);
  // Shard::doubt(), before its next turn.
  void doubt(core::SiteId site);
  [[nodiscard]] std::vector<Poisoned> poisoned() const;

 private:
  void run() noexcept;
  [[nodiscard]] bool finished(core::SteadyTime now);
  void wait(core::SteadyTime now);
  void publish();

  const std::string name_;
  Shard& shard_;
  Chore* const chore_;
  const core::Clock& clock_;
  std::thread thread_;
  std::atomic<bool> woken_{false};
  bool draining_ = false;  // The thread's.

  mutable std::mutex mutex_;
  std::condition_variable condition_;
  std::optional<core::SteadyTime> stop_by_;    // Guarded by mutex_.
  std::optional<core::ConfirmPolicy> policy_;  // Guarded by mutex_. Set and not yet taken.
  std::vector<core::SiteId> doubted_;          // Guarded by mutex_. Not yet taken; the mending of a store, so few.
  std::vector<Poisoned> poisoned_;             // Guarded by mutex_. As of the last turn.
};

}  // namespace watchwheel::sideeffects
