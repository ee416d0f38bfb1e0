// SPDX-License-Identifier: Apache-2.0
#include "app/progress_bar.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <utility>

#include "app/status_summary.h"
#include "app/terminal.h"

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

constexpr core::Duration kRedraw = 100ms;
constexpr core::Duration kReadingEvery = 1s;
constexpr std::size_t kReadings = 10;
constexpr std::size_t kBarColumns = 24;

std::string bar(double share, bool utf8) {
  const auto full = static_cast<std::size_t>(std::floor(share * kBarColumns));
  std::string text;
  for (std::size_t i = 0; i < kBarColumns; ++i)
    text += i < full ? (utf8 ? "█" : "#") : (utf8 ? "░" : ".");
  std::array<char, 16> percent{};
  std::snprintf(percent.data(), percent.size(), " %3.0f %%", std::floor(share * 100));
  return text + percent.data();
}

}  // namespace

ProgressBar::ProgressBar(std::ostream& err, ProgressStyle style, const core::Clock& clock)
    : err_(err), style_(std::move(style)), clock_(clock), begun_(clock.steady()) {
  readings_.push_back({begun_, 0, 0});
}

void ProgressBar::update(std::uint64_t done, std::optional<double> share) {
  if (!style_.shown) return;
  const Reading now{clock_.steady(), done, std::clamp(share.value_or(0), 0.0, 1.0)};
  if (now.at - readings_.back().at >= kReadingEvery) {
    readings_.push_back(now);
    if (readings_.size() > kReadings) readings_.pop_front();
  }
  if (now.at - begun_ < style_.after) return;
  if (on_screen_ && now.at - drawn_at_ < kRedraw) return;
  drawn_at_ = now.at;
  on_screen_ = true;
  err_ << "\r" << line(now, share.has_value()) << "\x1b[K" << std::flush;
}

std::string ProgressBar::line(const Reading& now, bool whole_known) const {
  const Reading& before = readings_.front();
  const double seconds = core::to_seconds(now.at - before.at);
  std::string text = style_.doing + "  ";
  if (whole_known) text += bar(now.share, style_.utf8) + "  ";
  std::string facts = shown_number(static_cast<double>(now.done)) + " " + style_.unit;
  if (seconds > 0 && now.done > before.done)
    facts += ", " + shown_number(static_cast<double>(now.done - before.done) / seconds) + "/s";
  if (whole_known && seconds > 0 && now.share > before.share) {
    const double left = (1 - now.share) * seconds / (now.share - before.share);
    facts += ", " + shown_seconds(std::ceil(left)) + " left";
  }
  // A terminal too narrow for all keeps the numbers; a line that is broken could not be taken away again.
  const std::size_t bar_columns = whole_known ? kBarColumns + 8 : 0;
  if (style_.doing.size() + 2 + bar_columns + facts.size() < style_.columns) return text + facts;
  return facts.substr(0, style_.columns > 1 ? style_.columns - 1 : 0);
}

void ProgressBar::clear() {
  if (!on_screen_) return;
  err_ << "\r\x1b[K" << std::flush;
  on_screen_ = false;
}

ProgressStyle progress_for(const Io& io, bool wanted, bool results, std::string doing,
                           std::string unit) {
  const TextStyle text = style_for(io.err);
  ProgressStyle style;
  style.shown = wanted && is_terminal(io.err) && !(results && is_terminal(io.out));
  style.utf8 = text.utf8;
  style.columns = terminal_size(io.err).columns;
  style.doing = std::move(doing);
  style.unit = std::move(unit);
  return style;
}

}  // namespace watchwheel::app
