// SPDX-License-Identifier: Apache-2.0
#include "db/sql_site_catalog.h"

#include <algorithm>
#include <utility>

#include "core/hash.h"
#include "db/rows.h"
#include "db/site_codec.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

// Whoever changes the list holds this row until it commits, so that numbers are seen in their order. Another program may
// have inserted a site with the sequence's next number and not counted it.
constexpr Sql kNewestSeq(
    "SELECT max(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) FROM site_changes",
    "SELECT greatest(newest_seq, coalesce((SELECT max(change_seq) FROM sites), 0)) FROM "
    "site_changes"
    " FOR UPDATE");
constexpr Sql kSetNewestSeq = "UPDATE site_changes SET newest_seq = ?";

#define WATCHWHEEL_COMPARED \
  "SELECT id, url, interval_ms, active, name, tags, options, deleted_at FROM sites "
constexpr Sql kById = WATCHWHEEL_COMPARED "WHERE id = ?";
constexpr Sql kByUrl = WATCHWHEEL_COMPARED
    "WHERE url_hash = ?1 AND url = ?2 AND deleted_at IS NULL ORDER BY id LIMIT 1";
constexpr Sql kIdsByUrl =
    "SELECT id FROM sites WHERE url_hash = ?1 AND url = ?2 AND deleted_at IS NULL ORDER BY id";

constexpr Sql kInsert =
    "INSERT INTO sites (interval_ms, active, name, tags, options, created_at, updated_at,"
    " change_seq, id, url, url_hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8, ?9, ?10)";
// A column that is set is written to its indexes even when it stays the same, so the common change
// names no indexed one.
constexpr Sql kUpdate =
    "UPDATE sites SET interval_ms = ?1, active = ?2, name = ?3, tags = ?4, options = ?5,"
    " updated_at = ?6, change_seq = ?7 WHERE id = ?8";
// Another URL, or a removed site that is wanted again.
constexpr Sql kReplace =
    "UPDATE sites SET interval_ms = ?1, active = ?2, name = ?3, tags = ?4, options = ?5,"
    " updated_at = ?6, change_seq = ?7, url = ?9, url_hash = ?10,"
    " created_at = CASE WHEN deleted_at IS NULL THEN created_at ELSE ?6 END, deleted_at = NULL"
    " WHERE id = ?8";
constexpr Sql kSetActive =
    "UPDATE sites SET active = ?1, updated_at = ?2, change_seq = ?4 WHERE id = ?3 AND active <> ?1 "
    "AND deleted_at IS NULL";
constexpr Sql kRemove =
    "UPDATE sites SET deleted_at = ?1, updated_at = ?1, change_seq = ?3 WHERE id = ?2 AND "
    "deleted_at IS NULL";
// What is open of one URL says nothing of another one: until that is checked, nobody knows.
constexpr Sql kForgetFreshness =
    "UPDATE site_state SET measured = CASE WHEN event_state IS NOT NULL THEN 0 END, checked_at = "
    "NULL, cause = NULL, http_status = NULL, "
    "total_ms = NULL,"
    " next_due_at = NULL, cert_not_after = NULL, cert_sha256 = NULL, cert_changed_at = NULL WHERE "
    "site_id = ?";
#define WATCHWHEEL_PURGED                                                                  \
  "(SELECT s.id FROM sites s WHERE s.deleted_at < ?1"                                      \
  " AND NOT EXISTS (SELECT 1 FROM events e WHERE e.site_id = s.id AND e.ended_at IS NULL)" \
  " ORDER BY s.deleted_at LIMIT ?2)"
constexpr Sql kPurge("DELETE FROM sites WHERE id IN " WATCHWHEEL_PURGED,
                     "DELETE gone, t FROM sites gone JOIN " WATCHWHEEL_PURGED
                     " d ON d.id = gone.id LEFT JOIN site_state t ON t.site_id = gone.id");
// What depended on it depends on nobody then.
constexpr Sql kForgetParents = "DELETE FROM site_parents WHERE site_id = ?";
constexpr Sql kForgetChildren = "DELETE FROM site_parents WHERE parent_id = ?";
constexpr Sql kOrigin = "SELECT place FROM site_origin WHERE only_row = 1";
constexpr Sql kNoOrigin = "DELETE FROM site_origin WHERE only_row = 1";
constexpr Sql kCount = "SELECT count(*) FROM sites WHERE deleted_at IS NULL";

#define WATCHWHEEL_VIEW                                                               \
  "SELECT s.id, s.url, s.interval_ms, s.active, s.name, s.tags, s.options, t.state, " \
  "t.state_since, t.checked_at, t.cause, e.id FROM sites s"
#define WATCHWHEEL_ITS_STATE " LEFT JOIN site_state t ON t.site_id = s.id"
#define WATCHWHEEL_AND_EVENT \
  WATCHWHEEL_ITS_STATE \
  " LEFT JOIN events e ON e.site_id = s.id AND e.ended_at IS NULL AND e.kind = 'outage' "
#define WATCHWHEEL_AND_EVENT_MYSQL WATCHWHEEL_ITS_STATE \
  " LEFT JOIN events e ON e.open_site = s.id AND e.kind = 'outage' "
#define WATCHWHEEL_ONE "WHERE s.id = ? AND s.deleted_at IS NULL"
constexpr Sql kGet(WATCHWHEEL_VIEW WATCHWHEEL_AND_EVENT WATCHWHEEL_ONE,
                   WATCHWHEEL_VIEW WATCHWHEEL_AND_EVENT_MYSQL WATCHWHEEL_ONE);
#define WATCHWHEEL_FILTERED(has_tag)                                                \
  "WHERE s.id > ?1 AND s.deleted_at IS NULL"                                        \
  " AND (?3 IS NULL OR " has_tag                                                    \
  ")"                                                                               \
  " AND (?4 IS NULL OR ?4 = CASE WHEN s.active = 0 THEN 'paused' ELSE t.state END)" \
  " AND (?5 IS NULL OR instr(s.url, ?5) > 0)"                                       \
  " ORDER BY s.id LIMIT ?2"
// In the order of ids by the table itself: see the feed's kUrls.
constexpr Sql kList(WATCHWHEEL_VIEW WATCHWHEEL_AND_EVENT WATCHWHEEL_FILTERED(
                        "EXISTS (SELECT 1 FROM json_each(s.tags) WHERE value = ?3)"),
                    WATCHWHEEL_VIEW
                    " FORCE INDEX (PRIMARY)" WATCHWHEEL_AND_EVENT_MYSQL WATCHWHEEL_FILTERED(
                        "json_contains(s.tags, json_quote(?3))"));

// A site is found by its URL through 32 bits of a hash, and then by the URL itself. An index of the
// URLs is four times as large, and writes 1.7 times as much when a list comes in no order; of long
// URLs MySQL could not hold one at all.
std::int64_t url_hash(std::string_view url) {
  return static_cast<std::int64_t>(core::stable_hash(url) >> 32U);
}

core::Result<SiteView> view_from(const Connection& connection, const Query& row) {
  core::Result<core::SiteRecord> record = record_from(connection, row, 0);
  if (!record) return record.error();
  SiteView view{.record = std::move(*record),
                .state = core::parse_site_state(row.text(7)),
                .state_since = row.time(8),
                .checked_at = row.time(9),
                .cause = core::parse_cause(row.text(10)),
                .open_event = id_from<core::EventId>(row, 11)};
  if (!view.record.active) view.state = core::SiteState::Paused;
  return view;
}

template <typename Text>
void bind_if(Query& query, const std::optional<Text>& text) {
  if (text) {
    query.bind(std::string_view(*text));
  } else {
    query.bind(nullptr);
  }
}

core::Error at_record(const core::Error& why, std::size_t index, const core::SiteRecord& record) {
  std::string place = "record " + std::to_string(index + 1);
  if (record.id.value != 0) place += " (id " + std::to_string(record.id.value) + ")";
  if (!record.url.empty()) place += " (" + shown_url(record.url) + ")";
  return core::Error{why.kind, place + ": " + why.message};
}

}  // namespace

std::vector<Sql> site_edit_queries() {
  return {kNewestSeq, kSetNewestSeq, kById,   kByUrl,           kIdsByUrl, kUpdate,
          kReplace,   kSetActive,    kRemove, kForgetFreshness, kPurge,    kGet,
          kForgetParents, kForgetChildren};
}

struct SqlSiteCatalog::Change {
  Transaction transaction;
  std::int64_t now_ms = 0;
  std::int64_t newest_seq = 0;
  bool changed = false;

  static core::Result<Change> begin(Connection& connection) {
    core::Result<Transaction> transaction = Transaction::write(connection);
    if (!transaction) return transaction.error();
    core::Result<std::int64_t> now = connection.now_ms();
    if (!now) return now.error();
    auto newest = connection.number(kNewestSeq);
    if (!newest) return newest.error();
    if (!*newest) return corrupt_row(connection, "the change counter (table site_changes) is gone");
    return Change{.transaction = std::move(*transaction), .now_ms = *now, .newest_seq = **newest};
  }

  // The number that the next changed row would get; taken() once it has it.
  [[nodiscard]] std::int64_t next() const { return newest_seq + 1; }
  void taken() {
    ++newest_seq;
    changed = true;
  }

  core::Result<void> commit(Connection& connection) {
    if (changed) {
      core::Result<void> set = connection.query(kSetNewestSeq).bind(newest_seq).run();
      if (!set) return set;
    }
    return transaction.commit();
  }
};

template <typename Count, typename Work>
core::Result<Count> SqlSiteCatalog::changing(Work work) {
  return retried(*connection_, [&]() -> core::Result<Count> {
    Count count{};
    const core::Result<void> done = fence_.under([&](std::int64_t fence) -> core::Result<void> {
      const core::BucketTable* const table = fence_.table();
      if (table != nullptr && table->epoch(kFirstBucket) == 0)
        return core::BucketTable::fenced("the site list is another node's to change");
      core::Result<Change> change = Change::begin(*connection_);
      if (!change) return change.error();
      core::Result<Count> counted = work(*change);
      if (!counted) return counted.error();
      // Last of all: whoever takes over waits for a commit at most, not for a thousand sites.
      if (auto passed = fence_.pass(*connection_, fence); !passed) return passed;
      count = *std::move(counted);
      return change->commit(*connection_);
    });
    if (!done) return done.error();
    return count;
  });
}

// A record as its columns hold it.
struct SqlSiteCatalog::Columns {
  explicit Columns(const core::SiteRecord& from)
      : record(from), tags(tags_to_json(from.tags)), options(options_to_json(from.options)) {
    if (from.interval)
      interval_ms = std::chrono::duration_cast<std::chrono::milliseconds>(*from.interval).count();
  }

  // All but the URL.
  [[nodiscard]] bool same_as(const Query& row) const {
    const bool same_interval =
        interval_ms ? !row.is_null(2) && row.integer(2) == *interval_ms : row.is_null(2);
    return same_interval && (row.integer(3) != 0) == record.active && row.text(4) == record.name &&
           row.text(5) == tags && row.text(6) == options;
  }
  // The first seven parameters of kInsert, kUpdate and kReplace.
  void bind(Query& query, const Change& change) const {
    query.bind(interval_ms).bind(static_cast<std::int64_t>(record.active));
    query.bind(std::string_view(record.name))
        .bind(std::string_view(tags))
        .bind(std::string_view(options));
    query.bind(change.now_ms).bind(change.next());
  }

  const core::SiteRecord& record;
  std::optional<std::int64_t> interval_ms;
  std::string tags, options;
};

core::Result<UpsertCounts> SqlSiteCatalog::upsert(std::span<const core::SiteRecord> records,
                                                  std::vector<core::SiteId>* ids) {
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (core::Result<void> fits = check_record(records[i]); !fits)
      return at_record(fits.error(), i, records[i]);
  }
  std::vector<core::SiteId> stored;
  const auto done = changing<UpsertCounts>([&](Change& change) -> core::Result<UpsertCounts> {
    UpsertCounts counts;
    stored.clear();
    stored.reserve(records.size());
    for (std::size_t i = 0; i < records.size(); ++i) {
      core::Result<core::SiteId> id = store(records[i], change, counts);
      if (!id) return at_record(id.error(), i, records[i]);
      stored.push_back(*id);
    }
    return counts;
  });
  if (done && ids != nullptr) *ids = std::move(stored);
  return done;
}

core::Result<core::SiteId> SqlSiteCatalog::store(const core::SiteRecord& record, Change& change,
                                                 UpsertCounts& counts) {
  const Columns wanted(record);
  core::SiteId id = record.id;
  const core::Result<Match> found = match(wanted, id);
  if (!found) return found.error();
  if (*found == Match::Same) {
    ++counts.unchanged;
    return id;
  }
  const core::Result<void> written =
      *found == Match::None ? insert(wanted, change, id) : update(wanted, *found, id, change);
  if (!written) return written.error();
  change.taken();
  const bool added = *found == Match::None || *found == Match::Removed;
  ++(added ? counts.added : counts.changed);
  return id;
}

// Sets `id` to the row's when there is one.
core::Result<SqlSiteCatalog::Match> SqlSiteCatalog::match(const Columns& wanted, core::SiteId& id) {
  Query query = connection_->query(id.value != 0 ? kById : kByUrl);
  if (id.value != 0) {
    query.bind(to_column(id));
  } else {
    query.bind(url_hash(wanted.record.url)).bind(std::string_view(wanted.record.url));
  }
  core::Result<bool> row = query.step();
  if (!row) return row.error();
  if (!*row) return Match::None;
  id = id_from<core::SiteId>(query, 0);
  if (!query.is_null(7)) return Match::Removed;
  if (query.text(1) != wanted.record.url) return Match::OtherUrl;
  return wanted.same_as(query) ? Match::Same : Match::SameUrl;
}

core::Result<void> SqlSiteCatalog::insert(const Columns& wanted, Change& change, core::SiteId& id) {
  std::optional<std::int64_t> given;
  if (id.value != 0) given = to_column(id);
  Query query = connection_->query(kInsert);
  wanted.bind(query, change);
  query.bind(given).bind(std::string_view(wanted.record.url)).bind(url_hash(wanted.record.url));
  core::Result<void> done = query.run();
  if (!done || given) return done;
  const auto inserted = connection_->last_insert_id();
  if (!inserted) return inserted.error();
  id = core::SiteId{static_cast<std::uint64_t>(*inserted)};
  return {};
}

core::Result<void> SqlSiteCatalog::update(const Columns& wanted, Match found, core::SiteId id,
                                          Change& change) {
  Query query = connection_->query(found == Match::SameUrl ? kUpdate : kReplace);
  wanted.bind(query, change);
  query.bind(to_column(id));
  if (found != Match::SameUrl)
    query.bind(std::string_view(wanted.record.url)).bind(url_hash(wanted.record.url));
  if (core::Result<void> done = query.run(); !done) return done;
  if (connection_->rows_changed() == 0) {
    return core::Error{core::ErrorKind::Unavailable,
                       "the site was removed for good in this moment; try again"};
  }
  if (found == Match::SameUrl) return {};
  // What was measured of another URL, or in an earlier life of this id, says nothing of this one.
  return forget_freshness(id);
}

core::Result<void> SqlSiteCatalog::forget_freshness(core::SiteId id) {
  return connection_->query(kForgetFreshness).bind(to_column(id)).run();
}

core::Result<std::vector<SiteView>> SqlSiteCatalog::list(const SiteFilter& filter,
                                                         core::SiteId after, std::size_t limit) {
  std::optional<std::string_view> state;
  if (filter.state) state = core::to_string(*filter.state);
  Query query = connection_->query(kList);
  query.bind(to_column(after))
      .bind(static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
  bind_if(query, filter.tag);
  bind_if(query, state);
  bind_if(query, filter.url_contains);

  std::vector<SiteView> views;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return views;
    core::Result<SiteView> view = view_from(*connection_, query);
    if (!view) return view.error();
    views.push_back(std::move(*view));
  }
}

core::Result<SiteView> SqlSiteCatalog::get(core::SiteId id) {
  Query query = connection_->query(kGet);
  query.bind(to_column(id));
  core::Result<bool> row = query.step();
  if (!row) return row.error();
  if (!*row)
    return core::Error{core::ErrorKind::NotFound, "there is no site " + std::to_string(id.value)};
  return view_from(*connection_, query);
}

core::Result<std::vector<core::SiteId>> SqlSiteCatalog::find_url(const std::string& url) {
  std::vector<core::SiteId> ids;
  Query query = connection_->query(kIdsByUrl);
  query.bind(url_hash(url)).bind(std::string_view(url));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return ids;
    ids.push_back(id_from<core::SiteId>(query, 0));
  }
}

core::Result<std::uint64_t> SqlSiteCatalog::set_active(std::span<const core::SiteId> ids,
                                                       bool active) {
  return changing<std::uint64_t>([&](Change& change) -> core::Result<std::uint64_t> {
    std::uint64_t changed = 0;
    for (const core::SiteId id : ids) {
      Query query = connection_->query(kSetActive);
      query.bind(static_cast<std::int64_t>(active))
          .bind(change.now_ms)
          .bind(to_column(id))
          .bind(change.next());
      if (core::Result<void> done = query.run(); !done) return done.error();
      if (connection_->rows_changed() == 0) continue;
      change.taken();
      ++changed;
    }
    return changed;
  });
}

core::Result<std::uint64_t> SqlSiteCatalog::remove(std::span<const core::SiteId> ids) {
  return changing<std::uint64_t>([&](Change& change) -> core::Result<std::uint64_t> {
    std::uint64_t removed = 0;
    for (const core::SiteId id : ids) {
      {
        Query query = connection_->query(kRemove);
        query.bind(change.now_ms).bind(to_column(id)).bind(change.next());
        if (core::Result<void> done = query.run(); !done) return done.error();
      }
      if (connection_->rows_changed() == 0) continue;
      change.taken();
      ++removed;
      if (auto forgotten = forget_freshness(id); !forgotten) return forgotten.error();
      for (const Sql* const forget : {&kForgetParents, &kForgetChildren}) {
        if (auto done = connection_->query(*forget).bind(to_column(id)).run(); !done)
          return done.error();
      }
    }
    if (auto purged = purge_removed_sites(*connection_, change.now_ms); !purged)
      return purged.error();
    return removed;
  });
}

core::Result<std::uint64_t> SqlSiteCatalog::count() {
  auto counted = connection_->number(kCount);
  if (!counted) return counted.error();
  return static_cast<std::uint64_t>(counted->value_or(0));
}

core::Result<std::string> SqlSiteCatalog::origin() {
  if (connection_->dialect() != Dialect::Mysql) return std::string();
  Query query = connection_->query(kOrigin);
  core::Result<bool> row = query.step();
  if (!row) return row.error();
  return *row ? std::string(query.text(0)) : std::string();
}

core::Result<void> SqlSiteCatalog::release_origin() {
  if (connection_->dialect() != Dialect::Mysql) return {};
  return connection_->query(kNoOrigin).run();
}

core::Result<void> purge_at_start(Connection& connection) {
  return retried(connection, [&]() -> core::Result<void> {
    auto transaction = Transaction::write(connection);
    if (!transaction) return transaction.error();
    const auto now = connection.now_ms();
    if (!now) return now.error();
    if (auto held = connection.number(kNewestSeq); !held) return held.error();
    if (auto purged = purge_removed_sites(connection, *now); !purged) return purged;
    return transaction->commit();
  });
}

core::Result<void> purge_removed_sites(Connection& connection, std::int64_t now_ms) {
  const std::int64_t before =
      now_ms - std::chrono::duration_cast<std::chrono::milliseconds>(kRemovalKept).count();
  Query query = connection.query(kPurge);
  return query.bind(before).bind(static_cast<std::int64_t>(kPurgedAtOnceMax)).run();
}

}  // namespace watchwheel::db
