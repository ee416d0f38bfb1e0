// SPDX-License-Identifier: Apache-2.0
// app/vantage.h - whether the trouble is ours: asks the canaries, adds up what the lanes count, and tells them the verdict.
//
// Owns     the canaries' newest results, the judge (sideeffects/vantage_judge.h), and the faults and mass outages that follow.
// Thread   one, for every call; the gate and the counters are read by any.
// Bounded  kCanariesMax canaries, each asked once at a time.
// Time     both times passed into turn().
// Fails    canaries that cannot be asked (a plan that does not fit, no room) count as failed: the fleet decides then.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/log.h"
#include "checker/prober.h"
#include "core/check_options.h"
#include "core/pinned.h"
#include "core/vantage.h"
#include "sideeffects/vantage_judge.h"
#include "sideeffects/vantage_store_api.h"

namespace watchwheel::app {

inline constexpr std::size_t kCanariesMax = 32;

struct VantageSettings {
  std::vector<std::string> canaries;  // URLs, at most kCanariesMax.
  double failure_share = 0.25;
  core::CheckOptions
      options;  // The sites' defaults: resolvers, trust, address guard. Timeouts and rules are the canaries' own.
  friend bool operator==(const VantageSettings&, const VantageSettings&) = default;
};

struct CanaryReading {
  std::string url;
  bool asked = false;  // The rest means nothing before.
  bool ok = false;
  core::Cause cause = core::Cause::Ok;
  core::WallTime checked_at = core::kNoWallTime;
};

// What status shows. A value.
struct VantageReading {
  core::VantageState state = core::VantageState::Healthy;
  core::VantageReason reason = core::VantageReason::None;
  core::WallTime since = core::kNoWallTime;
  double failure_share = 0;  // Of late, over networks.
  std::uint32_t networks_failing = 0;
  std::uint32_t networks_seen = 0;
  bool canaries_trusted = false;
  std::vector<CanaryReading> canaries;
  core::WallTime group = core::kNoWallTime;
};

struct VantageStats {
  core::Counter canaries_ok;
  core::Counter canaries_failed;
  core::Counter doubts;
  core::Counter faults;
  core::Counter mass_outages;
};

class Vantage final : public checker::ResultHandler, core::Pinned {
 public:
  using Record = std::function<void(const sideeffects::VantageEvent&)>;

  Vantage(const VantageSettings& settings, std::vector<const core::VantageTally*> lanes,
          core::VantageGate& gate, Record record, Log& log, core::SteadyTime now,
          core::WallTime wall);

  // Once, before the first turn. It outlives the last one.
  void attach(checker::Prober& prober) { prober_ = &prober; }
  void set(const VantageSettings& settings);
  // What was open when the process before this one ended: a mass outage named `group`, whose last event began at `newest`. If that is
  // but minutes ago and many sites fail together within minutes from now, it is the same one. Before the first turn.
  void go_on_with(core::WallTime group, core::WallTime newest);

  void turn(core::SteadyTime now, core::WallTime wall);
  [[nodiscard]] core::SteadyTime next_turn() const { return next_tick_; }
  void on_result(checker::ProbeToken token, core::ProbeResult&& result) noexcept override;

  [[nodiscard]] VantageReading reading() const;
  [[nodiscard]] const VantageStats& stats() const { return stats_; }

 private:
  struct Canary {
    CanaryReading reading;
    bool asking = false;
    bool in_round = false;  // Its result of the round under way is awaited.
    bool ok_before = true;  // For the log.
  };

  void begin_round();
  void start(std::size_t canary);
  void answered(Canary& canary, core::Cause cause);
  void end_round_when_decided();
  [[nodiscard]] bool prepare();
  [[nodiscard]] sideeffects::VantageLooks take_looks();
  [[nodiscard]] std::uint64_t withheld() const;
  void follow(core::VantageState before);
  void say(core::VantageState before);
  void publish();

  VantageSettings settings_;
  const std::vector<const core::VantageTally*> lanes_;
  core::VantageGate& gate_;
  const Record record_;
  Log& log_;
  checker::Prober* prober_ = nullptr;
  checker::PlanRef plan_;
  std::vector<Canary> canaries_;
  std::uint32_t generation_ = 0;  // Of the list: results of the one before count for nothing.
  sideeffects::VantageJudge judge_;
  std::vector<sideeffects::VantageLooks> before_;  // What each lane had counted, one a lane.

  core::SteadyTime now_;
  core::WallTime wall_;
  core::SteadyTime next_tick_;
  core::SteadyTime last_round_ = core::kNoSteadyTime;
  std::uint32_t round_resolver_ =
      0;  // Failed ones of the round under way because no resolver answered.
  std::uint32_t round_failed_ = 0;
  std::uint32_t round_left_ = 0;
  bool round_open_ = false;
  sideeffects::VantageSpan::Reading seen_;  // Of the last ten seconds or so.
  core::WallTime since_;
  core::WallTime group_ = core::kNoWallTime;
  core::WallTime group_before_ = core::kNoWallTime;  // Of the process before this one;
  core::SteadyTime group_before_until_ = core::kNoSteadyTime;  // so long it may go on.
  std::optional<sideeffects::VantageEvent> fault_;
  std::uint64_t withheld_before_ = 0;
  core::SteadyTime fault_told_ = core::kNoSteadyTime;
  VantageStats stats_;
};

}  // namespace watchwheel::app
