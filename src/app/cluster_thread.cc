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

void ClusterThread::begin_leaving(core::Duration patience) {
  if (!thread_.joinable()) return;
  std::unique_lock lock(mutex_);
  leaving_ = true;
  condition_.notify_all();
  condition_.wait_for(lock, patience, [this] { return told_; });
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
    lock.unlock();
    if (leave) {
      member_.begin_leaving();
    } else {
      member_.turn();
    }
    lock.lock();
    if (leave) {
      told_ = true;
      condition_.notify_all();
    }
  }
  lock.unlock();
  member_.leave();
}

}  // namespace watchwheel::app
