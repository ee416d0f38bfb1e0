// SPDX-License-Identifier: Apache-2.0
#include "db/sql_incident_log.h"

#include <algorithm>
#include <utility>

#include "db/rows.h"
#include "db/testimony_codec.h"

namespace watchwheel::db {
namespace {

// Four texts instead of one with every condition, so that each finds its index: the open ones
// (few, whatever the history), one site's, one mass outage's, or all by start.
#define WATCHWHEEL_INCIDENT                                                                \
  "SELECT e.id, e.site_id, e.state, e.started_at, e.confirmed_at, e.ended_at, e.failures," \
  " e.cause, e.phase, e.http_status, e.detail, e.address, s.url, s.name, e.group_id, e.witnesses," \
  " e.acked_at, e.acked_by, e.kind, e.step_ms"                                             \
  " FROM events e "
#define WATCHWHEEL_SITE " LEFT JOIN sites s ON s.id = e.site_id WHERE "
#define WATCHWHEEL_SINCE "(?1 IS NULL OR e.ended_at IS NULL OR e.ended_at >= ?1)"
#define WATCHWHEEL_GROUP \
  " AND (?5 IS NULL OR coalesce(e.group_id, 0) = ?5) AND (?6 IS NULL OR e.kind = ?6)"
#define WATCHWHEEL_NEWEST_FIRST " ORDER BY e.started_at DESC, e.id DESC LIMIT ?2 OFFSET ?3"
constexpr Sql kOpen(WATCHWHEEL_INCIDENT "INDEXED BY events_open" WATCHWHEEL_SITE
                                        "e.ended_at IS NULL AND (?4 IS NULL OR e.site_id = ?4) "
                                        "AND " WATCHWHEEL_SINCE WATCHWHEEL_GROUP WATCHWHEEL_NEWEST_FIRST,
                    WATCHWHEEL_INCIDENT
                    "FORCE INDEX (events_open)" WATCHWHEEL_SITE
                    "e.open_site IS NOT NULL AND (?4 IS NULL OR e.open_site = ?4) "
                    "AND " WATCHWHEEL_SINCE WATCHWHEEL_GROUP WATCHWHEEL_NEWEST_FIRST);
constexpr Sql kOfSite = WATCHWHEEL_INCIDENT WATCHWHEEL_SITE
    "e.site_id = ?4 AND " WATCHWHEEL_SINCE WATCHWHEEL_GROUP WATCHWHEEL_NEWEST_FIRST;
#define WATCHWHEEL_OF_GROUP(index)                                                             \
  WATCHWHEEL_INCIDENT index WATCHWHEEL_SITE "e.group_id = ?5 AND (?4 IS NULL OR e.site_id = ?4)" \
                                            " AND " WATCHWHEEL_SINCE                           \
                                            " AND (?6 IS NULL OR e.kind = ?6)" WATCHWHEEL_NEWEST_FIRST
constexpr Sql kOfGroup(WATCHWHEEL_OF_GROUP("INDEXED BY events_group_end"),
                       WATCHWHEEL_OF_GROUP("FORCE INDEX (events_group_end)"));
// ?4 stands for nothing here, so that the parameters are the same in all four.
constexpr Sql kAll = WATCHWHEEL_INCIDENT WATCHWHEEL_SITE
    "(?4 IS NULL) AND " WATCHWHEEL_SINCE WATCHWHEEL_GROUP WATCHWHEEL_NEWEST_FIRST;
constexpr Sql kOne = WATCHWHEEL_INCIDENT WATCHWHEEL_SITE
    "e.id = ?4 AND " WATCHWHEEL_SINCE WATCHWHEEL_GROUP WATCHWHEEL_NEWEST_FIRST;

// First which groups, by their ends alone, and then what is in those: a group may have a million outages. An old one that is not
// asked for costs two looks into the index.
constexpr Sql kGroups =
    "SELECT g.id, g.started_at, max(e.ended_at), count(*), sum(e.state = 'down'), sum(e.state = 'seems_down'),"
    " (SELECT c.cause FROM events c WHERE c.group_id = g.id GROUP BY c.cause ORDER BY count(*) DESC LIMIT 1)"
    ", max(e.started_at) FROM (SELECT w.id, w.started_at FROM outage_groups w WHERE (?1 = 0 AND ?2 IS NULL)"
    " OR EXISTS (SELECT 1 FROM events o WHERE o.group_id = w.id AND o.ended_at IS NULL)"
    " OR (?1 = 0 AND (SELECT o.ended_at FROM events o WHERE o.group_id = w.id ORDER BY o.ended_at DESC LIMIT 1) >= ?2)"
    " ORDER BY w.started_at DESC LIMIT ?3) g"
    " JOIN events e ON e.group_id = g.id GROUP BY g.id, g.started_at ORDER BY g.started_at DESC";
constexpr Sql kVantage =
    "SELECT id, started_at, ended_at, reason, detail, withheld FROM vantage_events"
    " WHERE (?1 = 0 OR ended_at IS NULL) AND (?2 IS NULL OR ended_at IS NULL OR ended_at >= ?2)"
    " ORDER BY started_at DESC LIMIT ?3";

constexpr Sql kTransitions =
    "SELECT seq, reason, before_state, after_state, at, failures, cause, phase, http_status, "
    "detail, address, witnesses, act, who, why, source, step_ms"
    " FROM event_transitions WHERE event_id = ? ORDER BY seq";
// What waits of an event that somebody was told of, another step of it, holds nothing back. That its site flaps is not of the event.
#define WATCHWHEEL_HELD(by_site, by_event)                       \
  "SELECT w.due_at, w.memo FROM outbox_wakes w " by_site         \
  " WHERE w.site_id = ? AND w.event_id = ?"                      \
  " AND (w.memo LIKE 'hold:%' OR w.memo LIKE 'warning:%')"       \
  " AND NOT EXISTS (SELECT 1 FROM delivery_tellings t " by_event \
  " WHERE t.event_id = ? AND t.state IN ('queued', 'told')"      \
  " AND t.kind NOT IN ('flapping', 'flapping_over')) ORDER BY w.id"
constexpr Sql kHeld(WATCHWHEEL_HELD("INDEXED BY outbox_wakes_site",
                                    "INDEXED BY delivery_tellings_event"),
                    WATCHWHEEL_HELD("FORCE INDEX (outbox_wakes_site)",
                                    "FORCE INDEX (delivery_tellings_event)"));
#define WATCHWHEEL_COUNT "SELECT state, count(*) FROM events "
constexpr Sql kCountOpen(WATCHWHEEL_COUNT
                         "INDEXED BY events_open WHERE ended_at IS NULL GROUP BY state",
                         WATCHWHEEL_COUNT
                         "FORCE INDEX (events_open) WHERE open_site IS NOT NULL GROUP BY state");

// Nothing: no person did it. An act that is not known here (a newer version's) shows as a comment.
std::optional<sideeffects::ByHand> by_from(const Query& row, int column) {
  if (row.is_null(column)) return std::nullopt;
  return sideeffects::ByHand{
      .request = {},
      .act = sideeffects::parse_act(row.text(column)).value_or(sideeffects::Act::Comment),
      .who = std::string(row.text(column + 1)),
      .why = std::string(row.text(column + 2)),
      .source = std::string(row.text(column + 3))};
}

std::int64_t row_count(std::size_t n) {
  return static_cast<std::int64_t>(std::min<std::size_t>(n, INT64_MAX));
}

}  // namespace

std::vector<Sql> outage_queries() {
  return {kGroups, kOfGroup, kCountOpen};
}

std::vector<Sql> held_queries() {
  return {kHeld};
}

core::Result<std::vector<Incident>> SqlIncidentLog::list(const IncidentFilter& filter,
                                                         std::size_t offset, std::size_t limit) {
  core::Result<Transaction> moment = Transaction::read(*connection_);
  if (!moment) return moment.error();
  core::Result<std::vector<Incident>> found = events(filter, offset, limit);
  if (!found) return found;
  for (Incident& incident : *found) {
    if (core::Result<void> added = add_transitions(incident); !added) return added.error();
  }
  return found;
}

core::Result<std::vector<Incident>> SqlIncidentLog::events(const IncidentFilter& filter,
                                                           std::size_t offset, std::size_t limit) {
  if (filter.event) return one_event(*filter.event);
  const bool of_group = filter.group.value_or(0) != 0;  // 0: of none.
  Query query = connection_->query(filter.open_only ? kOpen
                                   : filter.site    ? kOfSite
                                   : of_group       ? kOfGroup
                                                    : kAll);
  query.bind(filter.since).bind(row_count(limit)).bind(row_count(offset));
  std::optional<std::int64_t> site;
  std::optional<std::int64_t> group;
  if (filter.site) site = to_column(*filter.site);
  if (filter.group) group = static_cast<std::int64_t>(*filter.group);
  query.bind(site).bind(group);
  if (filter.kind) {
    query.bind(core::to_string(*filter.kind));
  } else {
    query.bind(nullptr);
  }
  return all_of(query);
}

core::Result<std::vector<Incident>> SqlIncidentLog::one_event(core::EventId event) {
  Query query = connection_->query(kOne);
  query.bind(nullptr).bind(row_count(1)).bind(row_count(0)).bind(to_column(event));
  query.bind(nullptr).bind(nullptr);
  return all_of(query);
}

core::Result<std::vector<Incident>> SqlIncidentLog::all_of(Query& query) const {
  std::vector<Incident> incidents;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return incidents;
    core::Result<Incident> incident = incident_from(query);
    if (!incident) return incident.error();
    incidents.push_back(std::move(*incident));
  }
}

core::Result<Incident> SqlIncidentLog::incident_from(const Query& row) const {
  core::Result<core::Evidence> evidence = evidence_from(*connection_, row, 7);
  if (!evidence) return evidence.error();
  const core::Result<core::EventKind> kind = event_kind_from(*connection_, row, 18);
  if (!kind) return kind.error();
  const bool warns = *kind != core::EventKind::Outage && row.text(2) == kWarningOpen;
  const std::optional<core::SiteState> state = warns            ? core::SiteState::Unknown
                                               : row.is_null(5) ? core::parse_site_state(row.text(2))
                                                                : core::SiteState::Up;
  core::Result<core::Testimony> testimony = testimony_from_json(row.text(15));
  if (!testimony) return corrupt_row(*connection_, testimony.error().message);
  if (!state)
    return corrupt_row(*connection_,
                       "an event has the unknown state '" + std::string(row.text(2)) + "'");
  return Incident{.id = id_from<core::EventId>(row, 0),
                  .site = id_from<core::SiteId>(row, 1),
                  .url = std::string(row.text(12)),
                  .name = std::string(row.text(13)),
                  .state = *state,
                  .started_at = row.time(3),
                  .confirmed_at = row.time(4),
                  .ended_at = row.time(5),
                  .failures = static_cast<std::uint32_t>(row.integer(6)),
                  .evidence = std::move(*evidence),
                  .group = static_cast<std::uint64_t>(row.integer(14)),
                  .testimony = *std::move(testimony),
                  .acked_at = row.time(16),
                  .acked_by = std::string(row.text(17)),
                  .transitions = {},
                  .kind = *kind,
                  .step = duration_from(row, 19)};
}

core::Result<void> SqlIncidentLog::add_transitions(Incident& incident) {
  Query query = connection_->query(kTransitions);
  query.bind(to_column(incident.id));
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return {};
    const auto reason = core::parse_transition_reason(query.text(1));
    const auto before = transition_state(incident.kind, query.text(2));
    const auto after = transition_state(incident.kind, query.text(3));
    if (!reason || !before || !after) {
      return corrupt_row(*connection_, "event " + std::to_string(incident.id.value) +
                                           " has a transition of unknown reason or state");
    }
    core::Result<core::Evidence> evidence = evidence_from(*connection_, query, 6);
    if (!evidence) return evidence.error();
    core::Result<core::Testimony> testimony = testimony_from_json(query.text(11));
    if (!testimony) return corrupt_row(*connection_, testimony.error().message);
    incident.transitions.push_back({.seq = static_cast<std::uint32_t>(query.integer(0)),
                                    .reason = *reason,
                                    .before = *before,
                                    .after = *after,
                                    .at = query.time(4),
                                    .failures = static_cast<std::uint32_t>(query.integer(5)),
                                    .evidence = std::move(*evidence),
                                    .testimony = *std::move(testimony),
                                    .by = by_from(query, 12),
                                    .step = duration_from(query, 16)});
  }
}

// Its first failure and its confirmation may each wait: the newest says why, the first since when.
core::Result<std::optional<sideeffects::HeldBack>> SqlIncidentLog::held(const Incident& incident) {
  std::optional<sideeffects::HeldBack> held;
  if (incident.ended_at != core::kNoWallTime) return held;
  Query query = connection_->query(kHeld);
  const std::int64_t event = to_column(incident.id);
  query.bind(to_column(incident.site)).bind(event).bind(event);
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return held;
    std::optional<sideeffects::HeldBack> one = sideeffects::parse_hold_memo(query.text(1));
    if (!one) continue;
    one->look_again_at = query.time(0);
    if (held) one->since = std::min(one->since, held->since);
    held = one;
  }
}

core::Result<std::optional<sideeffects::HeldBack>> held_back(IncidentLog& log,
                                                             const Incident& incident) {
  auto* const sql = dynamic_cast<SqlIncidentLog*>(&log);
  if (sql == nullptr) return std::optional<sideeffects::HeldBack>{};
  return sql->held(incident);
}

core::Result<std::vector<OutageGroup>> SqlIncidentLog::groups(const IncidentFilter& filter,
                                                                 std::size_t limit) {
  Query query = connection_->query(kGroups);
  query.bind(std::int64_t{filter.open_only}).bind(filter.since).bind(row_count(limit));
  std::vector<OutageGroup> groups;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return groups;
    OutageGroup group{.id = static_cast<std::uint64_t>(query.integer(0)),
                      .started_at = query.time(1),
                      .newest_at = query.time(7),
                      .ended_at = query.time(2),
                      .sites = static_cast<std::uint64_t>(query.integer(3)),
                      .down = static_cast<std::uint64_t>(query.integer(4)),
                      .seems_down = static_cast<std::uint64_t>(query.integer(5)),
                      .cause = std::string(query.text(6))};
    if (group.down + group.seems_down > 0) group.ended_at = core::kNoWallTime;
    groups.push_back(std::move(group));
  }
}

core::Result<std::vector<VantageIncident>> SqlIncidentLog::vantage(const IncidentFilter& filter,
                                                                      std::size_t limit) {
  Query query = connection_->query(kVantage);
  query.bind(std::int64_t{filter.open_only}).bind(filter.since).bind(row_count(limit));
  std::vector<VantageIncident> incidents;
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return incidents;
    incidents.push_back({.id = static_cast<std::uint64_t>(query.integer(0)),
                         .event = {.started_at = query.time(1),
                                   .ended_at = query.time(2),
                                   .reason = std::string(query.text(3)),
                                   .detail = std::string(query.text(4)),
                                   .withheld = static_cast<std::uint64_t>(query.integer(5))}});
  }
}

core::Result<OpenIncidentCounts> SqlIncidentLog::count_open() {
  OpenIncidentCounts counts;
  Query query = connection_->query(kCountOpen);
  while (true) {
    core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return counts;
    const auto number = static_cast<std::uint64_t>(query.integer(1));
    const std::optional<core::SiteState> state = core::parse_site_state(query.text(0));
    if (state == core::SiteState::Down) {
      counts.down = number;
    } else if (state == core::SiteState::SeemsDown) {
      counts.seems_down = number;
    }
  }
}

}  // namespace watchwheel::db
