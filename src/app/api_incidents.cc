// SPDX-License-Identifier: Apache-2.0
#include "app/api_incidents.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "app/commands_incidents.h"
#include "core/event_kind.h"
#include "sideeffects/message.h"

namespace watchwheel::app {
namespace {

using sideeffects::Act;
using sideeffects::OperatorRequest;
using sideeffects::RequestId;
using Json = nlohmann::ordered_json;

constexpr std::size_t kPageMax = 500;
// A thousand bytes of text and a name, each byte written as \u00XX.
constexpr std::size_t kBodyBytesMax = 8 * 1024;

constexpr const char* kListed = R"({
  "summary": "Incidents and their transitions, newest first.",
  "parameters": [
    { "name": "open", "in": "query", "schema": { "type": "boolean" } },
    { "name": "site", "in": "query", "schema": { "type": "integer" } },
    { "name": "group", "in": "query", "description": "of this mass outage", "schema": { "type": "integer" } },
    { "name": "kind", "in": "query", "schema": { "type": "string", "enum": [ "outage", "tls_expiring", "tls_deprecated", "latency_exceeded", "redirect_downgrade" ] } },
    { "name": "since", "in": "query", "description": "open at or after: a time, a date, or how long ago", "schema": { "type": "string" } },
    { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 500, "default": 100 } } ],
  "responses": { "200": { "description": "As `watchwheel incidents --json` prints.", "content": { "application/json": {} } } } })";
constexpr const char* kOne = R"({
  "summary": "One incident with its transitions.",
  "parameters": [ { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } } ],
  "responses": { "200": { "description": "As one of `watchwheel incidents --json`.", "content": { "application/json": {} } },
                 "404": { "$ref": "#/components/responses/Refusal" } } })";
constexpr const char* kAsked = R"({
  "summary": "What became of what was asked of an incident.",
  "parameters": [ { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } } ],
  "responses": { "200": { "description": "`state` is waiting, done or refused; `refused` says why.", "content": { "application/json": {} } },
                 "404": { "description": "There is none, or it was done more than a week ago.", "content": { "application/json": {} } } } })";

// The operation of an act; `members`: the properties of its body, `required`: which of them must be there.
std::string operation_of(const char* summary, const char* members, const char* required) {
  return std::string(R"({ "summary": ")") + summary + R"(",
  "parameters": [
    { "name": "id", "in": "path", "required": true, "schema": { "type": "integer" } },
    { "name": "Idempotency-Key", "in": "header", "description": "requests with the same one are one; without it those that say the same of the same incident are", "schema": { "type": "string", "maxLength": 64 } } ],
  "requestBody": { "required": true, "content": { "application/json": { "schema": { "type": "object", "additionalProperties": false,
    "required": )" +
         required +
         R"(, "properties": { "by": { "type": "string", "maxLength": 128, "description": "who does it" }, )" +
         members + R"( } } } } },
  "responses": { "202": { "description": "The daemon that has the site does it within about a second; Location and `url` say where to see that.", "content": { "application/json": {} } },
                 "200": { "description": "It was asked before, and is done.", "content": { "application/json": {} } },
                 "404": { "$ref": "#/components/responses/Refusal" },
                 "409": { "description": "The incident is over, or a warning: those end by themselves.", "content": { "application/json": {} } },
                 "422": { "description": "Another request had this Idempotency-Key.", "content": { "application/json": {} } } } })";
}

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

std::string_view text_member(Act act) {
  return act == Act::Comment ? "text" : "why";
}

bool says_nothing(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

core::Result<std::string> member(const Json& body, std::string_view name, bool needed,
                                 std::size_t bytes_max) {
  const auto found = body.find(name);
  const bool absent = found == body.end() || found->is_null();
  if (!absent && !found->is_string()) return invalid("\"" + std::string(name) + "\" is a text");
  std::string text = absent ? "" : found->get<std::string>();
  if (needed && says_nothing(text))
    return invalid("\"" + std::string(name) +
                   "\" is missing or says nothing: " + (name == "by" ? "who does it?" : "say why"));
  if (text.size() > bytes_max)
    return invalid("\"" + std::string(name) + "\" is longer than " + std::to_string(bytes_max) +
                   " bytes");
  return text;
}

http::Response json(unsigned status, const Json& document) {
  return {.status = status,
          .body = document.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"};
}

std::string url_of(RequestId request) {
  return "/api/v1/requests/" + std::to_string(request.value);
}

Json asked_json(const sideeffects::RequestOutcome& outcome) {
  const OperatorRequest& request = outcome.request;
  const bool done = !outcome.waits && outcome.refused.empty();
  return {{"request", request.by.request.value},
          {"incident", request.event.value},
          {"act", to_string(request.by.act)},
          {"by", request.by.who},
          {"why", request.by.why},
          {"source", request.by.source},
          {"asked_at", core::to_iso8601(request.asked_at)},
          {"state", outcome.waits ? "waiting"
                    : done        ? "done"
                                  : "refused"},
          {"done_at",
           outcome.done_at == core::kNoWallTime ? Json() : Json(core::to_iso8601(outcome.done_at))},
          {"refused", outcome.refused.empty() ? Json() : Json(outcome.refused)},
          {"url", url_of(request.by.request)}};
}

// Without a key of the client's: who says the same of the same incident again means the same, for as long as it is remembered.
std::string key_of(const OperatorRequest& request, const std::string& given) {
  if (!given.empty()) return "given:" + given;
  return "same:" + sideeffects::message_id({"request", std::to_string(request.event.value),
                                            std::string(to_string(request.by.act)), request.by.who,
                                            request.by.why});
}

bool asks_the_same(const OperatorRequest& a, const OperatorRequest& b) {
  return a.event == b.event && a.by.act == b.by.act && a.by.who == b.by.who && a.by.why == b.by.why;
}

core::Result<http::Response> act_on(Act act, const http::StoreRequest& asked,
                                    const ApiContext& context) {
  const auto id = id_in(asked);
  if (!id) return id.error();
  auto request = operator_request(act, core::EventId{*id}, asked.body);
  if (!request) return request.error();
  request->key = key_of(*request, asked.idempotency_key);
  const auto desk = context.store.make_operator_desk();
  if (!desk) return desk.error();
  const auto number = (*desk)->ask(*request);
  if (!number && number.error().kind == core::ErrorKind::Invalid)
    return http::refusal(409, number.error().message);
  if (!number) return number.error();
  const auto outcome = (*desk)->outcome(*number);
  if (!outcome) return outcome.error();
  if (!asks_the_same(*request, outcome->request))
    return http::refusal(422, "another request had this Idempotency-Key: " + url_of(*number));
  if (!outcome->refused.empty()) return http::refusal(409, outcome->refused);
  http::Response response = json(outcome->waits ? 202 : 200, asked_json(*outcome));
  response.headers.emplace_back("Location", url_of(*number));
  return response;
}

core::Result<http::Response> asked(const http::StoreRequest& request, const ApiContext& context) {
  const auto id = id_in(request);
  if (!id) return id.error();
  const auto desk = context.store.make_operator_desk();
  if (!desk) return desk.error();
  const auto outcome = (*desk)->outcome(RequestId{*id});
  if (!outcome) return outcome.error();
  return json(200, asked_json(*outcome));
}

core::Result<http::Response> list(const http::StoreRequest& request, const ApiContext& context) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0} >> 1U;
  const auto open = flag_in(request, "open");
  if (!open) return open.error();
  const auto site = number_in(request, "site", {.least = 1, .most = kMost, .usual = 0});
  if (!site) return site.error();
  const auto group = number_in(request, "group", {.least = 1, .most = kMost, .usual = 0});
  if (!group) return group.error();
  const auto limit = number_in(request, "limit", {.least = 1, .most = kPageMax, .usual = 100});
  if (!limit) return limit.error();
  db::IncidentFilter filter;
  filter.open_only = *open;
  if (*site != 0) filter.site = core::SiteId{*site};
  if (*group != 0) filter.group = *group;
  if (const std::string text = text_in(request, "kind"); !text.empty()) {
    filter.kind = core::parse_event_kind(text);
    if (!filter.kind)
      return invalid("kind is outage, tls_expiring, tls_deprecated, latency_exceeded or "
                     "redirect_downgrade");
  }
  if (const std::string text = text_in(request, "since"); !text.empty()) {
    const auto since = parse_since(text, context.now, "since");
    if (!since) return since.error();
    filter.since = *since;
  }
  auto page = incidents_json(context.store, filter, *limit, context.now);
  if (!page) return page.error();
  return http::Response{.status = 200, .body = *std::move(page) + "\n"};
}

core::Result<http::Response> one(const http::StoreRequest& request, const ApiContext& context) {
  const auto id = id_in(request);
  if (!id) return id.error();
  auto found = one_incident_json(context.store, core::EventId{*id}, context.now);
  if (!found) return found.error();
  return http::Response{.status = 200, .body = *std::move(found) + "\n"};
}

ApiRoute act_route(Act act, const char* summary, const char* members, const char* required) {
  return {.route = {.path = "/api/v1/incidents/{id}/" + std::string(to_string(act)),
                    .method = "POST",
                    .query = {},
                    .operation = operation_of(summary, members, required),
                    .json_bytes_max = kBodyBytesMax,
                    .token_needed = true},
          .answer = [act](const http::StoreRequest& request, const ApiContext& context) {
            return act_on(act, request, context);
          }};
}

}  // namespace

core::Result<OperatorRequest> operator_request(Act act, core::EventId event,
                                               std::string_view body) {
  const Json document = Json::parse(body.begin(), body.end(), nullptr, false);
  const std::string_view text = text_member(act);
  const std::string shape = "{\"by\": \"who\", \"" + std::string(text) + "\": \"…\"}";
  if (!document.is_object()) return invalid("the body is no JSON object; send " + shape);
  for (const auto& [name, value] : document.items()) {
    if (name != "by" && name != text)
      return invalid("the body has a member that is not known here; send " + shape);
  }
  auto by = member(document, "by", true, sideeffects::kWhoBytesMax);
  if (!by) return by.error();
  if (std::any_of(by->begin(), by->end(), [](char c) { return (c >= 0 && c < ' ') || c == 0x7f; }))
    return invalid("\"by\" has a control character");
  auto why = member(document, text, act != Act::Ack, sideeffects::kWhyBytesMax);
  if (!why) return why.error();
  return OperatorRequest{.by = {.request = {},
                                .act = act,
                                .who = *std::move(by),
                                .why = *std::move(why),
                                .source = "api"},
                         .event = event};
}

std::vector<ApiRoute> incident_routes() {
  constexpr const char* kWhy =
      R"("why": { "type": "string", "description": "at most 1000 bytes" })";
  constexpr const char* kText =
      R"("text": { "type": "string", "description": "at most 1000 bytes" })";
  std::vector<ApiRoute> routes;
  routes.push_back({.route = {.path = "/api/v1/incidents",
                              .method = "GET",
                              .query = {"open", "site", "group", "kind", "since", "limit"},
                              .operation = kListed},
                    .answer = list});
  routes.push_back(
      {.route = {.path = "/api/v1/incidents/{id}", .method = "GET", .query = {}, .operation = kOne},
       .answer = one});
  routes.push_back(
      act_route(Act::Ack, "Somebody is on it: nobody is reminded any more.", kWhy, R"([ "by" ])"));
  routes.push_back(act_route(Act::Comment, "Says something about an open incident.", kText,
                             R"([ "by", "text" ])"));
  routes.push_back(act_route(Act::Close, "Ends an incident by hand.", kWhy, R"([ "by", "why" ])"));
  routes.push_back({.route = {.path = "/api/v1/requests/{id}",
                              .method = "GET",
                              .query = {},
                              .operation = kAsked},
                    .answer = asked});
  return routes;
}

}  // namespace watchwheel::app
