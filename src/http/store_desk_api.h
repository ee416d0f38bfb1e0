// SPDX-License-Identifier: Apache-2.0
// http/store_desk_api.h - what the listener asks of whoever reads the store for it: answers that take longer than the http thread
// has. app implements it.
//
// Thread   routes(), ask(): the http thread. The answer: any thread.
// Bounded  routes() and ask() return at once; what is asked beyond the room that there is, is answered with 503.
// Fails    as an answer.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "http/response.h"

namespace watchwheel::http {

struct StoreRequest {
  std::vector<std::string> values{};  // Of the path's {…}, in their order, decoded.
  std::map<std::string, std::string, std::less<>>
      query{};  // Decoded; only what the route takes, each once.
  std::string body{};
  std::string idempotency_key{};  // The header of that name. "": there is none.
};

// One path and one method of it.
struct StoreRoute {
  std::string
      path;  // "/api/v1/deliveries/{id}": a part in braces stands for any one part that is not empty.
  std::string method =
      "GET";  // "GET" is HEAD too. Any other one changes something, so a page of another origin is refused.
  std::vector<std::string> query{};  // The names that it takes; any other one is refused.
  std::string operation = "{}";      // OpenAPI's operation object, as JSON.
  // So large a JSON document it takes, and asks for application/json; 0: what is in the body does not matter.
  std::size_t json_bytes_max = 0;
  bool token_needed = false;  // Refused to everybody where no token is configured.
};

class StoreDesk {
 public:
  using Answered = std::function<void(Response)>;

  virtual ~StoreDesk() = default;

  // The same for as long as the desk lives.
  [[nodiscard]] virtual const std::vector<StoreRoute>& routes() const = 0;
  // `answered` is called exactly once, also before ask() returns, and by whichever thread; when the desk is stopped at the latest.
  virtual void ask(std::size_t route, StoreRequest request, Answered answered) = 0;
};

}  // namespace watchwheel::http
