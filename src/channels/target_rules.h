// SPDX-License-Identifier: Apache-2.0
// channels/target_rules.h - what of a target cannot work, before anything is sent. For validate-config and for the start.
//
// Pure; any thread: no file is read and no name is looked up.
#pragma once

#include <string>
#include <vector>

#include "sideeffects/channel_api.h"

namespace watchwheel::channels {

struct TargetProblem {
  std::string key;   // Of the entry: "url", "to".
  std::string what;  // A sentence that says what would be right.
  friend bool operator==(const TargetProblem&, const TargetProblem&) = default;
};

// In the order of the keys; empty: none.
[[nodiscard]] std::vector<TargetProblem> target_problems(const sideeffects::ChannelTarget& target);

// Why this URL cannot be this channel's; "": it can. Also for one that was read from a file.
[[nodiscard]] std::string url_problem(sideeffects::ChannelType type, const std::string& url);

// Where PagerDuty takes events, for an entry without a url.
inline constexpr const char* kPagerDutyUrl = "https://events.pagerduty.com/v2/enqueue";

}  // namespace watchwheel::channels
