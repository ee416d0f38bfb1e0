// SPDX-License-Identifier: Apache-2.0
// app/history.h - what the daemon keeps of the past: the keeper (sideeffects/history_keeper.h) on a thread of its own, "history".
//
// Owns     the thread and a session with the store.
// Thread   make(), start(), stop(): the engine's maker. set(): one at a time. stats(): any.
// Fails    make(): the store. Then nothing throws; without a store it waits for it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/config.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "db/store.h"
#include "sideeffects/history_keeper.h"
#include "sideeffects/turn_thread.h"

namespace prometheus {
struct MetricFamily;
}

namespace watchwheel::app {

// Sites of a process whose response times are kept by the hour too, when nothing else is said.
inline constexpr std::size_t kHourlySites = 100'000;

[[nodiscard]] sideeffects::HistoryRetention history_retention(const HistoryConfig& config);
// Of each of so many lanes.
[[nodiscard]] std::size_t hourly_sites_max(const HistoryConfig& config, std::size_t lanes);

class History : core::Pinned {
 public:
  History(sideeffects::HistoryKeeper::Settings settings,
          std::unique_ptr<sideeffects::HistoryStore> store, const core::Clock& clock)
      : store_(std::move(store)),
        keeper_(std::move(settings), *store_, clock),
        thread_("history", keeper_, clock) {}
  [[nodiscard]] static core::Result<std::unique_ptr<History>> make(
      sideeffects::HistoryKeeper::Settings settings, db::Store& store, const core::Clock& clock);

  void start() { thread_.start(); }
  // A step under way ends; what it has not removed is removed by the next run.
  void stop(core::SteadyTime deadline) { thread_.stop(deadline); }
  // After stop(), when nobody gathers any more: HistoryKeeper::write_rest().
  [[nodiscard]] bool write_rest(core::SteadyTime deadline) { return keeper_.write_rest(deadline); }
  // After stop(): pages of response times that were taken and are not known to be written.
  [[nodiscard]] std::size_t pages_in_hand() const { return keeper_.pages_in_hand(); }
  void set(const sideeffects::HistoryRetention& retention) { keeper_.set(retention); }
  [[nodiscard]] const sideeffects::HistoryStats& stats() const { return keeper_.stats(); }

 private:
  const std::unique_ptr<sideeffects::HistoryStore> store_;
  sideeffects::HistoryKeeper keeper_;
  sideeffects::TurnThread thread_;
};

// `deliveries`: rows that the delivery worker removed.
void append_history_metrics(const sideeffects::HistoryStats& stats, std::uint64_t deliveries,
                            std::vector<prometheus::MetricFamily>& out);

}  // namespace watchwheel::app
