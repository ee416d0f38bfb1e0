// SPDX-License-Identifier: Apache-2.0
#include "http/routes.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "http/access.h"
#include "http/metric_builder.h"
#include "http/openapi.h"
#include "http/page.h"

namespace watchwheel::http {
namespace {

constexpr std::string_view kText = "text/plain; charset=utf-8";
constexpr std::string_view kMetricsText = "text/plain; version=0.0.4; charset=utf-8";

Response text(unsigned status, std::string body) {
  if (!body.ends_with('\n')) body += '\n';
  return {status, std::string(kText), std::move(body), {}};
}

Response json(std::string body) {
  return {200, "application/json", std::move(body), {}};
}

}  // namespace

struct Routes::Route {
  enum class Access { Anyone, Token };

  std::string_view path;
  bool changes;  // POST alone; otherwise GET and HEAD.
  Access access;
  Response (Routes::*handler)();

  [[nodiscard]] bool takes(std::string_view method) const {
    return changes ? method == "POST" : method == "GET" || method == "HEAD";
  }
};

const std::vector<Routes::Route>& Routes::table() {
  using enum Route::Access;
  static const std::vector<Route> kTable{
      {"/", false, Token, &Routes::page},
      {"/metrics", false, Token, &Routes::metrics},
      {"/-/healthy", false, Anyone, &Routes::healthy},
      {"/-/ready", false, Anyone, &Routes::ready},
      {"/-/reload", true, Token, &Routes::reload},
      {"/api/v1/status", false, Token, &Routes::status},
      {"/api/v1/openapi.json", false, Token, &Routes::openapi},
  };
  return kTable;
}

Response refusal(unsigned status, std::string_view text) {
  const nlohmann::json body{{"error", text}};
  using Replace = nlohmann::json::error_handler_t;
  return {status, "application/json", body.dump(-1, ' ', false, Replace::replace) + "\n", {}};
}

Routes::Routes(EngineView& engine, std::string token) : engine_(engine), token_(std::move(token)) {}

std::vector<std::string> Routes::paths() {
  std::vector<std::string> out;
  for (const Route& route : table()) out.emplace_back(route.path);
  return out;
}

Response Routes::answer(const Request& request) {
  const std::string_view path = request.target.substr(0, request.target.find('?'));
  const auto& routes = table();
  const auto route =
      std::find_if(routes.begin(), routes.end(), [path](const Route& r) { return r.path == path; });
  const bool open = route != routes.end() && route->access == Route::Access::Anyone;

  // Who asks comes first: a stranger does not learn what exists.
  if (!token_.empty() && !open && !bearer_matches(request.authorization, token_)) {
    Response out = refusal(401,
                           "this needs the header `Authorization: Bearer TOKEN`, with the "
                           "token of http.token_file");
    out.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"watchwheel\"");
    return out;
  }
  if (route == routes.end()) {
    std::string served;
    for (const std::string& known : paths()) served += " " + known;
    return refusal(404, "nothing is served here; there are" + served);
  }
  if (!route->takes(request.method)) {
    const std::string allow = route->changes ? "POST" : "GET, HEAD";
    Response out = refusal(405, "this path takes " + allow);
    out.headers.emplace_back("Allow", allow);
    return out;
  }
  if (route->changes && !origin_allowed(request.origin, request.host, !token_.empty())) {
    return refusal(403, "refused: this request was made by a page of another origin");
  }
  return (this->*route->handler)();
}

Response Routes::metrics() {
  return {200, std::string(kMetricsText), to_text(engine_.collect()), {}};
}

Response Routes::healthy() {
  std::string why;
  return engine_.healthy(why) ? text(200, "healthy") : text(503, "not healthy: " + why);
}

Response Routes::ready() {
  std::string why;
  if (!engine_.ready(why)) return text(503, "not ready: " + why);
  // Still 200: whoever takes a degraded process out of service loses what it goes on doing.
  return text(200, why.empty() ? "ready" : "degraded: " + why);
}

Response Routes::reload() {
  const auto done = engine_.reload();
  return done ? text(200, *done) : text(409, done.error().message);
}

Response Routes::status() {
  return json(engine_.status_json());
}

Response Routes::openapi() {
  return json(std::string(openapi_document()));
}

Response Routes::page() {
  PageState state;
  state.healthy = engine_.healthy(state.healthy_why);
  state.ready = engine_.ready(state.ready_why);
  state.status_json = engine_.status_json();
  Response out{200, "text/html; charset=utf-8", render_page(state), {}};
  out.headers.emplace_back(
      "Content-Security-Policy",
      "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; "
      "form-action 'none'");
  return out;
}

}  // namespace watchwheel::http
