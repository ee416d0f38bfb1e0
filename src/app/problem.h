// SPDX-License-Identifier: Apache-2.0
// app/problem.h - what is wrong in a file that a person wrote, where, and what would be right.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::app {

enum class Severity : std::uint8_t { Error, Warning };
[[nodiscard]] std::string_view to_string(Severity severity);  // "error", "warning"

struct Problem {
  std::string file;          // As the person named it; "-" for standard input.
  std::uint64_t line = 0;    // From 1; 0: the file as a whole.
  std::uint64_t column = 0;  // From 1; 0: the line as a whole.
  Severity severity = Severity::Error;
  std::string message;  // What, and what would be right. Never a secret.

  friend bool operator==(const Problem&, const Problem&) = default;
};

// "FILE:LINE:COLUMN: error: message", without the parts that are 0. Control characters are escaped:
// one problem is one line.
[[nodiscard]] std::string format(const Problem& problem);
[[nodiscard]] bool any_error(const std::vector<Problem>& problems);

// The entry of `known` that `word` was probably meant to be; "" when none is near.
[[nodiscard]] std::string_view nearest(std::string_view word,
                                       const std::vector<std::string_view>& known);

// `text` with control characters and DEL written as \xNN, and cut at `bytes_max`: for texts from
// outside in messages.
[[nodiscard]] std::string printable(std::string_view text, std::size_t bytes_max = 120);

// Well-formed UTF-8 (RFC 3629). Where it is not, `bad_at` receives the offset of the first bad
// byte.
[[nodiscard]] bool is_utf8(std::string_view text, std::size_t* bad_at = nullptr);

}  // namespace watchwheel::app
