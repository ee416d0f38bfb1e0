// SPDX-License-Identifier: Apache-2.0
// app/left_sites.h - sites that left a lane while they were in trouble, until the lane that has them now is sure to know.
//
// Owns     their ids, in the order in which they left.
// Thread   the lane's, for every call.
// Bounded  kMost; of more than that, those that left first are due at once.
// Time     steady, passed in.
//
// The lane that gets a site is told what the store had open when the feeder read it. What a shard commits for the lane that had it
// reaches the other one as a note, perhaps before the site itself, and is then passed over: the event would stay open until a
// restart. So the lane that had the site asks the shard once more when the other one surely has it; the answer goes to every lane.
#pragma once

#include <cstddef>
#include <deque>
#include <optional>

#include "core/clock.h"
#include "core/ids.h"

namespace watchwheel::app {

class LeftSites {
 public:
  // Longer than a message waits in a lane's inbox.
  static constexpr core::Duration kAskAfter = std::chrono::seconds{30};
  static constexpr std::size_t kMost = 16'384;

  void add(core::SiteId site, core::SteadyTime now) { left_.push_back({site, now + kAskAfter}); }

  // The one that left first, if the shard is to be asked of it now: call until it gives nothing.
  [[nodiscard]] std::optional<core::SiteId> take(core::SteadyTime now) {
    if (left_.empty() || (now < left_.front().due && left_.size() <= kMost)) return std::nullopt;
    const core::SiteId site = left_.front().site;
    left_.pop_front();
    return site;
  }

 private:
  struct Left {
    core::SiteId site;
    core::SteadyTime due;
  };
  std::deque<Left> left_;
};

}  // namespace watchwheel::app
