// SPDX-License-Identifier: Apache-2.0
#include "db/sql_legacy_table.h"

#include <algorithm>
#include <span>
#include <utility>

#include "core/ensure.h"
#include "db/rows.h"

namespace watchwheel::db {
namespace {

constexpr Sql kColumns =
    "SELECT lower(column_name), lower(data_type), coalesce(datetime_precision, 0), is_nullable = "
    "'YES', lower(extra) LIKE '%on update%' FROM information_schema.columns WHERE table_schema = "
    "?1 AND table_name = ?2";
// Every index as the list of its columns; the primary key first.
constexpr Sql kIndexes =
    "SELECT index_name, min(non_unique), group_concat(lower(column_name) ORDER BY seq_in_index "
    "SEPARATOR ',') FROM information_schema.statistics WHERE table_schema = ?1 AND table_name = ?2"
    " GROUP BY index_name ORDER BY index_name = 'PRIMARY' DESC, index_name";
constexpr Sql kRows =
    "SELECT coalesce(table_rows, 0) FROM information_schema.tables WHERE table_schema = ?1 AND "
    "table_name = ?2";
constexpr Sql kEngine =
    "SELECT coalesce(engine, '') FROM information_schema.tables WHERE table_schema = ?1 AND "
    "table_name = ?2";
constexpr Sql kDatabase = "SELECT database()";
constexpr Sql kOrigin = "SELECT place, since FROM site_origin WHERE only_row = 1";
constexpr Sql kSetOrigin =
    "INSERT INTO site_origin (only_row, place, since) VALUES (1, ?1, ?2) ON DUPLICATE KEY UPDATE "
    "only_row = only_row";
constexpr Sql kNoOrigin = "DELETE FROM site_origin WHERE only_row = 1";
constexpr Sql kAnswers = "SELECT 1";
constexpr Sql kAnySite = "SELECT min(id) FROM sites WHERE deleted_at IS NULL";

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

std::string quoted(const std::string& name) {
  return "`" + name + "`";
}

}  // namespace

SqlLegacyTable::SqlLegacyTable(std::unique_ptr<Connection> connection, LegacyMapping mapping,
                               const core::Clock* clock)
    : connection_(std::move(connection)), mapping_(std::move(mapping)), clock_(clock) {
  const std::size_t dot = mapping_.table.find('.');
  if (dot != std::string::npos) schema_ = mapping_.table.substr(0, dot);
  table_ = dot == std::string::npos ? mapping_.table : mapping_.table.substr(dot + 1);
}

SqlLegacyTable::~SqlLegacyTable() = default;

// ---- Does the mapping fit? ----

core::Result<void> SqlLegacyTable::read_columns() {
  if (schema_.empty()) {
    Query asked = connection_->query(kDatabase);
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (*row) schema_ = asked.text(0);
  }
  quoted_ = quoted(schema_) + "." + quoted(table_);
  columns_.clear();
  Query asked = connection_->query(kColumns);
  asked.bind(std::string_view(schema_)).bind(std::string_view(table_));
  while (true) {
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (!*row) return {};
    columns_.add(std::string(asked.text(0)), {.type = std::string(asked.text(1)),
                                              .digits = asked.integer(2),
                                              .nullable = asked.integer(3) != 0,
                                              .on_update = asked.integer(4) != 0});
  }
}

// What is wrong with the indexes, if anything is.
core::Result<std::optional<std::string>> SqlLegacyTable::read_indexes() {
  std::vector<LegacyIndex> indexes;
  {
    Query asked = connection_->query(kIndexes);
    asked.bind(std::string_view(schema_)).bind(std::string_view(table_));
    while (true) {
      core::Result<bool> row = asked.step();
      if (!row) return row.error();
      if (!*row) break;
      indexes.push_back({.name = std::string(asked.text(0)),
                         .unique = asked.integer(1) == 0,
                         .columns = std::string(asked.text(2))});
    }
  }
  LegacyIndexes judged = judge_indexes(mapping_, columns_, indexes);
  by_buckets_ = !mapping_.bucket.empty();
  index_ = std::move(judged.by_bucket);
  return std::move(judged.problem);
}

core::Result<void> SqlLegacyTable::judge_ids(std::vector<std::string>& problems) {
  const std::string range = "1 to " + std::to_string(kLegacyIdMax);
  for (const auto& [text, words] :
       {std::pair(&queries_->lowest, "below"), std::pair(&queries_->highest, "above")}) {
    const auto found = connection_->number(text->c_str());
    if (!found) return told_as_problem(found.error(), "read", problems);
    if (!*found) continue;
    problems.push_back("legacy.id: a row of " + mapping_.table + " has a key " + words +
                       " what an id can be (" + range +
                       "); give it another one, or name another column");
  }
  return {};
}

// By trying: rights come from users, roles, and tables and columns apart. What is tried names no row, and so changes none.
core::Result<void> SqlLegacyTable::judge_rights(std::vector<std::string>& problems) {
  if (!problems.empty()) return {};
  const auto tried = [&](const std::string& text, std::size_t parameters) -> core::Result<void> {
    if (text.empty()) return {};
    Query query = connection_->query(text.c_str());
    for (std::size_t i = 0; i < parameters; ++i) query.bind(nullptr);
    if (auto done = query.step(); !done) return done.error();
    return {};
  };
  if (auto may = tried(queries_->find, kLegacyWriteMax); !may)
    return told_as_problem(may.error(), "read", problems);
  if (!mapping_.target) return {};
  auto may = tried(queries_->lock, kLegacyWriteMax);
  if (may) may = tried(queries_->fresh.back(), 3);
  if (may) may = tried(queries_->status.back(), 5);
  return may ? may : told_as_problem(may.error(), "write to", problems);
}

// A server that answers refuses us; one that does not is away.
core::Result<void> SqlLegacyTable::told_as_problem(const core::Error& why, const char* what,
                                                   std::vector<std::string>& problems) {
  if (const auto answers = connection_->number(kAnswers); !answers) return answers.error();
  problems.push_back("legacy.table: the store's user may not " + std::string(what) + " " +
                     mapping_.table + " (" + why.message + "); GRANT SELECT" +
                     (mapping_.target ? ", UPDATE" : "") + " ON " + schema_ + "." + table_ +
                     " to the user");
  return {};
}

core::Result<std::vector<std::string>> SqlLegacyTable::check() {
  ENSURE(queries_ == nullptr,
         "a legacy table is checked once: its queries are known by where they stand");
  std::vector<std::string> problems;
  if (auto read = read_columns(); !read) return read.error();
  if (columns_.empty()) {
    problems.push_back(
        "legacy.table: there is no table " + table_ + " in the database " + schema_ +
        ", or the store's user may not see it; name it as \"database.table\" if it is "
        "elsewhere on the server, or GRANT SELECT, UPDATE ON " +
        schema_ + "." + table_ + " to the user");
    return problems;
  }
  problems = judge_columns(mapping_, columns_);
  if (!problems.empty()) return problems;
  auto index = read_indexes();
  if (!index) return index.error();
  if (*index) {
    problems.push_back(**std::move(index));
    return problems;
  }
  {
    Query asked = connection_->query(kEngine);
    asked.bind(std::string_view(schema_)).bind(std::string_view(table_));
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (*row && asked.text(0) != "InnoDB") {
      problems.push_back("legacy.table: " + mapping_.table + " is kept by " +
                         std::string(asked.text(0)) +
                         ", which locks the whole table for every row "
                         "and cannot undo half a batch; ALTER TABLE " +
                         mapping_.table + " ENGINE=InnoDB");
      return problems;
    }
  }
  queries_ =
      std::make_unique<LegacyQueries>(make_legacy_queries(mapping_, columns_, quoted_, index_));
  if (auto judged = judge_ids(problems); !judged) return judged.error();
  if (auto judged = judge_rights(problems); !judged) return judged.error();
  return problems;
}

core::Result<std::uint64_t> SqlLegacyTable::rows_estimated() {
  Query asked = connection_->query(kRows);
  asked.bind(std::string_view(schema_)).bind(std::string_view(table_));
  core::Result<bool> row = asked.step();
  if (!row) return row.error();
  return *row ? static_cast<std::uint64_t>(std::max<std::int64_t>(0, asked.integer(0))) : 0;
}

// ---- Whose list it is ----

core::Result<void> SqlLegacyTable::claim(bool replace) {
  const std::string place = schema_ + "." + table_;
  {
    Query asked = connection_->query(kOrigin);
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (*row && asked.text(0) == place) return {};
    if (*row && !replace) {
      return invalid("legacy.table: the store's site list comes from " +
                     std::string(asked.text(0)) +
                     ", and its ids may mean other sites here; if they are the same sites, run "
                     "`watchwheel legacy adopt`, which takes the list from " +
                     place + " and removes sites without a row in it");
    }
  }
  if (!replace) {
    const auto own = connection_->number(kAnySite);
    if (!own) return own.error();
    if (*own) {
      return invalid(
          "legacy.role: the store has sites of its own (id " + std::to_string(**own) +
          " is the first), whose ids may be those of other sites in " + place +
          "; set legacy.role to \"target\" to keep them, or run `watchwheel legacy adopt`, "
          "which takes the list from the table and removes sites without a row in it");
    }
  }
  const auto now = connection_->now_ms();
  if (!now) return now.error();
  if (auto gone = connection_->query(kNoOrigin).run(); !gone) return gone;
  return connection_->query(kSetOrigin).bind(std::string_view(place)).bind(*now).run();
}

core::Result<std::optional<core::WallTime>> SqlLegacyTable::claimed_since() {
  Query asked = connection_->query(kOrigin);
  core::Result<bool> row = asked.step();
  if (!row) return row.error();
  if (!*row || asked.text(0) != schema_ + "." + table_) return std::optional<core::WallTime>{};
  return std::optional(asked.time(1));
}

// ---- Reading ----

LegacyRow SqlLegacyTable::row_from(const Query& row) const {
  LegacyRow out;
  out.id = id_from<core::SiteId>(row, kLegacyId);
  out.bucket = !row.is_null(kLegacyBucket) ? row.integer(kLegacyBucket)
               : by_buckets_               ? kNoBucket
                                           : 0;
  out.active = row.integer(kLegacyActive) != 0;
  if (!row.is_null(kLegacyUrl)) out.url = row.text(kLegacyUrl);
  if (!row.is_null(kLegacyInterval)) out.interval = row.integer(kLegacyInterval);
  out.name = row.text(kLegacyName);
  if (!row.is_null(kLegacyStatus)) out.status = row.text(kLegacyStatus);
  out.status_changed_at = row.time(kLegacyChanged);
  out.checked_at = row.time(kLegacyChecked);
  return out;
}

bool SqlLegacyTable::wanted(std::int64_t bucket) const {
  return mapping_.buckets.empty() || std::any_of(mapping_.buckets.begin(), mapping_.buckets.end(),
                                                 [bucket](const BucketRange& r) {
                                                   return bucket >= r.low && bucket <= r.high;
                                                 });
}

core::Result<std::optional<std::int64_t>> SqlLegacyTable::next_bucket(std::int64_t from) {
  static const std::vector<BucketRange> kAll{{kNoBucket + 1, INT64_MAX}};
  if (from == kNoBucket && mapping_.buckets.empty() && !queries_->any_without_bucket.empty()) {
    const auto any = connection_->number(queries_->any_without_bucket.c_str());
    if (!any) return any.error();
    if (*any) return std::optional(kNoBucket);
  }
  for (const BucketRange& range : mapping_.buckets.empty() ? kAll : mapping_.buckets) {
    if (range.high < from) continue;
    Query asked = connection_->query(queries_->next_bucket.c_str());
    asked.bind(std::max(from, range.low)).bind(range.high);
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (*row && !asked.is_null(0)) return std::optional(asked.integer(0));
  }
  return std::optional<std::int64_t>{};
}

core::Result<LegacyPage> SqlLegacyTable::key_page(const std::string& text, core::SiteId after,
                                                  std::size_t limit) {
  LegacyPage page;
  Query asked = connection_->query(text.c_str());
  asked.bind(to_column(after)).bind(static_cast<std::int64_t>(limit));
  core::SiteId until = after;
  while (true) {
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (!*row) break;
    ++page.rows_read;
    LegacyRow found = row_from(asked);
    until = found.id;
    if (!by_buckets_ || wanted(found.bucket)) page.rows.push_back(std::move(found));
  }
  page.last = page.rows_read < limit;
  page.until = {.bucket = 0, .after = page.last ? core::SiteId{kLegacyIdMax} : until};
  return page;
}

core::Result<LegacyPage> SqlLegacyTable::page_by_key(core::SiteId after, std::size_t limit) {
  ENSURE(queries_ != nullptr && limit > 0, "a legacy table is checked before it is read");
  return key_page(queries_->by_key_whole, after, limit);
}

// What is left of one bucket; of a full page a part of it.
core::Result<LegacyPage> SqlLegacyTable::bucket_page(const LegacyCursor& from, std::size_t limit) {
  LegacyPage page;
  const auto bucket = next_bucket(from.bucket);
  if (!bucket) return bucket.error();
  page.rows_read = 1;
  if (!*bucket) {
    page.last = true;
    page.until = {INT64_MAX, core::SiteId{kLegacyIdMax}};
    return page;
  }
  const core::SiteId after = **bucket == from.bucket ? from.after : core::SiteId{0};
  const bool named = **bucket != kNoBucket;
  Query asked =
      connection_->query((named ? queries_->by_bucket : queries_->without_bucket).c_str());
  if (named) asked.bind(**bucket);
  asked.bind(to_column(after)).bind(static_cast<std::int64_t>(limit));
  while (true) {
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (!*row) break;
    page.rows.push_back(row_from(asked));
  }
  page.rows_read += page.rows.size();
  const bool done = page.rows.size() < limit;
  if (done && **bucket == INT64_MAX) {
    page.last = true;
    page.until = {INT64_MAX, core::SiteId{kLegacyIdMax}};
  } else if (done) {
    page.until = {.bucket = **bucket + 1, .after = core::SiteId{0}};
  } else {
    page.until = {.bucket = **bucket, .after = page.rows.back().id};
  }
  return page;
}

core::Result<LegacyPage> SqlLegacyTable::page(const LegacyCursor& from, std::size_t limit) {
  ENSURE(queries_ != nullptr && limit > 0, "a legacy table is checked before it is read");
  return by_buckets_ ? bucket_page(from, limit) : key_page(queries_->by_key, from.after, limit);
}

core::Result<std::vector<LegacyRow>> SqlLegacyTable::find(std::span<const core::SiteId> ids) {
  ENSURE(queries_ != nullptr && ids.size() <= kLegacyWriteMax, "a legacy table is asked in parts");
  std::vector<LegacyRow> rows;
  if (ids.empty()) return rows;
  Query asked = connection_->query(queries_->find.c_str());
  for (std::size_t i = 0; i < kLegacyWriteMax; ++i)
    asked.bind(to_column(ids[std::min(i, ids.size() - 1)]));
  while (true) {
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (!*row) return rows;
    LegacyRow found = row_from(asked);
    if (!by_buckets_) found.bucket = 0;
    if (!by_buckets_ || wanted(found.bucket)) rows.push_back(std::move(found));
  }
}

// ---- Writing ----

// Waiting for a row would keep all others from being written, for as long as somebody left a transaction open.
core::Result<std::map<core::SiteId, LegacyWord>> SqlLegacyTable::lock_rows(
    std::span<const core::SiteId> sites) {
  std::map<core::SiteId, LegacyWord> words;
  Query asked = connection_->query(queries_->lock.c_str());
  for (std::size_t i = 0; i < kLegacyWriteMax; ++i)
    asked.bind(to_column(sites[std::min(i, sites.size() - 1)]));
  while (true) {
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (!*row) return words;
    LegacyRow found = row_from(asked);
    if (by_buckets_ && !wanted(found.bucket)) continue;
    words[found.id] = {.url = found.url.value_or(""),
                       .status = std::move(found.status),
                       .status_changed_at = found.status_changed_at,
                       .checked_at = found.checked_at};
  }
}

core::Result<std::vector<core::SiteId>> SqlLegacyTable::held_rows(
    std::span<const core::SiteId> sites, const std::map<core::SiteId, LegacyWord>& words) {
  const auto rows = find(sites);
  if (!rows) return rows.error();
  std::vector<core::SiteId> held;
  for (const LegacyRow& row : *rows) {
    if (row.active && !words.contains(row.id)) held.push_back(row.id);
  }
  return held;
}

void SqlLegacyTable::bind_time(Query& query, core::WallTime time, const std::string& name,
                               LegacyTime kind, std::vector<std::string>& kept) const {
  if (name.empty() || time == core::kNoWallTime) {
    query.bind(nullptr);
    return;
  }
  const std::int64_t ms = core::to_unix_ms(time);
  switch (columns_.time_kind(name, kind)) {
    case LegacyTime::Seconds:
      query.bind(ms / 1000);
      return;
    case LegacyTime::Milliseconds:
      query.bind(ms);
      return;
    default:
      break;
  }
  // "2026-05-13T07:08:09.123Z"; MySQL would round what its column has no room for, and say a moment that has not been yet.
  std::string text = core::to_iso8601(time).substr(0, columns_.find(name)->digits == 0 ? 19 : 23);
  if (text.size() > 10) text[10] = ' ';
  kept.push_back(std::move(text));
  query.bind(std::string_view(kept.back()));
}

core::Result<void> SqlLegacyTable::write(std::span<const Write> writes, bool status) {
  while (!writes.empty()) {
    const auto size =
        static_cast<std::size_t>(std::find_if(kLegacyBatches.begin(), kLegacyBatches.end(),
                                              [&](std::size_t n) { return n <= writes.size(); }) -
                                 kLegacyBatches.begin());
    const std::size_t rows = kLegacyBatches[size];
    std::vector<std::string> kept;  // Texts outlive the query's use.
    kept.reserve(rows * 3);
    Query query = connection_->query((status ? queries_->status : queries_->fresh)[size].c_str());
    for (const Write& one : writes.first(rows)) {
      const bool fresh = one.change.fresh;
      query.bind(to_column(one.id));
      bind_time(query, fresh ? one.checked_at : core::kNoWallTime, mapping_.checked_at,
                mapping_.checked_kind, kept);
      bind_time(query, fresh ? one.next_due_at : core::kNoWallTime, mapping_.next_check_at,
                mapping_.next_check_kind, kept);
      if (!status) continue;
      query.bind(std::string_view(*one.change.status));
      bind_time(query, one.change.status_changed_at, mapping_.status_changed_at,
                mapping_.status_changed_kind, kept);
    }
    if (auto done = query.run(); !done) return done;
    writes = writes.subspan(rows);
  }
  return {};
}

core::Result<void> SqlLegacyTable::project_some(std::span<const core::SiteId> sites,
                                                core::WallTime now, LegacyWrites& counts) {
  const auto words = lock_rows(sites);
  if (!words) return words.error();
  if (words->size() < sites.size()) {
    const auto held = held_rows(sites, *words);
    if (!held) return held.error();
    counts.locked.insert(counts.locked.end(), held->begin(), held->end());
  }
  std::vector<Write> fresh;
  std::vector<Write> status;
  {
    Query asked = connection_->query(queries_->truth.c_str());
    for (std::size_t i = 0; i < kLegacyWriteMax; ++i)
      asked.bind(to_column(sites[std::min(i, sites.size() - 1)]));
    while (true) {
      core::Result<bool> row = asked.step();
      if (!row) return row.error();
      if (!*row) break;
      const auto id = id_from<core::SiteId>(asked, 0);
      const auto word = words->find(id);
      if (word == words->end()) continue;
      const LegacyTruth truth{.url = std::string(asked.text(1)),
                              .active = asked.integer(2) != 0,
                              .state = core::parse_site_state(asked.text(3)),
                              .since = asked.time(4),
                              .checked_at = asked.time(5),
                              .next_due_at = asked.time(6)};
      const LegacyChange change = legacy_change(mapping_, truth, word->second, now);
      counts.not_ours += change.ours ? 0U : 1U;
      if (!change.any()) continue;
      counts.status += change.status ? 1U : 0U;
      counts.overruled += change.overruled ? 1U : 0U;
      counts.checked += change.fresh ? 1U : 0U;
      (change.status ? status : fresh).push_back({id, change, truth.checked_at, truth.next_due_at});
    }
  }
  if (auto done = write(fresh, false); !done) return done;
  if (auto done = write(status, true); !done) return done;
  counts.sites += sites.size();
  return {};
}

// It waits for no row of the table's (lock_rows), so whoever waits for one of ours waits for nothing else.
core::Result<LegacyWrites> SqlLegacyTable::project(std::span<const core::SiteId> sites) {
  ENSURE(queries_ != nullptr && sites.size() <= kLegacyTransactionMax,
         "a legacy table is written in parts");
  for (std::size_t i = 1; i < sites.size(); ++i)
    ENSURE(sites[i] > sites[i - 1], "sites to project rise, one each");
  if (sites.empty()) return LegacyWrites{};
  return retried(*connection_, [&]() -> core::Result<LegacyWrites> {
    auto transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const auto now = connection_->now_ms();
    if (!now) return now.error();
    const auto time = [this] { return clock_ == nullptr ? core::SteadyTime{} : clock_->steady(); };
    const core::SteadyTime began = time();
    LegacyWrites counts;
    while (counts.sites < sites.size() && (counts.sites == 0 || time() - began < kLegacyHeldMost)) {
      const std::size_t some = std::min(kLegacyWriteMax, sites.size() - counts.sites);
      const auto done =
          project_some(sites.subspan(counts.sites, some), core::from_unix_ms(*now), counts);
      if (!done) return done.error();
    }
    if (auto done = transaction->commit(); !done) return done.error();
    return counts;
  });
}

}  // namespace watchwheel::db
