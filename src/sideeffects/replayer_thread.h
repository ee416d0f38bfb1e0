// SPDX-License-Identifier: Apache-2.0
// sideeffects/replayer_thread.h - runs the replayer on a thread of its own, "replayer": it alone waits for a store that hangs.
//
// Owns     the thread. The replayer given outlives it and is touched by nobody else between start() and stop().
// Thread   start(), stop(): the one who made it. wake(): any.
// Time     the clock is read once a turn.
// Fails    the body is noexcept.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "core/clock.h"
#include "core/pinned.h"
#include "sideeffects/replayer.h"

namespace watchwheel::sideeffects {

class ReplayerThread : core::Pinned {
 public:
  ReplayerThread(Replayer& replayer, const core::Clock& clock)
      : replayer_(replayer), clock_(clock) {}
  // stop() with no time left, if it was not stopped.
  ~ReplayerThread();

  void start();
  // The detour was taken.
  void wake();
  // The writers must have stopped. Goes on while the store takes what is there, until `deadline`; what is left stays in the
  // journal. Joins; a call to the store is not cut short.
  void stop(core::SteadyTime deadline);

 private:
  void run() noexcept;
  [[nodiscard]] bool finished(core::SteadyTime now);

  Replayer& replayer_;
  const core::Clock& clock_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable condition_;
  bool woken_ = false;                       // Guarded by mutex_.
  std::optional<core::SteadyTime> stop_by_;  // Guarded by mutex_.
};

}  // namespace watchwheel::sideeffects
