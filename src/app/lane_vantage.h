// SPDX-License-Identifier: Apache-2.0
// app/lane_vantage.h - a lane's part in telling its own trouble from that of its sites: counts what it sees, holds failures until
// the vantage's thread has a verdict, and says when to ask again what was held back.
//
// Owns     the lane's tally (core/vantage.h) and the results that wait.
// Thread   the lane's, for every call; the tally is read by any.
// Bounded  kHeldMax waiting results.
// Cost     a healthy result: the tally's. Nothing at all without a gate.
//
// While the vantage is well a failure waits a fraction of a second in a large fleet, a second or two in a small one; in doubt some
// seconds. In a fault it is told as local_network, and the site is asked again soon, at a pace that adds at most a third to the
// required rate, so that it does not wait for its next turn when all is well again.
#pragma once

#include <array>
#include <optional>
#include <string_view>

#include "app/held_results.h"
#include "core/pinned.h"
#include "core/vantage.h"

namespace watchwheel::app {

// Of a site, when its result came.
struct SiteBefore {
  bool troubled = false;  // An outage of it is known.
  bool seen = false;      // It was measured before.
};

class LaneVantage : core::Pinned {
 public:
  static constexpr std::size_t kHeldMax = 32'768;

  // `gate` null: every failure is its site's.
  LaneVantage(const core::VantageGate* gate, std::uint64_t jitter_seed);

  // Reads the verdict that is good for this turn.
  void begin_turn();

  void count(const core::ProbeResult& result, SiteBefore before, std::string_view url);
  [[nodiscard]] Judgement judge(const core::ProbeResult& result, core::SteadyTime seen,
                                bool is_down) const;
  [[nodiscard]] bool hold(HeldResult&& held);
  [[nodiscard]] std::optional<HeldResult> release(Judgement& judgement);

  // Makes of a failure a result that says nothing about the site.
  void withhold(core::ProbeResult& result, bool no_room);
  // The row of a site has such a result as its newest, or has not any more.
  void withheld_sites_changed(int by);
  // When to ask such a site again; nothing: at its next turn. `required_per_second`: of the lane.
  [[nodiscard]] std::optional<core::Duration> recheck_in(core::SiteId site, core::Duration interval,
                                                         double required_per_second) const;

  // The mass outage that a failure with this cause belongs to now.
  [[nodiscard]] core::WallTime group_of(core::Cause cause) const;

  [[nodiscard]] const core::VantageTally& tally() const { return tally_; }

 private:
  const core::VantageGate* const gate_;
  const std::uint64_t jitter_seed_;
  core::VantageGate::Reading verdict_;
  core::VantageReason last_fault_ = core::VantageReason::None;
  HeldResults held_{kHeldMax};
  std::int64_t withheld_sites_ = 0;
  core::VantageTally tally_;
};

}  // namespace watchwheel::app
