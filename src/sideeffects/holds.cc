// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/holds.h"

#include <span>

namespace watchwheel::sideeffects {

Holds::Holds(const Settings& settings, const Stores& stores, const core::Clock& clock)
    : maintenance_(stores.windows, clock, settings.warn) {
  if (stores.parents != nullptr)
    parents_.emplace(*stores.parents, clock, settings.interval, settings.warn);
  if (stores.flapping != nullptr)
    flapping_.emplace(
        FlappingWatch::Settings{
            .policy = settings.flapping, .interval = settings.interval, .warn = settings.warn},
        *stores.flapping, clock);
}

void Holds::join(NoticeRouter::Settings& router) {
  router.hold = [this](const Notice& notice) {
    auto hold = maintenance_.hold(notice);
    // Of a warning neither a parent nor flapping is the reason.
    if (!hold && parents_ && notice.kind == core::EventKind::Outage)
      hold = parents_->hold(notice);
    return hold;  // The router asks flapping itself: it tells, too.
  };
  router.flapping = flapping_ ? &*flapping_ : nullptr;
  router.ready = [this] {
    if (parents_) parents_->turn();
    return maintenance_.ready();
  };
  if (!parents_) return;
  router.prepare = [this](std::span<const Notice> notices) { parents_->prepare(notices); };
  router.remark = [this](const Notice& notice) { return parents_->note(notice); };
}

void Holds::set_interval(core::Duration interval) {
  if (parents_) parents_->set_interval(interval);
  if (flapping_) flapping_->set_interval(interval);
}

const FlappingStats& Holds::flapping() const {
  return flapping_ ? flapping_->stats() : nobody_flaps_;
}

const ParentStats& Holds::parents() const {
  return parents_ ? parents_->stats() : nobody_has_any_;
}

}  // namespace watchwheel::sideeffects
