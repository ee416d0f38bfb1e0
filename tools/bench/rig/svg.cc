// SPDX-License-Identifier: Apache-2.0
#include "bench/rig/svg.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

namespace watchwheel::rig {
namespace {

constexpr double kWidth = 860, kHeight = 380;
constexpr double kLeft = 78, kRight = 18, kTop = 56, kBottom = 52;
constexpr std::size_t kPointsMax =
    1200;  // More than there are pixels; a day by the second is thinned.
// Told apart also by who sees red and green alike.
constexpr std::array<const char*, 6> kColours{"#0b62a4", "#d9541e", "#3b8c3b",
                                              "#7a4fa3", "#8a6d1b", "#444444"};

std::string format(const char* pattern, double a, double b = 0, double c = 0, double d = 0) {
  std::array<char, 512> text{};
  std::snprintf(text.data(), text.size(), pattern, a, b, c, d);
  return text.data();
}

std::string number(double value) {
  const double size = std::abs(value);
  if (size >= 1e6) return format("%gM", value / 1e6);
  if (size >= 1e4) return format("%gk", value / 1e3);
  return format("%g", value);
}

struct Range {
  double low = 0;
  double high = 0;
  bool is_set = false;
  void take(double value) {
    low = is_set ? std::min(low, value) : value;
    high = is_set ? std::max(high, value) : value;
    is_set = true;
  }
};

class Drawing {
 public:
  explicit Drawing(const Chart& chart) : chart_(chart) {
    Range x;
    Range y;
    y.take(0);
    for (const Series& series : chart.series) {
      for (const auto& [at, value] : series.points) {
        if (!std::isfinite(at) || !std::isfinite(value)) continue;
        x.take(at);
        y.take(value);
      }
    }
    x_ticks_ = ticks_over(x.low, x.high, 8);
    y_ticks_ = ticks_over(y.low, y.high, 6);
  }

  std::string text() {
    out_ =
        format(R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %g %g" )", kWidth, kHeight);
    out_ += format(R"(width="%g" height="%g" font-family="sans-serif" font-size="12">)", kWidth,
                   kHeight);
    out_ += format("\n<rect width=\"%g\" height=\"%g\" fill=\"#ffffff\"/>\n", kWidth, kHeight);
    out_ += "<text x=\"16\" y=\"22\" font-size=\"15\" font-weight=\"bold\">" +
            xml_escaped(chart_.title) + "</text>\n";
    axes();
    for (std::size_t i = 0; i < chart_.series.size(); ++i) line(i);
    legend();
    return out_ + "</svg>\n";
  }

 private:
  double x_of(double value) const { return place(value, x_ticks_, kLeft, kWidth - kRight); }
  double y_of(double value) const { return place(value, y_ticks_, kHeight - kBottom, kTop); }
  static double place(double value, const std::vector<double>& ticks, double from, double to) {
    return from + (value - ticks.front()) / (ticks.back() - ticks.front()) * (to - from);
  }

  void axes() {
    for (const double tick : y_ticks_) {
      const double y = y_of(tick);
      out_ += format("<line x1=\"%g\" x2=\"%g\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#dddddd\"/>",
                     kLeft, kWidth - kRight, y, y);
      out_ += format("<text x=\"%g\" y=\"%.1f\" text-anchor=\"end\">", kLeft - 6, y + 4) +
              number(tick) + "</text>\n";
    }
    for (const double tick : x_ticks_) {
      const double x = x_of(tick);
      out_ += format("<line x1=\"%.1f\" x2=\"%.1f\" y1=\"%g\" y2=\"%g\" stroke=\"#999999\"/>", x, x,
                     kHeight - kBottom, kHeight - kBottom + 5);
      out_ +=
          format("<text x=\"%.1f\" y=\"%g\" text-anchor=\"middle\">", x, kHeight - kBottom + 19) +
          number(tick) + "</text>\n";
    }
    out_ += format("<text x=\"%g\" y=\"%g\" text-anchor=\"middle\">", (kLeft + kWidth - kRight) / 2,
                   kHeight - 12) +
            xml_escaped(chart_.x_label) + "</text>\n";
    out_ += format("<text transform=\"translate(16 %g) rotate(-90)\" text-anchor=\"middle\">",
                   (kTop + kHeight - kBottom) / 2) +
            xml_escaped(chart_.y_label) + "</text>\n";
  }

  void line(std::size_t which) {
    const Series& series = chart_.series[which];
    const std::string colour = kColours[which % kColours.size()];
    const std::size_t step = 1 + series.points.size() / kPointsMax;
    std::string points;
    std::string dots;
    for (std::size_t i = 0; i < series.points.size(); i += step) {
      const auto& [at, value] = series.points[i];
      if (!std::isfinite(at) || !std::isfinite(value)) continue;
      points += format("%.1f,%.1f ", x_of(at), y_of(value));
      if (chart_.has_dots) {
        dots += format("<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3.5\" fill=\"", x_of(at), y_of(value)) +
                colour + "\"/>";
      }
    }
    out_ += "<polyline fill=\"none\" stroke-width=\"1.6\" stroke=\"" + colour + "\" points=\"" +
            points + "\"/>" + dots + "\n";
  }

  void legend() {
    double x = kLeft;
    for (std::size_t i = 0; i < chart_.series.size(); ++i) {
      const std::string& name = chart_.series[i].name;
      out_ += format("<rect x=\"%g\" y=\"34\" width=\"12\" height=\"4\" fill=\"", x) +
              kColours[i % kColours.size()] + "\"/>" + format("<text x=\"%g\" y=\"41\">", x + 17) +
              xml_escaped(name) + "</text>\n";
      x += 34 + 7.0 * static_cast<double>(name.size());
    }
  }

  const Chart& chart_;
  std::vector<double> x_ticks_;
  std::vector<double> y_ticks_;
  std::string out_;
};

}  // namespace

std::vector<double> ticks_over(double low, double high, int count) {
  if (!(high > low)) high = low + 1;
  const double rough = (high - low) / std::max(count, 1);
  const double power = std::pow(10.0, std::floor(std::log10(rough)));
  double step = power;
  for (const double factor : {1.0, 2.0, 5.0, 10.0}) {
    step = factor * power;
    if (step >= rough) break;
  }
  std::vector<double> ticks;
  const double first = std::floor(low / step);
  const double last = std::ceil(high / step);
  for (double i = first; i <= last; ++i) ticks.push_back(i * step);
  return ticks;
}

std::string xml_escaped(const std::string& text) {
  std::string out;
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

std::string svg_of(const Chart& chart) {
  return Drawing(chart).text();
}

}  // namespace watchwheel::rig
