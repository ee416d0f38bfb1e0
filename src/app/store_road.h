// SPDX-License-Identifier: Apache-2.0
// app/store_road.h - the way of events into the store, with the journal for when a database server is away (ADR 0016).
//
// The embedded store has none: what ends it, its disk or its file, would end a journal beside it too.
//
// Owns     the journal, the detour, the replayer with two sessions of its own, its thread.
// Thread   make(), replay_left(), start(), stop(): the engine's. reading(): any; locks held to copy.
// Bounded  the journal by store.journal_max; kSetAsideShown entries set aside are shown.
// Fails    a journal that cannot be used is told (log, status, /-/ready) and done without: to watch is worth more. Then facts
//          wait in memory while the store is away, as they do when the journal is full. One that another process has is waited for
//          (Unavailable): that process watches, and what it leaves must be in the store before ours.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/log.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "db/store.h"
#include "sideeffects/detour.h"

namespace watchwheel::app {

struct StoreRoadReading {
  bool has_journal = false;
  std::string journal_trouble;               // Why there is none though there should be.
  std::string foreign;                       // Where a journal went that was written for another store.
  bool detoured = false;                     // Writes go to the journal.
  bool replaying = false;                    // The store is back, and takes what is there.
  core::WallTime since = core::kNoWallTime;  // Of that.
  bool refusing = false;  // The journal takes nothing: what is judged waits in memory.
  sideeffects::JournalReading journal;
  std::uint64_t detours = 0;
  std::uint64_t kept = 0;
  std::uint64_t replayed = 0;
  std::uint64_t refusals = 0;
  std::uint64_t replay_errors = 0;
  std::uint64_t set_aside = 0;  // By this process.
  std::uint64_t fenced = 0;     // Dropped when they were replayed: their sites are another node's.
  std::vector<sideeffects::SetAside> shown_aside;
};

// "degraded: …" in words, or "" when all is well.
[[nodiscard]] std::string degraded(const StoreRoadReading& road);

class StoreRoad : core::Pinned {
 public:
  static constexpr std::size_t kSetAsideShown = 20;

  // How many writes an earlier process left in the journal; why it cannot be read. Changes nothing: what is damaged stays for make() to
  // tell. For a daemon that waits for its store.
  [[nodiscard]] static core::Result<std::uint64_t> left_behind(const StoreConfig& config);

  // Another process has the journal: an earlier one that has not ended, or a second daemon with our state directory.
  [[nodiscard]] static bool journal_in_use(const StoreConfig& config);

  // Put around the store that the replayer writes to.
  using Wrap = std::function<std::unique_ptr<sideeffects::EventStore>(
      std::unique_ptr<sideeffects::EventStore>)>;
  // The sessions with the store are opened here.
  [[nodiscard]] static core::Result<std::unique_ptr<StoreRoad>> make(const StoreConfig& config,
                                                                     db::Store& store,
                                                                     const core::Clock& clock,
                                                                     Log& log, std::uint64_t seed,
                                                                     const Wrap& wrap,
                                                                     const db::Fencing& fencing);
  ~StoreRoad();

  // Brings what an earlier process left into the store, before anything is read from there; `meanwhile` is called between its
  // steps with what is left, and ends it by false. Unavailable: the store went away and took nothing more when it was asked again.
  using Meanwhile = std::function<bool(std::uint64_t entries)>;
  [[nodiscard]] core::Result<void> replay_left(const Meanwhile& meanwhile);
  // Null: everything goes straight.
  [[nodiscard]] sideeffects::Detour* detour();

  // Null with detour().
  [[nodiscard]] sideeffects::Journal* journal();

  // Told of each site of which a write was set aside. Before start(); from the replayer's thread.
  void on_set_aside(std::function<void(core::SiteId)> told);
  void start();
  // After the writers have stopped. What the store does not take until then stays in the journal.
  void stop(core::SteadyTime deadline);

  [[nodiscard]] StoreRoadReading reading() const;

 private:
  struct Parts;
  StoreRoad();
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::app
