// SPDX-License-Identifier: Apache-2.0
#include "core/uptime.h"

#include <algorithm>
#include <array>

namespace watchwheel::core {
namespace {

enum Layer : std::size_t { kWatched, kMaintenance, kUnknown, kDown, kSeemsDown, kLayers };

// Where a layer begins (+1) or ends (-1).
struct Edge {
  WallTime at;
  Layer layer;
  int step;
};

class Edges {
 public:
  explicit Edges(const TimeSpan& window) : window_(window) {}

  void add(const TimeSpan& span, Layer layer) {
    const WallTime from = std::max(span.from, window_.from);
    const WallTime until = std::min(span.until, window_.until);
    if (from >= until) return;
    edges_.push_back({from, layer, +1});
    edges_.push_back({until, layer, -1});
  }

  [[nodiscard]] const std::vector<Edge>& sorted() {
    std::sort(edges_.begin(), edges_.end(),
              [](const Edge& a, const Edge& b) { return a.at < b.at; });
    return edges_;
  }

 private:
  const TimeSpan window_;
  std::vector<Edge> edges_;
};

Uptime::Length& share_of(Uptime& uptime, const std::array<int, kLayers>& open) {
  if (open[kWatched] == 0) return uptime.unwatched;
  if (open[kMaintenance] > 0) return uptime.maintenance;
  if (open[kUnknown] > 0) return uptime.unknown;
  if (open[kDown] > 0) return uptime.down;
  return open[kSeemsDown] > 0 ? uptime.seems_down : uptime.up;
}

Uptime::Length length(WallTime from, WallTime until) {
  return std::chrono::floor<Uptime::Length>(until - from);
}

// Wall clocks jump: an end before its start is an end at it.
TimeSpan span_of(const TroubleSpan& trouble, WallTime open_until) {
  const WallTime end = trouble.ended_at == kNoWallTime ? open_until : trouble.ended_at;
  return {trouble.started_at, std::max(end, trouble.started_at)};
}

TimeSpan common(const TimeSpan& a, const TimeSpan& b) {
  return {std::max(a.from, b.from), std::min(a.until, b.until)};
}

// One of no length at all counts where it began.
bool has_part_in(const TimeSpan& trouble, const TimeSpan& window) {
  if (trouble.from == trouble.until)
    return window.from <= trouble.from && trouble.from < window.until;
  return trouble.from < window.until && window.from < trouble.until;
}

// How much of one outage is down for certain.
Uptime::Length seen_down(const TimeSpan& outage, const UptimeFacts& facts) {
  Edges edges(common(outage, common(facts.watched, facts.window)));
  edges.add(outage, kWatched);
  for (const TimeSpan& span : facts.unknown) edges.add(span, kUnknown);
  for (const TimeSpan& span : facts.maintenance) edges.add(span, kUnknown);
  std::array<int, kLayers> open{};
  Uptime::Length down{};
  WallTime at{};
  for (const Edge& edge : edges.sorted()) {
    if (open[kWatched] > 0 && open[kUnknown] == 0) down += length(at, edge.at);
    at = edge.at;
    open[edge.layer] += edge.step;
  }
  return down;
}

}  // namespace

std::optional<double> Uptime::availability() const {
  const Length known = up + down;
  if (known <= Length::zero()) return std::nullopt;
  return static_cast<double>(up.count()) / static_cast<double>(known.count());
}

Uptime& Uptime::operator+=(const Uptime& other) {
  up += other.up;
  seems_down += other.seems_down;
  down += other.down;
  unknown += other.unknown;
  maintenance += other.maintenance;
  unwatched += other.unwatched;
  outages += other.outages;
  false_alarms += other.false_alarms;
  longest_down = std::max(longest_down, other.longest_down);
  return *this;
}

Uptime uptime_of(const UptimeFacts& facts) {
  Uptime uptime;
  if (facts.window.from >= facts.window.until) return uptime;
  const TimeSpan seen = common(facts.window, facts.watched);
  Edges edges(facts.window);
  edges.add(facts.watched, kWatched);
  for (const TimeSpan& span : facts.maintenance) edges.add(span, kMaintenance);
  for (const TimeSpan& span : facts.unknown) edges.add(span, kUnknown);
  for (const TroubleSpan& trouble : facts.troubles) {
    const TimeSpan span = span_of(trouble, facts.window.until);
    edges.add(span, trouble.confirmed ? kDown : kSeemsDown);
    if (seen.from >= seen.until || !has_part_in(span, seen)) continue;
    if (trouble.confirmed) {
      ++uptime.outages;
      uptime.longest_down = std::max(uptime.longest_down, seen_down(span, facts));
    } else if (trouble.ended_at != kNoWallTime) {
      ++uptime.false_alarms;
    }
  }
  std::array<int, kLayers> open{};
  WallTime at = facts.window.from;
  for (const Edge& edge : edges.sorted()) {
    share_of(uptime, open) += length(at, edge.at);
    at = edge.at;
    open[edge.layer] += edge.step;
  }
  share_of(uptime, open) += length(at, facts.window.until);
  return uptime;
}

}  // namespace watchwheel::core
