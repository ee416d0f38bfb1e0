// SPDX-License-Identifier: Apache-2.0
#include "app/api_deliveries.h"

#include <nlohmann/json.hpp>

#include "app/commands_deliveries.h"

namespace watchwheel::app {
namespace {

using sideeffects::DeliveryId;

constexpr std::size_t kPageMax = 500;

constexpr const char* kListed = R"({
  "summary": "What waits to be told, oldest first; with dead=true what was given up.",
  "parameters": [
    { "name": "dead", "in": "query", "schema": { "type": "boolean" } },
    { "name": "target", "in": "query", "schema": { "type": "string" } },
    { "name": "reason", "in": "query", "description": "of dead letters", "schema": { "type": "string" } },
    { "name": "after", "in": "query", "description": "only ids above", "schema": { "type": "integer" } },
    { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 500, "default": 100 } } ],
  "responses": { "200": { "description": "{\"deliveries\": [...], \"more\": true|false}, as `watchwheel deliveries --json` prints.",
                          "content": { "application/json": {} } } } })";
constexpr const char* kOne = R"({
  "summary": "One of them, with its message and the attempts that failed.",
  "parameters": [ { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } } ],
  "responses": { "200": { "description": "As `watchwheel deliveries ID --json` prints.", "content": { "application/json": {} } },
                 "404": { "$ref": "#/components/responses/Refusal" } } })";
constexpr const char* kRequeue = R"({
  "summary": "Tries a dead letter again.",
  "parameters": [ { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } } ],
  "responses": { "200": { "description": "{\"requeued\": 1}", "content": { "application/json": {} } },
                 "404": { "$ref": "#/components/responses/Refusal" },
                 "409": { "description": "Its target was told what happened after it.", "content": { "application/json": {} } } } })";
http::Response json(std::string body) {
  return {.status = 200, .body = std::move(body) + "\n"};
}

core::Result<db::DeliveryFilter> filter_in(const http::StoreRequest& request, bool dead) {
  return delivery_filter(dead, text_in(request, "target"), text_in(request, "reason"));
}

core::Result<http::Response> list(const http::StoreRequest& request, const ApiContext& context) {
  const auto dead = flag_in(request, "dead");
  if (!dead) return dead.error();
  auto filter = filter_in(request, *dead);
  if (!filter) return filter.error();
  if (filter->reason && !*dead)
    return core::Error{core::ErrorKind::Invalid, "reason is of those with dead=true"};
  constexpr std::uint64_t kMost = ~std::uint64_t{0} >> 1U;
  const auto after = number_in(request, "after", {.least = 0, .most = kMost, .usual = 0});
  if (!after) return after.error();
  filter->after = *after;
  const auto limit = number_in(request, "limit", {.least = 1, .most = kPageMax, .usual = 100});
  if (!limit) return limit.error();
  const auto log = context.store.make_delivery_log();
  if (!log) return log.error();
  auto page = (*log)->list(*filter, *limit + 1);  // One more tells whether there is more.
  if (!page) return page.error();
  const bool more = page->size() > *limit;
  if (more) page->pop_back();
  return json(deliveries_json(*page, more));
}

core::Result<http::Response> one(const http::StoreRequest& request, const ApiContext& context) {
  const auto id = id_in(request);
  if (!id) return id.error();
  const auto log = context.store.make_delivery_log();
  if (!log) return log.error();
  const auto found = (*log)->find(DeliveryId{*id});
  if (!found) return found.error();
  if (!*found)
    return core::Error{core::ErrorKind::NotFound, "there is no delivery " + std::to_string(*id)};
  return json(delivery_json(**found));
}

core::Result<http::Response> requeue_one(const http::StoreRequest& request,
                                         const ApiContext& context) {
  const auto id = id_in(request);
  if (!id) return id.error();
  const auto log = context.store.make_delivery_log();
  if (!log) return log.error();
  const auto done = (*log)->requeue(DeliveryId{*id});
  if (done) return json(R"({"requeued": 1})");
  if (done.error().kind == core::ErrorKind::Invalid)
    return http::refusal(409, done.error().message);
  return done.error();
}

}  // namespace

std::vector<ApiRoute> delivery_routes() {
  std::vector<ApiRoute> routes;
  routes.push_back({.route = {.path = "/api/v1/deliveries",
                              .method = "GET",
                              .query = {"dead", "target", "reason", "after", "limit"},
                              .operation = kListed},
                    .answer = list});
  routes.push_back({.route = {.path = "/api/v1/deliveries/{id}",
                              .method = "GET",
                              .query = {},
                              .operation = kOne},
                    .answer = one});
  routes.push_back({.route = {.path = "/api/v1/deliveries/{id}/requeue",
                              .method = "POST",
                              .query = {},
                              .operation = kRequeue},
                    .answer = requeue_one});
  return routes;
}

}  // namespace watchwheel::app
