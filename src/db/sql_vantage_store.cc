// SPDX-License-Identifier: Apache-2.0
#include "db/sql_vantage_store.h"

#include <string>

#include "db/text.h"

namespace watchwheel::db {
namespace {

constexpr std::size_t kDetailBytesMax = 512;
#define WATCHWHEEL_COLUMNS "started_at, ended_at, reason, detail, withheld"
// One that has ended is frozen. MySQL assigns in order, so the end comes last.
constexpr Sql kPut(
    "INSERT INTO vantage_events (" WATCHWHEEL_COLUMNS ") VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT (started_at) DO UPDATE SET ended_at = excluded.ended_at, reason = excluded.reason,"
    " detail = excluded.detail, withheld = excluded.withheld WHERE ended_at IS NULL",
    "INSERT INTO vantage_events (" WATCHWHEEL_COLUMNS ", node) VALUES (?, ?, ?, ?, ?, ?)"
    " ON DUPLICATE KEY UPDATE reason = IF(ended_at IS NULL, VALUES(reason), reason),"
    " detail = IF(ended_at IS NULL, VALUES(detail), detail),"
    " withheld = IF(ended_at IS NULL, VALUES(withheld), withheld),"
    " ended_at = IF(ended_at IS NULL, VALUES(ended_at), ended_at)");
constexpr Sql kClose(
    "UPDATE vantage_events SET ended_at = max(?, started_at) WHERE ended_at IS NULL",
    "UPDATE vantage_events SET ended_at = greatest(?, started_at) WHERE ended_at IS NULL AND node ="
    " ?");

}  // namespace

core::Result<void> SqlVantageStore::put(const sideeffects::VantageEvent& event) {
  const std::string detail = to_utf8(event.detail, kDetailBytesMax);
  Query query = connection_->query(kPut);
  query.bind(event.started_at).bind(event.ended_at).bind(std::string_view(event.reason));
  query.bind(std::string_view(detail)).bind(static_cast<std::int64_t>(event.withheld));
  if (connection_->dialect() == Dialect::Mysql) query.bind(std::string_view(node_));
  return query.run();
}

core::Result<std::uint64_t> SqlVantageStore::close_open(core::WallTime at) {
  Query query = connection_->query(kClose);
  query.bind(at);
  if (connection_->dialect() == Dialect::Mysql) query.bind(std::string_view(node_));
  if (core::Result<void> done = query.run(); !done) return done.error();
  return connection_->rows_changed();
}

}  // namespace watchwheel::db
