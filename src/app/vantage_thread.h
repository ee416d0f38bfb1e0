// SPDX-License-Identifier: Apache-2.0
// app/vantage_thread.h - the thread of the vantage: its own checker for the canaries, so that no lane's trouble is theirs.
//
// Owns     the thread ("vantage"), the vantage and its checker.
// Thread   start(), set(), stop(): the engine's. reading(): any; a mutex held to copy.
// Blocks   only in its wait, at most 250 ms.
// Fails    start() returns why the checker could not be made.
#pragma once

#include <memory>

#include "app/vantage.h"
#include "checker/checker.h"
#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::app {

class VantageThread : core::Pinned {
 public:
  VantageThread(const VantageSettings& settings, const std::string& user_agent,
                std::vector<const core::VantageTally*> lanes, core::VantageGate& gate,
                Vantage::Record record, const core::Clock& clock, Log& log);
  ~VantageThread();

  [[nodiscard]] core::Result<void> start();
  void set(const VantageSettings& settings);
  // As the vantage has it; before start().
  void go_on_with(core::WallTime group, core::WallTime newest);
  void stop();

  [[nodiscard]] VantageReading reading() const;
  [[nodiscard]] const VantageStats& stats() const;

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::app
