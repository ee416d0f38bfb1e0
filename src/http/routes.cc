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

constexpr std::size_t kParametersMax = 32;

std::optional<std::string> decoded(std::string_view text, bool plus_is_space) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
  };
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += plus_is_space && text[i] == '+' ? ' ' : text[i];
      continue;
    }
    if (i + 2 >= text.size() || digit(text[i + 1]) < 0 || digit(text[i + 2]) < 0)
      return std::nullopt;
    out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
    i += 2;
  }
  return out;
}

// The values of the braces of `pattern`; nothing: it is another path.
std::optional<std::vector<std::string>> values_of(std::string_view pattern, std::string_view path) {
  std::vector<std::string> values;
  while (true) {
    const std::string_view want = pattern.substr(0, pattern.find('/'));
    const std::string_view part = path.substr(0, path.find('/'));
    if (want.starts_with('{')) {
      std::optional<std::string> value = decoded(part, false);
      if (part.empty() || !value) return std::nullopt;
      values.push_back(*std::move(value));
    } else if (want != part) {
      return std::nullopt;
    }
    const bool more = want.size() < pattern.size();
    if (more != (part.size() < path.size())) return std::nullopt;
    if (!more) return values;
    pattern.remove_prefix(want.size() + 1);
    path.remove_prefix(part.size() + 1);
  }
}

// A reason why not, or nothing.
std::optional<std::string> read_query(std::string_view text, const StoreRoute& route,
                                      StoreRequest& request) {
  for (std::size_t count = 0; !text.empty(); ++count) {
    if (count == kParametersMax) return "too many parameters";
    const std::string_view one = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(one.size() + 1, text.size()));
    if (one.empty()) continue;
    const std::size_t equals = std::min(one.find('='), one.size());
    const auto name = decoded(one.substr(0, equals), true);
    const auto value = decoded(one.substr(std::min(equals + 1, one.size())), true);
    if (!name || !value) return "the query holds a % without two hexadecimal digits behind it";
    if (std::find(route.query.begin(), route.query.end(), *name) == route.query.end()) {
      std::string known;
      for (const std::string& parameter : route.query) known += " " + parameter;
      return "there is no parameter '" + *name + "' here" +
             (known.empty() ? "; there are none" : "; there are" + known);
    }
    if (!request.query.emplace(*name, *value).second) return "'" + *name + "' is given twice";
  }
  return std::nullopt;
}

bool takes(const StoreRoute& route, std::string_view method) {
  return route.method == method || (route.method == "GET" && method == "HEAD");
}

constexpr std::size_t kIdempotencyKeyBytesMax = 64;

// "application/json; charset=utf-8" is one too.
bool is_json(std::string_view content_type) {
  std::string type(content_type.substr(0, content_type.find(';')));
  while (type.ends_with(' ')) type.pop_back();
  for (char& c : type) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  return type == "application/json";
}

bool usable_key(std::string_view key) {
  return key.size() <= kIdempotencyKeyBytesMax &&
         std::all_of(key.begin(), key.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

Response wrong_method(const std::string& allow) {
  Response out = refusal(405, "this path takes " + allow);
  out.headers.emplace_back("Allow", allow);
  return out;
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

Routes::Routes(EngineView& engine, std::string token, StoreDesk* desk)
    : engine_(engine), token_(std::move(token)), desk_(desk) {}

std::vector<std::string> Routes::paths() const {
  std::vector<std::string> out;
  for (const Route& route : table()) out.emplace_back(route.path);
  if (desk_ == nullptr) return out;
  for (const StoreRoute& route : desk_->routes()) {
    if (std::find(out.begin(), out.end(), route.path) == out.end()) out.push_back(route.path);
  }
  return out;
}

std::optional<Response> Routes::answer(const Request& request, const StoreDesk::Answered& later) {
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
  if (route == routes.end()) return ask_desk(request, path, later);
  if (!route->takes(request.method)) return wrong_method(route->changes ? "POST" : "GET, HEAD");
  if (route->changes && !origin_allowed(request.origin, request.host, !token_.empty())) {
    return refusal(403, "refused: this request was made by a page of another origin");
  }
  return (this->*route->handler)();
}

std::optional<Response> Routes::refused(const StoreRoute& route, const Request& request) const {
  if (route.method != "GET" && !origin_allowed(request.origin, request.host, !token_.empty()))
    return refusal(403, "refused: this request was made by a page of another origin");
  if (route.token_needed && token_.empty())
    return refusal(
        403,
        "refused: this needs a token, and the daemon has none; write one into a file, name "
        "that in http.token_file, restart the daemon, and send the header `Authorization: "
        "Bearer TOKEN`");
  if (route.json_bytes_max == 0) return std::nullopt;
  if (!is_json(request.content_type))
    return refusal(415, "this takes JSON: send the header `Content-Type: application/json`");
  if (request.body.size() > route.json_bytes_max)
    return refusal(413, "the request's body is larger than " +
                            std::to_string(route.json_bytes_max) + " bytes");
  if (!usable_key(request.idempotency_key))
    return refusal(400, "Idempotency-Key is at most " + std::to_string(kIdempotencyKeyBytesMax) +
                            " bytes of visible ASCII");
  return std::nullopt;
}

std::optional<Response> Routes::ask_desk(const Request& request, std::string_view path,
                                         const StoreDesk::Answered& later) {
  std::string allow;
  const std::size_t count = desk_ == nullptr ? 0 : desk_->routes().size();
  for (std::size_t i = 0; i < count; ++i) {
    const StoreRoute& route = desk_->routes()[i];
    auto values = values_of(route.path, path);
    if (!values) continue;
    allow += (allow.empty() ? "" : ", ") + (route.method == "GET" ? "GET, HEAD" : route.method);
    if (!takes(route, request.method)) continue;
    if (auto why = refused(route, request)) return why;
    StoreRequest asked{.values = *std::move(values),
                       .query = {},
                       .body = std::string(request.body),
                       .idempotency_key = std::string(request.idempotency_key)};
    const std::string_view query = request.target.substr(path.size());
    if (const auto wrong =
            read_query(query.substr(std::min<std::size_t>(1, query.size())), route, asked))
      return refusal(400, *wrong);
    desk_->ask(i, std::move(asked), later);
    return std::nullopt;
  }
  if (!allow.empty()) return wrong_method(allow);
  std::string served;
  for (const std::string& known : paths()) served += " " + known;
  return refusal(404, "nothing is served here; there are" + served);
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
  if (desk_ == nullptr || desk_->routes().empty()) return json(std::string(openapi_document()));
  auto document = nlohmann::ordered_json::parse(openapi_document());
  for (const StoreRoute& route : desk_->routes()) {
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(c - 'A' + 'a');
    auto operation = nlohmann::ordered_json::parse(route.operation);
    for (const char* refused : {"400", "401", "503"})
      operation["responses"][refused] = {{"$ref", "#/components/responses/Refusal"}};
    if (method != "get")
      operation["responses"]["403"] = {{"$ref", "#/components/responses/Refusal"}};
    if (route.json_bytes_max > 0) {
      for (const char* refused : {"413", "415"})
        operation["responses"][refused] = {{"$ref", "#/components/responses/Refusal"}};
    }
    if (route.token_needed)
      operation["security"] =
          nlohmann::ordered_json::array({{{"bearer", nlohmann::ordered_json::array()}}});
    document["paths"][route.path][method] = std::move(operation);
  }
  return json(document.dump(2) + "\n");
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
