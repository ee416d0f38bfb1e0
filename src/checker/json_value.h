// SPDX-License-Identifier: Apache-2.0
// checker/json_value.h - one place in a JSON document, compared with a value.
//
// Pure; any thread.
// Bounded  by the document: at most about 30 times its bytes while it is judged; kJsonDepthMax levels (content_rules.h).
// Fails    as a text. Nothing throws, whatever the bytes.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checker/content_rules.h"

namespace watchwheel::checker {

// Why `text` is no JSON document (RFC 8259), such as "unexpected end at byte 12"; "" when it is one.
[[nodiscard]] std::string json_problem(std::string_view text);

struct JsonAnswer {
  bool holds = false;
  std::string
      what;  // For a person: what is there, and what was expected where it differs. Printable, at most about 250 bytes.
};

// One answer for each of `rules`, in their order. A number equals another of the same value, however written; an object another with
// the same members in any order. A text beyond JSON gives the same problem for each.
[[nodiscard]] std::vector<JsonAnswer> judge_json(const std::vector<JsonRule>& rules,
                                                 std::string_view document);

}  // namespace watchwheel::checker
