// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/judge.h"

#include <algorithm>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::sideeffects {

using core::Basis;
using core::Evidence;
using core::kNoWallTime;
using core::Outage;
using core::Presence;
using core::SiteFacts;
using core::SiteState;
using core::Testimony;
using core::TransitionReason;
using core::WallTime;

namespace {

// As the stores keep it.
WallTime whole_ms(WallTime t) {
  return t == kNoWallTime ? t : core::from_unix_ms(core::to_unix_ms(t));
}

// Times within an event never run backwards: an outage taken over from another engine, or seen
// while the wall clock was set back, may say otherwise.
void append(EventWrite& write, TransitionRecord transition) {
  transition.seq = ++write.transitions_total;
  transition.before = write.transitions.empty() ? write.state : write.transitions.back().after;
  transition.at = std::max({transition.at, write.started_at, write.confirmed_at});
  write.transitions.push_back(std::move(transition));
}

// The row of an event before anything new is earned.
EventWrite draft(core::SiteId site, const StoredEvent& stored) {
  return {.site = site,
          .started_at = stored.event.started_at,
          .state = stored.event.state,
          .confirmed_at = stored.event.confirmed_at,
          .ended_at = kNoWallTime,
          .failures = stored.event.failures,
          .merged = 0,
          .transitions_total = stored.transitions_total,
          .evidence = stored.evidence,
          .transitions = {}};
}

// The opening: the first failure, whatever was seen later.
EventWrite open_event(core::SiteId site, const Outage& outage) {
  EventWrite write{.site = site,
                   .started_at = outage.started_at,
                   .state = SiteState::Up,
                   .confirmed_at = kNoWallTime,
                   .ended_at = kNoWallTime,
                   .failures = 0,
                   .merged = 0,
                   .transitions_total = 0,
                   .evidence = {},
                   .transitions = {}};
  append(write, {.reason = TransitionReason::Opened,
                 .after = SiteState::SeemsDown,
                 .at = outage.started_at,
                 .failures = 1,
                 .evidence = outage.opened_by});
  write.state = SiteState::SeemsDown;
  return write;
}

bool is_decisive(Basis basis) {
  return basis != Basis::None && basis != Basis::Disagreement;
}

// What others have said: of the outage that is newest, of one before it, and how often of the one that is stored.
struct Told {
  const Testimony& newest;
  const Testimony& earlier;
  std::uint32_t round = 0;
};

// How this outage, which earned our own word, is decided.
Testimony decided(const Outage& outage, const core::ConfirmPolicy& policy, const Told& told) {
  if (!policy.verified()) return {.basis = Basis::LocalOnly, .witnesses = {}};
  for (const Testimony* const testimony : {&told.newest, &told.earlier}) {
    const bool of_it =
        testimony->outage == outage.started_at || testimony->basis == Basis::LocalOnly;
    if (of_it && testimony->basis != Basis::None) return *testimony;
  }
  Testimony none{.outage = outage.started_at, .quorum = policy.quorum, .witnesses = {}};
  const bool outlasted =
      outage.ended() && outage.ended_at - outage.confirmed_at > policy.verify_timeout;
  // Whoever closes it says that it is over, not that it was real; and of what was stored of a round without confirming it, others saw
  // it up.
  if (outlasted && outage.ended_as != Presence::Closed && told.round == 0)
    none.basis = Basis::Unasked;
  return none;
}

void confirm(EventWrite& write, const Outage& outage, const core::ConfirmPolicy& policy,
             const Told& told) {
  const bool asked_for = write.state == SiteState::SeemsDown && outage.confirmed_at != kNoWallTime;
  if (!asked_for || outage.failures < policy.failures) return;
  const Testimony testimony = decided(outage, policy, told);
  write.testimony = testimony;
  if (!is_decisive(testimony.basis)) return;
  // When the policy was raised since the lane confirmed it, it is met only by now; and when others were asked, when they had answered.
  const bool heard = testimony.decided_at != kNoWallTime;
  const bool met_then = outage.confirmed_failures >= policy.failures && !heard;
  const WallTime until = outage.ended() ? outage.ended_at : WallTime::max();
  const WallTime heard_at = std::min(whole_ms(testimony.decided_at), until);
  append(write, {.reason = TransitionReason::Confirmed,
                 .after = SiteState::Down,
                 .at = heard      ? std::max(outage.confirmed_at, heard_at)
                       : met_then ? outage.confirmed_at
                                  : outage.last_failed_at,
                 .failures = met_then ? outage.confirmed_failures : outage.failures,
                 .evidence = met_then ? outage.confirmed_by : outage.evidence,
                 .testimony = testimony});
  write.state = SiteState::Down;
  write.confirmed_at = write.transitions.back().at;
}

TransitionReason closing_reason(Presence ended_as, SiteState state) {
  if (ended_as == Presence::Paused || ended_as == Presence::Closed)
    return TransitionReason::Operator;
  if (ended_as == Presence::Removed) return TransitionReason::SiteRemoved;
  return state == SiteState::Down ? TransitionReason::Recovered : TransitionReason::FalseAlarm;
}

// What the site is after the event: up only if somebody saw it up.
SiteState state_after(Presence ended_as) {
  if (ended_as == Presence::Paused) return SiteState::Paused;
  return ended_as == Presence::Watched ? SiteState::Up : SiteState::Unknown;
}

void close(EventWrite& write, core::WallTime at, Presence ended_as, const Evidence& earned_by) {
  append(write, {.reason = closing_reason(ended_as, write.state),
                 .after = state_after(ended_as),
                 .at = at,
                 .failures = write.failures,
                 .evidence = earned_by,
                 .testimony = write.state == SiteState::SeemsDown ? write.testimony : Testimony{}});
  write.state = SiteState::Up;
  write.ended_at = write.transitions.back().at;
}

bool says_something_new(const EventWrite& write, const std::optional<StoredEvent>& stored) {
  return !stored || !write.transitions.empty() || write.failures != stored->event.failures ||
         write.evidence != stored->evidence || write.testimony.round > stored->round;
}

std::optional<StoredEvent> stored_after(const EventWrite& write,
                                        const std::optional<StoredEvent>& before) {
  if (write.ended_at != kNoWallTime) return std::nullopt;
  return StoredEvent{.event = {.id = before ? before->event.id : core::EventId{},
                               .state = write.state,
                               .started_at = write.started_at,
                               .confirmed_at = write.confirmed_at,
                               .failures = write.failures,
                               .cause = write.evidence.cause},
                     .transitions_total = write.transitions_total,
                     .evidence = write.evidence,
                     .round = std::max(write.testimony.round, before ? before->round : 0U)};
}

// Brings one event to where the outage is: `stored` is that event, or nothing when it is new.
void follow(Verdict& verdict, const std::optional<StoredEvent>& stored, const SiteFacts& facts,
            const Outage& outage, const core::ConfirmPolicy& policy, Told told) {
  told.round = stored ? stored->round : 0;
  EventWrite write = stored ? draft(facts.site, *stored) : open_event(facts.site, outage);
  write.failures = std::max(write.failures, outage.failures);
  write.merged = outage.merged;
  write.group = outage.group;
  // After a restart the lane knows only the cause until the next failure; the store knows all of it.
  if (outage.last_failed_at != kNoWallTime) write.evidence = outage.evidence;
  confirm(write, outage, policy, told);
  if (outage.ended()) {
    const bool recovered = outage.ended_as == Presence::Watched;
    close(write, outage.ended_at, outage.ended_as, recovered ? outage.ended_by : write.evidence);
  }
  verdict.open_after = stored_after(write, stored);
  if (says_something_new(write, stored)) verdict.writes.push_back(std::move(write));
}

// An event that the lane does not know of, of a site at which nobody looks any more.
EventWrite close_unmentioned(const StoredEvent& stored, const SiteFacts& facts) {
  EventWrite write = draft(facts.site, stored);
  close(write, facts.at, facts.presence, write.evidence);
  return write;
}

}  // namespace

Verdict judge_requests(const StoredEvent& open, std::span<const OperatorRequest> requests,
                       const core::WallTime now) {
  Verdict verdict{
      .writes = {}, .open_after = open, .unknown_event = std::nullopt, .event_gone = false};
  EventWrite write = draft(requests.front().site, open);
  for (const OperatorRequest& request : requests) {
    append(write, {.reason = TransitionReason::Operator,
                   .after = write.state,
                   .at = whole_ms(now),
                   .failures = write.failures,
                   .evidence = write.evidence,
                   .by = request.by});
  }
  verdict.open_after->transitions_total = write.transitions_total;
  verdict.writes.push_back(std::move(write));
  return verdict;
}

Verdict judge(const std::optional<StoredEvent>& open, const SiteFacts& facts,
              const core::ConfirmPolicy& policy, const Testimony& testimony,
              const Testimony& earlier) {
  Verdict verdict{
      .writes = {}, .open_after = open, .unknown_event = std::nullopt, .event_gone = false};
  auto outage = facts.outages.begin();
  if (open) {
    const auto is_open = [&](const Outage& o) { return o.started_at == open->event.started_at; };
    const auto mentioned = std::find_if(outage, facts.outages.end(), is_open);
    if (mentioned != facts.outages.end()) {
      outage = mentioned;  // Those before it were settled before it was opened.
    } else if (facts.presence == Presence::Watched) {
      verdict.unknown_event = open->event;
      return verdict;
    } else {
      verdict.writes.push_back(close_unmentioned(*open, facts));
      verdict.open_after.reset();
    }
  }
  for (; outage != facts.outages.end(); ++outage) {
    ENSURE(outage->ended() || outage + 1 == facts.outages.end(),
           "an outage goes on and another one follows it");
    if (!verdict.open_after && outage->restored) {
      if (outage->last_failed_at == kNoWallTime)
        continue;  // It ended with its event, which is closed already.
      return {.writes = {}, .open_after = open, .unknown_event = std::nullopt, .event_gone = true};
    }
    const std::optional<StoredEvent> stored = verdict.open_after;
    follow(verdict, stored, facts, *outage, policy, {testimony, earlier});
  }
  return verdict;
}

}  // namespace watchwheel::sideeffects
