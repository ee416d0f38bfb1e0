// SPDX-License-Identifier: Apache-2.0
#include "app/held_results.h"

#include <utility>

namespace watchwheel::app {

using core::VantageState;

Judgement judge_failure(const core::VantageGate::Reading& vantage, core::SteadyTime asked,
                        core::SteadyTime seen, bool is_down) {
  if (vantage.state == VantageState::Fault || asked < vantage.blind_until) return Judgement::Ours;
  if (vantage.state == VantageState::Doubt) return Judgement::Wait;
  if (vantage.state == VantageState::MassOutage || is_down) return Judgement::TheSites;
  return seen <= vantage.cleared ? Judgement::TheSites : Judgement::Wait;
}

bool HeldResults::offer(HeldResult&& held) {
  if (waiting_.size() >= held_max_) return false;
  waiting_.push_back(std::move(held));
  return true;
}

// They came in the order of time, so when the oldest waits all do.
std::optional<HeldResult> HeldResults::take(const core::VantageGate::Reading& vantage,
                                            Judgement& judgement) {
  if (waiting_.empty()) return std::nullopt;
  const HeldResult& oldest = waiting_.front();
  judgement = judge_failure(vantage, oldest.result.started, oldest.seen, false);
  if (judgement == Judgement::Wait) return std::nullopt;
  std::optional<HeldResult> taken(std::move(waiting_.front()));
  waiting_.pop_front();
  return taken;
}

}  // namespace watchwheel::app
