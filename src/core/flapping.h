// SPDX-License-Identifier: Apache-2.0
// core/flapping.h - whether a site changes its state so often that single changes say nothing. Pure.
//
// The model of Nagios (its manual, "Detection and Handling of State Flapping"; Icinga 2 has it too): the last 21 states of a site are
// 20 possible changes, and the share of those that were changes is weighed, the newest 1.2, the oldest 0.8, evenly between. Above a
// high mark flapping begins, below a low one it ends; between them it stays as it is.
//
// Theirs keep a state for each check. Ours are computed from the times of changes alone, which the store has: time since the epoch
// is cut into looks as long as the site's interval; a look in which there was a change counts once, however many there were (quick
// re-checks are no looks). So nothing is kept for who is steady, and while nothing changes the share only falls.
//
// Time     wall times. A change in the future counts as one of the current look.
#pragma once

#include <cstdint>
#include <span>

#include "core/clock.h"

namespace watchwheel::core {

inline constexpr std::int64_t kFlapLooks = 20;

struct FlapPolicy {
  std::uint32_t low = 25;   // Percent. Below it flapping ends.
  std::uint32_t high = 50;  // Percent. Above it flapping begins; 100: never.
  friend bool operator==(const FlapPolicy&, const FlapPolicy&) = default;
};

// In parts of kFlapWhole, exactly. `look`: the site's interval, above 0. `changes` in any order.
inline constexpr std::int64_t kFlapWhole = 38'000;
[[nodiscard]] std::int64_t flap_share(std::span<const WallTime> changes, WallTime now,
                                      Duration look);

// Whether it flaps from now on, given whether it did.
[[nodiscard]] bool flaps(std::int64_t share, bool did, const FlapPolicy& policy);

// The first moment from `now` on at which the share is below the low mark (or nothing is left), when nothing changes any more.
[[nodiscard]] WallTime steady_at(std::span<const WallTime> changes, WallTime now, Duration look,
                                 const FlapPolicy& policy);

// What is older than this counts no more.
[[nodiscard]] constexpr Duration flap_memory(Duration look) {
  return look * kFlapLooks;
}

}  // namespace watchwheel::core
