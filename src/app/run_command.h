// SPDX-License-Identifier: Apache-2.0
// app/run_command.h - `watchwheel run`: the daemon, from reading its configuration to its exit
// status.
#pragma once

#include <string>

namespace watchwheel::app {

struct RunOptions {
  std::string config_path;  // Read at start and again on every reload.
};

// Runs until SIGTERM or SIGINT. Returns the exit status: 0 stopped as asked, 1 the configuration is
// bad, 3 our own trouble (store, port, descriptors). Problems and reasons go to standard error.
[[nodiscard]] int run_daemon(const RunOptions& options);

}  // namespace watchwheel::app
