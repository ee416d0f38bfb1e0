// SPDX-License-Identifier: Apache-2.0
// sideeffects/notice_mirror_api.h - what a host must know to go on telling people while the store is away, kept on its own disk:
// of each open event who was told what of it, the deliveries and waits that are not done, and the names of sites. Implemented in db,
// joined by app. Used by away_notices.h.
//
// While the store answers the mirror follows it. While it is away the mirror is what is routed and delivered from: it takes the
// events' changes from the journal, and is an Outbox and a DeliveryQueue like the store's (the same code on a file). When the store
// is back, what was told and what is left to tell are handed over, and the mirror begins anew.
//
// It need not be whole: of an event of which it does not know what was told, the notices say so (Notice::presumed).
//
// Thread   NoticeMirror: the router's. MirrorFinish: the delivery worker's.
// Bounded  kMirrorEventsMax events; beyond, what was told of an event is presumed. One short row for each site of the store.
// Fails    core::Error. Every call may be made again. hand_over(): Unavailable or Unknown of the store alone, Invalid of the mirror.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "core/ids.h"
#include "core/result.h"
#include "sideeffects/delivery_queue_api.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/journal_api.h"

namespace watchwheel::sideeffects {

inline constexpr std::size_t kMirrorEventsMax = 100'000;

// An event of which the notices up to the transition `routed` are settled in the store; nothing: as the store's outbox says.
struct Followed {
  core::EventId event;
  std::optional<std::uint32_t> routed;
};

class NoticeMirror {
 public:
  virtual ~NoticeMirror() = default;

  // --- While the store answers.

  // What is known of these is what the store says now.
  [[nodiscard]] virtual core::Result<void> follow(std::span<const Followed> events) = 0;
  // The waits that the store has made since the last call.
  [[nodiscard]] virtual core::Result<void> follow_wakes() = 0;
  // These are settled in the store.
  [[nodiscard]] virtual core::Result<void> forget_wakes(std::span<const NoticeId> wakes) = 0;
  // A page of all that is open in the store and of what is not any more. True: that was the last one.
  [[nodiscard]] virtual core::Result<bool> follow_all() = 0;

  // Whether no other host shares the store, for a process that begins while it is away.
  [[nodiscard]] virtual core::Result<void> note_alone(bool alone) = 0;
  [[nodiscard]] virtual core::Result<bool> was_alone() = 0;

  // --- While it is away.

  // Durable: what is here may differ from the store until it has been handed over.
  [[nodiscard]] virtual core::Result<void> begin_away() = 0;
  [[nodiscard]] virtual core::Result<bool> is_away() = 0;
  // Changes of events, in their order; what is known of them already changes nothing.
  [[nodiscard]] virtual core::Result<void> add(std::span<const EventWrite> writes) = 0;
  // The same of the journal. `through`: the newest entry that was read.
  [[nodiscard]] virtual core::Result<std::uint64_t> journal_read() = 0;
  [[nodiscard]] virtual core::Result<void> set_journal_read(std::uint64_t through) = 0;
  // Names, addresses and tags of the sites, and what is presumed.
  [[nodiscard]] virtual core::Result<void> describe(std::vector<Notice>& notices) = 0;

  // --- When it is back.

  // A step: what was told meanwhile, and what waits to be told, becomes the store's; what was routed here is not routed there. True:
  // all of it, and the mirror is empty. Nothing may be routed or claimed here or there meanwhile.
  [[nodiscard]] virtual core::Result<bool> hand_over() = 0;
  // It cannot be handed over: forgets it all.
  [[nodiscard]] virtual core::Result<void> discard() = 0;
  // Deliveries, since the mirror was made.
  [[nodiscard]] virtual std::uint64_t handed_over() const = 0;
};

// What was committed to the store and may not have been routed there: it comes first when the store is away, also after a SIGKILL.
// Thread: any.
class RecentWrites {
 public:
  virtual ~RecentWrites() = default;
  // Not durable over a power cut: then it is routed when the store is back.
  [[nodiscard]] virtual core::Result<void> note(std::span<const EventWrite> writes) = 0;
  [[nodiscard]] virtual core::Result<std::vector<EventWrite>> read() = 0;
  // The newest that was noted; 0: none.
  [[nodiscard]] virtual core::Result<std::uint64_t> newest() = 0;
  [[nodiscard]] virtual core::Result<void> forget(std::uint64_t through) = 0;
};

// The ends of deliveries that were claimed from the store.
class MirrorFinish {
 public:
  virtual ~MirrorFinish() = default;
  [[nodiscard]] virtual core::Result<void> finish(std::span<const Finish> finished) = 0;
};

}  // namespace watchwheel::sideeffects
