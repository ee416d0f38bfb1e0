// SPDX-License-Identifier: Apache-2.0
// app/verifier_command.h - `watchwheel verifier`: the checker alone behind an endpoint, from reading its configuration to its exit
// status. It owns no sites and opens no store.
#pragma once

#include <string>

namespace watchwheel::app {

struct VerifierArgs {
  std::string config_path;
};

// Runs until SIGTERM or SIGINT; then no request is taken any more, and those under way are answered, for at most
// engine.drain_timeout. Returns the exit status: 0 stopped as asked, 1 the configuration is bad, 3 our own trouble. Problems and
// reasons go to standard error.
[[nodiscard]] int run_verifier(const VerifierArgs& args);

}  // namespace watchwheel::app
