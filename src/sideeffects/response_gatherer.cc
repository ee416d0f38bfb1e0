// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/response_gatherer.h"

#include <algorithm>
#include <utility>

namespace watchwheel::sideeffects {

using core::ResponseCounts;
using core::ResponseHistogram;
using core::WallTime;
using Hours = std::chrono::hours;

namespace {

// Nothing became coarser.
bool is_sum(const ResponseCounts& sum, const ResponseCounts& a, const ResponseCounts& b) {
  ResponseHistogram parts;
  parts += a;
  parts += b;
  ResponseHistogram whole;
  whole += sum;
  return whole == parts;
}

}  // namespace

void ResponseGatherer::add(const core::FreshnessMark& mark) {
  if (mark.responses.empty() || mark.checked_at == core::kNoWallTime) return;
  const WallTime hour = std::chrono::floor<Hours>(mark.checked_at);
  const std::lock_guard lock(mutex_);
  Page& page = pages_[ResponsePage::number_of(mark.site)];
  if (!page.under_way.sites.empty() && page.under_way.begun < hour) end(page);
  if (page.under_way.sites.empty()) {
    page.under_way.begun = hour;
    page.under_way.since = mark.checked_at;
  }
  page.under_way.by_hour = page.under_way.by_hour || mark.by_hour;
  add(page.under_way, static_cast<std::uint8_t>(mark.site.value % ResponsePage::kSites),
      mark.responses);
}

void ResponseGatherer::add(Hour& hour, std::uint8_t offset, const ResponseCounts& counts) {
  auto& sites = hour.sites;
  const auto last = std::find_if(sites.rbegin(), sites.rend(),
                                 [&](const auto& site) { return site.offset == offset; });
  if (last != sites.rend()) {
    ResponseCounts sum = last->counts;
    sum += counts;
    if (sites.size() >= kSitesMax || is_sum(sum, last->counts, counts)) {
      last->counts = sum;
      return;
    }
  }
  // Little by little: most pages of a host that has every tenth site stay small.
  if (sites.size() == sites.capacity())
    sites.reserve(sites.size() + std::clamp<std::size_t>(sites.size(), 4, 32));
  sites.push_back({.counts = counts, .offset = offset});
}

// What waits already, because nobody has taken it for an hour, counts for the later one.
void ResponseGatherer::end(Page& page) {
  Hour ended = std::exchange(page.under_way, {});
  if (page.ended.sites.empty()) {
    page.ended = std::move(ended);
    return;
  }
  page.ended.begun = std::max(page.ended.begun, ended.begun);
  page.ended.by_hour = page.ended.by_hour || ended.by_hour;
  for (const auto& site : ended.sites) add(page.ended, site.offset, site.counts);
}

core::Duration ResponseGatherer::wait(std::size_t pages) {
  return std::clamp<core::Duration>(std::chrono::seconds{pages / kPagesASecond},
                                    std::chrono::seconds{5}, Hours{1});
}

std::vector<ResponsePage> ResponseGatherer::take(WallTime now, std::size_t limit, bool all) {
  std::vector<ResponsePage> taken;
  const std::lock_guard lock(mutex_);
  const core::Duration wait = ResponseGatherer::wait(pages_.size());
  auto at = pages_.lower_bound(next_);
  const std::size_t looks = std::min(pages_.size(), kLooksMax);
  for (std::size_t i = 0; i < looks && !pages_.empty() && taken.size() < limit; ++i) {
    if (at == pages_.end()) at = pages_.begin();
    Page& page = at->second;
    const WallTime due =
        std::min(page.under_way.begun + Hours{1} + kLate, page.under_way.since + wait);
    // Also what is of the future: a clock was wrong.
    const bool over = all || now >= due || now + Hours{1} < page.under_way.begun;
    if (page.ended.sites.empty() && !page.under_way.sites.empty() && over) end(page);
    if (!page.ended.sites.empty()) {
      taken.push_back({.number = at->first,
                       .hour = page.ended.begun,
                       .by_hour = page.ended.by_hour,
                       .token = token_++,
                       .sites = std::exchange(page.ended, {}).sites});
    }
    at = page.under_way.sites.empty() ? pages_.erase(at) : std::next(at);
  }
  next_ = at == pages_.end() ? 0 : at->first;
  return taken;
}

std::size_t ResponseGatherer::pages() const {
  const std::lock_guard lock(mutex_);
  return pages_.size();
}

std::size_t ResponseGatherer::bytes() const {
  constexpr std::size_t kNode = sizeof(std::pair<const std::uint64_t, Page>) + 4 * sizeof(void*);
  const std::lock_guard lock(mutex_);
  std::size_t sum = 0;
  for (const auto& [number, page] : pages_) {
    sum += kNode + (page.ended.sites.capacity() + page.under_way.sites.capacity()) *
                       sizeof(ResponsePage::Site);
  }
  return sum;
}

}  // namespace watchwheel::sideeffects
