// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/shard_thread.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::sideeffects {

using core::SteadyTime;

ShardThread::ShardThread(unsigned number, Shard& shard, const core::Clock& clock, Chore* chore)
    : name_("shard-" + std::to_string(number)), shard_(shard), chore_(chore), clock_(clock) {}

ShardThread::~ShardThread() {
  stop(clock_.steady());
}

void ShardThread::start() {
  ENSURE(!thread_.joinable(), "a shard's thread is started once");
  thread_ = std::thread([this] { run(); });
}

void ShardThread::wake() {
  if (woken_.exchange(true)) return;
  // The lock makes sure that the thread either sees the flag before it waits, or is waiting already
  // and is notified.
  { const std::lock_guard lock(mutex_); }
  condition_.notify_one();
}

bool ShardThread::stop(SteadyTime deadline) {
  if (!thread_.joinable()) return shard_.idle();
  {
    const std::lock_guard lock(mutex_);
    stop_by_ = deadline;
  }
  condition_.notify_one();
  thread_.join();
  return shard_.idle();
}

void ShardThread::set_policy(core::ConfirmPolicy policy) {
  const std::lock_guard lock(mutex_);
  policy_ = policy;
}

void ShardThread::doubt(core::SiteId site) {
  {
    const std::lock_guard lock(mutex_);
    doubted_.push_back(site);
  }
  wake();
}

std::vector<Poisoned> ShardThread::poisoned() const {
  const std::lock_guard lock(mutex_);
  return poisoned_;
}

void ShardThread::run() noexcept {
  pthread_setname_np(pthread_self(), name_.c_str());
  SteadyTime now = clock_.steady();
  while (!finished(now)) {
    shard_.turn(now);
    if (chore_ != nullptr) chore_->turn(now);
    publish();
    wait(now);
    now = clock_.steady();
  }
  if (chore_ != nullptr) chore_->turn(now);  // What came while the shard drained.
}

// Takes what others asked for since the last turn. True: stop here.
bool ShardThread::finished(SteadyTime now) {
  woken_.store(
      false);  // Before the turn looks into the mailbox: what is posted after that sets it again.
  std::unique_lock lock(mutex_);
  if (const auto policy = std::exchange(policy_, std::nullopt)) shard_.set_policy(*policy);
  for (const core::SiteId site : std::exchange(doubted_, {})) shard_.doubt(site);
  if (!stop_by_) return false;
  const SteadyTime stop_by = *stop_by_;
  lock.unlock();
  draining_ = true;
  shard_.close_notes();
  return shard_.idle() || now >= stop_by;
}

void ShardThread::wait(SteadyTime now) {
  std::optional<SteadyTime> until = shard_.next_turn();
  if (draining_ && !until) return;  // Nothing is left: finished() says so.
  if (chore_ != nullptr) {
    if (const auto chore = chore_->next_turn()) until = until ? std::min(*until, *chore) : *chore;
  }
  std::unique_lock lock(mutex_);
  if (draining_) until = std::min(*until, *stop_by_);
  const auto called = [this] { return woken_.load() || (stop_by_.has_value() && !draining_); };
  if (!until) {
    condition_.wait(lock, called);
  } else if (*until > now) {
    condition_.wait_for(lock, *until - now, called);
  }
}

void ShardThread::publish() {
  const std::lock_guard lock(mutex_);
  if (poisoned_ != shard_.poisoned()) poisoned_ = shard_.poisoned();
}

}  // namespace watchwheel::sideeffects
