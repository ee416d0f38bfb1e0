// SPDX-License-Identifier: Apache-2.0
// sideeffects/delivery_queue_api.h - what was committed and has to be told: notices, which the router turns into deliveries, and
// deliveries, which the sender hands to a channel. Implemented in db, joined by app.
//
//   commit of a transition -> notice -> settle(): deliveries -> claim() -> channel -> finish(): delivered, retried, snoozed, buried
//
// Nothing is lost between: a notice is inserted in the transaction that stores its transition, and taken away in the one that
// inserts its deliveries; a delivery goes away only by finish(), into the record of what was delivered or among the dead letters.
// Nothing is told twice by us but what was under way when a process died: a delivery is sent at least once, each time with the
// same message id.
//
// Thread   one at a time for each object; router and sender have one each. Calls block: never on a lane's thread.
// Time     when something is due and until when a lease runs is by the store's clock; callers say durations only.
// Fails    core::Error, as event_store_api.h says. Every call is one transaction (or several small ones, where it says so), and may
//          be made again after any failure, Unknown included.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/clock.h"
#include "core/event_kind.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"
#include "core/site_facts.h"
#include "sideeffects/event_store_api.h"

namespace watchwheel::sideeffects {

using NoticeId = core::Id<struct NoticeIdTag, std::uint64_t>;  // Never given again.
using DeliveryId =
    core::Id<struct DeliveryIdTag,
             std::uint64_t>;  // Rises with time. Kept by a dead letter that is requeued.

// What was given its id by a host alone, while the store was away (notice_mirror_api.h). No store ever gets so far, and JSON's
// numbers hold it.
inline constexpr std::uint64_t kAwayIdFirst = std::uint64_t{1} << 52U;

// ---- Notices: the router's side.

// One message that was already decided for an event and a target.
struct Telling {
  enum class State : std::uint8_t {
    Queued,     // Waits or is being sent.
    Told,       // The receiver has it.
    Dead,       // Given up; a person may requeue it.
    Cancelled,  // Taken back before its first attempt (NewDelivery::instead_of).
  };
  DeliveryId delivery;
  std::string target;
  std::string kind;  // As NewDelivery::kind.
  State state = State::Queued;
  bool attempted =
      false;  // Of one that is queued: the receiver may have it, though we do not know. It cannot be taken back.
  core::WallTime at = core::kNoWallTime;  // When it was decided.
  friend bool operator==(const Telling&, const Telling&) = default;
};

// A transition that was committed, or a wake that is due; with what deciding needs, as it is *now*: the event may have gone on.
struct Notice {
  NoticeId id;
  core::WallTime at = core::kNoWallTime;  // When it was committed; of a wake: when it was due.
  core::SiteId site;
  core::EventId event;
  bool wake = false;
  std::string memo;             // See "Memos" at the end.
  TransitionRecord transition;  // Not of a wake. Of `by` only the act.

  bool event_known =
      false;  // False: it has been removed meanwhile, and nothing below (or `transition`) means anything.
  // Not empty: what is stored of it cannot be read, and nothing but id, site and event means anything. Settle it, saying so: it
  // would come back for ever.
  std::string problem;
  core::SiteState state = core::SiteState::SeemsDown;  // Of the event; Up: it is over.
  core::WallTime started_at = core::kNoWallTime;
  core::WallTime confirmed_at = core::kNoWallTime;
  core::WallTime ended_at = core::kNoWallTime;
  std::uint32_t failures = 0;
  core::Evidence evidence;
  core::Testimony testimony;  // How it was decided, and what each vantage saw. Basis::None too where it cannot be read.
  std::uint64_t group = 0;  // The mass outage it is a part of; 0: none (yet).
  core::WallTime group_started_at = core::kNoWallTime;
  bool acked = false;  // Somebody is on it.
  // Not Outage: a warning (warning_api.h). Of it `state` says only whether it is over; failures, testimony and group mean nothing.
  core::EventKind kind = core::EventKind::Outage;
  core::Duration step{};  // Of a warning, as it stands.

  std::string url;  // "", "", none: the site has been removed and its row is gone.
  std::string name;
  std::vector<std::string> tags;

  std::vector<Telling> tellings;  // Of this event, oldest first.
  // Not all that was told of it is known here (notice_mirror_api.h): a target without a telling counts as told what it would be told
  // of the event as it was before the change.
  bool presumed = false;
  // Ends of the site's earlier events of this kind that wait to be told together with others' (wakes "digest:…", "warning_over:…"),
  // due or not, oldest first: nothing of the kind that begins is told before them. Of those none have any of their own.
  std::vector<Notice> former{};
};
// Of a wake that is about the end of an event; what the site is after it follows.
inline constexpr std::string_view kDigestEndMemo = "digest:";

struct NewDelivery {
  std::string target;  // At most 64 bytes.
  std::string kind;    // For people and tellings: "down", "up", "reminder" … At most 32 bytes.
  std::string message_id;  // At most 64 bytes. The caller makes it; the same at every attempt.
  // Deliveries of one target with the same line are sent one after the other, in the order of their ids: the next when the one
  // before has been delivered or buried; an end also when what it ends, in any line, has been, and what begins when the end of its
  // site's former event that its target is told has been. The site's id, or what no site's id is.
  std::uint64_t line = 0;
  core::SiteId site;                    // For lists; 0: it is of several sites or none.
  std::string body;                     // Opaque; at most kDeliveryBodyMax.
  std::vector<core::EventId> events{};  // Whose tellings it becomes.
  core::Duration delay{};               // Not before.
  // When *all* of these are still queued, were never attempted and are of the same target, they are cancelled and this one is not
  // inserted either. Otherwise it is inserted and they stay.
  std::vector<DeliveryId> instead_of{};
};
inline constexpr std::size_t kDeliveryBodyMax = std::size_t{1024} * 1024;

// The event comes back as a notice, once, after `delay`: a reminder, the end of a wait for more. Survives a restart.
struct NewWake {
  core::SiteId site;
  core::EventId event;
  core::Duration delay{};
  std::string memo{};  // See "Memos" at the end. At most 255 bytes.
};

// The memo of a wake that the store itself makes: a dead letter for TARGET was requeued though its event is over, and whoever is
// told now that it began has to be told that it ended. "requeued:STATE:TARGET", STATE: what the site was after the event.
inline constexpr std::string_view kRequeuedMemo = "requeued:";

// The one thing that the queue knows of kinds: whether a delivery says that something is over. Such a one is buried with what it
// would have been the end of (DeliveryQueue).
[[nodiscard]] constexpr bool is_end_kind(std::string_view kind) {
  return kind == "up" || kind == "up_group" || kind == "warning_over" ||
         kind == "warning_over_group" || kind == "flapping_over";
}

enum class Settling : std::uint8_t {
  Done,
  Stale,  // One of the notices is settled already (a commit whose answer was lost, another process): nothing was done. take() again.
};

class Outbox {
 public:
  virtual ~Outbox() = default;

  // The oldest notices that are due, oldest first, at most `limit`; only the oldest of each site, so that `tellings` hold all that
  // was decided before it; and with it, as `former`, the ends that wait for others. `mine`: whether this process looks after a site; others are passed over. Changes nothing: what is not
  // settled is taken again.
  [[nodiscard]] virtual core::Result<std::vector<Notice>> take(
      std::size_t limit, const std::function<bool(core::SiteId)>& mine) = 0;

  // In one transaction: takes the notices away, and inserts deliveries (their ids rise in this order) and wakes. All of it or
  // nothing. Invalid: something that can never be stored (too long); the caller tries them apart.
  [[nodiscard]] virtual core::Result<Settling> settle(std::span<const NoticeId> notices,
                                                      std::span<const NewDelivery> deliveries,
                                                      std::span<const NewWake> wakes) = 0;

  // How many notices wait (wakes that are not due left out) and since when the oldest. Reads an index, nothing else.
  struct Level {
    std::uint64_t waiting = 0;
    core::Duration oldest{};
  };
  [[nodiscard]] virtual core::Result<Level> level() = 0;
};

// ---- Deliveries: the sender's side.

struct Claimer {
  std::string node;       // At most 64 bytes; the same after a restart.
  std::uint64_t run = 0;  // Of one process: another one after a restart.
};
struct Want {
  std::string_view target;
  std::uint32_t room = 0;  // At most so many.
};

struct Delivery {
  DeliveryId id;
  std::uint64_t token =
      0;  // Fences: whoever claims it later has another one, and ours does nothing any more.
  std::string target;
  std::string kind;
  std::string message_id;
  std::uint64_t line = 0;
  core::SiteId site;
  std::string body;
  std::uint32_t attempt =
      0;  // This one's number, from 1; starts anew when a dead letter is requeued.
  std::uint32_t rescues = 0;  // How often a claim found that the lease before had run out.
  std::uint32_t requeues = 0;
  core::WallTime made_at = core::kNoWallTime;
  core::Duration waited{};  // Since it was queued.
};

// Why a dead letter is one. A closed list: metrics have it as a label.
enum class DeathReason : std::uint8_t {
  MaxAttempts,
  Permanent,  // The receiver will never take it.
  Gone,       // The receiver wants no more at all (410).
  Poison,     // It was being sent kRescuesMax times when its process ended or lost the lease.
  NoTarget,   // No target of that name is configured any more.
  Operator,
  TooOld,  // It waited for longer than its target's messages are worth something.
};
inline constexpr std::size_t kDeathReasonCount = 7;
inline constexpr std::array<std::string_view, kDeathReasonCount> kDeathReasonNames{
    "max_attempts", "permanent", "gone", "poison", "no_target", "operator", "too_old"};
[[nodiscard]] constexpr std::string_view to_string(DeathReason reason) {
  return kDeathReasonNames.at(static_cast<std::size_t>(reason));
}
[[nodiscard]] constexpr std::optional<DeathReason> parse_death_reason(std::string_view name) {
  for (std::size_t i = 0; i < kDeathReasonCount; ++i) {
    if (kDeathReasonNames.at(i) == name) return static_cast<DeathReason>(i);
  }
  return std::nullopt;
}
inline constexpr std::uint32_t kRescuesMax = 5;

struct Claimed {
  std::vector<Delivery> deliveries;  // By target as wanted; of one target as they fell due.
  std::uint32_t poisoned = 0;        // Buried instead of being handed out once more.
  bool more = false;                 // A target had more that is due than its room.
};

// What became of an attempt. Closed: whoever finishes says which.
struct Delivered {};
struct Retry {
  core::Duration after{};
};
// Nobody's fault (rate limit, open circuit, our own trouble, shutdown): the attempt is given back, and not logged.
struct Snooze {
  core::Duration after{};
  // It was begun, and the receiver may have the message: from then on it counts as attempted, so it cannot be taken back any more.
  bool begun = false;
};
struct Bury {
  DeathReason reason = DeathReason::MaxAttempts;
};
struct Finish {
  DeliveryId id;
  std::uint64_t token = 0;
  std::variant<Delivered, Retry, Snooze, Bury> verdict;
  std::uint16_t http_status = 0;  // 0: there was none.
  core::Duration took{};
  std::string detail{};  // One line for people; is cut to 512 bytes.
};
struct Held {
  DeliveryId id;
  std::uint64_t token = 0;
};

struct TargetLevel {
  std::string target;
  std::uint64_t waiting = 0;  // Due, in backoff, or behind another one of its line.
  std::uint64_t leased = 0;
  std::uint64_t dead = 0;
  core::Duration oldest{};  // Since the oldest of the waiting and leased was queued.
  std::optional<core::Duration> seen;  // Since a process last had it configured, as far as known.
};

// How long what is over is kept.
struct DeliveryRetention {
  core::Duration done = std::chrono::hours{7 * 24};
  core::Duration dead = std::chrono::hours{30 * 24};
  core::Duration tellings = std::chrono::hours{30 * 24};  // After the end of their event.
};

// Attempts of a delivery that are kept, the newest.
inline constexpr std::uint32_t kAttemptsKept = 20;
inline constexpr std::uint32_t kClaimMax = 200;

// Nobody is told the end of what they were not told: with a delivery that is buried, by whatever call, go those behind it that say
// its events are over, unless of one of those events the target was told, or will be, what began. Their reason is the same.
class DeliveryQueue {
 public:
  virtual ~DeliveryQueue() = default;

  // Leases deliveries that are due, at most `room` of each target and kClaimMax in all; counts the attempt. Only the oldest that is
  // not yet delivered of each (target, line) is handed out. A lease that ran out is claimed like anything that is due, and counts
  // as a rescue; after kRescuesMax of them it is buried instead. The caller starts no attempt that the lease does not outlast.
  [[nodiscard]] virtual core::Result<Claimed> claim(std::span<const Want> wants,
                                                    core::Duration lease,
                                                    const Claimer& claimer) = 0;

  // Says which were not ours any more: their lease had run out and somebody else has claimed or finished them. Nothing is done to
  // those. What waited behind a delivery that is delivered or buried is due at once.
  [[nodiscard]] virtual core::Result<std::vector<DeliveryId>> finish(
      std::span<const Finish> finished) = 0;

  // The lease of each runs for `lease` from now on. Says which are not ours any more.
  [[nodiscard]] virtual core::Result<std::vector<DeliveryId>> extend(std::span<const Held> held,
                                                                     core::Duration lease) = 0;

  // At start: what an earlier run of the node left leased is due at once (a rescue, when claimed). Says how many. Several small
  // transactions.
  [[nodiscard]] virtual core::Result<std::uint64_t> release_former(const Claimer& claimer) = 0;

  // Buries what waits for `target` and is not leased, at most `limit` of them, the oldest first. Says how many.
  [[nodiscard]] virtual core::Result<std::uint64_t> bury_waiting(std::string_view target,
                                                                 DeathReason reason,
                                                                 std::size_t limit) = 0;

  // The same of what was queued (or requeued) longer than `age` ago, the first that was due first, but not of what says that
  // something is over: that goes with what it would have been the end of, or is told.
  [[nodiscard]] virtual core::Result<std::uint64_t> bury_older(std::string_view target,
                                                               DeathReason reason,
                                                               core::Duration age,
                                                               std::size_t limit) = 0;

  // These are configured in this process, now. Said again at least each minute: levels() tells the others so, whose configuration
  // may differ. A name that nobody has said for a day is forgotten.
  [[nodiscard]] virtual core::Result<void> note_targets(std::span<const std::string> targets) = 0;

  // By target, with names that are not configured (any more). Reads an index from end to end: every half minute, not every claim.
  [[nodiscard]] virtual core::Result<std::vector<TargetLevel>> levels() = 0;

  // Removes at most about `limit` rows of what is older than is kept. Says how many: when it is not 0, there may be more.
  [[nodiscard]] virtual core::Result<std::uint64_t> purge(const DeliveryRetention& retention,
                                                          std::size_t limit) = 0;
};

}  // namespace watchwheel::sideeffects

// Memos: all that Notice::memo and NewWake::memo say. They are stored and outlive a process: a form that was written once must be
// read for ever, and what fits no form is looked at as the state of its event asks for.
//
//   of a wake              made by     it waits
//   digest                 the router  for others of its mass outage, with what begins
//   digest:STATE           the router  the same, with its end. STATE: what the site is after it, a word of core::to_string, or
//                                      "closed" by a person; also among Notice::former
//   hold:…                 the router  until what keeps it back may be over (hold_api.h)
//   remind:TARGET          the router  until TARGET is to be reminded that it is still down
//   flapping:MS            the router  until the site may be steady, which flaps since MS (of the epoch). One of each site that
//                                      flaps, and the tellings of its event say who was told so (flapping_api.h)
//   warning:MS             the router  for others with the same step of a warning; at another step it is void
//   warning:MS:hold:…      the router  until what keeps this step back may be over; likewise
//   warning_over:WORD      the router  for others whose warning ended. WORD: as a requeued letter's STATE, or "ok"; also as former
//   requeued:STATE:TARGET  the store   not at all: a dead letter for TARGET is sent again though its event is over (kRequeuedMemo)
//
// Of a transition it is "digest" where its event, a part of a mass outage, is over and the wake "digest" is there still: nobody was
// told that it began because it waited, not because it was held. Else "".
