// SPDX-License-Identifier: Apache-2.0
// app/config_rules.h - what must hold between the values of a configuration, each of them right by itself.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "app/config.h"

namespace watchwheel::app {

struct Place {
  std::uint64_t line = 0;
  std::uint64_t column = 0;
};

// Where the file sets a key ("checks.timeout"). Keys of [[section]]s are "verifier.0.name".
using Places = std::map<std::string, Place, std::less<>>;

// Lowers what follows from another value and was not set itself: connect_timeout to a shorter timeout. Returns those keys.
[[nodiscard]] std::vector<std::string_view> derive(Config& config, const Places& set);

// All contradictions, each at the key that should change. `file` stands in the problems.
[[nodiscard]] std::vector<Problem> judge_rules(const Config& config, const Places& set,
                                               const std::string& file);

}  // namespace watchwheel::app
