// SPDX-License-Identifier: Apache-2.0
// app/daemon_client.h - asks the running daemon, over its HTTP endpoint.
//
// Thread   the command's; a call blocks for at most its timeout.
// Bounded  an answer of at most 16 MiB.
#pragma once

#include <string>
#include <string_view>

#include "app/config.h"
#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::app {

// Where to ask a daemon that listens at `listen`: the wildcard addresses are asked at loopback. Invalid: port 0, which is another
// one at each start.
[[nodiscard]] core::Result<std::string> status_url(std::string_view listen);

// The body of its /api/v1/status. Unavailable, saying what to look at: nobody answers, or somebody else.
[[nodiscard]] core::Result<std::string> fetch_status(const HttpConfig& http,
                                                     core::Duration timeout);

}  // namespace watchwheel::app
