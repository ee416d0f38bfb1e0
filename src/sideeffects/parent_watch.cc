// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/parent_watch.h"

#include <algorithm>

namespace watchwheel::sideeffects {

std::optional<core::Duration> held_by_parents(const Notice& notice,
                                              std::span<const ParentOutage> above,
                                              core::Duration interval, core::WallTime now) {
  const core::Duration lasted =
      notice.started_at == core::kNoWallTime ? core::Duration{} : now - notice.started_at;
  const core::Duration again = std::clamp<core::Duration>(lasted / 4, ParentWatch::kLookAgainMin,
                                                          ParentWatch::kLookAgainMax);
  std::optional<core::Duration> held;
  for (const ParentOutage& outage : above) {
    if (outage.ended_at == core::kNoWallTime) return again;
    // Before that the child was well: what it has now is its own.
    const bool covered =
        outage.confirmed_at != core::kNoWallTime && outage.ended_at >= notice.started_at;
    const core::Duration left = outage.ended_at + interval + ParentWatch::kSettleSlack - now;
    // One that ended in the future is the work of a clock that was set: it holds nothing for ever.
    const bool fresh = left > core::Duration{} && left <= interval + 2 * ParentWatch::kSettleSlack;
    if (!covered || !fresh) continue;
    const core::Duration wait = std::min<core::Duration>(left, ParentWatch::kLookAgainMax);
    held = held ? std::max(*held, wait) : wait;
  }
  return held;
}

void LookPace::turn(core::SteadyTime now) {
  // After a turn that held something the next one follows at once: the time between their beginnings is what it took.
  if (looked_ >= kMany)
    apart_ = std::clamp<core::Duration>((now - began_) / looked_ * kShare, kApartMin, kApartMax);
  looked_ = 0;
  began_ = now;
}

core::Duration LookPace::after(core::Duration wanted, core::SteadyTime now) {
  ++looked_;
  const core::SteadyTime at = std::max(free_at_, now);
  free_at_ = std::min<core::SteadyTime>(at + apart_, now + kBehindMax);
  return wanted + (at - now);
}

void ParentWatch::turn() {
  pace_.turn(clock_.steady());
  known_.clear();
  kin_.clear();
  holds_.clear();
  notes_.clear();
}

bool ParentWatch::asked() {
  if (!store_.reachable()) return false;  // Nor is it asked later for that.
  const core::SteadyTime now = clock_.steady();
  if (now < read_again_at_) return any_ && !failing_;
  read_again_at_ = now + kReadEach;
  const auto any = store_.any();
  if (!any) {
    failed(any.error());
    return false;
  }
  failing_ = false;
  any_ = *any;
  return any_;
}

void ParentWatch::failed(const core::Error& error) {
  if (!failing_) warn_("parents_unread why=\"" + error.message + "\"");
  failing_ = true;
  read_again_at_ = clock_.steady() + kAwayFor;
}

void ParentWatch::read(std::span<const Failing> sites) {
  auto kin = store_.kin(sites);
  if (!kin) return failed(kin.error());
  for (const Failing& failing : sites) known_.insert(failing.site);
  for (SiteKin& one : *kin) kin_.insert_or_assign(one.site, std::move(one));
}

void ParentWatch::prepare(std::span<const Notice> notices) {
  std::vector<Failing> sites;
  for (const Notice& notice : notices) {
    // Of an end nothing is held, but that of a mass outage may be told with its beginning.
    const bool ends_it = !notice.wake && notice.state == core::SiteState::Up && notice.group == 0;
    if (!notice.event_known || !notice.problem.empty() || ends_it) continue;
    sites.push_back({.site = notice.site, .since = notice.started_at});
  }
  if (!sites.empty() && asked()) read(sites);
}

const SiteKin* ParentWatch::kin_of(const Notice& notice) {
  if (!known_.contains(notice.site)) {
    const Failing alone{.site = notice.site, .since = notice.started_at};
    read({&alone, 1});
  }
  const auto found = kin_.find(notice.site);
  return found == kin_.end() ? nullptr : &found->second;
}

std::optional<Hold> ParentWatch::hold(const Notice& notice) {
  if (!asked()) return std::nullopt;
  if (const auto known = holds_.find(notice.site); known != holds_.end()) return known->second;
  const SiteKin* const kin = kin_of(notice);
  if (kin == nullptr) return std::nullopt;
  std::optional<Hold> hold;
  const core::Duration interval = kin->interval.value_or(core::Duration{interval_.load()});
  if (const auto wait = held_by_parents(notice, kin->above, interval, clock_.wall()))
    hold = Hold{.reason = "parent", .look_again = pace_.after(*wait, clock_.steady())};
  return holds_.emplace(notice.site, std::move(hold)).first->second;
}

std::string ParentWatch::note(const Notice& notice) {
  if (!asked()) return {};
  if (const auto known = notes_.find(notice.site); known != notes_.end()) return known->second;
  const SiteKin* const kin = kin_of(notice);
  if (kin == nullptr || !kin->is_parent) return {};
  const auto count = store_.below(notice.site, kCountMax + 1);
  if (!count) {
    failed(count.error());
    return {};
  }
  std::string text;
  if (*count > 0) {
    text = "Holds the notices of ";
    text += *count > kCountMax ? "more than " + std::to_string(kCountMax) : std::to_string(*count);
    text += *count == 1 ? " site that depends on it." : " sites that depend on it.";
  }
  return notes_.emplace(notice.site, std::move(text)).first->second;
}

}  // namespace watchwheel::sideeffects
