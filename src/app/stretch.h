// SPDX-License-Identifier: Apache-2.0
// app/stretch.h - by how much the lanes' intervals are longer than asked, and what limits them.
//
// Thread   any. Bounded by lanes. Pure.
#pragma once

#include <array>
#include <string>
#include <vector>

#include "core/check_options.h"
#include "scheduler/admission.h"
#include "scheduler/stats.h"

namespace watchwheel::app {

struct LaneStretch {
  const scheduler::Stats& scheduler;
  const scheduler::AdmissionStats& admission;
};

struct Stretch {
  double factor = 1;  // Of all, by the share of the required rate.
  std::array<double, core::kPriorityCount> by_priority{1, 1, 1};
  std::string limited_by;  // Of the lane that stretches most; "": none does.
};

[[nodiscard]] Stretch stretch_of(const std::vector<LaneStretch>& lanes);

}  // namespace watchwheel::app
