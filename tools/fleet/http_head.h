// SPDX-License-Identifier: Apache-2.0
// fleet/http_head.h - reading the head of one HTTP/1.x request. Pure; the views point into the text.
#pragma once

#include <cstdint>
#include <string_view>

namespace watchwheel::fleet {

inline constexpr std::size_t kRequestHeadMax = 8192;

struct RequestHead {
  std::string_view method;
  std::string_view target;
  std::string_view host;  // Empty when not sent.
  std::uint64_t content_length = 0;
  bool keep_alive = true;         // HTTP/1.1 unless `Connection: close`; HTTP/1.0 never.
  bool has_chunked_body = false;  // Answered, then closed: we do not read such bodies.
  std::size_t length = 0;         // Of the head with its empty line.
};

enum class HeadState { NeedMore, TooLarge, Malformed, Complete };

// Reads the head at the front of `text`. `head` has meaning only when Complete.
[[nodiscard]] HeadState read_request_head(std::string_view text, RequestHead& head) noexcept;

}  // namespace watchwheel::fleet
