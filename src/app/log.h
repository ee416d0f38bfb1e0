// SPDX-License-Identifier: Apache-2.0
// app/log.h - where a line of the log goes. Given to whoever logs; how it is written is
// logging.h's.
//
// Thread   any, for every call.
// Bounded  lines wait in a queue of fixed size while standard error is slow; when it is full the
//          oldest are dropped and counted: a lane never waits for a log.
// Fails    never. A line that cannot be written is lost.
//
// A line is an event name and keys, units in the keys: "lease_lost bucket=7 held_s=12". Changes,
// not work; no credentials, no query strings.
#pragma once

#include <cstdint>
#include <string_view>

#include "app/config.h"
#include "core/pinned.h"

namespace watchwheel::app {

class Log : core::Pinned {
 public:
  virtual ~Log() = default;

  // Control characters in `line` are escaped, so that no text from outside can write a line of its
  // own.
  virtual void write(LogLevel level, std::string_view line) noexcept = 0;
  // Ask it before a line that is dear to format.
  [[nodiscard]] virtual bool enabled(LogLevel level) const noexcept = 0;

  void debug(std::string_view line) noexcept { write(LogLevel::Debug, line); }
  void info(std::string_view line) noexcept { write(LogLevel::Info, line); }
  void warn(std::string_view line) noexcept { write(LogLevel::Warning, line); }
  void error(std::string_view line) noexcept { write(LogLevel::Error, line); }
};

}  // namespace watchwheel::app
