// SPDX-License-Identifier: Apache-2.0
// The families of what is kept of the past (docs/reference/metrics.md).
#include <prometheus/metric_family.h>

#include <string>
#include <utility>

#include "app/history.h"
#include "http/metric_builder.h"

namespace watchwheel::app {

void append_history_metrics(const sideeffects::HistoryStats& stats, std::uint64_t deliveries,
                            std::vector<prometheus::MetricFamily>& out) {
  std::vector<std::pair<std::string, double>> removed;
  for (const sideeffects::HistoryTable table : sideeffects::kHistoryTables)
    removed.emplace_back(
        sideeffects::to_string(table),
        static_cast<double>(stats.removed.at(static_cast<std::size_t>(table)).value()));
  removed.emplace_back("deliveries", static_cast<double>(deliveries));
  out.push_back(http::counter("watchwheel_history_removed_total",
                              "Rows removed because they were older than is kept, by table.",
                              http::by("table", removed)));
}

}  // namespace watchwheel::app
