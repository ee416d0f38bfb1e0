// SPDX-License-Identifier: Apache-2.0
#include "channels/bodies.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "checker/safe_text.h"

namespace watchwheel::channels {
namespace {

using Json = nlohmann::ordered_json;
using sideeffects::Message;
using sideeffects::MessageKind;
using sideeffects::MessageSite;
using sideeffects::Severity;

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json time_or_null(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(core::to_iso8601(t));
}

Json number_or_null(std::uint64_t number) {
  return number == 0 ? Json() : Json(number);
}

Json text_or_null(std::string_view text) {
  return text.empty() ? Json() : Json(text);
}

Json site_json(const MessageSite& site) {
  const core::Evidence& evidence = site.evidence;
  return {{"id", site.site.value},
          {"name", site.name},
          {"url", shown_url(site)},
          {"tags", site.tags},
          {"incident", condition_key(site)},
          {"event", number_or_null(site.event.value)},
          {"transition", number_or_null(site.transition)},
          {"reason", core::to_string(site.reason)},
          {"previous_state", sideeffects::previous_state_word(site)},
          {"state", sideeffects::state_word(site)},
          {"at", time_or_null(site.at)},
          {"started_at", time_or_null(site.started_at)},
          {"confirmed_at", time_or_null(site.confirmed_at)},
          {"ended_at", time_or_null(site.ended_at)},
          {"failures", site.failures},
          {"cause", sideeffects::cause_word(site)},
          {"phase", core::to_string(evidence.phase)},
          {"http_status", number_or_null(evidence.http_status)},
          {"detail", evidence.detail},
          {"address", text_or_null(evidence.address)},
          {"witnesses", site.witnesses}};
}

Json links_json(const Message& message) {
  Json links = Json::array();
  for (const sideeffects::MessageLink& link : message.links)
    links.push_back({{"text", link.text}, {"url", link.url}});
  return links;
}

Json outage_json(const Message& message) {
  if (!message.is_digest()) return {};
  return {{"id", message.group},
          {"started_at", time_or_null(message.group_started_at)},
          {"part", message.part}};
}

// ---- Alertmanager ----

// Labels name the alert, so there is nothing in them that may change while it lasts: not the site's name, URL or tags, and not how
// bad it is by now. Otherwise the end would be another alert's.
struct AlertKind {
  std::string_view name;
  Severity severity;
  core::Duration lasts;  // Unless its end is told.
};

// Alertmanager ends what was not repeated within its resolve_timeout, five minutes; ours goes on until we say so.
constexpr core::Duration kNeverEnds = std::chrono::hours{24 * 365 * 10};

AlertKind alert_kind(MessageKind kind) {
  switch (kind) {
    case MessageKind::SeemsDown:
    case MessageKind::Down:
    case MessageKind::Up:
    case MessageKind::Reminder:
      return {"WatchwheelSiteDown", Severity::Critical, kNeverEnds};
    case MessageKind::Warning:
    case MessageKind::WarningOver:
      return {"WatchwheelSiteWarning", Severity::Warning, kNeverEnds};
    case MessageKind::Flapping:
    case MessageKind::FlappingOver:
      return {"WatchwheelSiteFlapping", Severity::Warning, kNeverEnds};
    case MessageKind::Test:
      break;
  }
  return {"WatchwheelTest", Severity::Info, std::chrono::minutes{1}};
}

Json alert_labels(const AlertKind& kind, const std::string& target) {
  return {{"alertname", kind.name}, {"severity", to_string(kind.severity)}, {"target", target}};
}

Json alert_of(const Message& message, const MessageSite& site, const std::string& target,
              const Wording& wording) {
  Json labels = alert_labels(alert_kind(message.kind), target);
  labels["site"] = std::to_string(site.site.value);
  labels["incident"] = condition_key(site);
  Json notes{{"summary", message.sites.size() == 1 ? wording.subject : shown_name(site)},
             {"name", shown_name(site)},
             {"url", shown_url(site)},
             {"kind", to_string(message.kind)},
             {"state", sideeffects::state_word(site)},
             {"cause", sideeffects::cause_word(site)},
             {"detail", checker::safe_text(site.evidence.detail, 1024)}};
  if (message.sites.size() == 1) notes["description"] = wording.text;
  if (!site.tags.empty()) {
    std::string tags;
    for (const std::string& tag : site.tags) tags += (tags.empty() ? "" : ",") + tag;
    notes["tags"] = tags;
  }
  if (message.is_digest()) notes["outage"] = std::to_string(message.group);
  return {{"labels", std::move(labels)}, {"annotations", std::move(notes)}};
}

struct Span {
  core::WallTime from;
  core::WallTime to;
};

Json with_times(Json alert, const Message& message, Span span) {
  alert["startsAt"] = core::to_iso8601(span.from);
  alert["endsAt"] = core::to_iso8601(span.to);
  if (!message.links.empty()) alert["generatorURL"] = message.links.front().url;
  return alert;
}

// ---- PagerDuty ----

std::string_view pagerduty_severity(Severity severity) {
  return to_string(severity);  // Its words are info, warning, error and critical.
}

Json pagerduty_details(const MessageSite& site) {
  Json details = site_json(site);
  details.erase("incident");
  return details;
}

Json pagerduty_links(const Message& message) {
  Json links = Json::array();
  for (const sideeffects::MessageLink& link : message.links)
    links.push_back({{"href", link.url}, {"text", link.text}});
  return links;
}

Json pagerduty_event(const Message& message, const std::string& routing_key, const std::string& key,
                     const std::string& source, std::string summary) {
  Json event{{"routing_key", routing_key},
             {"event_action", ends(message.kind) ? "resolve" : "trigger"},
             {"dedup_key", key},
             {"client", "Watchwheel"}};
  event["payload"] = {{"summary", std::move(summary)},
                      {"source", source},
                      {"severity", pagerduty_severity(message.severity)},
                      {"timestamp", time_or_null(message.made_at)},
                      {"class", to_string(message.kind)}};
  if (message.is_digest()) event["payload"]["group"] = "outage-" + std::to_string(message.group);
  if (!message.links.empty()) event["links"] = pagerduty_links(message);
  return event;
}

std::string_view slack_colour(const Message& message) {
  const auto not_up = [](const auto& site) { return site.after != core::SiteState::Up; };
  if (message.kind == MessageKind::FlappingOver &&
      std::any_of(message.sites.begin(), message.sites.end(), not_up))
    return "warning";
  if (ends(message.kind)) return "good";
  switch (message.severity) {
    case Severity::Critical:
      return "danger";
    case Severity::Warning:
      return "warning";
    case Severity::Info:
      break;
  }
  return "#439FE0";
}

}  // namespace

std::string webhook_body(const Message& message, std::string_view id, const std::string& text) {
  Json sites = Json::array();
  for (const MessageSite& site : message.sites) sites.push_back(site_json(site));
  Json data{{"id", id},
            {"kind", to_string(message.kind)},
            {"severity", to_string(message.severity)},
            {"target", message.target},
            {"summary", shown_headline(message)},
            {"outage", outage_json(message)},
            {"sites", std::move(sites)},
            {"note", message.note},
            {"links", links_json(message)}};
  if (!text.empty()) data["text"] = text;
  return dumped({{"type", "site." + std::string(to_string(message.kind))},
                 {"timestamp", time_or_null(message.made_at)},
                 {"data", std::move(data)}});
}

std::string alertmanager_body(const Message& message, const std::string& target,
                              const Wording& wording, core::WallTime now) {
  Json alerts = Json::array();
  const AlertKind kind = alert_kind(message.kind);
  if (message.sites.empty()) {
    Json alert{{"labels", alert_labels(kind, target)},
               {"annotations", {{"summary", wording.subject}, {"description", wording.text}}}};
    alerts.push_back(with_times(std::move(alert), message, {.from = now, .to = now + kind.lasts}));
    return dumped(alerts);
  }
  for (const MessageSite& site : message.sites) {
    const core::WallTime from = site.started_at == core::kNoWallTime ? now : site.started_at;
    Span span{.from = from, .to = now + kind.lasts};
    if (ends(message.kind)) {
      // An end in the future is none yet.
      const core::WallTime ended = site.ended_at == core::kNoWallTime ? now : site.ended_at;
      span.to = std::max(from, std::min(ended, now));
    }
    alerts.push_back(with_times(alert_of(message, site, target, wording), message, span));
  }
  return dumped(alerts);
}

std::string slack_escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else {
      out += c;
    }
  }
  return out;
}

std::string slack_body(const Message& message, const Wording& wording) {
  Json attachment{{"color", slack_colour(message)},
                  {"fallback", wording.subject},
                  {"text", wording.text},
                  {"mrkdwn_in", Json::array()}};
  if (message.made_at != core::kNoWallTime)
    attachment["ts"] = core::to_unix_ms(message.made_at) / 1000;
  return dumped({{"text", wording.subject}, {"attachments", Json::array({std::move(attachment)})}});
}

std::vector<std::string> pagerduty_bodies(const Message& message, const std::string& routing_key,
                                          const Wording& wording) {
  std::vector<std::string> bodies;
  if (message.sites.empty()) {
    bodies.push_back(
        dumped(pagerduty_event(message, routing_key, message.id, message.target, wording.subject)));
    return bodies;
  }
  for (const MessageSite& site : message.sites) {
    // Of a digest each event names its own site; the headline would be the same for all.
    std::string summary = message.sites.size() == 1
                              ? wording.subject
                              : std::string(sideeffects::state_word(site)) + ": " + shown_name(site);
    Json event = pagerduty_event(message, routing_key, condition_key(site), shown_name(site),
                                 std::move(summary));
    event["payload"]["component"] = shown_url(site);
    event["payload"]["custom_details"] = pagerduty_details(site);
    bodies.push_back(dumped(event));
  }
  return bodies;
}

}  // namespace watchwheel::channels
