// SPDX-License-Identifier: Apache-2.0
// app/api_routes.h - all that the HTTP endpoint serves of the store, area by area (store_reader.h says how to add one).
#pragma once

#include <vector>

#include "app/config.h"
#include "app/store_reader.h"

namespace watchwheel::app {

[[nodiscard]] std::vector<ApiRoute> api_routes(const Config& config);

}  // namespace watchwheel::app
