// SPDX-License-Identifier: Apache-2.0
// fleet/report.h - what the fleet says of itself, as JSON text.
#pragma once

#include <string>

#include "fleet/dns_server.h"
#include "fleet/faults.h"
#include "fleet/observer.h"
#include "fleet/server.h"
#include "fleet/site_map.h"

namespace watchwheel::fleet {

// What this process used, so far.
struct OwnCost {
  double cpu_user_s = 0;
  double cpu_system_s = 0;
  std::uint64_t rss_bytes = 0;
};
[[nodiscard]] OwnCost own_cost() noexcept;

struct ReportParts {
  const Summary& summary;
  const ServerCounts& server;
  const DnsCounts& dns;
  bool dns_is_answering = true;
  std::uint64_t syn_refused = 0;
  OwnCost cost;
  double cpu_window_s = 0;  // Of this process, since the measuring window began.
};

[[nodiscard]] std::string report_json(const ReportParts& parts);

// Every kind with its stage, the cause that the engine must report, and what this program does.
[[nodiscard]] std::string fault_table_json();

// What is on now: runs of sites, and how many switches wait.
[[nodiscard]] std::string faults_json(const FaultBoard& board);

[[nodiscard]] std::string site_json(std::uint32_t site, const SiteMap& map, const FaultBoard& board,
                                    const SiteFacts& facts);

[[nodiscard]] std::string error_json(const std::string& problem);

}  // namespace watchwheel::fleet
