// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/vantage_judge.h"

#include <algorithm>
#include <cmath>

namespace watchwheel::sideeffects {

using core::Duration;
using core::SteadyTime;
using core::VantageReason;
using core::VantageState;
using namespace std::chrono_literals;

namespace {

constexpr Duration kRecent = 10s;
constexpr Duration kMinute = 60s;
// How many networks must fail together. Where canaries can settle it, asking costs little; where not, a handful of sites that
// happen to fail in the same minute must not silence us. Within the span since the last clearance, which is a fraction of a
// second in a large fleet, more: there the few that always fail are drawn often.
constexpr std::uint32_t kNetworksToAsk = 3;
constexpr std::uint32_t kNetworksToDecide = 5;
constexpr std::uint32_t kNetworksAtOnce = 10;
// As many that answer prove that our network works.
constexpr std::uint32_t kNetworksUp = 5;
// First looks at sites tell only when nearly all of them fail.
constexpr double kNearlyAll = 0.9;
// The least results of our own trouble that make a fault of it.
constexpr double kOursMin = 5;
// A span that proved nothing in this time is let pass, when there is nobody to ask.
constexpr Duration kThinSpan = 1s;
constexpr Duration kDoubt = 3s;  // Without canaries.
constexpr Duration kDoubtMax =
    12s;  // With canaries that do not come back: two rounds of their timeout, and some.
constexpr Duration kCalm = 10s;
constexpr Duration kMassCalm = 30s;
constexpr Duration kRoundEvery = 10s;
constexpr Duration kRoundTroubled = 2s;
constexpr Duration kRoundAsked = 1s;

// A cell that has faded below this counts as not seen.
constexpr double kSeen = 0.5;

}  // namespace

// ---- Counting ----

void VantageSpan::fade(double factor) {
  for (Cell& cell : cells_) {
    cell.up *= factor;
    cell.failed *= factor;
    cell.failed_first *= factor;
  }
  for (double& one : ours_) one *= factor;
  results_ *= factor;
}

void VantageSpan::add(const VantageLooks& looks) {
  for (std::size_t i = 0; i < cells_.size(); ++i) {
    cells_[i].up += looks.cells[i].up;
    cells_[i].failed += looks.cells[i].failed;
    cells_[i].failed_first += looks.cells[i].failed_first;
  }
  for (std::size_t i = 0; i < ours_.size(); ++i) ours_[i] += static_cast<double>(looks.ours[i]);
  results_ += static_cast<double>(looks.results);
}

VantageSpan::Reading VantageSpan::read() const {
  Reading reading;
  std::uint32_t seen_all = 0;
  for (const Cell& cell : cells_) {
    const double counted = cell.up + cell.failed;
    const double all = counted + cell.failed_first;
    if (cell.up >= kSeen) ++reading.up;
    if (cell.failed >= kSeen) ++reading.failing;
    if (cell.failed + cell.failed_first >= kSeen) ++reading.failing_all;
    if (counted >= kSeen) {
      ++reading.seen;
      reading.share += cell.failed / counted;
    }
    if (all >= kSeen) {
      ++seen_all;
      reading.share_all += (cell.failed + cell.failed_first) / all;
    }
  }
  if (reading.seen > 0) reading.share /= reading.seen;
  if (seen_all > 0) reading.share_all /= seen_all;
  reading.results = results_;
  reading.ours = ours_;
  return reading;
}

// ---- Deciding ----

VantageJudge::VantageJudge(VantagePolicy policy, SteadyTime now)
    : policy_(policy), since_(now), cleared_(now), last_tick_(now), span_began_(now) {}

void VantageJudge::set_policy(VantagePolicy policy) {
  if (policy.has_canaries != policy_.has_canaries) {
    trusted_ = true;
    round_.reset();
    rounds_failed_ = 0;
  }
  policy_ = policy;
}

void VantageJudge::on_round(const CanaryRound& round) {
  if (round.passed()) trusted_ = true;
  if (round.began < since_) return;  // It says nothing of what made us change.
  rounds_failed_ = round.passed() ? 0 : rounds_failed_ + 1;
  round_ = round;
}

void VantageJudge::tick(const VantageLooks& looks, SteadyTime now) {
  const double passed = core::to_seconds(now - last_tick_);
  last_tick_ = now;
  recent_.fade(std::exp(-passed / core::to_seconds(kRecent)));
  minute_.fade(std::exp(-passed / core::to_seconds(kMinute)));
  for (VantageSpan* span : {&span_, &recent_, &minute_}) span->add(looks);
  held_ = looks.held;
  switch (state_) {
    case VantageState::Healthy:
      return healthy(now);
    case VantageState::Doubt:
      return doubt(now);
    case VantageState::Fault:
      return fault(now);
    case VantageState::MassOutage:
      return mass_outage(now);
  }
}

std::optional<SteadyTime> VantageJudge::next_round(SteadyTime last_began) const {
  if (!policy_.has_canaries) return std::nullopt;
  if (last_began == core::kNoSteadyTime) return since_;
  if (state_ == VantageState::Doubt) return std::max(since_, last_began + kRoundAsked);
  if (state_ != VantageState::Healthy) return last_began + kRoundTroubled;
  // Failures wait and the fleet itself has not proved anything for them yet.
  const bool asked = trusted_ && held_ > 0 && last_tick_ - span_began_ >= kThinSpan / 2;
  return last_began + (asked ? kRoundAsked : kRoundEvery);
}

void VantageJudge::healthy(SteadyTime now) {
  if (const auto ours = our_trouble()) return become(VantageState::Fault, *ours, now);
  if (together()) return become(VantageState::Doubt, VantageReason::Correlated, now);
  if (round_ && !round_->passed() && canaries_trusted()) {
    return become(VantageState::Doubt, VantageReason::Canaries, now);
  }
  clear_failures(now);
}

// A failure is cleared when a whole span *after* it was well: what made it may have hit the others a moment later.
void VantageJudge::clear_failures(SteadyTime now) {
  if (round_ && round_->passed()) {
    cleared_ = std::max(cleared_, round_->began);
    round_.reset();
    if (now - span_began_ >= kThinSpan) restart_span(now);
  }
  if (!canaries_trusted()) {
    // So few that they could never be told to fail together: there is nothing to wait for.
    const Reading minute = minute_.read();
    if (minute.up + minute.failing_all < kNetworksToDecide) cleared_ = now;
  }
  const bool nobody_to_ask = !canaries_trusted() && now - span_began_ >= kThinSpan;
  if (!does_well(span_.read(), policy_.failure_share) && !nobody_to_ask) return;
  cleared_ = std::max(cleared_, span_began_);
  restart_span(now);
}

void VantageJudge::doubt(SteadyTime now) {
  if (const auto ours = our_trouble()) return become(VantageState::Fault, *ours, now);
  if (!canaries_trusted()) return doubt_without_canaries(now);
  if (round_ && round_->passed()) {
    return become(is_mass() ? VantageState::MassOutage : VantageState::Healthy, VantageReason::None,
                  now);
  }
  if (rounds_failed_ < 2 && now - since_ < kDoubtMax) return;
  if (does_well(span_.read(), policy_.failure_share)) {
    trusted_ = false;
    return become(VantageState::Healthy, VantageReason::None, now);
  }
  const bool resolver = round_ && round_->resolver;
  become(VantageState::Fault, resolver ? VantageReason::Resolver : VantageReason::Canaries, now);
}

void VantageJudge::doubt_without_canaries(SteadyTime now) {
  if (now - since_ < kDoubt) return;
  const Reading fresh = span_.read();
  const bool goes_on = together(fresh, kNetworksToDecide, policy_.failure_share);
  const bool over = !goes_on && fresh.up >= kNetworksUp;
  if (goes_on || (!over && together())) {
    return become(VantageState::Fault, VantageReason::Correlated, now);
  }
  become(VantageState::Healthy, VantageReason::None, now);
}

void VantageJudge::fault(SteadyTime now) {
  const double low = policy_.failure_share / 2;
  const Reading recent = recent_.read();
  const Reading shown = recent.results >= kOursMin ? recent : minute_.read();
  const bool fleet_well = does_well(shown, low);
  const bool ours = our_trouble(shown, low).has_value();
  if (canaries_trusted()) {
    const bool passing = round_ && round_->passed();
    if (!calm_for(!ours && (passing || fleet_well), kCalm, now)) return;
    if (!passing) trusted_ = false;
    return become(VantageState::Healthy, VantageReason::None, now);
  }
  // Of a few sites, or of slow ones, one that is up again must do.
  const bool well = reason_ == VantageReason::Correlated
                        ? fleet_well || (shown.up >= kNetworksToAsk && shown.share < low)
                        : shown.up > 0 && shown.share < low;
  if (calm_for(!ours && well, kCalm, now)) become(VantageState::Healthy, VantageReason::None, now);
}

void VantageJudge::mass_outage(SteadyTime now) {
  if (const auto ours = our_trouble()) return become(VantageState::Fault, *ours, now);
  if (!canaries_trusted()) return become(VantageState::Doubt, VantageReason::Correlated, now);
  if (round_ && !round_->passed()) return become(VantageState::Doubt, VantageReason::Canaries, now);
  cleared_ = now;
  const double low = policy_.failure_share / 2;
  const bool few = !together(recent_.read(), kNetworksToAsk, low) &&
                   !together(minute_.read(), kNetworksToAsk, low);
  if (calm_for(few, kMassCalm, now)) become(VantageState::Healthy, VantageReason::None, now);
}

void VantageJudge::become(VantageState state, VantageReason reason, SteadyTime now) {
  const VantageState before = state_;
  state_ = state;
  reason_ = reason;
  since_ = now;
  round_.reset();
  rounds_failed_ = 0;
  calm_since_ = core::kNoSteadyTime;
  restart_span(now);
  // What was held is the sites' own; what failed during a fault is not.
  if (state == VantageState::Healthy || state == VantageState::MassOutage) cleared_ = now;
  if (before == VantageState::Fault) blind_until_ = now;
  // It has been judged, or it was seen through a fault. A mass outage goes on by it.
  if (state == VantageState::Fault || state == VantageState::Healthy ||
      before == VantageState::Fault) {
    recent_.clear();
    minute_.clear();
  }
}

void VantageJudge::restart_span(SteadyTime now) {
  span_.clear();
  span_began_ = now;
}

// ---- Measures ----

std::uint32_t VantageJudge::networks_min() const {
  return canaries_trusted() ? kNetworksToAsk : kNetworksToDecide;
}

bool VantageJudge::together(const Reading& reading, std::uint32_t networks_min,
                            double share) const {
  if (reading.failing >= networks_min && reading.share >= share) return true;
  return reading.failing_all >= networks_min && reading.share_all >= std::max(share, kNearlyAll);
}

bool VantageJudge::together() const {
  return together(span_.read(), kNetworksAtOnce, policy_.failure_share) ||
         together(recent_.read(), networks_min(), policy_.failure_share) ||
         together(minute_.read(), networks_min(), policy_.failure_share);
}

// Enough to be told as one.
bool VantageJudge::is_mass() const {
  return together(recent_.read(), kNetworksToDecide, policy_.failure_share) ||
         together(minute_.read(), kNetworksToDecide, policy_.failure_share);
}

bool VantageJudge::does_well(const Reading& reading, double share) const {
  return reading.up >= kNetworksUp && reading.share < share;
}

std::optional<VantageReason> VantageJudge::our_trouble(const Reading& reading, double share) {
  for (std::size_t i = 0; i < core::kOurTroubles; ++i) {
    if (reading.ours[i] >= kOursMin && reading.ours[i] >= share * reading.results) {
      return static_cast<VantageReason>(static_cast<std::size_t>(VantageReason::Resolver) + i);
    }
  }
  return std::nullopt;
}

std::optional<VantageReason> VantageJudge::our_trouble() const {
  const auto recent = our_trouble(recent_.read(), policy_.failure_share);
  return recent ? recent : our_trouble(minute_.read(), policy_.failure_share);
}

bool VantageJudge::calm_for(bool calm, Duration how_long, SteadyTime now) {
  if (!calm) {
    calm_since_ = core::kNoSteadyTime;
    return false;
  }
  if (calm_since_ == core::kNoSteadyTime) calm_since_ = now;
  return now - calm_since_ >= how_long;
}

}  // namespace watchwheel::sideeffects
