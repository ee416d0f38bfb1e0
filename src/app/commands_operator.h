// SPDX-License-Identifier: Apache-2.0
// app/commands_operator.h - `watchwheel incidents ack`, `comment`, `close`: what people do to an open event.
#pragma once

#include <cstdint>
#include <string>

#include "app/command.h"
#include "sideeffects/operator_api.h"

namespace watchwheel::app {

struct OperatorArgs {
  sideeffects::Act act = sideeffects::Act::Comment;
  std::uint64_t event = 0;
  std::string why;  // Of a comment: what it says.
  std::string by;   // "": who runs this command.
  std::string wait = "10s";
  std::string config;
};
// Asks, and waits until a daemon has done it. kExitTrouble when none has in time: the request stays.
[[nodiscard]] int act_on_incident(const OperatorArgs& args, Io& io);

}  // namespace watchwheel::app
