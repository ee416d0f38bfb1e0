// SPDX-License-Identifier: Apache-2.0
// parent_laws.h - what must hold of sites that depend on others: while one above is down, and until a child was looked at again after
// that, nothing that begins at the child is told; what is down for longer than that is told soon; what was only unreachable never is.
#pragma once

#include <string>
#include <vector>

#include "flapping_laws.h"
#include "incident_laws.h"

namespace watchwheel::sim {

// Whether nobody need have been told of the outage: while it lasted neither what stands above its site nor flapping (`spans`) ever let
// it out for long enough.
[[nodiscard]] bool held_behind_parents(IncidentWorld& world, const History& history,
                                       const std::vector<FlapSpan>& spans,
                                       const std::vector<db::Incident>& incidents,
                                       const db::Incident& incident);

// Every law that is broken. `incidents`: the outages.
[[nodiscard]] std::vector<std::string> broken_parent_laws(
    IncidentWorld& world, const History& history, const std::vector<FlapSpan>& spans,
    const std::vector<db::Incident>& incidents);

}  // namespace watchwheel::sim
