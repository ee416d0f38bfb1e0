// SPDX-License-Identifier: Apache-2.0
// sideeffects/notify_target.h - what one [[notify]] entry says: whom we tell, of what, over which channel, how patiently.
//
// Values, constant once made; a reload makes new ones. Nothing is read from a file here: a secret's file is named, and read by the
// channel when it sends.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/clock.h"
#include "core/site.h"
#include "sideeffects/channel_api.h"
#include "sideeffects/message.h"

namespace watchwheel::sideeffects {

// When a failed attempt is followed by the next (retry_policy.h computes it). Every policy but Schedule grows from `base` and
// stays below `cap`.
enum class RetryKind : std::uint8_t {
  Schedule,
  Fixed,
  Linear,
  Exponential,
  FullJitter,
  EqualJitter
};
inline constexpr std::array<std::string_view, 6> kRetryKindNames{
    "schedule", "fixed", "linear", "exponential", "full_jitter", "equal_jitter"};
[[nodiscard]] constexpr std::string_view to_string(RetryKind kind) {
  return kRetryKindNames.at(static_cast<std::size_t>(kind));
}
[[nodiscard]] constexpr std::optional<RetryKind> parse_retry_kind(std::string_view name) {
  for (std::size_t i = 0; i < kRetryKindNames.size(); ++i) {
    if (kRetryKindNames.at(i) == name) return static_cast<RetryKind>(i);
  }
  return std::nullopt;
}

struct RetrySettings {
  RetryKind kind = RetryKind::Schedule;
  core::Duration base = std::chrono::seconds{5};  // 1 ms to 1 h.
  core::Duration cap = std::chrono::minutes{15};  // `base` to 7 days.
  std::uint32_t attempts_max = 8;                 // The first included. 1 to 100.
  // Of Schedule: before the 2nd attempt, the 3rd … ; the last one repeats. Never empty. Some 17 hours in all.
  std::vector<core::Duration> schedule{std::chrono::seconds{5}, std::chrono::minutes{1},
                                       std::chrono::minutes{5}, std::chrono::minutes{30},
                                       std::chrono::hours{2},   std::chrono::hours{5},
                                       std::chrono::hours{10}};
  friend bool operator==(const RetrySettings&, const RetrySettings&) = default;
};

struct NotifyTarget {
  // Its name is never empty and no two are alike: it names the target in deliveries, metrics and logs. One renamed is another one.
  ChannelTarget channel;

  std::vector<std::string> tags;  // Only sites with one of them. None: all.
  std::vector<core::SiteState> states{core::SiteState::Down, core::SiteState::Up};
  Severity severity = Severity::Info;  // At least.
  core::Duration remind{};             // While down, each so often. 0: never.
  bool skip_short =
      false;  // An outage whose notice is still waiting when it ends: neither is told. False: both, in order.

  std::uint32_t rate_per_minute = 0;  // 0: no limit.
  std::uint32_t burst = 10;
  std::uint32_t in_flight_max = 4;
  RetrySettings retry;

  [[nodiscard]] const std::string& name() const { return channel.name; }
  [[nodiscard]] bool wants(core::SiteState state) const {
    for (const core::SiteState wanted : states) {
      if (wanted == state) return true;
    }
    return false;
  }
  friend bool operator==(const NotifyTarget&, const NotifyTarget&) = default;
};

}  // namespace watchwheel::sideeffects
