// SPDX-License-Identifier: Apache-2.0
// scheduler/scheduler.h - decides which checks of a lane start now, and when each is due next.
//
// Owns     the lane's due wheel, the order of its due checks, and the pacer; the site table is the
//          lane's and given in.
// Thread   the lane's, for every call.
// Bounded  one entry a site, in the wheel or in a queue or handed out, never in two (ENSUREd); after a
//          stall at most two more among those that were left over.
// Time     steady time for due times; wall time only to find the grid (see phase.h). Both are
//          passed in.
// Cost     O(1) a check; turn(): O(ticks passed + checks fallen due), and of these some thousands a turn.
//
// Rate is set by the wheel alone: how long sites take to answer changes nothing here (ADR 0005).
//
// On time: what falls due starts. Behind: up to 1.5 times the required rate, phases kept, whole
// intervals that were missed are skipped. After a stall (nobody called for 5 s or more) what fell due
// meanwhile is left over: it keeps its next grid point, so that the fleet is on its phases from the
// first second, and what the pacer has to spare asks it before, those first that would wait longest;
// so nearly all are seen within 0.85 of an interval (of a mixed fleet: within one). Overloaded (fewer
// start than are required): every interval of a priority stretches by the same factor, for each check
// is followed one interval after its start; the phases come back afterwards. Whatever the state,
// something starts whenever something is due and admission has room.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "scheduler/site_table.h"
#include "scheduler/stats.h"

namespace watchwheel::scheduler {

struct Limits {
  core::Duration tick = std::chrono::milliseconds{100};
  core::Duration horizon =
      std::chrono::hours{1};  // Longer waits are placed within it and placed again from there.
  std::uint32_t hurried_per_minute_max =
      1000;  // First checks of new sites brought forward (see add()).
};

class Scheduler : core::Pinned {
 public:
  Scheduler(Limits limits, SiteTable& sites, core::SteadyTime now, core::WallTime wall);
  ~Scheduler();

  // Starts scheduling a site that is in the table (its id and interval are read there).
  // `last_checked_at`: kNoWallTime for a new one. The first due time is the next grid point of its
  // phase; for a site never checked whose interval is above a minute it is brought forward into the
  // first minute, as long as hurried_per_minute_max allows, so that a person who adds a site sees
  // it soon and a fleet that is loaded does not become a burst. A known site whose grid point
  // passed while nobody watched is not hurried: it waits for its next grid point.
  void add(core::SiteSlot site, core::WallTime last_checked_at, core::SteadyTime now);
  // The same for a site that somebody else looked after until `from` (which may be past, or to come): its first due time is its
  // first grid point from then on. Of several that have passed the last one counts, and it is late.
  void take_over(core::SiteSlot site, core::SteadyTime from, core::SteadyTime now);
  // Who stays on time under overload; a new site is `Normal`. Holds from its next due time on.
  void set_priority(core::SiteSlot site, core::Priority priority);
  // Forgets a site, wherever it is. If it is handed out, finished() must not be called for it any
  // more.
  void remove(core::SiteSlot site);
  // The site's interval in the table has changed: moves its next due time to the new grid; never
  // doubles a check nor lets more than the longer of the two intervals pass.
  void reschedule(core::SiteSlot site, core::SteadyTime now);

  // Moves time on: what fell due is queued. Call it once a loop turn, before take_due().
  void turn(core::SteadyTime now, core::WallTime wall);

  // Hands out checks that may start now, at most `into.size()`, in the order of DueOrder: suspicion
  // before routine, by priority, latest relative to its interval first; as many as the pacer allows.
  // Each must be answered by exactly one of refused(), finished() or remove().
  [[nodiscard]] std::size_t take_due(std::span<core::SiteSlot> into, core::SteadyTime now);
  // Admission had no room: the check goes back to the head of its queue and the pacer gets its
  // allowance back. Before the next turn() or take_due(), several in the reverse of the order in
  // which they were taken.
  void refused(core::SiteSlot site);
  // The check is over. Its next due time is the next grid point after its last *due* time (under
  // overload, for one that started late: one interval after it started); with
  // `recheck_in`, that long from now instead, as a check under suspicion (it keeps its grid: the
  // recheck does not move the phase, and a recheck that would come at or after the next grid point
  // is simply that one, under suspicion). Whole intervals that went by are counted as missed and
  // skipped.
  void finished(core::SiteSlot site, core::SteadyTime now,
                std::optional<core::Duration> recheck_in);

  // When turn() should be called next: when the next check falls due (or at the beginning of its
  // tick, which sorts it), or as soon as the pacer lets the next queued check start; after a
  // refusal in this turn a tick from now, because admission's room comes with a result. Never
  // before `now`, and at most the horizon away (a second when there are no sites).
  [[nodiscard]] core::SteadyTime next_turn(core::SteadyTime now) const;

  // Σ 1/interval over all scheduled sites, those under suspicion at their re-check interval.
  [[nodiscard]] double required_per_second() const;
  [[nodiscard]] core::SteadyTime due_time(
      core::SiteSlot site) const;            // Of the check handed out or waiting.
  [[nodiscard]] std::size_t queued() const;  // Due and not handed out.
  // Fell due in a stall and nobody has asked since; at the most (some may have been asked or removed). Not among queued().
  [[nodiscard]] std::size_t left_over() const;
  [[nodiscard]] core::Duration oldest_queued(
      core::SteadyTime now) const;          // How late the oldest of them is; zero when none.
  [[nodiscard]] std::size_t bytes() const;  // Of the wheel and the queues; the table tells its own.
  [[nodiscard]] const Stats& stats()
      const;  // Lag is observed one turn after hand-out, when the check can no longer be refused.

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::scheduler
