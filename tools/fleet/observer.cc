// SPDX-License-Identifier: Apache-2.0
#include "fleet/observer.h"

#include <algorithm>

namespace watchwheel::fleet {
namespace {

// An asking within this part of the interval after the one before is none that was due.
constexpr int kDoubledPart = 4;

double seconds_of_ms(std::uint32_t ms) {
  return static_cast<double>(ms) / 1000.0;
}

// The edge of a bucket may lie above all that is in it; nothing is said to be above `max_ms`.
Spread spread_of(const Histogram& histogram, std::uint32_t max_ms) {
  const auto at = [&histogram, max_ms](double share) {
    return seconds_of_ms(std::min(histogram.at(share), max_ms));
  };
  return {at(0.5), at(0.9), at(0.99), at(0.999), seconds_of_ms(max_ms)};
}

std::uint64_t whole_ms(Duration duration) {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(duration).count());
}

bool contains(const SiteRange& range, std::uint32_t site) {
  return site >= range.first && site <= range.last;
}

}  // namespace

Observer::Observer(const SiteMap& map, const FaultBoard& board, Duration interval, Duration timeout,
                   Time start)
    : map_(map),
      board_(board),
      window_{interval, timeout, {0, map.sites() - 1}},
      start_(start),
      sites_(map.sites()),
      seconds_(kSeriesMax, 0) {}

std::uint32_t Observer::since_start_ms(Time now) const noexcept {
  if (now <= start_) return 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(whole_ms(now - start_), kNoMark - 1));
}

std::uint32_t Observer::wait_ms(const Site& site, std::uint32_t now_ms) noexcept {
  return now_ms > site.last_ms ? now_ms - site.last_ms : 0;
}

void Observer::count_second(std::uint32_t now_ms) noexcept {
  const std::uint64_t second = now_ms / 1000;
  if (second > second_last_) {
    const std::uint64_t steps = std::min<std::uint64_t>(second - second_last_, kSeriesMax);
    for (std::uint64_t i = 0; i < steps; ++i) seconds_[(second - i) % kSeriesMax] = 0;
    second_last_ = second;
  }
  ++seconds_[second % kSeriesMax];
}

void Observer::asked(std::uint32_t number, Time now) noexcept {
  const std::uint32_t now_ms = since_start_ms(now);
  Site& site = sites_[number];
  const std::uint32_t wait = wait_ms(site, now_ms);
  // The wait before the first asking is an edge of the window, not a gap between two askings.
  const bool is_gap = site.asked > 0 && contains(window_.sites, number);
  if (is_gap && !board_.was_broken(number)) {
    gaps_.add(wait);
    if (std::chrono::milliseconds(wait) < window_.interval / kDoubledPart) ++doubled_;
  }
  site.gap_ms_max = std::max(site.gap_ms_max, wait);
  site.last_ms = now_ms;
  ++site.asked;
  ++requests_;
  ++asked_by_kind_[static_cast<std::size_t>(board_.kind(number))];
  count_second(now_ms);
}

void Observer::asked_by_dns(std::uint32_t number, Time now) noexcept {
  const Site& site = sites_[number];
  const bool is_same =
      site.asked > 0 && std::chrono::milliseconds(wait_ms(site, since_start_ms(now))) < kSameAsking;
  if (!is_same) asked(number, now);
}

void Observer::reset(Time now) noexcept {
  start_ = now;
  std::fill(sites_.begin(), sites_.end(), Site{});
  std::fill(seconds_.begin(), seconds_.end(), 0U);
  gaps_ = Histogram{};
  doubled_ = 0;
  requests_ = 0;
  asked_by_kind_ = {};
  second_last_ = 0;
}

void Observer::reset(Time now, const Window& window) noexcept {
  window_ = window;
  reset(now);
}

void Observer::mark() {
  marks_.assign(sites_.size(), kNoMark);
  marked_from_ = start_;
  for (std::size_t i = 0; i < sites_.size(); ++i) {
    if (sites_[i].asked > 0) marks_[i] = sites_[i].last_ms;
  }
}

Summary Observer::summary(Time now) const {
  const std::uint32_t now_ms = since_start_ms(now);
  const std::uint64_t stale_ms = whole_ms(window_.interval) + 1000;
  const std::uint64_t expired_ms = whole_ms(window_.interval + window_.timeout);
  Summary out;
  out.window = std::chrono::milliseconds(now_ms);
  out.interval = window_.interval;
  out.sites = window_.sites.count();
  out.requests = requests_;
  out.asked_by_kind = asked_by_kind_;

  Histogram ages;
  Histogram waits;
  std::uint32_t gap_max = 0;
  std::uint32_t age_max = 0;
  for (std::uint32_t i = window_.sites.first; i <= window_.sites.last; ++i) {
    if (board_.was_broken(i)) continue;
    const Site& site = sites_[i];
    const std::uint32_t age = wait_ms(site, now_ms);
    const std::uint32_t gap = std::max(site.gap_ms_max, age);
    ++out.healthy_sites;
    out.healthy_requests += site.asked;
    out.never_seen += site.asked == 0 ? 1U : 0U;
    out.stale += gap > stale_ms ? 1U : 0U;
    out.expired += gap > expired_ms ? 1U : 0U;
    if (gap >= gap_max) out.worst_site = i;
    gap_max = std::max(gap_max, gap);
    age_max = std::max(age_max, age);
    ages.add(age);
    waits.add(gap);
  }
  out.broken_sites = out.sites - out.healthy_sites;
  const double wanted = out.healthy_sites * (to_seconds(out.window) / to_seconds(window_.interval));
  out.request_ratio = wanted > 0 ? static_cast<double>(out.healthy_requests) / wanted : 0;
  out.gap = spread_of(gaps_, gap_max);
  out.doubled = doubled_;
  out.age = spread_of(ages, age_max);
  out.longest_wait = spread_of(waits, gap_max);
  fill_phase_shift(out);
  fill_series(now_ms, out);
  return out;
}

void Observer::fill_phase_shift(Summary& out) const {
  const auto interval = static_cast<std::int64_t>(whole_ms(window_.interval));
  if (marks_.empty() || interval == 0) return;
  const auto ahead = std::chrono::duration_cast<std::chrono::milliseconds>(start_ - marked_from_);
  Histogram shifts;
  std::int64_t shift_max = 0;
  for (std::uint32_t i = window_.sites.first; i <= window_.sites.last; ++i) {
    if (marks_[i] == kNoMark || sites_[i].asked == 0 || board_.was_broken(i)) continue;
    const std::int64_t since = ahead.count() + sites_[i].last_ms - std::int64_t{marks_[i]};
    const std::int64_t late = ((since % interval) + interval) % interval;
    const std::int64_t shift = std::min(late, interval - late);
    shift_max = std::max(shift_max, shift);
    shifts.add(static_cast<std::uint32_t>(shift));
  }
  out.phase_sites = static_cast<std::uint32_t>(shifts.total());
  out.phase_shift = spread_of(shifts, static_cast<std::uint32_t>(shift_max));
}

void Observer::fill_series(std::uint32_t now_ms, Summary& out) const {
  const std::uint64_t second = now_ms / 1000;
  const std::uint64_t first = second >= kSeriesMax ? second - kSeriesMax + 1 : 0;
  out.series_start_s = static_cast<std::uint32_t>(first);
  out.series.reserve(static_cast<std::size_t>(second - first + 1));
  for (std::uint64_t i = first; i <= second; ++i) {
    const bool is_kept = i <= second_last_ && second_last_ - i < kSeriesMax;
    out.series.push_back(is_kept ? seconds_[i % kSeriesMax] : 0U);
  }
}

SiteFacts Observer::site(std::uint32_t number, Time now) const noexcept {
  const Site& site = sites_[number];
  const std::uint32_t age = wait_ms(site, since_start_ms(now));
  return {site.asked, std::chrono::milliseconds(age),
          std::chrono::milliseconds(std::max(site.gap_ms_max, age)), board_.was_broken(number)};
}

}  // namespace watchwheel::fleet
