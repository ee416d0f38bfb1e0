// SPDX-License-Identifier: Apache-2.0
// core/site_facts.h - what a lane knows of a site that needs attention, and what a shard answers.
//
// Values, sent over a mailbox (one seat for each site of a lane, the newest wins), so they are cumulative: the
// newest facts tell all that the ones they replaced told and that the shard has not yet
// acknowledged.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/probe.h"
#include "core/responses.h"
#include "core/site.h"
#include "core/testimony.h"

namespace watchwheel::core {

// When a failing site counts as down and a recovered one as up again.
struct ConfirmPolicy {
  std::uint32_t failures =
      3;  // Failures in a row until it is confirmed, the first included. 1 to 20.
  std::uint32_t successes = 1;  // Successes in a row until it is over. 1 to 20.
  Duration retry_interval =
      10s;  // Between quick re-checks while not confirmed; jittered by up to a tenth. 1 s to 10 min.

  std::uint32_t quorum = 1;  // Vantages that must see it down, ours included. 1: no other is asked.
  Duration verify_timeout = 15s;  // For their answers.
  // How long a site may fail here while others see it up, and no more of them than see it down, until our own failures are enough.
  Duration dispute_most = 10min;

  // Down is what the shard says, when others have been heard.
  [[nodiscard]] bool verified() const { return quorum > 1; }
  friend bool operator==(const ConfirmPolicy&, const ConfirmPolicy&) = default;
};

// The newest failure of an outage, as it is stored and shown.
struct Evidence {
  Cause cause = Cause::Cancelled;
  Phase phase = Phase::Dns;
  std::uint16_t http_status = 0;
  std::string detail;
  std::string address;
  friend bool operator==(const Evidence&, const Evidence&) = default;
};

// Whether a lane looks at a site. Closed is only how an outage ended: a person said so, though the site may fail; it is watched on.
enum class Presence : std::uint8_t { Watched, Paused, Removed, Closed };

// One run of failures of a site, from its first to the success that ended it. It keeps what was
// seen at each of its turns, so that its transitions are the same however late it is told. Times
// are whole milliseconds, as stores keep them, and never run backwards within an outage, even when
// the wall clock does.
struct Outage {
  WallTime started_at =
      kNoWallTime;  // The first failure. With the site it names the event: it never moves.
  WallTime last_failed_at = kNoWallTime;
  WallTime confirmed_at =
      kNoWallTime;  // When `failures` reached the policy's; kNoWallTime: it has not.
  WallTime ended_at = kNoWallTime;  // The success that ended it; kNoWallTime: it goes on.
  std::uint32_t failures =
      0;  // In a row: successes too few to end it start the count of successes, not this one anew.
  std::uint32_t successes = 0;  // In a row since the last failure.
  std::uint32_t merged =
      0;  // Later outages folded into this one because too many waited. Normally 0.
  Evidence
      evidence;  // Of the newest failure. Only when last_failed_at is set: after a restart there is none yet.
  Evidence
      opened_by;  // Of the first failure. Not known after a restart, when the opening is stored already.
  Evidence confirmed_by;                 // Of the failure that confirmed it.
  std::uint32_t confirmed_failures = 0;  // `failures` at confirmed_at.
  Evidence ended_by;                     // Of the success that ended it.
  Presence ended_as =
      Presence::Watched;  // Paused, Removed: no success ended it, we stopped looking. Closed: a person did.
  bool restored = false;  // Taken over from the store: its opening is stored already.
  WallTime group = kNoWallTime;  // When the mass outage began that it is a part of; kNoWallTime: none.

  [[nodiscard]] bool ended() const { return ended_at != kNoWallTime; }
  friend bool operator==(const Outage&, const Outage&) = default;
};

inline constexpr std::size_t kOutagesWaitingMax = 32;

struct SiteFacts {
  SiteId site;
  std::uint32_t lane =
      0;  // Who posted it; copied into the note, for a seq means something to that lane only.
  std::uint64_t seq =
      0;  // Rises with every posting of this site by its lane. Only compared for equality and order.
  Presence presence = Presence::Watched;  // Paused and Removed end what is open, at `at`.
  WallTime at = kNoWallTime;              // When the newest of this was seen.
  std::vector<Outage>
      outages;  // Oldest first, at most kOutagesWaitingMax: all that ended and were not yet
                // acknowledged, then the current one if there is one.
  // Where others are to be asked about the outage that goes on. Null: they are not.
  std::shared_ptr<const Subject> subject{};
};

// Whose seat in a mailbox: one for each site and lane. A site that changes its host may change its lane; what the lane before it
// told and nobody has taken yet must not be replaced by the first word of the next.
struct FactsKey {
  SiteId site;
  std::uint32_t lane = 0;
  friend bool operator==(const FactsKey&, const FactsKey&) = default;
};
[[nodiscard]] inline FactsKey key_of(const SiteFacts& facts) {
  return {.site = facts.site, .lane = facts.lane};
}

// shard -> lane: `seq` is committed. When it is the newest the lane posted and nothing is failing,
// the lane forgets the site's trouble.
struct SiteNote {
  SiteId site;
  std::uint32_t lane = 0;
  std::uint64_t seq = 0;
  std::optional<SiteState>
      event_state;  // Of the event that is open after it: SeemsDown or Down. Nothing: none is open.
  // The store has this event open and the facts do not mention it, so the lane does not know of it.
  // Nothing of `seq` was committed: the lane takes the event over and posts again.
  std::optional<OpenEvent> unknown_event;
  // The facts go on with a restored outage whose event is not open in the store any more. Nothing
  // of `seq` was committed: the lane takes the failures since then as an outage of their own and
  // posts again.
  bool event_gone = false;
  // About no facts: what was committed of the site may not be in the store after all. The lane that has the site tells what it knows,
  // be it that nothing is failing.
  bool doubted = false;
  // About no facts: a person asks that the event that began then be closed. The lane that has the site ends that outage and posts.
  WallTime close = kNoWallTime;
};

// lane -> projector: how fresh what we tell about a site is.
struct FreshnessMark {
  SiteId site;
  bool measured =
      true;  // False: no conclusive result within the freshness limit. The site is `unknown`.
  WallTime checked_at = kNoWallTime;  // Newest conclusive result. kNoWallTime: never.
  Cause cause = Cause::Ok;            // Of the newest result, conclusive or not.
  std::uint16_t http_status = 0;
  Duration total{};
  WallTime next_due_at = kNoWallTime;
  // Of the certificate the newest result showed. kNoWallTime and nothing: it showed none.
  WallTime cert_not_after = kNoWallTime;
  std::optional<std::array<std::uint8_t, 32>> cert_sha256{};
  WallTime made_at = kNoWallTime;  // Only of one that says `unknown`: until then nothing was measured.
  // Only of one that was measured: since when its lane has had a result within the freshness limit, without a break. What a store
  // knows from before that, if it is older than by `quiet_max` or was unknown, leaves a gap in what anybody knows.
  WallTime unbroken_since = kNoWallTime;  // kNoWallTime: not told.
  Duration quiet_max{};  // The longest from one mark to the next when nothing is amiss.
  // How fast the site answered since the mark before, as a site that is up; they count for the time of `checked_at`.
  ResponseCounts responses{};
  bool by_hour = false;  // For its hour too, not for its day alone.
  Warnings warnings{};   // Of the newest result.

  // What a store knows from later than this is newer than the mark.
  [[nodiscard]] WallTime holds_at() const {
    return measured ? checked_at : std::max(checked_at, made_at);
  }
};

}  // namespace watchwheel::core

template <>
struct std::hash<watchwheel::core::FactsKey> {
  std::size_t operator()(const watchwheel::core::FactsKey& key) const noexcept {
    return std::hash<std::uint64_t>{}(key.site.value * 1021 + key.lane);
  }
};
