// SPDX-License-Identifier: Apache-2.0
// scheduler/wheel.h - which checks are due, and when the next one is.
//
// One level: a ring of slots, each a vector of the sites whose due time lies in one tick. Vectors,
// because walking a linked list of a million sites costs eight times as much here (ADR 0005). Ticks
// only say where a site is kept: when time enters a tick its sites are sorted by due time, and each
// fires at its own moment. So the starts of a tick are spread over it as the phases are, and
// nothing starts early.
//
// A site knows where it stands (SiteTable::Timing), so that moving or removing it takes its entry
// out at once: there are no stale entries to skip, none can fire twice, and a slot of the table
// that is used again cannot fire for the site before.
//
// Owns     the entries of one lane's sites that wait. The due times are in the site table, given
//          in.
// Thread   the lane's, for every call.
// Bounded  one entry a site. 24 bytes for each tick of the horizon, 4 to 8 for each site; buffers
//          of drained ticks are used again.
// Time     steady time, passed in; the wheel never reads a clock.
// Cost     place, remove: O(1). advance: O(ticks passed + sites fired), and the sorting of each
//          tick; over a long stall only ticks that hold something cost anything, and `most` bounds what fires at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "scheduler/site_table.h"

namespace watchwheel::scheduler {

class Wheel : core::Pinned {
 public:
  struct Limits {
    core::Duration tick;
    core::Duration
        horizon;  // At most 65,000 ticks. A due time beyond it is kept within and placed again from there.
  };

  Wheel(Limits limits, SiteTable& sites, core::SteadyTime start);

  // `site` stands nowhere and fires once at or after `due`. A due time that lies in the tick being drained, or before it, is taken
  // with the next tick: it is at most one tick late, and a late caller loses no check.
  void place(core::SiteSlot site, core::SteadyTime due);
  // `site` is in the wheel; afterwards it stands nowhere.
  void remove(core::SiteSlot site);

  // Moves time to `now` (never backwards) and appends the sites that fell due: oldest tick first, by due time within a tick. They stand
  // nowhere then. Beyond `most` of them, those included that were only placed again, the rest waits for the next call, still
  // in order, and next() says so.
  void advance(core::SteadyTime now, std::vector<core::SiteSlot>& fired,
               std::size_t most = SIZE_MAX);

  // When advance() has something to do next: at or before the next firing, at most one tick before it. Nothing: it is empty.
  [[nodiscard]] std::optional<core::SteadyTime> next() const;

  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t bytes() const;

 private:
  using Tick = std::int64_t;
  struct Entry {
    core::SteadyTime due;
    core::SiteSlot site;  // kNoSlot: it was removed.
  };

  [[nodiscard]] Tick tick_of(core::SteadyTime t) const;
  [[nodiscard]] core::SteadyTime start_of(Tick tick) const { return origin_ + tick * tick_length_; }
  [[nodiscard]] std::size_t slot_of(Tick tick) const;
  [[nodiscard]] std::optional<Tick> next_occupied() const;
  void put(core::SiteSlot site, core::SteadyTime due);
  std::size_t open(Tick tick);
  void recycle(std::vector<core::SiteSlot>&& buffer);
  void mark(std::size_t slot, bool occupied);

  SiteTable& sites_;
  const core::Duration tick_length_;
  const core::SteadyTime origin_;
  std::vector<std::vector<core::SiteSlot>> slots_;
  std::vector<std::uint64_t> occupied_;  // A bit for each slot that holds something.
  std::size_t occupied_count_ = 0;
  std::vector<std::vector<core::SiteSlot>> spare_;  // Buffers of drained slots.
  Tick cursor_ = 0;                                 // The tick that is open.
  std::vector<Entry> open_;  // Its sites by due time; those before open_at_ have fired.
  std::size_t open_at_ = 0;
  std::size_t size_ = 0;
};

}  // namespace watchwheel::scheduler
