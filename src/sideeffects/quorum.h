// SPDX-License-Identifier: Apache-2.0
// sideeffects/quorum.h - what the votes of several vantages come to. Pure.
//
//   down votes, ours included, reach the quorum, and are more than the up votes and those awaited   Quorum
//   not so, and somebody is awaited                                                                 None: wait
//   not so, nobody is awaited or the time is over, and a vantage sees the site up                   Disagreement
//   the same, and nobody sees it up                                                                 Unanswered
//
// So a quorum that is smaller than half of the vantages is none where as many or more see it up, whoever answers first. Who else
// sees it up is waited for: how a dispute ends depends on it (outvoted).
//
// Votes are counted by vantage: verifiers of one region are one, which sees the site up when any of them does, and is awaited while
// one of them is. Silence, overload, not_measured and errors are no votes.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "core/testimony.h"

namespace watchwheel::sideeffects {

struct Ballot {
  std::string_view vantage;      // Those with the same are one.
  std::optional<core::Saw> saw;  // Nothing: awaited.
};

// `quorum`: at least 2. Our own vote is down, and not among `ballots`.
[[nodiscard]] core::Basis weigh(std::span<const Ballot> ballots, std::uint32_t quorum,
                                bool time_is_over);

// Whether more vantages see it up than down, ours included. Who is still awaited has no vote.
[[nodiscard]] bool outvoted(std::span<const Ballot> ballots);

}  // namespace watchwheel::sideeffects
