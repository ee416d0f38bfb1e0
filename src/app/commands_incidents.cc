// SPDX-License-Identifier: Apache-2.0
#include "app/commands_incidents.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/units.h"

namespace watchwheel::app {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kPage = 200;

Json time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(core::to_iso8601(t));
}
Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text);
}

// Wall clocks jump: a length is never below zero.
core::Duration length_of(const db::Incident& incident, core::WallTime now) {
  const core::WallTime end = incident.ended_at == core::kNoWallTime ? now : incident.ended_at;
  return std::max(end - incident.started_at, core::Duration::zero());
}

void add_evidence(Json& json, const core::Evidence& evidence) {
  json["cause"] = core::to_string(evidence.cause);
  json["phase"] = core::to_string(evidence.phase);
  json["http_status"] = evidence.http_status == 0 ? Json() : Json(evidence.http_status);
  json["detail"] = evidence.detail;
  json["address"] = text_or_null(evidence.address);
}

Json to_json(const db::Incident& incident, core::WallTime now) {
  Json json{{"id", incident.id.value},
            {"site", incident.site.value},
            {"url", text_or_null(incident.url)},
            {"name", incident.name},
            {"state", core::to_string(incident.state)},
            {"open", incident.ended_at == core::kNoWallTime},
            {"started_at", time_or_null(incident.started_at)},
            {"confirmed_at", time_or_null(incident.confirmed_at)},
            {"ended_at", time_or_null(incident.ended_at)},
            {"duration_s", core::to_seconds(length_of(incident, now))},
            {"failures", incident.failures}};
  add_evidence(json, incident.evidence);
  json["transitions"] = Json::array();
  for (const sideeffects::TransitionRecord& t : incident.transitions) {
    Json one{{"seq", t.seq},
             {"reason", core::to_string(t.reason)},
             {"before", core::to_string(t.before)},
             {"after", core::to_string(t.after)},
             {"at", core::to_iso8601(t.at)},
             {"failures", t.failures}};
    add_evidence(one, t.evidence);
    json["transitions"].push_back(std::move(one));
  }
  return json;
}

std::string dumped(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Calls `each` for the newest incidents up to the limit, a page at a time. True: there are more.
template <typename Each>
core::Result<bool> walk(db::IncidentLog& log, const db::IncidentFilter& filter, std::size_t limit,
                        Each each) {
  std::size_t shown = 0;
  for (;;) {
    const std::size_t left = limit == 0 ? kPage : std::min(kPage, limit - shown);
    const auto page = log.list(filter, shown, left + 1);  // One more tells whether there is more.
    if (!page) return page.error();
    const std::size_t count = std::min(page->size(), left);
    for (std::size_t i = 0; i < count; ++i) each((*page)[i]);
    shown += count;
    if (page->size() <= left) return false;
    if (limit != 0 && shown >= limit) return true;
  }
}

}  // namespace

core::Result<core::WallTime> parse_since(const std::string& text, core::WallTime now) {
  if (const auto ago = core::parse_duration(text)) return now - *ago;
  if (const auto at = core::parse_iso8601(text)) return at;
  if (const auto day = core::parse_iso8601(text + "T00:00:00Z")) return day;
  return core::Error{
      core::ErrorKind::Invalid,
      "--since: '" + printable(text, 60) +
          "' is no time; write 2026-11-20T12:00:00Z, 2026-11-20, or how long ago, like 2h"};
}

std::string incident_json(const db::Incident& incident, core::WallTime now) {
  return dumped(to_json(incident, now), 2);
}

std::string incident_text(const db::Incident& incident, core::WallTime now) {
  const bool over = incident.ended_at != core::kNoWallTime;
  std::string text = "#" + std::to_string(incident.id.value) + " " +
                     (over ? "over" : std::string(core::to_string(incident.state)));
  text += "  since " + core::to_iso8601(incident.started_at) + (over ? ", lasted " : ", for ") +
          core::humanize(length_of(incident, now));
  text += "  site " + std::to_string(incident.site.value) + " " +
          (incident.url.empty() ? "(removed)" : printable(incident.url, 2048));
  if (!incident.name.empty()) text += " \"" + printable(incident.name, 256) + "\"";
  text += "\n    " + std::string(core::to_string(incident.evidence.cause));
  if (!incident.evidence.detail.empty()) text += ": " + printable(incident.evidence.detail, 512);
  text += "\n";
  for (const sideeffects::TransitionRecord& t : incident.transitions) {
    text += "    " + core::to_iso8601(t.at) + "  " + std::string(core::to_string(t.reason)) + ": " +
            std::string(core::to_string(t.before)) + " -> " +
            std::string(core::to_string(t.after)) + ", " + std::to_string(t.failures) +
            (t.failures == 1 ? " failure" : " failures") + ", " +
            std::string(core::to_string(t.evidence.cause)) + "\n";
  }
  return text;
}

int show_incidents(const IncidentsArgs& args, Io& io) {
  const core::WallTime now = core::SystemClock().wall();
  db::IncidentFilter filter;
  filter.open_only = args.open;
  if (args.site != 0) filter.site = core::SiteId{args.site};
  if (!args.since.empty()) {
    const auto since = parse_since(args.since, now);
    if (!since) return fail(io, kExitUsage, since.error().message);
    filter.since = *since;
  }
  const std::optional<Config> config = config_for_command(args.config, io);
  if (!config) return kExitTrouble;
  const auto store = open_migrated_store(*config);
  if (!store) return fail(io, store.error());
  const auto log = (*store)->make_incident_log();
  if (!log) return fail(io, log.error());

  if (args.json) {
    Json incidents = Json::array();
    const auto more = walk(**log, filter, args.limit,
                           [&](const db::Incident& i) { incidents.push_back(to_json(i, now)); });
    if (!more) return fail(io, more.error());
    io.out << dumped({{"incidents", std::move(incidents)}, {"more", *more}}, 2) << "\n";
    return kExitOk;
  }
  std::size_t shown = 0;
  const auto more = walk(**log, filter, args.limit, [&](const db::Incident& i) {
    io.out << incident_text(i, now);
    ++shown;
  });
  if (!more) return fail(io, more.error());
  if (shown == 0) io.out << (args.open ? "no open incidents\n" : "no incidents\n");
  if (*more) io.err << "… and older ones; use --limit to see more\n";
  return kExitOk;
}

}  // namespace watchwheel::app
