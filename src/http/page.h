// SPDX-License-Identifier: Apache-2.0
// http/page.h - the operator's page: how things are in one sentence, state, small histories, the
// status and links, as one HTML document without scripts that asks for itself again.
//
// Owns     nothing. Pure.
// Bounded  kPageRowsMax rows of status, nested kPageDepthMax deep; what is left out is said.
// Fails    a status that is no JSON is shown as such.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace watchwheel::http {

inline constexpr std::size_t kPageRowsMax = 1000;
inline constexpr std::size_t kPageDepthMax = 8;
inline constexpr std::size_t kPageHistoryMax = 1000;  // Points of a small history.

struct PageState {
  bool healthy = false;
  std::string healthy_why;  // When not.
  bool ready = false;
  std::string ready_why;
  std::string status_json;
};

[[nodiscard]] std::string render_page(const PageState& state);

// `text` for HTML content and quoted attributes: & < > " ' as entities, control characters but tab and line break as U+FFFD.
[[nodiscard]] std::string escape_html(std::string_view text);

}  // namespace watchwheel::http
