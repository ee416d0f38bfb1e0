// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/quorum.h"

#include <algorithm>

namespace watchwheel::sideeffects {

using core::Basis;
using core::Saw;

namespace {

struct Count {
  std::uint32_t down = 1;  // Ours.
  std::uint32_t up = 0;
  std::uint32_t awaited = 0;
};

Count count_vantages(std::span<const Ballot> ballots, bool time_is_over) {
  Count count;
  for (auto ballot = ballots.begin(); ballot != ballots.end(); ++ballot) {
    const auto same = [&](const Ballot& other) { return other.vantage == ballot->vantage; };
    if (std::any_of(ballots.begin(), ballot, same)) continue;  // Counted with its first.
    const auto any = [&](auto holds) {
      return std::any_of(ballot, ballots.end(),
                         [&](const Ballot& other) { return same(other) && holds(other.saw); });
    };
    if (any([](const auto& saw) { return saw == Saw::Up; })) {
      ++count.up;
    } else if (!time_is_over && any([](const auto& saw) { return !saw.has_value(); })) {
      ++count.awaited;
    } else if (any([](const auto& saw) { return saw == Saw::Down; })) {
      ++count.down;
    }
  }
  return count;
}

}  // namespace

Basis weigh(std::span<const Ballot> ballots, std::uint32_t quorum, bool time_is_over) {
  const Count count = count_vantages(ballots, time_is_over);
  if (count.down >= quorum && count.down > count.up + count.awaited) return Basis::Quorum;
  if (count.awaited > 0) return Basis::None;
  return count.up > 0 ? Basis::Disagreement : Basis::Unanswered;
}

bool outvoted(std::span<const Ballot> ballots) {
  const Count count = count_vantages(ballots, true);
  return count.up > count.down;
}

}  // namespace watchwheel::sideeffects
