// SPDX-License-Identifier: Apache-2.0
// The families of warnings (docs/reference/metrics.md).
#include <prometheus/metric_family.h>

#include <string>
#include <utility>

#include "app/warnings.h"
#include "http/metric_builder.h"

namespace watchwheel::app {

void append_warning_metrics(const sideeffects::WarningStats& stats,
                            std::vector<prometheus::MetricFamily>& out) {
  std::vector<std::pair<std::string, double>> open;
  std::vector<http::Sample> changes;
  for (const core::WarningKind& each : core::kWarningKinds) {
    const auto index = static_cast<std::size_t>(each.kind);
    const std::string kind(core::to_string(each.kind));
    open.emplace_back(kind, stats.open.at(index).value());
    const auto add = [&](const char* change, const core::Counter& counter) {
      changes.push_back(
          {{{"kind", kind}, {"change", change}}, static_cast<double>(counter.value())});
    };
    add("begun", stats.begun.at(index));
    add("stepped", stats.stepped.at(index));
    add("ended", stats.ended.at(index));
  }
  out.push_back(http::gauge("watchwheel_warnings_open",
                            "Open warnings of this process's sites, by kind.",
                            http::by("kind", open)));
  out.push_back(http::counter("watchwheel_warning_changes_total",
                              "Transitions of warnings that were stored, by kind and change.",
                              changes));
  out.push_back(http::gauge("watchwheel_warnings_waiting",
                            "Transitions of warnings that the store has not taken yet.",
                            stats.waiting.value()));
  out.push_back(http::counter("watchwheel_warnings_dropped_total",
                              "Transitions of warnings that no store would take.",
                              static_cast<double>(stats.dropped.value())));
}

}  // namespace watchwheel::app
