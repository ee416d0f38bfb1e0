// SPDX-License-Identifier: Apache-2.0
// app/commands_check.h - `watchwheel check`: one check now, without a store.
#pragma once

#include <string>

#include "app/command.h"
#include "core/check_options.h"

namespace watchwheel::app {

struct CheckArgs {
  std::string url;
  core::SiteOptions options;  // From the command line; they win over the configuration's defaults.
  std::string config;
  bool json = false;
  bool verbose = false;
};
// kExitOk up, kExitBad down, kExitTrouble not measured, kExitUsage when an option does not fit.
[[nodiscard]] int check_once(const CheckArgs& args, Io& io);

}  // namespace watchwheel::app
