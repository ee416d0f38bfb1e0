// SPDX-License-Identifier: Apache-2.0
// channels/bodies.h - a message as the JSON that each kind of receiver takes. docs/reference/notifications.md describes them.
//
// Pure; any thread. Nothing here can fail: what is no UTF-8 is replaced.
//
// A receiver that keeps alerts (Alertmanager, PagerDuty) knows one for each incident of a site, by a key that is the same for
// its first message, its reminders and its end. So what was told in a digest is resolved site by site, by whichever message
// tells that it is over; the receivers themselves group what belongs together.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "channels/message_values.h"
#include "sideeffects/message.h"

namespace watchwheel::channels {

// Of a webhook, and on a command's standard input. `id`: the delivery's. `text`: the operator's wording, "": not in it.
[[nodiscard]] std::string webhook_body(const sideeffects::Message& message, std::string_view id,
                                       const std::string& text);

// What is POSTed to /api/v2/alerts. `target`: the name of the entry, a label to route by. `now`: of this attempt.
[[nodiscard]] std::string alertmanager_body(const sideeffects::Message& message,
                                            const std::string& target, const Wording& wording,
                                            core::WallTime now);

// What Slack calls an incoming webhook. `wording`: with what Slack takes for markup escaped.
[[nodiscard]] std::string slack_body(const sideeffects::Message& message, const Wording& wording);
[[nodiscard]] std::string slack_escape(std::string_view text);

// One event of PagerDuty's Events v2 for each site.
[[nodiscard]] std::vector<std::string> pagerduty_bodies(const sideeffects::Message& message,
                                                        const std::string& routing_key,
                                                        const Wording& wording);

}  // namespace watchwheel::channels
