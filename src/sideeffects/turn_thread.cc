// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/turn_thread.h"

#include <pthread.h>

#include <utility>

#include "core/ensure.h"

namespace watchwheel::sideeffects {

TurnThread::~TurnThread() {
  stop(clock_.steady());
}

void TurnThread::start() {
  ENSURE(!thread_.joinable(), "a thread is started once");
  thread_ = std::thread([this] { run(); });
}

void TurnThread::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  condition_.notify_one();
}

void TurnThread::stop(core::SteadyTime deadline, std::function<bool()> finished) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stop_by_ = deadline;
    finished_ = std::move(finished);
  }
  condition_.notify_one();
  thread_.join();
}

void TurnThread::run() noexcept {
  pthread_setname_np(pthread_self(), name_.c_str());
  bool told_to_stop = false;
  core::SteadyTime now = clock_.steady();
  while (!stopped(now)) {
    chore_.turn(now);
    const std::optional<core::SteadyTime> next = chore_.next_turn();
    now = clock_.steady();
    std::unique_lock lock(mutex_);
    // Being told to stop ends one wait; after that only its turns, a call or the deadline do.
    const auto called = [&] { return woken_ || (stop_by_.has_value() && !told_to_stop); };
    core::SteadyTime until = next.value_or(core::SteadyTime::max());
    if (stop_by_) until = std::min(until, *stop_by_);
    if (until == core::SteadyTime::max()) {
      condition_.wait(lock, called);
    } else if (until > now) {
      condition_.wait_for(lock, until - now, called);
    }
    woken_ = false;
    told_to_stop = stop_by_.has_value();
    lock.unlock();
    now = clock_.steady();
  }
}

bool TurnThread::stopped(core::SteadyTime now) {
  const std::lock_guard lock(mutex_);
  if (!stop_by_) return false;
  return now >= *stop_by_ || finished_();
}

}  // namespace watchwheel::sideeffects
