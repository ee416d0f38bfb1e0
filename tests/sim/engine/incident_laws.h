// SPDX-License-Identifier: Apache-2.0
// incident_laws.h - what must hold of every history, told from outside: from the results that the lane was handed, the verifiers'
// words, the rows of the store and what the receivers were sent. It shares no decision with the code under test.
#pragma once

#include <string>
#include <vector>

#include "incident_world.h"

namespace watchwheel::sim {

// A maintenance window as it was for the sites that it covered.
struct Announced {
  std::vector<std::uint64_t> sites;
  core::SteadyTime known_at, from,
      until;  // In force from `from`, and withdrawn or over at `until`.
};

struct Happened {
  core::SteadyTime at;
  std::string what;
};

// What was done in a history, as far as a law depends on it.
struct History {
  bool killed = false;  // The process ended before its time at least once.
  bool answers_lost = false;
  bool clock_stepped = false;
  bool edited = false;  // Sites were paused, resumed or removed.
  bool store_away = false;
  bool grouped = false;  // Mass outages.
  bool closed = false;   // Somebody asked for an event to be closed.
  std::vector<std::uint64_t> removed;
  std::vector<Announced> windows;
  std::vector<std::string> absent;  // Targets that were not configured for a while.
  std::vector<Happened> happened;   // For people.
  core::SteadyTime first_requeue = core::SteadyTime::max();
};

// Every law that is broken, a line each. Call it when all is settled.
[[nodiscard]] std::vector<std::string> broken_laws(IncidentWorld& world, const History& history);

}  // namespace watchwheel::sim
