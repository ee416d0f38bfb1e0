// SPDX-License-Identifier: Apache-2.0
#include "app/service_notify.h"

#include <systemd/sd-daemon.h>

#include <chrono>
#include <cstdint>
#include <string>

namespace watchwheel::app {
namespace {

// The environment stays as it is: there are more messages to come.
void send(const std::string& message) {
  sd_notify(/*unset_environment=*/0, message.c_str());
}

// A line break would begin a message of its own.
std::string status_line(std::string_view text) {
  return "STATUS=" + std::string(text.substr(0, text.find_first_of("\r\n")));
}

}  // namespace

ServiceNotify::ServiceNotify() {
  std::uint64_t period_us = 0;
  if (sd_watchdog_enabled(/*unset_environment=*/0, &period_us) > 0) {
    watchdog_period_ = std::chrono::microseconds{period_us};
  }
}

void ServiceNotify::ready(std::string_view status) {
  send(status.empty() ? "READY=1" : "READY=1\n" + status_line(status));
}

void ServiceNotify::waiting(std::string_view status) {
  send("EXTEND_TIMEOUT_USEC=60000000\n" + status_line(status));
}

void ServiceNotify::reloading() {
  send("RELOADING=1");
}

void ServiceNotify::stopping() {
  send("STOPPING=1");
}

void ServiceNotify::alive() {
  send("WATCHDOG=1");
}

}  // namespace watchwheel::app
