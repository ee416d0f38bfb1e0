// SPDX-License-Identifier: Apache-2.0
#include "fleet/report.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace watchwheel::fleet {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kRunsMax = 10'000;

double rounded(double value) {
  return std::round(value * 1e6) / 1e6;
}

double to_seconds(const timeval& time) {
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

Json spread_json(const Spread& spread) {
  return {{"p50", spread.p50},
          {"p90", spread.p90},
          {"p99", spread.p99},
          {"p999", spread.p999},
          {"max", spread.max}};
}

Json asked_by_kind_json(const Summary& summary) {
  Json kinds = Json::object();
  for (const FaultFacts& facts : fault_table()) {
    const std::uint64_t asked = summary.asked_by_kind[static_cast<std::size_t>(facts.kind)];
    if (asked > 0) kinds[std::string(facts.name)] = asked;
  }
  return kinds;
}

Json connections_json(const ServerCounts& counts) {
  return {{"accepted", counts.accepted},
          {"replies", counts.replies},
          {"open", counts.open},
          {"open_max", counts.open_max},
          {"table_full", counts.full},
          {"idle_closed", counts.idle_closed},
          {"clients_gone", counts.clients_gone},
          {"io_errors", counts.io_errors},
          {"bad_heads", counts.bad_heads},
          {"unknown_hosts", counts.unknown_hosts},
          {"wrong_addresses", counts.wrong_addresses},
          {"tls_handshakes", counts.tls_done},
          {"tls_failed", counts.tls_failed}};
}

}  // namespace

OwnCost own_cost() noexcept {
  OwnCost cost;
  rusage usage{};
  if (::getrusage(RUSAGE_SELF, &usage) == 0) {
    cost.cpu_user_s = to_seconds(usage.ru_utime);
    cost.cpu_system_s = to_seconds(usage.ru_stime);
  }
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    unsigned long pages = 0;
    unsigned long resident = 0;
    if (std::fscanf(file, "%lu %lu", &pages, &resident) == 2) {
      cost.rss_bytes = resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
    }
    std::fclose(file);
  }
  return cost;
}

std::string report_json(const ReportParts& parts) {
  const Summary& s = parts.summary;
  const Json report = {
      {"window_s", rounded(fleet::to_seconds(s.window))},
      {"interval_s", rounded(fleet::to_seconds(s.interval))},
      {"sites", s.sites},
      {"healthy_sites", s.healthy_sites},
      {"broken_sites", s.broken_sites},
      {"requests", s.requests},
      {"healthy_requests", s.healthy_requests},
      {"request_ratio", rounded(s.request_ratio)},
      {"never_seen", s.never_seen},
      {"stale", s.stale},
      {"expired", s.expired},
      {"worst_site", s.worst_site == kNoSite ? Json(nullptr) : Json(s.worst_site)},
      {"doubled", s.doubled},
      {"gap_s", spread_json(s.gap)},
      {"age_s", spread_json(s.age)},
      {"longest_wait_s", spread_json(s.longest_wait)},
      {"phase_sites", s.phase_sites},
      {"phase_shift_s", spread_json(s.phase_shift)},
      {"per_fault", asked_by_kind_json(s)},
      {"connections", connections_json(parts.server)},
      {"dns",
       {{"is_answering", parts.dns_is_answering},
        {"queries", parts.dns.queries},
        {"unanswered", parts.dns.unanswered},
        {"unreadable", parts.dns.unreadable},
        {"unsent", parts.dns.unsent},
        {"foreign", parts.dns.foreign}}},
      {"syn_refused", parts.syn_refused},
      {"own",
       {{"cpu_user_s", rounded(parts.cost.cpu_user_s)},
        {"cpu_system_s", rounded(parts.cost.cpu_system_s)},
        {"cpu_window_s", rounded(parts.cpu_window_s)},
        {"rss_bytes", parts.cost.rss_bytes}}},
      {"per_second_start_s", s.series_start_s},
      {"per_second", s.series},
  };
  return report.dump() + "\n";
}

std::string fault_table_json() {
  Json table = Json::array();
  for (const FaultFacts& facts : fault_table()) {
    if (facts.kind == FaultKind::None) continue;
    table.push_back({{"fault", facts.name},
                     {"stage", stage_name(facts.stage)},
                     {"cause", facts.cause},
                     {"up", !is_broken(facts.kind)},
                     {"https_only", facts.stage == FaultStage::Tls},
                     {"what", facts.what}});
  }
  return table.dump() + "\n";
}

std::string faults_json(const FaultBoard& board) {
  Json active = Json::array();
  for (const FaultBoard::Run& run : board.runs(kRunsMax)) {
    active.push_back({{"fault", facts_of(run.kind).name},
                      {"cause", facts_of(run.kind).cause},
                      {"first", run.sites.first},
                      {"last", run.sites.last}});
  }
  const Json faults = {{"active", active}, {"switches_pending", board.pending()}};
  return faults.dump() + "\n";
}

std::string site_json(std::uint32_t site, const SiteMap& map, const FaultBoard& board,
                      const SiteFacts& facts) {
  const FaultFacts& fault = facts_of(board.kind(site));
  const Json json = {
      {"site", site},
      {"name", map.name(site)},
      {"url", map.url(site)},
      {"address", to_text(map.address(site))},
      {"asked", facts.asked},
      {"last_asked_ago_s",
       facts.asked > 0 ? Json(rounded(fleet::to_seconds(facts.last_ago))) : Json(nullptr)},
      {"gap_s_max", rounded(fleet::to_seconds(facts.gap_max))},
      {"fault", fault.name},
      {"cause", fault.cause},
      {"was_broken", facts.was_broken},
  };
  return json.dump() + "\n";
}

std::string error_json(const std::string& problem) {
  const Json json = {{"error", problem}};
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace watchwheel::fleet
