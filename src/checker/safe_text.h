// SPDX-License-Identifier: Apache-2.0
// checker/safe_text.h - texts that a peer or a user chose, made fit for logs, JSON and terminals.
//
// Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace watchwheel::checker {

// Valid UTF-8 without control characters, at most `bytes_max` bytes and cut at a character: each byte that does not fit becomes '?'.
[[nodiscard]] std::string safe_text(std::string_view text, std::size_t bytes_max);
// The same, with everything beyond ASCII as '?': for what should be ASCII anyway.
[[nodiscard]] std::string printable(std::string_view text, std::size_t bytes_max);

}  // namespace watchwheel::checker
