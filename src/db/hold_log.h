// SPDX-License-Identifier: Apache-2.0
// db/hold_log.h - why nobody is told of an incident for now, read from the wake that brings its notice up again (`watchwheel incidents`).
//
// Thread   as the log's.
// Fails    core::Error, as the log does.
#pragma once

#include <optional>

#include "core/result.h"
#include "db/incident_log.h"
#include "sideeffects/hold_api.h"

namespace watchwheel::db {

// Nothing: nothing holds it back, somebody was told of it, or it is over. `log`: of a store; by one that no store made nothing is
// held. Cost: of an open incident one look into each of two indexes.
[[nodiscard]] core::Result<std::optional<sideeffects::HeldBack>> held_back(
    IncidentLog& log, const Incident& incident);

}  // namespace watchwheel::db
