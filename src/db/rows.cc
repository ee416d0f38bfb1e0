// SPDX-License-Identifier: Apache-2.0
#include "db/rows.h"

#include "db/site_codec.h"
#include "db/text.h"

namespace watchwheel::db {
namespace {

constexpr std::size_t kDetailBytesMax = 512;
constexpr std::size_t kAddressBytesMax = 64;
constexpr std::string_view kClosed = "closed";

template <typename Number>
Number narrow(const Query& row, int column) {
  return static_cast<Number>(row.integer(column));
}

}  // namespace

std::string_view event_state_text(core::SiteState state) {
  return state == core::SiteState::Up ? kClosed : core::to_string(state);
}

EvidenceText::EvidenceText(const core::Evidence& evidence)
    : cause(core::to_string(evidence.cause)),
      phase(core::to_string(evidence.phase)),
      detail(to_utf8(evidence.detail, kDetailBytesMax)),
      address(to_utf8(evidence.address, kAddressBytesMax)) {
  if (evidence.http_status != 0) http_status = evidence.http_status;
}

void bind_evidence(Query& query, const EvidenceText& text) {
  query.bind(text.cause)
      .bind(text.phase)
      .bind(text.http_status)
      .bind(std::string_view(text.detail))
      .bind(std::string_view(text.address));
}

core::Result<core::EventKind> event_kind_from(const Connection& connection, const Query& row,
                                              int column) {
  const auto kind = core::parse_event_kind(row.text(column));
  if (!kind)
    return corrupt_row(connection,
                       "an event has the unknown kind '" + std::string(row.text(column)) + "'");
  return *kind;
}

std::optional<core::SiteState> transition_state(core::EventKind kind, std::string_view word) {
  if (kind != core::EventKind::Outage && (word == kWarningOk || word == kWarningOpen))
    return core::SiteState::Up;
  return core::parse_site_state(word);
}

core::Duration duration_from(const Query& row, int column) {
  return std::chrono::milliseconds{row.integer(column)};
}

core::Error corrupt_row(const Connection& connection, const std::string& what) {
  return core::Error{core::ErrorKind::Corrupt,
                     "store " + connection.path() + ": " + what +
                         "; it was not written by this program, correct or remove it"};
}

core::Result<core::Evidence> evidence_from(const Connection& connection, const Query& row,
                                           int column) {
  const std::optional<core::Cause> cause = core::parse_cause(row.text(column));
  const std::optional<core::Phase> phase = core::parse_phase(row.text(column + 1));
  if (!cause || !phase) {
    return corrupt_row(connection, "an event has the unknown cause '" +
                                       std::string(row.text(column)) + "' or phase '" +
                                       std::string(row.text(column + 1)) + "'");
  }
  return core::Evidence{.cause = *cause,
                        .phase = *phase,
                        .http_status = narrow<std::uint16_t>(row, column + 2),
                        .detail = std::string(row.text(column + 3)),
                        .address = std::string(row.text(column + 4))};
}

core::Result<core::SiteRecord> record_from(const Connection& connection, const Query& row,
                                           int column) {
  core::SiteRecord record;
  record.id = id_from<core::SiteId>(row, column);
  record.url = row.text(column + 1);
  if (!row.is_null(column + 2))
    record.interval = std::chrono::milliseconds{row.integer(column + 2)};
  record.active = row.integer(column + 3) != 0;
  record.name = row.text(column + 4);
  core::Result<std::vector<std::string>> tags = tags_from_json(row.text(column + 5));
  core::Result<core::SiteOptions> options = options_from_json(row.text(column + 6));
  if (!tags || !options) {
    const core::Error& why = tags ? options.error() : tags.error();
    return corrupt_row(connection, "site " + std::to_string(record.id.value) + ": " + why.message);
  }
  record.tags = std::move(*tags);
  record.options = std::move(*options);
  return record;
}

core::Result<std::optional<core::OpenEvent>> open_event_from(const Connection& connection,
                                                             const Query& row, int column) {
  if (row.is_null(column)) return std::optional<core::OpenEvent>{};
  const auto id = id_from<core::EventId>(row, column);
  const std::optional<core::SiteState> state = core::parse_site_state(row.text(column + 1));
  const std::optional<core::Cause> cause = core::parse_cause(row.text(column + 5));
  if (!state || !cause) {
    return corrupt_row(connection, "event " + std::to_string(id.value) +
                                       " has the unknown state '" +
                                       std::string(row.text(column + 1)) + "' or cause '" +
                                       std::string(row.text(column + 5)) + "'");
  }
  return std::optional<core::OpenEvent>{
      core::OpenEvent{.id = id,
                      .state = *state,
                      .started_at = row.time(column + 2),
                      .confirmed_at = row.time(column + 3),
                      .failures = narrow<std::uint32_t>(row, column + 4),
                      .cause = *cause}};
}

}  // namespace watchwheel::db
