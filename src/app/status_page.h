// SPDX-License-Identifier: Apache-2.0
// app/status_page.h - the daemon's status document as lines for a person: `watchwheel status`.
//
// Pure; any thread.
// Bounded  by the document, whose size who fetched it has bounded; kStatusLanesMax lanes and as many queues and limits.
//
// The document may be of an older or newer daemon: what it does not tell is left out, what is odd is shown as "?", and nothing in
// it can reach the terminal as anything but text.
#pragma once

#include <cstddef>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "app/text_page.h"
#include "core/result.h"

namespace watchwheel::app {

inline constexpr std::size_t kStatusLanesMax = 256;

// Invalid: no JSON object.
[[nodiscard]] core::Result<nlohmann::ordered_json> parse_status(std::string_view text);

// The sentence on top, then everything else.
[[nodiscard]] std::string status_page(const nlohmann::ordered_json& status, const TextStyle& style);

// The same in one line, for a log: what a scrolling terminal or a file can hold.
[[nodiscard]] std::string status_line(const nlohmann::ordered_json& status);

// The sentence with its colour: the document's own, or ours of an older daemon's figures.
struct StatusHead {
  std::string text;
  Ink ink = Ink::Good;
};
[[nodiscard]] StatusHead status_head(const nlohmann::ordered_json& status);

}  // namespace watchwheel::app
