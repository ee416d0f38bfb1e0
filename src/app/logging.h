// SPDX-License-Identifier: Apache-2.0
// app/logging.h - the real log: standard error, for journald, a terminal or a collector of JSON
// lines.
//
// Owns     a queue of kLogQueueLines lines and the thread that writes them ("log"); standard output
//          is never touched.
// Thread   as Log; set_level: any.
// Fails    as Log. What is queued is written before the destructor returns.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "app/config.h"
#include "app/log.h"

namespace watchwheel::app {

inline constexpr std::size_t kLogQueueLines = 2048;

class Logging : public Log {
 public:
  // Auto becomes Text on a terminal; else Journal when systemd started us (INVOCATION_ID) or
  // standard error is the journal (JOURNAL_STREAM); else Text.
  [[nodiscard]] static std::unique_ptr<Logging> make(const LogConfig& config);

  virtual void set_level(LogLevel level) noexcept = 0;
  // Lines dropped because the queue was full.
  [[nodiscard]] virtual std::uint64_t dropped() const noexcept = 0;
};

// What a line looks like, without its newline. `unix_ms`: when. Pure.
//   Text     2026-11-20T12:00:00.123Z warning lease_lost bucket=7
//   Journal  <4>lease_lost bucket=7                (journald keeps the time)
//   Json     {"ts":"…","level":"warning","event":"lease_lost","message":"lease_lost bucket=7"}
[[nodiscard]] std::string format_log_line(LogFormat format, LogLevel level, std::int64_t unix_ms,
                                          std::string_view line);
// Which format Auto stands for, given the two variables (null: not set) and whether standard error is
// a terminal: a shell inside a systemd session has the variables too.
[[nodiscard]] LogFormat resolve_log_format(LogFormat wanted, const char* invocation_id,
                                           const char* journal_stream, bool terminal);

}  // namespace watchwheel::app
