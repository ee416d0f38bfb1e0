// SPDX-License-Identifier: Apache-2.0
// app/progress_watch.h - notices a lane that stands still. Pure: it is told the turns and the time.
//
// Owns     the last turn count of each lane and when it last rose.
// Thread   one at a time.
//
// Each lane is watched for itself: a sum, or a least, would hide one that stands still behind
// others that move.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/clock.h"

namespace watchwheel::app {

class ProgressWatch {
 public:
  explicit ProgressWatch(core::Duration patience) : patience_(patience) {}

  // Returns the first lane whose count has not risen for longer than the patience; nothing when all
  // move.
  std::optional<std::size_t> look(std::span<const std::uint64_t> turns, core::SteadyTime now);

 private:
  struct Seen {
    std::uint64_t turns = 0;
    core::SteadyTime rose_at;
  };
  core::Duration patience_;
  std::vector<Seen> seen_;
};

}  // namespace watchwheel::app
