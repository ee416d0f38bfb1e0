// SPDX-License-Identifier: Apache-2.0
#include "app/api_routes.h"

#include <iterator>

#include "app/api_deliveries.h"
#include "app/api_incidents.h"
#include "app/api_reports.h"

namespace watchwheel::app {

std::vector<ApiRoute> api_routes(const Config& config) {
  std::vector<ApiRoute> routes;
  const auto add = [&routes](std::vector<ApiRoute> some) {
    std::move(some.begin(), some.end(), std::back_inserter(routes));
  };
  add(delivery_routes());
  add(incident_routes());
  add(report_routes(config));
  return routes;
}

}  // namespace watchwheel::app
