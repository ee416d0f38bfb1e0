// SPDX-License-Identifier: Apache-2.0
// app/commands_maintenance.h - `watchwheel maintenance`: when nobody is to be told of which sites.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/command.h"
#include "core/clock.h"
#include "sideeffects/maintenance.h"

namespace watchwheel::app {

struct MaintenanceAddArgs {
  std::vector<std::uint64_t> sites;
  std::vector<std::string> tags;
  bool all = false;
  std::string from;   // A time; "": now, or of --days: no bound.
  std::string until;  // A time; "": of --for.
  std::string length;
  std::string days;  // "mon,wed", "daily"; "": once.
  std::string at;
  std::string zone;
  std::string title;
  std::string config;
};
[[nodiscard]] int add_maintenance(const MaintenanceAddArgs& args, Io& io);

struct MaintenanceListArgs {
  bool all = false;  // Those that are over too.
  bool json = false;
  std::string config;
};
[[nodiscard]] int list_maintenance(const MaintenanceListArgs& args, Io& io);

struct MaintenanceRemoveArgs {
  std::uint64_t id = 0;
  std::string config;
};
[[nodiscard]] int remove_maintenance(const MaintenanceRemoveArgs& args, Io& io);

// What the options mean. Invalid: what is missing or too much.
[[nodiscard]] core::Result<sideeffects::MaintenanceWindow> window_of(const MaintenanceAddArgs& args,
                                                                     core::WallTime now);
[[nodiscard]] std::string maintenance_json(const sideeffects::MaintenanceWindow& window,
                                           core::WallTime now);
[[nodiscard]] std::string maintenance_text(const sideeffects::MaintenanceWindow& window,
                                           core::WallTime now);

// Who runs this command, as far as the system knows: who called sudo, else the user.
[[nodiscard]] std::string person_here();

}  // namespace watchwheel::app
