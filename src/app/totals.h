// SPDX-License-Identifier: Apache-2.0
// app/totals.h - what all lanes and shards counted, added up: the one place where status and
// metrics take it from.
//
// Thread   any. Bounded by lanes and closed lists.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "app/engine.h"
#include "app/stretch.h"
#include "checker/stats.h"
#include "core/probe.h"
#include "core/site.h"
#include "core/stats.h"
#include "core/vantage.h"

namespace watchwheel::app {

struct Totals {
  std::array<std::uint64_t, 3> outcomes{};  // By core::Outcome.
  std::array<std::uint64_t, core::kCauseCount> causes{};
  std::array<std::uint64_t, core::kSiteStateCount> sites{};
  std::uint64_t sites_total = 0;
  std::uint64_t stale = 0;
  std::uint64_t within_interval = 0;
  double oldest_age_s = 0;  // The largest of the lanes'.
  double loop_lag_s = 0;    // The same.
  std::uint64_t site_bytes = 0;
  double required_per_second = 0;
  std::uint64_t queued = 0;
  std::uint64_t left_over = 0;
  Stretch stretch;
  std::uint64_t missed = 0;
  std::uint64_t overload_discounted = 0;
  std::uint64_t edited_in_flight = 0;
  std::uint64_t certificates_changed = 0;
  std::uint64_t marks_refused = 0;
  std::uint64_t sites_refused = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t in_flight_limit = 0;
  std::uint64_t in_flight_wanted = 0;
  std::string limited_by;                                // Of the lane with the least room left.
  std::vector<std::pair<std::string, double>> pressure;  // Each signal's largest.
  std::vector<std::pair<std::string, std::uint64_t>> refused_by;  // Admission refusals by reason.
  std::array<std::uint64_t, core::kVantageReasonCount> withheld{};  // By core::VantageReason; None: no room.
  std::uint64_t held = 0;
  std::uint64_t withheld_sites = 0;
  std::uint64_t incidents_seem_down = 0;
  std::uint64_t incidents_down = 0;
  core::HistogramReading lag, duration, commit;
  std::array<core::HistogramReading, checker::kTimedPhases.size()> phases;
  std::array<std::uint64_t, checker::kDnsQueryResultCount> dns_queries{};
  std::uint64_t dns_cache_hits = 0;
  std::uint64_t dns_cache_entries = 0;
  std::uint64_t judging = 0;
  std::uint64_t kept_body_bytes = 0;
  std::uint64_t bodies_not_kept = 0;
  std::uint64_t dials_without_port = 0;
  std::array<std::uint64_t, checker::kExchangedBy.size()> exchanges{};
  std::uint64_t tls_chain_hits = 0;
  std::uint64_t tls_chain_misses = 0;
  std::uint64_t tls_chain_entries = 0;
  std::uint64_t trust_reloads = 0;
  std::uint64_t trust_reload_failures = 0;
  std::array<std::uint64_t, core::kTransitionReasonCount> transitions{};
  std::uint64_t transitions_total = 0;
  std::uint64_t commit_errors = 0;
  std::uint64_t read_errors = 0;
  std::uint64_t poisoned = 0;
};

[[nodiscard]] Totals total(const Engine& engine);

// Which limit is the tightest for this lane now.
[[nodiscard]] std::string limited_by(const scheduler::AdmissionStats& admission);

}  // namespace watchwheel::app
