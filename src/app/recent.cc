// SPDX-License-Identifier: Apache-2.0
#include "app/recent.h"

#include <algorithm>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::app {
namespace {

core::HistogramReading lag_between(const CountsAt& before, const CountsAt& after) {
  core::HistogramReading lag;
  for (std::size_t i = 0; i < after.lanes.size(); ++i)
    lag.merge(between(before.lanes[i].lag, after.lanes[i].lag));
  return lag;
}

std::uint64_t done_by(const CountsAt& counts) {
  std::uint64_t done = 0;
  for (const LaneCounts& lane : counts.lanes) done += lane.done;
  return done;
}

}  // namespace

core::HistogramReading between(const core::HistogramReading& before,
                               const core::HistogramReading& after) {
  core::HistogramReading difference = after;
  if (before.counts.size() != after.counts.size()) return difference;
  for (std::size_t i = 0; i < difference.counts.size(); ++i) {
    // A histogram is read while it is written: a reading may be a moment ahead of another.
    difference.counts[i] -= std::min(difference.counts[i], before.counts[i]);
  }
  difference.sum_s = std::max(0.0, after.sum_s - before.sum_s);
  return difference;
}

HighestSeen highest(const core::HistogramReading& reading) {
  for (std::size_t i = reading.counts.size(); i > 0; --i) {
    if (reading.counts[i - 1] == 0) continue;
    if (i - 1 < reading.bounds_s.size()) return {reading.bounds_s[i - 1], false};
    return {reading.bounds_s.empty() ? 0 : reading.bounds_s.back(), true};
  }
  return {};
}

bool RecentWindow::due(core::SteadyTime now) const {
  const std::lock_guard lock(mutex_);
  return readings_.empty() || now - readings_.back().at >= kStep;
}

void RecentWindow::sample(CountsAt counts) {
  const std::lock_guard lock(mutex_);
  if (!readings_.empty()) {
    ENSURE(counts.lanes.size() == readings_.back().lanes.size(), "lanes do not come and go");
    if (counts.at <= readings_.back().at) return;
  }
  readings_.push_back(std::move(counts));
  if (readings_.size() > kPoints + 1) readings_.pop_front();
}

RecentView RecentWindow::view() const {
  const std::lock_guard lock(mutex_);
  RecentView view;
  if (readings_.size() < 2) return view;
  const CountsAt& first = readings_.front();
  const CountsAt& last = readings_.back();
  view.window = last.at - first.at;
  view.step = kStep;
  view.lag = lag_between(first, last);
  for (std::size_t i = 1; i < readings_.size(); ++i) {
    const CountsAt& before = readings_[i - 1];
    const CountsAt& after = readings_[i];
    view.done_per_second.push_back(static_cast<double>(done_by(after) - done_by(before)) /
                                   core::to_seconds(after.at - before.at));
    view.lag_p99_s.push_back(lag_between(before, after).quantile(0.99));
  }
  // What a lane costs is asked about now, not about five minutes ago: of the last half minute.
  const CountsAt& lately = readings_[readings_.size() - std::min<std::size_t>(readings_.size(), 7)];
  const double seconds = core::to_seconds(last.at - lately.at);
  view.cpu_share = std::max(0.0, last.cpu_s - lately.cpu_s) / seconds;
  for (std::size_t i = 0; i < last.lanes.size(); ++i) {
    LaneRecent& lane = view.lanes.emplace_back();
    lane.done_per_second = static_cast<double>(last.lanes[i].done - lately.lanes[i].done) / seconds;
    lane.cpu_share = std::max(0.0, last.lanes[i].cpu_s - lately.lanes[i].cpu_s) / seconds;
    lane.lag = between(first.lanes[i].lag, last.lanes[i].lag);
  }
  return view;
}

}  // namespace watchwheel::app
