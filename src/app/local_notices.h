// SPDX-License-Identifier: Apache-2.0
// app/local_notices.h - the store's outbox, deliveries and maintenance windows, and this host's own in their place while the store is
// away (sideeffects/away_notices.h). For a daemon on a database server with a journal.
//
// Owns     notices.db in the state directory, beside the journal and under its lock; nine sessions with it at most, and six with the
//          store.
// Thread   make(): the engine's. note(), reading(): any. The others as what they return says.
// Bounded  as the mirror (sideeffects/notice_mirror_api.h), and what the journal holds; the store's windows.
// Fails    make(): Invalid of its file: then there is none, and notices wait for the store. Others of the store.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "app/log.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "db/store.h"
#include "sideeffects/away_notices.h"
#include "sideeffects/detour.h"
#include "sideeffects/flapping_api.h"
#include "sideeffects/maintenance_api.h"
#include "sideeffects/parents_api.h"

namespace watchwheel::app {

struct LocalNoticesReading {
  sideeffects::NoticePhase phase = sideeffects::NoticePhase::Straight;
  std::uint64_t times = 0;
  std::uint64_t presumed = 0;
  std::uint64_t handed_over = 0;
  std::uint64_t errors = 0;
};

// Which sites depend on which, as long as the store is there to say so; no session with it is tried meanwhile, which takes seconds.
class StoresParents final : public sideeffects::ParentStore, core::Pinned {
 public:
  // `store` null: it is away for good.
  StoresParents(std::unique_ptr<sideeffects::ParentStore> store,
                const sideeffects::AwayShared& shared)
      : store_(std::move(store)), shared_(shared) {}

  [[nodiscard]] bool reachable() const override {
    return store_ != nullptr && shared_.phase() == sideeffects::NoticePhase::Straight;
  }
  [[nodiscard]] core::Result<bool> any() override;
  [[nodiscard]] core::Result<std::vector<sideeffects::SiteKin>> kin(
      std::span<const sideeffects::Failing> sites) override;
  [[nodiscard]] core::Result<std::uint64_t> below(core::SiteId parent,
                                                  std::uint64_t limit) override;

 private:
  const std::unique_ptr<sideeffects::ParentStore> store_;
  const sideeffects::AwayShared& shared_;
};

class LocalNotices : core::Pinned {
 public:
  struct Settings {
    std::string directory;  // store.state_dir.
    sideeffects::Journal* journal = nullptr;
    sideeffects::Detour* detour = nullptr;              // Null with the store.
    std::function<bool()> alone = [] { return true; };  // No other host shares the store.
  };
  // `store` null: it is away, and this process ends or begins anew before it is back.
  [[nodiscard]] static core::Result<std::unique_ptr<LocalNotices>> make(const Settings& settings,
                                                                        db::Store* store,
                                                                        const core::Clock& clock,
                                                                        Log& log);
  ~LocalNotices();

  [[nodiscard]] sideeffects::Outbox& outbox();
  [[nodiscard]] sideeffects::DeliveryQueue& queue();
  [[nodiscard]] sideeffects::MaintenanceStore& windows();
  // The store's, and nobody's while that is away: then nothing begins to flap and nothing ceases to.
  [[nodiscard]] sideeffects::FlappingStore& flapping();
  // The store's, and nobody's while that is away: then nobody is held for the sake of another.
  [[nodiscard]] sideeffects::ParentStore& parents();
  // What the site list says of names is kept here.
  [[nodiscard]] std::unique_ptr<db::SiteFeed> named(std::unique_ptr<db::SiteFeed> feed);
  void note(std::span<const sideeffects::EventWrite> writes);
  // An earlier process ran alone within the last hour, and may have left something to tell. Before the threads.
  [[nodiscard]] bool was_alone();
  [[nodiscard]] LocalNoticesReading reading() const;

 private:
  struct Parts;
  explicit LocalNotices(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace watchwheel::app
