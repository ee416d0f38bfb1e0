// SPDX-License-Identifier: Apache-2.0
#include "app/totals.h"

#include <algorithm>

#include "app/lane.h"

namespace watchwheel::app {
namespace {

std::uint64_t whole(const core::Gauge& gauge) {
  return static_cast<std::uint64_t>(std::max(0.0, gauge.value()));
}

void add_admission(Totals& sum, const scheduler::AdmissionStats& admission) {
  sum.in_flight_limit += whole(admission.limit);
  sum.in_flight_wanted += whole(admission.wanted);
  for (std::size_t i = 0; i < scheduler::kAdmissionReasonCount; ++i) {
    sum.pressure[i].second = std::max(sum.pressure[i].second, admission.pressure[i].value());
    sum.refused_by[i].second += admission.refused[i].value();
  }
}

void add_checker(Totals& sum, const checker::Stats& checker) {
  for (std::size_t i = 0; i < checker::kTimedPhases.size(); ++i)
    sum.phases[i].merge(checker.phase_duration[i].read());
  for (std::size_t i = 0; i < checker::kDnsQueryResultCount; ++i)
    sum.dns_queries[i] += checker.dns_queries[i].value();
  sum.duration.merge(checker.duration.read());
  sum.dns_cache_hits += checker.dns_cache_hits.value();
  sum.dns_cache_entries += whole(checker.dns_cache_entries);
  sum.judging += whole(checker.judging);
  sum.kept_body_bytes += whole(checker.kept_body_bytes);
  sum.bodies_not_kept += checker.bodies_not_kept.value();
  sum.dials_without_port += checker.dials_without_port.value();
  for (std::size_t i = 0; i < checker.exchanges.size(); ++i)
    sum.exchanges[i] += checker.exchanges[i].value();
  sum.tls_chain_hits += checker.tls_chain_hits.value();
  sum.tls_chain_misses += checker.tls_chain_misses.value();
  sum.tls_chain_entries += whole(checker.tls_chain_entries);
  sum.trust_reloads += checker.trust_reloads.value();
  sum.trust_reload_failures += checker.trust_reload_failures.value();
  sum.in_flight += whole(checker.in_flight);
}

void add_lane(Totals& sum, const LaneStats& lane) {
  for (std::size_t i = 0; i < core::kCauseCount; ++i) sum.causes[i] += lane.results[i].value();
  for (std::size_t i = 0; i < core::kSiteStateCount; ++i) sum.sites[i] += whole(lane.sites[i]);
  sum.stale += whole(lane.stale);
  sum.within_interval += whole(lane.within_interval);
  sum.oldest_age_s = std::max(sum.oldest_age_s, lane.oldest_age_s.value());
  sum.loop_lag_s = std::max(sum.loop_lag_s, lane.loop_lag_s.value());
  sum.site_bytes += whole(lane.bytes);
  sum.overload_discounted += lane.overload_discounted.value();
  sum.edited_in_flight += lane.edited_in_flight.value();
  sum.certificates_changed += lane.certificates_changed.value();
  sum.marks_refused += lane.marks_refused.value();
  sum.sites_refused += lane.sites_refused.value();
  sum.incidents_seem_down += whole(lane.incidents_seem_down);
  sum.incidents_down += whole(lane.incidents_down);
}

void add_vantage(Totals& sum, const core::VantageTally& tally) {
  for (std::size_t i = 0; i < core::kVantageReasonCount; ++i) sum.withheld[i] += tally.withheld[i].value();
  sum.held += whole(tally.held);
  sum.withheld_sites += whole(tally.withheld_sites);
}

void add_shard(Totals& sum, const sideeffects::ShardStats& shard) {
  for (std::size_t i = 0; i < core::kTransitionReasonCount; ++i) {
    sum.transitions[i] += shard.transitions[i].value();
    sum.transitions_total += shard.transitions[i].value();
  }
  sum.commit.merge(shard.commit.read());
  sum.commit_errors += shard.commit_errors.value();
  sum.read_errors += shard.read_errors.value();
  sum.poisoned += shard.poisoned.value();
}

}  // namespace

std::string limited_by(const scheduler::AdmissionStats& admission) {
  return std::string(
      scheduler::to_string(static_cast<scheduler::AdmissionReason>(whole(admission.limited_by))));
}

Totals total(const Engine& engine) {
  Totals sum;
  for (std::size_t i = 0; i < scheduler::kAdmissionReasonCount; ++i) {
    const std::string name(scheduler::to_string(static_cast<scheduler::AdmissionReason>(i)));
    sum.pressure.emplace_back(name, 0.0);
    sum.refused_by.emplace_back(name, 0);
  }
  double least_room = 2;
  std::vector<LaneStretch> stretches;
  for (const LaneReading& lane : engine.lanes()) {
    add_lane(sum, lane.lane);
    add_checker(sum, lane.checker);
    add_admission(sum, lane.admission);
    add_vantage(sum, lane.vantage);
    stretches.push_back({lane.scheduler, lane.admission});
    sum.required_per_second += lane.scheduler.required_per_second.value();
    sum.queued += whole(lane.scheduler.queued);
    sum.left_over += whole(lane.scheduler.left_over);
    sum.missed += lane.scheduler.missed.value();
    sum.lag.merge(lane.scheduler.lag.read());
    const double limit = std::max(1.0, lane.admission.limit.value());
    if (const double room = (limit - lane.admission.in_flight.value()) / limit; room < least_room) {
      least_room = room;
      sum.limited_by = limited_by(lane.admission);
    }
  }
  sum.stretch = stretch_of(stretches);
  for (const sideeffects::ShardStats* shard : engine.shards()) add_shard(sum, *shard);
  for (const std::uint64_t count : sum.sites) sum.sites_total += count;
  for (std::size_t i = 0; i < core::kCauseCount; ++i) {
    sum.outcomes[static_cast<std::size_t>(core::outcome_of(static_cast<core::Cause>(i)))] +=
        sum.causes[i];
  }
  return sum;
}

}  // namespace watchwheel::app
