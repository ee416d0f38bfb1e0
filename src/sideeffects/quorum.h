// SPDX-License-Identifier: Apache-2.0
// sideeffects/quorum.h - what the votes of several vantages come to. Pure.
//
//   down votes, ours included, reach the quorum                          Quorum
//   they may still reach it with those that are awaited                  None: wait
//   they cannot any more, and a vantage sees the site up                 Disagreement
//   they cannot any more, nobody sees it up, somebody is awaited         None: that one may see it up
//   the same, and nobody is awaited or the time is over                  Unanswered
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
