// SPDX-License-Identifier: Apache-2.0
// fleet/control_client.h - asks a running fleet's control port, for the `report` command.
#pragma once

#include <string>
#include <string_view>

#include "fleet/units.h"

namespace watchwheel::fleet {

// Sends one request and returns the body of a 200. Blocks for at most `timeout` for each read; reads
// at most 16 MiB. Any other answer, or none, is a problem.
[[nodiscard]] Parsed<std::string> ask_control(const Endpoint& control, std::string_view method,
                                              std::string_view target, Duration timeout);

}  // namespace watchwheel::fleet
