// SPDX-License-Identifier: Apache-2.0
#include "scheduler/due_queue.h"

#include "core/ensure.h"

namespace watchwheel::scheduler {
namespace {

using core::SiteSlot;
using Place = SiteTable::Place;

constexpr std::size_t kGapsMin = 1024;

}  // namespace

void DueQueue::enter(SiteSlot site, std::uint32_t at) {
  SiteTable::Timing& timing = sites_.timing(site);
  ENSURE(timing.place == Place::Nowhere, "a check in two places");
  timing.place = Place::Queue;
  timing.at = at;
  ++size_;
}

void DueQueue::push_back(SiteSlot site) {
  enter(site, front_at_ + static_cast<std::uint32_t>(entries_.size()));
  entries_.push_back(site);
}

void DueQueue::push_front(SiteSlot site) {
  enter(site, --front_at_);
  entries_.push_front(site);
}

SiteSlot DueQueue::front() const {
  ENSURE(size_ > 0, "the front of an empty queue");
  return entries_.front();
}

SiteSlot DueQueue::pop_front() {
  const SiteSlot site = front();
  remove(site);
  return site;
}

void DueQueue::remove(SiteSlot site) {
  SiteTable::Timing& timing = sites_.timing(site);
  const std::uint32_t index = timing.at - front_at_;
  ENSURE(timing.place == Place::Queue && index < entries_.size() && entries_[index] == site,
         "a check to be taken from a queue is not where it says");
  timing.place = Place::Nowhere;
  entries_[index] = core::kNoSlot;
  --size_;
  drop_leading_gaps();
  if (entries_.size() > 2 * size_ + kGapsMin) close_gaps();
}

void DueQueue::drop_leading_gaps() {
  while (!entries_.empty() && entries_.front() == core::kNoSlot) {
    entries_.pop_front();
    ++front_at_;
  }
}

// With admission closed for long, sites that come and go would otherwise leave gaps without end.
void DueQueue::close_gaps() {
  std::size_t to = 0;
  for (const SiteSlot site : entries_) {
    if (site == core::kNoSlot) continue;
    entries_[to] = site;
    sites_.timing(site).at = front_at_ + static_cast<std::uint32_t>(to);
    ++to;
  }
  entries_.resize(to);
}

}  // namespace watchwheel::scheduler
