// SPDX-License-Identifier: Apache-2.0
#include "app/commands_incidents.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "core/event_kind.h"
#include "core/units.h"
#include "sideeffects/message.h"

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
core::Duration length_of(core::WallTime started_at, core::WallTime ended_at, core::WallTime now) {
  const core::WallTime end = ended_at == core::kNoWallTime ? now : ended_at;
  return std::max(end - started_at, core::Duration::zero());
}
core::Duration length_of(const db::Incident& incident, core::WallTime now) {
  return length_of(incident.started_at, incident.ended_at, now);
}

void add_evidence(Json& json, const core::Evidence& evidence) {
  json["cause"] = core::to_string(evidence.cause);
  json["phase"] = core::to_string(evidence.phase);
  json["http_status"] = evidence.http_status == 0 ? Json() : Json(evidence.http_status);
  json["detail"] = evidence.detail;
  json["address"] = text_or_null(evidence.address);
}

// How it was decided, and what each vantage saw; null where others were not heard.
Json testimony_json(const core::Testimony& testimony) {
  if (testimony.basis == core::Basis::None) return {};
  Json witnesses = Json::array();
  for (const core::Witness& witness : testimony.witnesses) {
    witnesses.push_back({{"vantage", witness.vantage},
                         {"region", witness.region},
                         {"saw", core::to_string(witness.saw)},
                         {"cause", core::is_vote(witness.saw) || witness.saw == core::Saw::NotMeasured
                                       ? Json(core::to_string(witness.cause))
                                       : Json()},
                         {"http_status", witness.http_status == 0 ? Json() : Json(witness.http_status)},
                         {"detail", witness.detail},
                         {"at", time_or_null(witness.at)}});
  }
  return {{"basis", core::to_string(testimony.basis)},
          {"quorum", testimony.quorum},
          {"round", testimony.round},
          {"decided_at", time_or_null(testimony.decided_at)},
          {"witnesses", std::move(witnesses)}};
}

// For people: "quorum of 2; local down, fra down (http_status), nyc silent".
std::string testimony_text(const core::Testimony& testimony) {
  std::string text;
  switch (testimony.basis) {
    case core::Basis::None:
      return "";
    case core::Basis::LocalOnly:
      return "our own word: no other vantage is configured";
    case core::Basis::Quorum:
      text = "quorum of " + std::to_string(testimony.quorum) + " reached";
      break;
    case core::Basis::Disagreement:
      text = "others see it up, and no quorum of " + std::to_string(testimony.quorum) +
             ": not called down";
      break;
    case core::Basis::Unanswered:
      text = "our own word: too few others said anything in time, and none saw it up";
      break;
    case core::Basis::Unasked:
      text = "our own word: nobody could be asked in time";
      break;
    case core::Basis::Bound:
      text = "our own word: the check needs a file of this host, so nobody else can make it";
      break;
    case core::Basis::Outlasted:
      text = "our own word, for it failed here too long; others see it up";
      break;
  }
  std::string seen;
  for (const core::Witness& witness : testimony.witnesses) {
    seen += (seen.empty() ? "; " : ", ") + printable(witness.vantage, 64) + " " +
            std::string(core::to_string(witness.saw));
    if (witness.saw == core::Saw::Down || witness.saw == core::Saw::NotMeasured)
      seen += " (" + std::string(core::to_string(witness.cause)) + ")";
  }
  return text + seen;
}

// For people: "acknowledged by ann (command): on it".
std::string by_text(const sideeffects::ByHand& by) {
  constexpr std::array<std::string_view, 3> kDone{"acknowledged", "comment", "closed"};
  return std::string(kDone.at(static_cast<std::size_t>(by.act))) + " by " +
         printable(by.who, sideeffects::kWhoBytesMax) + " (" + printable(by.source, 32) + ")" +
         (by.why.empty() ? "" : ": " + printable(by.why, sideeffects::kWhyBytesMax));
}

// Why nobody is told that it began; null: nothing holds it.
Json held_json(const Held& held) {
  if (!held) return {};
  const auto number = [&](sideeffects::HoldReason reason) {
    return held->reason == reason && held->by != 0 ? Json(held->by) : Json();
  };
  return {{"reason", sideeffects::to_string(held->reason)},
          {"since", time_or_null(held->since)},
          {"until", time_or_null(held->until)},
          {"window", number(sideeffects::HoldReason::Maintenance)},
          {"parent", number(sideeffects::HoldReason::Parent)},
          {"look_again_at", time_or_null(held->look_again_at)}};
}

// For people: "held since 2026-11-20T12:00:00Z: maintenance window 3, until 2026-11-20T14:00:00Z".
std::string held_text(const sideeffects::HeldBack& held) {
  const std::string number = std::to_string(held.by);
  const bool known = held.until != core::kNoWallTime;
  const std::string until = core::to_iso8601(held.until);
  std::string text = "held since " + core::to_iso8601(held.since) + ": ";
  switch (held.reason) {
    case sideeffects::HoldReason::Maintenance:
      return text + "maintenance window " + number + ", until " + until;
    case sideeffects::HoldReason::Parent:
      text += "site " + number + ", on which it depends, ";
      return text +
             (known ? "came up; told after " + until + " if it is still down then" : "fails");
    case sideeffects::HoldReason::Flapping:
      return text + "it flaps; told after " + until + " if it is still down then";
    case sideeffects::HoldReason::MaintenanceUnread:
      return text + "the maintenance windows cannot be read";
    case sideeffects::HoldReason::ParentsUnread:
      break;
  }
  return text + "the store does not say whether a site on which it depends fails";
}

// The sites that flap now.
core::Result<std::map<core::SiteId, core::WallTime>> flapping_since(db::Store& store) {
  const auto flapping = store.make_flapping_store();
  if (!flapping) return flapping.error();
  const auto list = (*flapping)->flapping();
  if (!list) return list.error();
  std::map<core::SiteId, core::WallTime> sites;
  for (const sideeffects::FlappingSite& site : *list) sites[site.site] = site.since;
  return sites;
}

// Of a warning "ok" and "warning", in place of a state of the site, of which it says nothing until its end.
std::string_view state_word(const db::Incident& incident) {
  if (incident.kind == core::EventKind::Outage) return core::to_string(incident.state);
  return incident.ended_at == core::kNoWallTime ? "warning" : "ok";
}
std::string_view before_word(const sideeffects::TransitionRecord& transition) {
  return transition.reason == core::TransitionReason::Opened ? "ok" : "warning";
}
std::string_view after_word(const sideeffects::TransitionRecord& transition) {
  if (transition.reason == core::TransitionReason::Opened ||
      transition.reason == core::TransitionReason::SeverityChanged)
    return "warning";
  return transition.after == core::SiteState::Up ? "ok" : core::to_string(transition.after);
}
Json step_json(core::Duration step) {
  return step > core::Duration::zero() ? Json(core::format_duration(step)) : Json();
}
// How bad it is or, when it is over, was at its worst.
sideeffects::Severity severity_of(const db::Incident& incident) {
  if (incident.kind != core::EventKind::Outage)
    return sideeffects::severity_of(incident.kind, incident.step);
  return incident.confirmed_at == core::kNoWallTime ? sideeffects::Severity::Warning
                                                    : sideeffects::Severity::Critical;
}

Json to_json(const db::Incident& incident, const Held& held, core::WallTime now) {
  Json json{{"id", incident.id.value},
            {"site", incident.site.value},
            {"url", text_or_null(incident.url)},
            {"name", incident.name},
            {"kind", core::to_string(incident.kind)},
            {"severity", sideeffects::to_string(severity_of(incident))},
            {"step", step_json(incident.step)},
            {"state", state_word(incident)},
            {"open", incident.ended_at == core::kNoWallTime},
            {"started_at", time_or_null(incident.started_at)},
            {"confirmed_at", time_or_null(incident.confirmed_at)},
            {"ended_at", time_or_null(incident.ended_at)},
            {"duration_s", core::to_seconds(length_of(incident, now))},
            {"failures", incident.failures}};
  add_evidence(json, incident.evidence);
  const bool warns = incident.kind != core::EventKind::Outage;
  if (warns) json["cause"] = core::to_string(incident.kind);
  json["verification"] = testimony_json(incident.testimony);
  json["group"] = incident.group == 0 ? Json() : Json(incident.group);
  json["acked_at"] = time_or_null(incident.acked_at);
  json["acked_by"] = text_or_null(incident.acked_by);
  json["held"] = held_json(held);
  json["transitions"] = Json::array();
  for (const sideeffects::TransitionRecord& t : incident.transitions) {
    Json one{{"seq", t.seq},
             {"reason", core::to_string(t.reason)},
             {"before", warns ? before_word(t) : core::to_string(t.before)},
             {"after", warns ? after_word(t) : core::to_string(t.after)},
             {"step", step_json(t.step)},
             {"at", core::to_iso8601(t.at)},
             {"failures", t.failures}};
    add_evidence(one, t.evidence);
    if (warns) one["cause"] = core::to_string(incident.kind);
    one["verification"] = testimony_json(t.testimony);
    one["act"] = t.by ? Json(sideeffects::to_string(t.by->act)) : Json();
    one["who"] = t.by ? Json(t.by->who) : Json();
    one["why"] = t.by ? Json(t.by->why) : Json();
    one["source"] = t.by ? Json(t.by->source) : Json();
    json["transitions"].push_back(std::move(one));
  }
  return json;
}

Json to_json(const db::OutageGroup& group, core::WallTime now) {
  return {{"id", group.id},
          {"open", group.ended_at == core::kNoWallTime},
          {"started_at", time_or_null(group.started_at)},
          {"ended_at", time_or_null(group.ended_at)},
          {"duration_s", core::to_seconds(length_of(group.started_at, group.ended_at, now))},
          {"sites", group.sites},
          {"down", group.down},
          {"seems_down", group.seems_down},
          {"cause", group.cause}};
}

Json to_json(const db::VantageIncident& incident, core::WallTime now) {
  const sideeffects::VantageEvent& event = incident.event;
  return {{"id", incident.id},
          {"open", event.ended_at == core::kNoWallTime},
          {"started_at", time_or_null(event.started_at)},
          {"ended_at", time_or_null(event.ended_at)},
          {"duration_s", core::to_seconds(length_of(event.started_at, event.ended_at, now))},
          {"reason", event.reason},
          {"detail", event.detail},
          {"withheld", event.withheld}};
}

std::string span_text(core::WallTime started_at, core::WallTime ended_at, core::WallTime now) {
  const bool over = ended_at != core::kNoWallTime;
  return std::string(over ? "over" : "open") + "  since " + core::to_iso8601(started_at) +
         (over ? ", lasted " : ", for ") + core::humanize(length_of(started_at, ended_at, now));
}

// What belongs to no one site. They are few: not cut off by the limit.
struct Common {
  std::vector<db::VantageIncident> vantage;
  std::vector<db::OutageGroup> groups;
};
constexpr std::size_t kCommonMax = 1000;

core::Result<Common> read_common(db::IncidentLog& log, const db::IncidentFilter& filter) {
  auto vantage = log.vantage(filter, kCommonMax);
  if (!vantage) return vantage.error();
  auto groups = log.groups(filter, kCommonMax);
  if (!groups) return groups.error();
  return Common{.vantage = *std::move(vantage), .groups = *std::move(groups)};
}

std::string dumped(const Json& json, int indent) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

// Calls `each` for the newest incidents up to the limit, with what holds them back, a page at a time. True: there are more.
template <typename Each>
core::Result<bool> walk(db::IncidentLog& log, const db::IncidentFilter& filter, std::size_t limit,
                        Each each) {
  std::size_t shown = 0;
  for (;;) {
    const std::size_t left = limit == 0 ? kPage : std::min(kPage, limit - shown);
    const auto page = log.list(filter, shown, left + 1);  // One more tells whether there is more.
    if (!page) return page.error();
    const std::size_t count = std::min(page->size(), left);
    for (std::size_t i = 0; i < count; ++i) {
      const auto held = db::held_back(log, (*page)[i]);
      if (!held) return held.error();
      each((*page)[i], *held);
    }
    shown += count;
    if (page->size() <= left) return false;
    if (limit != 0 && shown >= limit) return true;
  }
}

// Mass outages and what the vantage had belong to no one site: they are listed with the outages of all.
bool is_of_all(const db::IncidentFilter& filter) {
  return !filter.site && !filter.group &&
         filter.kind.value_or(core::EventKind::Outage) == core::EventKind::Outage;
}

Json with_flapping(const db::Incident& incident, const Held& held,
                   const std::map<core::SiteId, core::WallTime>& flapping, core::WallTime now) {
  Json one = to_json(incident, held, now);
  const auto since = flapping.find(incident.site);
  one["site_flapping_since"] = since == flapping.end() ? Json() : time_or_null(since->second);
  return one;
}

}  // namespace

core::Result<std::string> incidents_json(db::Store& store, const db::IncidentFilter& filter,
                                         std::size_t limit, core::WallTime now) {
  const auto log = store.make_incident_log();
  if (!log) return log.error();
  Json vantage = Json::array();
  Json groups = Json::array();
  if (is_of_all(filter)) {
    const auto common = read_common(**log, filter);
    if (!common) return common.error();
    for (const auto& one : common->vantage) vantage.push_back(to_json(one, now));
    for (const auto& one : common->groups) groups.push_back(to_json(one, now));
  }
  const auto flapping = flapping_since(store);
  if (!flapping) return flapping.error();
  Json incidents = Json::array();
  const auto more = walk(**log, filter, limit, [&](const db::Incident& incident, const Held& held) {
    incidents.push_back(with_flapping(incident, held, *flapping, now));
  });
  if (!more) return more.error();
  return dumped({{"incidents", std::move(incidents)},
                 {"more", *more},
                 {"groups", std::move(groups)},
                 {"vantage", std::move(vantage)}},
                2);
}

core::Result<std::string> one_incident_json(db::Store& store, core::EventId event,
                                            core::WallTime now) {
  const auto log = store.make_incident_log();
  if (!log) return log.error();
  db::IncidentFilter filter;
  filter.event = event;
  const auto found = (*log)->list(filter, 0, 1);
  if (!found) return found.error();
  if (found->empty())
    return core::Error{core::ErrorKind::NotFound,
                       "there is no incident " + std::to_string(event.value)};
  const auto flapping = flapping_since(store);
  if (!flapping) return flapping.error();
  const auto held = db::held_back(**log, found->front());
  if (!held) return held.error();
  return dumped(with_flapping(found->front(), *held, *flapping, now), 2);
}

core::Result<core::WallTime> parse_since(const std::string& text, core::WallTime now,
                                         std::string_view option) {
  if (const auto ago = core::parse_duration(text)) return now - *ago;
  if (const auto at = core::parse_iso8601(text)) return at;
  if (const auto day = core::parse_iso8601(text + "T00:00:00Z")) return day;
  return core::Error{
      core::ErrorKind::Invalid,
      std::string(option) + ": '" + printable(text, 60) +
          "' is no time; write 2026-11-20T12:00:00Z, 2026-11-20, or how long ago, like 2h"};
}

std::string incident_json(const db::Incident& incident, core::WallTime now, const Held& held) {
  return dumped(to_json(incident, held, now), 2);
}

namespace {

// One transition of a warning, as a line.
std::string warning_text(const sideeffects::TransitionRecord& t) {
  std::string text = "    " + core::to_iso8601(t.at) + "  " +
                     std::string(core::to_string(t.reason)) + ": " + std::string(before_word(t)) +
                     " -> " + std::string(after_word(t));
  if (t.step > core::Duration::zero() && after_word(t) == "warning")
    text += ", within " + core::format_duration(t.step);
  if (!t.evidence.detail.empty()) text += ", " + printable(t.evidence.detail, 512);
  return text + "\n";
}

}  // namespace

std::string incident_text(const db::Incident& incident, core::WallTime now, const Held& held) {
  const bool over = incident.ended_at != core::kNoWallTime;
  std::string text = "#" + std::to_string(incident.id.value) + " " +
                     (over ? "over" : std::string(state_word(incident)));
  text += "  since " + core::to_iso8601(incident.started_at) + (over ? ", lasted " : ", for ") +
          core::humanize(length_of(incident, now));
  text += "  site " + std::to_string(incident.site.value) + " " +
          (incident.url.empty() ? "(removed)" : printable(incident.url, 2048));
  if (!over && incident.acked_at != core::kNoWallTime)
    text += "  acknowledged by " + printable(incident.acked_by, sideeffects::kWhoBytesMax);
  if (!incident.name.empty()) text += " \"" + printable(incident.name, 256) + "\"";
  const bool warns = incident.kind != core::EventKind::Outage;
  text += "\n    " + std::string(warns ? core::to_string(incident.kind)
                                        : core::to_string(incident.evidence.cause));
  if (!incident.evidence.detail.empty()) text += ": " + printable(incident.evidence.detail, 512);
  text += "\n";
  if (!over && held) text += "    " + held_text(*held) + "\n";
  for (const sideeffects::TransitionRecord& t : incident.transitions) {
    if (t.by && t.by->act != sideeffects::Act::Close) {
      text += "    " + core::to_iso8601(t.at) + "  " + by_text(*t.by) + "\n";
      continue;
    }
    if (warns) {
      text += warning_text(t);
      continue;
    }
    text += "    " + core::to_iso8601(t.at) + "  " + std::string(core::to_string(t.reason)) + ": " +
            std::string(core::to_string(t.before)) + " -> " +
            std::string(core::to_string(t.after)) + ", " + std::to_string(t.failures) +
            (t.failures == 1 ? " failure" : " failures") + ", " +
            std::string(core::to_string(t.evidence.cause)) + "\n";
    if (const std::string how = testimony_text(t.testimony); !how.empty())
      text += "        " + how + "\n";
    if (t.by) text += "        " + by_text(*t.by) + "\n";
  }
  if (!over && incident.testimony.basis == core::Basis::Disagreement)
    text += "    " + testimony_text(incident.testimony) + "\n";
  return text;
}

std::string group_text(const db::OutageGroup& group, core::WallTime now) {
  const std::uint64_t over = group.sites - group.down - group.seems_down;
  std::string text = "mass outage " + std::to_string(group.id) + " " +
                     span_text(group.started_at, group.ended_at, now) + "  " +
                     std::to_string(group.sites) + (group.sites == 1 ? " site" : " sites");
  text += ": " + std::to_string(group.down) + " down, " + std::to_string(group.seems_down) +
          " seem down, " + std::to_string(over) + " over; mostly " + printable(group.cause, 60);
  return text + "\n    list them: watchwheel incidents --group " + std::to_string(group.id) + "\n";
}

std::string vantage_text(const db::VantageIncident& incident, core::WallTime now) {
  const sideeffects::VantageEvent& event = incident.event;
  std::string text = "vantage fault " + std::to_string(incident.id) + " " +
                     span_text(event.started_at, event.ended_at, now) + "  " +
                     printable(event.reason, 60);
  if (!event.detail.empty()) text += ": " + printable(event.detail, 512);
  return text + "\n    the trouble was ours: " + std::to_string(event.withheld) +
         " failures were told of no site\n";
}

int show_incidents(const IncidentsArgs& args, Io& io) {
  const core::WallTime now = core::SystemClock().wall();
  db::IncidentFilter filter;
  filter.open_only = args.open;
  if (args.site != 0) filter.site = core::SiteId{args.site};
  if (args.group != 0) filter.group = args.group;
  if (!args.kind.empty()) {
    filter.kind = core::parse_event_kind(args.kind);
    if (!filter.kind)
      return fail(io, kExitUsage,
                  "--kind: '" + printable(args.kind, 60) +
                      "' is none; write outage, tls_expiring, tls_deprecated, latency_exceeded or "
                      "redirect_downgrade");
  }
  const bool everything = is_of_all(filter);
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
    const auto text = incidents_json(**store, filter, args.limit, now);
    if (!text) return fail(io, text.error());
    io.out << *text << "\n";
    return kExitOk;
  }
  Common common;
  if (everything) {
    auto read = read_common(**log, filter);
    if (!read) return fail(io, read.error());
    common = *std::move(read);
  }
  for (const auto& one : common.vantage) io.out << vantage_text(one, now);
  for (const auto& one : common.groups) io.out << group_text(one, now);
  if (everything) filter.group = 0;  // Thousands of sites of one outage are the line above.
  std::size_t shown = common.vantage.size() + common.groups.size();
  const auto more = walk(**log, filter, args.limit, [&](const db::Incident& i, const Held& held) {
    io.out << incident_text(i, now, held);
    ++shown;
  });
  if (!more) return fail(io, more.error());
  if (shown == 0) io.out << (args.open ? "no open incidents\n" : "no incidents\n");
  if (*more) io.err << "… and older ones; use --limit to see more\n";
  return kExitOk;
}

}  // namespace watchwheel::app
