// SPDX-License-Identifier: Apache-2.0
// costed_world.h - one lane whose thread costs time: each start and each event of a check takes so
// many microseconds of it, in virtual time. What happens when more is asked of a core than it can do.
//
// The lane is the real one; the prober does with its events what checker/reactor.h does with the
// kernel's, and the loop is that of app/lane_thread.cc.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <queue>
#include <vector>

#include "app/lane.h"
#include "core/clock.h"

namespace watchwheel::sim {

struct Costs {
  core::Duration start = std::chrono::microseconds{200};
  core::Duration event = std::chrono::microseconds{100};
  std::uint32_t events = 5;  // Of one check: a name, a connection, a handshake …
  [[nodiscard]] double checks_per_second() const {
    return 1 / core::to_seconds(start + event * events);
  }
};

struct CostedSettings {
  std::uint32_t sites = 1;
  core::Duration interval = std::chrono::seconds{20};
  Costs costs;
  core::Duration step = std::chrono::milliseconds{20};  // From what we do to the next event of it.
  // Every so many sites one never answers. 0: none.
  std::uint32_t silent_every = 0;
  // Off: as many starts a turn as there is room for, whatever waits, and turns without an end.
  bool answers_first = true;
};

class CostedWorld {
 public:
  explicit CostedWorld(const CostedSettings& settings);
  ~CostedWorld();

  void run_for(core::Duration how_long);
  // The process is stopped: answers come in meanwhile.
  void stop_for(core::Duration how_long) { clock_.advance(how_long); }
  // More work for the core from now on: the costs of everything, times this.
  void set_cost_factor(double factor) { cost_factor_ = factor; }

  [[nodiscard]] const app::Lane& lane() const { return *lane_; }
  [[nodiscard]] std::uint64_t done() const;  // With a conclusive result.
  [[nodiscard]] std::uint64_t results(core::Cause cause) const;
  [[nodiscard]] std::size_t in_flight() const;
  [[nodiscard]] core::Duration longest_turn() const { return longest_turn_; }
  void forget_longest_turn() { longest_turn_ = {}; }

 private:
  class Prober;
  void turn();
  void load();

  CostedSettings settings_;
  core::ManualClock clock_;
  double cost_factor_ = 1;
  core::SpscRing<app::LaneMessage> inbox_{1024};
  core::SpscRing<core::SiteNote> notes_{64};
  core::SpscRing<core::FreshnessMark> marks_{65536};
  app::ShardMailbox mailbox_{10'000'000};
  std::unique_ptr<Prober> prober_;
  std::unique_ptr<app::Lane> lane_;
  core::SteadyTime meant_;
  core::Duration took_{};
  core::Duration longest_turn_{};
};

}  // namespace watchwheel::sim
