// SPDX-License-Identifier: Apache-2.0
// checker/json_value.h - one place in a JSON document, compared with a value.
//
// Pure; any thread.
// Bounded  by the document: at most about 30 times its bytes while it is judged; kJsonDepthMax levels (content_rules.h).
// Fails    as a text. Nothing throws, whatever the bytes. JSON that goes beyond what we can hold (levels, numbers beyond a double,
//          half of a surrogate pair in a text, more than was read) is not called broken: RFC 8259 lets a reader have such limits,
//          and they are ours, not the site's.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "checker/content_rules.h"

namespace watchwheel::checker {

// Why `text` is no JSON document (RFC 8259) or none that we can hold, such as "an error at byte 12"; "" when it is one.
[[nodiscard]] std::string json_problem(std::string_view text);

struct JsonAnswer {
  bool holds = false;
  // For a person: what is there, and what was expected where it differs. Printable, at most about 250 bytes.
  std::string what;
  bool measured =
      true;  // False: our limits kept us from reading it; nothing can be said of the site.
};

// One answer for each of `rules`, in their order. A number equals another of the same value, however written; an object another with
// the same members in any order. A text beyond JSON gives the same problem for each. `cut`: the document goes on behind what was
// read, so all that can be said of it is that what was read begins no JSON.
[[nodiscard]] std::vector<JsonAnswer> judge_json(const std::vector<JsonRule>& rules,
                                                 std::string_view document, bool cut = false);

}  // namespace watchwheel::checker
