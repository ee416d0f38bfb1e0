// SPDX-License-Identifier: Apache-2.0
// app/service_notify.h - what systemd is told of us: ready, reloading, stopping, alive.
//
// Owns     nothing; the socket is named by the environment (NOTIFY_SOCKET) and opened for each
//          message.
// Thread   any one thread at a time.
// Time     sending waits while the supervisor's socket is full; in practice not at all.
// Fails    never: without a supervisor every call does nothing, and a message that cannot be sent
//          is lost. A supervisor that hears nothing treats us as hanging, which is the right answer
//          to a broken channel too.
#pragma once

#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::app {

class ServiceNotify : core::Pinned {
 public:
  // Reads once whether a watchdog is set for this process (WATCHDOG_USEC, WATCHDOG_PID).
  ServiceNotify();

  // In service; ends a reload too. A `status` that is not empty is what `systemctl status` shows; of several lines, the first.
  void ready(std::string_view status);
  // Not in service yet, and why; the start may take as long as that lasts. Call it at least every kWaitingEvery.
  static constexpr core::Duration kWaitingEvery = std::chrono::seconds{20};
  void waiting(std::string_view status);
  void reloading();
  void stopping();
  // Feeds the watchdog. Call it while there is real progress, at least every third of watchdog_period().
  void alive();

  // After this long without alive() systemd kills and restarts us; nothing: no watchdog is set.
  [[nodiscard]] std::optional<core::Duration> watchdog_period() const { return watchdog_period_; }

 private:
  std::optional<core::Duration> watchdog_period_;
};

}  // namespace watchwheel::app
