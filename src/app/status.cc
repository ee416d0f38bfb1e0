// SPDX-License-Identifier: Apache-2.0
#include "app/status.h"

#include <array>
#include <nlohmann/json.hpp>

#include "app/feeder.h"
#include "app/lane.h"
#include "app/legacy_status.h"
#include "app/notify_status.h"
#include "app/result_words.h"
#include "app/status_summary.h"
#include "app/thread_times.h"
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

// Of the last minutes; since the start while there are none yet.
ordered_json lag_json(const Totals& totals, const RecentView& recent, double uptime_s) {
  const bool lately = recent.window > core::Duration::zero();
  const core::HistogramReading& lag = lately ? recent.lag : totals.lag;
  const HighestSeen max = highest(lag);
  return {{"p50", lag.quantile(0.5)},
          {"p95", lag.quantile(0.95)},
          {"p99", lag.quantile(0.99)},
          {"p999", lag.quantile(0.999)},
          {"max", max.bound_s},
          {"max_beyond", max.beyond},
          {"window_s", lately ? core::to_seconds(recent.window) : uptime_s}};
}

ordered_json freshness_json(const Totals& totals) {
  const auto active = static_cast<double>(
      totals.sites_total - totals.sites[static_cast<std::size_t>(core::SiteState::Paused)]);
  return {{"stale_sites", totals.stale},
          {"oldest_age_s", totals.oldest_age_s},
          {"within_interval_share",
           active > 0 ? static_cast<double>(totals.within_interval) / active : 1.0}};
}

ordered_json recent_json(const RecentView& recent) {
  return {{"step_s", core::to_seconds(recent.step)},
          {"done_per_second", recent.done_per_second},
          {"lag_p99_s", recent.lag_p99_s}};
}

ordered_json stretch_json(const Stretch& stretch) {
  ordered_json by_priority;
  for (std::size_t i = 0; i < core::kPriorityCount; ++i) {
    by_priority[std::string(core::to_string(static_cast<core::Priority>(i)))] =
        stretch.by_priority[i];
  }
  return {{"factor", stretch.factor},
          {"by_priority", std::move(by_priority)},
          {"limited_by", stretch.limited_by}};
}

ordered_json lanes_json(const Engine& engine, const RecentView& recent) {
  ordered_json lanes = ordered_json::array();
  std::size_t number = 0;
  for (const LaneReading& lane : engine.lanes()) {
    const LaneRecent lately = number < recent.lanes.size() ? recent.lanes[number] : LaneRecent{};
    ++number;
    double sites = 0;
    for (const core::Gauge& count : lane.lane.sites) sites += count.value();
    lanes.push_back({{"sites", static_cast<std::uint64_t>(sites)},
                     {"required_per_second", lane.scheduler.required_per_second.value()},
                     {"done_per_second", lately.done_per_second},
                     {"queued", static_cast<std::uint64_t>(lane.scheduler.queued.value())},
                     {"in_flight", static_cast<std::uint64_t>(lane.checker.in_flight.value())},
                     {"in_flight_limit", static_cast<std::uint64_t>(lane.admission.limit.value())},
                     {"limited_by", limited_by(lane.admission)},
                     {"lag_p99_s", lately.lag.quantile(0.99)},
                     {"loop_lag_s", lane.lane.loop_lag_s.value()},
                     {"cpu_share", lately.cpu_share},
                     {"site_bytes", static_cast<std::uint64_t>(lane.lane.bytes.value())},
                     {"turns", lane.lane.turns.load(std::memory_order_relaxed)}});
  }
  return lanes;
}

ordered_json queues_json(const Engine& engine, const DaemonFacts& facts) {
  ordered_json queues = ordered_json::array();
  std::vector<QueueReading> readings = engine.queues();
  readings.push_back(facts.store_read);
  for (const QueueReading& queue : readings) {
    queues.push_back({{"name", queue.name},
                      {"depth", queue.depth},
                      {"capacity", queue.capacity},
                      {"refused", queue.refused}});
  }
  return queues;
}

ordered_json limits_json(const Limits& limits) {
  ordered_json list = ordered_json::array();
  for (const EffectiveLimit& limit : limits.list) {
    list.push_back({{"name", limit.name},
                    {"value", limit.value},
                    {"origin", to_string(limit.origin)},
                    {"source", limit.source}});
  }
  return list;
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
  const StoreRoadReading road = engine.store_road();
  ordered_json aside = ordered_json::array();
  for (const sideeffects::SetAside& one : road.shown_aside) {
    aside.push_back({{"site", one.site.value},
                     {"at", core::to_iso8601(one.at)},
                     {"reason", one.reason}});
  }
  const auto time_or_null = [](core::WallTime at) {
    return at == core::kNoWallTime ? ordered_json() : ordered_json(core::to_iso8601(at));
  };
  ordered_json journal = {{"used", road.has_journal},
                          {"trouble", road.journal_trouble},
                          {"of_another_store", road.foreign},
                          {"replaying", road.replaying},
                          {"entries", road.journal.entries},
                          {"oldest_at", time_or_null(road.journal.oldest)},
                          {"bytes", road.journal.bytes},
                          {"bytes_max", road.journal.bytes_max},
                          {"full", road.refusing},
                          {"written", road.kept},
                          {"replayed", road.replayed},
                          {"set_aside", road.journal.set_aside},
                          {"set_aside_newest", std::move(aside)}};
  return {{"store_away_since", time_or_null(road.detoured ? road.since : core::kNoWallTime)},
          {"journal", std::move(journal)},
          {"transitions", totals.transitions_total},
          {"commit_p99_s", totals.commit.quantile(0.99)},
          {"commit_errors", totals.commit_errors},
          {"poisoned", std::move(poisoned)},
          {"projected_rows", projector.rows.value()},
          {"projection_lag_s", projector.lag_s.value()},
          {"projection_errors", projector.errors.value()}};
}

ordered_json vantage_json(const Engine& engine, const Totals& totals) {
  const VantageReading vantage = engine.vantage();
  const auto time_or_null = [](core::WallTime at) {
    return at == core::kNoWallTime ? ordered_json() : ordered_json(core::to_iso8601(at));
  };
  ordered_json canaries = ordered_json::array();
  for (const CanaryReading& canary : vantage.canaries) {
    canaries.push_back({{"url", without_userinfo(canary.url)},
                        {"ok", canary.asked ? ordered_json(canary.ok) : ordered_json()},
                        {"cause", canary.asked ? ordered_json(core::to_string(canary.cause))
                                               : ordered_json()},
                        {"checked_at", time_or_null(canary.checked_at)}});
  }
  std::uint64_t withheld = 0;
  for (const std::uint64_t count : totals.withheld) withheld += count;
  const bool healthy = vantage.state != core::VantageState::Fault;
  return {{"state", core::to_string(vantage.state)},
          {"healthy", healthy},
          {"since", time_or_null(vantage.since)},
          {"reason", core::to_string(vantage.reason)},
          {"failure_share", vantage.failure_share},
          {"networks", {{"failing", vantage.networks_failing}, {"seen", vantage.networks_seen}}},
          {"canaries", std::move(canaries)},
          {"canaries_trusted", vantage.canaries_trusted},
          {"mass_outage_since", time_or_null(vantage.group)},
          {"held", totals.held},
          {"withheld", withheld},
          {"withheld_sites", totals.withheld_sites}};
}

ordered_json cluster_json(const Engine& engine) {
  const auto cluster = engine.cluster();
  if (!cluster) return nullptr;
  const ClusterStats& stats = *engine.cluster_stats();
  return {{"node", cluster->node},
          {"state", db::to_string(cluster->state)},
          {"buckets", cluster->buckets},
          {"owned", cluster->owned},
          {"coming", cluster->coming},
          {"leaving", cluster->leaving},
          {"nodes_live", cluster->nodes_live},
          {"reachable", cluster->reachable},
          {"lease_valid", cluster->valid},
          {"clock_offset_s", core::to_seconds(cluster->clock_offset)},
          {"lost", stats.lost.value()},
          {"taken_expired", stats.taken_expired.value()},
          {"taken_handed", stats.taken_handed.value()},
          {"given", stats.given.value()},
          {"fenced_writes", engine.fenced_writes()}};
}

}  // namespace

CountsAt counts_at(const Engine& engine, core::SteadyTime now) {
  const auto times = thread_times();
  CountsAt counts;
  counts.at = now;
  for (const auto& [name, seconds] : times) counts.cpu_s += seconds;
  for (const LaneReading& reading : engine.lanes()) {
    const auto cpu = times.find("lane-" + std::to_string(counts.lanes.size()));
    LaneCounts& lane = counts.lanes.emplace_back();
    for (const core::Counter& results : reading.lane.results) lane.done += results.value();
    lane.cpu_s = cpu == times.end() ? 0 : cpu->second;
    lane.lag = reading.scheduler.lag.read();
  }
  return counts;
}

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
  json["lag_s"] = lag_json(totals, facts.recent, json["uptime_s"].get<double>());
  json["recent"] = recent_json(facts.recent);
  json["freshness"] = freshness_json(totals);
  json["in_flight"] = {{"now", totals.in_flight},
                       {"limit", totals.in_flight_limit},
                       {"wanted", totals.in_flight_wanted},
                       {"limited_by", totals.limited_by}};
  ordered_json& refused = json["in_flight"]["refused"];
  for (const auto& [reason, count] : totals.refused_by) refused[reason] = count;
  json["stretch"] = stretch_json(totals.stretch);
  ordered_json& pressure = json["pressure"];
  for (const auto& [signal, value] : totals.pressure) pressure[signal] = value;
  json["incidents"] = {{"seems_down", totals.incidents_seem_down}, {"down", totals.incidents_down}};
  json["vantage"] = vantage_json(engine, totals);
  json["verification"] = ordered_json::parse(verifiers_json(engine.verifiers()));
  json["recording"] = recording_json(engine, totals);
  json["notify"] = notify_json(engine.notifier());
  json["cluster"] = cluster_json(engine);
  json["feed"] = {{"loaded", engine.feeder().sites_loaded.value()},
                  {"changes", engine.feeder().changes.value()},
                  {"errors", engine.feeder().errors.value()},
                  {"options_rejected", engine.feeder().options_rejected.value()},
                  {"sites_refused", totals.sites_refused}};
  json["legacy"] = legacy_json(engine.legacy());
  json["queues"] = queues_json(engine, facts);
  json["lanes"] = lanes_json(engine, facts.recent);
  json["memory"] = {{"resident_bytes", engine.memory().resident_bytes()},
                    {"budget_bytes", engine.memory().budget_bytes()},
                    {"origin", engine.limits().memory_source},
                    {"level", engine.memory().level()}};
  json["limits"] = limits_json(engine.limits());
  json["machine"] = machine_json(engine.machine());
  json["process"] = {{"resident_bytes", resident_bytes()},
                     {"cpu_share", facts.recent.cpu_share},
                     {"log_lines_dropped", facts.log_lines_dropped}};
  const Summary summary = summarize(json);
  json["summary"] = {{"standing", to_string(summary.standing)}, {"text", summary.text}};
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace watchwheel::app
