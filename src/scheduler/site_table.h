// SPDX-License-Identifier: Apache-2.0
// scheduler/site_table.h - all that a lane keeps of its sites: struct of arrays, an index is a
// SiteSlot.
//
// Owns     the rows of one lane, their URLs and the id -> slot index.
// Thread   the lane's, for every call.
// Bounded  `sites_max` rows, at most kSitesMax; taken in blocks of 4096 rows, so that growing
//          copies nothing and no spare half stays unused. About 174 bytes a site all told at 1
//          million sites with URLs of 50 bytes; bytes() tells, a test holds it to 256.
// Fails    add() refuses when full, when the id is there already, and when the URL is longer than
//          core::kUrlBytesMax.
// Cost     O(1), and no single call is O(sites): the index grows in 1024 parts, each at its own
//          moment; once removals and edits of URLs have left as many bytes unused as are in use, the
//          URLs move to fresh room, 64 rows with each further add, removal or edit. Slots are
//          reused after removal, so whoever keeps one over a removal must compare the generation.
//          References to rows stay valid until the site is removed; views of URLs only until the
//          next add(), remove() or set_url().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "core/check_options.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/probe.h"

namespace watchwheel::scheduler {

inline constexpr std::size_t kSitesMax = std::size_t{1} << 24U;

// Index of an interned set of check options, in the lane's table of plans.
using PlanIndex = std::uint32_t;

// The lane's own columns: what every finished check touches. Plain values; the scheduler does not read them.
struct SiteRow {
  core::SteadyTime checked =
      core::kNoSteadyTime;  // Newest conclusive result known; kNoSteadyTime: none.
  core::SteadyTime since = core::kNoSteadyTime;      // When this process took the site over, or measured it again after it was unknown.
  core::SteadyTime projected = core::kNoSteadyTime;  // Last accepted freshness mark.
  std::uint64_t cert_hash = 0;  // First bytes of the leaf's fingerprint; 0: none seen.
  std::uint32_t total_ms = 0;   // Of the newest result.
  std::uint16_t http_status = 0;
  core::Cause cause = core::Cause::Ok;  // Of the newest result.
  bool troubled = false;                // In the lane's table of attention.
  bool stale = false;                   // Counted as unknown.
  bool measured = false;                // A conclusive result came in this process.
  bool asking = false;                  // A probe of it is in flight, or its result waits for a verdict.
  bool withheld = false;                // The newest result was a failure of ours, not of the site.
  bool edited = false;  // Changed while it was asked: that result is about what it was before.
  std::uint8_t discounted = 0;  // Failures in a row that our own lateness may explain.
};

class SiteTable : core::Pinned {
 public:
  explicit SiteTable(std::size_t sites_max);
  ~SiteTable();

  // kNoSlot when full, when the id is already there, or when the URL is too long. The interval is in whole milliseconds, at least one.
  [[nodiscard]] core::SiteSlot add(core::SiteId id, std::string_view url, core::Duration interval,
                                   PlanIndex plan);
  void remove(core::SiteSlot site);
  [[nodiscard]] core::SiteSlot find(core::SiteId id) const;  // kNoSlot when it is not here.

  [[nodiscard]] bool contains(core::SiteSlot site) const;
  [[nodiscard]] std::uint16_t generation(
      core::SiteSlot site) const;  // Rises each time a slot is given out.
  [[nodiscard]] core::SiteId id(core::SiteSlot site) const;
  [[nodiscard]] std::string_view url(core::SiteSlot site) const;
  [[nodiscard]] core::Duration interval(core::SiteSlot site) const;  // Whole milliseconds.
  [[nodiscard]] PlanIndex plan(core::SiteSlot site) const;
  void set_url(core::SiteSlot site, std::string_view url);  // At most core::kUrlBytesMax.
  void set_interval(core::SiteSlot site, core::Duration interval);
  void set_plan(core::SiteSlot site, PlanIndex plan);
  [[nodiscard]] SiteRow& row(core::SiteSlot site);
  [[nodiscard]] const SiteRow& row(core::SiteSlot site) const;

  [[nodiscard]] std::size_t size() const;
  // Slots given out so far lie below it: for walking the table, with contains().
  [[nodiscard]] std::uint32_t slots_end() const;
  [[nodiscard]] std::size_t bytes() const;  // Allocated, URLs and index included.
  // The most entries and rows that one call has moved so far: what a turn of the loop waits for.
  [[nodiscard]] std::size_t moved_at_once_max() const;

  // The scheduler's own columns, for the files of this room only.
  enum class Place : std::uint8_t { Nowhere, Wheel, Queue, HandedOut };
  struct Timing {
    core::SteadyTime due = core::kNoSteadyTime;  // Of the check that waits or is handed out.
    core::SteadyTime grid = core::
        kNoSteadyTime;  // The last due time that counts for the rhythm: that of the check before.
    std::uint32_t interval_ms = 0;  // The interval by which `due` was chosen.
    std::uint32_t counted_ms = 0;   // The period counted in the required rate; 0: none.
    // Where in its slot of the wheel, or in its queue; of a check handed out: how many milliseconds late it was.
    std::uint32_t at = 0;
    std::uint16_t holder = 0;  // Which slot of the wheel, or which queue (DueOrder).
    Place place = Place::Nowhere;
    bool suspect : 1 = false;  // Under suspicion.
    bool unasked : 1 = false;  // None of its checks is over yet.
    bool recheck : 1 = false;  // `due` is a re-check: it does not count for the rhythm.
    bool left_over : 1 = false;  // Its last due time passed in a stall and nobody has asked since (Scheduler).
    core::Priority priority : 2 = core::Priority::Normal;
  };
  [[nodiscard]] Timing& timing(core::SiteSlot site);
  [[nodiscard]] const Timing& timing(core::SiteSlot site) const;

 private:
  struct Columns;
  std::unique_ptr<Columns> columns_;
};

}  // namespace watchwheel::scheduler
