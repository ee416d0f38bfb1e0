// SPDX-License-Identifier: Apache-2.0
// db/rows.h - columns that several queries share, read and written in one place.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/event_kind.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"
#include "core/site_facts.h"
#include "db/sql.h"

namespace watchwheel::db {

// Ids are at most 2^63-1, so they fit both ways.
template <typename IdType>
std::int64_t to_column(IdType id) {
  return static_cast<std::int64_t>(id.value);
}
template <typename IdType>
IdType id_from(const Query& row, int column) {
  return IdType{static_cast<typename IdType::number_type>(row.integer(column))};
}

// The word for an event's state: 'seems_down', 'down', or 'closed' for Up.
[[nodiscard]] std::string_view event_state_text(core::SiteState state);

// Evidence made fit for a column: UTF-8 of bounded length.
struct EvidenceText {
  explicit EvidenceText(const core::Evidence& evidence);
  std::string_view cause, phase;
  std::optional<std::int64_t> http_status;
  std::string detail, address;
};
// Binds cause, phase, http_status, detail, address, in this order. `text` must outlive the query's
// use.
void bind_evidence(Query& query, const EvidenceText& text);

// --- Reading. Corrupt, naming the store, when a word is none that we write.

// cause, phase, http_status, detail, address from `column` on.
[[nodiscard]] core::Result<core::Evidence> evidence_from(const Connection& connection,
                                                         const Query& row, int column);

// s.id, s.url, s.interval_ms, s.active, s.name, s.tags, s.options from `column` on.
[[nodiscard]] core::Result<core::SiteRecord> record_from(const Connection& connection,
                                                         const Query& row, int column);

// An event's kind. A newer version's is Corrupt, as a word that nobody wrote.
[[nodiscard]] core::Result<core::EventKind> event_kind_from(const Connection& connection,
                                                            const Query& row, int column);
// What a transition's before_state or after_state says of its site. A warning says nothing of it but at its end ("ok" or "warning":
// Up). Nothing: it is no word that we write.
inline constexpr std::string_view kWarningOk = "ok";
inline constexpr std::string_view kWarningOpen = "warning";
[[nodiscard]] std::optional<core::SiteState> transition_state(core::EventKind kind,
                                                              std::string_view word);
// What is stored in milliseconds; NULL: zero.
[[nodiscard]] core::Duration duration_from(const Query& row, int column);

// e.id, e.state, e.started_at, e.confirmed_at, e.failures, e.cause from `column` on; nothing when
// e.id is NULL.
[[nodiscard]] core::Result<std::optional<core::OpenEvent>> open_event_from(
    const Connection& connection, const Query& row, int column);

// `what` was read from the store and cannot be what we wrote.
[[nodiscard]] core::Error corrupt_row(const Connection& connection, const std::string& what);

}  // namespace watchwheel::db
