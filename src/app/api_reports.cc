// SPDX-License-Identifier: Apache-2.0
#include "app/api_reports.h"

#include <sstream>

#include "app/commands_report.h"

namespace watchwheel::app {
namespace {

constexpr std::uint64_t kPageMax = 500;
// A minute is a row: a day's worth.
constexpr core::Duration kMinutesMax = std::chrono::hours{24};

constexpr const char* kSites = R"({
  "summary": "How long sites were up, down, unknown and in maintenance in a window, and how fast they answered.",
  "parameters": [
    { "name": "site", "in": "query", "schema": { "type": "integer" } },
    { "name": "tag", "in": "query", "schema": { "type": "string" } },
    { "name": "since", "in": "query", "description": "a time, a date, or how long ago", "schema": { "type": "string", "default": "30d" } },
    { "name": "until", "in": "query", "schema": { "type": "string" } },
    { "name": "after", "in": "query", "description": "only ids above", "schema": { "type": "integer" } },
    { "name": "limit", "in": "query", "schema": { "type": "integer", "minimum": 1, "maximum": 500, "default": 100 } } ],
  "responses": { "200": { "description": "As `watchwheel report --json` prints; `all` is of the sites listed, `next` what to give as `after` for those that follow, null when there are none.",
                          "content": { "application/json": {} } },
                 "404": { "$ref": "#/components/responses/Refusal" } } })";
constexpr const char* kMinutes = R"({
  "summary": "How fast all sites together answered, minute by minute, of at most a day.",
  "parameters": [
    { "name": "since", "in": "query", "description": "a time, a date, or how long ago", "schema": { "type": "string", "default": "1h" } },
    { "name": "until", "in": "query", "schema": { "type": "string" } } ],
  "responses": { "200": { "description": "As `watchwheel report --minutes --json` prints.", "content": { "application/json": {} } } } })";

core::Result<http::Response> answer(const ReportArgs& args, const Config& config,
                                    const ApiContext& context) {
  const auto log = context.store.make_uptime_log();
  if (!log) return log.error();
  const auto windows = context.store.make_maintenance_store();
  if (!windows) return windows.error();
  const auto all = (*windows)->list(core::kNoWallTime);
  if (!all) return all.error();
  std::ostringstream out;
  const auto written = write_report(args,
                                    {.log = **log,
                                     .windows = *all,
                                     .interval = config.checks.interval,
                                     .projection_interval = config.projection.interval},
                                    context.now, out);
  if (!written) return written.error();
  return http::Response{.status = 200, .body = out.str()};
}

core::Result<http::Response> sites(const http::StoreRequest& request, const Config& config,
                                   const ApiContext& context) {
  constexpr std::uint64_t kMost = ~std::uint64_t{0} >> 1U;
  const auto site = number_in(request, "site", {.least = 1, .most = kMost, .usual = 0});
  if (!site) return site.error();
  const auto after = number_in(request, "after", {.least = 0, .most = kMost, .usual = 0});
  if (!after) return after.error();
  const auto limit = number_in(request, "limit", {.least = 1, .most = kPageMax, .usual = 100});
  if (!limit) return limit.error();
  ReportArgs args;
  args.site = *site;
  args.tag = text_in(request, "tag");
  args.since = text_in(request, "since");
  args.until = text_in(request, "until");
  args.json = true;
  args.after = *after;
  args.limit = *limit;
  return answer(args, config, context);
}

core::Result<http::Response> minutes(const http::StoreRequest& request, const Config& config,
                                     const ApiContext& context) {
  ReportArgs args;
  args.since = text_in(request, "since");
  if (args.since.empty()) args.since = "1h";
  args.until = text_in(request, "until");
  args.json = args.minutes = true;
  args.window_max = kMinutesMax;
  return answer(args, config, context);
}

}  // namespace

std::vector<ApiRoute> report_routes(const Config& config) {
  std::vector<ApiRoute> routes;
  routes.push_back(
      {.route = {.path = "/api/v1/report",
                 .method = "GET",
                 .query = {"site", "tag", "since", "until", "after", "limit"},
                 .operation = kSites},
       .answer = [config](const http::StoreRequest& request, const ApiContext& context) {
         return sites(request, config, context);
       }});
  routes.push_back(
      {.route = {.path = "/api/v1/report/minutes",
                 .method = "GET",
                 .query = {"since", "until"},
                 .operation = kMinutes},
       .answer = [config](const http::StoreRequest& request, const ApiContext& context) {
         return minutes(request, config, context);
       }});
  return routes;
}

}  // namespace watchwheel::app
