// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/notice_router.h"

#include <algorithm>

#include "core/hash.h"
#include "sideeffects/backoff.h"
#include "sideeffects/warning_routing.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

constexpr core::Duration kLevelEach = 15s;
constexpr core::Duration kForgetGroup = 1h;
// Something was left where it is until others that are due at the same moment are there.
constexpr core::Duration kPollGathering = 100ms;
// With many targets there is only so much that one transaction should hold. Sites of one mass outage, or warning, share a message to each
// target, and only when they are settled together: they weigh what a site in a message does, and others a message of their own.
constexpr std::size_t kNamesOfADelivery = 20;
constexpr std::size_t kNamesMax = NoticeRouter::kDeliveriesMax * kNamesOfADelivery;
constexpr std::size_t kNoticesMin = 10;

std::span<const Notice> fit(std::span<const Notice> notices, std::size_t targets) {
  std::size_t names = 0;
  std::size_t count = 0;
  for (const Notice& notice : notices) {
    const bool shares = notice.group != 0 || notice.kind != core::EventKind::Outage;
    names += targets * (shares ? 1 : kNamesOfADelivery);
    if (names > kNamesMax && count >= kNoticesMin) break;
    ++count;
  }
  return notices.first(count);
}

}  // namespace

NoticeRouter::NoticeRouter(Settings settings, Outbox& outbox,
                           std::shared_ptr<const NotifyTargets> targets, const core::Clock& clock,
                           std::uint64_t seed)
    : settings_(std::move(settings)),
      outbox_(outbox),
      clock_(clock),
      random_(core::stable_hash(seed)),
      targets_(std::move(targets)) {}

void NoticeRouter::set_targets(std::shared_ptr<const NotifyTargets> targets) {
  const std::lock_guard lock(mutex_);
  targets_ = std::move(targets);
}

void NoticeRouter::turn(core::SteadyTime now) {
  const std::shared_ptr<const NotifyTargets> targets = [this] {
    const std::lock_guard lock(mutex_);
    return targets_;
  }();
  if (const auto ready = settings_.ready(); !ready) return failed(ready.error(), now);
  const auto taken = outbox_.take(kNoticesMax, settings_.mine);
  if (!taken) return failed(taken.error(), now);
  // With the first notices it is known whether the store is there to say who flaps.
  if (settings_.flapping != nullptr && !taken->empty()) {
    if (const auto ready = settings_.flapping->ready(); !ready) return failed(ready.error(), now);
  }

  for (const Notice& notice : *taken) {
    if (notice.problem.empty()) continue;
    stats_.unstorable.add();
    settings_.warn("notice_unreadable site=" + std::to_string(notice.site.value) + " event=" +
                   std::to_string(notice.event.value) + " why=\"" + notice.problem + "\"");
  }
  const RouteContext context{.now = clock_.wall(),
                             .digest_wait =
                                 [this, now](std::uint64_t group, bool ends) {
                                   return digest_wait({group, ends}, now);
                                 },
                             .hold = [this](const Notice& notice) {
                               auto hold = settings_.hold(notice);
                               const bool outage = notice.kind == core::EventKind::Outage;
                               return hold || settings_.flapping == nullptr || !outage
                                          ? hold
                                          : settings_.flapping->hold(notice);
                             },
                             .remark = settings_.remark};
  const std::span<const Notice> notices = fit(*taken, targets->size());
  if (!targets->empty()) settings_.prepare(notices);
  if (settings_.flapping != nullptr) settings_.flapping->look(notices, settings_.hold);
  const Routing routing = decide(notices, *targets, context);
  if (const auto done = settle(routing, notices, *targets, context); !done)
    return failed(done.error(), now);

  const bool all = notices.size() == taken->size() && taken->size() < kNoticesMax;
  const bool more = !all && !routing.settled.empty();
  note_digests(routing, more, now);
  for (std::size_t i = 0; i < kHoldReasonCount; ++i) stats_.held.at(i).add(routing.held.at(i));
  if (!routing.deliveries.empty()) settings_.delivered();
  failures_ = 0;
  random_ = core::stable_hash(random_);
  const core::Duration jitter{static_cast<core::Duration::rep>(
      random_ % static_cast<std::uint64_t>(settings_.poll.count() / 10))};
  next_ = !routing.settled.empty() ? now
          : taken->empty()         ? now + settings_.poll - jitter
                                   : now + kPollGathering;
  look_at_level(now);
}

Routing NoticeRouter::decide(std::span<const Notice> notices, const NotifyTargets& targets,
                             const RouteContext& context) const {
  Routing routing = route(notices, targets, context);
  if (settings_.flapping != nullptr) settings_.flapping->add(notices, targets, routing);
  return routing;
}

core::Duration NoticeRouter::digest_wait(Group group, core::SteadyTime now) {
  const auto known = gathering_.find(group);
  if (known != gathering_.end()) return known->second - now;
  std::erase_if(gathering_, [&](const auto& entry) { return entry.second + kForgetGroup < now; });
  if (gathering_.size() >= kGroupsMax) return {};
  gathering_.emplace(group, now + settings_.digest_first);
  return settings_.digest_first;
}

// Those that are left of a batch that was too large are of the same message as it were: they need not wait again.
void NoticeRouter::note_digests(const Routing& routing, bool more, core::SteadyTime now) {
  if (more) return;
  for (const Group& group : routing.digests) {
    const bool of_warnings = (group.first & kWarningsGroup) != 0;
    gathering_[group] = now + (of_warnings ? settings_.warnings_later : settings_.digest_later);
  }
}

core::Result<void> NoticeRouter::settle(const Routing& routing, std::span<const Notice> notices,
                                        const NotifyTargets& targets, const RouteContext& context) {
  if (routing.settled.empty()) return {};
  const auto done = outbox_.settle(routing.settled, routing.deliveries, routing.wakes);
  if (!done) {
    if (done.error().kind == core::ErrorKind::Invalid)
      return settle_apart(notices, targets, context);
    return done.error();
  }
  // Stale: what was done before, or by somebody else, is counted there.
  if (*done == Settling::Stale) {
    if (settings_.flapping != nullptr) settings_.flapping->doubt();
    return {};
  }
  if (settings_.flapping != nullptr) settings_.flapping->settled(routing.settled);
  stats_.notices.add(routing.settled.size());
  stats_.deliveries.add(routing.deliveries.size());
  return {};
}

// One of them cannot be stored: each by itself, and that one without telling anybody.
core::Result<void> NoticeRouter::settle_apart(std::span<const Notice> notices,
                                              const NotifyTargets& targets,
                                              const RouteContext& context) {
  for (const Notice& notice : notices) {
    const Routing alone = decide({&notice, 1}, targets, context);
    if (alone.settled.empty()) continue;
    auto done = outbox_.settle(alone.settled, alone.deliveries, alone.wakes);
    if (!done && done.error().kind == core::ErrorKind::Invalid) {
      settings_.warn("notice_unstorable site=" + std::to_string(notice.site.value) + " event=" +
                     std::to_string(notice.event.value) + " why=\"" + done.error().message + "\"");
      stats_.unstorable.add();
      if (settings_.flapping != nullptr) settings_.flapping->doubt();
      done = outbox_.settle({&notice.id, 1}, {}, {});  // What waits of former events is told by itself.
    }
    if (!done) return done.error();
    if (*done == Settling::Stale) {
      if (settings_.flapping != nullptr) settings_.flapping->doubt();
      continue;
    }
    if (settings_.flapping != nullptr) settings_.flapping->settled(alone.settled);
    stats_.notices.add(alone.settled.size());
    stats_.deliveries.add(alone.deliveries.size());
  }
  return {};
}

void NoticeRouter::look_at_level(core::SteadyTime now) {
  if (now < level_at_) return;
  level_at_ = now + kLevelEach;
  const auto level = outbox_.level();
  if (!level) return stats_.errors.add();
  stats_.waiting.set(static_cast<double>(level->waiting));
  stats_.oldest_s.set(core::to_seconds(level->oldest));
}

void NoticeRouter::failed(const core::Error& error, core::SteadyTime now) {
  if (settings_.flapping != nullptr) settings_.flapping->doubt();
  stats_.errors.add();
  if (++failures_ == 1) settings_.warn("notices_not_routed why=\"" + error.message + "\"");
  random_ = core::stable_hash(random_);
  next_ = now + backoff_delay({}, failures_, random_);
}

}  // namespace watchwheel::sideeffects
