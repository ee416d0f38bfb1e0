// SPDX-License-Identifier: Apache-2.0
// scheduler/stats.h - what a scheduler counts. Written by its lane, read by any thread.
#pragma once

#include "core/stats.h"

namespace watchwheel::scheduler {

struct Stats {
  core::Histogram lag;       // At hand-out: start minus due time, of routine checks.
  core::Counter due;         // Checks fallen due.
  core::Counter missed;      // Whole intervals that went by without a check.
  core::Counter reanchored;  // Times the wall clock jumped and the grid moved with it.
  core::Gauge required_per_second;
  core::Gauge queued;
};

}  // namespace watchwheel::scheduler
