// SPDX-License-Identifier: Apache-2.0
// core/vantage.h - what lanes tell of how their checks go, and what they are told of the place they look from.
//
// Owns     VantageTally: one lane's counts, by network. VantageGate: the newest verdict.
// Thread   a tally: written by its lane; a gate: written by the vantage's thread. Both are read by any.
// Bounded  kVantageCells cells; networks that fall into the same cell count as one.
// Cost     a healthy result: one hash of some ten bytes and two plain stores. read(): four loads, once a turn.
//
// Whether a failure is the site's or ours cannot be seen in one result, only in many that have nothing else in common: so
// results are counted by network, and each network has one voice, however many sites it holds (ADR 0012).
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "core/clock.h"
#include "core/probe.h"
#include "core/stats.h"

namespace watchwheel::core {

enum class VantageState : std::uint8_t {
  Healthy,
  Doubt,  // Seconds: much fails at once, or the canaries do. Failures are held until it is settled.
  Fault,  // Ours. No failure says anything about a site.
  MassOutage,  // Much fails at once, and the canaries do not: it is real.
};
inline constexpr std::size_t kVantageStateCount = 4;
enum class VantageReason : std::uint8_t {
  None,
  Canaries,
  Correlated,
  Resolver,
  Network,
  Resources
};
inline constexpr std::size_t kVantageReasonCount = 6;
[[nodiscard]] std::string_view to_string(VantageState state);  // "mass_outage"
[[nodiscard]] std::string_view to_string(
    VantageReason reason);  // "none", "canaries", "correlated", "resolver", …

// A failure that our own network, resolver, clock or trust store could have made: the site did not get to say anything.
[[nodiscard]] bool is_low_level(Cause cause);

inline constexpr std::size_t kVantageCells = 256;
// The cell of the network that was talked to: of the address its /24 or /48; without an address (the name did not resolve)
// the last two labels of the URL's host, which mostly share their name servers.
[[nodiscard]] std::size_t vantage_cell(std::string_view address, std::string_view url);

// Results of our own trouble, by VantageReason from Resolver on.
inline constexpr std::size_t kOurTroubles = 3;

struct VantageTally {
  struct Cell {
    Counter up;
    Counter
        failed;  // Low-level, of sites that were up. One that is in trouble already is asked more often: not counted.
    Counter failed_first;  // The same, of sites never seen up: a new list may hold many dead ones.
  };
  std::array<Cell, kVantageCells> cells;
  std::array<Counter, kOurTroubles> ours;
  Counter results;  // All.
  Gauge held;       // Failures that wait for a verdict.
  std::array<Counter, kVantageReasonCount>
      withheld;          // Failures told as ours, by why; None: there was no room to wait.
  Gauge withheld_sites;  // Whose newest result is such a one.
};

class VantageGate {
 public:
  struct Reading {
    VantageState state = VantageState::Healthy;
    VantageReason reason = VantageReason::None;
    SteadyTime cleared = kNoSteadyTime;  // Healthy: failures seen until then are the sites' own.
    SteadyTime blind_until =
        kNoSteadyTime;  // What was asked before it and failed may have failed by a fault of ours.
    WallTime group = kNoWallTime;  // MassOutage: when it began, which is its name.
    friend bool operator==(const Reading&, const Reading&) = default;
  };

  // The state is written last and read first: who sees it sees at least the rest that was written with it.
  void publish(const Reading& reading);
  [[nodiscard]] Reading read() const;

 private:
  std::atomic<std::uint16_t> state_{0};  // Release, paired with read()'s acquire.
  std::atomic<SteadyTime::rep> cleared_{0};
  std::atomic<SteadyTime::rep> blind_until_{0};
  std::atomic<std::int64_t> group_ms_{0};
};

}  // namespace watchwheel::core
