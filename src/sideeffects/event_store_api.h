// SPDX-License-Identifier: Apache-2.0
// sideeffects/event_store_api.h - what the shards need of a store. Implemented in db, joined by
// app.
//
// Thread   each object is used by one thread at a time; a shard gets its own. Calls block: never on
//          a lane's thread.
// Fails    core::Error: Unavailable (try again later), Unknown (the commit's answer was lost;
//          replaying is safe), Invalid (this batch can never be stored; isolate the bad change).
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/result.h"
#include "core/site.h"
#include "core/site_facts.h"
#include "sideeffects/operator_api.h"

namespace watchwheel::sideeffects {

// One append-only record of one change to an event.
struct TransitionRecord {
  std::uint32_t seq = 0;  // 1, 2, 3 … within the event, without gaps.
  core::TransitionReason reason = core::TransitionReason::Opened;
  core::SiteState before = core::SiteState::Up;
  core::SiteState after = core::SiteState::SeemsDown;
  core::WallTime at = core::kNoWallTime;
  std::uint32_t failures = 0;
  core::Evidence evidence;  // What earned it.
  // Of confirmed: how that was decided. Of false_alarm: why it was none, where others were heard. Basis::None: nothing to say.
  core::Testimony testimony{};
  // Of `operator`, where a person asked for it: storing the transition is what does the request.
  std::optional<ByHand> by{};
  core::Duration step{};  // Only of a warning: warning_api.h.

  friend bool operator==(const TransitionRecord&, const TransitionRecord&) = default;
};

// An event as it stands after a change, and the transitions that brought it there and are not yet stored.
// It is named by (site, started_at), so that storing it twice stores it once.
struct EventWrite {
  core::SiteId site;
  std::uint64_t epoch = 0;  // Of the lease of its bucket under which it was judged; 0: one process alone.
  core::WallTime started_at = core::kNoWallTime;
  core::SiteState state = core::SiteState::SeemsDown;  // SeemsDown, Down; or Up: it is over.
  core::WallTime confirmed_at = core::kNoWallTime;
  core::WallTime ended_at = core::kNoWallTime;
  std::uint32_t failures = 0;
  std::uint32_t merged = 0;             // Never lowered by a later write: a restart forgets it.
  core::WallTime group = core::kNoWallTime;  // The mass outage it is a part of; kNoWallTime takes nothing back.
  std::uint32_t transitions_total = 0;  // Stored before plus those below: the seq of the last one.
  core::Evidence evidence;
  std::vector<TransitionRecord> transitions;
  core::Testimony testimony{};  // Of the newest round that was decided. Basis::None takes nothing back.
};

// What a shard must know of an open event to judge what comes next.
struct StoredEvent {
  core::OpenEvent event;
  std::uint32_t transitions_total = 0;
  // As its row has it: a restarted lane knows it only at the next failure.
  core::Evidence evidence;
  std::uint32_t round = 0;  // Of the testimony that was written; 0 once it was read from the store.
};

class EventStore {
 public:
  virtual ~EventStore() = default;

  // All of `writes` in one durable transaction: event rows, transitions, and the event columns of
  // site_state. Writes of one site are applied in their order. A replay after Unknown changes
  // nothing that is already there. A site that has been removed meanwhile keeps its events.
  // An event that has ended is frozen: a write to it changes nothing, whatever it says. A lane may
  // tell of an outage once more before it hears that its end was committed.
  // Invalid: a gap in the transitions, or a second open event for a site. Fenced: a site's bucket is not ours any more, or not
  // under that epoch, and nothing was written; whose they are is known anew within a moment.
  [[nodiscard]] virtual core::Result<void> commit(std::span<const EventWrite> writes) = 0;

  // The open event of a site, if there is one.
  [[nodiscard]] virtual core::Result<std::optional<StoredEvent>> open_event(core::SiteId site) = 0;

  // Commits are kept elsewhere for now, in order, and succeed; nothing can be read.
  [[nodiscard]] virtual bool detoured() const { return false; }
};

}  // namespace watchwheel::sideeffects
