// SPDX-License-Identifier: Apache-2.0
// bench/rig/scenarios.h - the runs that the rig knows, each a function from wishes to a record.
//
// Fails    std::runtime_error when something could not be run; a promise that is not kept is a finding.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/rig/bed.h"
#include "bench/rig/record.h"

namespace watchwheel::rig {

struct Wishes {
  BedOptions bed;
  std::uint32_t sites = 0;  // 0 here and below: what suits the scenario.
  double interval_s = 0;
  double seconds = 0;      // The window.
  double knee = 0;         // Checks a second; 0: found first, where it is needed.
  double first = 0;        // The first rate that is tried.
  double share = 0.3;      // Of sites that fail in a mass outage.
  double clients_s = 12;   // Each run of a client beside the engine; 0: none.
  std::uint32_t more = 0;  // Sites imported while running.
  std::string go_client;   // The program; empty: none.
  bool is_trial = false;   // Shows that everything works: nothing that depends on time is required.
};

[[nodiscard]] Record find_knee(const Wishes& wishes, double& knee);
[[nodiscard]] Record hold(const Wishes& wishes);
[[nodiscard]] Record overload(const Wishes& wishes);
[[nodiscard]] Record mass_outage(const Wishes& wishes);
[[nodiscard]] Record dead_resolvers(const Wishes& wishes);
[[nodiscard]] Record sigstop(const Wishes& wishes);
[[nodiscard]] Record import_while_running(const Wishes& wishes);
[[nodiscard]] Record https(const Wishes& wishes);
[[nodiscard]] Record trial(const Wishes& wishes);

}  // namespace watchwheel::rig
