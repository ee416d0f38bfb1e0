// SPDX-License-Identifier: Apache-2.0
// bench/rig/svg.h - a line chart as SVG text, for a report that needs no program to look at.
//
// Pure. Values that are not finite are left out; a chart without any has axes and no lines.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace watchwheel::rig {

struct Series {
  std::string name;
  std::vector<std::pair<double, double>> points;  // In the order of x.
};

struct Chart {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<Series> series;
  bool has_dots = false;  // For few points: each is marked.
};

[[nodiscard]] std::string svg_of(const Chart& chart);

// Round numbers from at most `low` to at least `high`, about `count` of them: 0, 200, 400…
[[nodiscard]] std::vector<double> ticks_over(double low, double high, int count);

// `&`, `<`, `>` and quotes as entities.
[[nodiscard]] std::string xml_escaped(const std::string& text);

}  // namespace watchwheel::rig
