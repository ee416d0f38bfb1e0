// SPDX-License-Identifier: Apache-2.0
// db/legacy_queries.h - the texts of what is asked of the legacy table and written to it, as a mapping makes them. Values; pure.
//
// Numbers that no program means (the year 9999, an interval beyond every integer) are read as none: one row must not stop a page.
#pragma once

#include <array>
#include <string>

#include "db/legacy_columns.h"
#include "db/legacy_table.h"

namespace watchwheel::db {

// So many rows an UPDATE, the largest that fits first.
inline constexpr std::array<std::size_t, 3> kLegacyBatches{kLegacyWriteMax, 10, 1};

// A bucket column that says NULL; no range of a mapping's holds it, and where all are read it comes first.
inline constexpr std::int64_t kNoBucket = INT64_MIN;

// Each that reads rows gives these columns in this order; the last three only where it is said, else NULL.
enum LegacyRowColumn : int {
  kLegacyId,
  kLegacyBucket,
  kLegacyActive,
  kLegacyUrl,
  kLegacyInterval,
  kLegacyName,
  kLegacyStatus,
  kLegacyChanged,  // Milliseconds since 1970, like the next.
  kLegacyChecked,
};

struct LegacyQueries {
  // (after, limit). The first without status and times, for sweeps; the other with them.
  std::string by_key, by_key_whole;
  std::string by_bucket;    // (bucket, after, limit): active ones, without status and times.
  std::string next_bucket;  // (low, high): the lowest that has rows.
  // The same for rows whose bucket is NULL: (after, limit); whether there are any. "" where there can be none.
  std::string without_bucket, any_without_bucket;
  std::string find;  // (id) kLegacyWriteMax times; with status and times.
  std::string lock;  // The same, active ones that nobody holds; locks them.
  std::string
      truth;  // The same: id, url, active, state, since, checked at, next due; of the store.
  std::string lowest, highest;  // A key that is no id.
  // (id, checked at, next due) a row; for the second also (status, changed at). "" where nothing is mapped.
  std::array<std::string, kLegacyBatches.size()> fresh, status;
};

// `table` is quoted, and `index` the one by buckets.
[[nodiscard]] LegacyQueries make_legacy_queries(const LegacyMapping& mapping,
                                                const LegacyColumns& columns,
                                                const std::string& table, const std::string& index);

}  // namespace watchwheel::db
