// SPDX-License-Identifier: Apache-2.0
// scheduler/stats.h - what a scheduler counts. Written by its lane, read by any thread.
#pragma once

#include <array>

#include "core/check_options.h"
#include "core/stats.h"

namespace watchwheel::scheduler {

struct Stats {
  core::Histogram lag;       // At hand-out: start minus due time, of routine checks.
  core::Counter due;         // Checks fallen due.
  core::Counter missed;  // Intervals that went by without a check; parts by which they stretched add up.
  core::Counter reanchored;  // Times the wall clock jumped and the grid moved with it.
  core::Gauge required_per_second;
  core::Gauge queued;
  core::Gauge left_over;  // Fell due in a stall and nobody has asked since; an upper bound.
  core::Gauge overloaded;  // 1: more is required than can be started, and due times count from the start.
  // By core::Priority.
  std::array<core::Gauge, core::kPriorityCount> stretch;  // See StretchMeter.
  std::array<core::Gauge, core::kPriorityCount> required_by_priority;
};

}  // namespace watchwheel::scheduler
