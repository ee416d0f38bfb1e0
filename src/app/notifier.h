// SPDX-License-Identifier: Apache-2.0
// app/notifier.h - from a committed transition to whoever is to be told: the router, the worker and the channels, joined.
//
//   store (outbox) ─► router ─► store (deliveries) ─► deliveries ─► channels ─► receivers
//
// Where there is a LocalNotices it stands between both and the store, and before this host's own file while the store is away.
//
// Owns     the three threads "router", "deliveries" and "channels", five sessions with the store.
// Thread   make(), start(), stop(): the engine's maker. note_commit(), reading(): any. reload(): one at a time.
// Bounded  what is under way (channels' attempts_max); all else is in the store.
// Fails    make(): the store, or no memory for libcurl. Then nothing throws; without a store they wait for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "app/local_notices.h"
#include "app/log.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "db/store.h"
#include "sideeffects/delivery_worker.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/notice_router.h"
#include "sideeffects/parent_watch.h"

namespace watchwheel::app {

struct NotifierSettings {
  sideeffects::NotifyTargets targets;
  std::string node;       // Who claims deliveries; the same after a restart.
  std::uint64_t run = 0;  // Another one after a restart.
  std::string user_agent;
  sideeffects::DeliveryRetention retention{};
  core::FlapPolicy flapping{};
  core::Duration interval = std::chrono::minutes{5};  // Of sites that have none of their own.
  std::function<bool(core::SiteId)> mine = [](core::SiteId) { return true; };
  std::string not_kept{};  // Why there is no LocalNotices where there should be one.
};

struct NotifierReading {
  const sideeffects::RouterStats& router;
  const sideeffects::FlappingStats& flapping;
  const sideeffects::ParentStats& parents;
  const sideeffects::DeliveryStats& deliveries;
  std::vector<sideeffects::TargetReading> targets;
  std::optional<LocalNoticesReading> local;
  std::string not_kept;  // NotifierSettings.
};

class Notifier : core::Pinned {
 public:
  [[nodiscard]] static core::Result<std::unique_ptr<Notifier>> make(NotifierSettings settings,
                                                                    db::Store& store,
                                                                    const core::Clock& clock,
                                                                    Log& log);
  // On what `local` gives: the store as long as that answers.
  [[nodiscard]] static core::Result<std::unique_ptr<Notifier>> make(
      NotifierSettings settings, std::unique_ptr<LocalNotices> local, const core::Clock& clock,
      Log& log);
  virtual ~Notifier() = default;

  virtual void start() = 0;
  // Nothing new is sent; what is committed from now on waits in the store for the next start.
  virtual void drain() = 0;
  // drain(), lets what is under way end until `deadline` and gives back the rest with its attempts. Joins.
  virtual void stop(core::SteadyTime deadline) = 0;
  // These were committed, or may have been.
  virtual void note_commit(std::span<const sideeffects::EventWrite> writes) = 0;
  // The feed, of which names are kept where that is needed.
  [[nodiscard]] virtual std::unique_ptr<db::SiteFeed> named(std::unique_ptr<db::SiteFeed> feed) = 0;
  // `interval`: of sites that have none of their own.
  virtual void reload(const sideeffects::NotifyTargets& targets, core::Duration interval) = 0;
  [[nodiscard]] virtual NotifierReading reading() const = 0;
};

// The store as the shards and the replayer see it: what it commits is told. `notifier` may be made later: what was committed before
// is found in the store.
class ToldEvents final : public sideeffects::EventStore {
 public:
  ToldEvents(std::unique_ptr<sideeffects::EventStore> store,
             const std::unique_ptr<Notifier>& notifier)
      : store_(std::move(store)), notifier_(notifier) {}
  core::Result<void> commit(std::span<const sideeffects::EventWrite> writes) override {
    auto done = store_->commit(writes);
    // Unknown may have been stored: looking costs little.
    if (notifier_ && (done || done.error().kind == core::ErrorKind::Unknown))
      notifier_->note_commit(writes);
    return done;
  }
  core::Result<std::optional<sideeffects::StoredEvent>> open_event(core::SiteId site) override {
    return store_->open_event(site);
  }

 private:
  const std::unique_ptr<sideeffects::EventStore> store_;
  const std::unique_ptr<Notifier>& notifier_;
};

}  // namespace watchwheel::app
