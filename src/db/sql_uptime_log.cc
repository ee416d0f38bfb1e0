// SPDX-License-Identifier: Apache-2.0
#include "db/sql_uptime_log.h"

#include <algorithm>

#include "db/rows.h"
#include "db/site_codec.h"

namespace watchwheel::db {
namespace {

// ?1 above which id, ?2 how many, ?3 one id, ?4 a tag, ?5 and ?6 the window.
#define WATCHWHEEL_SITES                                                                      \
  "SELECT s.id, s.url, s.name, s.tags, s.interval_ms, s.active, s.created_at, s.updated_at, " \
  "s.deleted_at,"                                                                             \
  " t.measured, t.checked_at, t.site_id FROM sites s"
#define WATCHWHEEL_THERE(has_tag)                                                           \
  " LEFT JOIN site_state t ON t.site_id = s.id WHERE s.id > ?1 AND (?4 IS NULL OR " has_tag \
  ") AND s.created_at < ?6 AND (s.deleted_at IS NULL OR s.deleted_at > ?5)"
#define WATCHWHEEL_IN_ORDER " ORDER BY s.id LIMIT ?2"
#define WATCHWHEEL_TAG_SQLITE "EXISTS (SELECT 1 FROM json_each(s.tags) WHERE value = ?4)"
#define WATCHWHEEL_TAG_MYSQL "json_contains(s.tags, json_quote(?4))"
constexpr Sql kMany(
    WATCHWHEEL_SITES WATCHWHEEL_THERE(WATCHWHEEL_TAG_SQLITE) " AND ?3 IS NULL" WATCHWHEEL_IN_ORDER,
    WATCHWHEEL_SITES " FORCE INDEX (PRIMARY)" WATCHWHEEL_THERE(
        WATCHWHEEL_TAG_MYSQL) " AND ?3 IS NULL" WATCHWHEEL_IN_ORDER);
constexpr Sql kOne(
    WATCHWHEEL_SITES WATCHWHEEL_THERE(WATCHWHEEL_TAG_SQLITE) " AND s.id = ?3" WATCHWHEEL_IN_ORDER,
    WATCHWHEEL_SITES WATCHWHEEL_THERE(WATCHWHEEL_TAG_MYSQL) " AND s.id = ?3" WATCHWHEEL_IN_ORDER);
// What ended in the very moment in which the window begins is read too: an event of no length has its part there.
#define WATCHWHEEL_TROUBLES "SELECT site_id, started_at, ended_at, confirmed_at FROM events"
#define WATCHWHEEL_OF_RANGE                                                                       \
  " WHERE site_id BETWEEN ?1 AND ?2 AND started_at < ?4 AND (ended_at IS NULL OR ended_at >= ?3)" \
  " ORDER BY site_id, started_at"
constexpr Sql kTroubles(WATCHWHEEL_TROUBLES WATCHWHEEL_OF_RANGE,
                        WATCHWHEEL_TROUBLES " FORCE INDEX (events_named)" WATCHWHEEL_OF_RANGE);
constexpr Sql kGaps =
    "SELECT site_id, started_at, ended_at FROM site_gaps"
    " WHERE site_id BETWEEN ?1 AND ?2 AND started_at < ?4 AND ended_at > ?3"
    " ORDER BY site_id, started_at";

// Whose row this is: rows come in the order of the sites, which are sorted. Null: of none of them (another one between two ids).
SiteHistory* find(std::vector<SiteHistory>& sites, std::size_t& from, core::SiteId id) {
  while (from < sites.size() && sites[from].id < id) ++from;
  return from < sites.size() && sites[from].id == id ? &sites[from] : nullptr;
}

core::Result<SiteHistory> history_from(const Connection& connection, const Query& row) {
  core::Result<std::vector<std::string>> tags = tags_from_json(row.text(3));
  if (!tags) {
    return corrupt_row(connection,
                       "site " + std::to_string(row.integer(0)) + ": " + tags.error().message);
  }
  SiteHistory site{.id = id_from<core::SiteId>(row, 0),
                   .url = std::string(row.text(1)),
                   .name = std::string(row.text(2)),
                   .tags = *std::move(tags),
                   .interval = std::nullopt,
                   .active = row.integer(5) != 0,
                   .created_at = row.time(6),
                   .updated_at = row.time(7),
                   .deleted_at = row.time(8),
                   .seen = !row.is_null(11),
                   .measured = std::nullopt,
                   .checked_at = row.time(10),
                   .troubles = {},
                   .gaps = {}};
  if (!row.is_null(4)) site.interval = std::chrono::milliseconds{row.integer(4)};
  if (!row.is_null(9)) site.measured = row.integer(9) != 0;
  return site;
}

}  // namespace

std::vector<Sql> uptime_queries() {
  return {kMany, kOne, kTroubles, kGaps};
}

core::Result<std::vector<SiteHistory>> SqlUptimeLog::page(const UptimeFilter& filter,
                                                          const core::TimeSpan& window,
                                                          core::SiteId after, std::size_t limit) {
  core::Result<Transaction> moment = Transaction::read(*connection_);
  if (!moment) return moment.error();
  core::Result<std::vector<SiteHistory>> found = sites(filter, window, after, limit);
  if (!found || found->empty()) return found;
  if (core::Result<void> added = add_troubles(*found, window); !added) return added.error();
  if (core::Result<void> added = add_gaps(*found, window); !added) return added.error();
  return found;
}

core::Result<std::vector<SiteHistory>> SqlUptimeLog::sites(const UptimeFilter& filter,
                                                           const core::TimeSpan& window,
                                                           core::SiteId after, std::size_t limit) {
  Query query = connection_->query(filter.site ? kOne : kMany);
  query.bind(to_column(after))
      .bind(static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
  if (filter.site) {
    query.bind(to_column(*filter.site));
  } else {
    query.bind(nullptr);
  }
  if (filter.tag) {
    query.bind(std::string_view(*filter.tag));
  } else {
    query.bind(nullptr);
  }
  query.bind(core::to_unix_ms(window.from)).bind(core::to_unix_ms(window.until));
  std::vector<SiteHistory> found;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return found;
    core::Result<SiteHistory> site = history_from(*connection_, query);
    if (!site) return site.error();
    found.push_back(*std::move(site));
  }
}

core::Result<void> SqlUptimeLog::add_troubles(std::vector<SiteHistory>& sites,
                                              const core::TimeSpan& window) {
  Query query = connection_->query(kTroubles);
  query.bind(to_column(sites.front().id)).bind(to_column(sites.back().id));
  query.bind(core::to_unix_ms(window.from)).bind(core::to_unix_ms(window.until));
  std::size_t at = 0;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    if (SiteHistory* site = find(sites, at, id_from<core::SiteId>(query, 0)); site != nullptr)
      site->troubles.push_back(
          {.started_at = query.time(1), .ended_at = query.time(2), .confirmed = !query.is_null(3)});
  }
}

core::Result<void> SqlUptimeLog::add_gaps(std::vector<SiteHistory>& sites,
                                          const core::TimeSpan& window) {
  Query query = connection_->query(kGaps);
  query.bind(to_column(sites.front().id)).bind(to_column(sites.back().id));
  query.bind(core::to_unix_ms(window.from)).bind(core::to_unix_ms(window.until));
  std::size_t at = 0;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    if (SiteHistory* site = find(sites, at, id_from<core::SiteId>(query, 0)); site != nullptr)
      site->gaps.push_back({.from = query.time(1), .until = query.time(2)});
  }
}

}  // namespace watchwheel::db
