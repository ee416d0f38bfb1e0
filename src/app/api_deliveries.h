// SPDX-License-Identifier: Apache-2.0
// app/api_deliveries.h - what waits to be told and what could not be, over HTTP: what `watchwheel deliveries` and `watchwheel requeue` do.
#pragma once

#include <vector>

#include "app/store_reader.h"

namespace watchwheel::app {

[[nodiscard]] std::vector<ApiRoute> delivery_routes();

}  // namespace watchwheel::app
