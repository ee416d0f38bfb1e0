// SPDX-License-Identifier: Apache-2.0
// sideeffects/judge.h - what a site's facts earn, given what is stored of it. Pure: decides only.
//
// The one place where transitions are made. What each stored state and each outage earn together:
//
//   stored open event    the facts                   earned
//   none                 outage goes on              opened [, confirmed]
//   none                 outage ended                opened [, confirmed], closed (absorbed when a repeat)
//   the same outage      goes on                     [confirmed], or the row alone for newer evidence
//   the same outage      ended                       [confirmed,] closed
//   a later outage       earlier ones                nothing: they were settled before it was opened
//   not mentioned        watched                     nothing: `unknown_event`, the lane takes it over
//   not mentioned        paused, removed             closed, when the facts say; then as above
//   none                 restored, failed since      nothing at all: `event_gone`, the lane makes it its own
//   none                 restored, no failure since  nothing of it: it was settled before
//
// confirmed, where other vantages are asked: only with a testimony (core/testimony.h) that decides so. Without one the event stays
// seems_down, but for an outage that lasted longer beyond its last needed failure than their answers may take, and of which
// nobody was heard, then or in a round before: then it is confirmed by our own failures (Basis::Unasked), for what was real must not
// become a false alarm because we were late. `earlier`: what was heard of an outage that ended before the one of `testimony`.
//
// closed: recovered if it was confirmed, else false_alarm; operator when paused or closed by a person; site_removed when
// removed. confirmed: only when the lane says so and the failures reach the policy given here.
// A stored event that the lane does not know of (its memory was lost, another engine opened it a
// moment ago) is neither closed nor guessed at: only the lane can see whether the site fails.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "core/site_facts.h"
#include "sideeffects/event_store_api.h"

namespace watchwheel::sideeffects {

struct Verdict {
  // In the order in which they are to be stored. Empty: nothing new.
  std::vector<EventWrite> writes;
  // What is open once they are stored. Its event id may be 0: not known here.
  std::optional<StoredEvent> open_after;
  std::optional<core::OpenEvent> unknown_event;
  bool event_gone = false;

  // The facts were taken: their seq may be acknowledged.
  [[nodiscard]] bool settled() const { return !unknown_event && !event_gone; }
};

[[nodiscard]] Verdict judge(const std::optional<StoredEvent>& open, const core::SiteFacts& facts,
                            const core::ConfirmPolicy& policy,
                            const core::Testimony& testimony = {},
                            const core::Testimony& earlier = {});

// What people did to the open event `open` beside all that: a transition for each, which changes no state. `requests`: of that event,
// at least one, none of them a close (that is the lane's to say: core::Presence::Closed).
[[nodiscard]] Verdict judge_requests(const StoredEvent& open,
                                     std::span<const OperatorRequest> requests, core::WallTime now);

}  // namespace watchwheel::sideeffects
