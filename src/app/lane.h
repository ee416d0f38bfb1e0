// SPDX-License-Identifier: Apache-2.0
// app/lane.h - one scheduler and one prober joined: a share of the sites, checked, judged at a
// glance, and placed again.
//
// Owns     its sites' rows, their wheel, the interned check plans, what is known of the sites in
//          trouble.
// Thread   the lane's, for every call; stats() and the figures in it are for any thread.
// Bounded  sites_max rows; one turn takes at most kMessagesPerTurn messages and as many notes, or as
//          many as kTurnShare lets it, kStartsPerTurn starts and a slice of the sweep. No step of it is O(sites).
// Time     both times are passed into turn(); results are handled at the time of the turn that
//          brought them.
// Fails    never blocks, never drops a fact: facts go to a mailbox with a seat for each site, a
//          refused freshness mark is offered again at the site's next check, a refused check stays
//          due.
//
// A finished check is handled where it finished (docs/life-of-a-check.md): no result queue, so none
// can back up.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "app/lane_ports.h"
#include "app/lane_vantage.h"
#include "app/left_sites.h"
#include "app/loop_lateness.h"
#include "app/memory_watch.h"
#include "app/response_tally.h"
#include "app/turn_budget.h"
#include "checker/prober.h"
#include "core/owner.h"
#include "core/segmented_map.h"
#include "scheduler/admission.h"
#include "scheduler/scheduler.h"
#include "scheduler/site_table.h"
#include "sideeffects/attention.h"

namespace watchwheel::app {

struct LaneSettings {
  std::uint32_t number = 0;
  std::size_t sites_max = 1'000'000;
  LaneTuning tuning;
  scheduler::AdmissionLimits admission;
  std::uint64_t jitter_seed = 0;
  const MemoryRequest* memory = nullptr;  // Null: nobody watches over it.
  // For the share of a turn that what comes in may take; null: only its count is bounded.
  const core::Clock* clock = nullptr;
};

// Written by the lane, read by any thread.
struct LaneStats {
  std::array<core::Counter, core::kCauseCount>
      results;  // Finished checks by cause, as judged here; Ok among them.
  std::array<core::Gauge, core::kSiteStateCount> sites;  // By state, as of the last whole sweep.
  core::Gauge stale;
  core::Gauge within_interval;      // Active sites whose newest result is no older than their interval.
  core::Gauge oldest_age_s;         // Of the newest results of all active sites.
  core::Gauge bytes;                // Of the site table and the response times.
  core::Gauge incidents_seem_down;  // Open, as the lane sees them.
  core::Gauge incidents_down;
  core::Counter
      overload_discounted;  // Timeouts seen while our own loop lagged: told as local_overload.
  core::Counter edited_in_flight;  // Results dropped because the site was edited or removed while
                                   // it was asked.
  core::Counter sites_refused;     // The table may not grow further.
  core::Counter certificates_changed;
  core::Counter marks_refused;
  core::Counter given_away;             // Sites that left because another host has their bucket.
  core::Gauge loop_lag_s;               // Worst of the last ten seconds.
  core::Histogram turns_took;           // Whole turns, the checker's part included.
  std::atomic<std::uint64_t> turns{0};  // For the watchdog: real progress.
  std::atomic<bool> loaded{false};
};

class Lane final : public checker::ResultHandler, core::Pinned {
 public:
  static constexpr std::size_t kMessagesPerTurn = 512;
  static constexpr std::size_t kStartsPerTurn = 256;
  // Of a turn, for messages, and again for notes.
  static constexpr core::Duration kTurnShare = std::chrono::milliseconds{4};

  Lane(const LaneSettings& settings, LanePorts ports, core::SteadyTime now, core::WallTime wall);
  ~Lane() override;

  // The prober that reports to this lane. Once, before the first turn; it outlives the lane's last
  // turn.
  void attach(checker::Prober& prober);

  // The time of the turn that begins: results that come before turn() are handled at it.
  void begin_turn(core::SteadyTime now, core::WallTime wall);
  // One loop turn: messages and notes in, time forward, checks started, a slice of the table swept.
  void turn(core::SteadyTime now, core::WallTime wall);
  // When turn() is needed next, at the latest 100 ms from now: the rings are polled.
  [[nodiscard]] core::SteadyTime next_turn(core::SteadyTime now) const;

  void on_result(checker::ProbeToken token, core::ProbeResult&& result) noexcept override;

  // The loop that drives this lane woke this much later than it meant to, or its last turn took so long.
  void note_loop_lag(core::Duration lag, core::SteadyTime now);

  // Answers that are here already wait for their turn since `since` (kNoSteadyTime: none do); and some have waited for `ended`
  // (0: none). Only for judging lateness: it is work, and closes no admission. After begin_turn().
  void note_answers_wait(core::Duration ended, core::SteadyTime since);

  // A whole turn of the loop that drives this lane took so long. After each.
  void note_turn(core::Duration took) { stats_.turns_took.observe(took); }

  // The prober's turn left answers that are here already: they go before new checks. Before each turn().
  void note_answers_left(bool left);
  // So many connections have found no port of ours, since the start. Before each turn().
  void note_dials_without_port(std::uint64_t count);

  // No check is started any more; those in flight go on. For draining.
  void close_admission() { admitting_ = false; }

  [[nodiscard]] const LaneStats& stats() const { return stats_; }
  [[nodiscard]] const scheduler::Scheduler& scheduler() const { return *scheduler_; }
  [[nodiscard]] const scheduler::Admission& admission() const { return admission_; }
  [[nodiscard]] const scheduler::SiteTable& sites() const { return sites_; }
  [[nodiscard]] const sideeffects::Attention& attention() const { return attention_; }
  // What it tells the vantage's thread: for any thread.
  [[nodiscard]] const core::VantageTally& vantage_tally() const { return vantage_.tally(); }
  // How fast its sites answered, all together, ever more: for any thread.
  [[nodiscard]] core::ResponseHistogram responses() const { return responses_.all(); }
  // Of a lane that has stopped: how fast sites answered since their last marks, a mark each that says nothing else.
  void tell_rest(const std::function<void(const core::FreshnessMark&)>& tell) const;

 private:
  struct Plan {
    std::shared_ptr<const core::CheckOptions> options;
    checker::PlanRef ready;  // Null: `problem` says why sites with these options cannot be asked.
    std::string problem;
    bool may_pass = false;  // The problem is one of the moment: prepared again after a while.
    core::SteadyTime tried = core::kNoSteadyTime;
    std::size_t sites = 0;  // The plan is dropped with its last site.
  };
  struct Sweep {
    std::uint32_t at = 0;
    std::array<std::uint64_t, core::kSiteStateCount> sites{};
    std::uint64_t stale = 0;
    std::uint64_t within_interval = 0;
    core::Duration oldest{};
  };

  void heed_memory();
  void take_messages();
  void apply(LaneMessage&& message);
  void put(LaneMessage&& message);
  void add(const LaneMessage& message, scheduler::PlanIndex plan);
  void edit(core::SiteSlot slot, const LaneMessage& message, scheduler::PlanIndex plan);
  void put_paused(const LaneMessage& message);
  void remove(core::SiteId id, core::Presence presence);
  void drop_row(core::SiteSlot slot);
  void give_away(core::SiteSlot slot);
  void give_away_when_told(core::SiteSlot slot);
  void forget_paused();
  [[nodiscard]] bool is_given_away(core::SiteSlot slot) const;
  void take_notes();
  void hear_of_unknown_trouble(const core::SiteNote& note);
  void close_by_hand(const core::SiteNote& note);
  void ask_of_left();
  void tell_anew(core::SiteId site);
  void start_due();
  [[nodiscard]] bool start(core::SiteSlot slot);
  void pass_over(core::SiteSlot slot, core::Cause cause, std::string_view why);
  [[nodiscard]] core::Cause honest_cause(core::SiteSlot slot,
                                         const core::ProbeResult& result);
  void weigh(core::SiteSlot slot, core::ProbeResult&& result);
  void withhold(core::SiteSlot slot, core::ProbeResult& result, core::WallTime at, bool no_room);
  void release_held();
  // `at`: when it was seen. `doubtful`: to be asked again soon, though it says nothing.
  void handle(core::SiteSlot slot, const core::ProbeResult& result, core::WallTime at,
              bool doubtful = false);
  [[nodiscard]] std::optional<core::Duration> react(core::SiteSlot slot,
                                                    const core::ProbeResult& result,
                                                    core::WallTime at, bool& news);
  void post(core::SiteId id, core::SiteFacts facts);
  [[nodiscard]] core::SiteFacts facts_of(core::SiteId id);
  // `result`: the newest; null: what is told was not seen just now.
  void project(core::SiteSlot slot, bool measured, const core::ProbeResult* result);
  void sweep_slice();
  void sweep_row(core::SiteSlot slot);
  void publish_sweep();
  [[nodiscard]] core::Duration freshness_limit(core::SiteSlot slot) const;
  [[nodiscard]] scheduler::PlanIndex intern(
      const std::shared_ptr<const core::CheckOptions>& options, const std::string& problem);
  void prepare(Plan& plan);
  void release_plan(scheduler::PlanIndex plan);
  [[nodiscard]] core::WallTime to_wall(core::SteadyTime t) const { return wall_ + (t - now_); }

  const std::uint32_t number_;
  LanePorts ports_;
  LaneTuning tuning_;
  ResponseTally responses_;
  core::ThreadOwner owner_;
  scheduler::SiteTable sites_;
  scheduler::Admission admission_;
  std::unique_ptr<scheduler::Scheduler> scheduler_;
  sideeffects::Attention attention_;
  checker::Prober* prober_ = nullptr;

  std::deque<Plan> plans_;  // A deque: thousands of plans are not moved for one more.
  core::SegmentedMap<const core::CheckOptions*, scheduler::PlanIndex> plan_index_;
  std::vector<scheduler::PlanIndex> free_plans_;
  core::SegmentedMap<core::SiteId, std::monostate> paused_;
  std::size_t paused_at_ = 0;  // The segment that is looked at next for sites that are another host's.
  LeftSites left_;
  TurnBudget budget_;
  LaneVantage vantage_;

  core::SteadyTime now_;  // Of the current turn.
  core::WallTime wall_;
  LoopLateness lateness_;
  const MemoryRequest* memory_;
  std::uint32_t shrinks_seen_ = 0;
  std::uint64_t without_port_seen_ = 0;
  core::SteadyTime last_repost_ = core::kNoSteadyTime;
  bool reposting_ = false;  // This sweep posts again what no shard has acknowledged.
  core::Duration worst_lag_{};
  core::SteadyTime worst_lag_since_ = core::kNoSteadyTime;
  core::SteadyTime last_sweep_ = core::kNoSteadyTime;
  Sweep sweep_;
  bool admitting_ = true;
  LaneStats stats_;
};

}  // namespace watchwheel::app
