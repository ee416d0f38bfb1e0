// SPDX-License-Identifier: Apache-2.0
#include "fleet/observer.h"

#include <algorithm>

namespace watchwheel::fleet {
namespace {

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

}  // namespace

Observer::Observer(const SiteMap& map, const FaultBoard& board, Duration interval, Time start)
    : map_(map),
      board_(board),
      interval_(interval),
      start_(start),
      sites_(map.sites()),
      seconds_(kSeriesMax, 0) {}

std::uint64_t Observer::since_start_us(Time now) const noexcept {
  if (now <= start_) return 0;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(now - start_).count());
}

std::uint32_t Observer::wait_ms(const Site& site, std::uint64_t now_us) const noexcept {
  const std::uint64_t wait = now_us > site.last_us ? (now_us - site.last_us) / 1000 : 0;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(wait, 0xffffffffU));
}

void Observer::count_second(std::uint64_t now_us) noexcept {
  const std::uint64_t second = now_us / 1'000'000;
  if (second > second_last_) {
    const std::uint64_t steps = std::min<std::uint64_t>(second - second_last_, kSeriesMax);
    for (std::uint64_t i = 0; i < steps; ++i) seconds_[(second - i) % kSeriesMax] = 0;
    second_last_ = second;
  }
  ++seconds_[second % kSeriesMax];
}

void Observer::asked(std::uint32_t number, Time now) noexcept {
  const std::uint64_t now_us = since_start_us(now);
  Site& site = sites_[number];
  const std::uint32_t wait = wait_ms(site, now_us);
  // The wait before the first asking is an edge of the window, not a gap between two askings.
  if (site.asked > 0 && !board_.was_broken(number)) gaps_.add(wait);
  site.gap_ms_max = std::max(site.gap_ms_max, wait);
  site.last_us = now_us;
  ++site.asked;
  ++requests_;
  ++asked_by_kind_[static_cast<std::size_t>(board_.kind(number))];
  count_second(now_us);
}

void Observer::asked_by_dns(std::uint32_t number, Time now) noexcept {
  const Site& site = sites_[number];
  const std::uint64_t now_us = since_start_us(now);
  const bool is_same =
      site.asked > 0 && std::chrono::microseconds(now_us - site.last_us) < kSameAsking;
  if (!is_same) asked(number, now);
}

void Observer::reset(Time now) noexcept {
  start_ = now;
  std::fill(sites_.begin(), sites_.end(), Site{});
  std::fill(seconds_.begin(), seconds_.end(), 0U);
  gaps_ = Histogram{};
  requests_ = 0;
  asked_by_kind_ = {};
  second_last_ = 0;
}

Summary Observer::summary(Time now) const {
  const std::uint64_t now_us = since_start_us(now);
  const auto stale_ms = static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(interval_).count() + 1000);
  Summary out;
  out.window = std::chrono::microseconds(now_us);
  out.interval = interval_;
  out.sites = map_.sites();
  out.requests = requests_;
  out.asked_by_kind = asked_by_kind_;

  Histogram ages;
  std::uint32_t gap_max = 0;
  std::uint32_t age_max = 0;
  for (std::uint32_t i = 0; i < sites_.size(); ++i) {
    if (board_.was_broken(i)) continue;
    const Site& site = sites_[i];
    const std::uint32_t age = wait_ms(site, now_us);
    const std::uint32_t gap = std::max(site.gap_ms_max, age);
    ++out.healthy_sites;
    out.healthy_requests += site.asked;
    out.never_seen += site.asked == 0 ? 1U : 0U;
    out.stale += gap > stale_ms ? 1U : 0U;
    if (gap >= gap_max) out.worst_site = i;
    gap_max = std::max(gap_max, gap);
    age_max = std::max(age_max, age);
    ages.add(age);
  }
  out.broken_sites = out.sites - out.healthy_sites;
  const double wanted = out.healthy_sites * (to_seconds(out.window) / to_seconds(interval_));
  out.request_ratio = wanted > 0 ? static_cast<double>(out.healthy_requests) / wanted : 0;
  out.gap = spread_of(gaps_, gap_max);
  out.age = spread_of(ages, age_max);
  fill_series(now_us, out);
  return out;
}

void Observer::fill_series(std::uint64_t now_us, Summary& out) const {
  const std::uint64_t second = now_us / 1'000'000;
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
  const std::uint64_t now_us = since_start_us(now);
  const std::uint32_t age = wait_ms(site, now_us);
  return {site.asked, std::chrono::milliseconds(age),
          std::chrono::milliseconds(std::max(site.gap_ms_max, age)), board_.was_broken(number)};
}

}  // namespace watchwheel::fleet
