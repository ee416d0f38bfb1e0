// SPDX-License-Identifier: Apache-2.0
// db/delivery_log.h - what waits to be told and what could not be: `watchwheel deliveries`, the API.
//
// Thread   one at a time. Calls block.
// Bounded  at most `limit` deliveries a call; a body and the attempts of one.
// Fails    core::Error. requeue(): NotFound when it is no dead letter (any more).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
#include "core/result.h"
#include "sideeffects/delivery_queue_api.h"

namespace watchwheel::db {

enum class DeliveryStatus : std::uint8_t {
  Waiting,  // Due at `next_at`, or due already.
  Sending,  // Leased until `next_at`.
  Behind,   // One before it in its line is not delivered yet.
  Delivered,
  Cancelled,
  Dead,
};
[[nodiscard]] std::string_view to_string(DeliveryStatus status);

struct DeliveryFilter {
  bool dead = false;   // Dead letters; else what is still to be delivered.
  std::string target;  // "": all.
  std::optional<sideeffects::DeathReason> reason{};  // Of dead letters.
  std::uint64_t after = 0;                           // Only ids above.
};

struct DeliveryRecord {
  sideeffects::DeliveryId id;
  DeliveryStatus status = DeliveryStatus::Waiting;
  std::string target;
  std::string kind;
  std::string message_id;
  core::SiteId site;  // 0: several or none.
  std::string url;    // Of the site; "" when it is gone.
  std::string name;
  std::uint32_t attempts = 0;
  std::uint32_t rescues = 0;
  std::uint32_t requeues = 0;
  core::WallTime made_at = core::kNoWallTime;
  core::WallTime next_at = core::kNoWallTime;
  core::WallTime ended_at = core::kNoWallTime;  // Delivered, cancelled, died.
  std::string reason;                           // Of a dead letter.
  std::uint16_t http_status = 0;                // Of the newest attempt that is known.
  std::string detail;
};

struct AttemptRecord {
  std::uint32_t requeues = 0;
  std::uint32_t attempt = 0;
  core::WallTime at = core::kNoWallTime;
  core::Duration took{};
  std::uint16_t http_status = 0;
  std::string detail;
  bool last = false;  // It was buried for it.
};

struct DeliveryDetail {
  DeliveryRecord record;
  std::string body;  // "" of one that is done.
  std::vector<AttemptRecord>
      attempts;  // That failed, oldest first, the newest sideeffects::kAttemptsKept of each round.
};

class DeliveryLog {
 public:
  virtual ~DeliveryLog() = default;

  // Oldest first.
  [[nodiscard]] virtual core::Result<std::vector<DeliveryRecord>> list(const DeliveryFilter& filter,
                                                                       std::size_t limit) = 0;
  // Nothing: there is none of that id (any more).
  [[nodiscard]] virtual core::Result<std::optional<DeliveryDetail>> find(
      sideeffects::DeliveryId id) = 0;

  // A dead letter is tried again, under its id and with its message id, its attempts counted anew. It goes before what was made
  // after it in its line. When its event is over already, a wake (kRequeuedMemo) sees to it that this is told behind it. Invalid:
  // what was made after it of the same event was told to the same target, or waits; or it is the end of what is not told.
  [[nodiscard]] virtual core::Result<void> requeue(sideeffects::DeliveryId id) = 0;
  // The same for those of `filter` (dead letters, whatever it says), oldest first, each `spacing` after the one before. In small
  // transactions. Those that may not be stay dead letters. Says how many were requeued.
  [[nodiscard]] virtual core::Result<std::uint64_t> requeue_all(const DeliveryFilter& filter,
                                                                core::Duration spacing) = 0;
};

}  // namespace watchwheel::db
