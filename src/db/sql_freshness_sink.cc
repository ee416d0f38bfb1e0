// SPDX-License-Identifier: Apache-2.0
#include "db/sql_freshness_sink.h"

#include <algorithm>
#include <array>
#include <iterator>

#include "core/ensure.h"
#include "core/hex.h"
#include "db/rows.h"

namespace watchwheel::db {
namespace {

// SQLite: one row a statement, inside one transaction; it has no round trip that many rows at once would save.
constexpr const char* kWriteSqlite =
    "INSERT INTO site_state (site_id, measured, checked_at, cause, http_status, total_ms, "
    "next_due_at, cert_not_after, cert_sha256)"
    " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM sites WHERE id = ?1 AND deleted_at IS NULL"
    " ON CONFLICT (site_id) DO UPDATE SET measured = excluded.measured, checked_at = "
    "excluded.checked_at,"
    " cause = excluded.cause, http_status = excluded.http_status, total_ms = excluded.total_ms,"
    " next_due_at = excluded.next_due_at,"
    // Of a site that was never measured no certificate is known either.
    " cert_not_after = CASE WHEN excluded.checked_at IS NOT NULL THEN "
    "coalesce(excluded.cert_not_after, cert_not_after) END,"
    " cert_sha256 = CASE WHEN excluded.checked_at IS NOT NULL THEN "
    "coalesce(excluded.cert_sha256, cert_sha256) END,"
    // Comparing with NULL is not true: the first certificate is no change.
    " cert_changed_at = CASE WHEN excluded.cert_sha256 <> cert_sha256 THEN excluded.checked_at "
    "WHEN excluded.checked_at IS NOT NULL THEN cert_changed_at END"
    " WHERE checked_at IS NULL OR ?10 >= checked_at OR checked_at > ?11";

// MySQL: many rows a statement. It assigns from left to right, so each column is set before those that its value looks at:
// cert_changed_at before cert_sha256, and checked_at, which says whether the mark is newer, last.
#define WATCHWHEEL_NEWER \
  "IF(site_state.checked_at IS NULL OR m.c10 >= site_state.checked_at OR site_state.checked_at > "
std::string write_mysql(std::size_t rows) {
  std::string marks;
  for (std::size_t i = 0; i < rows; ++i) {
    marks += i == 0 ? "SELECT ? c1, ? c2, ? c3, ? c4, ? c5, ? c6, ? c7, ? c8, ? c9, ? c10"
                    : " UNION ALL SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, ?";
  }
  // The last parameter, nine times: the same for all rows.
  const auto newer = [](const char* column, const std::string& value) {
    return std::string(column) + " = " WATCHWHEEL_NEWER "?, " + value + ", site_state." + column +
           ")";
  };
  // Of a site that was never measured no certificate is known either.
  const auto if_checked = [](const char* value) {
    return "IF(VALUES(checked_at) IS NULL, NULL, " + std::string(value) + ")";
  };
  return "INSERT INTO site_state (site_id, measured, checked_at, cause, http_status, total_ms,"
         " next_due_at, cert_not_after, cert_sha256)"
         " SELECT s.id, c2, c3, c4, c5, c6, c7, c8, c9 FROM (" +
         marks +
         ") m JOIN sites s ON s.id = m.c1 AND s.deleted_at IS NULL ON DUPLICATE KEY UPDATE " +
         newer("measured", "VALUES(measured)") + ", " + newer("cause", "VALUES(cause)") + ", " +
         newer("http_status", "VALUES(http_status)") + ", " +
         newer("total_ms", "VALUES(total_ms)") + ", " +
         newer("next_due_at", "VALUES(next_due_at)") + ", " +
         newer("cert_not_after",
               if_checked("coalesce(VALUES(cert_not_after), site_state.cert_not_after)")) +
         ", " +
         newer("cert_changed_at",
               if_checked("IF(VALUES(cert_sha256) <> site_state.cert_sha256, VALUES(checked_at), "
                          "site_state.cert_changed_at)")) +
         ", " +
         newer("cert_sha256", if_checked("coalesce(VALUES(cert_sha256), site_state.cert_sha256)")) +
         ", " + newer("checked_at", "VALUES(checked_at)");
}
constexpr int kNewerTimes = 9;

// When nobody knew, as a mark tells that comes after it. Before the marks are written: it is told from what they replace. ?2: since when
// its lane has known; ?3: what is no gap yet. Of a site that was never measured nothing is known from before; of one whose measured
// columns were taken away (another URL) nothing since then. Of what is from the future nothing is told.
#define WATCHWHEEL_BEFORE                                                                        \
  "CASE WHEN t.site_id IS NULL THEN s.created_at ELSE coalesce(t.checked_at, s.updated_at) END " \
  "AS since"
constexpr const char* kGapSqlite =
    "INSERT OR IGNORE INTO site_gaps (site_id, started_at, ended_at)"
    " SELECT id, since, ?2 FROM (SELECT s.id AS id, t.measured AS measured, " WATCHWHEEL_BEFORE
    " FROM sites s LEFT JOIN site_state t ON t.site_id = s.id WHERE s.id = ?1 AND s.deleted_at IS "
    "NULL) g"
    " WHERE since < ?2 AND (measured = 0 OR ?2 - since > ?3)";
std::string gap_mysql(std::size_t rows) {
  std::string marks = "SELECT ? c1, ? c2, ? c3";
  for (std::size_t i = 1; i < rows; ++i) marks += " UNION ALL SELECT ?, ?, ?";
  return "INSERT INTO site_gaps (site_id, started_at, ended_at)"
         " SELECT g.id, g.since, g.c2 FROM (SELECT s.id AS id, t.measured AS measured, m.c2 AS c2, "
         "m.c3 AS c3,"
         " " WATCHWHEEL_BEFORE " FROM (" +
         marks +
         ") m JOIN sites s ON s.id = m.c1 AND s.deleted_at IS NULL LEFT JOIN site_state t ON "
         "t.site_id = s.id) g"
         " WHERE g.since < g.c2 AND (g.measured = 0 OR g.c2 - g.since > g.c3)"
         " ON DUPLICATE KEY UPDATE ended_at = greatest(site_gaps.ended_at, VALUES(ended_at))";
}

// So many rows at once, the largest that fits first.
struct Batch {
  std::size_t rows;
  std::string mysql;
  std::string gap_mysql;
};
const std::array<Batch, 3>& batches() {
  static const std::array<Batch, 3> all{{{100, write_mysql(100), gap_mysql(100)},
                                         {10, write_mysql(10), gap_mysql(10)},
                                         {1, write_mysql(1), gap_mysql(1)}}};
  return all;
}
const Batch& batch_for(std::size_t marks, bool mysql) {
  return *std::find_if(batches().begin(), batches().end(),
                       [&](const Batch& each) { return each.rows <= (mysql ? marks : 1); });
}

// How far two clocks that are both right may differ.
constexpr std::int64_t kClockSlackMs = 60'000;

// The nine columns of a mark, and the time it holds at; it and `certificate` outlive the query's use.
void bind_mark(Query& query, const core::FreshnessMark& mark, const std::string& certificate) {
  std::optional<std::int64_t> http_status;
  if (mark.http_status != 0) http_status = mark.http_status;
  query.bind(to_column(mark.site))
      .bind(static_cast<std::int64_t>(mark.measured))
      .bind(mark.checked_at);
  query.bind(core::to_string(mark.cause)).bind(http_status);
  query.bind(
      static_cast<std::int64_t>(std::chrono::round<std::chrono::milliseconds>(mark.total).count()));
  query.bind(mark.next_due_at).bind(mark.cert_not_after);
  if (certificate.empty()) {
    query.bind(nullptr);
  } else {
    query.bind(std::string_view(certificate));
  }
  query.bind(mark.holds_at());
}

}  // namespace

core::Result<void> SqlFreshnessSink::write(std::span<const core::FreshnessMark> marks) {
  if (marks.empty()) return {};
  for (std::size_t i = 1; i < marks.size(); ++i)
    ENSURE(marks[i].site > marks[i - 1].site, "freshness marks are sorted by site, one each");
  core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  const std::int64_t credible_until_ms = *now + kClockSlackMs;
  const auto store = [&](std::int64_t fence) -> core::Result<void> {
    std::span<const core::FreshnessMark> left = marks;
    if (const core::BucketTable* const table = fence_.table(); table != nullptr) {
      ours_.clear();
      std::copy_if(marks.begin(), marks.end(), std::back_inserter(ours_),
                   [&](const auto& mark) { return table->epoch(table->of(mark.site)) != 0; });
      left = ours_;
      if (left.empty()) return {};
    }
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    if (core::Result<void> passed = fence_.pass(*connection_, fence); !passed) return passed;
    if (core::Result<void> told = tell_gaps(left, credible_until_ms); !told) return told;
    while (!left.empty()) {
      core::Result<std::size_t> written = write_some(left, credible_until_ms);
      if (!written) return written.error();
      left = left.subspan(*written);
    }
    return transaction->commit();
  };
  return retried(*connection_, [&] { return fence_.under(store); });
}

core::Result<void> SqlFreshnessSink::tell_gaps(std::span<const core::FreshnessMark> marks,
                                               std::int64_t credible_until_ms) {
  telling_.clear();
  for (const core::FreshnessMark& mark : marks) {
    if (mark.measured && mark.unbroken_since != core::kNoWallTime &&
        core::to_unix_ms(mark.unbroken_since) <= credible_until_ms)
      telling_.push_back(
          {.site = mark.site,
           .since_ms = core::to_unix_ms(mark.unbroken_since),
           .quiet_max_ms = std::chrono::ceil<std::chrono::milliseconds>(mark.quiet_max).count()});
  }
  const bool mysql = connection_->dialect() == Dialect::Mysql;
  for (std::span<const Told> left = telling_; !left.empty();) {
    const Batch& batch = batch_for(left.size(), mysql);
    Query query = connection_->query(Sql(kGapSqlite, batch.gap_mysql.c_str()));
    for (const Told& one : left.first(batch.rows))
      query.bind(to_column(one.site)).bind(one.since_ms).bind(one.quiet_max_ms);
    if (core::Result<void> done = query.run(); !done) return done;
    left = left.subspan(batch.rows);
  }
  return {};
}

core::Result<std::size_t> SqlFreshnessSink::write_some(std::span<const core::FreshnessMark> marks,
                                                       std::int64_t credible_until_ms) {
  const bool mysql = connection_->dialect() == Dialect::Mysql;
  const Batch& batch = batch_for(marks.size(), mysql);
  std::array<std::string, 100> certificates;
  Query query = connection_->query(Sql(kWriteSqlite, batch.mysql.c_str()));
  for (std::size_t i = 0; i < batch.rows; ++i) {
    if (marks[i].cert_sha256) certificates[i] = core::to_hex(*marks[i].cert_sha256);
    bind_mark(query, marks[i], certificates[i]);
  }
  for (int i = 0; i < (mysql ? kNewerTimes : 1); ++i) query.bind(credible_until_ms);
  if (core::Result<void> done = query.run(); !done) return done.error();
  return batch.rows;
}

}  // namespace watchwheel::db
