// SPDX-License-Identifier: Apache-2.0
// incident_store.h - the road between a simulated process and its store, with what may go wrong on it: the process dies before a call
// or when it is done, the store is away, an answer is lost before or after the work.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.h"
#include "sideeffects/delivery_queue_api.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/flapping_api.h"
#include "sideeffects/maintenance_api.h"
#include "sideeffects/operator_api.h"
#include "sideeffects/parents_api.h"
#include "sideeffects/warning_api.h"

namespace watchwheel::sim {

class StoreTrouble {
 public:
  struct Killed {};  // Thrown out of the call at which the process dies.

  bool away = false;
  std::uint32_t lose_every =
      0;  // Of its answers every n-th is lost, half of them after it was done. 0: none.
  std::size_t kill_after = 0;  // Calls. 0: it lives.
  bool kill_done = false;

  template <typename Call>
  auto through(Call call) -> decltype(call()) {
    if (auto error = before()) return *std::move(error);
    auto result = call();
    if (auto error = after()) return *std::move(error);
    return result;
  }

 private:
  // Called before a call is made and when it was; an error is what the caller gets.
  [[nodiscard]] std::optional<core::Error> before();
  [[nodiscard]] std::optional<core::Error> after();

  std::uint64_t calls_ = 0;
  bool lost_ = false;
};

class EventRoad final : public sideeffects::EventStore {
 public:
  // `committed`: these are stored. `news`: there may be something to tell.
  EventRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::EventStore> inner,
            std::function<void(std::span<const sideeffects::EventWrite>)> committed,
            std::function<void()> news)
      : trouble_(trouble),
        inner_(std::move(inner)),
        committed_(std::move(committed)),
        news_(std::move(news)) {}
  core::Result<void> commit(std::span<const sideeffects::EventWrite> writes) override {
    auto done = trouble_.through([&] {
      core::Result<void> stored = inner_->commit(writes);
      if (stored) committed_(writes);
      return stored;
    });
    if (done || done.error().kind == core::ErrorKind::Unknown) news_();
    return done;
  }
  core::Result<std::optional<sideeffects::StoredEvent>> open_event(core::SiteId site) override {
    return trouble_.through([&] { return inner_->open_event(site); });
  }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::EventStore> inner_;
  const std::function<void(std::span<const sideeffects::EventWrite>)> committed_;
  const std::function<void()> news_;
};

class NoticeRoad final : public sideeffects::Outbox {
 public:
  NoticeRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::Outbox> inner)
      : trouble_(trouble), inner_(std::move(inner)) {}
  core::Result<std::vector<sideeffects::Notice>> take(
      std::size_t limit, const std::function<bool(core::SiteId)>& mine) override {
    return trouble_.through([&] { return inner_->take(limit, mine); });
  }
  core::Result<sideeffects::Settling> settle(std::span<const sideeffects::NoticeId> notices,
                                             std::span<const sideeffects::NewDelivery> deliveries,
                                             std::span<const sideeffects::NewWake> wakes) override {
    return trouble_.through([&] { return inner_->settle(notices, deliveries, wakes); });
  }
  core::Result<Level> level() override {
    return trouble_.through([&] { return inner_->level(); });
  }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::Outbox> inner_;
};

class QueueRoad final : public sideeffects::DeliveryQueue {
 public:
  QueueRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::DeliveryQueue> inner)
      : trouble_(trouble), inner_(std::move(inner)) {}
  core::Result<sideeffects::Claimed> claim(std::span<const sideeffects::Want> wants,
                                           core::Duration lease,
                                           const sideeffects::Claimer& claimer) override {
    return trouble_.through([&] { return inner_->claim(wants, lease, claimer); });
  }
  core::Result<std::vector<sideeffects::DeliveryId>> finish(
      std::span<const sideeffects::Finish> finished) override {
    return trouble_.through([&] { return inner_->finish(finished); });
  }
  core::Result<std::vector<sideeffects::DeliveryId>> extend(std::span<const sideeffects::Held> held,
                                                            core::Duration lease) override {
    return trouble_.through([&] { return inner_->extend(held, lease); });
  }
  core::Result<std::uint64_t> release_former(const sideeffects::Claimer& claimer) override {
    return trouble_.through([&] { return inner_->release_former(claimer); });
  }
  core::Result<std::uint64_t> bury_waiting(std::string_view target, sideeffects::DeathReason reason,
                                           std::size_t limit) override {
    return trouble_.through([&] { return inner_->bury_waiting(target, reason, limit); });
  }
  core::Result<std::uint64_t> bury_older(std::string_view target, sideeffects::DeathReason reason,
                                         core::Duration age, std::size_t limit) override {
    return trouble_.through([&] { return inner_->bury_older(target, reason, age, limit); });
  }
  core::Result<void> note_targets(std::span<const std::string> targets) override {
    return trouble_.through([&] { return inner_->note_targets(targets); });
  }
  core::Result<std::vector<sideeffects::TargetLevel>> levels() override {
    return trouble_.through([&] { return inner_->levels(); });
  }
  core::Result<std::uint64_t> purge(const sideeffects::DeliveryRetention& retention,
                                    std::size_t limit) override {
    return trouble_.through([&] { return inner_->purge(retention, limit); });
  }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::DeliveryQueue> inner_;
};

class WindowRoad final : public sideeffects::MaintenanceStore {
 public:
  WindowRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::MaintenanceStore> inner)
      : trouble_(trouble), inner_(std::move(inner)) {}
  core::Result<std::vector<sideeffects::MaintenanceWindow>> list(core::WallTime now) override {
    return trouble_.through([&] { return inner_->list(now); });
  }
  core::Result<sideeffects::MaintenanceId> add(
      const sideeffects::MaintenanceWindow& window) override {
    return inner_->add(window);
  }
  core::Result<void> remove(sideeffects::MaintenanceId id) override { return inner_->remove(id); }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::MaintenanceStore> inner_;
};

class FlappingRoad final : public sideeffects::FlappingStore {
 public:
  FlappingRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::FlappingStore> inner)
      : trouble_(trouble), inner_(std::move(inner)) {}
  core::Result<std::vector<sideeffects::FlappingSite>> flapping() override {
    return trouble_.through([&] { return inner_->flapping(); });
  }
  core::Result<std::vector<sideeffects::SiteChanges>> changes(std::span<const core::SiteId> sites,
                                                              core::Duration interval,
                                                              core::WallTime now) override {
    return trouble_.through([&] { return inner_->changes(sites, interval, now); });
  }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::FlappingStore> inner_;
};

class ParentRoad final : public sideeffects::ParentStore {
 public:
  // `answered`: whether there was an answer.
  ParentRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::ParentStore> inner,
             std::function<void(bool answered)> answered)
      : trouble_(trouble), inner_(std::move(inner)), answered_(std::move(answered)) {}
  core::Result<bool> any() override {
    auto any = trouble_.through([&] { return inner_->any(); });
    if (!any) answered_(false);
    return any;
  }
  core::Result<std::vector<sideeffects::SiteKin>> kin(
      std::span<const sideeffects::Failing> sites) override {
    auto kin = trouble_.through([&] { return inner_->kin(sites); });
    answered_(kin.has_value());
    return kin;
  }
  core::Result<std::uint64_t> below(core::SiteId parent, std::uint64_t limit) override {
    return trouble_.through([&] { return inner_->below(parent, limit); });
  }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::ParentStore> inner_;
  const std::function<void(bool)> answered_;
};

class WarningRoad final : public sideeffects::WarningStore {
 public:
  WarningRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::WarningStore> inner)
      : trouble_(trouble), inner_(std::move(inner)) {}
  core::Result<std::vector<sideeffects::OpenWarning>> open(core::SiteId site, core::EventKind kind,
                                                           std::size_t limit) override {
    return trouble_.through([&] { return inner_->open(site, kind, limit); });
  }
  core::Result<std::vector<bool>> commit(
      std::span<const sideeffects::WarningWrite> writes) override {
    return trouble_.through([&] { return inner_->commit(writes); });
  }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::WarningStore> inner_;
};

// The side of those who do what is asked.
class DeskRoad final : public sideeffects::OperatorDesk {
 public:
  DeskRoad(StoreTrouble& trouble, std::unique_ptr<sideeffects::OperatorDesk> inner)
      : trouble_(trouble), inner_(std::move(inner)) {}
  core::Result<sideeffects::RequestId> ask(const sideeffects::OperatorRequest& request) override {
    return inner_->ask(request);
  }
  core::Result<sideeffects::RequestOutcome> outcome(sideeffects::RequestId request) override {
    return inner_->outcome(request);
  }
  core::Result<std::vector<sideeffects::OperatorRequest>> waiting() override {
    return trouble_.through([&] { return inner_->waiting(); });
  }
  core::Result<void> refuse(sideeffects::RequestId request, const std::string& why) override {
    return trouble_.through([&] { return inner_->refuse(request, why); });
  }

 private:
  StoreTrouble& trouble_;
  const std::unique_ptr<sideeffects::OperatorDesk> inner_;
};

}  // namespace watchwheel::sim
