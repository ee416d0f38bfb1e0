// SPDX-License-Identifier: Apache-2.0
// db/incident_log.h - reads events and their transitions: `watchwheel incidents`.
//
// Thread   one at a time. Calls block.
// Bounded  at most `limit` events a call, each with all its transitions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/event_kind.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"
#include "core/site_facts.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/vantage_store_api.h"

namespace watchwheel::db {

struct IncidentFilter {
  bool open_only = false;
  std::optional<core::SiteId> site{};
  core::WallTime since = core::kNoWallTime;  // Events that were open at or after this moment.
  std::optional<core::EventId> event{};      // This one alone; the others do not matter then.
  std::optional<std::uint64_t> group{};      // Only those of this mass outage; 0: only those of none.
  std::optional<core::EventKind> kind{};
};

struct Incident {
  core::EventId id;
  core::SiteId site;
  std::string url;  // "" when the site has been removed and its row is gone.
  std::string name;
  core::SiteState state = core::SiteState::SeemsDown;  // Up: it is over.
  core::WallTime started_at = core::kNoWallTime;
  core::WallTime confirmed_at = core::kNoWallTime;
  core::WallTime ended_at = core::kNoWallTime;
  std::uint32_t failures = 0;
  core::Evidence evidence;
  std::uint64_t group = 0;  // The mass outage it is a part of; 0: none.
  core::Testimony testimony{};  // Of the newest round in which others were asked.
  core::WallTime acked_at = core::kNoWallTime;  // Since then somebody is on it: nobody is reminded.
  std::string acked_by;
  std::vector<sideeffects::TransitionRecord> transitions;
  // Not Outage: a warning (sideeffects/warning_api.h). Of it `state` says only whether it is over (Up) or not (Unknown).
  core::EventKind kind = core::EventKind::Outage;
  core::Duration step{};
};

// Events that began together on unrelated networks while the vantage was well: one outage, told as one.
struct OutageGroup {
  std::uint64_t id = 0;
  core::WallTime started_at = core::kNoWallTime;
  core::WallTime newest_at = core::kNoWallTime;  // When its newest event began.
  core::WallTime ended_at = core::kNoWallTime;  // Of its last event; kNoWallTime while one is open.
  std::uint64_t sites = 0;
  std::uint64_t down = 0;
  std::uint64_t seems_down = 0;
  std::string cause;  // The most frequent.
};

struct VantageIncident {
  std::uint64_t id = 0;
  sideeffects::VantageEvent event;
};

struct OpenIncidentCounts {
  std::uint64_t seems_down = 0;
  std::uint64_t down = 0;
};

class IncidentLog {
 public:
  virtual ~IncidentLog() = default;

  // Newest first (by start, then id), skipping the first `offset`.
  [[nodiscard]] virtual core::Result<std::vector<Incident>> list(const IncidentFilter& filter,
                                                                 std::size_t offset,
                                                                 std::size_t limit) = 0;
  [[nodiscard]] virtual core::Result<OpenIncidentCounts> count_open() = 0;
  // Newest first, by `open_only` and `since` alone.
  [[nodiscard]] virtual core::Result<std::vector<OutageGroup>> groups(const IncidentFilter& filter,
                                                                      std::size_t limit) = 0;
  [[nodiscard]] virtual core::Result<std::vector<VantageIncident>> vantage(
      const IncidentFilter& filter, std::size_t limit) = 0;
};

}  // namespace watchwheel::db
