// SPDX-License-Identifier: Apache-2.0
// db/response_rollups.h - table response_rollups: what a batch of freshness marks tells of response times, added to the hour and the
// day that it belongs to.
//
// Thread   the connection's.
// Bounded  a row for each site and day in which it answered, and each hour where marks say so.
// Cost     of a batch, MySQL: a reading and a writing statement for each hundred marks and width. SQLite: two small ones for each mark.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/result.h"
#include "core/site_facts.h"
#include "db/sql.h"

namespace watchwheel::db {

// Columns width_ms and started_at: of which length, and from when (UTC, a multiple of it).
inline constexpr std::int64_t kHourMs = 3'600'000;
inline constexpr std::int64_t kDayMs = 86'400'000;

class ResponseRollups {
 public:
  // Within the transaction that writes the marks, before they are written: what is not newer than the store (its checked_at, unless
  // that lies after `credible_until_ms`) was added before, by a commit whose answer was lost. `marks` are sorted by site.
  [[nodiscard]] core::Result<void> add(Connection& connection,
                                       std::span<const core::FreshnessMark> marks,
                                       std::int64_t credible_until_ms);

 private:
  struct Row {
    std::int64_t site = 0;
    std::int64_t started_at = 0;
    std::string counts;
  };
  [[nodiscard]] core::Result<void> add_width(Connection& connection, std::int64_t width_ms,
                                             std::int64_t credible_until_ms);
  [[nodiscard]] core::Result<void> read(Connection& connection, std::size_t first,
                                        std::size_t count, std::int64_t width_ms,
                                        std::int64_t credible_until_ms);
  [[nodiscard]] core::Result<void> write(Connection& connection, std::int64_t width_ms);

  std::vector<const core::FreshnessMark*> adding_;  // Of a batch and width; kept for its memory.
  std::vector<Row> rows_;                           // The same.
};

// For the test that holds each to an index: as SQLite asks them.
[[nodiscard]] std::vector<Sql> response_rollup_queries();

}  // namespace watchwheel::db
