// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/parent_watch.h"

#include <algorithm>

namespace watchwheel::sideeffects {

namespace {

// One that is over when it is looked at was held all the while, had it been looked at in time.
bool only_behind(const Notice& notice, const ParentOutage& outage, core::Duration interval) {
  if (notice.state != core::SiteState::Up || notice.ended_at == core::kNoWallTime) return false;
  const bool confirmed = notice.confirmed_at != core::kNoWallTime;
  const core::WallTime begun = confirmed ? notice.confirmed_at : notice.started_at;
  const bool settles = outage.confirmed_at != core::kNoWallTime;
  const core::WallTime until =
      outage.ended_at + (settles ? interval + ParentWatch::kSettleSlack : core::Duration{});
  return outage.started_at <= begun && begun <= until && outage.ended_at >= notice.started_at &&
         notice.ended_at <= until;
}

}  // namespace

std::optional<Hold> held_by_parents(const Notice& notice, std::span<const ParentOutage> above,
                                    core::Duration interval, core::WallTime now) {
  const core::Duration lasted =
      notice.started_at == core::kNoWallTime ? core::Duration{} : now - notice.started_at;
  const core::Duration again = std::clamp<core::Duration>(lasted / 4, ParentWatch::kLookAgainMin,
                                                          ParentWatch::kLookAgainMax);
  std::optional<Hold> held;
  for (const ParentOutage& outage : above) {
    if (outage.ended_at == core::kNoWallTime || only_behind(notice, outage, interval))
      return Hold{.reason = HoldReason::Parent, .look_again = again, .by = outage.parent.value};
    // Before that the child was well: what it has now is its own.
    const bool covered =
        outage.confirmed_at != core::kNoWallTime && outage.ended_at >= notice.started_at;
    const core::Duration left = outage.ended_at + interval + ParentWatch::kSettleSlack - now;
    // One that ended in the future is the work of a clock that was set: it holds nothing for ever.
    const bool fresh = left > core::Duration{} && left <= interval + 2 * ParentWatch::kSettleSlack;
    if (!covered || !fresh) continue;
    const core::WallTime until = now + left;
    if (held && held->until >= until) continue;
    held = Hold{.reason = HoldReason::Parent,
                .look_again = std::min<core::Duration>(left, ParentWatch::kLookAgainMax),
                .by = outage.parent.value,
                .until = until};
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

bool ParentWatch::asks() {
  if (!store_.reachable()) return false;  // Nor is it asked later for that.
  const core::SteadyTime now = clock_.steady();
  if (now < not_before_) return false;
  if (now < any_again_at_) return any_;
  const auto any = store_.any();
  if (!any) {
    failed(any.error());
    return false;
  }
  any_again_at_ = now + kReadEach;
  any_ = *any;
  if (!any_) answered();
  return any_;
}

void ParentWatch::failed(const core::Error& error) {
  const core::SteadyTime now = clock_.steady();
  stats_.unread.add();
  // A row of failures ends with an answer, or when nothing was asked for long.
  const bool goes_on = failing_since_ != core::kNoSteadyTime && now < not_before_ + kBlindFor;
  if (!goes_on) {
    warn_("parents_unread why=\"" + error.message + "\"");
    failing_since_ = now;
    ask_again_ = kAskAgainMin / 2;
  }
  ask_again_ = std::min<core::Duration>(ask_again_ * 2, kAskAgainMax);
  not_before_ = now + ask_again_;
}

void ParentWatch::answered() {
  failing_since_ = core::kNoSteadyTime;
  not_before_ = core::SteadyTime::min();
}

void ParentWatch::read(std::span<const Failing> sites) {
  auto kin = store_.kin(sites);
  if (!kin) return failed(kin.error());
  answered();
  for (const Failing& failing : sites) known_.insert(failing.site);
  for (SiteKin& one : *kin) kin_.insert_or_assign(one.site, std::move(one));
}

void ParentWatch::prepare(std::span<const Notice> notices) {
  std::vector<Failing> sites;
  for (const Notice& notice : notices) {
    if (notice.kind != core::EventKind::Outage || !notice.event_known || !notice.problem.empty())
      continue;
    // Of an end nothing is held, but that of a mass outage may be told with its beginning.
    const core::SiteState after = notice.transition.after;
    const bool begins = after == core::SiteState::Down || after == core::SiteState::SeemsDown;
    if (!notice.wake && !begins && notice.group == 0) continue;
    sites.push_back({.site = notice.site, .since = notice.started_at});
  }
  if (!sites.empty() && asks()) read(sites);
}

bool ParentWatch::knows(const Notice& notice) {
  if (known_.contains(notice.site)) return true;
  if (!asks()) return !any_;
  const Failing alone{.site = notice.site, .since = notice.started_at};
  read({&alone, 1});
  return known_.contains(notice.site);
}

std::optional<Hold> ParentWatch::hold_unread(const Notice& notice) {
  if (failing_since_ == core::kNoSteadyTime || !store_.reachable()) return std::nullopt;
  const core::Duration failing = clock_.steady() - failing_since_;
  const std::optional<HeldBack> before =
      notice.wake ? parse_hold_memo(notice.memo) : std::optional<HeldBack>{};
  // What waited for an answer alone does not count as held by a parent.
  const bool was_held = before && before->reason == HoldReason::Parent;
  if (failing >= (was_held ? kBlindFor : kUnsureFor)) return std::nullopt;
  if (!was_held) return Hold{.reason = HoldReason::ParentsUnread, .look_again = kLookAgainMin};
  return Hold{.reason = HoldReason::Parent,
              .look_again = pace_.after(kLookAgainMin, clock_.steady()),
              .by = before->by,
              .until = before->until};
}

std::optional<Hold> ParentWatch::hold(const Notice& notice) {
  if (const auto known = holds_.find(notice.site); known != holds_.end()) return known->second;
  if (!knows(notice)) return hold_unread(notice);
  const auto kin = kin_.find(notice.site);
  if (kin == kin_.end()) return std::nullopt;
  const core::Duration interval = kin->second.interval.value_or(core::Duration{interval_.load()});
  std::optional<Hold> hold = held_by_parents(notice, kin->second.above, interval, clock_.wall());
  if (hold) hold->look_again = pace_.after(hold->look_again, clock_.steady());
  return holds_.emplace(notice.site, std::move(hold)).first->second;
}

std::string ParentWatch::note(const Notice& notice) {
  if (const auto known = notes_.find(notice.site); known != notes_.end()) return known->second;
  if (!knows(notice)) return {};
  const auto kin = kin_.find(notice.site);
  if (kin == kin_.end() || !kin->second.is_parent) return {};
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
