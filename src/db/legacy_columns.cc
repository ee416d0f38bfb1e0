// SPDX-License-Identifier: Apache-2.0
#include "db/legacy_columns.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "core/ensure.h"

namespace watchwheel::db {
namespace {

constexpr std::string_view kIntegers = " tinyint smallint mediumint int bigint ";
constexpr std::string_view kTexts =
    " char varchar tinytext text mediumtext longtext enum binary varbinary ";

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

void judge_types(const LegacyMapping& mapping, const LegacyColumns& columns,
                 std::vector<std::string>& problems) {
  struct Wanted {
    const char* key;
    const std::string* name;
    std::string types;
    const char* words;
  };
  const std::string integers(kIntegers);
  const std::string texts(kTexts);
  const std::array<Wanted, 7> plain{
      {{"id", &mapping.id, integers, "a whole number"},
       {"url", &mapping.url, texts, "a text"},
       {"active", &mapping.active, integers + texts, "a whole number or a text"},
       {"interval", &mapping.interval, integers, "a whole number"},
       {"bucket", &mapping.bucket, integers, "a whole number"},
       {"name", &mapping.name, integers + texts, "a text or a whole number"},
       {"status", &mapping.status, integers + texts, "a whole number or a text"}}};
  const auto missing = [&](const char* key, const std::string& name) {
    problems.push_back("legacy." + std::string(key) + ": " + mapping.table + " has no column " +
                       name + "; name one that it has");
  };
  for (const Wanted& wanted : plain) {
    if (wanted.name->empty()) continue;
    const LegacyColumn* found = columns.find(*wanted.name);
    if (found == nullptr) {
      missing(wanted.key, *wanted.name);
    } else if (!one_of(wanted.types, found->type)) {
      problems.push_back("legacy." + std::string(wanted.key) + ": the column " + *wanted.name +
                         " of " + mapping.table + " is " + found->type + "; " + wanted.words +
                         " is needed");
    }
  }
  struct Moment {
    const char* key;
    const std::string* name;
    LegacyTime kind;
  };
  for (const Moment& moment :
       {Moment{"status_changed_at", &mapping.status_changed_at, mapping.status_changed_kind},
        Moment{"checked_at", &mapping.checked_at, mapping.checked_kind},
        Moment{"next_check_at", &mapping.next_check_at, mapping.next_check_kind}}) {
    if (moment.name->empty()) continue;
    const LegacyColumn* found = columns.find(*moment.name);
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
                       " of " + mapping.table + " is " + found->type + "; " +
                       (moment.kind == LegacyTime::Datetime ? "DATETIME or TIMESTAMP is needed"
                        : moment.kind == LegacyTime::Milliseconds
                            ? "BIGINT is needed for milliseconds"
                        : moment.kind == LegacyTime::Seconds
                            ? "INT or BIGINT is needed for seconds"
                            : "DATETIME, TIMESTAMP, or INT or BIGINT for unix seconds is needed"));
  }
}

// What a number's column is compared with must be a number.
void judge_codes(const LegacyMapping& mapping, const LegacyColumns& columns,
                 std::vector<std::string>& problems) {
  const auto judge = [&](const char* key, const std::string& name, const std::string& code) {
    const LegacyColumn* found = name.empty() ? nullptr : columns.find(name);
    if (found == nullptr || code.empty() || !found->is_integer() || number(code)) return;
    problems.push_back("legacy." + std::string(key) + ": '" + code +
                       "' is no number, and the column " + name + " of " + mapping.table + " is " +
                       found->type + "; write the number that stands there");
  };
  judge("active_when", mapping.active, mapping.active_when);
  judge("status_up", mapping.status, mapping.status_up);
  judge("status_seems_down", mapping.status, mapping.status_seems_down);
  judge("status_down", mapping.status, mapping.status_down);
}

}  // namespace

bool LegacyColumn::is_integer() const {
  return one_of(kIntegers, type);
}

void LegacyColumns::add(const std::string& name, LegacyColumn column) {
  columns_[lower(name)] = std::move(column);
}

const LegacyColumn* LegacyColumns::find(const std::string& name) const {
  const auto found = columns_.find(lower(name));
  return found == columns_.end() ? nullptr : &found->second;
}

LegacyTime LegacyColumns::time_kind(const std::string& name, LegacyTime wanted) const {
  if (wanted != LegacyTime::Auto || name.empty()) return wanted;
  const LegacyColumn* column = find(name);
  ENSURE(column != nullptr, "a column is used before it was checked");
  return column->is_integer() ? LegacyTime::Seconds : LegacyTime::Datetime;
}

std::vector<std::string> judge_columns(const LegacyMapping& mapping, const LegacyColumns& columns) {
  std::vector<std::string> problems;
  judge_types(mapping, columns, problems);
  judge_codes(mapping, columns, problems);
  return problems;
}

LegacyIndexes judge_indexes(const LegacyMapping& mapping, const LegacyColumns& columns,
                            std::span<const LegacyIndex> indexes) {
  LegacyIndexes judged;
  const std::string id = lower(mapping.id);
  const LegacyColumn* key = columns.find(mapping.id);
  ENSURE(key != nullptr, "indexes are judged after the columns");
  const auto over = [&](const std::string& wanted) {
    return std::find_if(indexes.begin(), indexes.end(),
                        [&](const LegacyIndex& index) { return index.columns == wanted; });
  };
  const bool keyed =
      !key->nullable && std::any_of(indexes.begin(), indexes.end(), [&](const LegacyIndex& index) {
        return index.unique && index.columns == id;
      });
  if (!keyed) {
    judged.problem = "legacy.id: the column " + mapping.id + " of " + mapping.table +
                     " is neither its primary key nor unique and NOT NULL, so no row could be "
                     "named by it; name the column that is, or ALTER TABLE " +
                     mapping.table + " ADD PRIMARY KEY (" + mapping.id + ")";
    return judged;
  }
  if (mapping.bucket.empty()) return judged;
  const bool primary = std::any_of(indexes.begin(), indexes.end(), [&](const LegacyIndex& index) {
    return index.name == "PRIMARY" && index.columns == id;
  });
  const std::string rows = mapping.active.empty()
                               ? lower(mapping.bucket)
                               : lower(mapping.bucket) + "," + lower(mapping.active);
  auto found = over(rows + "," + id);
  // The server ends every index with the primary key, and with no other.
  if (found == indexes.end() && primary) found = over(rows);
  if (found != indexes.end()) {
    judged.by_bucket = found->name;
    return judged;
  }
  const std::string wanted =
      (mapping.active.empty() ? mapping.bucket : mapping.bucket + ", " + mapping.active) +
      (primary ? "" : ", " + mapping.id);
  judged.problem = "legacy.bucket: " + mapping.table + " has no index over (" + wanted +
                   "), so every page of a bucket would read the whole table; ALTER TABLE " +
                   mapping.table + " ADD INDEX (" + wanted + "), or leave legacy.bucket away";
  return judged;
}

}  // namespace watchwheel::db
