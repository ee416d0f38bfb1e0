// SPDX-License-Identifier: Apache-2.0
#include "scheduler/due_queue.h"

#include <utility>

#include "core/ensure.h"

namespace watchwheel::scheduler {
namespace {

using core::SiteSlot;
using Place = SiteTable::Place;

constexpr std::size_t kGapsMin = 1024;
// So many entries are looked at for each site that leaves from the middle: with as many gaps as sites the pass ends before half of
// these are gone.
constexpr int kStepsAtOnce = 4;

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
  close_some_gaps();
}

void DueQueue::drop_leading_gaps() {
  while (!entries_.empty() && entries_.front() == core::kNoSlot) {
    entries_.pop_front();
    ++front_at_;
  }
  if (!closing_) return;
  // What is before the first entry is not waited for: they are places, counted around 2^32.
  if (static_cast<std::int32_t>(to_ - front_at_) < 0) to_ = front_at_;
  if (static_cast<std::int32_t>(from_ - front_at_) < 0) from_ = front_at_;
}

// With admission closed for long, sites that come and go would otherwise leave gaps without end. All at once it would be a turn of
// a tenth of a second in a queue of a million. Before to_ what waits has moved together, and from there to from_ all are gaps.
void DueQueue::close_some_gaps() {
  if (!closing_) {
    if (entries_.size() <= 2 * size_ + kGapsMin) return;
    closing_ = true;
    to_ = from_ = front_at_;
  }
  for (int i = 0; i < kStepsAtOnce; ++i) {
    if (from_ - front_at_ == entries_.size()) {
      entries_.resize(to_ - front_at_);
      closing_ = false;
      return;
    }
    const SiteSlot site = std::exchange(entries_[from_ - front_at_], core::kNoSlot);
    ++from_;
    if (site == core::kNoSlot) continue;
    entries_[to_ - front_at_] = site;
    sites_.timing(site).at = to_++;
    ++moved_;
  }
}

}  // namespace watchwheel::scheduler
