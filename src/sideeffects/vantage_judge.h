// SPDX-License-Identifier: Apache-2.0
// sideeffects/vantage_judge.h - our fault or theirs: decides from what all lanes see and what the canaries say.
//
// Owns     the counts by network of three spans: since the last clearance, of about ten seconds, of about a minute (the latter
//          two fade), and the state that follows from them.
// Thread   one, for every call. No I/O, reads no clock.
// Time     steady, passed in; tick() at any pace, meant several times a second.
// Bounded  three times kVantageCells cells.
// Cost     tick(): some thousand additions.
//
//   from         to           when
//   healthy      fault        our own trouble (resolver, network, resources) is a share `failure_share` of the results
//   healthy      doubt        networks fail together: on average over all networks seen the share `failure_share`, of enough
//                             of them; or a round of canaries failed
//   doubt        fault        two rounds of canaries failed (or none came); without canaries: it goes on for three seconds
//   doubt        mass outage  a round passed, and networks fail together
//   doubt        healthy      a round passed, or it was over in three seconds; or the fleet does well against its canaries
//   mass outage  healthy      new failures have been few for half a minute
//   mass outage  doubt        a round failed
//   fault        healthy      ten seconds of passing rounds; without canaries, of a fleet that does well
//
// A canary that is wrong by itself must not blind us: when two rounds failed while the fleet demonstrably does well, rounds
// are not believed until one passes (canaries_trusted()).
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/clock.h"
#include "core/vantage.h"

namespace watchwheel::sideeffects {

struct VantagePolicy {
  double failure_share = 0.25;  // Above 0, at most 1.
  bool has_canaries = false;
  friend bool operator==(const VantagePolicy&, const VantagePolicy&) = default;
};

// What all lanes counted since the tick before.
struct VantageLooks {
  struct Cell {
    std::uint32_t up = 0, failed = 0, failed_first = 0;
  };
  std::array<Cell, core::kVantageCells> cells{};
  std::array<std::uint64_t, core::kOurTroubles> ours{};
  std::uint64_t results = 0;
  std::uint64_t held = 0;  // Failures that wait now.
};

// All canaries asked once.
struct CanaryRound {
  core::SteadyTime began;
  std::uint32_t asked = 0;
  std::uint32_t failed = 0;  // For whatever reason: what matters is that they could not be reached.
  bool resolver = false;     // Most of the failed ones because no resolver answered.
  [[nodiscard]] bool passed() const { return asked > 0 && failed * 2 <= asked; }
};

// Counts by network that may fade.
class VantageSpan {
 public:
  struct Reading {
    std::uint32_t seen = 0;  // Networks.
    std::uint32_t up = 0;    // With something up.
    std::uint32_t failing = 0;
    std::uint32_t failing_all = 0;  // First looks included.
    double share = 0;               // The mean over networks of what failed in each.
    double share_all = 0;
    double results = 0;
    std::array<double, core::kOurTroubles> ours{};
  };
  void fade(double factor);
  void add(const VantageLooks& looks);
  void clear() { *this = {}; }
  [[nodiscard]] Reading read() const;

 private:
  struct Cell {
    double up = 0, failed = 0, failed_first = 0;
  };
  std::array<Cell, core::kVantageCells> cells_{};
  std::array<double, core::kOurTroubles> ours_{};
  double results_ = 0;
};

class VantageJudge {
 public:
  VantageJudge(VantagePolicy policy, core::SteadyTime now);

  void set_policy(VantagePolicy policy);
  // A round has ended, or cannot end otherwise any more.
  void on_round(const CanaryRound& round);
  void tick(const VantageLooks& looks, core::SteadyTime now);

  [[nodiscard]] core::VantageState state() const { return state_; }
  [[nodiscard]] core::VantageReason reason() const { return reason_; }  // Of doubt and fault.
  [[nodiscard]] core::SteadyTime since() const { return since_; }
  // Healthy: failures until then are the sites' own: a whole span after them was well, or a later round passed.
  [[nodiscard]] core::SteadyTime cleared() const { return cleared_; }
  // What was asked before the last fault ended may have failed because of it.
  [[nodiscard]] core::SteadyTime blind_until() const { return blind_until_; }
  // When the canaries are to be asked next, given when the last round began: may be past. Nothing without canaries.
  [[nodiscard]] std::optional<core::SteadyTime> next_round(core::SteadyTime last_began) const;
  [[nodiscard]] bool canaries_trusted() const { return policy_.has_canaries && trusted_; }
  [[nodiscard]] VantageSpan::Reading recent() const { return recent_.read(); }

 private:
  using Reading = VantageSpan::Reading;

  void healthy(core::SteadyTime now);
  void doubt(core::SteadyTime now);
  void doubt_without_canaries(core::SteadyTime now);
  void fault(core::SteadyTime now);
  void mass_outage(core::SteadyTime now);
  void clear_failures(core::SteadyTime now);
  void become(core::VantageState state, core::VantageReason reason, core::SteadyTime now);
  void restart_span(core::SteadyTime now);
  [[nodiscard]] std::uint32_t networks_min() const;
  [[nodiscard]] bool together(const Reading& reading, std::uint32_t networks_min,
                              double share) const;
  [[nodiscard]] bool together() const;
  [[nodiscard]] bool is_mass() const;
  [[nodiscard]] bool does_well(const Reading& reading, double share) const;
  [[nodiscard]] static std::optional<core::VantageReason> our_trouble(const Reading& reading,
                                                                      double share);
  [[nodiscard]] std::optional<core::VantageReason> our_trouble() const;
  [[nodiscard]] bool calm_for(bool calm, core::Duration how_long, core::SteadyTime now);

  VantagePolicy policy_;
  core::VantageState state_ = core::VantageState::Healthy;
  core::VantageReason reason_ = core::VantageReason::None;
  core::SteadyTime since_;
  core::SteadyTime cleared_;
  core::SteadyTime blind_until_ = core::kNoSteadyTime;
  core::SteadyTime last_tick_;
  VantageSpan span_;  // Since span_began_.
  core::SteadyTime span_began_;
  VantageSpan recent_;
  VantageSpan minute_;
  std::uint64_t held_ = 0;
  std::optional<CanaryRound> round_;  // The newest of this state that was not looked at yet.
  std::uint32_t rounds_failed_ = 0;   // In a row in this state.
  bool trusted_ = true;
  core::SteadyTime calm_since_ = core::kNoSteadyTime;
};

}  // namespace watchwheel::sideeffects
