// SPDX-License-Identifier: Apache-2.0
// app/commands_status.h - `watchwheel status`: what the running daemon is doing, once or as a live view.
#pragma once

#include <cstddef>
#include <string>

#include "app/command.h"

namespace watchwheel::app {

struct StatusArgs {
  std::string config;
  bool json = false;   // With `watch`: one document a line.
  bool watch = false;  // On a terminal a page that is drawn anew, elsewhere a line each time.
  std::string every = "2s";
  std::size_t count = 0;  // Looks; 0: until somebody ends it.
};
// kExitTrouble when there is no daemon to ask, or was none at the last look.
[[nodiscard]] int show_status(const StatusArgs& args, Io& io);

}  // namespace watchwheel::app
