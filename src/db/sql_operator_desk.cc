// SPDX-License-Identifier: Apache-2.0
#include "db/sql_operator_desk.h"

#include "core/event_kind.h"
#include "db/rows.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

using sideeffects::OperatorRequest;
using sideeffects::RequestId;
using sideeffects::RequestOutcome;

constexpr std::int64_t kKeptMs = std::int64_t{7} * 24 * 3600 * 1000;
constexpr std::size_t kRefusedBytesMax = 512;

constexpr Sql kEvent = "SELECT ended_at, kind FROM events WHERE id = ?";
constexpr Sql kCount = "SELECT count(*) FROM operator_requests WHERE done_at IS NULL";
constexpr Sql kForget = "DELETE FROM operator_requests WHERE done_at < ?";
constexpr Sql kKnown = "SELECT id FROM operator_requests WHERE asked_key = ?";
constexpr Sql kAdd =
    "INSERT INTO operator_requests (event_id, act, who, why, source, asked_at, asked_key)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)";
constexpr Sql kOutcome =
    "SELECT done_at, refused, event_id, act, who, why, source, asked_at FROM operator_requests"
    " WHERE id = ?";
constexpr Sql kWaiting =
    "SELECT r.id, r.event_id, r.act, r.who, r.why, r.source, r.asked_at, e.site_id, e.started_at,"
    " e.ended_at FROM operator_requests r LEFT JOIN events e ON e.id = r.event_id"
    " WHERE r.done_at IS NULL ORDER BY r.id LIMIT ?";
constexpr Sql kRefuse =
    "UPDATE operator_requests SET done_at = ?, refused = ? WHERE id = ? AND done_at IS NULL";

}  // namespace

core::Result<void> SqlOperatorDesk::check(core::EventId event) {
  Query query = connection_->query(kEvent);
  const core::Result<bool> row = query.bind(to_column(event)).step();
  if (!row) return row.error();
  const std::string name = "event " + std::to_string(event.value);
  if (!*row) return core::Error{core::ErrorKind::NotFound, "there is no " + name};
  if (!query.is_null(0))
    return core::Error{core::ErrorKind::Invalid,
                       name + " is over since " + core::to_iso8601(query.time(0))};
  if (query.text(1) != core::to_string(core::EventKind::Outage))
    return core::Error{core::ErrorKind::Invalid,
                       name + " is a warning (" + std::string(query.text(1)) +
                           "), and ends by itself; to hear nothing more of such a kind take it "
                           "out of warnings.kinds"};
  return {};
}

core::Result<RequestId> SqlOperatorDesk::ask(const OperatorRequest& request) {
  const std::string who = to_utf8(request.by.who, sideeffects::kWhoBytesMax);
  const std::string why = to_utf8(request.by.why, sideeffects::kWhyBytesMax);
  const std::string source = to_utf8(request.by.source, sideeffects::kSourceBytesMax);
  if (request.key.size() > sideeffects::kRequestKeyBytesMax)
    return core::Error{core::ErrorKind::Invalid, "the request's key is too long"};
  auto added = retried(*connection_, [&]() -> core::Result<RequestId> {
    core::Result<Transaction> transaction = Transaction::write(*connection_);
    if (!transaction) return transaction.error();
    const core::Result<std::int64_t> now = connection_->now_ms();
    if (!now) return now.error();
    const auto same = known(request.key);
    if (!same) return same.error();
    if (*same) return **same;
    if (core::Result<void> open = check(request.event); !open) return open.error();
    const core::Result<std::optional<std::int64_t>> count = connection_->number(kCount);
    if (!count) return count.error();
    if (static_cast<std::size_t>(count->value_or(0)) >= sideeffects::kRequestsMax)
      return core::Error{core::ErrorKind::Unavailable,
                         std::to_string(sideeffects::kRequestsMax) +
                             " requests wait already: does a daemon run that has these sites?"};
    core::Result<void> done = connection_->query(kForget).bind(*now - kKeptMs).run();
    if (!done) return done.error();
    Query add = connection_->query(kAdd);
    add.bind(to_column(request.event)).bind(sideeffects::to_string(request.by.act));
    add.bind(std::string_view(who)).bind(std::string_view(why)).bind(std::string_view(source));
    add.bind(*now);
    if (request.key.empty()) {
      add.bind(nullptr);
    } else {
      add.bind(std::string_view(request.key));
    }
    if (done = add.run(); !done) return done.error();
    const core::Result<std::int64_t> id = connection_->last_insert_id();
    if (!id) return id.error();
    if (done = transaction->commit(); !done) return done.error();
    return RequestId{static_cast<std::uint64_t>(*id)};
  });
  if (added || request.key.empty()) return added;
  // Another process asked with the same key at the same moment, or the commit's answer was lost.
  const auto same = known(request.key);
  if (same && *same) return **same;
  return added;
}

core::Result<std::optional<RequestId>> SqlOperatorDesk::known(const std::string& key) {
  if (key.empty()) return std::optional<RequestId>();
  Query query = connection_->query(kKnown);
  const core::Result<bool> row = query.bind(std::string_view(key)).step();
  if (!row) return row.error();
  return *row ? std::optional(id_from<RequestId>(query, 0)) : std::nullopt;
}

core::Result<RequestOutcome> SqlOperatorDesk::outcome(RequestId request) {
  Query query = connection_->query(kOutcome);
  const core::Result<bool> row = query.bind(to_column(request)).step();
  if (!row) return row.error();
  if (!*row)
    return core::Error{core::ErrorKind::NotFound,
                       "there is no request " + std::to_string(request.value)};
  const auto act = sideeffects::parse_act(query.text(3));
  return RequestOutcome{
      .waits = query.is_null(0),
      .refused = std::string(query.text(1)),
      .done_at = query.time(0),
      .request = {.by = {.request = request,
                         .act = act.value_or(sideeffects::Act::Comment),  // A newer version's.
                         .who = std::string(query.text(4)),
                         .why = std::string(query.text(5)),
                         .source = std::string(query.text(6))},
                  .event = id_from<core::EventId>(query, 2),
                  .asked_at = query.time(7)}};
}

core::Result<std::vector<OperatorRequest>> SqlOperatorDesk::waiting() {
  Query query = connection_->query(kWaiting);
  query.bind(static_cast<std::int64_t>(sideeffects::kRequestsMax));
  std::vector<OperatorRequest> requests;
  while (true) {
    const core::Result<bool> row = query.step();
    if (!row) return row.error();
    if (!*row) return requests;
    const auto act = sideeffects::parse_act(query.text(2));
    if (!act) continue;  // A newer version's: its daemon does it.
    requests.push_back({.by = {.request = id_from<RequestId>(query, 0),
                               .act = *act,
                               .who = std::string(query.text(3)),
                               .why = std::string(query.text(4)),
                               .source = std::string(query.text(5))},
                        .event = id_from<core::EventId>(query, 1),
                        .site = id_from<core::SiteId>(query, 7),
                        .event_started_at = query.time(8),
                        .over = query.is_null(7) || !query.is_null(9),
                        .asked_at = query.time(6)});
  }
}

core::Result<void> SqlOperatorDesk::refuse(RequestId request, const std::string& why) {
  const core::Result<std::int64_t> now = connection_->now_ms();
  if (!now) return now.error();
  const std::string text = to_utf8(why, kRefusedBytesMax);
  Query query = connection_->query(kRefuse);
  return query.bind(*now).bind(std::string_view(text)).bind(to_column(request)).run();
}

}  // namespace watchwheel::db
