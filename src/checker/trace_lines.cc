// SPDX-License-Identifier: Apache-2.0
#include "checker/trace_lines.h"

#include <algorithm>
#include <utility>

#include "checker/plan.h"

namespace watchwheel::checker {

void TraceLines::add(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!line.empty()) add_line(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
}

void TraceLines::add_line(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {
    if (!secret_) keep(std::string(line));
    return;
  }
  const std::string_view name = line.substr(0, line.find(':'));
  // A request line has a space before any ':', which no header's name can have.
  const bool first =
      line.starts_with("HTTP/") || (lines_.empty() && name.find(' ') != std::string_view::npos);
  secret_ = !first && name.size() < line.size() && is_credential_header(name);
  keep(secret_ ? std::string(name) + ": (not shown)" : without_logins(std::string(line)));
}

// Of headers that hold URLs: the login in each is taken out.
std::string TraceLines::without_logins(std::string line) {
  for (std::size_t at = line.find("//"); at != std::string::npos; at = line.find("//", at + 2)) {
    const std::size_t end = std::min(line.find_first_of("/?#\\ \t\"'<>,;", at + 2), line.size());
    const std::size_t sign = line.rfind('@', end);
    if (sign != std::string::npos && sign > at && sign < end) line.erase(at + 2, sign - at - 1);
  }
  return line;
}

void TraceLines::keep(std::string line) {
  if (full_) return;
  bytes_ += line.size() + sizeof(std::string);
  full_ = bytes_ > kTraceBytesMax;
  lines_.push_back(full_ ? "(more lines were left out)" : std::move(line));
}

std::vector<std::string> TraceLines::take() {
  std::vector<std::string> lines = std::move(lines_);
  *this = TraceLines{};
  return lines;
}

}  // namespace watchwheel::checker
