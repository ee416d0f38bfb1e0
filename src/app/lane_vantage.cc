// SPDX-License-Identifier: Apache-2.0
#include "app/lane_vantage.h"

#include <algorithm>
#include <string>
#include <utility>

#include "sideeffects/attention.h"

namespace watchwheel::app {

using core::Cause;
using core::Duration;
using core::Outcome;
using core::VantageReason;
using core::VantageState;
using namespace std::chrono_literals;

namespace {

constexpr Duration kRecheckMin = 30s;
// Of the required rate, what asking such sites again may add; and what it may add in any case.
constexpr double kRecheckShare = 1.0 / 3;
constexpr double kRechecksPerSecondMin = 10;

std::size_t index_of_ours(Cause cause) {
  switch (cause) {
    case Cause::ResolverUnreachable:
      return 0;
    case Cause::LocalNetwork:
      return 1;
    case Cause::LocalResources:
      return 2;
    default:
      return core::kOurTroubles;
  }
}

}  // namespace

LaneVantage::LaneVantage(const core::VantageGate* gate, std::uint64_t jitter_seed)
    : gate_(gate), jitter_seed_(jitter_seed) {}

void LaneVantage::begin_turn() {
  if (gate_ == nullptr) return;
  verdict_ = gate_->read();
  if (verdict_.state == VantageState::Fault) last_fault_ = verdict_.reason;
}

void LaneVantage::count(const core::ProbeResult& result, SiteBefore before, std::string_view url) {
  if (gate_ == nullptr) return;
  tally_.results.add();
  switch (result.outcome()) {
    case Outcome::Up:
      tally_.cells[core::vantage_cell(result.address, url)].up.add();
      break;
    case Outcome::Down:
      if (before.troubled || !core::is_low_level(result.cause)) break;
      {
        auto& cell = tally_.cells[core::vantage_cell(result.address, url)];
        (before.seen ? cell.failed : cell.failed_first).add();
      }
      break;
    case Outcome::NotMeasured:
      if (const std::size_t i = index_of_ours(result.cause); i < core::kOurTroubles)
        tally_.ours[i].add();
      break;
  }
}

Judgement LaneVantage::judge(const core::ProbeResult& result, core::SteadyTime seen,
                             bool is_down) const {
  if (gate_ == nullptr) return Judgement::TheSites;
  return judge_failure(verdict_, result.started, seen, is_down);
}

bool LaneVantage::hold(HeldResult&& held) {
  const bool taken = held_.offer(std::move(held));
  tally_.held.set(static_cast<double>(held_.size()));
  return taken;
}

std::optional<HeldResult> LaneVantage::release(Judgement& judgement) {
  auto held = held_.take(verdict_, judgement);
  if (held) tally_.held.set(static_cast<double>(held_.size()));
  return held;
}

void LaneVantage::withhold(core::ProbeResult& result, bool no_room) {
  const VantageReason why = no_room ? VantageReason::None : last_fault_;
  tally_.withheld[static_cast<std::size_t>(why)].add();
  std::string detail =
      no_room ? "not judged: more failures at once than can wait for a verdict"
              : "not judged, the trouble is ours (" + std::string(core::to_string(why)) + ")";
  result.detail = detail + "; it looked like " + std::string(core::to_string(result.cause));
  result.cause = Cause::LocalNetwork;
}

void LaneVantage::withheld_sites_changed(int by) {
  withheld_sites_ += by;
  tally_.withheld_sites.set(static_cast<double>(withheld_sites_));
}

std::optional<Duration> LaneVantage::recheck_in(core::SiteId site, Duration interval,
                                                double required_per_second) const {
  const double pace = std::max(kRechecksPerSecondMin, required_per_second * kRecheckShare);
  const double round_s = static_cast<double>(withheld_sites_) / pace;
  if (round_s >= core::to_seconds(interval)) return std::nullopt;
  const Duration wait =
      std::max(kRecheckMin, core::duration_cast<Duration>(std::chrono::duration<double>(round_s)));
  if (wait >= interval) return std::nullopt;
  return sideeffects::recheck_delay(wait, site, 1, jitter_seed_);
}

core::WallTime LaneVantage::group_of(Cause cause) const {
  return verdict_.state == VantageState::MassOutage && core::is_low_level(cause)
             ? verdict_.group
             : core::kNoWallTime;
}

}  // namespace watchwheel::app
