// SPDX-License-Identifier: Apache-2.0
// sideeffects/history_api.h - what is kept of the past, and for how long. Implemented in db, joined by app.
//
// Thread   one at a time. Calls block.
// Fails    core::Error; a step that failed did nothing and may be repeated.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/ids.h"
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
  ResponsePages,
  ResponseMinutes,
};
inline constexpr std::array kHistoryTables{
    HistoryTable::Events,         HistoryTable::EventTransitions, HistoryTable::SiteGaps,
    HistoryTable::OutageGroups,   HistoryTable::VantageEvents,    HistoryTable::ResponsePages,
    HistoryTable::ResponseMinutes};

// As the store names it.
[[nodiscard]] constexpr std::string_view to_string(HistoryTable table) {
  constexpr std::array<std::string_view, kHistoryTables.size()> kNames{
      "events",         "event_transitions", "site_gaps",       "outage_groups",
      "vantage_events", "response_pages",  "response_minutes"};
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

// How fast neighbouring sites answered in one hour: what is written at once, instead of a row for each site.
struct ResponsePage {
  static constexpr std::uint64_t kSites = 128;
  struct Site {
    core::ResponseCounts counts;
    std::uint8_t offset = 0;  // Its id is the page's number * kSites + this.
  };
  static_assert(sizeof(Site) == 10, "the gatherer has one for each site");
  [[nodiscard]] static std::uint64_t number_of(core::SiteId site) { return site.value / kSites; }

  std::uint64_t number = 0;
  core::WallTime hour = core::kNoWallTime;  // They count for it (UTC), and for its day.
  bool by_hour = false;                     // For the hour too, not for the day alone.
  std::int64_t token = 0;                   // No other page has it.
  std::vector<Site> sites;                  // In any order; a site that comes twice is added twice.
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

  // Adds `pages`, no two of one number, to what there is of `node`: all or none. The same call repeated adds them once, as long as
  // none of the same numbers came between.
  [[nodiscard]] virtual core::Result<void> add_pages(std::string_view node,
                                                     std::span<const ResponsePage> pages) = 0;
};

}  // namespace watchwheel::sideeffects
