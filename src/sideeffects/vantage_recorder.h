// SPDX-License-Identifier: Apache-2.0
// sideeffects/vantage_recorder.h - stores the faults of the vantage, on a shard's thread: the vantage's own must not block.
//
// Owns     what waits to be stored.
// Thread   post(): the vantage's. turn(), next_turn(): the shard's. One mutex, held to copy a few values.
// Bounded  kWaitingMax events; beyond, while the store is away, a further one is told as the last one going on.
// Fails    store away: tried again with backoff, for ever. A write it will not take is dropped and counted.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>

#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/backoff.h"
#include "sideeffects/chore.h"
#include "sideeffects/vantage_store_api.h"

namespace watchwheel::sideeffects {

class VantageRecorder final : public Chore, core::Pinned {
 public:
  static constexpr std::size_t kWaitingMax = 256;

  // `opened_before`: what is open in the store from before this moment is ended at it, first.
  VantageRecorder(VantageStore& store, core::WallTime opened_before, std::function<void()> wake);

  // The newest word on an event; replaces what waits under the same start.
  void post(const VantageEvent& event);

  void turn(core::SteadyTime now) override;
  [[nodiscard]] std::optional<core::SteadyTime> next_turn() const override;

  [[nodiscard]] std::uint64_t errors() const { return errors_.value(); }

 private:
  // False: later.
  [[nodiscard]] bool done(const core::Result<void>& stored, core::SteadyTime now);

  VantageStore& store_;
  const core::WallTime opened_before_;
  const std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::deque<VantageEvent> waiting_;  // Guarded by mutex_.
  bool closed_old_ = false;           // The rest: the shard's thread alone.
  std::uint32_t failed_ = 0;
  core::SteadyTime retry_at_ = core::kNoSteadyTime;
  core::Counter errors_;
};

}  // namespace watchwheel::sideeffects
