// SPDX-License-Identifier: Apache-2.0
#include "db/notice_handover.h"

#include <algorithm>
#include <utility>

#include "sideeffects/delivery_queue_api.h"

namespace watchwheel::db {
namespace {

using sideeffects::kAwayIdFirst;

constexpr std::int64_t kFirstHere = static_cast<std::int64_t>(kAwayIdFirst);
constexpr std::int64_t kPage = 50;
constexpr std::int64_t kNoticesPage = 500;
// As routing.cc makes the lines of mass outages.
constexpr std::uint64_t kGroupLine = std::uint64_t{1} << 63U;

// ---- Of the file
constexpr Sql kTold =
    "SELECT DISTINCT delivery_id FROM delivery_tellings WHERE delivery_id > ? ORDER BY delivery_id"
    " LIMIT ?";
constexpr Sql kTellings =
    "SELECT event_id, target, kind, state, at FROM delivery_tellings WHERE delivery_id = ?"
    " ORDER BY event_id";
constexpr Sql kQueued =
    "SELECT message_id, site_id, made_at, line, attempts, body FROM deliveries WHERE id = ?";
constexpr Sql kDone =
    "SELECT message_id, site_id, made_at, 0, attempts, '{}', http_status, took_ms, done_at FROM"
    " deliveries_done WHERE id = ?";
constexpr Sql kDead =
    "SELECT message_id, site_id, made_at, line, attempts, body, http_status, reason, detail,"
    " died_at FROM dead_letters WHERE id = ?";
constexpr Sql kWakes =
    "SELECT id, due_at, site_id, event_id, memo FROM outbox_wakes WHERE id > ? ORDER BY id LIMIT ?";
constexpr Sql kGoneWakes =
    "SELECT m.id FROM mirrored_wakes m WHERE m.id > ? AND NOT EXISTS"
    " (SELECT 1 FROM outbox_wakes w WHERE w.id = m.id) ORDER BY m.id LIMIT ?";
constexpr Sql kEventHere = "SELECT site_id, started_at FROM events WHERE id = ?";
// The event's id, when this change of it was routed here and none before it was left to the store: whoever hears there that it began
// hears there, too, that it is over. Who heard of it here is known there by then.
constexpr Sql kRouted =
    "SELECT e.id FROM events e WHERE e.site_id = ? AND e.started_at = ? AND e.transitions_total >= "
    "?"
    " AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.event_id = e.id AND o.seq = ?3)"
    " AND NOT EXISTS (SELECT 1 FROM presumed_changes p WHERE p.event_id = e.id AND ?3 > p.after_seq)";

// ---- Of the store
constexpr Sql kEventById("SELECT id, group_id FROM events WHERE id = ?");
constexpr Sql kEventByName = 
    "SELECT id, group_id FROM events WHERE site_id = ? AND started_at = ? AND kind = 'outage'";
#define WATCHWHEEL_SAME(index, by_id)                                                     \
  "SELECT t.delivery_id FROM delivery_tellings t " index " LEFT JOIN deliveries d " by_id \
  " ON d.id = t.delivery_id"                                                              \
  " LEFT JOIN deliveries_done n " by_id                                                   \
  " ON n.id = t.delivery_id"                                                              \
  " LEFT JOIN dead_letters l " by_id                                                      \
  " ON l.id = t.delivery_id"                                                              \
  " WHERE t.event_id = ? AND t.target = ?"                                                \
  " AND coalesce(d.message_id, n.message_id, l.message_id) = ? LIMIT 1"
constexpr Sql kSame(WATCHWHEEL_SAME("INDEXED BY delivery_tellings_event", ""),
                    WATCHWHEEL_SAME("FORCE INDEX (delivery_tellings_event)",
                                    "FORCE INDEX (PRIMARY)"));
constexpr Sql kWaits("SELECT 1 FROM deliveries WHERE id = ?",
                     "SELECT 1 FROM deliveries FORCE INDEX (PRIMARY) WHERE id = ? FOR UPDATE");
constexpr Sql kInsert =
    "INSERT INTO deliveries (target, vt, state, line, kind, message_id, site_id, made_at,"
    " queued_at, attempts, body) VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr Sql kInsertTelling =
    "INSERT INTO delivery_tellings (delivery_id, event_id, target, kind, state, at)"
    " VALUES (?, ?, ?, ?, 'queued', ?)";
constexpr Sql kSameWake =
    "SELECT 1 FROM outbox_wakes WHERE due_at = ? AND event_id = ? AND memo = ? LIMIT 1";
constexpr Sql kInsertWake =
    "INSERT INTO outbox_wakes (due_at, site_id, event_id, memo) VALUES (?, ?, ?, ?)";
constexpr Sql kRemoveWakes(
    "DELETE FROM outbox_wakes WHERE id IN " WATCHWHEEL_IDS,
    "DELETE o FROM outbox_wakes o FORCE INDEX (PRIMARY) WHERE o.id IN " WATCHWHEEL_IDS);
#define WATCHWHEEL_OUTBOX(by_id)                                     \
  "SELECT o.id, e.site_id, e.started_at, o.seq FROM outbox o " by_id \
  " JOIN events e ON e.id = o.event_id AND e.kind = 'outage' WHERE o.id > ? ORDER BY o.id LIMIT ?"
constexpr Sql kOutbox(WATCHWHEEL_OUTBOX(""), WATCHWHEEL_OUTBOX("FORCE INDEX (PRIMARY)"));
constexpr Sql kRemoveNotices(
    "DELETE FROM outbox WHERE id IN " WATCHWHEEL_IDS,
    "DELETE o FROM outbox o FORCE INDEX (PRIMARY) WHERE o.id IN " WATCHWHEEL_IDS);

// The file's trouble is no trouble of the store.
core::Error here(const core::Error& error) {
  return core::Error{core::ErrorKind::Invalid, error.message};
}

}  // namespace

// One delivery as it stands here.
struct NoticeHandover::Made {
  struct Telling {
    std::int64_t event = 0;  // Here; then the store's.
    std::int64_t at = 0;
  };
  std::int64_t id = 0;
  std::vector<Telling> tellings;
  std::string target, kind, state;
  std::string message, body, reason, detail;
  std::int64_t site = 0, made = 0, line = 0, attempts = 0, took = 0, ended = 0;
  std::uint16_t http_status = 0;
  bool known = false;  // Its row is there.
};

core::Result<bool> NoticeHandover::step() {
  const auto next = [this](const core::Result<std::size_t>& done, std::int64_t page,
                           Part then) -> core::Result<bool> {
    if (!done) return done.error();
    if (static_cast<std::int64_t>(*done) < page) {
      part_ = then;
      after_ = 0;
    }
    return part_ == Part::Done;
  };
  switch (part_) {
    case Part::Deliveries:
      return next(deliveries(), kPage, Part::Wakes);
    case Part::Wakes:
      return next(wakes(), kPage, Part::GoneWakes);
    case Part::GoneWakes:
      return next(gone_wakes(), kPage, Part::Notices);
    case Part::Notices:
      return next(notices(), kNoticesPage, Part::Done);
    case Part::Done:
      break;
  }
  return true;
}

// ---- Deliveries

core::Result<std::size_t> NoticeHandover::deliveries() {
  auto page = read_deliveries();
  if (!page) return here(page.error());
  if (page->empty()) return std::size_t{0};
  const auto done = retried(store_, [&]() -> core::Result<bool> {
    auto transaction = Transaction::write(store_);
    if (!transaction) return transaction.error();
    const auto now = store_.now_ms();
    if (!now) return now.error();
    for (Made made : *page) {
      if (auto handed = hand_over(made, *now); !handed) return handed.error();
    }
    if (auto committed = transaction->commit(); !committed) return committed.error();
    return true;
  });
  if (!done) return done.error();
  after_ = page->back().id;
  handed_over_ += static_cast<std::uint64_t>(std::count_if(
      page->begin(), page->end(), [](const Made& made) { return made.id >= kFirstHere; }));
  return page->size();
}

core::Result<std::vector<NoticeHandover::Made>> NoticeHandover::read_deliveries() {
  std::vector<Made> page;
  {
    Query query = here_->query(kTold);
    query.bind(after_).bind(kPage);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      page.emplace_back().id = query.integer(0);
    }
  }
  for (Made& made : page) {
    Query query = here_->query(kTellings);
    query.bind(made.id);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      made.tellings.push_back({.event = query.integer(0), .at = query.integer(4)});
      made.target = query.text(1);
      made.kind = query.text(2);
      made.state = query.text(3);
    }
    if (auto read = read_row(made); !read) return read.error();
  }
  return page;
}

core::Result<void> NoticeHandover::read_row(Made& made) {
  const bool dead = made.state == "dead";
  const bool queued = made.state == "queued";
  Query query = here_->query(queued ? kQueued : dead ? kDead : kDone);
  const auto row = query.bind(made.id).step();
  if (!row) return row.error();
  made.known = *row;
  if (!*row) return {};
  made.message = query.text(0);
  made.site = query.integer(1);
  made.made = query.integer(2);
  made.line = query.integer(3);
  made.attempts = query.integer(4);
  made.body = query.text(5);
  if (queued) return {};
  made.http_status = static_cast<std::uint16_t>(query.integer(6));
  if (dead) {
    made.reason = query.text(7);
    made.detail = query.text(8);
    made.ended = query.integer(9);
  } else {
    made.took = query.integer(7);
    made.ended = query.integer(8);
  }
  return {};
}

core::Result<std::optional<NoticeHandover::EventHere>> NoticeHandover::event_there(
    std::int64_t event) {
  Query asked = store_.query(event < kFirstHere ? kEventById : kEventByName);
  if (event < kFirstHere) {
    asked.bind(event);
  } else {
    Query name = here_->query(kEventHere);
    const auto row = name.bind(event).step();
    if (!row) return here(row.error());
    if (!*row) return std::optional<EventHere>{};
    asked.bind(name.integer(0)).bind(name.integer(1));
  }
  const auto row = asked.step();
  if (!row) return row.error();
  if (!*row) return std::optional<EventHere>{};
  return std::optional(
      EventHere{.id = asked.integer(0),
                .group = asked.is_null(1) ? std::nullopt : std::optional(asked.integer(1))});
}

core::Result<void> NoticeHandover::hand_over(Made& made, std::int64_t now_ms) {
  if (made.id < kFirstHere) {
    // The store's own: what was given up here is tried again there.
    return made.state == "told" || made.state == "cancelled" ? end(made.id, made, now_ms)
                                                             : core::Result<void>{};
  }
  if (!made.known || made.state == "cancelled") return {};
  std::vector<Made::Telling> there;
  for (const Made::Telling& telling : made.tellings) {
    const auto event = event_there(telling.event);
    if (!event) return event.error();
    if (!*event) continue;
    there.push_back({.event = (*event)->id, .at = telling.at});
    const bool of_group = (static_cast<std::uint64_t>(made.line) & kGroupLine) != 0;
    if (of_group && (*event)->group)
      made.line =
          static_cast<std::int64_t>(kGroupLine | static_cast<std::uint64_t>(*(*event)->group));
  }
  if (there.empty()) return {};
  made.tellings = std::move(there);
  auto id = find_there(made);
  if (id && *id == 0) id = insert(made, now_ms);
  if (!id) return id.error();
  return made.state == "queued" ? core::Result<void>{} : end(*id, made, now_ms);
}

// 0: it was not handed over before.
core::Result<std::int64_t> NoticeHandover::find_there(const Made& made) {
  Query query = store_.query(kSame);
  query.bind(made.tellings.front().event).bind(std::string_view(made.target));
  const auto row = query.bind(std::string_view(made.message)).step();
  if (!row) return row.error();
  return *row ? query.integer(0) : 0;
}

core::Result<std::int64_t> NoticeHandover::insert(const Made& made, std::int64_t now_ms) {
  {
    Query query = store_.query(kInsert);
    query.bind(std::string_view(made.target)).bind(now_ms).bind(made.line);
    query.bind(std::string_view(made.kind)).bind(std::string_view(made.message)).bind(made.site);
    query.bind(made.made).bind(made.made).bind(made.attempts).bind(std::string_view(made.body));
    if (auto done = query.run(); !done) return done.error();
  }
  const auto id = store_.last_insert_id();
  if (!id) return id.error();
  for (const Made::Telling& telling : made.tellings) {
    Query query = store_.query(kInsertTelling);
    query.bind(*id).bind(telling.event).bind(std::string_view(made.target));
    query.bind(std::string_view(made.kind)).bind(telling.at);
    if (auto done = query.run(); !done) return done.error();
  }
  return *id;
}

// Unless it has ended there too.
core::Result<void> NoticeHandover::end(std::int64_t id, const Made& made, std::int64_t now_ms) {
  {
    Query query = store_.query(kWaits);
    const auto row = query.bind(id).step();
    if (!row) return row.error();
    if (!*row) return {};
  }
  const std::int64_t at = made.ended == 0 ? now_ms : made.ended;
  auto copied = made.state == "dead" ? copy_to_dead(store_, {.id = id,
                                                             .reason = made.reason,
                                                             .http_status = made.http_status,
                                                             .detail = made.detail,
                                                             .at_ms = at})
                                     : copy_to_done(store_, {.id = id,
                                                             .cancelled = made.state == "cancelled",
                                                             .http_status = made.http_status,
                                                             .took_ms = made.took,
                                                             .at_ms = at});
  if (!copied) return copied;
  return remove_from_queue(store_, {&id, 1}, now_ms, made.state);
}

// ---- Waits

core::Result<std::size_t> NoticeHandover::wakes() {
  struct Wake {
    std::int64_t id = 0, due = 0, site = 0, event = 0;
    std::string memo;
  };
  std::vector<Wake> page;
  {
    Query query = here_->query(kWakes);
    query.bind(std::max(after_, kFirstHere - 1)).bind(kPage);
    while (true) {
      const auto row = query.step();
      if (!row) return here(row.error());
      if (!*row) break;
      page.push_back({.id = query.integer(0),
                      .due = query.integer(1),
                      .site = query.integer(2),
                      .event = query.integer(3),
                      .memo = std::string(query.text(4))});
    }
  }
  if (page.empty()) return std::size_t{0};
  const auto done = retried(store_, [&]() -> core::Result<bool> {
    auto transaction = Transaction::write(store_);
    if (!transaction) return transaction.error();
    for (const Wake& wake : page) {
      const auto event = event_there(wake.event);
      if (!event) return event.error();
      if (!*event) continue;
      {
        Query same = store_.query(kSameWake);
        same.bind(wake.due).bind((*event)->id);
        const auto row = same.bind(std::string_view(wake.memo)).step();
        if (!row) return row.error();
        if (*row) continue;
      }
      Query query = store_.query(kInsertWake);
      query.bind(wake.due).bind(wake.site).bind((*event)->id);
      if (auto ran = query.bind(std::string_view(wake.memo)).run(); !ran) return ran.error();
    }
    if (auto committed = transaction->commit(); !committed) return committed.error();
    return true;
  });
  if (!done) return done.error();
  after_ = page.back().id;
  return page.size();
}

core::Result<std::size_t> NoticeHandover::gone_wakes() {
  Ids page;
  {
    Query query = here_->query(kGoneWakes);
    query.bind(after_).bind(kPage);
    while (true) {
      const auto row = query.step();
      if (!row) return here(row.error());
      if (!*row) break;
      page.push_back(query.integer(0));
    }
  }
  if (page.empty()) return std::size_t{0};
  const auto done = retried(store_, [&]() -> core::Result<bool> {
    Query query = store_.query(kRemoveWakes);
    bind_ids(query, page);
    if (auto ran = query.run(); !ran) return ran.error();
    return true;
  });
  if (!done) return done.error();
  after_ = page.back();
  return page.size();
}

// ---- Notices

core::Result<std::size_t> NoticeHandover::notices() {
  Ids routed;
  std::size_t rows = 0;
  std::int64_t last = after_;
  {
    Query query = store_.query(kOutbox);
    query.bind(after_).bind(kNoticesPage);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      ++rows;
      last = query.integer(0);
      Query asked = here_->query(kRouted);
      asked.bind(query.integer(1)).bind(query.integer(2)).bind(query.integer(3));
      const auto known = asked.step();
      if (!known) return here(known.error());
      if (*known) routed.push_back(last);
    }
  }
  auto removed = by_parts(routed, [&](auto part) -> core::Result<void> {
    const auto done = retried(store_, [&]() -> core::Result<bool> {
      Query query = store_.query(kRemoveNotices);
      bind_ids(query, part);
      if (auto ran = query.run(); !ran) return ran.error();
      return true;
    });
    return done ? core::Result<void>{} : core::Result<void>{done.error()};
  });
  if (!removed) return removed.error();
  after_ = last;
  return rows;
}

std::vector<Sql> handover_queries() {
  return {kEventById, kEventByName, kSame,   kWaits,
          kSameWake,  kRemoveWakes, kOutbox, kRemoveNotices};
}

}  // namespace watchwheel::db
