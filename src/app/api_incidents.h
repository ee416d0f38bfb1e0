// SPDX-License-Identifier: Apache-2.0
// app/api_incidents.h - events over HTTP, and what people do to open ones: what `watchwheel incidents` and its `ack`, `comment`, `close` do.
//
// Who acts is what the request says (`by`): the token tells that somebody may, not who. A request that is sent twice is one: by its
// Idempotency-Key, and without one by what it says.
#pragma once

#include <string_view>
#include <vector>

#include "app/store_reader.h"
#include "sideeffects/operator_api.h"

namespace watchwheel::app {

[[nodiscard]] std::vector<ApiRoute> incident_routes();

// The body of such a request. Invalid: it is no JSON object of the members that the act takes, or one of them is empty, too long, or
// has control characters where a name stands; the message says what would be right.
[[nodiscard]] core::Result<sideeffects::OperatorRequest> operator_request(sideeffects::Act act,
                                                                          core::EventId event,
                                                                          std::string_view body);

}  // namespace watchwheel::app
