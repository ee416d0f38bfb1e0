// SPDX-License-Identifier: Apache-2.0
// app/warnings.h - warnings as events, in the daemon: the keeper (sideeffects/warning_keeper.h) on a thread of its own, "warnings".
//
//   projector ─► store (freshness);   what was written ─► warnings ─► store (events, transitions, notices)
//
// Owns     the thread and a session with the store.
// Thread   make(), start(), stop(): the engine's maker. set(): one at a time. note(), stats(): any.
// Fails    make(): the store. Then nothing throws; without a store it waits for it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/buckets.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "db/store.h"
#include "sideeffects/freshness_api.h"
#include "sideeffects/turn_thread.h"
#include "sideeffects/warning_keeper.h"

namespace prometheus {
struct MetricFamily;
}

namespace watchwheel::app {

class Warnings : core::Pinned {
 public:
  Warnings(sideeffects::WarningKeeper::Settings settings,
           std::unique_ptr<sideeffects::WarningStore> store, const core::Clock& clock)
      : store_(std::move(store)),
        keeper_(woken(std::move(settings)), *store_, clock),
        thread_("warnings", keeper_, clock) {}
  // `buckets`: which sites are ours; null: all.
  [[nodiscard]] static core::Result<std::unique_ptr<Warnings>> make(
      sideeffects::WarningKeeper::Settings settings, const core::BucketTable* buckets,
      const db::Fencing& fencing, db::Store& store, const core::Clock& clock);

  void start() { thread_.start(); }
  // What is noted and not written is seen again by the next run.
  void stop(core::SteadyTime deadline) { thread_.stop(deadline); }
  void set(const sideeffects::WarningPolicy& policy) { keeper_.set(policy); }
  void note(std::span<const core::FreshnessMark> marks) { keeper_.note(marks); }
  [[nodiscard]] const sideeffects::WarningStats& stats() const { return keeper_.stats(); }

 private:
  sideeffects::WarningKeeper::Settings woken(sideeffects::WarningKeeper::Settings settings) {
    settings.wake = [this] { thread_.wake(); };
    return settings;
  }

  const std::unique_ptr<sideeffects::WarningStore> store_;
  sideeffects::WarningKeeper keeper_;
  sideeffects::TurnThread thread_;
};

// A store's freshness writes, each followed by a look for warnings. `warnings` may be made later; it outlives the last write.
class WarnedFreshness final : public sideeffects::FreshnessSink {
 public:
  WarnedFreshness(std::unique_ptr<sideeffects::FreshnessSink> sink,
                  const std::unique_ptr<Warnings>& warnings)
      : sink_(std::move(sink)), warnings_(warnings) {}
  core::Result<void> write(std::span<const core::FreshnessMark> marks) override {
    auto done = sink_->write(marks);
    if (warnings_ && (done || done.error().kind == core::ErrorKind::Unknown))
      warnings_->note(marks);
    return done;
  }

 private:
  const std::unique_ptr<sideeffects::FreshnessSink> sink_;
  const std::unique_ptr<Warnings>& warnings_;
};

void append_warning_metrics(const sideeffects::WarningStats& stats,
                            std::vector<prometheus::MetricFamily>& out);

}  // namespace watchwheel::app
