// SPDX-License-Identifier: Apache-2.0
// sideeffects/replayer.h - brings what the journal kept into the store, in order, and opens the straight way again.
//
// It is the one who finds out that the store is back: nobody else asks it while the detour is taken, so that a store that
// hangs holds up this thread alone. A page that was committed and not removed (we died, or the answer was lost) comes again,
// and the store absorbs it. A page that the store refuses is halved until the bad entry is alone; that one is tried once more and
// then set aside, where a person finds it with the reason. What follows of the same event is refused in its turn, for it would
// leave a gap, and is set aside beside it. When the store refuses one site after the other and takes nothing, that is no trouble of the
// sites: it is treated as away for a while, and no more is set aside meanwhile. A row that it cannot read is an entry's trouble only
// when it has not been read for some time.
//
// Owns     nothing that lasts. Its stores are sessions of their own.
// Thread   one, for every call except stats().
// Bounded  a page of `page` entries, one transaction; half as many after each attempt that failed, down to one, for a server so
//          slow that it does not take a page within its deadline, and twice as many after each that did not. The first is small.
// Time     steady time, passed in.
// Fails    store or journal away: tried again with backoff, for ever.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <unordered_set>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/backoff.h"
#include "sideeffects/detour.h"

namespace watchwheel::sideeffects {

struct ReplayerLimits {
  std::size_t page = 500;
  std::size_t refused_sites = 20;  // In a row: then the store is left alone for refused_pause.
  core::Duration refused_pause = std::chrono::minutes{1};
  std::size_t unreadable_tries = 10;  // In a row, before a row that the store cannot read is taken for one entry's trouble.
  core::Duration look_again = std::chrono::minutes{1};
  BackoffLimits backoff{};
};

// Written by the replayer's thread, read by any.
struct ReplayerStats {
  core::Counter replayed;  // Entries that are in the store.
  core::Counter set_aside;
  core::Counter fenced;  // Dropped: their site had become another node's.
  core::Gauge answering;  // 1: the store took the newest attempt of a detour that is still taken.
  core::Counter errors;  // Attempts that failed: store or journal away.
};

class Replayer : core::Pinned {
 public:
  Replayer(const ReplayerLimits& limits, Detour& detour, Journal& journal, EventStore& events,
           VantageStore& vantage, const core::Clock& clock, OutageWatch& watch,
           std::uint64_t jitter_seed);

  // A page, or the return to the straight way. While that is open, now and then a look at what was set aside.
  void turn(core::SteadyTime now);
  // When turn() has something to do; nothing: once the detour is taken.
  [[nodiscard]] std::optional<core::SteadyTime> next_turn() const;
  // Nothing waits in the journal.
  [[nodiscard]] bool idle() const { return !detour_.taken(); }
  // Of the last turn that had something to do: what stood in the way.
  [[nodiscard]] const std::optional<core::Error>& trouble() const { return trouble_; }

  [[nodiscard]] const ReplayerStats& stats() const { return stats_; }

 private:
  using Entries = std::span<const JournalEntry>;
  enum class Step { Done, Later };

  [[nodiscard]] Step replay(Entries page);
  [[nodiscard]] Step replay_run(Entries run);
  [[nodiscard]] Step isolate(const JournalEntry& entry, const core::Error& refused);
  [[nodiscard]] bool may_pass(const core::Error& error);
  [[nodiscard]] Step refuse(const JournalEntry& entry, const core::Error& refused);
  [[nodiscard]] Step drop(const JournalEntry& entry);
  [[nodiscard]] core::Result<void> store(Entries run);
  [[nodiscard]] Step set_aside(const JournalEntry& entry, const std::string& reason);
  void done_through(Entries run);
  [[nodiscard]] Step away(Entries run, core::Error why);
  [[nodiscard]] Step put_off(const core::Error& why);
  void leave();

  const ReplayerLimits limits_;
  Detour& detour_;
  Journal& journal_;
  EventStore& events_;
  VantageStore& vantage_;
  const core::Clock& clock_;
  OutageWatch& watch_;
  const std::uint64_t jitter_seed_;

  core::SteadyTime now_ = core::kNoSteadyTime;
  core::SteadyTime retry_at_ = core::kNoSteadyTime;
  core::SteadyTime look_at_ = core::kNoSteadyTime;
  std::uint32_t attempts_failed_ = 0;
  std::size_t page_;                   // At most limits_.page.
  bool answered_ = false;              // The store took something since it was last away.
  bool under_way_ = false;             // This detour had a turn.
  std::uint64_t replayed_before_ = 0;  // stats_.replayed at the first.
  std::optional<core::Error> trouble_;
  std::unordered_set<core::SiteId> refused_;  // Set aside since the store took something.
  std::size_t unreadable_ = 0;  // Attempts since then at which it could not read a row.
  std::vector<EventWrite> writes_;  // A member for its memory.
  ReplayerStats stats_;
};

}  // namespace watchwheel::sideeffects
