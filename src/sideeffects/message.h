// SPDX-License-Identifier: Apache-2.0
// sideeffects/message.h - what somebody is told, before any channel gives it its own form.
//
// A value. Made by the router, kept in the store as the JSON of encode_message (so what is sent is what was decided, whatever
// happens to the site meanwhile), formed by a channel.
//
// Bounded  at most kMessageSitesMax sites; texts are as long as the store lets a site's and an evidence's be.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/event_kind.h"
#include "core/ids.h"
#include "core/result.h"
#include "core/site.h"
#include "core/site_facts.h"

namespace watchwheel::sideeffects {

inline constexpr std::size_t kMessageSitesMax = 1000;

// How bad what is told of is. An outage is Critical once confirmed and Warning while it only seems; a warning (a certificate that
// will expire) has its own (warning_api.h); that something is over has the severity of what is over.
enum class Severity : std::uint8_t { Info, Warning, Critical };
inline constexpr std::array<std::string_view, 3> kSeverityNames{"info", "warning", "critical"};
[[nodiscard]] constexpr std::string_view to_string(Severity severity) {
  return kSeverityNames.at(static_cast<std::size_t>(severity));
}
[[nodiscard]] constexpr std::optional<Severity> parse_severity(std::string_view name) {
  for (std::size_t i = 0; i < kSeverityNames.size(); ++i) {
    if (kSeverityNames.at(i) == name) return static_cast<Severity>(i);
  }
  return std::nullopt;
}

// How bad what an event is about is. Of a certificate that ends within three days, critical; above three weeks it is only said.
[[nodiscard]] constexpr Severity severity_of(core::EventKind kind, core::Duration step) {
  if (kind == core::EventKind::Outage) return Severity::Critical;
  if (kind != core::EventKind::TlsExpiring) return Severity::Warning;
  if (step <= std::chrono::hours{3 * 24}) return Severity::Critical;
  return step <= std::chrono::hours{21 * 24} ? Severity::Warning : Severity::Info;
}

enum class MessageKind : std::uint8_t {
  SeemsDown,  // Failing here, not confirmed.
  Down,
  Up,  // What was told (SeemsDown or Down) is over. MessageSite::reason says how: recovered, false_alarm, operator, …
  Warning,  // A condition that is no outage: a certificate that will expire.
  WarningOver,
  Flapping,  // The state changes so often that single changes are not told for now.
  Reminder,  // Still down.
  Test,      // Somebody tries the target. No site is concerned.
  FlappingOver,  // It is steady again. MessageSite::after says how it stands: maybe down.
};
inline constexpr std::array<std::string_view, 9> kMessageKindNames{
    "seems_down", "down",     "up",   "warning",      "warning_over",
    "flapping",   "reminder", "test", "flapping_over"};
[[nodiscard]] constexpr std::string_view to_string(MessageKind kind) {
  return kMessageKindNames.at(static_cast<std::size_t>(kind));
}
[[nodiscard]] std::optional<MessageKind> parse_message_kind(std::string_view name);

// Whether the condition is over with it: what a receiver that keeps alerts resolves.
[[nodiscard]] constexpr bool ends(MessageKind kind) {
  return kind == MessageKind::Up || kind == MessageKind::WarningOver ||
         kind == MessageKind::FlappingOver;
}

// What a target knows of single outages is not changed by it.
[[nodiscard]] constexpr bool is_of_flapping(MessageKind kind) {
  return kind == MessageKind::Flapping || kind == MessageKind::FlappingOver;
}

// One site of a message: the event as it stood when the change was made that is told.
struct MessageSite {
  core::SiteId site;
  std::string name;  // "" when it has none.
  std::string url;
  std::vector<std::string> tags;
  core::EventId event;  // 0: the store was away when it was decided, and gives it one later. See condition_key().
  std::uint32_t transition = 0;  // The seq of the change; 0: none of its own (a reminder).
  core::TransitionReason reason = core::TransitionReason::Opened;
  core::SiteState before = core::SiteState::Up;
  core::SiteState after = core::SiteState::Down;
  core::WallTime started_at = core::kNoWallTime;
  core::WallTime confirmed_at = core::kNoWallTime;
  core::WallTime ended_at = core::kNoWallTime;
  core::WallTime at = core::kNoWallTime;  // Of the change.
  std::uint32_t failures = 0;
  core::Evidence evidence;  // What earned it. Of an end: the last failure.
  std::vector<std::string>
      witnesses;  // Who else saw it: names of verifiers. Empty: confirmed from here only.
  // Not Outage: the warning that it is about; `before` means nothing then, and `after` of its end only.
  core::EventKind kind = core::EventKind::Outage;
  core::Duration step{};  // How near it has come (warning_api.h), in whole milliseconds.

  // What to call it.
  [[nodiscard]] const std::string& shown() const { return name.empty() ? url : name; }
  friend bool operator==(const MessageSite&, const MessageSite&) = default;
};

struct MessageLink {
  std::string text;
  std::string url;
  friend bool operator==(const MessageLink&, const MessageLink&) = default;
};

struct Message {
  // "msg_" and 32 hexadecimal digits: the same at every attempt, and no other message of this or another installation has it.
  std::string id;
  MessageKind kind = MessageKind::Test;
  Severity severity = Severity::Info;
  std::string target;                          // The name of whom it is for.
  core::WallTime made_at = core::kNoWallTime;  // When it was decided.
  std::vector<MessageSite> sites;              // Of a test: none. Usually one.
  // The mass outage that its sites are a part of, 0: none. Several messages may tell of one, each names only sites that none
  // before it named. Of those that were made at once, because one had no room for all, `part` counts from 1; 0: it is the only one.
  std::uint64_t group = 0;
  core::WallTime group_started_at = core::kNoWallTime;
  std::uint32_t part = 0;
  std::string note;  // What else is to be said, for people. Usually "".
  std::vector<MessageLink> links;

  [[nodiscard]] bool is_digest() const { return group != 0; }
  friend bool operator==(const Message&, const Message&) = default;
};

// The words for what it was and is: of an outage the site's state; of a warning "ok", "warning", or what became of the site.
[[nodiscard]] std::string_view state_word(const MessageSite& site);
[[nodiscard]] std::string_view previous_state_word(const MessageSite& site);
// Why: the cause of the last failure, or which warning it is.
[[nodiscard]] std::string_view cause_word(const MessageSite& site);

// One line for people, without any markup: "DOWN shop.example: connect_timeout", "UP 37 sites of the outage since …".
[[nodiscard]] std::string headline(const Message& message);

// What joins the messages of one condition at a receiver that keeps alerts (a deduplication key): the same for the message that
// begins it, its reminders and its end. Stable over restarts; unlike between installations that watch different URLs.
[[nodiscard]] std::string condition_key(const MessageSite& site);

// An id made of `parts`: the same parts give the same id, on every host and version.
[[nodiscard]] std::string message_id(const std::vector<std::string>& parts);

// The JSON kept in the store. decode accepts what encode of this or an older version made and passes over members it does not know.
// Corrupt: anything else, with what is wrong.
[[nodiscard]] std::string encode_message(const Message& message);
[[nodiscard]] core::Result<Message> decode_message(std::string_view json);

}  // namespace watchwheel::sideeffects
