// SPDX-License-Identifier: Apache-2.0
// app/status_summary.h - how things are, in one sentence: what a person at three in the morning reads first.
//
// Pure; any thread. It reads the status document itself, so that the daemon, the command, the page and whoever keeps an old
// document say the same of it. What the document does not hold is not spoken of.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace watchwheel::app {

enum class Standing {
  Ok,       // On time.
  Loading,  // The site list is still being read.
  Late,     // Checks or results come later than promised.
  Fault,    // We cannot judge sites, or not record what we judged.
};
[[nodiscard]] std::string_view to_string(Standing standing);

struct Summary {
  Standing standing = Standing::Ok;
  std::string text;
};

// The worst thing comes first: not loaded, a vantage fault, what is not recorded, stretched intervals, lateness, stale sites; then
// what else a person should know, after semicolons.
[[nodiscard]] Summary summarize(const nlohmann::ordered_json& status);

// What is being done about memory, by its level of watchwheel_memory_level; "" at 0 and when it is not told.
[[nodiscard]] std::string memory_measures(const nlohmann::ordered_json& status);

// "6,765" from 1,000 on, one digit after the point below 100: rates and counts for people.
[[nodiscard]] std::string shown_number(double value);

// 1.234 s -> "1.2s", 0.0123 -> "12.3ms"; "?" when it is no time.
[[nodiscard]] std::string shown_seconds(double seconds);

}  // namespace watchwheel::app
