// SPDX-License-Identifier: Apache-2.0
#include "db/sql_event_store.h"

#include <algorithm>
#include <string>
#include <vector>

#include "db/rows.h"
#include "db/testimony_codec.h"

namespace watchwheel::db {
namespace {

using sideeffects::EventWrite;
using sideeffects::StoredEvent;
using sideeffects::TransitionRecord;

#define WATCHWHEEL_FIND                                                                        \
  "SELECT id, state, ended_at, transitions_total, failures FROM events WHERE site_id = ? AND " \
  "started_at = ? AND kind = 'outage'"
constexpr Sql kFind(WATCHWHEEL_FIND, WATCHWHEEL_FIND " FOR UPDATE");
#define WATCHWHEEL_OPEN                                                                           \
  "SELECT e.id, e.state, e.started_at, e.confirmed_at, e.failures, e.cause, e.transitions_total," \
  " e.cause, e.phase, e.http_status, e.detail, e.address FROM events e WHERE "
constexpr Sql kOpenOfSite(
    WATCHWHEEL_OPEN "e.site_id = ? AND e.ended_at IS NULL AND e.kind = 'outage'",
    WATCHWHEEL_OPEN "e.open_site = ? AND e.kind = 'outage'");
constexpr Sql kInsertEvent =
    "INSERT INTO events (site_id, started_at, state, confirmed_at, ended_at, failures, merged, "
    "transitions_total,"
    " cause, phase, http_status, detail, address, group_id, witnesses)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr Sql kAddGroup("INSERT OR IGNORE INTO outage_groups (started_at) VALUES (?)",
                        "INSERT IGNORE INTO outage_groups (started_at) VALUES (?)");
constexpr Sql kFindGroup = "SELECT id FROM outage_groups WHERE started_at = ?";
#define WATCHWHEEL_UPDATE(greatest)                                                               \
  "UPDATE events SET state = ?, confirmed_at = coalesce(?, confirmed_at), ended_at = ?, failures" \
  " = ?, merged = " greatest                                                                      \
  "(merged, ?), transitions_total = ?,"                                                           \
  " cause = ?, phase = ?, http_status = ?, detail = ?, address = ?,"                              \
  " group_id = coalesce(group_id, ?), witnesses = coalesce(?, witnesses) WHERE id = ?"
// That it has not ended is known from kFind, in the same transaction.
constexpr Sql kUpdateEvent(WATCHWHEEL_UPDATE("max"), WATCHWHEEL_UPDATE("greatest"));
constexpr Sql kKnownTransition =
    "SELECT reason, after_state FROM event_transitions WHERE event_id = ? AND seq = ?";
constexpr Sql kInsertTransition =
    "INSERT INTO event_transitions (event_id, seq, reason, before_state, after_state, at, failures,"
    " cause, phase, http_status, detail, address, witnesses, act, who, why, source)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
constexpr Sql kAcknowledge = "UPDATE events SET acked_at = ?, acked_by = ? WHERE id = ?";
// Nobody saw it up; what was seen since then counts.
constexpr Sql kNobodyKnows =
    "UPDATE site_state SET measured = 0"
    " WHERE site_id = ? AND (checked_at IS NULL OR checked_at <= ?)";
#define WATCHWHEEL_DONE(now) \
  "UPDATE operator_requests SET done_at = " now " WHERE id = ? AND done_at IS NULL"
constexpr Sql kRequestDone(
    WATCHWHEEL_DONE("CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"),
    WATCHWHEEL_DONE("CAST(ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)"));
// A narrow row for each transition that is new, many a statement: who is told what is decided later (delivery_queue_api.h).
#define WATCHWHEEL_OUTBOX "INSERT INTO outbox (site_id, event_id, seq, queued_at) VALUES "
#define WATCHWHEEL_FIVE(row) row ", " row ", " row ", " row ", " row
#define WATCHWHEEL_TWENTY(row) \
  WATCHWHEEL_FIVE(row) ", " WATCHWHEEL_FIVE(row) ", " WATCHWHEEL_FIVE(row) ", " WATCHWHEEL_FIVE(row)
#define WATCHWHEEL_NOTICE_SQLITE \
  "(?, ?, ?, CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER))"
#define WATCHWHEEL_NOTICE_MYSQL "(?, ?, ?, CAST(ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED))"
constexpr Sql kOneNotice(WATCHWHEEL_OUTBOX WATCHWHEEL_NOTICE_SQLITE,
                         WATCHWHEEL_OUTBOX WATCHWHEEL_NOTICE_MYSQL);
constexpr Sql kManyNotices(WATCHWHEEL_OUTBOX WATCHWHEEL_TWENTY(WATCHWHEEL_NOTICE_SQLITE),
                           WATCHWHEEL_OUTBOX WATCHWHEEL_TWENTY(WATCHWHEEL_NOTICE_MYSQL));
constexpr std::size_t kManyNoticesRows = 20;
#define WATCHWHEEL_PROJECT_OPEN                                          \
  "INSERT INTO site_state (site_id, event_id, event_state, state_since)" \
  " SELECT id, ?2, ?3, ?4 FROM sites WHERE id = ?1"
constexpr Sql kProjectOpen(
    WATCHWHEEL_PROJECT_OPEN
    " ON CONFLICT (site_id) DO UPDATE SET event_id = excluded.event_id,"
    " event_state = excluded.event_state, state_since = excluded.state_since",
    WATCHWHEEL_PROJECT_OPEN
    " ON DUPLICATE KEY UPDATE event_id = VALUES(event_id),"
    " event_state = VALUES(event_state), state_since = VALUES(state_since)");
#define WATCHWHEEL_PROJECT_ENDED \
  "INSERT INTO site_state (site_id, state_since) SELECT id, ?2 FROM sites WHERE id = ?1"
// MySQL assigns from left to right, so what the condition looks at comes last.
#define WATCHWHEEL_ITS_OWN "IF(event_id IS NULL OR event_id = ?3, "
constexpr Sql kProjectEnded(
    WATCHWHEEL_PROJECT_ENDED
    " ON CONFLICT (site_id) DO UPDATE SET event_id = NULL, event_state = NULL, state_since = "
    "excluded.state_since"
    " WHERE event_id IS NULL OR event_id = ?3",
    WATCHWHEEL_PROJECT_ENDED " ON DUPLICATE KEY UPDATE state_since = " WATCHWHEEL_ITS_OWN
                             "VALUES(state_since), state_since), event_state = " WATCHWHEEL_ITS_OWN
                             "NULL, event_state), event_id = " WATCHWHEEL_ITS_OWN
                             "NULL, event_id)");

std::string name_of(const EventWrite& write) {
  return "event of site " + std::to_string(write.site.value) + " that began " +
         core::to_iso8601(write.started_at);
}

core::Error invalid(const EventWrite& write, const std::string& what) {
  return core::Error{core::ErrorKind::Invalid, name_of(write) + ": " + what};
}

// What can be said of a write before looking at what is stored.
core::Result<void> check_shape(const EventWrite& write) {
  if (write.site.value == 0 || write.site.value > INT64_MAX)
    return invalid(write, "the site's id does not fit");
  if (write.started_at == core::kNoWallTime) return invalid(write, "it has no beginning");
  const bool ended = write.ended_at != core::kNoWallTime;
  const bool known_state = write.state == core::SiteState::SeemsDown ||
                           write.state == core::SiteState::Down ||
                           write.state == core::SiteState::Up;
  if (!known_state || (write.state == core::SiteState::Up) != ended) {
    return invalid(write, "state " + std::string(core::to_string(write.state)) +
                              (ended ? " with" : " without") + " an end");
  }
  if (write.transitions_total == 0) return invalid(write, "it has no transition");
  if (write.transitions.size() > write.transitions_total)
    return invalid(write, "it has more transitions than its total");
  std::uint32_t seq =
      write.transitions_total - static_cast<std::uint32_t>(write.transitions.size());
  for (const TransitionRecord& transition : write.transitions) {
    if (transition.seq != ++seq) {
      return invalid(write, "transition " + std::to_string(transition.seq) + " stands where " +
                                std::to_string(seq) + " belongs (of " +
                                std::to_string(write.transitions_total) + ")");
    }
  }
  return {};
}

std::optional<std::string> witnesses_text(const core::Testimony& testimony) {
  std::string text = testimony_to_json(testimony);
  return text.empty() ? std::nullopt : std::optional(std::move(text));
}

// NULL where there is none. `text` outlives the query's use.
void bind_text(Query& query, const std::optional<std::string>& text) {
  if (text) {
    query.bind(std::string_view(*text));
  } else {
    query.bind(std::optional<std::int64_t>());
  }
}

core::WallTime state_since(const EventWrite& write) {
  if (write.state == core::SiteState::Up) return write.ended_at;
  return write.state == core::SiteState::Down && write.confirmed_at != core::kNoWallTime
             ? write.confirmed_at
             : write.started_at;
}

}  // namespace

struct SqlEventStore::Stored {
  core::EventId id;
  std::string state;
  bool ended = false;
  std::uint32_t transitions_total = 0;
  std::uint32_t failures = 0;
};

core::Result<void> SqlEventStore::commit(std::span<const EventWrite> writes) {
  if (writes.empty()) return {};
  for (const EventWrite& write : writes) {
    if (core::Result<void> shape = check_shape(write); !shape) return shape;
  }
  // By site, as the projector locks its rows: two writers that take rows in different orders wait for each other. The order
  // within a site stays.
  std::vector<const EventWrite*> in_order;
  for (const EventWrite& write : writes) in_order.push_back(&write);
  std::stable_sort(in_order.begin(), in_order.end(),
                   [](const EventWrite* a, const EventWrite* b) { return a->site < b->site; });
  const auto store = [&](std::int64_t fence) -> core::Result<void> {
    if (core::Result<void> ours = check_ours(in_order); !ours) return ours;
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    if (core::Result<void> passed = fence_.pass(*connection_, fence); !passed) return passed;
    group_.reset();  // A group that was taken back with its transaction is not there.
    notices_.clear();
    for (const EventWrite* write : in_order) {
      if (core::Result<void> applied = apply(*write); !applied) return applied;
    }
    if (core::Result<void> told = add_notices(); !told) return told;
    return transaction->commit();
  };
  return retried(*connection_, [&] { return fence_.under(store); });
}

// What was judged under another epoch may not know what the owner between has written.
core::Result<void> SqlEventStore::check_ours(const std::vector<const EventWrite*>& writes) const {
  const core::BucketTable* const table = fence_.table();
  if (table == nullptr) return {};
  for (const EventWrite* write : writes) {
    const std::uint64_t epoch = table->epoch(table->of(write->site));
    if (epoch == 0 || epoch != write->epoch)
      return core::BucketTable::fenced("the site's bucket is not ours");
  }
  return {};
}

core::Result<void> SqlEventStore::apply(const EventWrite& write) {
  core::Result<std::optional<Stored>> found = find(write);
  if (!found) return found.error();
  if (*found && (*found)->ended) return {};  // Frozen.

  const std::uint32_t stored_total = *found ? (*found)->transitions_total : 0;
  const auto given = static_cast<std::uint32_t>(write.transitions.size());
  const std::uint32_t first_seq = write.transitions_total - given + 1;
  if (first_seq > stored_total + 1) {
    return invalid(write, "transition " + std::to_string(stored_total + 1) +
                              " is missing: " + std::to_string(stored_total) +
                              " are stored and the next one given is " + std::to_string(first_seq));
  }
  if (*found) return go_on(write, **found);

  core::Result<core::EventId> event = insert(write);
  if (!event) return event.error();
  if (core::Result<void> added = append(write, *event, 0); !added) return added;
  return project(write, *event);
}

// An open event: a replay (nothing in it is new), a longer streak, or new transitions.
core::Result<void> SqlEventStore::go_on(const EventWrite& write, const Stored& stored) {
  if (core::Result<void> same = check_known(write, stored); !same) return same;
  if (write.transitions_total < stored.transitions_total) return {};
  if (write.transitions_total == stored.transitions_total) {
    if (event_state_text(write.state) != stored.state) {
      return invalid(write, "it is stored as " + stored.state + " and becomes " +
                                std::string(event_state_text(write.state)) +
                                " without a transition");
    }
    const bool has_testimony = write.testimony.basis != core::Basis::None;
    if (write.failures < stored.failures || (write.failures == stored.failures && !has_testimony))
      return {};
    return update(write, stored.id);  // The streak and its newest evidence; what others said.
  }
  if (core::Result<void> updated = update(write, stored.id); !updated) return updated;
  if (core::Result<void> added = append(write, stored.id, stored.transitions_total); !added)
    return added;
  return project(write, stored.id);
}

core::Result<std::optional<SqlEventStore::Stored>> SqlEventStore::find(const EventWrite& write) {
  Query query = connection_->query(kFind);
  query.bind(to_column(write.site)).bind(write.started_at);
  core::Result<bool> row = query.step();
  if (!row) return row.error();
  if (!*row) return std::optional<Stored>{};
  return std::optional<Stored>{
      Stored{.id = id_from<core::EventId>(query, 0),
             .state = std::string(query.text(1)),
             .ended = !query.is_null(2),
             .transitions_total = static_cast<std::uint32_t>(query.integer(3)),
             .failures = static_cast<std::uint32_t>(query.integer(4))}};
}

// Transitions that are stored already must be the same change: passing over a different one would
// lose it. Times and evidence may differ, because a shard that repeats itself may know more by
// then.
core::Result<void> SqlEventStore::check_known(const EventWrite& write, const Stored& stored) {
  for (const TransitionRecord& transition : write.transitions) {
    if (transition.seq > stored.transitions_total) break;
    Query query = connection_->query(kKnownTransition);
    query.bind(to_column(stored.id)).bind(static_cast<std::int64_t>(transition.seq));
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    // Invalid, not Corrupt: this site is set aside, and the others of the batch go on.
    if (!*row) return invalid(write, "transition " + std::to_string(transition.seq) + " is gone");
    if (query.text(0) != core::to_string(transition.reason) ||
        query.text(1) != core::to_string(transition.after)) {
      return invalid(write, "transition " + std::to_string(transition.seq) + " is stored as " +
                                std::string(query.text(0)) + " and given as " +
                                std::string(core::to_string(transition.reason)));
    }
  }
  return {};
}

core::Result<core::EventId> SqlEventStore::insert(const EventWrite& write) {
  if (write.state != core::SiteState::Up) {
    core::Result<std::optional<StoredEvent>> other = open_event(write.site);
    if (!other) return other.error();
    if (*other) {
      return invalid(write, "the site has an open event already, begun " +
                                core::to_iso8601((*other)->event.started_at));
    }
  }
  const core::Result<std::optional<std::int64_t>> group = group_of(write);
  if (!group) return group.error();
  const EvidenceText evidence(write.evidence);
  Query query = connection_->query(kInsertEvent);
  query.bind(to_column(write.site))
      .bind(write.started_at)
      .bind(event_state_text(write.state))
      .bind(write.confirmed_at);
  query.bind(write.ended_at)
      .bind(static_cast<std::int64_t>(write.failures))
      .bind(static_cast<std::int64_t>(write.merged));
  query.bind(static_cast<std::int64_t>(write.transitions_total));
  bind_evidence(query, evidence);
  const std::optional<std::string> witnesses = witnesses_text(write.testimony);
  query.bind(*group);
  bind_text(query, witnesses);
  if (core::Result<void> done = query.run(); !done) return done.error();
  const auto id = connection_->last_insert_id();
  if (!id) return id.error();
  return core::EventId{static_cast<std::uint64_t>(*id)};
}

core::Result<void> SqlEventStore::update(const EventWrite& write, core::EventId event) {
  const core::Result<std::optional<std::int64_t>> group = group_of(write);
  if (!group) return group.error();
  const EvidenceText evidence(write.evidence);
  Query query = connection_->query(kUpdateEvent);
  query.bind(event_state_text(write.state)).bind(write.confirmed_at).bind(write.ended_at);
  query.bind(static_cast<std::int64_t>(write.failures))
      .bind(static_cast<std::int64_t>(write.merged));
  query.bind(static_cast<std::int64_t>(write.transitions_total));
  bind_evidence(query, evidence);
  const std::optional<std::string> witnesses = witnesses_text(write.testimony);
  query.bind(*group);
  bind_text(query, witnesses);
  return query.bind(to_column(event)).run();
}

// The row of the mass outage that the event is a part of, made when it is the first one. Thousands of events of one come
// together: it is looked up once a transaction.
core::Result<std::optional<std::int64_t>> SqlEventStore::group_of(const EventWrite& write) {
  if (write.group == core::kNoWallTime) return std::optional<std::int64_t>{};
  if (group_ && group_->first == write.group) return std::optional{group_->second};
  Query add = connection_->query(kAddGroup);
  if (core::Result<void> done = add.bind(write.group).run(); !done) return done.error();
  Query find = connection_->query(kFindGroup);
  core::Result<bool> row = find.bind(write.group).step();
  if (!row) return row.error();
  if (!*row) return invalid(write, "its outage group is not there");
  group_ = {write.group, find.integer(0)};
  return std::optional{group_->second};
}

core::Result<void> SqlEventStore::append(const EventWrite& write, core::EventId event,
                                         std::uint32_t stored_total) {
  for (const TransitionRecord& transition : write.transitions) {
    if (transition.seq <= stored_total) continue;
    const EvidenceText evidence(transition.evidence);
    Query query = connection_->query(kInsertTransition);
    query.bind(to_column(event)).bind(static_cast<std::int64_t>(transition.seq));
    query.bind(core::to_string(transition.reason)).bind(core::to_string(transition.before));
    query.bind(core::to_string(transition.after)).bind(core::to_unix_ms(transition.at));
    query.bind(static_cast<std::int64_t>(transition.failures));
    bind_evidence(query, evidence);
    const std::optional<std::string> witnesses = witnesses_text(transition.testimony);
    bind_text(query, witnesses);
    if (transition.by) {
      query.bind(sideeffects::to_string(transition.by->act)).bind(std::string_view(transition.by->who));
      query.bind(std::string_view(transition.by->why)).bind(std::string_view(transition.by->source));
    } else {
      query.bind(nullptr).bind(nullptr).bind(nullptr).bind(nullptr);
    }
    if (core::Result<void> done = query.run(); !done) return done;
    if (core::Result<void> done = answer(write.site, transition, event); !done) return done;
    notices_.push_back({.site = to_column(write.site), .event = to_column(event), .seq = transition.seq});
  }
  return {};
}

// A request is done by the transaction that stores its transition: never twice, never half.
core::Result<void> SqlEventStore::answer(core::SiteId site, const TransitionRecord& transition,
                                         core::EventId event) {
  if (!transition.by) return {};
  if (transition.by->act == sideeffects::Act::Close) {
    Query unknown = connection_->query(kNobodyKnows);
    core::Result<void> done = unknown.bind(to_column(site)).bind(transition.at).run();
    if (!done) return done;
  }
  if (transition.by->act == sideeffects::Act::Ack) {
    Query acknowledge = connection_->query(kAcknowledge);
    acknowledge.bind(core::to_unix_ms(transition.at)).bind(std::string_view(transition.by->who));
    if (core::Result<void> done = acknowledge.bind(to_column(event)).run(); !done) return done;
  }
  return connection_->query(kRequestDone).bind(to_column(transition.by->request)).run();
}

// In the transaction that stored their transitions: what is stored is told, and nothing else is.
core::Result<void> SqlEventStore::add_notices() {
  for (std::span<const NewNotice> left = notices_; !left.empty();) {
    const bool many = left.size() >= kManyNoticesRows;
    Query query = connection_->query(many ? kManyNotices : kOneNotice);
    const std::size_t rows = many ? kManyNoticesRows : 1;
    for (const NewNotice& notice : left.first(rows))
      query.bind(notice.site).bind(notice.event).bind(notice.seq);
    if (core::Result<void> done = query.run(); !done) return done;
    left = left.subspan(rows);
  }
  return {};
}

// The event's columns of the site's state. An event that ended takes back only what it said itself.
core::Result<void> SqlEventStore::project(const EventWrite& write, core::EventId event) {
  const bool ended = write.state == core::SiteState::Up;
  Query query = connection_->query(ended ? kProjectEnded : kProjectOpen);
  query.bind(to_column(write.site));
  if (ended) {
    query.bind(state_since(write)).bind(to_column(event));
  } else {
    query.bind(to_column(event)).bind(event_state_text(write.state)).bind(state_since(write));
  }
  return query.run();
}

core::Result<std::optional<StoredEvent>> SqlEventStore::open_event(core::SiteId site) {
  Query query = connection_->query(kOpenOfSite);
  query.bind(to_column(site));
  core::Result<bool> row = query.step();
  if (!row) return row.error();
  if (!*row) return std::optional<StoredEvent>{};
  core::Result<std::optional<core::OpenEvent>> event = open_event_from(*connection_, query, 0);
  if (!event) return event.error();
  core::Result<core::Evidence> evidence = evidence_from(*connection_, query, 7);
  if (!evidence) return evidence.error();
  return std::optional<StoredEvent>{
      StoredEvent{.event = **event,
                  .transitions_total = static_cast<std::uint32_t>(query.integer(6)),
                  .evidence = std::move(*evidence)}};
}

}  // namespace watchwheel::db
