// SPDX-License-Identifier: Apache-2.0
#include "fleet/http_head.h"

#include "fleet/units.h"

namespace watchwheel::fleet {
namespace {

bool is_named(std::string_view name, std::string_view lower_name) noexcept {
  if (name.size() != lower_name.size()) return false;
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    if (lower != lower_name[i]) return false;
  }
  return true;
}

std::string_view trimmed(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes `METHOD target HTTP/1.x` apart. False when it is something else.
bool read_request_line(std::string_view line, RequestHead& head) noexcept {
  const std::size_t first = line.find(' ');
  const std::size_t last = line.rfind(' ');
  if (first == std::string_view::npos || first == 0 || last <= first + 1) return false;
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return false;
  head.keep_alive = version == "HTTP/1.1";
  return true;
}

bool read_field(std::string_view line, RequestHead& head) noexcept {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view name = line.substr(0, colon);
  // Only four names matter; their lengths sort out nearly every other field at once.
  if (name.size() == 4 && is_named(name, "host")) {
    head.host = trimmed(line.substr(colon + 1));
  } else if (name.size() == 10 && is_named(name, "connection")) {
    if (is_named(trimmed(line.substr(colon + 1)), "close")) head.keep_alive = false;
  } else if (name.size() == 14 && is_named(name, "content-length")) {
    constexpr std::uint64_t kBodyMax = 1ULL << 40U;
    const auto length = parse_number(trimmed(line.substr(colon + 1)), kBodyMax);
    if (!length) return false;
    head.content_length = *length;
  } else if (name.size() == 17 && is_named(name, "transfer-encoding")) {
    head.has_chunked_body = true;
  }
  return true;
}

}  // namespace

HeadState read_request_head(std::string_view text, RequestHead& head) noexcept {
  const std::size_t end = text.substr(0, kRequestHeadMax).find("\r\n\r\n");
  if (end == std::string_view::npos) {
    return text.size() >= kRequestHeadMax ? HeadState::TooLarge : HeadState::NeedMore;
  }
  head = RequestHead{};
  head.length = end + 4;
  std::string_view rest = text.substr(0, end + 2);
  std::size_t line_end = rest.find("\r\n");
  if (!read_request_line(rest.substr(0, line_end), head)) return HeadState::Malformed;
  rest.remove_prefix(line_end + 2);
  while (!rest.empty()) {
    line_end = rest.find("\r\n");
    if (!read_field(rest.substr(0, line_end), head)) return HeadState::Malformed;
    rest.remove_prefix(line_end + 2);
  }
  return HeadState::Complete;
}

}  // namespace watchwheel::fleet
