// SPDX-License-Identifier: Apache-2.0
#include "db/response_codec.h"

#include <algorithm>
#include <charconv>

#include "sideeffects/history_api.h"

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

namespace {

// A number as std::to_string writes it: no other text may mean the same.
template <typename Number>
std::from_chars_result read_number(const char* at, const char* end, Number& number) {
  const auto read = std::from_chars(at, end, number);
  if (read.ec == std::errc{} && *at == '0' && read.ptr - at > 1)
    return {at, std::errc::invalid_argument};
  return read;
}

}  // namespace

core::Result<core::ResponseHistogram> responses_from_text(std::string_view text) {
  core::ResponseHistogram responses;
  const char* at = text.data();
  const char* const end = at + text.size();
  std::size_t next = 0;  // The lowest step that may come.
  while (at != end) {
    std::size_t step = 0;
    std::uint64_t count = 0;
    auto read = read_number(at, end, step);
    bool good = read.ec == std::errc{} && step >= next && step < responses.counts.size() &&
                read.ptr != end && *read.ptr == ':';
    if (good) {
      read = read_number(read.ptr + 1, end, count);
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

std::string page_to_text(const PageResponses& responses) {
  std::string text;
  for (const auto& [offset, counts] : responses) {
    const std::string one = responses_to_text(counts);
    if (one.empty()) continue;
    if (!text.empty()) text += ';';
    text += std::to_string(offset) + '=' + one;
  }
  return text;
}

core::Result<PageResponses> page_from_text(std::string_view text) {
  PageResponses responses;
  const auto bad = [&] {
    return core::Error{core::ErrorKind::Invalid,
                       "'" + std::string(text.substr(0, 100)) + "' are no response times of sites"};
  };
  std::uint32_t next = 0;  // The lowest number that may come.
  if (!text.empty() && text.back() == ';') return bad();
  for (std::string_view left = text; !left.empty();) {
    const std::string_view one = left.substr(0, left.find(';'));
    left.remove_prefix(std::min(left.size(), one.size() + 1));
    std::uint32_t offset = 0;
    const auto read = read_number(one.data(), one.data() + one.size(), offset);
    const auto length = static_cast<std::size_t>(read.ptr - one.data());
    if (read.ec != std::errc{} || length >= one.size() || one[length] != '=' || offset < next ||
        offset >= sideeffects::ResponsePage::kSites)
      return bad();
    next = offset + 1;
    auto counts = responses_from_text(one.substr(length + 1));
    if (!counts || counts->total() == 0) return bad();
    responses.emplace_hint(responses.end(), static_cast<std::uint8_t>(offset), *counts);
  }
  return responses;
}

}  // namespace watchwheel::db
