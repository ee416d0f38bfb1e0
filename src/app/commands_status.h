// SPDX-License-Identifier: Apache-2.0
// app/commands_status.h - `watchwheel status`: asks the running daemon, over its HTTP endpoint.
#pragma once

#include <string>
#include <string_view>

#include "app/command.h"

namespace watchwheel::app {

struct StatusArgs {
  std::string config;
  bool json = false;
};
// kExitTrouble when there is no daemon to ask.
[[nodiscard]] int show_status(const StatusArgs& args, Io& io);

// Where to ask a daemon that listens at `listen`: the wildcard addresses are asked at loopback. Invalid: port 0, which is another
// one at each start.
[[nodiscard]] core::Result<std::string> status_url(std::string_view listen);

// The daemon's JSON for people. What a newer or older daemon does not tell is left out. Invalid: no JSON object.
[[nodiscard]] core::Result<std::string> status_text(std::string_view json);

}  // namespace watchwheel::app
