// SPDX-License-Identifier: Apache-2.0
// sideeffects/projector.h - writes how fresh each site is, in batches, from what the lanes pass on.
//
// Owns     the marks not yet written, one a site, and the batch in hand.
// Thread   one, for every call except stats(). Calls to the sink block. Takes the consumer's side
//          of the rings.
// Bounded  `pending_max` sites, plus one batch. Full: the rings are left alone, so they fill and
//          the lanes keep their marks.
// Time     steady time, passed in. The clock is read only to measure how long a write took.
// Fails    sink away or answer lost: the batch is tried again whole with backoff, while newer marks
//          coalesce behind it. Batch invalid: halves are tried; a mark that is refused alone is
//          dropped and counted: it comes again.
// Cost     one transaction a batch, sorted by site. Oldest mark first, so that none starves when
//          there are too many.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/ring.h"
#include "core/site_facts.h"
#include "core/stats.h"
#include "sideeffects/backoff.h"
#include "sideeffects/freshness_api.h"
#include "sideeffects/response_gatherer.h"

namespace watchwheel::sideeffects {

using MarkRing = core::SpscRing<core::FreshnessMark>;

struct ProjectorLimits {
  std::size_t pending_max = 100'000;
  std::size_t batch_max = 1000;
  core::Duration period = std::chrono::seconds{1};  // No mark waits longer while the sink answers.
  core::Duration poll = std::chrono::milliseconds{100};  // How often the rings are looked at.
  BackoffLimits backoff{};
};

// Written by the projector's thread, read by any.
struct ProjectorStats {
  core::Counter rows;  // Marks written.
  core::Counter batches;
  core::Histogram write;  // Each attempt, failed ones too.
  core::Counter errors;
  core::Counter dropped;    // Refused by the sink for good.
  core::Counter coalesced;  // Replaced by a newer mark before they were written.
  core::Gauge lag_s;        // How long the oldest unwritten mark has waited here.
  core::Gauge pending;      // Sites waiting, the batch in hand included.
};

class Projector : core::Pinned {
 public:
  // `gatherer`: to whom the response times of each mark go, as soon as it is heard; they are not written with it. Null: to nobody.
  Projector(const ProjectorLimits& limits, std::vector<MarkRing*> rings, FreshnessSink& sink,
            const core::Clock& clock, std::uint64_t jitter_seed,
            ResponseGatherer* gatherer = nullptr);

  // Takes what the rings hold, and writes: a full batch at once, what there is when its oldest has
  // waited for `period`. Returns how many marks were written.
  std::size_t turn(core::SteadyTime now);

  // When turn() is needed next; may be past (at once).
  [[nodiscard]] core::SteadyTime next_turn() const;

  // From now on whatever there is is written at once. For draining, after the lanes have stopped.
  void flush() { flushing_ = true; }
  // Nothing in hand, nothing pending, nothing in the rings.
  [[nodiscard]] bool idle() const;

  [[nodiscard]] const ProjectorStats& stats() const { return stats_; }

 private:
  struct Pending {
    core::FreshnessMark mark;
    core::SteadyTime since;  // When the first unwritten mark of the site came.
  };
  using Part = std::vector<core::FreshnessMark>;

  void take_marks();
  void add(const core::FreshnessMark& mark);
  [[nodiscard]] bool batch_is_due() const;
  void make_batch();
  // False: to be tried again later.
  [[nodiscard]] bool write_part(std::size_t& written);
  void divide_or_drop();
  [[nodiscard]] core::SteadyTime oldest() const;
  void publish();

  const ProjectorLimits limits_;
  const std::vector<MarkRing*> rings_;
  FreshnessSink& sink_;
  const core::Clock& clock_;
  const std::uint64_t jitter_seed_;
  ResponseGatherer* const gatherer_;

  std::unordered_map<core::SiteId, Pending> pending_;
  std::deque<core::SiteId> order_;  // Every key of pending_, once, oldest first.
  std::deque<Part> parts_;  // The batch in hand: one part, more while a bad mark is looked for.
  core::SteadyTime batch_since_ = core::kNoSteadyTime;
  std::uint32_t attempts_failed_ = 0;
  core::SteadyTime retry_at_ = core::kNoSteadyTime;
  core::SteadyTime now_ = core::kNoSteadyTime;  // Of the last turn.
  std::size_t next_ring_ = 0;  // Whose turn it is: with no room for all, each gets its share.
  bool flushing_ = false;
  ProjectorStats stats_;
};

}  // namespace watchwheel::sideeffects
