// SPDX-License-Identifier: Apache-2.0
// bench/rig/metrics_page.h - one reading of an engine's /metrics.
//
// A value. A metric that is not there reads as 0: older and newer engines are measured alike.
#pragma once

#include <map>
#include <string>
#include <string_view>

namespace watchwheel::rig {

class MetricsPage {
 public:
  MetricsPage() = default;
  explicit MetricsPage(std::string_view text);

  // The sum over all labels, of those whose label text holds `label` (`reason="opened"`).
  [[nodiscard]] double sum(std::string_view name, std::string_view label = {}) const;
  [[nodiscard]] double max(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const;

  // The value that `share` of what histogram `name` counted since `before` does not exceed: the upper
  // edge of its bucket; 0 when nothing was counted, infinity above the last edge.
  [[nodiscard]] double quantile(const MetricsPage& before, std::string_view name,
                                double share) const;

 private:
  [[nodiscard]] std::map<double, double> buckets(std::string_view name) const;
  std::map<std::string, std::map<std::string, double, std::less<>>, std::less<>> values_;
};

}  // namespace watchwheel::rig
