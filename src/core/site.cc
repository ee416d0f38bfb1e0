// SPDX-License-Identifier: Apache-2.0
#include "core/site.h"

#include <array>

#include "core/ensure.h"

namespace watchwheel::core {
namespace {

constexpr std::array<std::string_view, kSiteStateCount> kStates{"up", "seems_down", "down", "unknown", "maintenance", "paused"};
constexpr std::array<std::string_view, kTransitionReasonCount> kReasons{
    "opened", "confirmed", "false_alarm", "recovered", "severity_changed", "maintenance", "site_removed", "operator"};

}  // namespace

std::string_view to_string(SiteState state) {
  ENSURE(static_cast<std::size_t>(state) < kStates.size(), "a site state outside its list");
  return kStates[static_cast<std::size_t>(state)];
}

std::optional<SiteState> parse_site_state(std::string_view name) {
  for (std::size_t i = 0; i < kStates.size(); ++i) {
    if (kStates[i] == name) return static_cast<SiteState>(i);
  }
  return std::nullopt;
}

std::string_view to_string(TransitionReason reason) {
  ENSURE(static_cast<std::size_t>(reason) < kReasons.size(), "a transition reason outside its list");
  return kReasons[static_cast<std::size_t>(reason)];
}

std::optional<TransitionReason> parse_transition_reason(std::string_view name) {
  for (std::size_t i = 0; i < kReasons.size(); ++i) {
    if (kReasons[i] == name) return static_cast<TransitionReason>(i);
  }
  return std::nullopt;
}

}  // namespace watchwheel::core
