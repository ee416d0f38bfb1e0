// SPDX-License-Identifier: Apache-2.0
#include "db/sql_delivery_log.h"

#include <algorithm>
#include <array>

#include "db/delivery_rows.h"
#include "db/rows.h"

namespace watchwheel::db {
namespace {

using sideeffects::DeliveryId;

constexpr std::array<std::string_view, 6> kStatuses{"waiting",   "sending",   "behind",
                                                    "delivered", "cancelled", "dead"};

// The same columns of all three tables: id, status, target, kind, message id, site, url, name, attempts, rescues, requeues, made,
// next, ended, reason, HTTP status, detail, body.
#define WATCHWHEEL_NEWEST_ATTEMPT(column)                \
  "(SELECT a." column                                    \
  " FROM delivery_attempts a WHERE a.delivery_id = d.id" \
  " ORDER BY a.requeues DESC, a.attempt DESC LIMIT 1)"
#define WATCHWHEEL_HOT                                                                          \
  "SELECT d.id, d.state, d.target, d.kind, d.message_id, d.site_id, s.url, s.name, d.attempts," \
  " d.rescues, d.requeues, d.made_at, d.vt, NULL, '', " WATCHWHEEL_NEWEST_ATTEMPT(              \
      "http_status") ", " WATCHWHEEL_NEWEST_ATTEMPT("detail")
#define WATCHWHEEL_DEAD                                                                    \
  "SELECT d.id, 5, d.target, d.kind, d.message_id, d.site_id, s.url, s.name, d.attempts, " \
  "d.rescues,"                                                                             \
  " d.requeues, d.made_at, NULL, d.died_at, d.reason, d.http_status, d.detail"
#define WATCHWHEEL_DELIVERY_SITE " LEFT JOIN sites s ON s.id = d.site_id WHERE "
constexpr Sql kList =
    WATCHWHEEL_HOT " FROM deliveries d" WATCHWHEEL_DELIVERY_SITE
                   "d.id > ?1 AND (?2 = '' OR d.target = ?2) ORDER BY d.id LIMIT ?3";
constexpr Sql kListDead = WATCHWHEEL_DEAD " FROM dead_letters d" WATCHWHEEL_DELIVERY_SITE
                                          "d.id > ?1 AND (?2 = '' OR d.target = ?2) AND (?4 = '' "
                                          "OR d.reason = ?4) ORDER BY d.id LIMIT ?3";
constexpr Sql kFindHot =
    WATCHWHEEL_HOT ", d.body FROM deliveries d" WATCHWHEEL_DELIVERY_SITE "d.id = ?";
constexpr Sql kFindDead =
    WATCHWHEEL_DEAD ", d.body FROM dead_letters d" WATCHWHEEL_DELIVERY_SITE "d.id = ?";
constexpr Sql kFindDone =
    "SELECT d.id, CASE d.outcome WHEN 'delivered' THEN 3 ELSE 4 END, d.target, d.kind, "
    "d.message_id,"
    " d.site_id, s.url, s.name, d.attempts, 0, d.requeues, d.made_at, NULL, d.done_at, '',"
    " d.http_status, '', '' FROM deliveries_done d" WATCHWHEEL_DELIVERY_SITE "d.id = ?";
constexpr Sql kAttempts =
    "SELECT requeues, attempt, at, took_ms, http_status, detail, verdict FROM delivery_attempts"
    " WHERE delivery_id = ? ORDER BY requeues, attempt";

constexpr Sql kLockDead("SELECT requeues, target, kind FROM dead_letters WHERE id = ?",
                        "SELECT requeues, target, kind FROM dead_letters WHERE id = ? FOR UPDATE");
// By what was told after it of the same condition: that a site flaps is another one than the outage with which it began.
#define WATCHWHEEL_OVERTAKEN(by_id, by_event)                                      \
  "SELECT 1 FROM delivery_tellings t " by_id " JOIN delivery_tellings n " by_event \
  " ON n.event_id = t.event_id AND n.delivery_id > t.delivery_id"                  \
  " WHERE t.delivery_id = ? AND n.target = t.target"                               \
  " AND (n.kind IN ('flapping', 'flapping_over'))"                                 \
  " = (t.kind IN ('flapping', 'flapping_over'))"                                   \
  " AND n.state IN ('queued', 'told') LIMIT 1"
constexpr Sql kOvertaken(WATCHWHEEL_OVERTAKEN("", "INDEXED BY delivery_tellings_event"),
                         WATCHWHEEL_OVERTAKEN("FORCE INDEX (PRIMARY)",
                                              "FORCE INDEX (delivery_tellings_event)"));
// Of each of its events that is over.
#define WATCHWHEEL_STATE_AFTER                                         \
  "(SELECT CASE WHEN x.act = 'close' OR (x.reason = 'operator' AND x.after_state = 'unknown')" \
  " THEN 'closed' ELSE x.after_state END" \
  " FROM event_transitions x WHERE x.event_id = e.id ORDER BY x.seq DESC LIMIT 1)"
#define WATCHWHEEL_WAKE_OF_DEAD(memo)                            \
  "INSERT INTO outbox_wakes (due_at, site_id, event_id, memo)"   \
  " SELECT ?, e.site_id, e.id, " memo                            \
  " FROM delivery_tellings t JOIN events e ON e.id = t.event_id" \
  " WHERE t.delivery_id = ? AND e.ended_at IS NOT NULL"
constexpr Sql kWakeEnded(
    WATCHWHEEL_WAKE_OF_DEAD("? || coalesce(" WATCHWHEEL_STATE_AFTER ", 'unknown') || ':' || ?"),
    WATCHWHEEL_WAKE_OF_DEAD("CONCAT(?, coalesce(" WATCHWHEEL_STATE_AFTER ", 'unknown'), ':', ?)"));
// Reads all wakes: of dead letters about flapping there are few.
constexpr Sql kFlapsStill =
    "SELECT id, due_at, site_id, event_id, memo FROM outbox_wakes WHERE memo LIKE 'flapping:%'"
    " AND event_id IN (SELECT event_id FROM delivery_tellings WHERE delivery_id = ?) LIMIT 1";
constexpr Sql kRemoveWake = "DELETE FROM outbox_wakes WHERE id = ?";
constexpr Sql kWake =
    "INSERT INTO outbox_wakes (due_at, site_id, event_id, memo) VALUES (?, ?, ?, ?)";
constexpr Sql kPutBack =
    "INSERT INTO deliveries (id, target, vt, state, line, requeues, kind, message_id, site_id,"
    " made_at, queued_at, body) SELECT id, target, ?, 0, line, requeues + 1, kind, message_id,"
    " site_id, made_at, ?, body FROM dead_letters WHERE id = ?";
constexpr Sql kRemoveDead = "DELETE FROM dead_letters WHERE id = ?";
constexpr Sql kTellAgain = "UPDATE delivery_tellings SET state = 'queued' WHERE delivery_id = ?";
constexpr Sql kForgetRounds =
    "DELETE FROM delivery_attempts WHERE delivery_id = ? AND requeues < ?";

constexpr std::size_t kRequeuedAtOnce = 100;

DeliveryRecord record_from(const Query& row) {
  return {.id = id_from<DeliveryId>(row, 0),
          .status = static_cast<DeliveryStatus>(row.integer(1)),
          .target = std::string(row.text(2)),
          .kind = std::string(row.text(3)),
          .message_id = std::string(row.text(4)),
          .site = id_from<core::SiteId>(row, 5),
          .url = std::string(row.text(6)),
          .name = std::string(row.text(7)),
          .attempts = static_cast<std::uint32_t>(row.integer(8)),
          .rescues = static_cast<std::uint32_t>(row.integer(9)),
          .requeues = static_cast<std::uint32_t>(row.integer(10)),
          .made_at = row.time(11),
          .next_at = row.time(12),
          .ended_at = row.time(13),
          .reason = std::string(row.text(14)),
          .http_status = static_cast<std::uint16_t>(row.integer(15)),
          .detail = std::string(row.text(16))};
}

}  // namespace

std::string_view to_string(DeliveryStatus status) {
  return kStatuses.at(static_cast<std::size_t>(status));
}

core::Result<std::vector<DeliveryRecord>> SqlDeliveryLog::list(const DeliveryFilter& filter,
                                                               std::size_t limit) {
  Query query = connection_->query(filter.dead ? kListDead : kList);
  query.bind(static_cast<std::int64_t>(filter.after)).bind(std::string_view(filter.target));
  query.bind(static_cast<std::int64_t>(limit));
  if (filter.dead) query.bind(filter.reason ? to_string(*filter.reason) : std::string_view(""));
  std::vector<DeliveryRecord> records;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return records;
    records.push_back(record_from(query));
  }
}

core::Result<std::optional<DeliveryDetail>> SqlDeliveryLog::find(DeliveryId id) {
  std::optional<DeliveryDetail> found;
  for (const Sql* sql : {&kFindHot, &kFindDead, &kFindDone}) {
    Query query = connection_->query(*sql);
    core::Result<bool> row = query.bind(to_column(id)).step();
    if (!row) return row.error();
    if (!*row) continue;
    found = DeliveryDetail{
        .record = record_from(query), .body = std::string(query.text(17)), .attempts = {}};
    break;
  }
  if (!found) return found;
  if (core::Result<void> added = add_attempts(*found); !added) return added.error();
  return found;
}

core::Result<void> SqlDeliveryLog::add_attempts(DeliveryDetail& detail) {
  Query query = connection_->query(kAttempts);
  query.bind(to_column(detail.record.id));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    detail.attempts.push_back({.requeues = static_cast<std::uint32_t>(query.integer(0)),
                               .attempt = static_cast<std::uint32_t>(query.integer(1)),
                               .at = query.time(2),
                               .took = std::chrono::milliseconds(query.integer(3)),
                               .http_status = static_cast<std::uint16_t>(query.integer(4)),
                               .detail = std::string(query.text(5)),
                               .last = query.text(6) == "dead"});
  }
}

// The wake that ends it is written anew: a router that has read who was told, and not this one, settles nothing with it any more.
core::Result<bool> SqlDeliveryLog::renew_flapping(std::int64_t id) {
  constexpr int kTries = 3;  // Where a router settles it just now.
  for (int tries = 0; tries < kTries; ++tries) {
    std::int64_t wake = 0;
    std::int64_t due_ms = 0;
    std::int64_t site = 0;
    std::int64_t event = 0;
    std::string memo;
    {
      Query query = connection_->query(kFlapsStill);
      const core::Result<bool> row = query.bind(id).step();
      if (!row) return row.error();
      if (!*row) return false;
      wake = query.integer(0);
      due_ms = query.integer(1);
      site = query.integer(2);
      event = query.integer(3);
      memo = query.text(4);
    }
    Query remove = connection_->query(kRemoveWake);
    if (auto done = remove.bind(wake).run(); !done) return done.error();
    if (connection_->rows_changed() == 0) continue;
    Query insert = connection_->query(kWake);
    insert.bind(due_ms).bind(site).bind(event).bind(std::string_view(memo));
    if (auto done = insert.run(); !done) return done.error();
    return true;
  }
  return false;
}

core::Result<SqlDeliveryLog::PutBack> SqlDeliveryLog::put_back(std::int64_t id, std::int64_t due_ms,
                                                               std::int64_t now_ms) {
  std::int64_t requeues = 0;
  std::string target;
  bool is_end = false;
  bool of_flapping = false;
  {
    Query lock = connection_->query(kLockDead);
    const core::Result<bool> row = lock.bind(id).step();
    if (!row) return row.error();
    if (!*row) return PutBack::NotThere;
    requeues = lock.integer(0);
    target = lock.text(1);
    is_end = sideeffects::is_end_kind(lock.text(2));
    of_flapping = lock.text(2) == "flapping";
  }
  if (is_end) {
    const core::Result<bool> told = told_before(*connection_, id);
    if (!told) return told.error();
    if (!*told) return PutBack::NothingToEnd;
  }
  {
    Query overtaken = connection_->query(kOvertaken);
    const core::Result<bool> row = overtaken.bind(id).step();
    if (!row) return row.error();
    if (*row) return PutBack::TooLate;
  }
  if (of_flapping) {
    const core::Result<bool> still = renew_flapping(id);
    if (!still) return still.error();
    if (!*still) return PutBack::Steady;
  }
  Query insert = connection_->query(kPutBack);
  if (auto done = insert.bind(due_ms).bind(now_ms).bind(id).run(); !done) return done.error();
  Query remove = connection_->query(kRemoveDead);
  if (auto done = remove.bind(id).run(); !done) return done.error();
  Query tell = connection_->query(kTellAgain);
  if (auto done = tell.bind(id).run(); !done) return done.error();
  Query forget = connection_->query(kForgetRounds);
  if (auto done = forget.bind(id).bind(requeues).run(); !done) return done.error();
  Query wake = connection_->query(kWakeEnded);
  wake.bind(now_ms).bind(sideeffects::kRequeuedMemo).bind(std::string_view(target)).bind(id);
  if (auto done = wake.run(); !done) return done.error();
  return PutBack::Done;
}

core::Result<void> SqlDeliveryLog::requeue(DeliveryId id) {
  return retried(*connection_, [&]() -> core::Result<void> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    const core::Result<PutBack> done = put_back(to_column(id), *now, *now);
    if (!done) return done.error();
    if (*done == PutBack::NotThere)
      return core::Error{core::ErrorKind::NotFound,
                         "there is no dead letter " + std::to_string(id.value)};
    if (*done == PutBack::NothingToEnd)
      return core::Error{core::ErrorKind::Invalid,
                         "dead letter " + std::to_string(id.value) +
                             " says that something is over of which its target was never told;"
                             " requeue what it was to be told before"};
    if (*done == PutBack::Steady)
      return core::Error{core::ErrorKind::Invalid,
                         "dead letter " + std::to_string(id.value) +
                             " comes too late: its site does not flap any more"};
    if (*done == PutBack::TooLate)
      return core::Error{core::ErrorKind::Invalid,
                         "dead letter " + std::to_string(id.value) +
                             " comes too late: its target was told what happened after it"};
    return transaction->commit();
  });
}

core::Result<std::uint64_t> SqlDeliveryLog::requeue_all(const DeliveryFilter& filter,
                                                        core::Duration spacing) {
  DeliveryFilter wanted = filter;
  wanted.dead = true;
  std::uint64_t requeued = 0;
  // A dead letter of now, not one that fails again meanwhile.
  while (true) {
    const core::Result<std::vector<DeliveryRecord>> page = list(wanted, kRequeuedAtOnce);
    if (!page) return page.error();
    if (page->empty()) return requeued;
    wanted.after = page->back().id.value;
    std::uint64_t of_page = 0;
    core::Result<void> done = retried(*connection_, [&]() -> core::Result<void> {
      of_page = 0;
      core::Result<Transaction> transaction = Transaction::write(*connection_);
      if (!transaction) return transaction.error();
      const core::Result<std::int64_t> now = connection_->now_ms();
      if (!now) return now.error();
      for (const DeliveryRecord& record : *page) {
        const auto later = static_cast<std::int64_t>(requeued + of_page) * to_ms_up(spacing);
        const core::Result<PutBack> back = put_back(to_column(record.id), *now + later, *now);
        if (!back) return back.error();
        if (*back == PutBack::Done) ++of_page;
      }
      return transaction->commit();
    });
    if (!done) return done.error();
    requeued += of_page;
  }
}

}  // namespace watchwheel::db
