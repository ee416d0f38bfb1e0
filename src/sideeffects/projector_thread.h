// SPDX-License-Identifier: Apache-2.0
// sideeffects/projector_thread.h - runs the projector on a thread of its own, "projector".
//
// Owns     the thread. The projector given outlives it and is touched by nobody else between
//          start() and stop().
// Thread   start(), stop(): the one who made it. Stats of the projector: any.
// Time     the clock is read once a turn. Waits are on a condition, until the projector's next
//          turn.
// Fails    the body is noexcept: what the sink throws at us stops the process.
#pragma once

#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "core/clock.h"
#include "core/pinned.h"
#include "sideeffects/projector.h"

namespace watchwheel::sideeffects {

class ProjectorThread : core::Pinned {
 public:
  ProjectorThread(Projector& projector, const core::Clock& clock);
  // stop() with no time left, if it was not stopped.
  ~ProjectorThread();

  void start();

  // Flushes: writes all that the rings and the projector hold, or until `deadline` has passed. The
  // lanes must have stopped. Joins. False: something was left. A call to the sink is not cut short.
  bool stop(core::SteadyTime deadline);

 private:
  void run() noexcept;
  [[nodiscard]] bool finished(core::SteadyTime now);
  void wait(core::SteadyTime now);

  Projector& projector_;
  const core::Clock& clock_;
  std::thread thread_;
  bool draining_ = false;  // The thread's.

  std::mutex mutex_;
  std::condition_variable condition_;
  std::optional<core::SteadyTime> stop_by_;  // Guarded by mutex_.
};

}  // namespace watchwheel::sideeffects
