// SPDX-License-Identifier: Apache-2.0
// sideeffects/detour.h - which way writes go: into the store, or, from the first one that finds it away until the journal is empty
// again, into the journal.
//
// The whole daemon takes the detour together. A write that went into the store while older ones wait in the journal would
// overtake them; so everybody appends until the replayer (replayer.h) has emptied it, and only then is the straight way open
// again. What a writer was doing in the store at the moment of a change is harmless: its sites are its own, and what it
// had not finished comes behind what it finished.
//
// A commit whose answer was lost is kept like one that failed: when it is replayed, the store absorbs what it has of it.
//
// Owns     the decision. The journal outlives it.
// Thread   any. One mutex, held for a write to the journal's disk; taken() is an atomic.
// Bounded  by the journal: what it refuses the writer keeps, as it would without one.
// Fails    keep(): Unavailable or Unknown, with the journal's words.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <span>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/freshness_api.h"
#include "sideeffects/journal_api.h"
#include "sideeffects/vantage_store_api.h"

namespace watchwheel::sideeffects {

// Trying the same again cannot help, and the store answers: it is not away.
[[nodiscard]] bool refuses(const core::Error& error);

// What the operator is told: changes, not work. Implemented by app.
class OutageWatch {
 public:
  virtual ~OutageWatch() = default;
  // Thread: any writer's. The detour was taken; once an outage, at its beginning: what follows may hang.
  virtual void on_store_away(const core::Error& why) = 0;
  // Thread: the replayer's. All is in the store. `replayed`: writes.
  virtual void on_store_back(core::Duration away, std::uint64_t replayed) = 0;
  virtual void on_set_aside(core::SiteId site, const std::string& reason) = 0;
  // Thread: any writer's. The journal takes nothing; once, until it does again.
  virtual void on_journal_refuses(const core::Error& why) = 0;
  virtual void on_journal_takes_again() = 0;
};

// Written under the detour's mutex, read by any.
struct DetourStats {
  core::Counter taken;     // Times.
  core::Counter kept;      // Writes.
  core::Counter refusals;  // Of the journal.
  core::Gauge since_s;     // Unix time; 0: it is not taken.
  core::Gauge refusing;    // 1 while the journal takes nothing.
};

class Detour : core::Pinned {
 public:
  // Taken from the start when the journal holds something: an earlier process left it.
  Detour(Journal& journal, const core::Clock& clock, OutageWatch& watch);

  [[nodiscard]] bool taken() const { return taken_.load(); }
  // Called when it is taken, from the writer's thread. Set before the first writer runs.
  void on_taken(std::function<void()> wake) { wake_ = std::move(wake); }

  // Durable when it succeeds; from then on the detour is taken. `why`: what the store said, where it was asked.
  [[nodiscard]] core::Result<void> keep(std::span<const JournalWrite> writes,
                                        const core::Error* why);
  // The store could not be read: writers need not find out one by one.
  void take(const core::Error& why);
  // The store took a write straight: what the journal refused before is no trouble any more.
  void went_straight();
  // False: something waits in the journal. True: the straight way is open. `replayed`: since the detour was taken. Thread: the
  // replayer's.
  [[nodiscard]] bool leave(std::uint64_t replayed);

  [[nodiscard]] const DetourStats& stats() const { return stats_; }

 private:
  void take_locked(const core::Error* why);
  void forget_refusal();

  Journal& journal_;
  const core::Clock& clock_;
  OutageWatch& watch_;
  std::function<void()> wake_;
  std::mutex mutex_;
  std::atomic<bool> taken_{false};                   // Changed under mutex_.
  core::SteadyTime taken_at_ = core::kNoSteadyTime;  // Guarded by mutex_.
  bool told_ = false;                                // Guarded by mutex_.
  DetourStats stats_;
};

// A shard's store, and the journal when it is away.
class DetourEventStore final : public EventStore, core::Pinned {
 public:
  DetourEventStore(EventStore& store, Detour& detour) : store_(store), detour_(detour) {}

  // Succeeds also when the writes are in the journal. Otherwise as the store said, or the journal.
  [[nodiscard]] core::Result<void> commit(std::span<const EventWrite> writes) override;
  // Unavailable at once while the detour is taken: what the store has may be older than the journal.
  [[nodiscard]] core::Result<std::optional<StoredEvent>> open_event(core::SiteId site) override;
  [[nodiscard]] bool detoured() const override { return detour_.taken(); }

 private:
  EventStore& store_;
  Detour& detour_;
  std::vector<JournalWrite> writes_;  // A member for its memory.
};

class DetourVantageStore final : public VantageStore, core::Pinned {
 public:
  DetourVantageStore(VantageStore& store, Detour& detour) : store_(store), detour_(detour) {}

  [[nodiscard]] core::Result<void> put(const VantageEvent& event) override;
  // What was ended is not known when it went into the journal: 0.
  [[nodiscard]] core::Result<std::uint64_t> close_open(core::WallTime at) override;

 private:
  VantageStore& store_;
  Detour& detour_;
};

// The projector's sink. A mark says that the site was checked just now, and its row has the state of its newest stored event: beside
// an event that waits in the journal that would be "up, checked now" of a site that is down.
class DetourFreshnessSink final : public FreshnessSink, core::Pinned {
 public:
  DetourFreshnessSink(FreshnessSink& sink, const Detour& detour) : sink_(sink), detour_(detour) {}

  // Unavailable at once while the detour is taken: the marks wait, and coalesce, until the journal is empty.
  [[nodiscard]] core::Result<void> write(std::span<const core::FreshnessMark> marks) override;

 private:
  FreshnessSink& sink_;
  const Detour& detour_;
};

}  // namespace watchwheel::sideeffects
