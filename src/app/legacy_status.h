// SPDX-License-Identifier: Apache-2.0
// app/legacy_status.h - what the two legacy threads counted, for the status document.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "app/engine.h"

namespace watchwheel::app {

// Null where there is no legacy table.
[[nodiscard]] nlohmann::ordered_json legacy_json(const LegacyReading& reading);

}  // namespace watchwheel::app
