// SPDX-License-Identifier: Apache-2.0
#include "db/sql_flapping_store.h"

#include <map>

#include "core/flapping.h"
#include "db/delivery_rows.h"
#include "db/rows.h"

namespace watchwheel::db {
namespace {

using sideeffects::FlappingSite;
using sideeffects::SiteChanges;

constexpr Sql kFlapping =
    "SELECT site_id, event_id, memo FROM outbox_wakes WHERE memo LIKE 'flapping:%'"
    " ORDER BY site_id";
constexpr Sql kSites =
    "SELECT s.id, s.interval_ms, s.active, s.deleted_at, st.state FROM sites s"
    " LEFT JOIN site_state st ON st.site_id = s.id WHERE s.id IN " WATCHWHEEL_IDS;
constexpr Sql kChanges =
    "SELECT site_id, confirmed_at, ended_at, EXISTS (SELECT 1 FROM delivery_tellings t"
    " WHERE t.event_id = events.id AND t.state IN ('queued', 'told')"
    " AND t.kind NOT IN ('flapping', 'flapping_over'))"
    " FROM events WHERE confirmed_at IS NOT NULL AND"
    " (ended_at IS NULL OR ended_at > ?) AND site_id IN " WATCHWHEEL_IDS;

core::SiteState state_of(const Query& row) {
  if (!row.is_null(3)) return core::SiteState::Unknown;
  if (row.integer(2) == 0) return core::SiteState::Paused;
  return core::parse_site_state(row.text(4)).value_or(core::SiteState::Unknown);
}

}  // namespace

core::Result<std::vector<FlappingSite>> SqlFlappingStore::flapping() {
  Query query = connection_->query(kFlapping);
  std::vector<FlappingSite> all;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return all;
    const auto since = sideeffects::parse_flapping_memo(query.text(2));
    if (!since) continue;
    all.push_back({.site = id_from<core::SiteId>(query, 0),
                   .event = id_from<core::EventId>(query, 1),
                   .since = *since});
  }
}

core::Result<std::vector<SiteChanges>> SqlFlappingStore::changes(
    std::span<const core::SiteId> sites, core::Duration interval, core::WallTime now) {
  std::map<std::int64_t, SiteChanges> by_site;
  Ids ids;
  for (const core::SiteId site : sites) {
    SiteChanges empty{.site = site, .changes = {}, .told = {}};
    if (by_site.emplace(to_column(site), std::move(empty)).second) ids.push_back(to_column(site));
  }
  const auto read = by_parts(ids, [&](auto part) -> core::Result<void> {
    core::Duration longest = interval;
    {
      Query query = connection_->query(kSites);
      bind_ids(query, part);
      while (true) {
        core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        SiteChanges& site = by_site.at(query.integer(0));
        if (!query.is_null(1)) site.interval = std::chrono::milliseconds{query.integer(1)};
        site.state = state_of(query);
        longest = std::max(longest, site.interval);
      }
    }
    Query query = connection_->query(kChanges);
    query.bind(now - core::flap_memory(longest));
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      SiteChanges& site = by_site.at(query.integer(0));
      const bool told = query.integer(3) != 0;
      for (const int column : {1, 2}) {
        if (query.is_null(column)) continue;
        site.changes.push_back(query.time(column));
        if (told) site.told.push_back(query.time(column));
      }
    }
  });
  if (!read) return read.error();
  std::vector<SiteChanges> all;
  all.reserve(by_site.size());
  for (auto& [id, site] : by_site) all.push_back(std::move(site));
  return all;
}

}  // namespace watchwheel::db
