// SPDX-License-Identifier: Apache-2.0
// app/limits.h - from what the operator set and what the machine affords to what the engine allows
// itself: the one place where automatic limits are made, each with where it comes from.
//
// Pure. The same configuration on the same machine gives the same limits, so `watchwheel
// validate-config` can show them without a daemon.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/machine.h"
#include "checker/checker.h"
#include "scheduler/admission.h"

namespace watchwheel::app {

struct EffectiveLimit {
  std::string name;  // Stable: scripts read it. A size ends in _bytes.
  std::uint64_t value = 0;
  Origin origin = Origin::Auto;
  std::string source;  // How it came about, for people.
};

struct Limits {
  std::uint32_t lanes = 1;
  std::uint64_t memory_bytes = 0;  // For the whole process.
  std::string memory_source;
  scheduler::AdmissionLimits lane;   // Of each lane.
  checker::Limits checker;           // Of each lane's checker.
  std::vector<EffectiveLimit> list;  // Of the whole process unless the name ends in _each.
};

[[nodiscard]] Limits derive_limits(const Config& config, const Machine& machine);

}  // namespace watchwheel::app
