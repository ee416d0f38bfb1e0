// SPDX-License-Identifier: Apache-2.0
// app/engine.h - the daemon's insides, joined: read engine.cc from top to bottom and you have read
// the architecture.
//
// Owns     every object and thread of the running daemon but the HTTP listener and the signals.
// Thread   make(), start(), drain_and_stop(): the main thread's. reload(): one caller at a time, and
//          not beside drain_and_stop() (the daemon's mutex sees to both). The readings: any thread.
// Bounded  every ring and table below has its size in engine.cc, with what happens when it is full.
// Fails    make() and start() say why they cannot (store, schema, descriptors, resolver). After
//          start nothing throws.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "app/cluster_member.h"
#include "app/config.h"
#include "app/limits.h"
#include "app/log.h"
#include "app/machine.h"
#include "app/memory_watch.h"
#include "app/notifier.h"
#include "app/store_road.h"
#include "app/vantage.h"
#include "app/verifiers.h"
#include "checker/stats.h"
#include "core/clock.h"
#include "core/result.h"
#include "db/store.h"
#include "scheduler/admission.h"
#include "scheduler/stats.h"
#include "sideeffects/history_keeper.h"
#include "sideeffects/warning_keeper.h"
#include "sideeffects/projector.h"
#include "sideeffects/shard.h"

namespace watchwheel::app {

struct FeederStats;
struct LaneStats;
struct LegacyReadStats;
struct LegacyWriteStats;

// One queue's three numbers. `refused`: offers turned away; of a mailbox, values replaced before
// they were taken.
struct QueueReading {
  std::string name;
  std::uint64_t depth = 0;
  std::uint64_t capacity = 0;
  std::uint64_t refused = 0;
};

// What may be read from outside while the engine runs: references into single-writer counters,
// valid as long as the engine.
struct LaneReading {
  const LaneStats& lane;
  const checker::Stats& checker;
  const scheduler::Stats& scheduler;
  const scheduler::AdmissionStats& admission;
  const core::VantageTally& vantage;
};

// The legacy table, where there is one; null where it is not read, or not written.
struct LegacyReading {
  std::string table;
  const LegacyReadStats* read = nullptr;
  const LegacyWriteStats* write = nullptr;
  core::Duration sweep_wanted{};
};

class Engine : core::Pinned {
 public:
  // Opens and migrates the store and builds everything; nothing runs yet. `meanwhile`: of StoreRoad::replay_left(). `sight`: for who
  // tries again and again (cluster_member.h). `store_there`: the store was opened, and from now on journal and notices in the state
  // directory are the engine's.
  [[nodiscard]] static core::Result<std::unique_ptr<Engine>> make(
      const Config& config, const core::Clock& clock, Log& log,
      const StoreRoad::Meanwhile& meanwhile = nullptr, NameSight* sight = nullptr,
      const std::function<void()>& store_there = nullptr);
  virtual ~Engine() = default;

  // Once. When it fails every thread that was started has ended; the engine can only be destroyed then.
  [[nodiscard]] virtual core::Result<void> start() = 0;
  // Closes admission, waits for the checks in flight (at most engine.drain_timeout), stops every
  // thread in the reverse order of their start, and commits what was judged. Returns when all
  // threads are joined.
  virtual void drain_and_stop() = 0;
  // Puts the new values in force that can be changed while running; see keys_needing_restart() for
  // the others.
  virtual void reload(const Config& config) = 0;

  // All sites known at start are in their lanes.
  [[nodiscard]] virtual bool loaded() const = 0;
  [[nodiscard]] virtual std::vector<LaneReading> lanes() const = 0;
  [[nodiscard]] virtual std::vector<const sideeffects::ShardStats*> shards() const = 0;
  // Sites whose facts the store would not take, with the reason: for the operator.
  [[nodiscard]] virtual std::vector<sideeffects::Poisoned> poisoned() const = 0;
  [[nodiscard]] virtual StoreRoadReading store_road() const = 0;
  [[nodiscard]] virtual const sideeffects::ProjectorStats& projector() const = 0;
  [[nodiscard]] virtual const FeederStats& feeder() const = 0;
  [[nodiscard]] virtual std::vector<QueueReading> queues() const = 0;
  [[nodiscard]] virtual const Machine& machine() const = 0;
  [[nodiscard]] virtual const Limits& limits() const = 0;
  // Of the main thread, about once a second: holds the process to its memory budget.
  virtual void watch_memory(core::SteadyTime now) = 0;
  [[nodiscard]] virtual const MemoryWatch& memory() const = 0;
  [[nodiscard]] virtual VantageReading vantage() const = 0;
  [[nodiscard]] virtual const VantageStats& vantage_stats() const = 0;
  [[nodiscard]] virtual LegacyReading legacy() const = 0;
  [[nodiscard]] virtual VerifiersReading verifiers() const = 0;
  [[nodiscard]] virtual core::WallTime started_at() const = 0;
  [[nodiscard]] virtual NotifierReading notifier() const = 0;
  [[nodiscard]] virtual const sideeffects::HistoryStats& history() const = 0;
  [[nodiscard]] virtual const sideeffects::WarningStats& warnings() const = 0;
  // Where several hosts share the store; else nothing.
  [[nodiscard]] virtual std::optional<ClusterReading> cluster() const = 0;
  [[nodiscard]] virtual const ClusterStats* cluster_stats() const = 0;
  [[nodiscard]] virtual std::uint64_t fenced_writes() const = 0;
  // Another process runs under our node's name: this one must end.
  [[nodiscard]] virtual bool usurped() const = 0;
};

}  // namespace watchwheel::app
