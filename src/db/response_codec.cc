// SPDX-License-Identifier: Apache-2.0
#include "db/response_codec.h"

#include <charconv>

namespace watchwheel::db {

std::string responses_to_text(const core::ResponseHistogram& responses) {
  std::string text;
  for (std::size_t step = 0; step < responses.counts.size(); ++step) {
    if (responses.counts.at(step) == 0) continue;
    if (!text.empty()) text += ',';
    text += std::to_string(step) + ':' + std::to_string(responses.counts.at(step));
  }
  return text;
}

core::Result<core::ResponseHistogram> responses_from_text(std::string_view text) {
  core::ResponseHistogram responses;
  const char* at = text.data();
  const char* const end = at + text.size();
  std::size_t next = 0;  // The lowest step that may come.
  while (at != end) {
    std::size_t step = 0;
    std::uint64_t count = 0;
    auto read = std::from_chars(at, end, step);
    bool good = read.ec == std::errc{} && step >= next && step < responses.counts.size() &&
                read.ptr != end && *read.ptr == ':';
    if (good) {
      read = std::from_chars(read.ptr + 1, end, count);
      good = read.ec == std::errc{} && count > 0 &&
             (read.ptr == end || (*read.ptr == ',' && read.ptr + 1 != end));
    }
    if (!good) {
      return core::Error{core::ErrorKind::Invalid,
                         "'" + std::string(text.substr(0, 100)) + "' are no response times"};
    }
    responses.counts.at(step) = count;
    next = step + 1;
    at = read.ptr == end ? end : read.ptr + 1;
  }
  return responses;
}

}  // namespace watchwheel::db
