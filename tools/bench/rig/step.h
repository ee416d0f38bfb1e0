// SPDX-License-Identifier: Apache-2.0
// bench/rig/step.h - one load on the engine for a while: what was read, and what follows from it.
//
// Values and arithmetic; nothing here runs anything.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bench/rig/metrics_page.h"
#include "bench/rig/process.h"
#include "bench/rig/record.h"

namespace watchwheel::rig {

struct Spread {
  double p50 = 0, p90 = 0, p99 = 0, p999 = 0, max = 0;
};

// The observer's report, as far as it is used; see tools/fleet/README.md.
struct FleetReport {
  double window_s = 0;
  double interval_s = 0;
  double sites = 0, healthy_sites = 0;
  double requests = 0, healthy_requests = 0, request_ratio = 0;
  double never_seen = 0, stale = 0, expired = 0;
  Spread gap, age, longest_wait, phase_shift;
  double phase_sites = 0;
  double dns_queries = 0, wrong_addresses = 0, table_full = 0;
  double rss_bytes = 0;
  std::vector<double> per_second;
};
// Throws std::runtime_error when `json` is no such report.
[[nodiscard]] FleetReport fleet_report_of(const std::string& json);

// Everything that is read at one moment.
struct Reading {
  double at_s = 0;
  MetricsPage page;
  Use engine;
  Use fleet;
};

// Numbers of one second of a window, for the charts and for what happened when.
struct Sample {
  double at_s = 0;                         // Since the window began.
  double required = 0, done = 0, due = 0;  // Checks a second; checks.
  double in_flight = 0, in_flight_limit = 0;
  double stale_sites = 0, oldest_age_s = 0, loop_lag_s = 0;
  double rss_bytes = 0;
  double opened = 0, confirmed = 0, recovered = 0;  // Since the window began.
};

struct Step {
  std::string name;
  double sites = 0;
  double interval_s = 0;
  double timeout_s = 0;
  Reading before;
  Reading after;
  FleetReport fleet;
  std::vector<Sample> samples;
};

[[nodiscard]] Sample sample_of(const Reading& window_start, const Reading& previous,
                               const Reading& now);

struct Figures {
  double seconds = 0;
  double offered = 0;  // Checks a second that sites and interval ask for.
  double done = 0;     // Conclusive ones that were made.
  double not_measured = 0;
  double engine_us = 0, fleet_us = 0;        // CPU time for each finished check.
  double engine_cores = 0, fleet_cores = 0;  // Cores that were busy.
  double dns_a_check = 0;                    // Questions to the name server.
  double rss_peak_bytes = 0;
  double bytes_a_site = 0;  // Beyond kFixedBytes, at the peak.
  double opened = 0, confirmed = 0, recovered = 0;
  double lag_p50_s = 0, lag_p99_s = 0, lag_p999_s = 0;
  double loop_lag_s_max = 0;
  double turn_p999_s = 0, turn_max_s = 0;  // Of the lanes' loops: upper edges of their histogram.
  double in_flight_max = 0;
};
inline constexpr double kFixedBytes = 100.0 * 1024 * 1024;
[[nodiscard]] Figures figures_of(const Step& step);

// Whether all sites were kept in time: all seen, none expired, gaps within interval + 1 s for 99 in 100,
// what was asked for done to within 1 %, and nobody called down.
[[nodiscard]] bool is_kept(const Step& step, const Figures& figures);

// The same as findings, one each, and the figures beside them.
void find_promise(const Step& step, const Figures& figures, Record& record);
void tell_figures(const Figures& figures, Record& record);

[[nodiscard]] std::vector<std::string> ladder_columns();
[[nodiscard]] std::vector<std::string> ladder_row(const Step& step, const Figures& figures);

// When a count that only grows reached `share` of `total`: the first sample's time; infinity: never.
enum class Counted { Confirmed, Recovered };
[[nodiscard]] double reached_s(const std::vector<Sample>& samples, Counted what, double total,
                               double share);

[[nodiscard]] Chart rates_chart(const std::string& title, const Step& step);

}  // namespace watchwheel::rig
