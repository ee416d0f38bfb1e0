// SPDX-License-Identifier: Apache-2.0
// checker/trace_lines.h - header lines as a trace keeps them: without what may be a secret, and only so many.
//
// A value; any thread.
// Bounded  kTraceBytesMax, each line reckoned with its own cost; what comes beyond it is left out, and a last line says so.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace watchwheel::checker {

inline constexpr std::size_t kTraceBytesMax = 64 * 1024;

class TraceLines {
 public:
  // One line, or a whole head; line ends and empty lines are not kept. Of a header that may authenticate (is_credential_header)
  // the name stays and the value becomes "(not shown)".
  void add(std::string_view text);
  [[nodiscard]] std::vector<std::string> take();

 private:
  void add_line(std::string_view line);
  static std::string without_logins(std::string line);
  void keep(std::string line);

  std::vector<std::string> lines_;
  std::size_t bytes_ = 0;
  bool secret_ = false;  // The line before was one: what is folded below it belongs to it.
  bool full_ = false;
};

}  // namespace watchwheel::checker
