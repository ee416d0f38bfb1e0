// SPDX-License-Identifier: Apache-2.0
// sideeffects/warning_policy.h - which warnings become events, and when those of a certificate do.
#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include "core/clock.h"
#include "core/event_kind.h"

namespace watchwheel::sideeffects {

inline constexpr std::size_t kWarningStepsMax = 10;

struct WarningPolicy {
  // How long before a certificate's end it warns, and again: the longest first, no two alike, at most kWarningStepsMax. None: never.
  // Thirty days are not among them: that is when most certificates are renewed.
  std::vector<core::Duration> certificate{std::chrono::hours{14 * 24}, std::chrono::hours{7 * 24},
                                          std::chrono::hours{3 * 24}, std::chrono::hours{24}};
  std::vector<core::EventKind> kinds{core::EventKind::TlsExpiring, core::EventKind::TlsDeprecated,
                                     core::EventKind::LatencyExceeded,
                                     core::EventKind::RedirectDowngrade};

  [[nodiscard]] bool wants(core::EventKind kind) const {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  }
  friend bool operator==(const WarningPolicy&, const WarningPolicy&) = default;
};

}  // namespace watchwheel::sideeffects
