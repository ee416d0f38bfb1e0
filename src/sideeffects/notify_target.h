// SPDX-License-Identifier: Apache-2.0
// sideeffects/notify_target.h - what one [[notify]] entry says: whom we tell, of what, over which channel, how patiently.
//
// Values, constant once made; a reload makes new ones. Nothing is read from a file here: a secret's file is named, and read by the
// channel when it sends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/site.h"
#include "sideeffects/channel_api.h"
#include "sideeffects/message.h"
#include "sideeffects/rate_limit.h"
#include "sideeffects/retry_policy.h"

namespace watchwheel::sideeffects {

struct NotifyTarget {
  // Its name is never empty and no two are alike: it names the target in deliveries, metrics and logs. One renamed is another one.
  ChannelTarget channel;

  std::vector<std::string> tags;  // Only sites with one of them. None: all.
  std::vector<core::SiteState> states{core::SiteState::Down, core::SiteState::Up};
  bool warnings = false;               // "warning" is among its states: told of warnings, and of their ends.
  Severity severity = Severity::Info;  // At least.
  core::Duration remind{};             // While down, each so often. 0: never.
  // An outage whose notice still waits when it ends: neither is told. False: both, in order.
  bool skip_short = false;

  RateLimit rate{.per_minute = 0, .burst = 10};
  std::uint32_t in_flight_max = 4;
  RetrySettings retry;
  // What has waited longer than this is not sent any more, but for the end of what was told. 0: nothing is too old.
  core::Duration max_age = std::chrono::hours{72};

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
