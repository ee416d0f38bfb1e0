// SPDX-License-Identifier: Apache-2.0
#include <array>

#include "sideeffects/delivery_queue_api.h"

namespace watchwheel::sideeffects {
namespace {

constexpr std::array<std::string_view, kDeathReasonCount> kDeathReasons{
    "max_attempts", "permanent", "gone", "poison", "no_target", "operator"};

}  // namespace

std::string_view to_string(DeathReason reason) {
  return kDeathReasons.at(static_cast<std::size_t>(reason));
}

std::optional<DeathReason> parse_death_reason(std::string_view name) {
  for (std::size_t i = 0; i < kDeathReasons.size(); ++i) {
    if (kDeathReasons.at(i) == name) return static_cast<DeathReason>(i);
  }
  return std::nullopt;
}

}  // namespace watchwheel::sideeffects
