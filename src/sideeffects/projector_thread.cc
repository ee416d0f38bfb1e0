// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/projector_thread.h"

#include <pthread.h>

#include <algorithm>

#include "core/ensure.h"

namespace watchwheel::sideeffects {

using core::SteadyTime;

ProjectorThread::ProjectorThread(Projector& projector, const core::Clock& clock)
    : projector_(projector), clock_(clock) {}

ProjectorThread::~ProjectorThread() {
  stop(clock_.steady());
}

void ProjectorThread::start() {
  ENSURE(!thread_.joinable(), "a projector's thread is started once");
  thread_ = std::thread([this] { run(); });
}

bool ProjectorThread::stop(SteadyTime deadline) {
  if (!thread_.joinable()) return projector_.idle();
  {
    const std::lock_guard lock(mutex_);
    stop_by_ = deadline;
  }
  condition_.notify_one();
  thread_.join();
  return projector_.idle();
}

void ProjectorThread::run() noexcept {
  pthread_setname_np(pthread_self(), "projector");
  SteadyTime now = clock_.steady();
  while (!finished(now)) {
    projector_.turn(now);
    wait(now);
    now = clock_.steady();
  }
}

bool ProjectorThread::finished(SteadyTime now) {
  std::unique_lock lock(mutex_);
  if (!stop_by_) return false;
  const SteadyTime stop_by = *stop_by_;
  lock.unlock();
  draining_ = true;
  projector_.flush();
  return projector_.idle() || now >= stop_by;
}

void ProjectorThread::wait(SteadyTime now) {
  if (draining_ && projector_.idle()) return;  // Nothing is left: finished() says so.
  SteadyTime until = projector_.next_turn();
  std::unique_lock lock(mutex_);
  if (draining_) until = std::min(until, *stop_by_);
  if (until <= now) return;
  condition_.wait_for(lock, until - now, [this] { return stop_by_.has_value() && !draining_; });
}

}  // namespace watchwheel::sideeffects
