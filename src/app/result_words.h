// SPDX-License-Identifier: Apache-2.0
// app/result_words.h - a result's causes and warnings in words, and the facts that its JSON and its text both derive.
//
// Pure; any thread.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/probe.h"

namespace watchwheel::app {

inline constexpr std::array kWarnings{core::Warning::TlsExpiring, core::Warning::TlsDeprecated,
                                      core::Warning::LatencyExceeded,
                                      core::Warning::RedirectDowngrade};

// "the certificate has expired": why the site is down, or was not measured; "the site is as it should be" for Ok.
[[nodiscard]] std::string_view cause_words(core::Cause cause);
// "a redirect led from https to http", with the numbers that belong to it.
[[nodiscard]] std::string warning_words(core::Warning warning, const core::ProbeResult& result);

// Whole days until `t`, or negative since; a part of a day does not count.
[[nodiscard]] std::int64_t days_until(core::WallTime t, core::WallTime now);
// "2026-11-17T09:00:00Z": certificates know no fractions of a second.
[[nodiscard]] std::string certificate_time(core::WallTime t);

// The output of a check lands in tickets and build logs; a password in the URL must not.
[[nodiscard]] std::string without_userinfo(std::string_view url);

}  // namespace watchwheel::app
