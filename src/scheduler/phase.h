// SPDX-License-Identifier: Apache-2.0
// scheduler/phase.h - when a site's checks should start: a point in every interval that is its own. Pure.
//
// A site's grid points are the wall times (in milliseconds since 1970) that leave stable_hash(id) mod interval over when divided by
// the interval. So the load is spread evenly, and a restart, another host or a reload finds the same points. Due times are
// steady; the anchor says which steady time is which wall time, and is taken anew only when the wall clock was set. (Linux slews
// both clocks together, so between steps their difference is constant.)
//
// A site can be off its grid: the wall clock was set, its interval was changed, or its first check was hurried. To wait for the
// next grid point could nearly double the gap between two checks, and to start at the next one would, after a step of
// the clock, check the whole fleet twice in one interval. So it walks home: each interval is shortened by at most a
// sixteenth until the due time meets the grid. It takes at most 16 checks; no gap is longer than the interval; and the rate rises by
// at most 1/15, which the pacer's headroom of a quarter holds with room to spare.
#pragma once

#include <cstdint>

#include "core/clock.h"
#include "core/ids.h"

namespace watchwheel::scheduler {

// One moment, told by both clocks.
struct GridAnchor {
  core::WallTime wall;
  core::SteadyTime steady;
};

// Less than this is taken for the time between two readings, or for a correction that hurts nobody; it is not lost: the difference
// counts from the anchor.
inline constexpr core::Duration kWallJumpMin = std::chrono::milliseconds{500};
// Closer than this is on the grid.
inline constexpr core::Duration kGridTolerance = std::chrono::milliseconds{1};
// The share of an interval by which a check may come early on its way home.
inline constexpr int kWalkHomePart = 16;

// True when the clocks no longer agree with the anchor: the wall clock was set by more than kWallJumpMin.
[[nodiscard]] bool wall_jumped(const GridAnchor& anchor, core::SteadyTime now, core::WallTime wall);

// A site's grid.
struct Grid {
  core::Duration interval;  // Whole milliseconds.
  core::Duration phase;     // From zero to the interval.
};
[[nodiscard]] Grid grid_of(core::SiteId site, core::Duration interval);

// How far `t` lies past the grid point at or before it: from zero to the interval.
[[nodiscard]] core::Duration past_grid_point(core::SteadyTime t, const Grid& grid,
                                             const GridAnchor& anchor);
// Strictly after `t`, by at most the interval.
[[nodiscard]] core::SteadyTime grid_point_after(core::SteadyTime t, const Grid& grid,
                                                const GridAnchor& anchor);
// The due time that follows `last`: on the grid if `last` is, otherwise one step on the way home.
[[nodiscard]] core::SteadyTime following_due(core::SteadyTime last, const Grid& grid,
                                             const GridAnchor& anchor);

struct NextDue {
  core::SteadyTime due;  // Later than now.
  core::SteadyTime
      last;  // The due time (or, when intervals were skipped, the grid point) it follows.
  std::uint64_t missed =
      0;  // Whole intervals between the two that went by without a check. They are skipped, never made up for.
};
// The check that was due at `last` is over at `now`.
[[nodiscard]] NextDue next_due(core::SteadyTime last, core::SteadyTime now, const Grid& grid,
                               const GridAnchor& anchor);

// The same while there is more to do than can be done: a check that started late is followed one interval after its *start*, so that
// every interval stretches by the wait; to the next grid point it would be one interval or two by turns. It walks home when the
// overload is over. `missed` counts only whole intervals beyond that wait.
[[nodiscard]] NextDue stretched_due(core::SteadyTime started, core::SteadyTime now,
                                    const Grid& grid, const GridAnchor& anchor);

}  // namespace watchwheel::scheduler
