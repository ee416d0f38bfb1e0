// SPDX-License-Identifier: Apache-2.0
#include "db/sql.h"

namespace watchwheel::db {

core::Result<std::optional<std::int64_t>> Connection::number(const Sql& sql) {
  Query asked = query(sql);
  core::Result<bool> row = asked.step();
  if (!row) return row.error();
  if (!*row || asked.is_null(0)) return std::optional<std::int64_t>{};
  return std::optional<std::int64_t>{asked.integer(0)};
}

}  // namespace watchwheel::db
