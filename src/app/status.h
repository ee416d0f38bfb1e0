// SPDX-License-Identifier: Apache-2.0
// app/status.h - the running engine as one JSON document and as metric families: everything it
// decides by itself, and why.
//
// Thread   the http thread's, or whoever holds the engine alive. Only single-writer counters and
//          short locks are read.
// Bounded  by the number of lanes, queues and closed lists; nothing here grows with the number of
//          sites.
#pragma once

#include <prometheus/metric_family.h>

#include <cstdint>
#include <string>
#include <vector>

#include "app/config.h"
#include "app/engine.h"
#include "app/rates.h"
#include "app/recent.h"
#include "core/clock.h"
#include "http/stats.h"

namespace watchwheel::app {

// What the daemon knows beside its engine.
struct DaemonFacts {
  std::string config_path;
  core::WallTime config_loaded_at = core::kNoWallTime;
  bool reload_ok = true;                    // Of the last reload; true when there was none.
  std::vector<std::string> restart_needed;  // Keys whose new value waits for a restart.
  std::string http_listen;
  std::string store_url;
  bool fast_certificates = false;
  std::uint64_t log_lines_dropped = 0;
  double checks_per_second = 0;
  RecentView recent;
  QueueReading store_read{.name = "store_read"};  // What the HTTP endpoint is asked of the store.
  bool ready = false;
  core::WallTime now = core::kNoWallTime;  // When they were asked for.
};

// What `watchwheel status --json` prints; the keys are in docs/reference/commands.md.
[[nodiscard]] std::string status_json(const Engine& engine, const DaemonFacts& facts,
                                      const core::Clock& clock);

// Every family of docs/reference/metrics.md.
[[nodiscard]] std::vector<prometheus::MetricFamily> metric_families(const Engine& engine,
                                                                    const DaemonFacts& facts,
                                                                    const http::Stats& http_stats);

// Of a daemon that waits for its store and has no engine yet: enough for an alert.
[[nodiscard]] std::vector<prometheus::MetricFamily> waiting_families(bool store_away);

// What the lanes counted until `now`, for the RecentWindow.
[[nodiscard]] CountsAt counts_at(const Engine& engine, core::SteadyTime now);

// Finished checks of all lanes, whatever their outcome.
[[nodiscard]] std::uint64_t checks_done(const Engine& engine);

}  // namespace watchwheel::app
