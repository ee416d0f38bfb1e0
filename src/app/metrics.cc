// SPDX-License-Identifier: Apache-2.0
// Every family of docs/reference/metrics.md, made from the single-writer counters when somebody asks.
#include "http/metrics.h"

#include <prometheus/metric_family.h>

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "app/feeder.h"
#include "app/lane.h"
#include "app/legacy_reader.h"
#include "app/legacy_writer.h"
#include "app/notifier.h"
#include "app/status.h"
#include "app/totals.h"
#include "app/history.h"
#include "app/verifiers.h"
#include "app/version.h"
#include "app/warnings.h"
#include "http/metric_builder.h"

namespace watchwheel::app {
namespace {

using Families = std::vector<prometheus::MetricFamily>;
using Values = std::vector<std::pair<std::string, double>>;

double number(std::uint64_t n) {
  return static_cast<double>(n);
}

// One value for each member of a closed list, so that every one exists from the start, at zero.
template <typename Enum, typename Array>
Values by_name(const Array& counts, std::size_t first = 0) {
  Values values;
  for (std::size_t i = first; i < counts.size(); ++i) {
    values.emplace_back(core::to_string(static_cast<Enum>(i)), number(counts[i]));
  }
  return values;
}

void add_checks(Families& out, const Totals& totals) {
  using http::by, http::counter, http::gauge, http::histogram;
  out.push_back(gauge("watchwheel_sites",
                      "Sites by state, as of the last sweep of the table (about a second).",
                      by("state", by_name<core::SiteState>(totals.sites))));
  out.push_back(counter("watchwheel_checks_total", "Finished checks by outcome.",
                        by("outcome", by_name<core::Outcome>(totals.outcomes))));
  out.push_back(counter("watchwheel_check_failures_total",
                        "Finished checks that were not up, by cause.",
                        by("cause", by_name<core::Cause>(totals.causes, 1))));
  out.push_back(histogram("watchwheel_check_duration_seconds",
                          "Whole checks, redirects included, of every outcome.", totals.duration));
  std::vector<http::HistogramSample> phases;
  for (std::size_t i = 0; i < checker::kTimedPhases.size(); ++i) {
    phases.push_back({{{"phase", std::string(checker::kTimedPhases[i])}}, totals.phases[i]});
  }
  out.push_back(histogram("watchwheel_check_phase_duration_seconds",
                          "Phases of checks, where they were reached.", phases));
  out.push_back(
      counter("watchwheel_checks_overload_discounted_total",
              "Timeouts told as local_overload because our own loop stood still meanwhile.",
              number(totals.overload_discounted)));
  out.push_back(
      counter("watchwheel_checks_edited_in_flight_total",
              "Results dropped because the site was edited or removed while it was asked.",
              number(totals.edited_in_flight)));
  out.push_back(counter("watchwheel_certificates_changed_total",
                        "Checks that saw another certificate than the check before.",
                        number(totals.certificates_changed)));
}

void add_schedule(Families& out, const Totals& totals) {
  using http::by, http::counter, http::gauge, http::histogram;
  out.push_back(histogram("watchwheel_schedule_lag_seconds",
                          "Start of a routine check minus its due time.", totals.lag));
  out.push_back(
      gauge("watchwheel_checks_required_per_second",
            "Sum of 1/interval over all sites, those under suspicion at their re-check interval.",
            totals.required_per_second));
  out.push_back(gauge("watchwheel_checks_due", "Checks that are due and not started.",
                      number(totals.queued)));
  out.push_back(gauge("watchwheel_checks_left_over",
                      "Sites whose check fell due while the process stood still, and is not made up for yet.",
                      number(totals.left_over)));
  out.push_back(counter("watchwheel_checks_missed_total",
                        "Whole intervals that went by without a check.", number(totals.missed)));
  Values stretch;
  for (std::size_t i = 0; i < core::kPriorityCount; ++i) {
    stretch.emplace_back(core::to_string(static_cast<core::Priority>(i)),
                         totals.stretch.by_priority[i]);
  }
  out.push_back(gauge("watchwheel_schedule_stretch_ratio",
                      "How much longer intervals are than asked, by priority; 1 is on time.",
                      by("priority", stretch)));
  out.push_back(gauge("watchwheel_stale_sites",
                      "Sites without a conclusive result within interval and timeout.",
                      number(totals.stale)));
  out.push_back(gauge("watchwheel_oldest_result_age_seconds",
                      "Age of the oldest newest result of an active site.", totals.oldest_age_s));
  out.push_back(gauge("watchwheel_in_flight", "Checks in flight.", number(totals.in_flight)));
  out.push_back(gauge("watchwheel_in_flight_limit",
                      "Checks that may be in flight, by what the machine affords.",
                      number(totals.in_flight_limit)));
  out.push_back(
      gauge("watchwheel_in_flight_wanted",
            "Checks in flight that the required rate asks for (Little's law, with headroom).",
            number(totals.in_flight_wanted)));
  Values pressure(totals.pressure.begin(), totals.pressure.end());
  out.push_back(gauge("watchwheel_pressure", "How full each limit of admission is, 0 to 1.",
                      by("signal", pressure)));
  Values refused;
  for (const auto& [reason, count] : totals.refused_by) refused.emplace_back(reason, number(count));
  out.push_back(counter("watchwheel_admission_refused_total",
                        "Due checks that found no room and stayed due, by reason.",
                        by("reason", refused)));
  out.push_back(counter("watchwheel_dials_without_port_total",
                        "Connections that found every ephemeral port taken for their destination.",
                        number(totals.dials_without_port)));
  out.push_back(gauge("watchwheel_site_table_bytes", "Memory of the site tables.",
                      number(totals.site_bytes)));
  out.push_back(counter("watchwheel_sites_refused_total", "Sites that no lane had room for.",
                        number(totals.sites_refused)));
}

void add_threads_and_queues(Families& out, const Engine& engine, const DaemonFacts& facts) {
  using http::by, http::counter, http::gauge, http::histogram;
  Values lag;
  core::HistogramReading turns;
  std::size_t number_of_lane = 0;
  for (const LaneReading& lane : engine.lanes()) {
    lag.emplace_back("lane-" + std::to_string(number_of_lane++), lane.lane.loop_lag_s.value());
    turns.merge(lane.lane.turns_took.read());
  }
  out.push_back(gauge("watchwheel_loop_lag_seconds",
                      "How much later than it meant to a loop woke, worst of ten seconds.",
                      by("thread", lag)));
  out.push_back(histogram("watchwheel_turn_seconds",
                          "Turns of the lanes' loops: none of more than 20 ms is meant to be.",
                          turns));
  Values depth;
  Values capacity;
  Values full;
  std::vector<QueueReading> queues = engine.queues();
  queues.push_back(facts.store_read);
  for (const QueueReading& queue : queues) {
    depth.emplace_back(queue.name, number(queue.depth));
    capacity.emplace_back(queue.name, number(queue.capacity));
    full.emplace_back(queue.name, number(queue.refused));
  }
  out.push_back(gauge("watchwheel_queue_depth", "Values waiting.", by("queue", depth)));
  out.push_back(gauge("watchwheel_queue_capacity", "Values that may wait.", by("queue", capacity)));
  out.push_back(counter(
      "watchwheel_queue_full_total",
      "Offers refused because a queue was full; of a mailbox, values replaced by newer ones.",
      by("queue", full)));
  out.push_back(counter("watchwheel_log_lines_dropped_total",
                        "Log lines dropped because standard error was slow.",
                        number(facts.log_lines_dropped)));
}

void add_recording(Families& out, const Engine& engine, const Totals& totals) {
  using http::by, http::counter, http::gauge, http::histogram;
  const sideeffects::ProjectorStats& projector = engine.projector();
  out.push_back(gauge("watchwheel_incidents_open",
                      "Open incidents by state, as the lanes see them.",
                      by("state", {{"seems_down", number(totals.incidents_seem_down)},
                                   {"down", number(totals.incidents_down)}})));
  out.push_back(counter("watchwheel_transitions_total", "Transitions committed, by reason.",
                        by("reason", by_name<core::TransitionReason>(totals.transitions))));
  std::uint64_t done = 0;
  std::uint64_t refused = 0;
  std::uint64_t unread = 0;
  for (const sideeffects::ShardStats* shard : engine.shards()) {
    done += shard->requests.done.value();
    refused += shard->requests.refused.value();
    unread += shard->requests.errors.value();
  }
  out.push_back(counter("watchwheel_operator_requests_total",
                        "What people asked of open incidents: acknowledge, comment, close.",
                        by("result", {{"done", number(done)}, {"refused", number(refused)}})));
  out.push_back(counter("watchwheel_events_set_aside_total",
                        "Times the store refused a site's events for good; see status.",
                        number(totals.poisoned)));
  out.push_back(counter("watchwheel_projection_rows_total", "Freshness rows written.",
                        number(projector.rows.value())));
  out.push_back(gauge("watchwheel_projection_lag_seconds",
                      "How long the oldest unwritten freshness mark has waited.",
                      projector.lag_s.value()));
  out.push_back(counter("watchwheel_projection_marks_refused_total",
                        "Freshness marks put off because the ring was full.",
                        number(totals.marks_refused)));
  out.push_back(counter("watchwheel_db_errors_total", "Failed calls of the store, by operation.",
                        by("operation", {{"commit_events", number(totals.commit_errors)},
                                         {"read_event", number(totals.read_errors)},
                                         {"project", number(projector.errors.value())},
                                         {"history", number(engine.history().errors.value())},
                                         {"warnings", number(engine.warnings().errors.value())},
                                         {"replay", number(engine.store_road().replay_errors)},
                                         {"operator_requests", number(unread)},
                                         {"site_feed", number(engine.feeder().errors.value())}})));
  out.push_back(histogram("watchwheel_db_batch_seconds",
                          "Time a batch took in the store, by operation.",
                          {{{{"operation", "commit_events"}}, totals.commit},
                           {{{"operation", "project"}}, projector.write.read()}}));
}

void add_build(Families& out) {
  out.push_back(http::gauge(
      "watchwheel_build_info", "Always 1; the version is in the label.",
      std::vector<http::Sample>{
          {{{"version", std::string(version())}, {"commit", std::string(commit())}}, 1}}));
}

void add_store_away(Families& out, bool away) {
  out.push_back(http::gauge("watchwheel_store_away",
                            "1 while what is judged goes to the journal because the store is away.",
                            away ? 1 : 0));
}

void add_store_road(Families& out, const StoreRoadReading& road, core::WallTime now) {
  using http::counter, http::gauge;
  const sideeffects::JournalReading& journal = road.journal;
  add_store_away(out, road.detoured);
  out.push_back(counter("watchwheel_store_outages_total",
                        "Times the journal was begun because the store did not take a write.",
                        number(road.detours)));
  out.push_back(gauge("watchwheel_journal_usable",
                      "0 when a store that may go away has no journal, or it takes no more.",
                      road.journal_trouble.empty() && !road.refusing ? 1 : 0));
  out.push_back(gauge("watchwheel_journal_entries", "Writes that wait in the journal.",
                      number(journal.entries)));
  const bool waiting = journal.oldest != core::kNoWallTime;
  out.push_back(gauge("watchwheel_journal_oldest_age_seconds",
                      "How long the oldest write has waited in the journal.",
                      waiting ? std::max(0.0, core::to_seconds(now - journal.oldest)) : 0));
  out.push_back(gauge("watchwheel_journal_bytes", "Size of the journal.", number(journal.bytes)));
  out.push_back(gauge("watchwheel_journal_limit_bytes", "How large the journal may become.",
                      number(journal.bytes_max)));
  out.push_back(counter("watchwheel_journal_written_total", "Writes kept in the journal.",
                        number(road.kept)));
  out.push_back(counter("watchwheel_journal_replayed_total",
                        "Writes of the journal that are in the store.", number(road.replayed)));
  out.push_back(counter("watchwheel_journal_set_aside_total",
                        "Writes of the journal that the store refused for good; see status.",
                        number(road.set_aside)));
  out.push_back(gauge("watchwheel_journal_set_aside",
                      "Writes set aside that nobody has looked after yet.",
                      number(journal.set_aside)));
  out.push_back(counter("watchwheel_journal_refusals_total",
                        "Batches that the journal did not take: full, or its disk.",
                        number(road.refusals)));
}

void add_dns(Families& out, const Totals& totals) {
  using http::by, http::counter, http::gauge;
  constexpr std::array<const char*, checker::kDnsQueryResultCount> kNames{
      "ok", "nxdomain", "nodata", "servfail", "refused", "timeout", "malformed", "unreachable"};
  Values queries;
  for (std::size_t i = 0; i < kNames.size(); ++i)
    queries.emplace_back(kNames[i], number(totals.dns_queries[i]));
  out.push_back(counter("watchwheel_dns_queries_total", "Names asked for, by result.",
                        by("result", queries)));
  out.push_back(counter("watchwheel_dns_cache_hits_total", "Names answered from the cache.",
                        number(totals.dns_cache_hits)));
  out.push_back(gauge("watchwheel_dns_cache_entries", "Names in the caches.",
                      number(totals.dns_cache_entries)));
  out.push_back(gauge("watchwheel_content_judging",
                      "Answers away at the threads that judge expressions and JSON.",
                      number(totals.judging)));
  out.push_back(gauge("watchwheel_content_kept_bytes",
                      "Bytes of answers kept for expressions and JSON.",
                      number(totals.kept_body_bytes)));
  out.push_back(counter("watchwheel_content_not_kept_total",
                        "Answers for which there was no room to be kept.",
                        number(totals.bodies_not_kept)));
}

void add_exchanges(Families& out, const Totals& totals) {
  std::vector<std::pair<std::string, double>> counts;
  for (std::size_t i = 0; i < totals.exchanges.size(); ++i)
    counts.emplace_back(checker::kExchangedBy[i], number(totals.exchanges[i]));
  out.push_back(http::counter("watchwheel_exchanges_total",
                              "Requests begun, by who spoke HTTP (checks.exchange).",
                              http::by("by", counts)));
}

void add_tls(Families& out, const Totals& totals, const DaemonFacts& facts) {
  using http::by, http::counter, http::gauge;
  out.push_back(gauge("watchwheel_tls_fast_decoding",
                      "1 when certificates are decoded the short way (engine.fast_certificates).",
                      facts.fast_certificates ? 1 : 0));
  out.push_back(counter("watchwheel_tls_chains_total",
                        "Certificate chains of handshakes, by whether they had been verified "
                        "before or had to be.",
                        by("result", {{"known", number(totals.tls_chain_hits)},
                                      {"verified", number(totals.tls_chain_misses)}})));
  out.push_back(gauge("watchwheel_tls_chains_known", "Verified certificate chains remembered.",
                      number(totals.tls_chain_entries)));
  out.push_back(counter(
      "watchwheel_trust_reloads_total",
      "Times trusted certificates had changed on disk, by what came of reading them again.",
      by("result", {{"loaded", number(totals.trust_reloads)},
                    {"failed", number(totals.trust_reload_failures)}})));
}

void add_vantage(Families& out, const Engine& engine, const Totals& totals) {
  using http::by, http::counter, http::gauge;
  const VantageReading vantage = engine.vantage();
  const VantageStats& stats = engine.vantage_stats();
  const bool healthy = vantage.state != core::VantageState::Fault;
  out.push_back(gauge("watchwheel_vantage_healthy",
                      "0 while the trouble is ours: nothing is called down then.", healthy ? 1 : 0));
  out.push_back(counter("watchwheel_vantage_doubts_total",
                        "Times it was not clear for some seconds whether failures were ours.",
                        number(stats.doubts.value())));
  out.push_back(counter("watchwheel_vantage_faults_total", "Times the trouble was ours.",
                        number(stats.faults.value())));
  out.push_back(counter("watchwheel_mass_outages_total",
                        "Times many networks failed at once while the canaries did not.",
                        number(stats.mass_outages.value())));
  Values withheld{{"no_room", number(totals.withheld[0])}};
  for (std::size_t i = 1; i < totals.withheld.size(); ++i) {
    withheld.emplace_back(core::to_string(static_cast<core::VantageReason>(i)),
                          number(totals.withheld[i]));
  }
  out.push_back(counter("watchwheel_results_withheld_total",
                        "Failures told as local_network because the trouble was ours, by reason.",
                        by("reason", withheld)));
  out.push_back(gauge("watchwheel_results_held",
                      "Failures that wait until it is clear whether they are ours.",
                      number(totals.held)));
  out.push_back(gauge("watchwheel_sites_withheld",
                      "Sites whose newest result is a failure that was withheld.",
                      number(totals.withheld_sites)));
  out.push_back(counter("watchwheel_canary_checks_total", "Checks of canaries, by result.",
                        by("result", {{"ok", number(stats.canaries_ok.value())},
                                      {"failed", number(stats.canaries_failed.value())}})));
}

// Every family exists, at zero, where there is no such table.
void add_legacy(Families& out, const LegacyReading& reading) {
  using http::by, http::counter, http::gauge;
  static const LegacyReadStats kNotRead;
  static const LegacyWriteStats kNotWritten;
  const LegacyReadStats& read = reading.read != nullptr ? *reading.read : kNotRead;
  const LegacyWriteStats& write = reading.write != nullptr ? *reading.write : kNotWritten;
  const auto count = [](const core::Counter& counted) { return number(counted.value()); };
  out.push_back(counter("watchwheel_legacy_rows_read_total", "Rows read of the legacy table.", count(read.rows)));
  out.push_back(counter("watchwheel_legacy_sweeps_total", "Whole sweeps of the legacy table.", count(read.sweeps)));
  out.push_back(gauge("watchwheel_legacy_sweep_seconds",
                      "What the last whole sweep took: a change is seen within it.", read.sweep_s.value()));
  out.push_back(gauge("watchwheel_legacy_rows_active", "Active rows of the last whole sweep.", read.active.value()));
  out.push_back(gauge("watchwheel_legacy_rows_rejected",
                      "Active rows of the last whole sweep that cannot be sites.", read.rejected.value()));
  out.push_back(gauge("watchwheel_legacy_removals_withheld",
                      "Sites whose rows are gone and that stay, because they are too many at once.", read.withheld.value()));
  out.push_back(counter("watchwheel_legacy_changes_total", "Changes of the legacy table that became changes of the site list.",
                        by("kind", {{"added", count(read.added)},
                                    {"changed", count(read.changed)},
                                    {"paused", count(read.paused)},
                                    {"removed", count(read.removed)}})));
  out.push_back(counter("watchwheel_legacy_rows_written_total", "Rows of the legacy table written, by what was written.",
                        by("column", {{"status", count(write.status)}, {"checked_at", count(write.checked)}})));
  out.push_back(counter("watchwheel_legacy_overruled_total",
                        "Of the statuses written, those that another program had set meanwhile.", count(write.overruled)));
  out.push_back(counter("watchwheel_legacy_rows_refused_total",
                        "Rows that the legacy table would not take.", count(write.refused)));
  out.push_back(gauge("watchwheel_legacy_pending", "Sites that wait to be written to the legacy table.", write.pending.value()));
  out.push_back(gauge("watchwheel_legacy_lag_seconds", "How long the oldest of them has waited.", write.lag_s.value()));
  out.push_back(counter("watchwheel_legacy_errors_total", "Calls of the legacy table that failed.",
                        by("operation", {{"read", count(read.errors)}, {"write", count(write.errors)}})));
}

// Zero, all of them, where one process has the store alone.
void add_notify(Families& out, const NotifierReading& reading) {
  using http::by, http::counter, http::gauge, sideeffects::ChannelType, sideeffects::SendOutcome;
  const sideeffects::DeliveryStats& sent = reading.deliveries;
  const sideeffects::RouterStats& routed = reading.router;
  out.push_back(gauge("watchwheel_sites_flapping",
                      "Sites of which single changes are not told, for they change too often.",
                      reading.flapping.sites.value()));
  out.push_back(counter("watchwheel_flapping_total",
                        "Times that a site began or ceased to change its state too often.",
                        by("change", {{"began", number(reading.flapping.begun.value())},
                                      {"ended", number(reading.flapping.ended.value())}})));
  std::vector<http::Sample> attempts;
  for (std::size_t type = 0; type < sideeffects::kChannelTypes; ++type) {
    for (std::size_t result = 0; result < sideeffects::kSendOutcomes; ++result) {
      attempts.push_back({{{"channel", std::string(to_string(static_cast<ChannelType>(type)))},
                           {"result", std::string(to_string(static_cast<SendOutcome>(result)))}},
                          number(sent.attempts.at(type).at(result).value())});
    }
  }
  out.push_back(counter("watchwheel_deliveries_total",
                        "Attempts to tell somebody, by channel and by what became of them.",
                        attempts));
  out.push_back(gauge("watchwheel_deliveries_waiting",
                      "Messages that are queued or under way, of all targets.",
                      sent.waiting.value()));
  out.push_back(gauge("watchwheel_deliveries_in_flight", "Attempts that are under way.",
                      sent.under_way.value()));
  out.push_back(gauge("watchwheel_delivery_oldest_age_seconds",
                      "How long the oldest queued message has waited.", sent.oldest_s.value()));
  out.push_back(
      gauge("watchwheel_dead_letters", "Messages that were given up.", sent.dead_letters.value()));
  out.push_back(counter("watchwheel_deliveries_stale_total",
                        "Attempts that ended after somebody else had taken the message over.",
                        number(sent.stale.value())));
  double not_closed = 0;
  double gone = 0;
  for (const sideeffects::TargetReading& target : reading.targets) {
    not_closed += target.circuit == sideeffects::CircuitState::Closed ? 0 : 1;
    gone += target.gone ? 1 : 0;
  }
  out.push_back(gauge("watchwheel_notify_targets_failing",
                      "Targets that are left alone for now because they do not work.", not_closed));
  out.push_back(
      gauge("watchwheel_notify_targets_gone", "Targets that want no more messages (410).", gone));
  const LocalNoticesReading local = reading.local.value_or(LocalNoticesReading{});
  out.push_back(gauge("watchwheel_notices_from_journal",
                      "1 while notices come from the journal because the store is away.",
                      local.phase == sideeffects::NoticePhase::Straight ? 0 : 1));
  out.push_back(gauge("watchwheel_notices_not_kept",
                      "1 while this host cannot keep what it needs to tell people without the store.",
                      reading.not_kept.empty() ? 0 : 1));
  out.push_back(counter("watchwheel_notices_handed_over_total",
                        "Deliveries made while the store was away that are in the store.",
                        number(local.handed_over)));
  out.push_back(counter("watchwheel_notices_presumed_total",
                        "Notices of events of which it was not known who was told what before.",
                        number(local.presumed)));
  out.push_back(counter("watchwheel_notice_mirror_errors_total",
                        "Failures of this host's own copy of notices.", number(local.errors)));
  out.push_back(gauge("watchwheel_notices_waiting",
                      "Committed transitions of which nobody was told yet.",
                      routed.waiting.value()));
  out.push_back(counter("watchwheel_notices_total", "Committed transitions that were looked at.",
                        number(routed.notices.value())));
  std::vector<std::pair<std::string, double>> held;
  for (std::size_t i = 0; i < sideeffects::kHoldReasonCount; ++i)
    held.emplace_back(sideeffects::kHoldReasonNames.at(i), number(routed.held.at(i).value()));
  out.push_back(counter("watchwheel_notices_held_total",
                        "Beginnings and reminders kept back, each time they were looked at.",
                        by("reason", held)));
  out.push_back(counter("watchwheel_holds_unread_total",
                        "Times that the store did not say what holds a notice back.",
                        by("hold", {{"parent", number(reading.parents.unread.value())},
                                    {"flapping", number(reading.flapping.unread.value())}})));
  out.push_back(counter("watchwheel_notices_unstorable_total",
                        "Transitions of which nobody could be told because the store refused it.",
                        number(routed.unstorable.value())));
}

void add_cluster(Families& out, const Engine& engine) {
  using http::by, http::counter, http::gauge;
  static const ClusterStats none;
  const ClusterStats& stats = engine.cluster_stats() == nullptr ? none : *engine.cluster_stats();
  const ClusterReading reading = engine.cluster().value_or(ClusterReading{});
  out.push_back(gauge("watchwheel_buckets_owned", "Buckets of sites whose lease this node holds.",
                      stats.buckets_owned.value()));
  out.push_back(gauge("watchwheel_buckets", "Buckets that the sites are parted into.",
                      number(reading.buckets)));
  out.push_back(gauge("watchwheel_buckets_moving", "Buckets on their way, by direction.",
                      by("direction", {{"in", number(reading.coming)},
                                       {"out", number(reading.leaving)}})));
  out.push_back(counter("watchwheel_buckets_taken_total", "Buckets that became ours, by from whom.",
                        by("from", {{"nobody", number(stats.taken_free.value())},
                                    {"expired", number(stats.taken_expired.value())},
                                    {"handed", number(stats.taken_handed.value())}})));
  out.push_back(counter("watchwheel_buckets_given_total", "Buckets given up for another node.",
                        number(stats.given.value())));
  out.push_back(counter("watchwheel_lease_lost_total",
                        "Buckets that another node took because our lease had run out.",
                        number(stats.lost.value())));
  out.push_back(counter("watchwheel_lease_errors_total", "Questions about leases that failed.",
                        number(stats.errors.value())));
  out.push_back(gauge("watchwheel_lease_renewed_timestamp_seconds",
                      "When the leases were last renewed, as a Unix time.",
                      stats.renewed_at.value()));
  out.push_back(gauge("watchwheel_lease_valid", "1 while our leases surely hold.",
                      reading.valid ? 1 : 0));
  out.push_back(gauge("watchwheel_cluster_nodes", "Nodes that share the store and are alive.",
                      stats.nodes_live.value()));
  out.push_back(gauge("watchwheel_cluster_alone",
                      "1 while no other node has been seen for an hour, nor has left since.",
                      stats.alone.value()));
  out.push_back(gauge("watchwheel_cluster_clock_offset_seconds",
                      "What the database's clock is ahead of this machine's.",
                      core::to_seconds(reading.clock_offset)));
  out.push_back(counter("watchwheel_fenced_writes_total",
                        "Transactions the database refused because another node had taken over.",
                        number(engine.fenced_writes())));
  std::uint64_t dropped = 0;
  double awaiting = 0;
  for (const sideeffects::ShardStats* shard : engine.shards()) {
    dropped += shard->given_away.value();
    awaiting += shard->awaiting_lease.value();
  }
  dropped += engine.store_road().fenced;
  out.push_back(counter("watchwheel_fenced_sites_total",
                        "Times what we knew of a site was dropped because its bucket is another node's.",
                        number(dropped)));
  out.push_back(gauge("watchwheel_sites_awaiting_lease",
                      "Sites whose news waits until their bucket's lease is ours.", awaiting));
  std::uint64_t given = 0;
  for (const LaneReading& lane : engine.lanes()) given += lane.lane.given_away.value();
  out.push_back(counter("watchwheel_sites_given_away_total",
                        "Sites that left because their bucket is another node's.", number(given)));
}

}  // namespace

std::uint64_t checks_done(const Engine& engine) {
  std::uint64_t done = 0;
  for (const LaneReading& lane : engine.lanes()) {
    for (const core::Counter& results : lane.lane.results) done += results.value();
  }
  return done;
}

Families metric_families(const Engine& engine, const DaemonFacts& facts,
                         const http::Stats& http_stats) {
  const Totals totals = total(engine);
  Families out;
  add_build(out);
  out.push_back(http::gauge("watchwheel_start_time_seconds",
                            "When the daemon started, as a Unix time.",
                            static_cast<double>(core::to_unix_ms(engine.started_at())) / 1000));
  out.push_back(http::gauge("watchwheel_config_reload_success",
                            "1 unless the last reload was refused.", facts.reload_ok ? 1 : 0));
  out.push_back(http::gauge("watchwheel_resident_memory_bytes", "Resident memory of the process.",
                            number(resident_bytes())));
  out.push_back(http::gauge("watchwheel_memory_budget_bytes", "What the process may take.",
                            number(engine.memory().budget_bytes())));
  out.push_back(http::gauge("watchwheel_memory_level",
                            "What is done to stay within the budget: 0 nothing, 1 caches are given "
                            "back, 2 large checks are refused, 3 all but a few.",
                            engine.memory().level()));
  out.push_back(http::counter("watchwheel_memory_level_changes_total", "Changes of that level.",
                              number(engine.memory().changes())));
  add_checks(out, totals);
  add_schedule(out, totals);
  add_threads_and_queues(out, engine, facts);
  add_recording(out, engine, totals);
  add_store_road(out, engine.store_road(), facts.now);
  add_vantage(out, engine, totals);
  add_notify(out, engine.notifier());
  add_cluster(out, engine);
  append_verifier_metrics(engine.verifiers(), out);
  append_warning_metrics(engine.warnings(), out);
  append_history_metrics(engine.history(), engine.notifier().deliveries.removed.value(), out);
  add_dns(out, totals);
  add_exchanges(out, totals);
  add_tls(out, totals, facts);
  add_legacy(out, engine.legacy());
  http::append_metrics(http_stats, out);
  return out;
}

std::vector<prometheus::MetricFamily> waiting_families(bool store_away) {
  Families out;
  add_build(out);
  add_store_away(out, store_away);
  return out;
}

}  // namespace watchwheel::app
