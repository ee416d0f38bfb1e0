// SPDX-License-Identifier: Apache-2.0
#include "db/delivery_rows.h"

#include "core/ensure.h"

namespace watchwheel::db {
namespace {

#define WATCHWHEEL_FOLLOWERS(line_index, by_id)                                           \
  "SELECT (SELECT n.id FROM deliveries n " line_index                                     \
  " WHERE n.target = d.target AND n.line = d.line AND n.id > d.id ORDER BY n.id LIMIT 1)" \
  " FROM deliveries d " by_id " WHERE d.id IN " WATCHWHEEL_IDS
constexpr Sql kFollowers(WATCHWHEEL_FOLLOWERS("INDEXED BY deliveries_line", ""),
                         WATCHWHEEL_FOLLOWERS("FORCE INDEX (deliveries_line)",
                                              "FORCE INDEX (PRIMARY)"));
// It is written even when nothing seems to change: a claim on another node of a cluster may be putting it behind the one that is
// being removed, and only what both write tells the cluster so. MySQL assigns from left to right: `vt` looks at `state`.
#define WATCHWHEEL_ADVANCE(by_id)                                          \
  "UPDATE deliveries " by_id                                               \
  " SET vt = CASE WHEN state = 2 OR vt <= ? THEN ? ELSE vt END, state = 0" \
  " WHERE state <> 1 AND id IN " WATCHWHEEL_IDS
constexpr Sql kAdvance(WATCHWHEEL_ADVANCE(""), WATCHWHEEL_ADVANCE("FORCE INDEX (PRIMARY)"));
constexpr Sql kDelete(
    "DELETE FROM deliveries WHERE id IN " WATCHWHEEL_IDS,
    "DELETE d FROM deliveries d FORCE INDEX (PRIMARY) WHERE d.id IN " WATCHWHEEL_IDS);
constexpr Sql kTell("UPDATE delivery_tellings SET state = ? WHERE delivery_id IN " WATCHWHEEL_IDS,
                    "UPDATE delivery_tellings FORCE INDEX (PRIMARY) SET state = ? WHERE "
                    "delivery_id IN " WATCHWHEEL_IDS);
constexpr Sql kCopyToDone =
    "INSERT INTO deliveries_done (id, target, outcome, kind, message_id, site_id, attempts, "
    "requeues,"
    " http_status, took_ms, made_at, done_at) SELECT id, target, ?, kind, message_id, site_id, "
    "attempts,"
    " requeues, ?, ?, made_at, ? FROM deliveries WHERE id = ?";
constexpr Sql kCopyToDead =
    "INSERT INTO dead_letters (id, target, line, reason, kind, message_id, site_id, attempts, "
    "rescues,"
    " requeues, http_status, detail, made_at, died_at, body) SELECT id, target, line, ?, kind, "
    "message_id,"
    " site_id, attempts, rescues, requeues, ?, ?, made_at, ?, body FROM deliveries WHERE id = ?";

std::optional<std::int64_t> status_column(std::uint16_t status) {
  return status == 0 ? std::nullopt : std::optional<std::int64_t>{status};
}

}  // namespace

void bind_ids(Query& query, std::span<const std::int64_t> ids) {
  ENSURE(!ids.empty() && ids.size() <= kIdsAtOnce, "a list of ids has its places");
  for (std::size_t i = 0; i < kIdsAtOnce; ++i) query.bind(ids[std::min(i, ids.size() - 1)]);
}

core::Result<void> remove_from_queue(Connection& connection, std::span<const std::int64_t> ids,
                                     std::int64_t now_ms, std::string_view telling) {
  Ids gone(ids.begin(), ids.end());
  std::sort(gone.begin(), gone.end());
  Ids behind;
  core::Result<void> found = by_parts(gone, [&](auto part) -> core::Result<void> {
    Query query = connection.query(kFollowers);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      const std::int64_t id = query.integer(0);
      if (!query.is_null(0) && !std::binary_search(gone.begin(), gone.end(), id))
        behind.push_back(id);
    }
  });
  if (!found) return found;
  core::Result<void> removed = by_parts(gone, [&](auto part) -> core::Result<void> {
    Query remove = connection.query(kDelete);
    bind_ids(remove, part);
    if (core::Result<void> done = remove.run(); !done) return done;
    Query tell = connection.query(kTell);
    tell.bind(telling);
    bind_ids(tell, part);
    return tell.run();
  });
  if (!removed) return removed;
  std::sort(behind.begin(), behind.end());
  return by_parts(behind, [&](auto part) {
    Query query = connection.query(kAdvance);
    query.bind(now_ms).bind(now_ms);
    bind_ids(query, part);
    return query.run();
  });
}

core::Result<void> copy_to_done(Connection& connection, const DoneRow& row) {
  Query query = connection.query(kCopyToDone);
  query.bind(std::string_view(row.cancelled ? "cancelled" : "delivered"));
  query.bind(status_column(row.http_status)).bind(row.took_ms).bind(row.at_ms).bind(row.id);
  return query.run();
}

core::Result<void> copy_to_dead(Connection& connection, const DeadRow& row) {
  Query query = connection.query(kCopyToDead);
  query.bind(row.reason).bind(status_column(row.http_status)).bind(row.detail);
  return query.bind(row.at_ms).bind(row.id).run();
}

std::vector<Sql> delivery_row_queries() {
  return {kFollowers, kAdvance, kDelete, kTell, kCopyToDone, kCopyToDead};
}

}  // namespace watchwheel::db
