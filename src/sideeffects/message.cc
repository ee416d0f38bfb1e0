// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/message.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/hash.h"

namespace watchwheel::sideeffects {
namespace {

using Json = nlohmann::ordered_json;

// The version of the stored form. A reader takes this one and those before it.
constexpr int kVersion = 1;

core::Error corrupt(const std::string& what) {
  return core::Error{core::ErrorKind::Corrupt, "a stored message: " + what};
}

Json time_json(core::WallTime t) {
  return t == core::kNoWallTime ? Json() : Json(core::to_unix_ms(t));
}

Json site_json(const MessageSite& site) {
  Json json{{"site", site.site.value},
          {"name", site.name},
          {"url", site.url},
          {"tags", site.tags},
          {"event", site.event.value},
          {"transition", site.transition},
          {"reason", core::to_string(site.reason)},
          {"before", core::to_string(site.before)},
          {"after", core::to_string(site.after)},
          {"started_at", time_json(site.started_at)},
          {"confirmed_at", time_json(site.confirmed_at)},
          {"ended_at", time_json(site.ended_at)},
          {"at", time_json(site.at)},
          {"failures", site.failures},
          {"cause", core::to_string(site.evidence.cause)},
          {"phase", core::to_string(site.evidence.phase)},
          {"http_status", site.evidence.http_status},
          {"detail", site.evidence.detail},
          {"address", site.evidence.address},
          {"witnesses", site.witnesses}};
  if (site.kind == core::EventKind::Outage) return json;
  json["event_kind"] = core::to_string(site.kind);
  json["step_ms"] = std::chrono::duration_cast<std::chrono::milliseconds>(site.step).count();
  return json;
}

// Reads members of one object; remembers the first that is not what it has to be.
class Members {
 public:
  explicit Members(const Json& object) : object_(object) {
    if (!object.is_object()) wrong("it is no object");
  }

  void text(const char* name, std::string& into) {
    if (const Json* value = find(name)) {
      if (!value->is_string()) return wrong(std::string(name) + " is no text");
      into = value->get<std::string>();
    }
  }
  void texts(const char* name, std::vector<std::string>& into) {
    const Json* value = find(name);
    if (value == nullptr) return;
    const auto is_text = [](const Json& item) { return item.is_string(); };
    if (!value->is_array() || !std::all_of(value->begin(), value->end(), is_text))
      return wrong(std::string(name) + " is no list of texts");
    into = value->get<std::vector<std::string>>();
  }
  template <typename Number>
  void number(const char* name, Number& into) {
    const Json* value = find(name);
    if (value == nullptr) return;
    if (!value->is_number_unsigned() ||
        value->get<std::uint64_t>() > std::numeric_limits<Number>::max())
      return wrong(std::string(name) + " is no number that fits");
    into = value->get<Number>();
  }
  void time(const char* name, core::WallTime& into) {
    const Json* value = find(name);
    if (value == nullptr) return;
    // Beyond this a WallTime overflows.
    constexpr std::int64_t kMsMax = std::numeric_limits<std::int64_t>::max() / 1'000'000;
    if (!value->is_number_integer() || value->get<std::int64_t>() < 0 ||
        value->get<std::int64_t>() > kMsMax)
      return wrong(std::string(name) + " is no time");
    into = core::from_unix_ms(value->get<std::int64_t>());
  }
  template <typename Word, typename Parse>
  void word(const char* name, Parse parse, Word& into) {
    std::string written;
    text(name, written);
    if (written.empty()) return;
    const std::optional<Word> known = parse(written);
    if (!known) return wrong(std::string(name) + " is an unknown word");
    into = *known;
  }
  [[nodiscard]] const Json* list(const char* name) {
    const Json* value = find(name);
    if (value == nullptr || value->is_array()) return value;
    wrong(std::string(name) + " is no list");
    return nullptr;
  }

  void wrong(std::string what) {
    if (problem_.empty()) problem_ = std::move(what);
  }
  [[nodiscard]] const std::string& problem() const { return problem_; }

 private:
  // Null and missing are the same: what the value has already.
  [[nodiscard]] const Json* find(const char* name) const {
    if (!object_.is_object()) return nullptr;
    const auto found = object_.find(name);
    return found == object_.end() || found->is_null() ? nullptr : &*found;
  }

  const Json& object_;
  std::string problem_;
};

std::string read_site(const Json& json, MessageSite& site) {
  Members in(json);
  in.number("site", site.site.value);
  in.text("name", site.name);
  in.text("url", site.url);
  in.texts("tags", site.tags);
  in.number("event", site.event.value);
  in.number("transition", site.transition);
  in.word("reason", core::parse_transition_reason, site.reason);
  in.word("before", core::parse_site_state, site.before);
  in.word("after", core::parse_site_state, site.after);
  in.time("started_at", site.started_at);
  in.time("confirmed_at", site.confirmed_at);
  in.time("ended_at", site.ended_at);
  in.time("at", site.at);
  in.number("failures", site.failures);
  in.word("cause", core::parse_cause, site.evidence.cause);
  in.word("phase", core::parse_phase, site.evidence.phase);
  in.number("http_status", site.evidence.http_status);
  in.text("detail", site.evidence.detail);
  in.text("address", site.evidence.address);
  in.texts("witnesses", site.witnesses);
  in.word("event_kind", core::parse_event_kind, site.kind);
  std::uint64_t step_ms = 0;
  in.number("step_ms", step_ms);
  // Beyond ten years it is nothing that we write.
  constexpr std::uint64_t kStepMsMax = std::uint64_t{10} * 366 * 24 * 3600 * 1000;
  if (step_ms > kStepMsMax) in.wrong("step_ms is no time");
  site.step = std::chrono::milliseconds{std::min(step_ms, kStepMsMax)};
  return in.problem();
}

std::string read_link(const Json& json, MessageLink& link) {
  Members in(json);
  in.text("text", link.text);
  in.text("url", link.url);
  return in.problem();
}

std::string read_message(const Json& json, Message& message) {
  Members in(json);
  int version = 0;
  in.number("version", version);
  if (version < 1 || version > kVersion) in.wrong("its version is not known here");
  in.text("id", message.id);
  if (message.id.empty()) in.wrong("it has no id");
  in.word("kind", parse_message_kind, message.kind);
  in.word("severity", parse_severity, message.severity);
  in.text("target", message.target);
  in.time("made_at", message.made_at);
  in.number("group", message.group);
  in.time("group_started_at", message.group_started_at);
  in.number("part", message.part);
  in.text("note", message.note);
  if (const Json* sites = in.list("sites")) {
    if (sites->size() > kMessageSitesMax) in.wrong("it names too many sites");
    for (const Json& site : *sites) {
      if (std::string wrong = read_site(site, message.sites.emplace_back()); !wrong.empty())
        in.wrong(std::move(wrong));
    }
  }
  if (const Json* links = in.list("links")) {
    for (const Json& link : *links) {
      if (std::string wrong = read_link(link, message.links.emplace_back()); !wrong.empty())
        in.wrong(std::move(wrong));
    }
  }
  return in.problem();
}

std::string hex16(std::uint64_t number) {
  std::string out(16, '0');
  for (std::size_t i = 16; i-- > 0; number >>= 4U) out[i] = "0123456789abcdef"[number & 15U];
  return out;
}

// Two hashes of one text are as good as one of 128 bits here: nobody chooses the parts to collide.
std::string hex32(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += std::to_string(part.size()) + ":" + part;
  return hex16(core::stable_hash("a" + text)) + hex16(core::stable_hash("b" + text));
}

std::string_view heading(MessageKind kind) {
  switch (kind) {
    case MessageKind::SeemsDown:
      return "SEEMS DOWN";
    case MessageKind::Down:
      return "DOWN";
    case MessageKind::Up:
      return "UP";
    case MessageKind::Warning:
      return "WARNING";
    case MessageKind::WarningOver:
      return "OVER";
    case MessageKind::Flapping:
      return "FLAPPING";
    case MessageKind::FlappingOver:
      return "STEADY";
    case MessageKind::Reminder:
      return "STILL DOWN";
    case MessageKind::Test:
      return "TEST";
  }
  return "";
}

// That a site is up is said only where somebody saw it up.
std::string_view heading(const Message& message) {
  const bool unseen = message.kind == MessageKind::Up &&
                      std::any_of(message.sites.begin(), message.sites.end(), [](const auto& site) {
                        return site.after == core::SiteState::Paused ||
                               site.after == core::SiteState::Unknown ||
                               site.after == core::SiteState::Maintenance;
                      });
  return heading(unseen ? MessageKind::WarningOver : message.kind);
}

// Of a warning what was seen, where there is something to say.
std::string of_warning(const Message& message, const MessageSite& site) {
  if (ends(message.kind)) {
    const bool over = site.reason == core::TransitionReason::Recovered;
    return " (" + std::string(cause_word(site)) +
           (over ? "" : ", " + std::string(core::to_string(site.reason))) + ")";
  }
  const std::string& detail = site.evidence.detail;
  return ": " + (detail.empty() ? std::string(cause_word(site)) : detail);
}

std::string of_one(const Message& message, const MessageSite& site) {
  if (site.kind != core::EventKind::Outage) return of_warning(message, site);
  if (message.kind == MessageKind::FlappingOver)
    return ": " + std::string(core::to_string(site.after));
  if (message.kind == MessageKind::Flapping)
    return site.started_at == core::kNoWallTime ? ""
                                                : " since " + core::to_iso8601(site.started_at);
  if (!ends(message.kind)) {
    std::string line = ": " + std::string(core::to_string(site.evidence.cause));
    if (message.kind == MessageKind::Reminder && site.started_at != core::kNoWallTime)
      line += ", since " + core::to_iso8601(site.started_at);
    return line;
  }
  if (site.reason == core::TransitionReason::Recovered) return "";
  return " (" + std::string(core::to_string(site.reason)) + ")";
}

}  // namespace

std::optional<MessageKind> parse_message_kind(std::string_view name) {
  for (std::size_t i = 0; i < kMessageKindNames.size(); ++i) {
    if (kMessageKindNames.at(i) == name) return static_cast<MessageKind>(i);
  }
  return std::nullopt;
}

std::string_view state_word(const MessageSite& site) {
  if (site.kind == core::EventKind::Outage) return core::to_string(site.after);
  if (site.ended_at == core::kNoWallTime) return "warning";
  return site.after == core::SiteState::Up ? "ok" : core::to_string(site.after);
}

std::string_view previous_state_word(const MessageSite& site) {
  if (site.kind == core::EventKind::Outage) return core::to_string(site.before);
  return site.reason == core::TransitionReason::Opened ? "ok" : "warning";
}

std::string_view cause_word(const MessageSite& site) {
  return site.kind == core::EventKind::Outage ? core::to_string(site.evidence.cause)
                                              : core::to_string(site.kind);
}

std::string headline(const Message& message) {
  std::string line(heading(message));
  if (message.sites.empty()) return line + " of " + message.target;
  if (message.sites.size() == 1)
    return line + " " + message.sites.front().shown() + of_one(message, message.sites.front());
  line += " " + std::to_string(message.sites.size()) + " sites";
  const MessageSite& first = message.sites.front();
  if (first.kind != core::EventKind::Outage) line += ": " + std::string(cause_word(first));
  if (message.group_started_at != core::kNoWallTime)
    line += " of the outage since " + core::to_iso8601(message.group_started_at);
  if (message.part > 1) line += " (part " + std::to_string(message.part) + ")";
  return line;
}

std::string condition_key(const MessageSite& site) {
  std::vector<std::string> parts{std::to_string(site.site.value),
                                 std::to_string(core::to_unix_ms(site.started_at))};
  if (site.kind != core::EventKind::Outage) parts.emplace_back(core::to_string(site.kind));
  return "ww-" + hex32(parts);
}

std::string message_id(const std::vector<std::string>& parts) {
  return "msg_" + hex32(parts);
}

std::string encode_message(const Message& message) {
  Json sites = Json::array();
  for (const MessageSite& site : message.sites) sites.push_back(site_json(site));
  Json links = Json::array();
  for (const MessageLink& link : message.links)
    links.push_back({{"text", link.text}, {"url", link.url}});
  const Json json{{"version", kVersion},
                  {"id", message.id},
                  {"kind", to_string(message.kind)},
                  {"severity", to_string(message.severity)},
                  {"target", message.target},
                  {"made_at", time_json(message.made_at)},
                  {"sites", std::move(sites)},
                  {"group", message.group},
                  {"group_started_at", time_json(message.group_started_at)},
                  {"part", message.part},
                  {"note", message.note},
                  {"links", std::move(links)}};
  // What a site sent may be no UTF-8: a notice is never refused for it.
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

core::Result<Message> decode_message(std::string_view text) {
  const Json json = Json::parse(text, nullptr, false);
  if (json.is_discarded()) return corrupt("it is no JSON");
  Message message;
  if (const std::string problem = read_message(json, message); !problem.empty())
    return corrupt(problem);
  return message;
}

}  // namespace watchwheel::sideeffects
