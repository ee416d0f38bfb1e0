// SPDX-License-Identifier: Apache-2.0
// app/result_text.h - a probe result as a page for a person who asks about one site.
//
// Pure; any thread. Without a trace (core/probe_trace.h) the parts that it tells are left out.
#pragma once

#include <string>
#include <string_view>

#include "app/text_page.h"
#include "core/probe.h"

namespace watchwheel::app {

// The verdict and why, where the time went, the redirects, what each address said, the certificate, what was looked for, and
// the warnings in words; with `verbose` the header lines of every hop too. `url` is what was asked for; credentials in it are
// left out.
[[nodiscard]] std::string result_text(std::string_view url, const core::ProbeResult& result,
                                      const TextStyle& style);

}  // namespace watchwheel::app
