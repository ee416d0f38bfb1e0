// SPDX-License-Identifier: Apache-2.0
// app/cluster_clock.h - the machine's clock, with the database's wall time: one for all hosts that share it.
//
// Phases stand on the wall clock, so hosts whose clocks differ would check a site at different moments and move its phase with
// every hand-over; and a result would seem older or newer than another host's by that much. Steady time stays the machine's.
//
// Thread   set_offset(): the cluster's. The readings: any.
#pragma once

#include <atomic>

#include "core/clock.h"

namespace watchwheel::app {

class ClusterClock final : public core::Clock {
 public:
  explicit ClusterClock(const core::Clock& machine) : machine_(machine) {}

  [[nodiscard]] core::SteadyTime steady() const override { return machine_.steady(); }
  [[nodiscard]] core::WallTime wall() const override { return machine_.wall() + offset(); }
  [[nodiscard]] core::SteadyTime boot() const override { return machine_.boot(); }
  void sleep_for(core::Duration d) const override { machine_.sleep_for(d); }

  // What the database's clock is ahead of the machine's.
  void set_offset(core::Duration ahead) { offset_ns_.store(ahead.count()); }
  [[nodiscard]] core::Duration offset() const { return core::Duration{offset_ns_.load()}; }
  [[nodiscard]] core::WallTime machine_wall() const { return machine_.wall(); }

 private:
  const core::Clock& machine_;
  std::atomic<core::Duration::rep> offset_ns_{0};
};

}  // namespace watchwheel::app
