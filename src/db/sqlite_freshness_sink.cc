// SPDX-License-Identifier: Apache-2.0
#include "db/sqlite_freshness_sink.h"

#include "core/ensure.h"
#include "core/hex.h"
#include "db/rows.h"

namespace watchwheel::db {
namespace {

// One row a statement, inside one transaction: SQLite has no round trip that many rows at once
// would save.
constexpr const char* kWrite =
    "INSERT INTO site_state (site_id, measured, checked_at, cause, http_status, total_ms, "
    "next_due_at, cert_not_after, cert_sha256)"
    " SELECT id, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?10 FROM sites WHERE id = ?1 AND deleted_at IS NULL"
    " ON CONFLICT (site_id) DO UPDATE SET measured = excluded.measured, checked_at = "
    "excluded.checked_at,"
    " cause = excluded.cause, http_status = excluded.http_status, total_ms = excluded.total_ms,"
    " next_due_at = excluded.next_due_at, cert_not_after = coalesce(excluded.cert_not_after, cert_not_after),"
    " cert_sha256 = coalesce(excluded.cert_sha256, cert_sha256),"
    // Comparing with NULL is not true: the first certificate is no change.
    " cert_changed_at = CASE WHEN excluded.cert_sha256 <> cert_sha256 THEN excluded.checked_at ELSE cert_changed_at END"
    " WHERE checked_at IS NULL OR excluded.checked_at >= checked_at OR checked_at > ?9";

// How far two clocks that are both right may differ.
constexpr std::int64_t kClockSlackMs = 60'000;

// `certificate` must outlive the query's use.
void bind_mark(Query& query, const core::FreshnessMark& mark, const std::string& certificate,
               std::int64_t credible_until_ms) {
  std::optional<std::int64_t> http_status;
  if (mark.http_status != 0) http_status = mark.http_status;
  query.bind(to_column(mark.site))
      .bind(static_cast<std::int64_t>(mark.measured))
      .bind(mark.checked_at);
  query.bind(core::to_string(mark.cause)).bind(http_status);
  query.bind(
      static_cast<std::int64_t>(std::chrono::round<std::chrono::milliseconds>(mark.total).count()));
  query.bind(mark.next_due_at).bind(mark.cert_not_after).bind(credible_until_ms);
  if (certificate.empty()) {
    query.bind(nullptr);
  } else {
    query.bind(std::string_view(certificate));
  }
}

}  // namespace

core::Result<void> SqliteFreshnessSink::write(std::span<const core::FreshnessMark> marks) {
  if (marks.empty()) return {};
  core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  core::Result<Transaction> transaction = Transaction::write(*connection_);
  if (!transaction) return transaction.error();
  {
    Query query = connection_->query(kWrite);
    core::SiteId before;
    for (const core::FreshnessMark& mark : marks) {
      ENSURE(mark.site > before, "freshness marks are sorted by site, one each");
      before = mark.site;
      const std::string certificate = mark.cert_sha256 ? core::to_hex(*mark.cert_sha256) : "";
      bind_mark(query, mark, certificate, *now + kClockSlackMs);
      if (core::Result<void> done = query.run(); !done) return done;
    }
  }
  return transaction->commit();
}

}  // namespace watchwheel::db
