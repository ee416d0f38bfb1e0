// SPDX-License-Identifier: Apache-2.0
// app/lane_thread.h - the thread of one lane: an Asio loop that waits on the checker's one
// descriptor and on time.
//
// Owns     the thread ("lane-N"), its io_context, the lane and its checker.
// Thread   start(), stop(): the engine's. wake(): any.
// Blocks   only in its wait, at most 100 ms.
// Fails    start() returns why the checker could not be made (no descriptors, a resolver that is no
//          address).
#pragma once

#include <memory>

#include "app/lane.h"
#include "checker/checker.h"
#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::app {

class LaneThread : core::Pinned {
 public:
  LaneThread(const LaneSettings& settings, const checker::Settings& checker_settings,
             LanePorts ports, const core::Clock& clock);
  ~LaneThread();

  [[nodiscard]] core::Result<void> start();
  // The inbox has something and the lane may be asleep. Cheap; several calls before it wakes are
  // one.
  void wake();
  // Closes admission; checks in flight go on. Any thread.
  void close_admission();
  // Ends what is in flight as `cancelled`, does a last turn and joins the thread. Does nothing when it does not run.
  void stop();

  [[nodiscard]] const Lane& lane() const;
  [[nodiscard]] const checker::Stats& checker_stats() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::app
