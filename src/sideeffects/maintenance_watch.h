// SPDX-License-Identifier: Apache-2.0
// sideeffects/maintenance_watch.h - the router's question "may this be told now?", answered by the maintenance windows.
//
// Owns     the windows as last read.
// Thread   the router's, for every call but the gauges.
// Bounded  kMaintenanceWindowsMax windows.
// Fails    the store cannot be read: what was read before holds on. Before the first reading nothing is told and nothing dropped
//          (ready()): it would be false to wake somebody for what was announced.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/maintenance.h"
#include "sideeffects/routing.h"

namespace watchwheel::sideeffects {

class MaintenanceWatch : core::Pinned {
 public:
  // A window that is added or removed counts within this.
  static constexpr core::Duration kReadEach = std::chrono::seconds{5};
  // What is held is looked at again at its window's end, and at least so often: the window may be removed.
  static constexpr core::Duration kLookAgainMax = std::chrono::minutes{1};

  MaintenanceWatch(MaintenanceStore& store, const core::Clock& clock,
                   std::function<void(const std::string&)> warn)
      : store_(store), clock_(clock), warn_(std::move(warn)) {}

  // An error: the windows were never read. Who may be told what is not known then.
  [[nodiscard]] core::Result<void> ready();
  [[nodiscard]] std::optional<Hold> hold(const Notice& notice);

 private:
  core::Result<void> read(core::SteadyTime now, core::WallTime wall);

  MaintenanceStore& store_;
  const core::Clock& clock_;
  const std::function<void(const std::string&)> warn_;
  MaintenanceCalendar calendar_;
  bool known_ = false;
  bool failing_ = false;
  core::SteadyTime read_at_ = core::kNoSteadyTime;
  core::WallTime moved_to_ = core::kNoWallTime;
};

}  // namespace watchwheel::sideeffects
