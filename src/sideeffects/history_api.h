// SPDX-License-Identifier: Apache-2.0
// sideeffects/history_api.h - what is kept of the past, and for how long. Implemented in db, joined by app.
//
// Thread   one at a time. Calls block.
// Fails    core::Error; a step that failed did nothing and may be repeated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/clock.h"
#include "core/responses.h"
#include "core/result.h"

namespace watchwheel::sideeffects {

// How long after its end; 0: for ever.
struct HistoryRetention {
  core::Duration
      events{};  // Events that are over, with their transitions; gaps; faults of the vantage; outages that were one.
  core::Duration minutes{};  // Response times by minute, hour and day.
  core::Duration hours{};
  core::Duration days{};
  friend bool operator==(const HistoryRetention&, const HistoryRetention&) = default;
};

enum class HistoryTable : std::uint8_t {
  Events,
  EventTransitions,
  SiteGaps,
  OutageGroups,
  VantageEvents,
  ResponseRollups,
  ResponseMinutes,
};
inline constexpr std::array kHistoryTables{
    HistoryTable::Events,         HistoryTable::EventTransitions, HistoryTable::SiteGaps,
    HistoryTable::OutageGroups,   HistoryTable::VantageEvents,    HistoryTable::ResponseRollups,
    HistoryTable::ResponseMinutes};

// As the store names it.
[[nodiscard]] constexpr std::string_view to_string(HistoryTable table) {
  constexpr std::array<std::string_view, kHistoryTables.size()> kNames{
      "events",         "event_transitions", "site_gaps",       "outage_groups",
      "vantage_events", "response_rollups",  "response_minutes"};
  return kNames.at(static_cast<std::size_t>(table));
}

// Rows that are gone, by table.
struct HistoryPurge {
  std::array<std::uint64_t, kHistoryTables.size()> removed{};
  [[nodiscard]] std::uint64_t& of(HistoryTable table) {
    return removed.at(static_cast<std::size_t>(table));
  }
  [[nodiscard]] std::uint64_t total() const {
    std::uint64_t sum = 0;
    for (const std::uint64_t one : removed) sum += one;
    return sum;
  }
};

class HistoryStore {
 public:
  virtual ~HistoryStore() = default;

  // Removes at most about `limit` rows of each kind that are older than is kept, in small transactions by primary key; says what.
  // When it is not nothing there may be more. No event that is open or has a notice that waits goes, and none without its
  // transitions. Before the first row of a report goes it is written how far back the store knows (db/uptime_log.h).
  [[nodiscard]] virtual core::Result<HistoryPurge> purge(const HistoryRetention& retention,
                                                         std::size_t limit) = 0;

  // How fast the sites of `node` answered in the minute from `started_at` on. What is there of it is added to.
  [[nodiscard]] virtual core::Result<void> add_minute(std::string_view node,
                                                      core::WallTime started_at,
                                                      const core::ResponseHistogram& responses) = 0;
};

}  // namespace watchwheel::sideeffects
