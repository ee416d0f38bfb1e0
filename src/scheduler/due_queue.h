// SPDX-License-Identifier: Apache-2.0
// scheduler/due_queue.h - checks that are due and not handed out, oldest first.
//
// Owns     the order of the waiting sites. Where a site stands is kept in its row
//          (SiteTable::Timing::at).
// Thread   the lane's.
// Bounded  one entry a site, and about as many gaps left by removed ones (and 1024).
// Cost     O(1), removal from the middle included; but that gaps at the front go all at once, a nanosecond each.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "core/clock.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "scheduler/site_table.h"

namespace watchwheel::scheduler {

class DueQueue : core::Pinned {
 public:
  explicit DueQueue(SiteTable& sites) : sites_(sites) {}

  // The site stands nowhere.
  void push_back(core::SiteSlot site);
  void push_front(core::SiteSlot site);
  // The oldest; the queue is not empty. It stands nowhere then.
  core::SiteSlot pop_front();
  void remove(core::SiteSlot site);

  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] core::SiteSlot front() const;  // The queue is not empty.
  // Waiting sites and gaps; and how many sites were moved to close gaps, ever. For tests of the bounds above.
  [[nodiscard]] std::size_t places() const { return entries_.size(); }
  [[nodiscard]] std::uint64_t moved() const { return moved_; }

 private:
  void enter(core::SiteSlot site, std::uint32_t at);
  void drop_leading_gaps();
  void close_some_gaps();

  SiteTable& sites_;
  std::deque<core::SiteSlot> entries_;  // kNoSlot: a gap. Never at the front.
  std::uint32_t front_at_ = 0;  // What Timing::at says for entries_[0]; counts on around 2^32.
  std::size_t size_ = 0;
  bool closing_ = false;    // Gaps are being closed:
  std::uint32_t to_ = 0;    // the next one is moved to here,
  std::uint32_t from_ = 0;  // from here on.
  std::uint64_t moved_ = 0;
};

}  // namespace watchwheel::scheduler
