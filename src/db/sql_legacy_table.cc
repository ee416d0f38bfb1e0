// SPDX-License-Identifier: Apache-2.0
#include "db/sql_legacy_table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <utility>

#include "core/ensure.h"
#include "core/hex.h"
#include "db/rows.h"
#include "db/sql_site_catalog.h"

namespace watchwheel::db {
namespace {

constexpr std::string_view kIntegers = " tinyint smallint mediumint int bigint ";
constexpr std::string_view kTexts =
    " char varchar tinytext text mediumtext longtext enum binary varbinary ";

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
constexpr Sql kOrigin = "SELECT place FROM site_origin WHERE only_row = 1";
constexpr Sql kSetOrigin =
    "INSERT INTO site_origin (only_row, place, since) VALUES (1, ?1, ?2) ON DUPLICATE KEY UPDATE "
    "only_row = only_row";
constexpr Sql kNoOrigin = "DELETE FROM site_origin WHERE only_row = 1";
constexpr Sql kAnySite = "SELECT min(id) FROM sites WHERE deleted_at IS NULL";

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

std::string quoted(const std::string& name) {
  return "`" + name + "`";
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

bool one_of(std::string_view list, const std::string& type) {
  return list.find(" " + type + " ") != std::string_view::npos;
}

std::optional<std::int64_t> number(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failed != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::string times(std::size_t n, const std::string& text, const std::string& between) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += (i == 0 ? "" : between) + text;
  return all;
}

// So many rows a statement, the largest that fits first.
constexpr std::array<std::size_t, 3> kBatches{kLegacyWriteMax, 10, 1};

constexpr int kIdColumn = 0, kBucketColumn = 1, kActiveColumn = 2, kUrlColumn = 3,
              kIntervalColumn = 4, kNameColumn = 5, kStatusColumn = 6, kChangedColumn = 7,
              kCheckedColumn = 8;

}  // namespace

// The texts of the queries, as the mapping makes them. A text is known by its address, so they stay where they are.
struct SqlLegacyTable::Texts {
  std::string by_key, by_bucket, next_bucket, find, lock, truth, lowest, highest;
  std::array<std::string, kBatches.size()> fresh, status;
};

SqlLegacyTable::SqlLegacyTable(std::unique_ptr<Connection> connection, LegacyMapping mapping)
    : connection_(std::move(connection)), mapping_(std::move(mapping)) {
  const std::size_t dot = mapping_.table.find('.');
  if (dot != std::string::npos) schema_ = mapping_.table.substr(0, dot);
  table_ = dot == std::string::npos ? mapping_.table : mapping_.table.substr(dot + 1);
}

SqlLegacyTable::~SqlLegacyTable() = default;

// ---- Does the mapping fit? ----

const SqlLegacyTable::Column* SqlLegacyTable::column(const std::string& name) const {
  const auto found = columns_.find(lower(name));
  return found == columns_.end() ? nullptr : &found->second;
}

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
    columns_[std::string(asked.text(0))] = {.type = std::string(asked.text(1)),
                                            .digits = asked.integer(2),
                                            .nullable = asked.integer(3) != 0,
                                            .on_update = asked.integer(4) != 0};
  }
}

// What is wrong with the indexes, if anything is; the one to read buckets by goes to index_.
core::Result<std::optional<std::string>> SqlLegacyTable::read_indexes() {
  bool keyed = false;
  index_.clear();
  const std::string id = lower(mapping_.id);
  const std::string bucket = lower(mapping_.bucket);
  const std::string both = mapping_.active.empty() ? bucket : bucket + "," + lower(mapping_.active);
  {
    Query asked = connection_->query(kIndexes);
    asked.bind(std::string_view(schema_)).bind(std::string_view(table_));
    while (true) {
      core::Result<bool> row = asked.step();
      if (!row) return row.error();
      if (!*row) break;
      const std::string columns(asked.text(2));
      const Column* key = column(mapping_.id);
      if (columns == id && asked.integer(1) == 0 && key != nullptr && !key->nullable) keyed = true;
      // The rest of the index may be the key, which the server appends anyway.
      if (columns == both || columns == both + "," + id) index_ = asked.text(0);
    }
  }
  if (!keyed) {
    return std::optional("legacy.id: the column " + mapping_.id + " of " + mapping_.table +
                         " is neither its primary key nor unique and NOT NULL, so no row could be "
                         "named by it; name the column that is, or ALTER TABLE " +
                         mapping_.table + " ADD PRIMARY KEY (" + mapping_.id + ")");
  }
  by_buckets_ = !mapping_.bucket.empty();
  if (by_buckets_ && index_.empty()) {
    const std::string columns =
        mapping_.active.empty() ? mapping_.bucket : mapping_.bucket + ", " + mapping_.active;
    return std::optional("legacy.bucket: " + mapping_.table + " has no index over (" + columns +
                         "), so every page of a bucket would read the whole table; ALTER TABLE " +
                         mapping_.table + " ADD INDEX (" + columns +
                         "), or leave legacy.bucket away");
  }
  return std::optional<std::string>{};
}

void SqlLegacyTable::judge_types(std::vector<std::string>& problems) const {
  struct Wanted {
    const char* key;
    const std::string* name;
    std::string types;
    const char* words;
  };
  const std::string integers(kIntegers);
  const std::string texts(kTexts);
  const std::string codes = integers + texts + " bit boolean ";
  const std::array<Wanted, 7> plain{
      {{"id", &mapping_.id, integers, "a whole number"},
       {"url", &mapping_.url, texts, "a text"},
       {"active", &mapping_.active, integers + texts, "a whole number or a text"},
       {"interval", &mapping_.interval, integers, "a whole number"},
       {"bucket", &mapping_.bucket, integers, "a whole number"},
       {"name", &mapping_.name, integers + texts, "a text or a whole number"},
       {"status", &mapping_.status, integers + texts, "a whole number or a text"}}};
  const auto missing = [&](const char* key, const std::string& name) {
    problems.push_back("legacy." + std::string(key) + ": " + mapping_.table + " has no column " +
                       name + "; name one that it has");
  };
  for (const Wanted& wanted : plain) {
    if (wanted.name->empty()) continue;
    const Column* found = column(*wanted.name);
    if (found == nullptr) {
      missing(wanted.key, *wanted.name);
    } else if (!one_of(wanted.types, found->type)) {
      problems.push_back("legacy." + std::string(wanted.key) + ": the column " + *wanted.name +
                         " of " + mapping_.table + " is " + found->type + "; " + wanted.words +
                         " is needed");
    }
  }
  struct Moment {
    const char* key;
    const std::string* name;
    LegacyTime kind;
  };
  for (const Moment& moment :
       {Moment{"status_changed_at", &mapping_.status_changed_at, mapping_.status_changed_kind},
        Moment{"checked_at", &mapping_.checked_at, mapping_.checked_kind},
        Moment{"next_check_at", &mapping_.next_check_at, mapping_.next_check_kind}}) {
    if (moment.name->empty()) continue;
    const Column* found = column(*moment.name);
    if (found == nullptr) {
      missing(moment.key, *moment.name);
      continue;
    }
    const bool datetime = found->type == "datetime" || found->type == "timestamp";
    const bool integer = found->type == "bigint" ||
                         (found->type == "int" && moment.kind != LegacyTime::Milliseconds);
    const bool fits = moment.kind == LegacyTime::Auto       ? datetime || integer
                      : moment.kind == LegacyTime::Datetime ? datetime
                                                            : integer;
    if (fits) continue;
    problems.push_back("legacy." + std::string(moment.key) + ": the column " + *moment.name +
                       " of " + mapping_.table + " is " + found->type + "; " +
                       (moment.kind == LegacyTime::Datetime ? "DATETIME or TIMESTAMP is needed"
                        : moment.kind == LegacyTime::Milliseconds
                            ? "BIGINT is needed for milliseconds"
                        : moment.kind == LegacyTime::Seconds
                            ? "INT or BIGINT is needed for seconds"
                            : "DATETIME, TIMESTAMP, or INT or BIGINT for unix seconds is needed"));
  }
}

// What a number's column is compared with must be a number.
void SqlLegacyTable::judge_codes(std::vector<std::string>& problems) const {
  const auto judge = [&](const char* key, const std::string& name, const std::string& code) {
    const Column* found = name.empty() ? nullptr : column(name);
    if (found == nullptr || code.empty() || !one_of(kIntegers, found->type) || number(code)) return;
    problems.push_back("legacy." + std::string(key) + ": '" + code +
                       "' is no number, and the column " + name + " of " + mapping_.table + " is " +
                       found->type + "; write the number that stands there");
  };
  judge("active_when", mapping_.active, mapping_.active_when);
  judge("status_up", mapping_.status, mapping_.status_up);
  judge("status_seems_down", mapping_.status, mapping_.status_seems_down);
  judge("status_down", mapping_.status, mapping_.status_down);
}

core::Result<void> SqlLegacyTable::judge_ids(std::vector<std::string>& problems) {
  const std::string range = "1 to " + std::to_string(kLegacyIdMax);
  for (const auto& [text, words] :
       {std::pair(&texts_->lowest, "below"), std::pair(&texts_->highest, "above")}) {
    const auto found = connection_->number(text->c_str());
    if (!found) return found.error();
    if (!*found) continue;
    problems.push_back("legacy.id: a row of " + mapping_.table + " has a key " + words +
                       " what an id can be (" + range +
                       "); give it another one, or name another column");
  }
  return {};
}

core::Result<std::vector<std::string>> SqlLegacyTable::check() {
  ENSURE(texts_ == nullptr,
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
  judge_types(problems);
  judge_codes(problems);
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
  make_texts();
  if (auto judged = judge_ids(problems); !judged) return judged.error();
  return problems;
}

LegacyTime SqlLegacyTable::kind_of(const std::string& name, LegacyTime wanted) const {
  if (wanted != LegacyTime::Auto || name.empty()) return wanted;
  const Column* found = column(name);
  ENSURE(found != nullptr, "a column is used before it was checked");
  return one_of(kIntegers, found->type) ? LegacyTime::Seconds : LegacyTime::Datetime;
}

// Neither quotes nor question marks: those mean something in a query's text.
std::string SqlLegacyTable::literal(const std::string& name, const std::string& value) const {
  const Column* found = column(name);
  ENSURE(found != nullptr, "a column is used before it was checked");
  if (one_of(kIntegers, found->type)) return value;
  return "_utf8mb4 x'" +
         core::to_hex(
             std::span(reinterpret_cast<const std::uint8_t*>(value.data()), value.size())) +
         "'";
}

std::string SqlLegacyTable::as_ms(const std::string& name, LegacyTime kind) const {
  if (name.empty()) return "NULL";
  const std::string column = "t." + quoted(name);
  switch (kind_of(name, kind)) {
    case LegacyTime::Seconds:
      return "nullif(" + column + ", 0) * 1000";
    case LegacyTime::Milliseconds:
      return "nullif(" + column + ", 0)";
    default:
      return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " + column + ") DIV 1000";
  }
}

void SqlLegacyTable::make_texts() {
  texts_ = std::make_unique<Texts>();
  const auto name = [](const std::string& column) {
    return column.empty() ? std::string("NULL") : "t." + quoted(column);
  };
  const std::string id = name(mapping_.id);
  const std::string active = mapping_.active.empty()
                                 ? "1"
                                 : "(" + name(mapping_.active) + " <=> " +
                                       literal(mapping_.active, mapping_.active_when) + ")";
  const std::string columns =
      "SELECT " + id + ", coalesce(" + name(mapping_.bucket) + ", 0), " + active + ", IF(" +
      active + ", " + name(mapping_.url) + ", NULL), " + name(mapping_.interval) + ", " +
      name(mapping_.name) + ", " + name(mapping_.status) + ", " +
      as_ms(mapping_.status_changed_at, mapping_.status_changed_kind) + ", " +
      as_ms(mapping_.checked_at, mapping_.checked_kind) + " FROM " + quoted_ + " t ";
  const std::string id_max = std::to_string(kLegacyIdMax);
  texts_->by_key =
      columns + "WHERE " + id + " > ? AND " + id + " <= " + id_max + " ORDER BY " + id + " LIMIT ?";
  if (by_buckets_) {
    const std::string bucket = name(mapping_.bucket);
    const std::string is_active = mapping_.active.empty()
                                      ? ""
                                      : " AND " + name(mapping_.active) + " = " +
                                            literal(mapping_.active, mapping_.active_when);
    texts_->by_bucket = columns + "FORCE INDEX (" + quoted(index_) + ") WHERE " + bucket + " = ?" +
                        is_active + " AND " + id + " > ? AND " + id + " <= " + id_max +
                        " ORDER BY " + id + " LIMIT ?";
    texts_->next_bucket = "SELECT min(" + bucket + ") FROM " + quoted_ + " t WHERE " + bucket +
                          " >= ? AND " + bucket + " <= ?";
  }
  const std::string these = times(kLegacyWriteMax, "?", ", ");
  texts_->find = columns + "WHERE " + id + " IN (" + these + ") ORDER BY " + id;
  texts_->lock = columns + "WHERE " + id + " IN (" + these + ") AND " + active + " ORDER BY " + id +
                 " FOR UPDATE SKIP LOCKED";
  // An open event alone says nothing: it may be about the URL that the site had before, or we may be blind.
  texts_->truth =
      "SELECT s.id, s.url, s.active, IF(t.measured = 1, t.state, NULL), t.state_since, "
      "t.checked_at,"
      " t.next_due_at FROM sites s JOIN site_state t ON t.site_id = s.id WHERE s.id IN (" +
      these + ") AND s.deleted_at IS NULL ORDER BY s.id";
  texts_->lowest = "SELECT min(" + id + ") FROM " + quoted_ + " t WHERE " + id + " < 1";
  texts_->highest = "SELECT 1 FROM " + quoted_ + " t WHERE " + id + " > " + id_max + " LIMIT 1";
  // The derived rows come first and in their order, so locks are taken in the order of the key.
  const auto update = [&](std::size_t rows, const std::string& first, const std::string& next,
                          const std::string& set) {
    std::string all = "SELECT " + first;
    for (std::size_t i = 1; i < rows; ++i) all += " UNION ALL SELECT " + next;
    return "UPDATE (" + all + ") v STRAIGHT_JOIN " + quoted_ + " t ON " + id + " = v.c1 SET " + set;
  };
  const auto set_fresh = [&] {
    std::string set;
    if (!mapping_.checked_at.empty())
      set += name(mapping_.checked_at) + " = coalesce(v.c2, " + name(mapping_.checked_at) + ")";
    if (!mapping_.next_check_at.empty())
      set += (set.empty() ? "" : ", ") + name(mapping_.next_check_at) + " = coalesce(v.c3, " +
             name(mapping_.next_check_at) + ")";
    return set;
  }();
  std::string set_status = set_fresh;
  if (!mapping_.status.empty()) {
    set_status += (set_status.empty() ? "" : ", ") + name(mapping_.status) + " = v.c4";
    if (!mapping_.status_changed_at.empty())
      set_status += ", " + name(mapping_.status_changed_at) + " = coalesce(v.c5, " +
                    name(mapping_.status_changed_at) + ")";
  }
  // A time that the server sets when a row changes is the other program's: what is not named keeps what it holds.
  const auto keep = [&](std::initializer_list<const std::string*> written, std::string& set) {
    for (const auto& [column, facts] : columns_) {
      const bool is_written =
          std::any_of(written.begin(), written.end(),
                      [&](const std::string* one) { return lower(*one) == column; });
      if (!facts.on_update || is_written || column.find_first_of("`?") != column.npos) continue;
      set += ", " + name(column) + " = " + name(column);
    }
  };
  std::string keep_fresh, keep_status;
  keep({&mapping_.checked_at, &mapping_.next_check_at}, keep_fresh);
  keep({&mapping_.checked_at, &mapping_.next_check_at, &mapping_.status,
        &mapping_.status_changed_at},
       keep_status);
  for (std::size_t i = 0; i < kBatches.size(); ++i) {
    if (!set_fresh.empty())
      texts_->fresh[i] = update(kBatches[i], "? c1, ? c2, ? c3", "?, ?, ?", set_fresh + keep_fresh);
    if (!mapping_.status.empty())
      texts_->status[i] = update(kBatches[i], "? c1, ? c2, ? c3, ? c4, ? c5", "?, ?, ?, ?, ?",
                                 set_status + keep_status);
  }
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

// ---- Reading ----

LegacyRow SqlLegacyTable::row_from(const Query& row) const {
  LegacyRow out;
  out.id = id_from<core::SiteId>(row, kIdColumn);
  out.bucket = row.integer(kBucketColumn);
  out.active = row.integer(kActiveColumn) != 0;
  if (!row.is_null(kUrlColumn)) out.url = row.text(kUrlColumn);
  if (!row.is_null(kIntervalColumn)) out.interval = row.integer(kIntervalColumn);
  out.name = row.text(kNameColumn);
  if (!row.is_null(kStatusColumn)) out.status = row.text(kStatusColumn);
  out.status_changed_at = row.time(kChangedColumn);
  out.checked_at = row.time(kCheckedColumn);
  return out;
}

bool SqlLegacyTable::wanted(std::int64_t bucket) const {
  return mapping_.buckets.empty() || std::any_of(mapping_.buckets.begin(), mapping_.buckets.end(),
                                                 [bucket](const BucketRange& r) {
                                                   return bucket >= r.low && bucket <= r.high;
                                                 });
}

core::Result<std::optional<std::int64_t>> SqlLegacyTable::next_bucket(std::int64_t from) {
  static const std::vector<BucketRange> kAll{{INT64_MIN, INT64_MAX}};
  for (const BucketRange& range : mapping_.buckets.empty() ? kAll : mapping_.buckets) {
    if (range.high < from) continue;
    Query asked = connection_->query(texts_->next_bucket.c_str());
    asked.bind(std::max(from, range.low)).bind(range.high);
    core::Result<bool> row = asked.step();
    if (!row) return row.error();
    if (*row && !asked.is_null(0)) return std::optional(asked.integer(0));
  }
  return std::optional<std::int64_t>{};
}

core::Result<LegacyPage> SqlLegacyTable::key_page(core::SiteId after, std::size_t limit) {
  LegacyPage page;
  Query asked = connection_->query(texts_->by_key.c_str());
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
  ENSURE(texts_ != nullptr && limit > 0, "a legacy table is checked before it is read");
  return key_page(after, limit);
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
  Query asked = connection_->query(texts_->by_bucket.c_str());
  asked.bind(**bucket).bind(to_column(after)).bind(static_cast<std::int64_t>(limit));
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
  ENSURE(texts_ != nullptr && limit > 0, "a legacy table is checked before it is read");
  return by_buckets_ ? bucket_page(from, limit) : key_page(from.after, limit);
}

core::Result<std::vector<LegacyRow>> SqlLegacyTable::find(std::span<const core::SiteId> ids) {
  ENSURE(texts_ != nullptr && ids.size() <= kLegacyWriteMax, "a legacy table is asked in parts");
  std::vector<LegacyRow> rows;
  if (ids.empty()) return rows;
  Query asked = connection_->query(texts_->find.c_str());
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
  Query asked = connection_->query(texts_->lock.c_str());
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
  switch (kind_of(name, kind)) {
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
  std::string text = core::to_iso8601(time).substr(0, column(name)->digits == 0 ? 19 : 23);
  if (text.size() > 10) text[10] = ' ';
  kept.push_back(std::move(text));
  query.bind(std::string_view(kept.back()));
}

core::Result<void> SqlLegacyTable::write(std::span<const Write> writes, bool status) {
  while (!writes.empty()) {
    const auto size =
        static_cast<std::size_t>(std::find_if(kBatches.begin(), kBatches.end(),
                                              [&](std::size_t n) { return n <= writes.size(); }) -
                                 kBatches.begin());
    const std::size_t rows = kBatches[size];
    std::vector<std::string> kept;  // Texts outlive the query's use.
    kept.reserve(rows * 3);
    Query query = connection_->query((status ? texts_->status : texts_->fresh)[size].c_str());
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

core::Result<LegacyWrites> SqlLegacyTable::project(std::span<const core::SiteId> sites) {
  ENSURE(texts_ != nullptr && sites.size() <= kLegacyWriteMax,
         "a legacy table is written in parts");
  for (std::size_t i = 1; i < sites.size(); ++i)
    ENSURE(sites[i] > sites[i - 1], "sites to project rise, one each");
  if (sites.empty()) return LegacyWrites{};
  return retried(*connection_, [&]() -> core::Result<LegacyWrites> {
    auto transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const auto now = connection_->now_ms();
    if (!now) return now.error();
    const auto words = lock_rows(sites);
    if (!words) return words.error();
    LegacyWrites counts;
    if (words->size() < sites.size()) {
      auto held = held_rows(sites, *words);
      if (!held) return held.error();
      counts.locked = *std::move(held);
    }
    std::vector<Write> fresh;
    std::vector<Write> status;
    {
      Query asked = connection_->query(texts_->truth.c_str());
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
        const LegacyChange change =
            legacy_change(mapping_, truth, word->second, core::from_unix_ms(*now));
        counts.not_ours += change.ours ? 0U : 1U;
        if (!change.any()) continue;
        counts.status += change.status ? 1U : 0U;
        counts.overruled += change.overruled ? 1U : 0U;
        counts.checked += change.fresh ? 1U : 0U;
        (change.status ? status : fresh)
            .push_back({id, change, truth.checked_at, truth.next_due_at});
      }
    }
    if (auto done = write(fresh, false); !done) return done.error();
    if (auto done = write(status, true); !done) return done.error();
    if (auto done = transaction->commit(); !done) return done.error();
    return counts;
  });
}

}  // namespace watchwheel::db
