// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/metrics_page.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace watchwheel::rig {
namespace {

constexpr std::string_view kEdge = "le=\"";

}  // namespace

MetricsPage::MetricsPage(std::string_view text) {
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#') continue;
    const std::size_t space = line.rfind(' ');
    if (space == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, space);
    const std::size_t brace = std::min(key.find('{'), key.size());
    const std::string value(line.substr(space + 1));
    values_[std::string(key.substr(0, brace))][std::string(key.substr(brace))] =
        std::strtod(value.c_str(), nullptr);
  }
}

double MetricsPage::sum(std::string_view name, std::string_view label) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return 0;
  double sum = 0;
  for (const auto& [labels, value] : found->second) {
    if (labels.find(label) != std::string::npos) sum += value;
  }
  return sum;
}

double MetricsPage::max(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) return 0;
  double most = 0;
  for (const auto& [labels, value] : found->second) most = std::max(most, value);
  return most;
}

bool MetricsPage::has(std::string_view name) const {
  return values_.contains(name);
}

std::map<double, double> MetricsPage::buckets(std::string_view name) const {
  std::map<double, double> out;
  const auto found = values_.find(std::string(name) + "_bucket");
  if (found == values_.end()) return out;
  for (const auto& [labels, value] : found->second) {
    const std::size_t at = labels.find(kEdge);
    if (at == std::string::npos) continue;
    const std::string edge = labels.substr(at + kEdge.size());
    const double upper = edge.starts_with("+Inf") ? std::numeric_limits<double>::infinity()
                                                  : std::strtod(edge.c_str(), nullptr);
    out[upper] += value;
  }
  return out;
}

double MetricsPage::quantile(const MetricsPage& before, std::string_view name, double share) const {
  std::map<double, double> now = buckets(name);
  for (const auto& [edge, value] : before.buckets(name)) now[edge] -= value;
  const double total = now.empty() ? 0 : now.rbegin()->second;
  if (total <= 0) return 0;
  for (const auto& [edge, value] : now) {
    if (value >= share * total) return edge;
  }
  return std::numeric_limits<double>::infinity();
}

}  // namespace watchwheel::rig
