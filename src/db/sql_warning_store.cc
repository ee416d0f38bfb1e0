// SPDX-License-Identifier: Apache-2.0
#include "db/sql_warning_store.h"

#include <algorithm>
#include <string>
#include <utility>

#include "db/rows.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

using core::EventKind;
using core::Presence;
using sideeffects::OpenWarning;
using sideeffects::WarningWrite;

constexpr std::size_t kDetailBytesMax = 512;

// Behind (?1, ?2), at most ?3. A newer version's kinds are its own.
#define WATCHWHEEL_OPEN(index, site)                                                        \
  "SELECT e.id, e.site_id, e.kind, e.started_at, e.step_ms, e.transitions_total, s.active," \
  " s.deleted_at, s.id FROM events e " index                                                \
  " LEFT JOIN sites s ON s.id = e.site_id"                                                  \
  " WHERE e.ended_at IS NULL AND e.kind IN ('tls_expiring', 'tls_deprecated',"              \
  " 'latency_exceeded', 'redirect_downgrade') AND e." site " >= ?1 AND (e." site            \
  " > ?1 OR e.kind > ?2) ORDER BY e." site ", e.kind LIMIT ?3"
constexpr Sql kOpen(WATCHWHEEL_OPEN("INDEXED BY events_open", "site_id"),
                    WATCHWHEEL_OPEN("FORCE INDEX (events_open)", "open_site"));
// What is seen of a site that was paused or removed meanwhile begins nothing.
constexpr Sql kWatched = "SELECT 1 FROM sites WHERE id = ? AND active <> 0 AND deleted_at IS NULL";
// That is open, or has this name: what is told again of one that is over begins none.
constexpr Sql kOpenOfSite(
    "SELECT 1 FROM events WHERE site_id = ? AND kind = ? AND ended_at IS NULL",
    "SELECT 1 FROM events WHERE open_site = ? AND kind = ?");
constexpr Sql kNamed = "SELECT 1 FROM events WHERE site_id = ? AND started_at = ? AND kind = ?";
constexpr Sql kInsert =
    "INSERT INTO events (site_id, kind, started_at, state, failures, merged, transitions_total,"
    " cause, phase, detail, address, step_ms) VALUES (?, ?, ?, 'warning', 0, 0, 1, ?, ?, ?, '', ?)";
constexpr Sql kAt = "SELECT at FROM event_transitions WHERE event_id = ? AND seq = ?";
// Only as it is known.
constexpr Sql kStep =
    "UPDATE events SET step_ms = ?, detail = ?, transitions_total = transitions_total + 1"
    " WHERE id = ? AND ended_at IS NULL AND transitions_total = ?";
constexpr Sql kEnd =
    "UPDATE events SET state = 'closed', ended_at = ?, transitions_total = transitions_total + 1"
    " WHERE id = ? AND ended_at IS NULL AND transitions_total = ?";
constexpr Sql kAppend =
    "INSERT INTO event_transitions (event_id, seq, reason, before_state, after_state, at, failures,"
    " cause, phase, detail, address, step_ms) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?, ?, '', ?)";
#define WATCHWHEEL_NOTICE(now) \
  "INSERT INTO outbox (site_id, event_id, seq, queued_at) VALUES (?, ?, ?, " now ")"
constexpr Sql kNotice(
    WATCHWHEEL_NOTICE("CAST(round((julianday('now') - 2440587.5) * 86400000.0) AS INTEGER)"),
    WATCHWHEEL_NOTICE("CAST(ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) AS SIGNED)"));

std::optional<std::int64_t> step_column(core::Duration step) {
  if (step <= core::Duration::zero()) return std::nullopt;
  return std::chrono::duration_cast<std::chrono::milliseconds>(step).count();
}

// What is wrong is no failure of the check: it went well.
std::string_view cause_column() {
  return core::to_string(core::Cause::Ok);
}

std::string_view phase_of(EventKind kind) {
  const bool of_tls = kind == EventKind::TlsExpiring || kind == EventKind::TlsDeprecated;
  return core::to_string(of_tls ? core::Phase::Tls : core::Phase::Done);
}

core::TransitionReason reason_of(const WarningWrite& write) {
  switch (write.act) {
    case WarningWrite::Act::Begin:
      return core::TransitionReason::Opened;
    case WarningWrite::Act::Step:
      return core::TransitionReason::SeverityChanged;
    case WarningWrite::Act::End:
      break;
  }
  switch (write.ended_as) {
    case Presence::Watched:
      return core::TransitionReason::Recovered;
    case Presence::Removed:
      return core::TransitionReason::SiteRemoved;
    case Presence::Paused:
    case Presence::Closed:
      break;
  }
  return core::TransitionReason::Operator;
}

// What the transition says it is then. Of an end by which nobody saw it over: what became of the site.
std::string_view after_of(const WarningWrite& write) {
  if (write.act != WarningWrite::Act::End) return kWarningOpen;
  switch (write.ended_as) {
    case Presence::Watched:
      return kWarningOk;
    case Presence::Paused:
      return core::to_string(core::SiteState::Paused);
    case Presence::Removed:
    case Presence::Closed:
      break;
  }
  return core::to_string(core::SiteState::Unknown);
}

core::Error invalid(const WarningWrite& write, const std::string& what) {
  return core::Error{core::ErrorKind::Invalid,
                     "warning " + std::string(core::to_string(write.warning.kind)) + " of site " +
                         std::to_string(write.warning.site.value) + ": " + what};
}

core::Result<void> check_shape(const WarningWrite& write) {
  const OpenWarning& warning = write.warning;
  if (warning.kind == EventKind::Outage) return invalid(write, "an outage is none");
  if (warning.site.value == 0 || warning.site.value > INT64_MAX)
    return invalid(write, "the site's id does not fit");
  if (warning.started_at == core::kNoWallTime || write.at < warning.started_at)
    return invalid(write, "it has no beginning, or one after its change");
  if (write.act != WarningWrite::Act::Begin && warning.transitions_total == 0)
    return invalid(write, "it has no transition");
  return {};
}

}  // namespace

std::vector<Sql> warning_queries() {
  return {kOpen, kWatched, kOpenOfSite, kNamed, kAt, kStep, kEnd};
}

core::Result<std::vector<OpenWarning>> SqlWarningStore::open(core::SiteId site, EventKind kind,
                                                             std::size_t limit) {
  Query query = connection_->query(kOpen);
  query.bind(to_column(site)).bind(core::to_string(kind));
  query.bind(static_cast<std::int64_t>(std::min<std::size_t>(limit, INT64_MAX)));
  std::vector<OpenWarning> all;
  while (true) {
    const core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return all;
    const core::Result<EventKind> known = event_kind_from(*connection_, query, 2);
    if (!known) return known.error();
    const bool removed = query.is_null(8) || !query.is_null(7);
    all.push_back({.event = id_from<core::EventId>(query, 0),
                   .site = id_from<core::SiteId>(query, 1),
                   .kind = *known,
                   .started_at = query.time(3),
                   .step = duration_from(query, 4),
                   .transitions_total = static_cast<std::uint32_t>(query.integer(5)),
                   .presence = removed                 ? Presence::Removed
                               : query.integer(6) == 0 ? Presence::Paused
                                                       : Presence::Watched});
  }
}

core::Result<std::vector<bool>> SqlWarningStore::commit(std::span<const WarningWrite> writes) {
  std::vector<bool> done(writes.size(), false);
  if (writes.empty()) return done;
  for (const WarningWrite& write : writes) {
    if (core::Result<void> shape = check_shape(write); !shape) return shape.error();
  }
  // By site, as everybody who writes for sites locks their rows.
  std::vector<std::size_t> in_order(writes.size());
  for (std::size_t i = 0; i < in_order.size(); ++i) in_order[i] = i;
  std::stable_sort(in_order.begin(), in_order.end(), [&](std::size_t a, std::size_t b) {
    return writes[a].warning.site < writes[b].warning.site;
  });
  const auto store = [&](std::int64_t fence) -> core::Result<void> {
    if (core::Result<void> ours = check_ours(writes); !ours) return ours;
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    if (core::Result<void> passed = fence_.pass(*connection_, fence); !passed) return passed;
    for (const std::size_t i : in_order) {
      const core::Result<bool> applied = apply(writes[i]);
      if (!applied) return applied.error();
      done[i] = *applied;
    }
    return transaction->commit();
  };
  core::Result<void> stored = retried(*connection_, [&] { return fence_.under(store); });
  if (!stored) return stored.error();
  return done;
}

core::Result<void> SqlWarningStore::check_ours(std::span<const WarningWrite> writes) const {
  const core::BucketTable* const table = fence_.table();
  if (table == nullptr) return {};
  for (const WarningWrite& write : writes) {
    const std::uint64_t epoch = table->epoch(table->of(write.warning.site));
    if (epoch == 0 || epoch != write.epoch)
      return core::BucketTable::fenced("the site's bucket is not ours");
  }
  return {};
}

core::Result<bool> SqlWarningStore::apply(const WarningWrite& write) {
  return write.act == WarningWrite::Act::Begin ? begin(write) : change(write);
}

core::Result<bool> SqlWarningStore::begin(const WarningWrite& write) {
  const OpenWarning& warning = write.warning;
  const std::string_view kind = core::to_string(warning.kind);
  {
    Query query = connection_->query(kWatched);
    const core::Result<bool> row = query.bind(to_column(warning.site)).step();
    if (!row) return row.error();
    if (!*row) return false;
  }
  {
    Query query = connection_->query(kOpenOfSite);
    const core::Result<bool> row = query.bind(to_column(warning.site)).bind(kind).step();
    if (!row) return row.error();
    if (*row) return false;
  }
  {
    Query query = connection_->query(kNamed);
    const core::Result<bool> row =
        query.bind(to_column(warning.site)).bind(warning.started_at).bind(kind).step();
    if (!row) return row.error();
    if (*row) return false;
  }
  const std::string detail = to_utf8(write.detail, kDetailBytesMax);
  Query query = connection_->query(kInsert);
  query.bind(to_column(warning.site)).bind(kind).bind(warning.started_at);
  query.bind(cause_column()).bind(phase_of(warning.kind)).bind(std::string_view(detail));
  query.bind(step_column(warning.step));
  if (core::Result<void> ran = query.run(); !ran) return ran.error();
  const auto id = connection_->last_insert_id();
  if (!id) return id.error();
  if (auto added = append(write, core::EventId{static_cast<std::uint64_t>(*id)}); !added)
    return added.error();
  return true;
}

core::Result<bool> SqlWarningStore::change(const WarningWrite& given) {
  // Times within an event never run backwards, though the wall clock may.
  WarningWrite write = given;
  const core::Result<core::WallTime> before = last_change(write.warning);
  if (!before) return before.error();
  write.at = std::max(write.at, *before);
  const OpenWarning& warning = write.warning;
  const std::string detail = to_utf8(write.detail, kDetailBytesMax);
  Query query = connection_->query(write.act == WarningWrite::Act::Step ? kStep : kEnd);
  if (write.act == WarningWrite::Act::Step) {
    query.bind(step_column(write.step)).bind(std::string_view(detail));
  } else {
    query.bind(write.at);
  }
  query.bind(to_column(warning.event)).bind(static_cast<std::int64_t>(warning.transitions_total));
  if (core::Result<void> ran = query.run(); !ran) return ran.error();
  if (connection_->rows_changed() == 0) return false;
  if (auto added = append(write, warning.event); !added) return added.error();
  return true;
}

core::Result<core::WallTime> SqlWarningStore::last_change(const OpenWarning& warning) {
  Query query = connection_->query(kAt);
  query.bind(to_column(warning.event)).bind(static_cast<std::int64_t>(warning.transitions_total));
  const core::Result<bool> row = query.step();
  if (!row) return row.error();
  return *row ? query.time(0) : warning.started_at;
}

// The transition, and its notice.
core::Result<void> SqlWarningStore::append(const WarningWrite& write, core::EventId event) {
  const bool begins = write.act == WarningWrite::Act::Begin;
  const std::int64_t seq = begins ? 1 : std::int64_t{write.warning.transitions_total} + 1;
  const std::string detail = to_utf8(write.detail, kDetailBytesMax);
  {
    Query query = connection_->query(kAppend);
    query.bind(to_column(event)).bind(seq).bind(core::to_string(reason_of(write)));
    query.bind(begins ? kWarningOk : kWarningOpen).bind(after_of(write)).bind(write.at);
    query.bind(cause_column()).bind(phase_of(write.warning.kind)).bind(std::string_view(detail));
    query.bind(step_column(write.act == WarningWrite::Act::Step ? write.step : write.warning.step));
    if (core::Result<void> ran = query.run(); !ran) return ran;
  }
  Query notice = connection_->query(kNotice);
  return notice.bind(to_column(write.warning.site)).bind(to_column(event)).bind(seq).run();
}

}  // namespace watchwheel::db
