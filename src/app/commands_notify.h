// SPDX-License-Identifier: Apache-2.0
// app/commands_notify.h - `watchwheel deliveries test TARGET`: one message to one target, now, past queue and store.
#pragma once

#include <string>

#include "app/command.h"

namespace watchwheel::app {

struct TestTargetArgs {
  std::string target;
  std::string config;
  bool json = false;
};
// kExitOk the receiver has taken it, kExitBad it has not, kExitTrouble nothing was sent, kExitUsage no such target.
[[nodiscard]] int test_target(const TestTargetArgs& args, Io& io);

}  // namespace watchwheel::app
