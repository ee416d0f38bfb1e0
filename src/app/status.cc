// SPDX-License-Identifier: Apache-2.0
#include "app/status.h"

#include <array>
#include <nlohmann/json.hpp>

#include "app/feeder.h"
#include "app/lane.h"
#include "app/totals.h"
#include "app/version.h"

namespace watchwheel::app {
namespace {

using nlohmann::ordered_json;

ordered_json checks_json(const Totals& totals, const DaemonFacts& facts) {
  ordered_json json;
  json["required_per_second"] = totals.required_per_second;
  json["done_per_second"] = facts.checks_per_second;
  for (const auto outcome : {core::Outcome::Up, core::Outcome::Down, core::Outcome::NotMeasured}) {
    json[std::string(core::to_string(outcome))] =
        totals.outcomes[static_cast<std::size_t>(outcome)];
  }
  json["missed"] = totals.missed;
  json["overload_discounted"] = totals.overload_discounted;
  return json;
}

ordered_json lanes_json(const Engine& engine) {
  ordered_json lanes = ordered_json::array();
  for (const LaneReading& lane : engine.lanes()) {
    double sites = 0;
    for (const core::Gauge& count : lane.lane.sites) sites += count.value();
    lanes.push_back({{"sites", static_cast<std::uint64_t>(sites)},
                     {"required_per_second", lane.scheduler.required_per_second.value()},
                     {"queued", static_cast<std::uint64_t>(lane.scheduler.queued.value())},
                     {"in_flight", static_cast<std::uint64_t>(lane.checker.in_flight.value())},
                     {"in_flight_limit", static_cast<std::uint64_t>(lane.admission.limit.value())},
                     {"limited_by", limited_by(lane.admission)},
                     {"loop_lag_s", lane.lane.loop_lag_s.value()},
                     {"site_bytes", static_cast<std::uint64_t>(lane.lane.bytes.value())},
                     {"turns", lane.lane.turns.load(std::memory_order_relaxed)}});
  }
  return lanes;
}

ordered_json queues_json(const Engine& engine) {
  ordered_json queues = ordered_json::array();
  for (const QueueReading& queue : engine.queues()) {
    queues.push_back({{"name", queue.name},
                      {"depth", queue.depth},
                      {"capacity", queue.capacity},
                      {"refused", queue.refused}});
  }
  return queues;
}

ordered_json machine_json(const Machine& machine) {
  const auto limit = [](const MachineLimit& one) {
    return ordered_json{{"value", one.value}, {"origin", one.origin}};
  };
  return {{"cores", limit(machine.cores)},
          {"descriptors", limit(machine.descriptors)},
          {"memory_bytes", limit(machine.memory_bytes)},
          {"ephemeral_ports", limit(machine.ephemeral_ports)}};
}

ordered_json recording_json(const Engine& engine, const Totals& totals) {
  ordered_json poisoned = ordered_json::array();
  for (const sideeffects::Poisoned& site : engine.poisoned()) {
    poisoned.push_back({{"site", site.site.value}, {"reason", site.reason}, {"times", site.times}});
  }
  const sideeffects::ProjectorStats& projector = engine.projector();
  return {{"transitions", totals.transitions_total},
          {"commit_p99_s", totals.commit.quantile(0.99)},
          {"commit_errors", totals.commit_errors},
          {"poisoned", std::move(poisoned)},
          {"projected_rows", projector.rows.value()},
          {"projection_lag_s", projector.lag_s.value()},
          {"projection_errors", projector.errors.value()}};
}

}  // namespace

std::string status_json(const Engine& engine, const DaemonFacts& facts, const core::Clock& clock) {
  const Totals totals = total(engine);
  ordered_json json;
  json["version"] = version();
  json["ready"] = facts.ready;
  json["started_at"] = core::to_iso8601(engine.started_at());
  json["uptime_s"] = core::to_seconds(clock.wall() - engine.started_at());
  json["config"] = {{"file", facts.config_path},
                    {"loaded_at", core::to_iso8601(facts.config_loaded_at)},
                    {"reload_ok", facts.reload_ok},
                    {"restart_needed", facts.restart_needed}};
  json["store"] = facts.store_url;
  json["http"] = facts.http_listen;
  ordered_json& sites = json["sites"];
  sites["total"] = totals.sites_total;
  for (std::size_t i = 0; i < core::kSiteStateCount; ++i) {
    sites[std::string(core::to_string(static_cast<core::SiteState>(i)))] = totals.sites[i];
  }
  json["checks"] = checks_json(totals, facts);
  json["lag_s"] = {{"p50", totals.lag.quantile(0.5)},
                   {"p99", totals.lag.quantile(0.99)},
                   {"p999", totals.lag.quantile(0.999)}};
  json["freshness"] = {{"stale_sites", totals.stale}, {"oldest_age_s", totals.oldest_age_s}};
  json["in_flight"] = {{"now", totals.in_flight},
                       {"limit", totals.in_flight_limit},
                       {"wanted", totals.in_flight_wanted},
                       {"limited_by", totals.limited_by}};
  ordered_json& pressure = json["pressure"];
  for (const auto& [signal, value] : totals.pressure) pressure[signal] = value;
  json["incidents"] = {{"seems_down", totals.incidents_seem_down}, {"down", totals.incidents_down}};
  json["recording"] = recording_json(engine, totals);
  json["feed"] = {{"loaded", engine.feeder().sites_loaded.value()},
                  {"changes", engine.feeder().changes.value()},
                  {"errors", engine.feeder().errors.value()},
                  {"options_rejected", engine.feeder().options_rejected.value()},
                  {"sites_refused", totals.sites_refused}};
  json["queues"] = queues_json(engine);
  json["lanes"] = lanes_json(engine);
  json["machine"] = machine_json(engine.machine());
  json["process"] = {{"resident_bytes", resident_bytes()},
                     {"log_lines_dropped", facts.log_lines_dropped}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace watchwheel::app
