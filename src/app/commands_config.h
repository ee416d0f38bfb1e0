// SPDX-License-Identifier: Apache-2.0
// app/commands_config.h - `watchwheel validate-config` and `watchwheel migrate`.
#pragma once

#include <string>

#include "app/command.h"

namespace watchwheel::app {

struct ValidateArgs {
  std::string file;
  bool json = false;
};
// kExitOk, or kExitBad when there is an error; warnings alone are kExitOk.
[[nodiscard]] int validate_config(const ValidateArgs& args, Io& io);

struct MigrateArgs {
  std::string config;
  bool dry_run = false;
  bool json = false;
  bool quiet = false;  // No progress bar.
};
[[nodiscard]] int migrate_store(const MigrateArgs& args, Io& io);

}  // namespace watchwheel::app
