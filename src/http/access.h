// SPDX-License-Identifier: Apache-2.0
// http/access.h - who may ask: the bearer token, and pages of other origins.
//
// Owns     nothing. Pure, but for load_token, which reads one file.
// Thread   any.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/result.h"

namespace watchwheel::http {

inline constexpr std::size_t kTokenBytesMax = 4096;

// The token in the file at `path`, without the white space around it. Refused: a file that cannot be read, an empty
// one, one above kTokenBytesMax, a token with anything but visible ASCII. The message never holds the token.
[[nodiscard]] core::Result<std::string> load_token(const std::string& path);

// Does the value of an Authorization header carry `token` as its bearer? Takes as long for a wrong token as for the
// right one of the same length, whichever byte differs; the length itself is not hidden.
[[nodiscard]] bool bearer_matches(std::string_view authorization, std::string_view token) noexcept;

// May a request that changes something come from where its Origin header says? Without the header it was no browser's page.
// With it, the origin must be the very host and port asked (`host`), and, unless a token was checked, that host must be an
// address or `localhost`: a name could have been pointed here by whoever owns it (DNS rebinding), and then origin and host agree.
[[nodiscard]] bool origin_allowed(std::string_view origin, std::string_view host,
                                  bool token_checked);

}  // namespace watchwheel::http
