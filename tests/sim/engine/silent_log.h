// SPDX-License-Identifier: Apache-2.0
// silent_log.h - a log that keeps its lines for the test.
#pragma once

#include <string>
#include <vector>

#include "app/log.h"

namespace watchwheel::testing {

class SilentLog final : public app::Log {
 public:
  void write(app::LogLevel, std::string_view line) noexcept override { lines.emplace_back(line); }
  [[nodiscard]] bool enabled(app::LogLevel) const noexcept override { return true; }

  std::vector<std::string> lines;
};

}  // namespace watchwheel::testing
