// SPDX-License-Identifier: Apache-2.0
#include "db/sql_uptime_log.h"

#include <algorithm>

#include "db/response_codec.h"
#include "db/response_pages.h"
#include "db/rows.h"
#include "db/site_codec.h"

namespace watchwheel::db {
namespace {

using sideeffects::ResponsePage;

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
  " AND kind = 'outage'"                                                                          \
  " ORDER BY site_id, started_at"
constexpr Sql kTroubles(WATCHWHEEL_TROUBLES WATCHWHEEL_OF_RANGE,
                        WATCHWHEEL_TROUBLES " FORCE INDEX (events_named)" WATCHWHEEL_OF_RANGE);
constexpr Sql kGaps =
    "SELECT site_id, started_at, ended_at FROM site_gaps"
    " WHERE site_id BETWEEN ?1 AND ?2 AND started_at < ?4 AND ended_at > ?3"
    " ORDER BY site_id, started_at";

constexpr Sql kKnownFrom = "SELECT known_from FROM history_kept WHERE what = 'events'";
constexpr Sql kReach =
    "SELECT (SELECT started_at FROM response_pages WHERE width_ms = ?1 ORDER BY started_at LIMIT "
    "1),"
    " (SELECT started_at FROM response_pages WHERE width_ms = ?1 ORDER BY started_at DESC LIMIT "
    "1)";
// Of a page there is a row for each node that asked some of its sites.
constexpr Sql kResponses =
    "SELECT page, counts FROM response_pages WHERE width_ms = ? AND started_at = ? AND page "
    "BETWEEN ? AND ?";
// Of one minute there is a row for each node.
constexpr Sql kMinutes =
    "SELECT started_at, counts FROM response_minutes WHERE started_at >= ? AND started_at < ?"
    " ORDER BY started_at, node";

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
  return {kMany, kOne, kTroubles, kGaps, kKnownFrom, kReach, kResponses, kMinutes};
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
  if (filter.responses) {
    if (auto added = add_responses(*found, *filter.responses); !added) return added.error();
  }
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

// ---- Response times ----

core::Result<core::WallTime> SqlUptimeLog::known_from() {
  const core::Result<std::optional<std::int64_t>> from = connection_->number(kKnownFrom);
  if (!from) return from.error();
  return *from ? core::from_unix_ms(**from) : core::kNoWallTime;
}

core::Result<SqlUptimeLog::Reach> SqlUptimeLog::reach(std::int64_t width_ms) {
  Query query = connection_->query(kReach);
  core::Result<bool> row = query.bind(width_ms).step();
  if (!row) return row.error();
  Reach reach;
  if (*row && !query.is_null(0)) reach = {query.integer(0), query.integer(1)};
  return reach;
}

core::Result<ResponseSpan> SqlUptimeLog::response_span(const core::TimeSpan& window) {
  const core::Result<Reach> hours = reach(kHourMs);
  if (!hours) return hours.error();
  const core::Result<Reach> days = reach(kDayMs);
  if (!days) return days.error();
  const std::int64_t from = core::to_unix_ms(window.from);
  const bool by_hour = window.until - window.from <= kHourlyWindowMax && hours->from &&
                       days->from && *hours->from <= std::max(from, *days->from + kDayMs) &&
                       *hours->until >= *days->until;
  const std::int64_t width_ms = by_hour ? kHourMs : kDayMs;
  const auto down = [&](std::int64_t at) { return at - (at % width_ms + width_ms) % width_ms; };
  return ResponseSpan{
      .width = std::chrono::milliseconds{width_ms},
      .span = {core::from_unix_ms(down(from)),
               core::from_unix_ms(down(core::to_unix_ms(window.until) + width_ms - 1))}};
}

core::Result<void> SqlUptimeLog::add_responses(std::vector<SiteHistory>& sites,
                                               const ResponseSpan& responses) {
  const std::int64_t width_ms =
      std::chrono::duration_cast<std::chrono::milliseconds>(responses.width).count();
  const core::Result<Reach> there = reach(width_ms);
  if (!there) return there.error();
  if (!there->from) return {};
  const std::int64_t first = std::max(core::to_unix_ms(responses.span.from), *there->from);
  const std::int64_t end =
      std::min(core::to_unix_ms(responses.span.until), *there->until + width_ms);
  for (std::int64_t started_at = first; started_at < end; started_at += width_ms) {
    Query query = connection_->query(kResponses);
    query.bind(width_ms).bind(started_at);
    query.bind(static_cast<std::int64_t>(ResponsePage::number_of(sites.front().id)))
        .bind(static_cast<std::int64_t>(ResponsePage::number_of(sites.back().id)));
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      // Its sites, and those of ours that are in it: both rise.
      const core::SiteId lowest{static_cast<std::uint64_t>(query.integer(0)) *
                                ResponsePage::kSites};
      const core::SiteId beyond{lowest.value + ResponsePage::kSites};
      auto site = std::lower_bound(sites.begin(), sites.end(), lowest,
                                   [](const auto& one, core::SiteId id) { return one.id < id; });
      if (site == sites.end() || site->id >= beyond) continue;
      const auto page = page_from_text(query.text(1));
      if (!page) return corrupt_row(*connection_, page.error().message);
      for (; site != sites.end() && site->id < beyond; ++site) {
        const auto found = page->find(static_cast<std::uint8_t>(site->id.value - lowest.value));
        if (found != page->end()) site->responses += found->second;
      }
    }
  }
  return {};
}

core::Result<std::vector<ResponsePoint>> SqlUptimeLog::minutes(core::WallTime from,
                                                               core::WallTime until,
                                                               std::size_t limit) {
  Query query = connection_->query(kMinutes);
  query.bind(core::to_unix_ms(from)).bind(core::to_unix_ms(until));
  std::vector<ResponsePoint> points;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return points;
    const core::WallTime started_at = query.time(0);
    if (points.empty() || points.back().started_at != started_at) {
      if (points.size() == limit) return points;
      points.push_back({.started_at = started_at});
    }
    const auto counts = responses_from_text(query.text(1));
    if (!counts) return corrupt_row(*connection_, counts.error().message);
    points.back().responses += *counts;
  }
}

}  // namespace watchwheel::db
