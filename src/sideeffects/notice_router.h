// SPDX-License-Identifier: Apache-2.0
// sideeffects/notice_router.h - takes what was committed out of the outbox and puts in its place what is to be sent (routing.h).
//
// Owns     which mass outages are being gathered into a message.
// Thread   turn(), next_turn(): the router's own. set_targets(): any; one mutex, held to copy a pointer.
// Bounded  a turn settles at most kNoticesMax notices, and so many that there are at most about kDeliveriesMax deliveries, or as
//          much text in those about mass outages; at most kGroupsMax mass outages are remembered.
// Fails    store away: later, with backoff, for ever; nothing is lost, for a notice goes away only together with what came of it. A
//          notice of which nothing can ever be stored is settled without telling anybody, counted and logged.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <utility>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/chore.h"
#include "sideeffects/flapping_watch.h"
#include "sideeffects/routing.h"

namespace watchwheel::sideeffects {

struct RouterStats {
  core::Counter notices;     // Settled.
  core::Counter deliveries;  // Made of them.
  // Kept back by a hold, by its reason, once each time it was looked at.
  std::array<core::Counter, kHoldReasonCount> held;
  core::Counter unstorable;  // Notices of which nothing could be stored.
  core::Counter errors;      // Of the store.
  core::Gauge waiting;       // Notices, at the last look.
  core::Gauge oldest_s;
};

class NoticeRouter final : public Chore, core::Pinned {
 public:
  static constexpr std::size_t kNoticesMax = 1000;
  static constexpr std::size_t kDeliveriesMax = 5000;
  static constexpr std::size_t kGroupsMax = 1000;

  struct Settings {
    core::Duration digest_first = std::chrono::seconds{
        5};  // The first message of a mass outage waits so long for more sites.
    core::Duration digest_later = std::chrono::seconds{30};  // And each further one.
    core::Duration warnings_later = std::chrono::minutes{5};  // And each further one of a warning: marks come over a projection interval.
    core::Duration poll = std::chrono::seconds{1};  // Wakes fall due without anybody calling.
    std::function<bool(core::SiteId)> mine = [](core::SiteId) { return true; };
    // Asked before the rest of a turn: what hold and remark will be asked about.
    std::function<void(std::span<const Notice>)> prepare = [](std::span<const Notice>) {};
    std::function<std::optional<Hold>(const Notice&)> hold = [](const Notice&) {
      return std::optional<Hold>{};
    };
    std::function<std::string(const Notice&)> remark = [](const Notice&) { return std::string{}; };
    FlappingWatch* flapping = nullptr;  // Null: nobody flaps.
    // Asked at the beginning of each turn. An error: it cannot be known yet what is held. All stays where it is; a hold would drop an outage that ends meanwhile.
    std::function<core::Result<void>()> ready = [] { return core::Result<void>{}; };
    std::function<void()> delivered = [] {};  // There is something to send.
    std::function<void(const std::string&)> warn = [](const std::string&) {};
  };

  NoticeRouter(Settings settings, Outbox& outbox, std::shared_ptr<const NotifyTargets> targets,
               const core::Clock& clock, std::uint64_t seed);

  // From the next turn on.
  void set_targets(std::shared_ptr<const NotifyTargets> targets);

  void turn(core::SteadyTime now) override;
  [[nodiscard]] std::optional<core::SteadyTime> next_turn() const override { return next_; }

  [[nodiscard]] const RouterStats& stats() const { return stats_; }

 private:
  using Group = std::pair<std::uint64_t, bool>;  // The mass outage; whether it is about its end.

  [[nodiscard]] Routing decide(std::span<const Notice> notices, const NotifyTargets& targets,
                               const RouteContext& context) const;
  [[nodiscard]] core::Duration digest_wait(Group group, core::SteadyTime now);
  void note_digests(const Routing& routing, bool more, core::SteadyTime now);
  // Nothing: it was settled, or need not be any more.
  [[nodiscard]] core::Result<void> settle(const Routing& routing, std::span<const Notice> notices,
                                          const NotifyTargets& targets,
                                          const RouteContext& context);
  [[nodiscard]] core::Result<void> settle_apart(std::span<const Notice> notices,
                                                const NotifyTargets& targets,
                                                const RouteContext& context);
  void look_at_level(core::SteadyTime now);
  void failed(const core::Error& error, core::SteadyTime now);

  const Settings settings_;
  Outbox& outbox_;
  const core::Clock& clock_;
  std::uint64_t random_;
  std::mutex mutex_;
  std::shared_ptr<const NotifyTargets> targets_;  // Guarded by mutex_.
  std::map<Group, core::SteadyTime> gathering_;   // Until when.
  core::SteadyTime next_ = core::SteadyTime::min();
  core::SteadyTime level_at_ = core::SteadyTime::min();
  std::uint32_t failures_ = 0;
  RouterStats stats_;
};

}  // namespace watchwheel::sideeffects
