// SPDX-License-Identifier: Apache-2.0
// app/notify_status.h - what the status document tells of deliveries.
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "app/notifier.h"

namespace watchwheel::app {

[[nodiscard]] nlohmann::ordered_json notify_json(const NotifierReading& reading);

}  // namespace watchwheel::app
