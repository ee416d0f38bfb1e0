// SPDX-License-Identifier: Apache-2.0
#include "app/cluster_thread.h"

#include <pthread.h>

#include <algorithm>

namespace watchwheel::app {

void ClusterThread::start() {
  thread_ = std::thread([this] { run(); });
}

void ClusterThread::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  condition_.notify_all();
}

core::SteadyTime ClusterThread::begin_leaving(core::Duration patience) {
  const core::SteadyTime latest = clock_.steady() + patience;
  if (!thread_.joinable()) return core::kNoSteadyTime;
  std::unique_lock lock(mutex_);
  leaving_ = true;
  leaving_at_ = ours_until_ = latest;
  condition_.notify_all();
  condition_.wait_for(lock, patience, [this] { return told_; });
  return ours_until_;
}

void ClusterThread::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  condition_.notify_all();
  thread_.join();
}

void ClusterThread::run() noexcept {
  pthread_setname_np(pthread_self(), "cluster");
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const core::Duration wait = member_.next_turn() - clock_.steady();
    condition_.wait_for(lock, std::max(wait, core::Duration::zero()),
                        [this] { return woken_ || stopping_ || (leaving_ && !told_); });
    woken_ = false;
    if (stopping_) break;
    const bool leave = leaving_ && !told_;
    const core::SteadyTime leaving_at = leaving_at_;
    lock.unlock();
    core::SteadyTime ours_until = core::kNoSteadyTime;
    if (leave) {
      ours_until = member_.begin_leaving(leaving_at);
    } else {
      member_.turn();
    }
    lock.lock();
    if (leave) {
      ours_until_ = ours_until;
      told_ = true;
      condition_.notify_all();
    }
  }
  lock.unlock();
  member_.leave();
}

}  // namespace watchwheel::app
