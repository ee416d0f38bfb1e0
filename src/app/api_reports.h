// SPDX-License-Identifier: Apache-2.0
// app/api_reports.h - uptime and response times over HTTP: what `watchwheel report --json` prints, a page of sites at a time.
#pragma once

#include <vector>

#include "app/config.h"
#include "app/store_reader.h"

namespace watchwheel::app {

// Of `config` it takes what a site has that says nothing of its own.
[[nodiscard]] std::vector<ApiRoute> report_routes(const Config& config);

}  // namespace watchwheel::app
