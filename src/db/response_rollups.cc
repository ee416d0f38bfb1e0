// SPDX-License-Identifier: Apache-2.0
#include "db/response_rollups.h"

#include <algorithm>
#include <array>

#include "db/response_codec.h"
#include "db/rows.h"

namespace watchwheel::db {
namespace {

// What the store has of a mark's row, for sites that are there and of which the mark is news. ?1 site, ?2 its checked_at, ?3 the row's
// beginning; ?4 the width, ?5 until when a stored time is believed.
#define WATCHWHEEL_IS_NEWS(mark_at, credible) \
  "(t.checked_at IS NULL OR " mark_at " > t.checked_at OR t.checked_at > " credible ")"
constexpr const char* kReadSqlite =
    "SELECT s.id, r.counts FROM sites s LEFT JOIN site_state t ON t.site_id = s.id"
    " LEFT JOIN response_rollups r ON r.width_ms = ?4 AND r.started_at = ?3 AND r.site_id = s.id"
    " WHERE s.id = ?1 AND s.deleted_at IS NULL AND " WATCHWHEEL_IS_NEWS("?2", "?5");
constexpr const char* kWriteSqlite =
    "INSERT INTO response_rollups (width_ms, started_at, site_id, counts) VALUES (?, ?, ?, ?)"
    " ON CONFLICT (width_ms, started_at, site_id) DO UPDATE SET counts = excluded.counts";

std::string read_mysql(std::size_t rows) {
  std::string marks = "SELECT ? c1, ? c2, ? c3";
  for (std::size_t i = 1; i < rows; ++i) marks += " UNION ALL SELECT ?, ?, ?";
  return "SELECT s.id, r.counts FROM (" + marks +
         ") m JOIN sites s ON s.id = m.c1 AND s.deleted_at IS NULL"
         " LEFT JOIN site_state t ON t.site_id = s.id"
         " LEFT JOIN response_rollups r ON r.width_ms = ? AND r.started_at = m.c3"
         " AND r.site_id = s.id WHERE " WATCHWHEEL_IS_NEWS("m.c2", "?");
}
std::string write_mysql(std::size_t rows) {
  std::string text =
      "INSERT INTO response_rollups (width_ms, started_at, site_id, counts) VALUES (?, ?, ?, ?)";
  for (std::size_t i = 1; i < rows; ++i) text += ", (?, ?, ?, ?)";
  return text + " ON DUPLICATE KEY UPDATE counts = VALUES(counts)";
}

// So many rows at once, the largest that fits first.
struct Batch {
  std::size_t rows;
  std::string read;
  std::string write;
};
const Batch& batch_for(std::size_t rows, Dialect dialect) {
  static const std::array<Batch, 3> all{{{100, read_mysql(100), write_mysql(100)},
                                         {10, read_mysql(10), write_mysql(10)},
                                         {1, read_mysql(1), write_mysql(1)}}};
  if (dialect == Dialect::Sqlite) return all.back();
  return *std::find_if(all.begin(), all.end(),
                       [&](const Batch& each) { return each.rows <= rows; });
}

std::int64_t row_start(const core::FreshnessMark& mark, std::int64_t width_ms) {
  const std::int64_t at = core::to_unix_ms(mark.checked_at);
  return at - (at % width_ms + width_ms) % width_ms;
}

}  // namespace

std::vector<Sql> response_rollup_queries() {
  return {kReadSqlite};
}

core::Result<void> ResponseRollups::add(Connection& connection,
                                        std::span<const core::FreshnessMark> marks,
                                        std::int64_t credible_until_ms) {
  for (const std::int64_t width_ms : {kDayMs, kHourMs}) {
    adding_.clear();
    for (const core::FreshnessMark& mark : marks) {
      if (!mark.responses.empty() && mark.checked_at != core::kNoWallTime &&
          (width_ms == kDayMs || mark.by_hour))
        adding_.push_back(&mark);
    }
    if (core::Result<void> added = add_width(connection, width_ms, credible_until_ms); !added)
      return added;
  }
  return {};
}

core::Result<void> ResponseRollups::add_width(Connection& connection, std::int64_t width_ms,
                                              std::int64_t credible_until_ms) {
  rows_.clear();
  for (std::size_t first = 0; first < adding_.size();) {
    const std::size_t count = batch_for(adding_.size() - first, connection.dialect()).rows;
    if (core::Result<void> known = read(connection, first, count, width_ms, credible_until_ms);
        !known)
      return known;
    first += count;
  }
  // In the order of their keys, which is that of all who write several.
  std::sort(rows_.begin(), rows_.end(), [](const Row& a, const Row& b) {
    return std::pair(a.started_at, a.site) < std::pair(b.started_at, b.site);
  });
  return write(connection, width_ms);
}

core::Result<void> ResponseRollups::read(Connection& connection, std::size_t first,
                                         std::size_t count, std::int64_t width_ms,
                                         std::int64_t credible_until_ms) {
  const Batch& batch = batch_for(count, connection.dialect());
  Query query = connection.query(Sql(kReadSqlite, batch.read.c_str()));
  for (std::size_t i = first; i < first + count; ++i) {
    query.bind(to_column(adding_[i]->site))
        .bind(core::to_unix_ms(adding_[i]->checked_at))
        .bind(row_start(*adding_[i], width_ms));
  }
  query.bind(width_ms).bind(credible_until_ms);
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    const std::int64_t site = query.integer(0);
    const auto found = std::lower_bound(adding_.begin(), adding_.end(), site,
                                        [](const core::FreshnessMark* mark, std::int64_t id) {
                                          return to_column(mark->site) < id;
                                        });
    if (found == adding_.end() || to_column((*found)->site) != site) continue;
    core::Result<core::ResponseHistogram> sum = responses_from_text(query.text(1));
    // Nobody's but ours, and nothing hangs on it: what cannot be read begins anew.
    core::ResponseHistogram responses = sum ? *sum : core::ResponseHistogram{};
    responses += (*found)->responses;
    rows_.push_back({site, row_start(**found, width_ms), responses_to_text(responses)});
  }
}

core::Result<void> ResponseRollups::write(Connection& connection, std::int64_t width_ms) {
  for (std::span<const Row> left = rows_; !left.empty();) {
    const Batch& batch = batch_for(left.size(), connection.dialect());
    Query query = connection.query(Sql(kWriteSqlite, batch.write.c_str()));
    for (const Row& row : left.first(batch.rows))
      query.bind(width_ms).bind(row.started_at).bind(row.site).bind(std::string_view(row.counts));
    if (core::Result<void> done = query.run(); !done) return done;
    left = left.subspan(batch.rows);
  }
  return {};
}

}  // namespace watchwheel::db
