// SPDX-License-Identifier: Apache-2.0
// app/cli.h - the command line: which command with which arguments, and its exit status.
#pragma once

#include <string>
#include <vector>

#include "app/command.h"

namespace watchwheel::app {

// Reads the arguments (the program's name first), runs the command, and returns its exit status: kExitUsage, with a line on
// `err`, for arguments that make no sense; kExitTrouble when the results could not be written out.
[[nodiscard]] int run_cli(int argc, const char* const* argv, Io& io);

// On the process's own streams.
[[nodiscard]] int run_cli(int argc, const char* const* argv);

// Every command as it is called ("sites import"), and its option names with their dashes: for the test of the documentation.
struct CommandNames {
  std::string command;
  std::vector<std::string> options;
};
[[nodiscard]] std::vector<CommandNames> command_names();

}  // namespace watchwheel::app
