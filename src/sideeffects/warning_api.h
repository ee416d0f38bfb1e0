// SPDX-License-Identifier: Apache-2.0
// sideeffects/warning_api.h - warnings as events of their own kind (core/event_kind.h), and what their keeper needs of a store.
// Implemented in db, joined by app.
//
// A warning is no outage: it changes no state, opens and closes no outage, and no time of it counts as down. It begins, may come a
// step nearer (of a certificate: 14 days, 7 days …; never back), and ends. Each is one transition, whose notice is stored with it.
//
// Thread   one at a time for each object. Calls block: never on a lane's thread.
// Fails    core::Error, as event_store_api.h says; commit() may be made again after any failure, Unknown included: what was stored
//          is found to be there and not stored twice.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/event_kind.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site_facts.h"

namespace watchwheel::sideeffects {

struct OpenWarning {
  core::EventId event;
  core::SiteId site;
  core::EventKind kind = core::EventKind::TlsExpiring;
  core::WallTime started_at = core::kNoWallTime;
  core::Duration step{};  // 0: of a kind that has no steps.
  std::uint32_t transitions_total = 0;
  core::Presence presence = core::Presence::Watched;  // Of its site, as the list says by now.
};

// One transition of one warning.
struct WarningWrite {
  enum class Act : std::uint8_t { Begin, Step, End };
  Act act = Act::Begin;
  // As it is before, as known; of Begin: what is to be, without event and transitions.
  OpenWarning warning;
  std::uint64_t epoch =
      0;  // Of the lease of its site's bucket under which it was judged; 0: one process alone.
  core::Duration step{};  // Of Step: the new one.
  core::WallTime at = core::kNoWallTime;
  std::string detail;  // Of Begin and Step: for people, what was seen.
  // Of End: Watched, it was seen to be over; Paused, Removed: nobody looks any more; Closed: nobody wants to know any more.
  core::Presence ended_as = core::Presence::Watched;
};

class WarningStore {
 public:
  virtual ~WarningStore() = default;

  // The open warnings in the order of sites and kinds, at most `limit`, of which this was the last before; site 0: from the first.
  [[nodiscard]] virtual core::Result<std::vector<OpenWarning>> open(core::SiteId site,
                                                                    core::EventKind kind,
                                                                    std::size_t limit) = 0;

  // All of `writes` in one durable transaction; at most one of each warning. Says of each whether it was done: not when the store has
  // it otherwise (it is open already, or over, or was changed since), then nothing of it was. Fenced as EventStore::commit says.
  [[nodiscard]] virtual core::Result<std::vector<bool>> commit(
      std::span<const WarningWrite> writes) = 0;
};

}  // namespace watchwheel::sideeffects
