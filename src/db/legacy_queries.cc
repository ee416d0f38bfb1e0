// SPDX-License-Identifier: Apache-2.0
#include "db/legacy_queries.h"

#include <algorithm>
#include <initializer_list>
#include <span>

#include "core/ensure.h"
#include "core/hex.h"

namespace watchwheel::db {
namespace {

// The year 2255: later than any moment that is meant, and within what a time of ours can hold.
constexpr const char* kLatestSecond = "9000000000";
constexpr const char* kLatestMs = "9000000000000";

std::string quoted(const std::string& name) {
  return "`" + name + "`";
}

std::string times(std::size_t n, const std::string& text, const std::string& between) {
  std::string all;
  for (std::size_t i = 0; i < n; ++i) all += (i == 0 ? "" : between) + text;
  return all;
}

class Maker {
 public:
  Maker(const LegacyMapping& mapping, const LegacyColumns& columns, const std::string& table,
        const std::string& index)
      : mapping_(mapping),
        columns_(columns),
        table_(table),
        index_(index),
        id_(name(mapping.id)),
        id_max_(std::to_string(kLegacyIdMax)),
        is_active_(mapping.active.empty() ? "1"
                                          : "(" + name(mapping.active) + " <=> " +
                                                literal(mapping.active, mapping.active_when) + ")"),
        these_(times(kLegacyWriteMax, "?", ", ")) {}

  [[nodiscard]] LegacyQueries make() const {
    LegacyQueries out;
    make_pages(out);
    out.find = rows(true) + "WHERE " + id_ + " IN (" + these_ + ") ORDER BY " + id_;
    out.lock = rows(true) + "WHERE " + id_ + " IN (" + these_ + ") AND " + is_active_ +
               " ORDER BY " + id_ + " FOR UPDATE SKIP LOCKED";
    // An open event alone says nothing: it may be about the URL that the site had before, or we may be blind.
    out.truth =
        "SELECT s.id, s.url, s.active, IF(t.measured = 1, t.state, NULL), t.state_since, "
        "t.checked_at, t.next_due_at FROM sites s JOIN site_state t ON t.site_id = s.id WHERE "
        "s.id IN (" +
        these_ + ") AND s.deleted_at IS NULL ORDER BY s.id";
    out.lowest = "SELECT min(" + id_ + ") FROM " + table_ + " t WHERE " + id_ + " < 1";
    out.highest = "SELECT 1 FROM " + table_ + " t WHERE " + id_ + " > " + id_max_ + " LIMIT 1";
    make_updates(out);
    return out;
  }

 private:
  static std::string name(const std::string& column) {
    return column.empty() ? std::string("NULL") : "t." + quoted(column);
  }

  // Neither quotes nor question marks: those mean something in a query's text.
  [[nodiscard]] std::string literal(const std::string& column, const std::string& value) const {
    const LegacyColumn* found = columns_.find(column);
    ENSURE(found != nullptr, "a column is used before it was checked");
    if (found->is_integer()) return value;
    return "_utf8mb4 x'" +
           core::to_hex(
               std::span(reinterpret_cast<const std::uint8_t*>(value.data()), value.size())) +
           "'";
  }

  [[nodiscard]] std::string as_ms(const std::string& column, LegacyTime kind) const {
    if (column.empty()) return "NULL";
    const auto bounded = [](const std::string& value, const char* most, const char* factor) {
      return "IF(" + value + " BETWEEN 1 AND " + most + ", " + value + factor + ", NULL)";
    };
    switch (columns_.time_kind(column, kind)) {
      case LegacyTime::Seconds:
        return bounded(name(column), kLatestSecond, " * 1000");
      case LegacyTime::Milliseconds:
        return bounded(name(column), kLatestMs, "");
      default:
        return bounded("(TIMESTAMPDIFF(MICROSECOND, '1970-01-01', " + name(column) + ") DIV 1000)",
                       kLatestMs, "");
    }
  }

  [[nodiscard]] std::string rows(bool whole) const {
    const std::string interval =
        mapping_.interval.empty()
            ? "NULL"
            : "CAST(least(" + name(mapping_.interval) + ", 9223372036854775807) AS SIGNED)";
    return "SELECT " + id_ + ", " + name(mapping_.bucket) + ", " + is_active_ + ", IF(" +
           is_active_ + ", " + name(mapping_.url) + ", NULL), " + interval + ", " +
           name(mapping_.name) + ", " +
           (whole ? name(mapping_.status) + ", " +
                        as_ms(mapping_.status_changed_at, mapping_.status_changed_kind) + ", " +
                        as_ms(mapping_.checked_at, mapping_.checked_kind)
                  : "NULL, NULL, NULL") +
           " FROM " + table_ + " t ";
  }

  void make_pages(LegacyQueries& out) const {
    const std::string by_key =
        "WHERE " + id_ + " > ? AND " + id_ + " <= " + id_max_ + " ORDER BY " + id_ + " LIMIT ?";
    out.by_key = rows(false) + by_key;
    out.by_key_whole = rows(true) + by_key;
    if (mapping_.bucket.empty()) return;
    const std::string bucket = name(mapping_.bucket);
    const std::string is_active = mapping_.active.empty()
                                      ? ""
                                      : " AND " + name(mapping_.active) + " = " +
                                            literal(mapping_.active, mapping_.active_when);
    const auto page_of = [&](const std::string& which) {
      return rows(false) + "FORCE INDEX (" + quoted(index_) + ") WHERE " + bucket + which +
             is_active + " AND " + id_ + " > ? AND " + id_ + " <= " + id_max_ + " ORDER BY " + id_ +
             " LIMIT ?";
    };
    out.by_bucket = page_of(" = ?");
    out.next_bucket = "SELECT min(" + bucket + ") FROM " + table_ + " t WHERE " + bucket +
                      " >= ? AND " + bucket + " <= ?";
    if (!columns_.find(mapping_.bucket)->nullable) return;
    out.without_bucket = page_of(" IS NULL");
    out.any_without_bucket = "SELECT 1 FROM " + table_ + " t WHERE " + bucket + " IS NULL LIMIT 1";
  }

  void make_updates(LegacyQueries& out) const {
    std::string fresh;
    if (!mapping_.checked_at.empty())
      fresh += name(mapping_.checked_at) + " = coalesce(v.c2, " + name(mapping_.checked_at) + ")";
    if (!mapping_.next_check_at.empty())
      fresh += (fresh.empty() ? "" : ", ") + name(mapping_.next_check_at) + " = coalesce(v.c3, " +
               name(mapping_.next_check_at) + ")";
    std::string status = fresh;
    if (!mapping_.status.empty()) {
      status += (status.empty() ? "" : ", ") + name(mapping_.status) + " = v.c4";
      if (!mapping_.status_changed_at.empty())
        status += ", " + name(mapping_.status_changed_at) + " = coalesce(v.c5, " +
                  name(mapping_.status_changed_at) + ")";
    }
    const std::string keep_fresh = kept({&mapping_.checked_at, &mapping_.next_check_at});
    const std::string keep_status = kept({&mapping_.checked_at, &mapping_.next_check_at,
                                          &mapping_.status, &mapping_.status_changed_at});
    for (std::size_t i = 0; i < kLegacyBatches.size(); ++i) {
      if (!fresh.empty())
        out.fresh[i] = update(kLegacyBatches[i], "? c1, ? c2, ? c3", "?, ?, ?", fresh + keep_fresh);
      if (!mapping_.status.empty())
        out.status[i] = update(kLegacyBatches[i], "? c1, ? c2, ? c3, ? c4, ? c5", "?, ?, ?, ?, ?",
                               status + keep_status);
    }
  }

  // A time that the server sets when a row changes is the other program's: what is not named keeps what it holds.
  [[nodiscard]] std::string kept(std::initializer_list<const std::string*> written) const {
    std::string set;
    for (const auto& [column, facts] : columns_) {
      const LegacyColumn* const one = &facts;
      const bool is_written = std::any_of(
          written.begin(), written.end(),
          [&](const std::string* name) { return !name->empty() && columns_.find(*name) == one; });
      if (!facts.on_update || is_written || column.find_first_of("`?") != column.npos) continue;
      set += ", " + name(column) + " = " + name(column);
    }
    return set;
  }

  // The derived rows come first and in their order, so locks are taken in the order of the key.
  [[nodiscard]] std::string update(std::size_t rows, const std::string& first,
                                   const std::string& next, const std::string& set) const {
    std::string all = "SELECT " + first;
    for (std::size_t i = 1; i < rows; ++i) all += " UNION ALL SELECT " + next;
    return "UPDATE (" + all + ") v STRAIGHT_JOIN " + table_ + " t ON " + id_ + " = v.c1 SET " + set;
  }

  const LegacyMapping& mapping_;
  const LegacyColumns& columns_;
  const std::string& table_;
  const std::string& index_;
  const std::string id_, id_max_, is_active_, these_;
};

}  // namespace

LegacyQueries make_legacy_queries(const LegacyMapping& mapping, const LegacyColumns& columns,
                                  const std::string& table, const std::string& index) {
  return Maker(mapping, columns, table, index).make();
}

}  // namespace watchwheel::db
