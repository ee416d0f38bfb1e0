// SPDX-License-Identifier: Apache-2.0
#include "scheduler/phase.h"

#include <algorithm>

#include "core/hash.h"

namespace watchwheel::scheduler {

using core::Duration;
using core::SteadyTime;

bool wall_jumped(const GridAnchor& anchor, SteadyTime now, core::WallTime wall) {
  const Duration moved = (wall - anchor.wall) - (now - anchor.steady);
  return moved > kWallJumpMin || moved < -kWallJumpMin;
}

Grid grid_of(core::SiteId site, Duration interval) {
  const auto interval_ms =
      static_cast<std::uint64_t>(core::duration_cast<std::chrono::milliseconds>(interval).count());
  const auto phase_ms = static_cast<std::int64_t>(core::stable_hash(site.value) % interval_ms);
  return {interval, std::chrono::milliseconds{phase_ms}};
}

Duration past_grid_point(SteadyTime t, const Grid& grid, const GridAnchor& anchor) {
  const Duration since_1970 = anchor.wall.time_since_epoch() + (t - anchor.steady);
  const Duration past = (since_1970 - grid.phase) % grid.interval;
  return past < Duration::zero() ? past + grid.interval : past;
}

SteadyTime grid_point_after(SteadyTime t, const Grid& grid, const GridAnchor& anchor) {
  return t - past_grid_point(t, grid, anchor) + grid.interval;
}

SteadyTime following_due(SteadyTime last, const Grid& grid, const GridAnchor& anchor) {
  Duration past = past_grid_point(last, grid, anchor);
  if (past >= grid.interval - kGridTolerance)
    past -= grid.interval;  // Just before its point: that is on the grid too.
  return last + grid.interval - std::min(past, grid.interval / kWalkHomePart);
}

NextDue next_due(SteadyTime last, SteadyTime now, const Grid& grid, const GridAnchor& anchor) {
  const SteadyTime following = following_due(last, grid, anchor);
  if (following > now) return {.due = following, .last = last, .missed = 0};
  const SteadyTime due = grid_point_after(now, grid, anchor);
  // Rounded up, less one: a gap of 3 intervals has 2 points without a check in it, one of 2.5 intervals has 2 as well.
  const Duration gap = due - last - kGridTolerance;
  const auto missed = static_cast<std::uint64_t>(std::max<Duration::rep>(0, gap / grid.interval));
  return {.due = due, .last = due - grid.interval, .missed = missed};
}

NextDue stretched_due(SteadyTime started, SteadyTime now, const Grid& grid,
                      const GridAnchor& anchor) {
  const SteadyTime following = started + grid.interval;
  if (following > now) return {.due = following, .last = started, .missed = 0};
  return next_due(started, now, grid, anchor);
}

}  // namespace watchwheel::scheduler
