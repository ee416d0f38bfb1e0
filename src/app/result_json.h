// SPDX-License-Identifier: Apache-2.0
// app/result_json.h - a probe result as the public JSON.
//
// Pure; any thread. The keys and their order are promises (docs/reference/commands.md); a golden test holds them.
#pragma once

#include <string>
#include <string_view>

#include "core/probe.h"

namespace watchwheel::app {

// One JSON object, indented, without a final newline. `url` is what was asked for; credentials in it are left out. Bytes that are
// no UTF-8 are replaced. With `headers` each hop of the trace has its header lines too.
[[nodiscard]] std::string result_json(std::string_view url, const core::ProbeResult& result,
                                      bool headers = false);

}  // namespace watchwheel::app
