// SPDX-License-Identifier: Apache-2.0
// core/site.h - a site as the store keeps it, and the words for its state.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/check_options.h"
#include "core/clock.h"
#include "core/ids.h"
#include "core/probe.h"

namespace watchwheel::core {

inline constexpr std::size_t kUrlBytesMax = 2048;
inline constexpr Duration kIntervalMin = 1s;
inline constexpr Duration kIntervalMax = 24h;

// A row of the site list.
struct SiteRecord {
  SiteId id;
  std::string url;               // At most kUrlBytesMax.
  std::optional<Duration> interval;  // Nothing: the configuration's default. kIntervalMin to kIntervalMax, whole milliseconds.
  bool active = true;            // False: paused.
  std::string name;              // At most 256 bytes.
  std::vector<std::string> tags; // At most 32, each at most 64 bytes.
  SiteOptions options;

  friend bool operator==(const SiteRecord&, const SiteRecord&) = default;
};

enum class SiteState : std::uint8_t { Up, SeemsDown, Down, Unknown, Maintenance, Paused };
inline constexpr std::size_t kSiteStateCount = 6;
[[nodiscard]] std::string_view to_string(SiteState state);
[[nodiscard]] std::optional<SiteState> parse_site_state(std::string_view name);

enum class TransitionReason : std::uint8_t {
  Opened, Confirmed, FalseAlarm, Recovered, SeverityChanged, Maintenance, SiteRemoved, Operator
};
inline constexpr std::size_t kTransitionReasonCount = 8;
[[nodiscard]] std::string_view to_string(TransitionReason reason);
[[nodiscard]] std::optional<TransitionReason> parse_transition_reason(std::string_view name);

// An event that is open, as a restart needs it to go on where it stopped.
struct OpenEvent {
  EventId id;
  SiteState state = SiteState::SeemsDown;  // SeemsDown or Down.
  WallTime started_at = kNoWallTime;       // The first failure. Never moves.
  WallTime confirmed_at = kNoWallTime;     // kNoWallTime while it only seems down.
  std::uint32_t failures = 0;              // In a row so far: the streak.
  Cause cause = Cause::Cancelled;          // The newest evidence.

  friend bool operator==(const OpenEvent&, const OpenEvent&) = default;
};

// What a lane is told when it takes a site over: the record and what is already known of it.
struct KnownSite {
  SiteRecord record;
  std::optional<OpenEvent> open_event;
  WallTime last_checked_at = kNoWallTime;  // The newest conclusive result that was projected. kNoWallTime: none.
  // What of it cannot be read, for the operator; "" when all could. Then only the record's id is sure: the site is not
  // asked and turns unknown, and the others go on.
  std::string problem;
};

}  // namespace watchwheel::core
