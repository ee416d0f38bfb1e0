// SPDX-License-Identifier: Apache-2.0
// flapping_laws.h - what must hold of sites that flap, told from what the receivers were sent and from the rows of outages.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "incident_laws.h"

namespace watchwheel::sim {

// From when somebody was told that a site flaps to when they were told that it is steady.
struct FlapSpan {
  std::uint64_t site = 0;
  core::WallTime since = core::kNoWallTime;  // The change with which it began.
  core::WallTime from = core::kNoWallTime;   // When that was decided.
  core::WallTime until = core::kNoWallTime;  // kNoWallTime: it was not.
};

// Of each site in their order. Of what was decided and never came to an attempt nobody knows.
[[nodiscard]] std::vector<FlapSpan> flap_spans(IncidentWorld& world);

// Whether nobody need have been told of the outage: it began while its site flapped and did not last, or was over when that was, or
// soon after.
[[nodiscard]] bool held_by_flapping(const std::vector<FlapSpan>& spans,
                                    const db::Incident& incident, const History& history,
                                    core::Duration interval);

// Every law that is broken: begun and ended rightly, told to the end to whom it was told, nothing told meanwhile that begins.
[[nodiscard]] std::vector<std::string> broken_flapping_laws(
    IncidentWorld& world, const History& history, const std::vector<FlapSpan>& spans,
    const std::vector<db::Incident>& incidents);

}  // namespace watchwheel::sim
