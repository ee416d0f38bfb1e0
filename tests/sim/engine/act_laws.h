// SPDX-License-Identifier: Apache-2.0
// act_laws.h - what must hold of what people do to incidents: done once or refused for a reason, and heeded.
#pragma once

#include <string>
#include <vector>

#include "incident_laws.h"

namespace watchwheel::sim {

[[nodiscard]] std::vector<std::string> broken_act_laws(IncidentWorld& world, const History& history,
                                                       const std::vector<db::Incident>& incidents);

}  // namespace watchwheel::sim
