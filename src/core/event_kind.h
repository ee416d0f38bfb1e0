// SPDX-License-Identifier: Apache-2.0
// core/event_kind.h - what an event is about: an outage, or a warning, which is no outage and changes nothing about a site's state.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/probe.h"

namespace watchwheel::core {

// Of one site at most one event of each kind is open.
enum class EventKind : std::uint8_t {
  Outage,
  // As core::Warning, one for each.
  TlsExpiring,
  TlsDeprecated,
  LatencyExceeded,
  RedirectDowngrade,
};
inline constexpr std::size_t kEventKindCount = 5;
inline constexpr std::array<std::string_view, kEventKindCount> kEventKindNames{
    "outage", "tls_expiring", "tls_deprecated", "latency_exceeded", "redirect_downgrade"};

[[nodiscard]] constexpr std::string_view to_string(EventKind kind) {
  return kEventKindNames.at(static_cast<std::size_t>(kind));
}
[[nodiscard]] constexpr std::optional<EventKind> parse_event_kind(std::string_view name) {
  for (std::size_t i = 0; i < kEventKindCount; ++i) {
    if (kEventKindNames.at(i) == name) return static_cast<EventKind>(i);
  }
  return std::nullopt;
}

struct WarningKind {
  Warning warning;
  EventKind kind;
};
inline constexpr std::array<WarningKind, kEventKindCount - 1> kWarningKinds{
    {{Warning::TlsExpiring, EventKind::TlsExpiring},
     {Warning::TlsDeprecated, EventKind::TlsDeprecated},
     {Warning::LatencyExceeded, EventKind::LatencyExceeded},
     {Warning::RedirectDowngrade, EventKind::RedirectDowngrade}}};

}  // namespace watchwheel::core
