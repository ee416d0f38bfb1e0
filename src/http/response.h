// SPDX-License-Identifier: Apache-2.0
// http/response.h - an answer, before it is bytes on the wire.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace watchwheel::http {

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body{};
  // Beside Content-Type and Content-Length.
  std::vector<std::pair<std::string, std::string>> headers{};
};

// {"error": text}, with `status`: the shape of every refusal.
[[nodiscard]] Response refusal(unsigned status, std::string_view text);

}  // namespace watchwheel::http
