// SPDX-License-Identifier: Apache-2.0
#include "db/sql_notice_mirror.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "db/delivery_rows.h"
#include "db/journal_codec.h"
#include "db/lease_store.h"
#include "db/migrations.h"
#include "db/notice_handover.h"
#include "db/rows.h"
#include "db/site_codec.h"

namespace watchwheel::db {
namespace {

using sideeffects::EventWrite;
using sideeffects::Followed;
using sideeffects::kAwayIdFirst;
using sideeffects::Notice;
using sideeffects::NoticeId;

// What the schema of an embedded store has not. The sequences: what is made here is told from what is copied by its id.
constexpr const char* kMore = R"sql(
CREATE TABLE IF NOT EXISTS mirror_meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS mirror_owner (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), store TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS mirrored_wakes (id INTEGER PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS presumed_changes (
  event_id    INTEGER NOT NULL,
  through_seq INTEGER NOT NULL,
  after_seq   INTEGER NOT NULL,
  PRIMARY KEY (event_id, through_seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS recent (
  seq  INTEGER PRIMARY KEY AUTOINCREMENT,
  body TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS known_sites (
  id   INTEGER PRIMARY KEY,
  url  TEXT NOT NULL,
  name TEXT NOT NULL,
  tags TEXT NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS outbox_wakes_event ON outbox_wakes (event_id);
INSERT INTO sqlite_sequence (name, seq)
SELECT n.name, 4503599627370495 FROM (
  SELECT 'events' name UNION ALL SELECT 'outbox' UNION ALL SELECT 'outbox_wakes'
  UNION ALL SELECT 'deliveries' UNION ALL SELECT 'outage_groups') n
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence s WHERE s.name = n.name);
)sql";
static_assert(kAwayIdFirst == 4503599627370496);
constexpr const char* kEmpty = R"sql(
DELETE FROM outbox; DELETE FROM outbox_wakes; DELETE FROM mirrored_wakes;
DELETE FROM presumed_changes; DELETE FROM delivery_tellings; DELETE FROM delivery_attempts;
DELETE FROM deliveries;
DELETE FROM deliveries_done; DELETE FROM dead_letters; DELETE FROM event_transitions;
DELETE FROM events; DELETE FROM outage_groups; DELETE FROM mirror_meta WHERE key <> 'alone_at';
)sql";

// ---- Asked of the store
// Warnings are the store's alone: while it is away nobody is told of them.
#define WATCHWHEEL_EVENTS(by_id)                                                            \
  "SELECT e.id, e.site_id, e.started_at, e.confirmed_at, e.ended_at, e.failures,"           \
  " e.transitions_total, e.cause, e.phase, e.http_status, e.detail, e.address, e.group_id," \
  " g.started_at, e.witnesses, e.acked_at FROM events e " by_id                                         \
  " LEFT JOIN outage_groups g ON g.id = e.group_id WHERE e.kind = 'outage' AND e.id IN " WATCHWHEEL_IDS
constexpr Sql kEvents(WATCHWHEEL_EVENTS(""), WATCHWHEEL_EVENTS("FORCE INDEX (PRIMARY)"));
constexpr Sql kOpen(
    "SELECT id, site_id FROM events INDEXED BY events_open WHERE ended_at IS NULL AND site_id > ?"
    " AND kind = 'outage' ORDER BY site_id LIMIT ?",
    "SELECT id, open_site FROM events FORCE INDEX (events_open) WHERE open_site > ?"
    " AND kind = 'outage' ORDER BY open_site LIMIT ?");
#define WATCHWHEEL_TOLD(index)                                                          \
  "SELECT delivery_id, event_id, target, kind, state, at FROM delivery_tellings " index \
  " WHERE event_id IN " WATCHWHEEL_IDS
constexpr Sql kTold(WATCHWHEEL_TOLD("INDEXED BY delivery_tellings_event"),
                    WATCHWHEEL_TOLD("FORCE INDEX (delivery_tellings_event)"));
#define WATCHWHEEL_QUEUED(by_id)                                                       \
  "SELECT id, target, vt, state, line, kind, message_id, site_id, made_at, queued_at," \
  " attempts, requeues, body FROM deliveries " by_id " WHERE id IN " WATCHWHEEL_IDS
constexpr Sql kQueued(WATCHWHEEL_QUEUED(""), WATCHWHEEL_QUEUED("FORCE INDEX (PRIMARY)"));
constexpr Sql kPending =
    "SELECT event_id, min(seq) FROM outbox WHERE event_id IN " WATCHWHEEL_IDS " GROUP BY event_id";
#define WATCHWHEEL_NEW_WAKES(by_id)                                     \
  "SELECT id, due_at, site_id, event_id, memo FROM outbox_wakes " by_id \
  " WHERE id > ? ORDER BY id LIMIT ?"
constexpr Sql kNewWakes(WATCHWHEEL_NEW_WAKES(""), WATCHWHEEL_NEW_WAKES("FORCE INDEX (PRIMARY)"));
// Of a removed site the row stays until its event has ended, and some time longer; then no row has its id again.
#define WATCHWHEEL_SITES_THERE(by_id) "SELECT id FROM sites " by_id " WHERE id IN " WATCHWHEEL_IDS
constexpr Sql kSitesThere(WATCHWHEEL_SITES_THERE(""),
                          WATCHWHEEL_SITES_THERE("FORCE INDEX (PRIMARY)"));

// ---- Kept here
constexpr Sql kMeta = "SELECT value FROM mirror_meta WHERE key = ?";
constexpr Sql kSetMeta = "INSERT OR REPLACE INTO mirror_meta (key, value) VALUES (?, ?)";
constexpr Sql kKeepGroup =
    "INSERT INTO outage_groups (id, started_at) VALUES (?, ?) ON CONFLICT DO NOTHING";
constexpr Sql kGroupHere = "SELECT id FROM outage_groups WHERE started_at = ?";
// Another event of the site that is open here is over there.
constexpr Sql kCloseOthers =
    "UPDATE events SET state = 'closed', ended_at = started_at"
    " WHERE site_id = ? AND ended_at IS NULL AND started_at <> ?";
constexpr Sql kKeepEvent =
    "INSERT INTO events (id, site_id, started_at, state, confirmed_at, ended_at, failures, merged,"
    " transitions_total, cause, phase, http_status, detail, address, group_id, witnesses, acked_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
    " ON CONFLICT (id) DO UPDATE SET state = excluded.state, confirmed_at = excluded.confirmed_at,"
    " ended_at = excluded.ended_at, failures = excluded.failures,"
    " transitions_total = excluded.transitions_total, cause = excluded.cause,"
    " phase = excluded.phase, http_status = excluded.http_status, detail = excluded.detail,"
    " address = excluded.address, group_id = excluded.group_id, witnesses = excluded.witnesses,"
    " acked_at = excluded.acked_at";
constexpr Sql kHas = "SELECT 1 FROM events WHERE id = ?";
constexpr Sql kForgetTold = "DELETE FROM delivery_tellings WHERE event_id = ?";
constexpr Sql kKeepTold =
    "INSERT OR REPLACE INTO delivery_tellings (delivery_id, event_id, target, kind, state, at)"
    " VALUES (?, ?, ?, ?, ?, ?)";
constexpr Sql kKeepDelivery =
    "INSERT OR REPLACE INTO deliveries (id, target, vt, state, line, kind, message_id, site_id,"
    " made_at, queued_at, attempts, requeues, body) VALUES (?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr Sql kForgetDelivery = "DELETE FROM deliveries WHERE id = ?";
constexpr Sql kForgetEvent = "DELETE FROM events WHERE id = ?";
constexpr Sql kKeepWake =
    "INSERT OR IGNORE INTO outbox_wakes (id, due_at, site_id, event_id, memo) VALUES (?, ?, ?, ?, "
    "?)";
constexpr Sql kNoteWake = "INSERT OR IGNORE INTO mirrored_wakes (id) VALUES (?)";
constexpr Sql kForgetWake = "DELETE FROM outbox_wakes WHERE id = ?";
constexpr Sql kForgetNoted = "DELETE FROM mirrored_wakes WHERE id = ?";
constexpr Sql kFind =
    "SELECT id, transitions_total, ended_at FROM events WHERE site_id = ? AND started_at = ?";
constexpr Sql kStub =
    "INSERT INTO events (site_id, started_at, state, confirmed_at, failures, merged,"
    " transitions_total, cause, phase, detail, address)"
    " VALUES (?, ?, ?, ?, ?, 0, ?, ?, ?, '', '')";
constexpr Sql kSkipTo = "UPDATE events SET transitions_total = ? WHERE id = ?";
constexpr Sql kPresume =
    "INSERT OR IGNORE INTO presumed_changes (event_id, through_seq, after_seq) VALUES (?, ?, ?)";
constexpr Sql kPresumed = "SELECT 1 FROM presumed_changes WHERE event_id = ? LIMIT 1";
constexpr Sql kNamed = "SELECT id FROM known_sites WHERE id > ? ORDER BY id LIMIT ?";
constexpr Sql kForgetName = "DELETE FROM known_sites WHERE id = ?";
constexpr Sql kName = "SELECT url, name, tags FROM known_sites WHERE id = ?";
constexpr Sql kHere = "SELECT id FROM events WHERE id > ? ORDER BY id LIMIT ?";
constexpr Sql kCount = "SELECT count(*) FROM events";
// Over, told, and nothing waits for it.
constexpr Sql kDone =
    "DELETE FROM events WHERE id > ?1 AND id <= ?2 AND ended_at IS NOT NULL"
    " AND NOT EXISTS (SELECT 1 FROM outbox_wakes w WHERE w.event_id = events.id)"
    " AND NOT EXISTS (SELECT 1 FROM delivery_tellings t WHERE t.event_id = events.id"
    " AND t.state = 'queued')";
constexpr Sql kToldOfNone =
    "DELETE FROM delivery_tellings WHERE event_id > ?1 AND event_id <= ?2"
    " AND event_id NOT IN (SELECT id FROM events)";

constexpr std::string_view kAwayKey = "away";
constexpr std::string_view kAloneKey = "alone_at";
constexpr std::string_view kJournalKey = "journal_read";
constexpr std::string_view kWakesKey = "wakes_read";
constexpr std::int64_t kPage = 500;
// Looked at each time that all of what is open was followed: a million sites in some 17 hours.
constexpr std::int64_t kNamesPage = 5000;

core::Result<void> prepare(const std::string& path, std::string_view store) {
  auto file = SqliteConnection::open({.path = path});
  if (!file) return file.error();
  // Without a sync for each step, of which a busy disk makes seconds: what a power cut takes is begun anew.
  if (auto migrated = db::migrate(**file, schema_steps(Dialect::Sqlite), false); !migrated)
    return migrated.error();
  auto transaction = Transaction::write(**file);
  if (!transaction) return transaction.error();
  if (auto made = (*file)->execute(kMore); !made) return made;
  if (!store.empty()) {
    bool another = false;
    {
      Query owner = (*file)->query("SELECT store FROM mirror_owner");
      const auto row = owner.step();
      if (!row) return row.error();
      another = *row && owner.text(0) != store;
    }
    if (another) {
      if (auto emptied =
              (*file)->execute(std::string(kEmpty) + "DELETE FROM known_sites; DELETE FROM recent;"
                                                     "DELETE FROM maintenance_windows;");
          !emptied)
        return emptied;
    }
    Query note =
        (*file)->query("INSERT OR REPLACE INTO mirror_owner (only_row, store) VALUES (1, ?)");
    if (auto noted = note.bind(store).run(); !noted) return noted;
  }
  return transaction->commit();
}

}  // namespace

core::Result<void> prepare_notices_file(const std::string& path, std::string_view store) {
  auto ready = prepare(path, store);
  if (ready || ready.error().kind == core::ErrorKind::Unavailable) return ready;
  // It holds nothing that the store and the journal do not: what is lost with it is told once more.
  std::error_code ignored;
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end, ignored);
  return prepare(path, store);
}

SqlNoticeMirror::SqlNoticeMirror(std::unique_ptr<SqliteConnection> here,
                                 std::unique_ptr<SqliteConnection> events,
                                 std::unique_ptr<Connection> store, std::string path)
    : path_(std::move(path)),
      here_(std::move(here)),
      events_(std::move(events)),
      store_(std::move(store)) {}

SqlNoticeMirror::~SqlNoticeMirror() = default;

core::Result<std::unique_ptr<SqlNoticeMirror>> SqlNoticeMirror::open(
    const std::string& path, std::unique_ptr<Connection> store) {
  auto here = SqliteConnection::open({.path = path, .checkpoint_pages = 4096});
  if (!here) return here.error();
  auto events = SqliteConnection::open({.path = path, .checkpoint_pages = 4096});
  if (!events) return events.error();
  return std::unique_ptr<SqlNoticeMirror>(
      new SqlNoticeMirror(*std::move(here), *std::move(events), std::move(store), path));
}

core::Result<std::int64_t> SqlNoticeMirror::meta(std::string_view key) {
  Query query = here_->query(kMeta);
  const auto row = query.bind(key).step();
  if (!row) return row.error();
  return *row ? query.integer(0) : 0;
}

core::Result<void> SqlNoticeMirror::set_meta(std::string_view key, std::int64_t value) {
  return here_->query(kSetMeta).bind(key).bind(value).run();
}

// ---- Following the store

// Some events as the store has them.
struct SqlNoticeMirror::Copied {
  struct Event {
    std::int64_t id = 0;
    std::int64_t site = 0;
    core::WallTime started, confirmed, ended;
    std::int64_t failures = 0;
    std::uint32_t total = 0;
    std::string cause, phase, detail, address;
    std::optional<std::int64_t> http_status;
    std::optional<std::int64_t> group;
    core::WallTime group_started, acked;
    std::optional<std::string> witnesses;
  };
  struct Told {
    std::int64_t delivery = 0, event = 0;
    std::string target, kind, state;
    std::int64_t at = 0;
  };
  struct Queued {
    std::int64_t id = 0, vt = 0, line = 0, site = 0, made = 0, queued = 0, attempts = 0,
                 requeues = 0;
    std::string target, kind, message, body;
  };
  std::vector<Event> events;
  std::vector<Told> told;
  std::map<std::int64_t, Queued> queued;
};

core::Result<void> SqlNoticeMirror::follow(std::span<const Followed> events) {
  Ids ids;
  for (const Followed& one : events) ids.push_back(to_column(one.event));
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return by_parts(ids, [&](auto part) -> core::Result<void> {
    const auto copied = read(part, events);
    if (!copied) return copied.error();
    return write(part, *copied);
  });
}

core::Result<SqlNoticeMirror::Copied> SqlNoticeMirror::read(std::span<const std::int64_t> events,
                                                            std::span<const Followed> asked) {
  Copied copied;
  {
    Query query = store_->query(kEvents);
    bind_ids(query, events);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      const auto text = [&](int column) { return std::string(query.text(column)); };
      const auto number = [&](int column) {
        return query.is_null(column) ? std::nullopt : std::optional(query.integer(column));
      };
      copied.events.push_back(
          {.id = query.integer(0),
           .site = query.integer(1),
           .started = query.time(2),
           .confirmed = query.time(3),
           .ended = query.time(4),
           .failures = query.integer(5),
           .total = static_cast<std::uint32_t>(query.integer(6)),
           .cause = text(7),
           .phase = text(8),
           .detail = text(10),
           .address = text(11),
           .http_status = number(9),
           .group = number(12),
           .group_started = query.time(13),
           .acked = query.time(15),
           .witnesses = query.is_null(14) ? std::nullopt : std::optional(text(14))});
    }
  }
  // What waits in the outbox is routed there, or here should the store go away first.
  std::map<std::int64_t, std::uint32_t> routed;
  for (const Followed& one : asked) {
    if (!one.routed) continue;
    std::uint32_t& through = routed[to_column(one.event)];
    through = std::max(through, *one.routed);
  }
  Ids unknown;
  for (const std::int64_t event : events) {
    if (!routed.contains(event)) unknown.push_back(event);
  }
  if (!unknown.empty()) {
    Query query = store_->query(kPending);
    bind_ids(query, unknown);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      routed[query.integer(0)] = static_cast<std::uint32_t>(query.integer(1)) - 1;
    }
  }
  for (Copied::Event& event : copied.events) {
    const auto through = routed.find(event.id);
    if (through == routed.end() || through->second >= event.total) continue;
    event.total = through->second;
    event.ended = core::kNoWallTime;  // Or a change before its end, which is to be told first.
  }
  std::erase_if(copied.events, [](const auto& event) { return event.total == 0; });
  {
    Query query = store_->query(kTold);
    bind_ids(query, events);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      copied.told.push_back({.delivery = query.integer(0),
                             .event = query.integer(1),
                             .target = std::string(query.text(2)),
                             .kind = std::string(query.text(3)),
                             .state = std::string(query.text(4)),
                             .at = query.integer(5)});
    }
  }
  std::set<std::int64_t> wanted;
  for (const auto& told : copied.told) {
    if (told.state == "queued") wanted.insert(told.delivery);
  }
  const Ids deliveries(wanted.begin(), wanted.end());
  auto got = by_parts(deliveries, [&](auto part) -> core::Result<void> {
    Query query = store_->query(kQueued);
    bind_ids(query, part);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      const bool leased = query.integer(3) == static_cast<int>(DeliveryState::Leased);
      copied.queued[query.integer(0)] = {.id = query.integer(0),
                                         .vt = leased ? query.integer(9) : query.integer(2),
                                         .line = query.integer(4),
                                         .site = query.integer(7),
                                         .made = query.integer(8),
                                         .queued = query.integer(9),
                                         .attempts = query.integer(10),
                                         .requeues = query.integer(11),
                                         .target = std::string(query.text(1)),
                                         .kind = std::string(query.text(5)),
                                         .message = std::string(query.text(6)),
                                         .body = std::string(query.text(12))};
    }
  });
  if (!got) return got.error();
  return copied;
}

core::Result<void> SqlNoticeMirror::write(std::span<const std::int64_t> events,
                                          const Copied& copied) {
  auto transaction = Transaction::write(*here_);
  if (!transaction) return transaction.error();
  for (const std::int64_t event : events) {
    if (auto done = here_->query(kForgetTold).bind(event).run(); !done) return done;
  }
  std::set<std::int64_t> kept;
  std::size_t added = 0;
  for (const Copied::Event& event : copied.events) {
    Query has = here_->query(kHas);
    const auto row = has.bind(event.id).step();
    if (!row) return row.error();
    if (!*row && count_ + added >= sideeffects::kMirrorEventsMax) continue;
    added += *row ? 0U : 1U;
    kept.insert(event.id);
    const bool open = event.ended == core::kNoWallTime;
    if (open) {
      Query close = here_->query(kCloseOthers);
      if (auto done = close.bind(event.site).bind(event.started).run(); !done) return done;
    }
    std::optional<std::int64_t> group;
    if (event.group && event.group_started != core::kNoWallTime) {
      Query keep = here_->query(kKeepGroup);
      if (auto done = keep.bind(*event.group).bind(event.group_started).run(); !done) return done;
      Query find = here_->query(kGroupHere);
      const auto found = find.bind(event.group_started).step();
      if (!found) return found.error();
      if (*found) group = find.integer(0);
    }
    const bool confirmed = event.confirmed != core::kNoWallTime;
    Query keep = here_->query(kKeepEvent);
    keep.bind(event.id).bind(event.site).bind(event.started);
    keep.bind(std::string_view(!open ? "closed" : confirmed ? "down" : "seems_down"));
    keep.bind(event.confirmed).bind(event.ended).bind(event.failures);
    keep.bind(static_cast<std::int64_t>(event.total)).bind(std::string_view(event.cause));
    keep.bind(std::string_view(event.phase)).bind(event.http_status);
    keep.bind(std::string_view(event.detail)).bind(std::string_view(event.address)).bind(group);
    if (event.witnesses) {
      keep.bind(std::string_view(*event.witnesses));
    } else {
      keep.bind(nullptr);
    }
    keep.bind(event.acked);
    if (auto done = keep.run(); !done) return done;
  }
  for (const std::int64_t event : events) {
    if (kept.contains(event)) continue;
    if (auto done = here_->query(kForgetEvent).bind(event).run(); !done) return done;
  }
  for (const Copied::Told& told : copied.told) {
    if (!kept.contains(told.event)) continue;
    Query keep = here_->query(kKeepTold);
    keep.bind(told.delivery).bind(told.event).bind(std::string_view(told.target));
    keep.bind(std::string_view(told.kind)).bind(std::string_view(told.state)).bind(told.at);
    if (auto done = keep.run(); !done) return done;
    const auto queued = copied.queued.find(told.delivery);
    if (queued == copied.queued.end()) {
      Query forget = here_->query(kForgetDelivery);
      if (auto done = forget.bind(told.delivery).run(); !done) return done;
      continue;
    }
    const Copied::Queued& one = queued->second;
    Query deliver = here_->query(kKeepDelivery);
    deliver.bind(one.id).bind(std::string_view(one.target)).bind(one.vt).bind(one.line);
    deliver.bind(std::string_view(one.kind)).bind(std::string_view(one.message)).bind(one.site);
    deliver.bind(one.made).bind(one.queued).bind(one.attempts).bind(one.requeues);
    if (auto done = deliver.bind(std::string_view(one.body)).run(); !done) return done;
  }
  if (auto done = transaction->commit(); !done) return done;
  count_ += added;
  return {};
}

core::Result<void> SqlNoticeMirror::follow_wakes() {
  struct Wake {
    std::int64_t id = 0, due = 0, site = 0, event = 0;
    std::string memo;
  };
  auto after = meta(kWakesKey);
  if (!after) return after.error();
  for (bool more = true; more;) {
    std::vector<Wake> wakes;
    {
      Query query = store_->query(kNewWakes);
      query.bind(*after).bind(kPage);
      while (true) {
        const auto row = query.step();
        if (!row) return row.error();
        if (!*row) break;
        wakes.push_back({.id = query.integer(0),
                         .due = query.integer(1),
                         .site = query.integer(2),
                         .event = query.integer(3),
                         .memo = std::string(query.text(4))});
      }
    }
    more = wakes.size() == static_cast<std::size_t>(kPage);
    if (wakes.empty()) return {};
    auto transaction = Transaction::write(*here_);
    if (!transaction) return transaction.error();
    for (const Wake& wake : wakes) {
      {
        // Of an event that is not kept here it is the store's alone.
        Query has = here_->query(kHas);
        const auto row = has.bind(wake.event).step();
        if (!row) return row.error();
        if (!*row) continue;
      }
      Query keep = here_->query(kKeepWake);
      keep.bind(wake.id).bind(wake.due).bind(wake.site).bind(wake.event);
      if (auto done = keep.bind(std::string_view(wake.memo)).run(); !done) return done;
      if (auto done = here_->query(kNoteWake).bind(wake.id).run(); !done) return done;
    }
    after = wakes.back().id;
    if (auto done = set_meta(kWakesKey, *after); !done) return done;
    if (auto done = transaction->commit(); !done) return done;
  }
  return {};
}

core::Result<void> SqlNoticeMirror::forget_wakes(std::span<const NoticeId> wakes) {
  constexpr std::uint64_t kWakeBit = std::uint64_t{1} << 62U;  // As the outbox marks them.
  auto transaction = Transaction::write(*here_);
  if (!transaction) return transaction.error();
  for (const NoticeId wake : wakes) {
    const auto id = static_cast<std::int64_t>(wake.value & ~kWakeBit);
    if (auto done = here_->query(kForgetWake).bind(id).run(); !done) return done;
    if (auto done = here_->query(kForgetNoted).bind(id).run(); !done) return done;
  }
  return transaction->commit();
}

core::Result<bool> SqlNoticeMirror::follow_all() {
  std::vector<Followed> events;
  std::int64_t last = 0;
  const bool open = kept_after_ < 0;
  {
    Query query = open ? store_->query(kOpen) : here_->query(kHere);
    query.bind(open ? open_after_ : kept_after_).bind(kPage);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      events.push_back({.event = id_from<core::EventId>(query, 0), .routed = std::nullopt});
      last = query.integer(open ? 1 : 0);
    }
  }
  if (auto followed = follow(events); !followed) return followed.error();
  const bool more = events.size() == static_cast<std::size_t>(kPage);
  if (open) {
    open_after_ = more ? last : 0;
    if (more && count_ < sideeffects::kMirrorEventsMax) return false;
    open_after_ = 0;
    kept_after_ = 0;
    if (auto wakes = follow_wakes(); !wakes) return wakes.error();
    return false;
  }
  if (!events.empty()) {
    for (const Sql& sql : {kDone, kToldOfNone}) {
      Query query = here_->query(sql);
      if (auto done = query.bind(kept_after_).bind(last).run(); !done) return done.error();
    }
  }
  kept_after_ = more ? last : -1;
  if (more) return false;
  const auto count = here_->number(kCount);
  if (!count) return count.error();
  count_ = static_cast<std::size_t>(count->value_or(0));
  if (auto forgotten = forget_sites(); !forgotten) return forgotten.error();
  return true;
}

// Some of the names, of which those that the store knows no more are not needed.
core::Result<void> SqlNoticeMirror::forget_sites() {
  Ids named;
  {
    Query query = here_->query(kNamed);
    query.bind(names_after_).bind(kNamesPage);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) break;
      named.push_back(query.integer(0));
    }
  }
  Ids there;
  auto asked = by_parts(named, [&](auto part) -> core::Result<void> {
    Query query = store_->query(kSitesThere);
    bind_ids(query, part);
    while (true) {
      const auto row = query.step();
      if (!row) return row.error();
      if (!*row) return {};
      there.push_back(query.integer(0));
    }
  });
  if (!asked) return asked;
  std::sort(there.begin(), there.end());
  Ids gone;
  std::set_difference(named.begin(), named.end(), there.begin(), there.end(),
                      std::back_inserter(gone));
  if (!gone.empty()) {
    auto transaction = Transaction::write(*here_);
    if (!transaction) return transaction.error();
    for (const std::int64_t site : gone) {
      if (auto done = here_->query(kForgetName).bind(site).run(); !done) return done;
    }
    if (auto done = transaction->commit(); !done) return done;
  }
  names_after_ = named.size() == static_cast<std::size_t>(kNamesPage) ? named.back() : 0;
  return {};
}

core::Result<void> SqlNoticeMirror::note_alone(bool alone) {
  if (!alone) return set_meta(kAloneKey, 0);
  const auto now = here_->now_ms();
  if (!now) return now.error();
  return set_meta(kAloneKey, *now);
}

core::Result<bool> SqlNoticeMirror::was_alone() {
  const auto at = meta(kAloneKey);
  if (!at) return at.error();
  const auto now = here_->now_ms();
  if (!now) return now.error();
  return *at != 0 && *at + kForgottenAfterMs >= *now && *at - kForgottenAfterMs <= *now;
}

// ---- Away

core::Result<void> SqlNoticeMirror::begin_away() {
  handover_.reset();
  open_after_ = 0;
  kept_after_ = -1;
  return set_meta(kAwayKey, 1);
}

core::Result<bool> SqlNoticeMirror::is_away() {
  const auto away = meta(kAwayKey);
  if (!away) return away.error();
  return *away != 0;
}

core::Result<std::uint64_t> SqlNoticeMirror::journal_read() {
  const auto through = meta(kJournalKey);
  if (!through) return through.error();
  return static_cast<std::uint64_t>(*through);
}

core::Result<void> SqlNoticeMirror::set_journal_read(std::uint64_t through) {
  return set_meta(kJournalKey, static_cast<std::int64_t>(through));
}

core::Result<std::optional<SqlNoticeMirror::Known>> SqlNoticeMirror::find(core::SiteId site,
                                                                          core::WallTime started) {
  Query query = here_->query(kFind);
  const auto row = query.bind(to_column(site)).bind(started).step();
  if (!row) return row.error();
  if (!*row) return std::optional<Known>{};
  return std::optional(Known{.id = query.integer(0),
                             .total = static_cast<std::uint32_t>(query.integer(1)),
                             .ended = !query.is_null(2)});
}

// What came before, `before` transitions, is not here: the store has it, and told of it what it told.
core::Result<void> SqlNoticeMirror::make_room_for(const EventWrite& write,
                                                  const std::optional<Known>& known,
                                                  std::uint32_t before) {
  auto transaction = Transaction::write(*here_);
  if (!transaction) return transaction.error();
  std::int64_t id = known ? known->id : 0;
  if (known) {
    Query skip = here_->query(kSkipTo);
    if (auto done = skip.bind(static_cast<std::int64_t>(before)).bind(id).run(); !done) return done;
  } else {
    const bool down = write.transitions.front().before == core::SiteState::Down;
    Query stub = here_->query(kStub);
    stub.bind(to_column(write.site)).bind(write.started_at);
    stub.bind(event_state_text(down ? core::SiteState::Down : core::SiteState::SeemsDown));
    stub.bind(down ? write.confirmed_at : core::kNoWallTime);
    stub.bind(static_cast<std::int64_t>(write.failures)).bind(static_cast<std::int64_t>(before));
    stub.bind(core::to_string(write.evidence.cause)).bind(core::to_string(write.evidence.phase));
    if (auto done = stub.run(); !done) return done;
    const auto made = here_->last_insert_id();
    if (!made) return made.error();
    id = *made;
  }
  // Nobody was told of these here: if the store has not routed them they are its own to route.
  Query presume = here_->query(kPresume);
  presume.bind(id).bind(static_cast<std::int64_t>(before));
  presume.bind(static_cast<std::int64_t>(known ? known->total : 0));
  if (auto done = presume.run(); !done) return done;
  return transaction->commit();
}

core::Result<void> SqlNoticeMirror::add(std::span<const EventWrite> writes) {
  for (const EventWrite& given : writes) {
    if (given.transitions.empty()) continue;  // A longer streak: nobody is told.
    const auto known = find(given.site, given.started_at);
    if (!known) return known.error();
    if (*known && (*known)->ended) continue;
    EventWrite write = given;
    const std::uint32_t total = *known ? (*known)->total : 0;
    std::erase_if(write.transitions, [&](const auto& one) { return one.seq <= total; });
    if (write.transitions.empty()) continue;
    if (!*known) {
      Query close = here_->query(kCloseOthers);
      close.bind(to_column(write.site)).bind(write.started_at);
      if (auto done = close.run(); !done) return done;
    }
    const std::uint32_t first = write.transitions.front().seq;
    if (first > total + 1) {
      if (auto made = make_room_for(write, *known, first - 1); !made) return made;
    }
    auto stored = events_.commit({&write, 1});
    // One that no store would take holds up no other.
    if (!stored && stored.error().kind != core::ErrorKind::Invalid) return stored;
  }
  return {};
}

core::Result<void> SqlNoticeMirror::describe(std::vector<Notice>& notices) {
  for (Notice& notice : notices) {
    {
      Query query = here_->query(kName);
      const auto row = query.bind(to_column(notice.site)).step();
      if (!row) return row.error();
      if (*row) {
        notice.url = query.text(0);
        notice.name = query.text(1);
        if (auto tags = tags_from_json(query.text(2))) notice.tags = *std::move(tags);
      }
    }
    {
      Query query = here_->query(kPresumed);
      const auto row = query.bind(to_column(notice.event)).step();
      if (!row) return row.error();
      notice.presumed = *row;
    }
    if (auto described = describe(notice.former); !described) return described;
  }
  return {};
}

// ---- Back

core::Result<bool> SqlNoticeMirror::hand_over() {
  if (!handover_) {
    auto file = SqliteConnection::open({.path = path_, .checkpoint_pages = 4096});
    if (!file) return core::Error{core::ErrorKind::Invalid, file.error().message};
    handover_ = std::make_unique<NoticeHandover>(*std::move(file), *store_);
  }
  const auto done = handover_->step();
  if (!done || !*done) return done;
  handed_over_ += handover_->handed_over();
  handover_.reset();
  if (auto emptied = discard(); !emptied)
    return core::Error{core::ErrorKind::Invalid, emptied.error().message};
  return true;
}

core::Result<void> SqlNoticeMirror::discard() {
  handover_.reset();
  count_ = 0;
  open_after_ = 0;
  kept_after_ = -1;
  auto transaction = Transaction::write(*here_);
  if (!transaction) return transaction.error();
  if (auto done = here_->execute(kEmpty); !done) return done;
  return transaction->commit();
}

// ---- What was committed

core::Result<void> SqlRecentWrites::note(std::span<const EventWrite> writes) {
  static constexpr Sql kNote = "INSERT INTO recent (body) VALUES (?)";
  static constexpr Sql kBound = "DELETE FROM recent WHERE seq <= (SELECT max(seq) FROM recent) - ?";
  std::vector<std::string> bodies;
  for (const EventWrite& write : writes) {
    if (!write.transitions.empty())
      bodies.push_back(encode_journal(sideeffects::JournalWrite(write)));
  }
  if (bodies.empty()) return {};
  const std::lock_guard lock(mutex_);
  auto transaction = Transaction::write(*here_);
  if (!transaction) return transaction.error();
  for (const std::string& body : bodies) {
    if (auto done = here_->query(kNote).bind(std::string_view(body)).run(); !done) return done;
  }
  if (auto done = here_->query(kBound).bind(kRecentMax).run(); !done) return done;
  return transaction->commit();
}

core::Result<std::vector<EventWrite>> SqlRecentWrites::read() {
  static constexpr Sql kRead = "SELECT body FROM recent ORDER BY seq";
  const std::lock_guard lock(mutex_);
  std::vector<EventWrite> writes;
  Query query = here_->query(kRead);
  while (true) {
    const auto row = query.step();
    if (!row) return row.error();
    if (!*row) return writes;
    // One that this version cannot read is left to the store.
    auto write = decode_journal("event", query.text(0));
    if (write && std::holds_alternative<EventWrite>(*write))
      writes.push_back(std::get<EventWrite>(*std::move(write)));
  }
}

core::Result<std::uint64_t> SqlRecentWrites::newest() {
  const std::lock_guard lock(mutex_);
  const auto newest = here_->number("SELECT max(seq) FROM recent");
  if (!newest) return newest.error();
  return static_cast<std::uint64_t>(newest->value_or(0));
}

core::Result<void> SqlRecentWrites::forget(std::uint64_t through) {
  static constexpr Sql kForget = "DELETE FROM recent WHERE seq <= ?";
  const std::lock_guard lock(mutex_);
  return here_->query(kForget).bind(static_cast<std::int64_t>(through)).run();
}

// ---- Deliveries of the store

core::Result<void> SqlMirrorFinish::finish(std::span<const sideeffects::Finish> finished) {
  static constexpr Sql kAgain =
      "UPDATE deliveries SET vt = ?, attempts = attempts + ? WHERE id = ?";
  static constexpr Sql kIsHere = "SELECT 1 FROM deliveries WHERE id = ?";
  auto transaction = Transaction::write(*here_);
  if (!transaction) return transaction.error();
  const auto now = here_->now_ms();
  if (!now) return now.error();
  for (const sideeffects::Finish& one : finished) {
    const std::int64_t id = to_column(one.id);
    {
      Query here = here_->query(kIsHere);
      const auto row = here.bind(id).step();
      if (!row) return row.error();
      if (!*row) continue;
    }
    const auto again = [&](core::Duration after, std::int64_t attempts) {
      Query query = here_->query(kAgain);
      return query.bind(*now + to_ms_up(after)).bind(attempts).bind(id).run();
    };
    core::Result<void> done;
    if (std::holds_alternative<sideeffects::Delivered>(one.verdict)) {
      done = remove_from_queue(*here_, {&id, 1}, *now, "told");
    } else if (const auto* retry = std::get_if<sideeffects::Retry>(&one.verdict)) {
      done = again(retry->after, 1);
    } else if (const auto* snooze = std::get_if<sideeffects::Snooze>(&one.verdict)) {
      done = again(snooze->after, snooze->begun ? 1 : 0);
    } else {
      done = remove_from_queue(*here_, {&id, 1}, *now, "dead");
    }
    if (!done) return done;
  }
  return transaction->commit();
}

std::vector<Sql> notice_mirror_queries() {
  return {kEvents, kOpen, kTold, kQueued, kNewWakes, kSitesThere};
}

}  // namespace watchwheel::db
