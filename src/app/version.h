// SPDX-License-Identifier: Apache-2.0
// app/version.h - what this binary is, and what it runs on.
#pragma once

#include <string>
#include <string_view>

namespace watchwheel::app {

[[nodiscard]] std::string_view version();  // "0.1.0"
[[nodiscard]] std::string_view
commit();  // Twelve digits, or "unknown" when it was not built from a checkout.
// Version, commit, and the libraries as found at run time, one a line; no final newline.
[[nodiscard]] std::string version_text();
// Sent by every check that names no other: "Watchwheel/0.1.0 (uptime monitor)".
[[nodiscard]] std::string default_user_agent();

}  // namespace watchwheel::app
