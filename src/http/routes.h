// SPDX-License-Identifier: Apache-2.0
// http/routes.h - what is answered to a request: everything of the listener but the bytes on the
// wire.
//
// Owns     nothing but what it is given; it is the only caller of the EngineView and of the StoreDesk.
// Thread   the http thread.
// Bounded  one answer is one string: the size of the metrics page or the status.
// Fails    never: what cannot be served is an answer with a status.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/pinned.h"
#include "http/engine_view_api.h"
#include "http/response.h"
#include "http/store_desk_api.h"

namespace watchwheel::http {

// The parts of a request that decide the answer. An absent header is empty.
struct Request {
  std::string_view method;  // As on the wire: "GET".
  std::string_view target;  // Path and query.
  std::string_view host;
  std::string_view origin;
  std::string_view authorization;
  std::string_view body{};
  std::string_view content_type{};
  std::string_view idempotency_key{};
};

class Routes : core::Pinned {
 public:
  // With an empty `token` nobody is asked for one. Without a `desk` nothing of the store is served.
  Routes(EngineView& engine, std::string token, StoreDesk* desk = nullptr);

  // The answer, or nothing: then `later` is called with it exactly once, by any thread, perhaps before this returns. The answer
  // to HEAD is that to GET, body included: the server leaves the body out.
  [[nodiscard]] std::optional<Response> answer(const Request& request,
                                               const StoreDesk::Answered& later);

  // Every path that is served, as the description has it.
  [[nodiscard]] std::vector<std::string> paths() const;

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
  // Why the route is not to be asked; nothing: it is.
  [[nodiscard]] std::optional<Response> refused(const StoreRoute& route,
                                                const Request& request) const;
  [[nodiscard]] std::optional<Response> ask_desk(const Request& request, std::string_view path,
                                                 const StoreDesk::Answered& later);

  EngineView& engine_;
  const std::string token_;
  StoreDesk* const desk_;
};

}  // namespace watchwheel::http
