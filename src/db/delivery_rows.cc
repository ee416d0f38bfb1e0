// SPDX-License-Identifier: Apache-2.0
#include "db/delivery_rows.h"

#include <set>

#include "core/ensure.h"
#include "sideeffects/delivery_queue_api.h"

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

#define WATCHWHEEL_BEHIND_OF(by_id, by_event)                            \
  "SELECT n.delivery_id, n.kind, t.kind FROM delivery_tellings t " by_id \
  " JOIN delivery_tellings n " by_event                                  \
  " ON n.event_id = t.event_id AND n.delivery_id > t.delivery_id"        \
  " WHERE n.target = t.target AND n.state = 'queued' AND t.delivery_id IN " WATCHWHEEL_IDS
constexpr Sql kBehindOf(WATCHWHEEL_BEHIND_OF("", "INDEXED BY delivery_tellings_event"),
                        WATCHWHEEL_BEHIND_OF("FORCE INDEX (PRIMARY)",
                                             "FORCE INDEX (delivery_tellings_event)"));
// Whether of an event of this delivery, which is an end, its target was told before it, or will be, what it is the end of.
#define WATCHWHEEL_TOLD_BEFORE(by_id, by_event)                                    \
  "SELECT 1 FROM delivery_tellings t " by_id " JOIN delivery_tellings b " by_event \
  " ON b.event_id = t.event_id AND b.delivery_id < t.delivery_id"                  \
  " WHERE t.delivery_id = ? AND b.target = t.target"                               \
  " AND b.state IN ('queued', 'told') AND b.kind NOT IN ('up', 'up_group',"        \
  " 'warning_over', 'warning_over_group', 'flapping_over')"                        \
  " AND (b.kind = 'flapping') = (t.kind = 'flapping_over') LIMIT 1"
constexpr Sql kToldBefore(WATCHWHEEL_TOLD_BEFORE("", "INDEXED BY delivery_tellings_event"),
                          WATCHWHEEL_TOLD_BEFORE("FORCE INDEX (PRIMARY)",
                                                 "FORCE INDEX (delivery_tellings_event)"));
constexpr Sql kUnleased("SELECT 1 FROM deliveries WHERE id = ? AND state <> 1",
                        "SELECT 1 FROM deliveries FORCE INDEX (PRIMARY) WHERE id = ? AND state <> 1"
                        " FOR UPDATE");

// That a site flaps is a condition beside that it is down, though its tellings are an outage's.
bool may_end(std::string_view beginning, std::string_view end) {
  return sideeffects::is_end_kind(end) && (beginning == "flapping") == (end == "flapping_over");
}

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
  // Ends of the same events may stand behind it from other lines.
  core::Result<void> ends = by_parts(gone, [&](auto part) -> core::Result<void> {
    Query query = connection.query(kBehindOf);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      const std::int64_t id = query.integer(0);
      const bool is_gone = std::binary_search(gone.begin(), gone.end(), id);
      if (sideeffects::is_end_kind(query.text(1)) && !is_gone) behind.push_back(id);
    }
  });
  if (!ends) return ends;
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
  behind.erase(std::unique(behind.begin(), behind.end()), behind.end());
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

core::Result<bool> told_before(Connection& connection, std::int64_t delivery) {
  Query query = connection.query(kToldBefore);
  return query.bind(delivery).step();
}

core::Result<void> bury_untold_ends(Connection& connection, std::span<const std::int64_t> dead,
                                    std::string_view reason, std::int64_t now_ms) {
  std::set<std::int64_t> ends;
  core::Result<void> found = by_parts(dead, [&](auto part) -> core::Result<void> {
    Query query = connection.query(kBehindOf);
    bind_ids(query, part);
    while (true) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      if (may_end(query.text(2), query.text(1))) ends.insert(query.integer(0));
    }
  });
  if (!found) return found;
  Ids untold;
  for (const std::int64_t id : ends) {
    const core::Result<bool> told = told_before(connection, id);
    if (!told) return told.error();
    if (*told) continue;
    Query unleased = connection.query(kUnleased);
    const core::Result<bool> row = unleased.bind(id).step();
    if (!row) return row.error();
    if (*row) untold.push_back(id);
  }
  for (const std::int64_t id : untold) {
    core::Result<void> copied = copy_to_dead(
        connection,
        {.id = id, .reason = reason, .detail = "what it ends was given up", .at_ms = now_ms});
    if (!copied) return copied;
  }
  return remove_from_queue(connection, untold, now_ms, "dead");
}

std::vector<Sql> delivery_row_queries() {
  return {kFollowers,  kAdvance,  kDelete,     kTell,    kCopyToDone,
          kCopyToDead, kBehindOf, kToldBefore, kUnleased};
}

}  // namespace watchwheel::db
