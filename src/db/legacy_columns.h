// SPDX-License-Identifier: Apache-2.0
// db/legacy_columns.h - the legacy table's columns and indexes as its server tells them, and whether a mapping fits them. Values; pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "db/legacy_mapping.h"

namespace watchwheel::db {

struct LegacyColumn {
  std::string type;         // "tinyint"
  std::int64_t digits = 0;  // Of a second's fraction.
  bool nullable = false;
  bool on_update = false;  // Set by the server when anything else of the row changes.
  [[nodiscard]] bool is_integer() const;
};

// By name, as the server compares names: whatever their case.
class LegacyColumns {
 public:
  void add(const std::string& name, LegacyColumn column);
  void clear() { columns_.clear(); }
  [[nodiscard]] bool empty() const { return columns_.empty(); }
  [[nodiscard]] const LegacyColumn* find(const std::string& name) const;
  // How a moment is kept in the column `name`, which is there; `wanted` as the mapping says.
  [[nodiscard]] LegacyTime time_kind(const std::string& name, LegacyTime wanted) const;
  // Names in lower case.
  [[nodiscard]] auto begin() const { return columns_.begin(); }
  [[nodiscard]] auto end() const { return columns_.end(); }

 private:
  std::map<std::string, LegacyColumn> columns_;
};

struct LegacyIndex {
  std::string name;
  bool unique = false;
  std::string columns;  // In lower case, with commas.
};

// What of the mapping does not fit the columns: each names the key, and what would be right.
[[nodiscard]] std::vector<std::string> judge_columns(const LegacyMapping& mapping,
                                                     const LegacyColumns& columns);

struct LegacyIndexes {
  std::optional<std::string> problem;
  std::string by_bucket;  // The one to read buckets by, where the mapping names a bucket column.
};
// The mapping fits the columns.
[[nodiscard]] LegacyIndexes judge_indexes(const LegacyMapping& mapping,
                                          const LegacyColumns& columns,
                                          std::span<const LegacyIndex> indexes);

}  // namespace watchwheel::db
