// SPDX-License-Identifier: Apache-2.0
#include "db/sql_site_feed.h"

#include <algorithm>
#include <utility>

#include "db/rows.h"

namespace watchwheel::db {
namespace {

// The open event is asked of the events themselves; site_state.event_id is only a projection of
// them.
#define WATCHWHEEL_KNOWN_SITE_COLUMNS                                \
  "s.id, s.url, s.interval_ms, s.active, s.name, s.tags, s.options," \
  " e.id, e.state, e.started_at, e.confirmed_at, e.failures, e.cause, t.checked_at"
#define WATCHWHEEL_KNOWN_SITE_JOINS                                                           \
  " LEFT JOIN events e ON e.site_id = s.id AND e.ended_at IS NULL AND e.kind = 'outage'"       \
  " LEFT JOIN site_state t ON t.site_id = s.id"
#define WATCHWHEEL_KNOWN_SITE_JOINS_MYSQL \
  " LEFT JOIN events e ON e.open_site = s.id AND e.kind = 'outage'" \
  " LEFT JOIN site_state t ON t.site_id = s.id"

constexpr int kEventColumn = 7;
constexpr int kCheckedColumn = 13;

// See the catalog's kNewestSeq.
constexpr Sql kNewest(
    "SELECT max(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) FROM site_changes",
    "SELECT greatest(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) FROM site_changes");
// MySQL would rather go through the index of what is removed, from its beginning at every page: at a million sites ten times the
// work, and more with every page.
#define WATCHWHEEL_URLS(index) \
  "SELECT id, url FROM sites" index " WHERE id > ? AND deleted_at IS NULL ORDER BY id LIMIT ?"
constexpr Sql kUrls(WATCHWHEEL_URLS(""), WATCHWHEEL_URLS(" FORCE INDEX (PRIMARY)"));
#define WATCHWHEEL_LOAD(joins)                                  \
  "SELECT " WATCHWHEEL_KNOWN_SITE_COLUMNS " FROM sites s" joins \
  " WHERE s.id > ? AND s.deleted_at IS NULL ORDER BY s.id LIMIT ?"
constexpr Sql kLoad(WATCHWHEEL_LOAD(WATCHWHEEL_KNOWN_SITE_JOINS),
                    WATCHWHEEL_LOAD(" FORCE INDEX (PRIMARY)" WATCHWHEEL_KNOWN_SITE_JOINS_MYSQL));
// The bucket first, whatever the server thinks of the sizes.
constexpr Sql kLoadBucket =
    "SELECT " WATCHWHEEL_KNOWN_SITE_COLUMNS
    " FROM site_buckets b STRAIGHT_JOIN sites s ON s.id = b.site_id" WATCHWHEEL_KNOWN_SITE_JOINS_MYSQL
    " WHERE b.bucket_hash >= ? AND b.bucket_hash < ? AND b.site_id > ? AND s.deleted_at IS NULL"
    " ORDER BY b.site_id LIMIT ?";
#define WATCHWHEEL_CHANGES(joins)                                                           \
  "SELECT s.change_seq, s.deleted_at, " WATCHWHEEL_KNOWN_SITE_COLUMNS " FROM sites s" joins \
  " WHERE s.change_seq > ? ORDER BY s.change_seq LIMIT ?"
constexpr Sql kChanges(WATCHWHEEL_CHANGES(WATCHWHEEL_KNOWN_SITE_JOINS),
                       WATCHWHEEL_CHANGES(WATCHWHEEL_KNOWN_SITE_JOINS_MYSQL));
// Also those whose row is gone: then only the id is known.
#define WATCHWHEEL_REMOVED_OPEN(index, open_site)                                                 \
  "SELECT e.site_id, coalesce(s.url, ''), s.interval_ms, coalesce(s.active, 0), coalesce(s.name," \
  " ''), coalesce(s.tags, '[]'), coalesce(s.options, '{}'),"                                      \
  " e.id, e.state, e.started_at, e.confirmed_at, e.failures, e.cause, NULL"                       \
  " FROM events e " index                                                                         \
  " LEFT JOIN sites s ON s.id = e.site_id"                                                        \
  " WHERE e.ended_at IS NULL AND e.kind = 'outage' AND e." open_site                              \
  " > ?"                                                                                          \
  " AND (s.id IS NULL OR s.deleted_at IS NOT NULL) ORDER BY e." open_site " LIMIT ?"
constexpr Sql kRemovedOpen(WATCHWHEEL_REMOVED_OPEN("INDEXED BY events_open", "site_id"),
                           WATCHWHEEL_REMOVED_OPEN("FORCE INDEX (events_open)", "open_site"));

std::int64_t row_limit(std::size_t limit) {
  return static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX));
}

}  // namespace

std::vector<Sql> site_feed_queries() {
  return {kNewest, kLoad, kUrls, kChanges, kRemovedOpen};
}

const Sql& bucket_query() {
  return kLoadBucket;
}

core::KnownSite SqlSiteFeed::known_site(const Query& row, int column) const {
  core::KnownSite known;
  known.record.id = id_from<core::SiteId>(row, column);
  known.record.url = row.text(column + 1);
  known.record.active = row.integer(column + 3) != 0;
  known.last_checked_at = row.time(column + kCheckedColumn);
  if (core::Result<core::SiteRecord> record = record_from(*connection_, row, column)) {
    known.record = std::move(*record);
  } else {
    known.problem = record.error().message;
  }
  if (core::Result<std::optional<core::OpenEvent>> event =
          open_event_from(*connection_, row, column + kEventColumn)) {
    known.open_event = *event;
  } else {
    known.problem = event.error().message;
  }
  return known;
}

core::Result<core::ChangeSeq> SqlSiteFeed::newest_change() {
  auto newest = connection_->number(kNewest);
  if (!newest) return newest.error();
  if (!*newest) return corrupt_row(*connection_, "the change counter (table site_changes) is gone");
  return core::ChangeSeq{static_cast<std::uint64_t>(**newest)};
}

core::Result<SitePage> SqlSiteFeed::load(core::SiteId after, std::size_t limit) {
  Query query = connection_->query(kLoad);
  query.bind(to_column(after)).bind(row_limit(limit));
  return page_of(query, limit);
}

core::Result<SitePage> SqlSiteFeed::load_bucket(core::BucketHashes hashes, core::SiteId after,
                                                std::size_t limit) {
  if (connection_->dialect() == Dialect::Sqlite) return SiteFeed::load_bucket(hashes, after, limit);
  Query query = connection_->query(kLoadBucket);
  query.bind(std::int64_t{hashes.first}).bind(std::int64_t{hashes.end});
  query.bind(to_column(after)).bind(row_limit(limit));
  return page_of(query, limit);
}

core::Result<SitePage> SqlSiteFeed::page_of(Query& query, std::size_t limit) const {
  SitePage page;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) break;
    page.sites.push_back(known_site(query, 0));
  }
  page.last = page.sites.size() < limit;
  return page;
}

core::Result<std::vector<SiteUrl>> SqlSiteFeed::urls(core::SiteId after, std::size_t limit) {
  std::vector<SiteUrl> urls;
  Query query = connection_->query(kUrls);
  query.bind(to_column(after)).bind(row_limit(limit));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return urls;
    urls.push_back({id_from<core::SiteId>(query, 0), std::string(query.text(1))});
  }
}

core::Result<std::vector<SiteChange>> SqlSiteFeed::changes(core::ChangeSeq after,
                                                           std::size_t limit) {
  std::vector<SiteChange> changes;
  Query query = connection_->query(kChanges);
  query.bind(to_column(after)).bind(row_limit(limit));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return changes;
    changes.push_back(SiteChange{.seq = id_from<core::ChangeSeq>(query, 0),
                                 .removed = !query.is_null(1),
                                 .known = known_site(query, 2)});
  }
}

core::Result<std::vector<core::KnownSite>> SqlSiteFeed::removed_with_open_event(
    std::size_t limit, core::SiteId after) {
  std::vector<core::KnownSite> sites;
  Query query = connection_->query(kRemovedOpen);
  query.bind(to_column(after)).bind(row_limit(limit));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return sites;
    sites.push_back(known_site(query, 0));
  }
}

}  // namespace watchwheel::db
