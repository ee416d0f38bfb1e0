// SPDX-License-Identifier: Apache-2.0
#include "db/journal_codec.h"

#include <nlohmann/json.hpp>
#include <stdexcept>
#include <utility>

#include "db/rows.h"
#include "db/testimony_codec.h"

namespace watchwheel::db {
namespace {

using nlohmann::json;
using sideeffects::ByHand;
using sideeffects::EventWrite;
using sideeffects::JournalWrite;
using sideeffects::TransitionRecord;
using sideeffects::VantageEnd;
using sideeffects::VantageEvent;

constexpr std::string_view kEvent = "event";
constexpr std::string_view kVantage = "vantage";
constexpr std::string_view kVantageEnd = "vantage_end";

json time_json(core::WallTime at) {
  return at == core::kNoWallTime ? json() : json(core::to_unix_ms(at));
}
core::WallTime time_from(const json& value) {
  return value.is_null() ? core::kNoWallTime : core::from_unix_ms(value.get<std::int64_t>());
}

template <typename Value>
Value known(std::optional<Value> value, const char* what) {
  if (!value) throw std::invalid_argument(std::string("an unknown ") + what);
  return *value;
}
core::SiteState state_from(const json& value) {
  return known(core::parse_site_state(value.get<std::string>()), "state");
}

json evidence_json(const core::Evidence& evidence) {
  const EvidenceText text(evidence);  // As the store would have it: UTF-8, bounded.
  return {{"cause", text.cause},
          {"phase", text.phase},
          {"http_status", evidence.http_status},
          {"detail", text.detail},
          {"address", text.address}};
}
core::Evidence evidence_from_json(const json& value) {
  return {.cause = known(core::parse_cause(value.at("cause").get<std::string>()), "cause"),
          .phase = known(core::parse_phase(value.at("phase").get<std::string>()), "phase"),
          .http_status = value.at("http_status").get<std::uint16_t>(),
          .detail = value.at("detail").get<std::string>(),
          .address = value.at("address").get<std::string>()};
}

json to_json(const ByHand& by) {
  const auto& [request, act, who, why, source] = by;
  return {{"request", request.value},
          {"act", sideeffects::to_string(act)},
          {"who", who},
          {"why", why},
          {"source", source}};
}

// The bindings name every field there is: one more does not compile until it is kept here too.
json to_json(const TransitionRecord& transition) {
  const auto& [seq, reason, before, after, at, failures, evidence, testimony, by, step] =
      transition;
  (void)step;  // Of warnings, which never go this way.
  return {{"seq", seq},
          {"reason", core::to_string(reason)},
          {"before", core::to_string(before)},
          {"after", core::to_string(after)},
          {"at", time_json(at)},
          {"failures", failures},
          {"evidence", evidence_json(evidence)},
          {"testimony", testimony_to_json(testimony)},
          {"by", by ? to_json(*by) : json()}};
}

json to_json(const EventWrite& write) {
  const auto& [site, epoch, started_at, state, confirmed_at, ended_at, failures, merged, group, total,
               evidence, transitions, testimony] = write;
  json all = json::array();
  for (const TransitionRecord& transition : transitions) all.push_back(to_json(transition));
  return {{"site", site.value},
          {"epoch", epoch},
          {"started_at", time_json(started_at)},
          {"state", core::to_string(state)},
          {"confirmed_at", time_json(confirmed_at)},
          {"ended_at", time_json(ended_at)},
          {"failures", failures},
          {"merged", merged},
          {"group", time_json(group)},
          {"transitions_total", total},
          {"evidence", evidence_json(evidence)},
          {"transitions", std::move(all)},
          {"testimony", testimony_to_json(testimony)}};
}

json to_json(const VantageEvent& event) {
  const auto& [started_at, ended_at, reason, detail, withheld] = event;
  return {{"started_at", time_json(started_at)},
          {"ended_at", time_json(ended_at)},
          {"reason", reason},
          {"detail", detail},
          {"withheld", withheld}};
}

json to_json(const VantageEnd& end) {
  return {{"at", time_json(end.at)}};
}

// Entries of versions before this one have none.
core::Testimony testimony_from(const json& value) {
  auto testimony = testimony_from_json(value.value("testimony", std::string()));
  if (!testimony) throw std::invalid_argument(testimony.error().message);
  return *std::move(testimony);
}

// Nothing in entries of versions before this one, and where no person did it.
std::optional<ByHand> by_from(const json& value) {
  const auto found = value.find("by");
  if (found == value.end() || found->is_null()) return std::nullopt;
  return ByHand{
      .request = sideeffects::RequestId{found->at("request").get<std::uint64_t>()},
      .act = known(sideeffects::parse_act(found->at("act").get<std::string>()), "act"),
      .who = found->at("who").get<std::string>(),
      .why = found->at("why").get<std::string>(),
      .source = found->at("source").get<std::string>()};
}

TransitionRecord transition_from(const json& value) {
  return {.seq = value.at("seq").get<std::uint32_t>(),
          .reason =
              known(core::parse_transition_reason(value.at("reason").get<std::string>()), "reason"),
          .before = state_from(value.at("before")),
          .after = state_from(value.at("after")),
          .at = time_from(value.at("at")),
          .failures = value.at("failures").get<std::uint32_t>(),
          .evidence = evidence_from_json(value.at("evidence")),
          .testimony = testimony_from(value),
          .by = by_from(value)};
}

EventWrite event_from(const json& value) {
  EventWrite write{.site = core::SiteId{value.at("site").get<std::uint64_t>()},
                   .epoch = value.value("epoch", std::uint64_t{0}),
                   .started_at = time_from(value.at("started_at")),
                   .state = state_from(value.at("state")),
                   .confirmed_at = time_from(value.at("confirmed_at")),
                   .ended_at = time_from(value.at("ended_at")),
                   .failures = value.at("failures").get<std::uint32_t>(),
                   .merged = value.at("merged").get<std::uint32_t>(),
                   .group = time_from(value.at("group")),
                   .transitions_total = value.at("transitions_total").get<std::uint32_t>(),
                   .evidence = evidence_from_json(value.at("evidence")),
                   .transitions = {},
                   .testimony = testimony_from(value)};
  for (const json& one : value.at("transitions")) write.transitions.push_back(transition_from(one));
  return write;
}

VantageEvent vantage_from(const json& value) {
  return {.started_at = time_from(value.at("started_at")),
          .ended_at = time_from(value.at("ended_at")),
          .reason = value.at("reason").get<std::string>(),
          .detail = value.at("detail").get<std::string>(),
          .withheld = value.at("withheld").get<std::uint64_t>()};
}

core::Error corrupt(const std::string& what) {
  return core::Error{core::ErrorKind::Corrupt, "an entry of the journal cannot be read: " + what};
}

}  // namespace

std::string_view journal_kind(const JournalWrite& write) {
  if (std::holds_alternative<EventWrite>(write)) return kEvent;
  return std::holds_alternative<VantageEvent>(write) ? kVantage : kVantageEnd;
}

std::string encode_journal(const JournalWrite& write) {
  const json value = std::visit([](const auto& one) { return to_json(one); }, write);
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

core::Result<JournalWrite> decode_journal(std::string_view kind, std::string_view body) {
  try {
    const json value = json::parse(body);
    if (kind == kEvent) return JournalWrite(event_from(value));
    if (kind == kVantage) return JournalWrite(vantage_from(value));
    if (kind == kVantageEnd) return JournalWrite(VantageEnd{time_from(value.at("at"))});
    return corrupt("its kind is unknown");
  } catch (const json::exception& why) {
    return corrupt(why.what());
  } catch (const std::invalid_argument& why) {
    return corrupt(why.what());
  }
}

}  // namespace watchwheel::db
