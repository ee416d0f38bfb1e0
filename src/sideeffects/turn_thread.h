// SPDX-License-Identifier: Apache-2.0
// sideeffects/turn_thread.h - gives a chore a thread of its own, and turns whenever it wants one or somebody wakes it.
//
// Owns     the thread. The chore given outlives it and is touched by nobody else between start() and stop(), but for what it says
//          itself.
// Thread   start(), stop(): the one who made it. wake(): any, before start() and after stop() too.
// Time     the clock is read once a turn.
// Fails    the body is noexcept.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "core/clock.h"
#include "core/pinned.h"
#include "sideeffects/chore.h"

namespace watchwheel::sideeffects {

class TurnThread : core::Pinned {
 public:
  // `name`: at most 15 bytes.
  TurnThread(std::string name, Chore& chore, const core::Clock& clock)
      : name_(std::move(name)), chore_(chore), clock_(clock) {}
  // stop() with no time left, if it was not stopped.
  ~TurnThread();

  void start();
  void wake();
  // Goes on turning until `finished` says so, which is called on the thread, or `deadline`; then joins. A turn is not cut short.
  void stop(
      core::SteadyTime deadline, std::function<bool()> finished = [] { return true; });

 private:
  void run() noexcept;
  [[nodiscard]] bool stopped(core::SteadyTime now);

  const std::string name_;
  Chore& chore_;
  const core::Clock& clock_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool woken_ = false;                       // Guarded by mutex_.
  std::optional<core::SteadyTime> stop_by_;  // Guarded by mutex_.
  std::function<bool()> finished_;           // Guarded by mutex_.
};

}  // namespace watchwheel::sideeffects
