// SPDX-License-Identifier: Apache-2.0
// app/held_results.h - failures of a lane that wait for a word on whether they are the sites' own.
//
// Owns     the waiting results, oldest first.
// Thread   the lane's, for every call.
// Bounded  `held_max`; what finds no room is not kept, and the lane asks that site again soon.
// Time     steady and wall, of the turn that brought each result.
//
// To the rest of the lane a site whose result waits is one that is still being asked: it is not started again, and an edit or a
// removal meanwhile makes the result worth nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/probe.h"
#include "core/vantage.h"

namespace watchwheel::app {

struct HeldResult {
  core::SiteSlot slot;
  std::uint16_t generation = 0;
  core::SteadyTime seen;
  core::WallTime seen_at;
  core::ProbeResult result;
};

// What is to be done with a failure, given what is known of the vantage.
enum class Judgement : std::uint8_t {
  TheSites,  // Handle it.
  Wait,
  Ours,  // It says nothing about the site.
};

// `seen`: when the failure came; `asked`: when its check began. `is_down`: the site is told down already, so that one more failure
// changes nothing.
[[nodiscard]] Judgement judge_failure(const core::VantageGate::Reading& vantage,
                                      core::SteadyTime asked, core::SteadyTime seen, bool is_down);

class HeldResults : core::Pinned {
 public:
  explicit HeldResults(std::size_t held_max) : held_max_(held_max) {}

  // False: there is no room, and `held` is untouched.
  [[nodiscard]] bool offer(HeldResult&& held);
  // The oldest if it need not wait any longer, with what to do with it: call until it gives nothing.
  [[nodiscard]] std::optional<HeldResult> take(const core::VantageGate::Reading& vantage,
                                               Judgement& judgement);
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  const std::size_t held_max_;
  std::deque<HeldResult> waiting_;
};

}  // namespace watchwheel::app
