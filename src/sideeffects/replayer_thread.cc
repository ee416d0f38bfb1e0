// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/replayer_thread.h"

#include <pthread.h>

#include <utility>

#include "core/ensure.h"

namespace watchwheel::sideeffects {

using core::SteadyTime;

ReplayerThread::~ReplayerThread() {
  stop(clock_.steady());
}

void ReplayerThread::start() {
  ENSURE(!thread_.joinable(), "the replayer's thread is started once");
  thread_ = std::thread([this] { run(); });
}

void ReplayerThread::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  condition_.notify_one();
}

void ReplayerThread::stop(SteadyTime deadline) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_by_ = deadline;
  }
  condition_.notify_one();
  thread_.join();
}

void ReplayerThread::run() noexcept {
  pthread_setname_np(pthread_self(), "replayer");
  SteadyTime now = clock_.steady();
  while (!finished(now)) {
    replayer_.turn(now);
    const std::optional<SteadyTime> next = replayer_.next_turn();
    now = clock_.steady();
    std::unique_lock lock(mutex_);
    const auto called = [this] { return woken_ || stop_by_.has_value(); };
    if (!next) {
      condition_.wait(lock, called);
    } else if (*next > now) {
      condition_.wait_for(lock, *next - now, called);
    }
    woken_ = false;
    lock.unlock();
    now = clock_.steady();
  }
}

// Told to stop, it goes on as long as the store takes what is there: one failure is enough then.
bool ReplayerThread::finished(SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (!stop_by_) return false;
  return now >= *stop_by_ || replayer_.idle() || replayer_.trouble().has_value();
}

}  // namespace watchwheel::sideeffects
