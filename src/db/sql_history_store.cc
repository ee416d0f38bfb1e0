// SPDX-License-Identifier: Apache-2.0
#include "db/sql_history_store.h"

#include <algorithm>
#include <optional>
#include <string>

#include "db/response_codec.h"
#include "db/response_pages.h"

namespace watchwheel::db {
namespace {

using sideeffects::HistoryPurge;
using sideeffects::HistoryTable;

// A page of events by id, whether each is over since before ?2, and whether it began after that. ?1 above which id, ?3 how many.
#define WATCHWHEEL_EVENTS(by_id)                                           \
  "SELECT id, transitions_total, (ended_at IS NOT NULL AND ended_at < ?2)" \
  ", started_at >= ?2 FROM events " by_id " WHERE id > ?1 ORDER BY id LIMIT ?3"
constexpr Sql kEvents(WATCHWHEEL_EVENTS(""), WATCHWHEEL_EVENTS("FORCE INDEX (PRIMARY)"));
constexpr Sql kRemoveTransitions = "DELETE FROM event_transitions WHERE event_id = ?";
// Of which somebody is still to be told. Read from end to end once a step, not once an event: both are short, but for a mass outage.
constexpr Sql kWaiting =
    "SELECT event_id FROM outbox WHERE event_id BETWEEN ?1 AND ?2"
    " UNION ALL SELECT event_id FROM outbox_wakes WHERE event_id BETWEEN ?1 AND ?2";
// Once more, and locked: nothing goes by what was true a moment ago.
#define WATCHWHEEL_OVER " id = ?1 AND ended_at IS NOT NULL AND ended_at < ?2"
constexpr Sql kLockEvent("SELECT id FROM events WHERE" WATCHWHEEL_OVER,
                         "SELECT id FROM events WHERE" WATCHWHEEL_OVER " FOR UPDATE");
constexpr Sql kRemoveEvent = "DELETE FROM events WHERE id = ?";

// Gaps have an index by their end; they go by their keys.
constexpr Sql kGaps(
    "SELECT site_id, started_at FROM site_gaps INDEXED BY site_gaps_end WHERE ended_at < ?"
    " ORDER BY ended_at LIMIT ?",
    "SELECT site_id, started_at FROM site_gaps FORCE INDEX (site_gaps_end) WHERE ended_at < ?"
    " ORDER BY ended_at LIMIT ?");
constexpr Sql kRemoveGap = "DELETE FROM site_gaps WHERE site_id = ? AND started_at = ?";

constexpr Sql kVantage =
    "SELECT id FROM vantage_events WHERE ended_at IS NOT NULL AND ended_at < ? ORDER BY id LIMIT ?";
constexpr Sql kRemoveVantage = "DELETE FROM vantage_events WHERE id = ?";
constexpr Sql kGroups =
    "SELECT id FROM outage_groups WHERE started_at < ? AND NOT EXISTS"
    " (SELECT 1 FROM events WHERE group_id = outage_groups.id) ORDER BY id LIMIT ?";
// Not one that an event has come to meanwhile.
constexpr Sql kRemoveGroup =
    "DELETE FROM outage_groups WHERE id = ? AND NOT EXISTS (SELECT 1 FROM events WHERE group_id = "
    "outage_groups.id)";

constexpr Sql kPages =
    "SELECT started_at, node, page FROM response_pages WHERE width_ms = ? AND started_at < ?"
    " ORDER BY started_at, page, node LIMIT ?";
constexpr Sql kRemovePage =
    "DELETE FROM response_pages WHERE width_ms = ? AND started_at = ? AND page = ? AND node = ?";
constexpr Sql kMinutes =
    "SELECT started_at, node FROM response_minutes WHERE started_at < ? ORDER BY started_at, node "
    "LIMIT ?";
constexpr Sql kRemoveMinute = "DELETE FROM response_minutes WHERE started_at = ? AND node = ?";
constexpr Sql kMinute = "SELECT counts FROM response_minutes WHERE started_at = ? AND node = ?";
constexpr Sql kPutMinute(
    "INSERT INTO response_minutes (started_at, node, counts) VALUES (?, ?, ?)"
    " ON CONFLICT (started_at, node) DO UPDATE SET counts = excluded.counts",
    "INSERT INTO response_minutes (started_at, node, counts) VALUES (?, ?, ?)"
    " ON DUPLICATE KEY UPDATE counts = VALUES(counts)");

constexpr Sql kKnowFrom(
    "INSERT INTO history_kept (what, known_from) VALUES ('events', ?)"
    " ON CONFLICT (what) DO UPDATE SET known_from = max(known_from, excluded.known_from)",
    "INSERT INTO history_kept (what, known_from) VALUES ('events', ?)"
    " ON DUPLICATE KEY UPDATE known_from = greatest(known_from, VALUES(known_from))");

// Pages of events that are looked at for one that may go, a step.
constexpr int kPagesMax = 20;

// All rows' first two columns.
core::Result<std::vector<std::pair<std::int64_t, std::int64_t>>> pairs_of(Query& query) {
  std::vector<std::pair<std::int64_t, std::int64_t>> all;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return all;
    all.emplace_back(query.integer(0), query.integer(1));
  }
}

std::int64_t signed_limit(std::size_t limit) {
  return static_cast<std::int64_t>(std::min<std::size_t>(limit, 1'000'000));
}

}  // namespace

std::vector<Sql> history_queries() {
  return {kEvents,       kWaiting,   kRemoveTransitions, kLockEvent,   kRemoveEvent,
          kGaps,         kRemoveGap, kRemoveVantage,     kRemoveGroup, kPages,
          kRemovePage,   kMinutes,   kRemoveMinute,      kMinute};
}

core::Result<HistoryPurge> SqlHistoryStore::purge(const sideeffects::HistoryRetention& retention,
                                                  std::size_t limit) {
  const core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  const auto before = [&](core::Duration kept) {
    return *now - std::chrono::ceil<std::chrono::milliseconds>(kept).count();
  };
  HistoryPurge purged;
  const auto add = [&](HistoryTable table, const core::Result<std::uint64_t>& removed) {
    if (removed) purged.of(table) += *removed;
    return removed ? core::Result<void>() : core::Result<void>(removed.error());
  };
  if (retention.events > core::Duration::zero()) {
    const std::int64_t at = before(retention.events);
    if (auto done = purge_events(at, limit, purged); !done) return done.error();
    if (auto done = purge_gaps(at, limit, purged); !done) return done.error();
    if (auto done =
            add(HistoryTable::VantageEvents, purge_by_id(kVantage, kRemoveVantage, at, limit));
        !done)
      return done.error();
    if (auto done = add(HistoryTable::OutageGroups, purge_by_id(kGroups, kRemoveGroup, at, limit));
        !done)
      return done.error();
  }
  for (const auto& [width_ms, kept] :
       {std::pair(kHourMs, retention.hours), std::pair(kDayMs, retention.days)}) {
    if (kept <= core::Duration::zero()) continue;
    if (auto done = add(HistoryTable::ResponsePages,
                        purge_responses(width_ms, before(kept) - width_ms, limit));
        !done)
      return done.error();
  }
  if (retention.minutes > core::Duration::zero()) {
    if (auto done = add(HistoryTable::ResponseMinutes,
                        purge_responses(0, before(retention.minutes) - 60'000, limit));
        !done)
      return done.error();
  }
  return purged;
}

core::Result<void> SqlHistoryStore::know_from(std::int64_t before_ms) {
  return connection_->query(kKnowFrom).bind(before_ms).run();
}

core::Result<void> SqlHistoryStore::purge_events(std::int64_t before_ms, std::size_t limit,
                                                 HistoryPurge& purged) {
  std::vector<std::int64_t> old;
  // Past those that stay, be they thousands that have been open for long, up to those that began too late to be old.
  for (int pages = 0; pages < kPagesMax && old.empty(); ++pages) {
    Query query = connection_->query(kEvents);
    query.bind(events_from_).bind(before_ms).bind(signed_limit(limit));
    std::size_t rows = 0;
    std::size_t transitions = 0;
    bool young = true;
    bool end = false;
    while (transitions < limit) {
      core::Result<bool> row = query.step();
      if (!row) return row.error();
      end = !*row && rows < limit;
      if (!*row) break;
      ++rows;
      events_from_ = query.integer(0);
      young = young && query.integer(3) != 0;
      if (query.integer(2) == 0) continue;
      old.push_back(events_from_);
      transitions += static_cast<std::size_t>(query.integer(1));
    }
    query.rewind();
    if (auto left = leave_waiting(old); !left) return left;
    // The end: the next walk begins at the first event again.
    if (old.empty() && (young || end)) {
      events_from_ = 0;
      return {};
    }
  }
  if (old.empty()) return {};
  std::uint64_t events = 0;
  std::uint64_t removed = 0;
  const core::Result<void> done = retried(*connection_, [&]() -> core::Result<void> {
    events = removed = 0;
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    if (auto known = know_from(before_ms); !known) return known;
    for (const std::int64_t id : old) {
      {
        Query lock = connection_->query(kLockEvent);
        core::Result<bool> row = lock.bind(id).bind(before_ms).step();
        if (!row) return row.error();
        if (!*row) continue;
      }
      if (auto gone = connection_->query(kRemoveTransitions).bind(id).run(); !gone) return gone;
      removed += connection_->rows_changed();
      if (auto gone = connection_->query(kRemoveEvent).bind(id).run(); !gone) return gone;
      events += connection_->rows_changed();
    }
    return transaction->commit();
  });
  if (!done) {
    events_from_ = 0;  // They are still there.
    return done;
  }
  purged.of(HistoryTable::Events) += events;
  purged.of(HistoryTable::EventTransitions) += removed;
  return {};
}

core::Result<void> SqlHistoryStore::leave_waiting(std::vector<std::int64_t>& ids) {
  if (ids.empty()) return {};
  Query query = connection_->query(kWaiting);
  query.bind(ids.front()).bind(ids.back());  // They rise.
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    const auto found = std::lower_bound(ids.begin(), ids.end(), query.integer(0));
    if (found != ids.end() && *found == query.integer(0)) ids.erase(found);
    if (ids.empty()) return {};
  }
}

core::Result<void> SqlHistoryStore::purge_gaps(std::int64_t before_ms, std::size_t limit,
                                               HistoryPurge& purged) {
  std::uint64_t removed = 0;
  const core::Result<void> done = retried(*connection_, [&]() -> core::Result<void> {
    removed = 0;
    core::Result<std::vector<std::pair<std::int64_t, std::int64_t>>> old = [&] {
      Query query = connection_->query(kGaps);
      query.bind(before_ms).bind(signed_limit(limit));
      return pairs_of(query);
    }();
    if (!old) return old.error();
    if (old->empty()) return {};
    std::sort(old->begin(), old->end());
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    if (auto known = know_from(before_ms); !known) return known;
    for (const auto& [site, started_at] : *old) {
      Query remove = connection_->query(kRemoveGap);
      if (auto gone = remove.bind(site).bind(started_at).run(); !gone) return gone;
      removed += connection_->rows_changed();
    }
    return transaction->commit();
  });
  purged.of(HistoryTable::SiteGaps) += done ? removed : 0;
  return done;
}

core::Result<std::uint64_t> SqlHistoryStore::purge_by_id(const Sql& find, const Sql& remove,
                                                         std::int64_t before_ms,
                                                         std::size_t limit) {
  return retried(*connection_, [&]() -> core::Result<std::uint64_t> {
    std::vector<std::int64_t> old;
    {
      Query query = connection_->query(find);
      query.bind(before_ms).bind(signed_limit(limit));
      while (true) {
        core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        old.push_back(query.integer(0));
      }
    }
    if (old.empty()) return std::uint64_t{0};
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    std::uint64_t removed = 0;
    for (const std::int64_t id : old) {
      if (auto gone = connection_->query(remove).bind(id).run(); !gone) return gone.error();
      removed += connection_->rows_changed();
    }
    if (auto committed = transaction->commit(); !committed) return committed.error();
    return removed;
  });
}

// `width_ms` 0: minutes, which are a node's.
core::Result<std::uint64_t> SqlHistoryStore::purge_responses(std::int64_t width_ms,
                                                             std::int64_t before_ms,
                                                             std::size_t limit) {
  return retried(*connection_, [&]() -> core::Result<std::uint64_t> {
    struct Key {
      std::int64_t started_at = 0;
      std::string node;
      std::int64_t page = 0;  // Not of a minute.
    };
    std::vector<Key> old;
    {
      Query query = connection_->query(width_ms == 0 ? kMinutes : kPages);
      if (width_ms != 0) query.bind(width_ms);
      query.bind(before_ms).bind(signed_limit(limit));
      while (true) {
        core::Result<bool> row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        old.push_back({query.integer(0), std::string(query.text(1)),
                       width_ms == 0 ? 0 : query.integer(2)});
      }
    }
    if (old.empty()) return std::uint64_t{0};
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    std::uint64_t removed = 0;
    for (const Key& key : old) {
      Query remove = connection_->query(width_ms == 0 ? kRemoveMinute : kRemovePage);
      if (width_ms == 0) {
        remove.bind(key.started_at).bind(std::string_view(key.node));
      } else {
        remove.bind(width_ms).bind(key.started_at).bind(key.page).bind(std::string_view(key.node));
      }
      if (auto gone = remove.run(); !gone) return gone.error();
      removed += connection_->rows_changed();
    }
    if (auto committed = transaction->commit(); !committed) return committed.error();
    return removed;
  });
}

core::Result<void> SqlHistoryStore::add_minute(std::string_view node, core::WallTime started_at,
                                               const core::ResponseHistogram& responses) {
  const std::int64_t at = core::to_unix_ms(started_at);
  return retried(*connection_, [&]() -> core::Result<void> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    core::ResponseHistogram sum = responses;
    {
      Query query = connection_->query(kMinute);
      core::Result<bool> row = query.bind(at).bind(node).step();
      if (!row) return row.error();
      if (*row) {
        // What cannot be read begins anew: nothing hangs on it.
        if (const auto known = responses_from_text(query.text(0))) sum += *known;
      }
    }
    const std::string counts = responses_to_text(sum);
    if (counts.empty()) return {};
    Query put = connection_->query(kPutMinute);
    if (auto done = put.bind(at).bind(node).bind(std::string_view(counts)).run(); !done)
      return done;
    return transaction->commit();
  });
}

core::Result<void> SqlHistoryStore::add_pages(std::string_view node,
                                              std::span<const sideeffects::ResponsePage> pages) {
  return retried(*connection_, [&]() -> core::Result<void> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    for (const sideeffects::ResponsePage& page : pages) {
      if (auto added = add_response_page(*connection_, node, page); !added) return added;
    }
    return transaction->commit();
  });
}

}  // namespace watchwheel::db
