// SPDX-License-Identifier: Apache-2.0
// http/routes.h - what is answered to a request: everything of the listener but the bytes on the
// wire.
//
// Owns     nothing but what it is given; it is the only caller of the EngineView.
// Thread   the http thread.
// Bounded  one answer is one string: the size of the metrics page or the status.
// Fails    never: what cannot be served is an answer with a status.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/pinned.h"
#include "http/engine_view_api.h"

namespace watchwheel::http {

// The parts of a request that decide the answer. An absent header is empty.
struct Request {
  std::string_view method;  // As on the wire: "GET".
  std::string_view target;  // Path and query.
  std::string_view host;
  std::string_view origin;
  std::string_view authorization;
};

struct Response {
  unsigned status = 200;
  std::string content_type = "application/json";
  std::string body;
  std::vector<std::pair<std::string, std::string>>
      headers;  // Beside Content-Type and Content-Length.
};

// {"error": text}, with `status`: the shape of every refusal.
[[nodiscard]] Response refusal(unsigned status, std::string_view text);

class Routes : core::Pinned {
 public:
  // With an empty `token` nobody is asked for one.
  Routes(EngineView& engine, std::string token);

  // The answer to HEAD is that to GET, body included: the server leaves the body out.
  [[nodiscard]] Response answer(const Request& request);

  // Every path that is served.
  [[nodiscard]] static std::vector<std::string> paths();

 private:
  struct Route;
  [[nodiscard]] static const std::vector<Route>& table();

  [[nodiscard]] Response metrics();
  [[nodiscard]] Response healthy();
  [[nodiscard]] Response ready();
  [[nodiscard]] Response reload();
  [[nodiscard]] Response status();
  [[nodiscard]] Response openapi();
  [[nodiscard]] Response page();

  EngineView& engine_;
  const std::string token_;
};

}  // namespace watchwheel::http
