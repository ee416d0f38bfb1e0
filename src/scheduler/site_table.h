// SPDX-License-Identifier: Apache-2.0
// scheduler/site_table.h - all that a lane keeps of its sites: struct of arrays, an index is a SiteSlot.
//
// Owns     the rows of one lane, their URLs and the id -> slot index.
// Thread   the lane's, for every call.
// Bounded  `sites_max` rows; grows by doubling up to it. At most 256 bytes a site all told, URL of ~50 bytes included, at 1 million sites
//          (measured: see docs/reference/performance.md); bytes() tells.
// Fails    add() refuses when full or when the id is there already.
// Slots are reused after removal, so whoever keeps one over a removal must compare the generation.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/probe.h"

namespace watchwheel::scheduler {

// Index of an interned set of check options, in the lane's table of plans.
using PlanIndex = std::uint32_t;

// The lane's own columns: what every finished check touches. Plain values; the scheduler does not read them.
struct SiteRow {
  core::SteadyTime checked = core::kNoSteadyTime;     // Newest conclusive result; kNoSteadyTime: none in this process.
  core::SteadyTime projected = core::kNoSteadyTime;   // Last accepted freshness mark.
  std::uint64_t cert_hash = 0;                        // First bytes of the leaf's fingerprint; 0: none seen.
  std::uint32_t total_ms = 0;                         // Of the newest result.
  std::uint16_t http_status = 0;
  core::Cause cause = core::Cause::Ok;                // Of the newest result.
  bool troubled = false;                              // In the lane's table of attention.
  bool stale = false;                                 // Counted as unknown.
};

class SiteTable : core::Pinned {
 public:
  explicit SiteTable(std::size_t sites_max);
  ~SiteTable();

  // kNoSlot when full or when the id is already there.
  [[nodiscard]] core::SiteSlot add(core::SiteId id, std::string_view url, core::Duration interval, PlanIndex plan);
  void remove(core::SiteSlot site);
  [[nodiscard]] core::SiteSlot find(core::SiteId id) const;  // kNoSlot when it is not here.

  [[nodiscard]] bool contains(core::SiteSlot site) const;
  [[nodiscard]] std::uint8_t generation(core::SiteSlot site) const;  // Rises each time a slot is given out.
  [[nodiscard]] core::SiteId id(core::SiteSlot site) const;
  [[nodiscard]] std::string_view url(core::SiteSlot site) const;
  [[nodiscard]] core::Duration interval(core::SiteSlot site) const;  // Whole milliseconds.
  [[nodiscard]] PlanIndex plan(core::SiteSlot site) const;
  void set_url(core::SiteSlot site, std::string_view url);
  void set_interval(core::SiteSlot site, core::Duration interval);
  void set_plan(core::SiteSlot site, PlanIndex plan);
  [[nodiscard]] SiteRow& row(core::SiteSlot site);
  [[nodiscard]] const SiteRow& row(core::SiteSlot site) const;

  [[nodiscard]] std::size_t size() const;
  // Slots given out so far lie below it: for walking the table, with contains().
  [[nodiscard]] std::uint32_t slots_end() const;
  [[nodiscard]] std::size_t bytes() const;  // Allocated, URLs and index included.

  // The scheduler's own columns, for the files of this room only.
  struct Timing {
    core::SteadyTime due = core::kNoSteadyTime;    // Of the check that waits or is handed out.
    core::SteadyTime grid = core::kNoSteadyTime;   // The last due time on the grid (a re-check does not move it).
    std::uint8_t place = 0;                        // Scheduler's: nowhere, wheel, queue, handed out.
    bool suspect = false;
  };
  [[nodiscard]] Timing& timing(core::SiteSlot site);
  [[nodiscard]] const Timing& timing(core::SiteSlot site) const;

 private:
  struct Columns;
  std::unique_ptr<Columns> columns_;
};

}  // namespace watchwheel::scheduler
