// SPDX-License-Identifier: Apache-2.0
#include "scheduler/due_order.h"

#include <algorithm>
#include <bit>

#include "core/ensure.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SiteSlot;
using core::SteadyTime;

constexpr std::size_t kWordBits = 64;
constexpr std::size_t kGroups = 2 * core::kPriorityCount;
static_assert(kGroups * DueOrder::kIntervalClasses < UINT16_MAX, "a queue's number fits a row");

// Eight classes an octave: the place of the highest bit, and the three bits below it.
std::size_t class_of(std::uint32_t interval_ms) {
  const std::uint32_t ms = std::max<std::uint32_t>(interval_ms, 1);
  const auto octave = static_cast<std::size_t>(std::bit_width(ms)) - 1;
  const std::size_t below = octave >= 3 ? ms >> (octave - 3) : ms << (3 - octave);
  return octave * 8 + (below & 7U);
}

// What its lateness is measured by.
std::uint32_t period_ms(const SiteTable::Timing& timing) {
  return timing.suspect ? timing.counted_ms : timing.interval_ms;
}

void count_up(std::uint8_t& times) {
  if (times < UINT8_MAX) ++times;
}

}  // namespace

DueOrder::DueOrder(SiteTable& sites) : sites_(sites) {}

std::uint16_t DueOrder::number_of(SiteSlot site) const {
  const SiteTable::Timing& timing = sites_.timing(site);
  const std::size_t kind = timing.suspect ? kSuspects : kRoutine;
  const std::size_t group = kind * core::kPriorityCount + static_cast<std::size_t>(timing.priority);
  const std::size_t queue = timing.suspect ? 0 : class_of(timing.interval_ms);
  return static_cast<std::uint16_t>(group * kIntervalClasses + queue);
}

DueOrder::Queue& DueOrder::queue_of(std::uint16_t number) {
  const std::size_t group = number / kIntervalClasses;
  Groups& groups = kinds_[group / core::kPriorityCount];
  std::unique_ptr<Queue>& queue =
      groups[group % core::kPriorityCount].queues[number % kIntervalClasses];
  if (!queue) queue = std::make_unique<Queue>(sites_);
  return *queue;
}

void DueOrder::put(SiteSlot site) {
  enter(site, number_of(site), false);
}

void DueOrder::put_back(const Taken& taken) {
  // Where it came from: what is known of the site may have changed since it fell due.
  enter(taken.site, sites_.timing(taken.site).holder, true);
  turns_ = taken.before;
}

void DueOrder::enter(SiteSlot site, std::uint16_t number, bool at_head) {
  Queue& queue = queue_of(number);
  at_head ? queue.checks.push_front(site) : queue.checks.push_back(site);
  sites_.timing(site).holder = number;
  const std::size_t group = number / kIntervalClasses;
  ++kinds_[group / core::kPriorityCount][group % core::kPriorityCount].size;
  ++size_;
  if (at_head || queue.checks.size() == 1) head_changed(number);
}

void DueOrder::remove(SiteSlot site) {
  const std::uint16_t number = sites_.timing(site).holder;
  ENSURE(number < kGroups * kIntervalClasses, "a waiting check in no queue");
  Queue& queue = queue_of(number);
  const bool first = !queue.checks.empty() && queue.checks.front() == site;
  queue.checks.remove(site);
  const std::size_t group = number / kIntervalClasses;
  --kinds_[group / core::kPriorityCount][group % core::kPriorityCount].size;
  --size_;
  if (first) head_changed(number);
}

void DueOrder::head_changed(std::uint16_t number) {
  const std::size_t at = number % kIntervalClasses;
  const std::size_t group_no = number / kIntervalClasses;
  Group& group = kinds_[group_no / core::kPriorityCount][group_no % core::kPriorityCount];
  Queue& queue = *group.queues[at];
  const std::uint64_t bit = std::uint64_t{1} << at % kWordBits;
  if (queue.checks.empty()) {
    group.used[at / kWordBits] &= ~bit;
    return;
  }
  group.used[at / kWordBits] |= bit;
  const SiteTable::Timing& timing = sites_.timing(queue.checks.front());
  queue.due = timing.due;
  queue.per_second = 1000.0 / std::max<std::uint32_t>(period_ms(timing), 1);
}

DueOrder::Latest DueOrder::latest(const Group& group, SteadyTime now) {
  Latest latest;
  for (std::size_t word = 0; word < group.used.size(); ++word) {
    for (std::uint64_t bits = group.used[word]; bits != 0; bits &= bits - 1) {
      const std::size_t at = word * kWordBits + static_cast<std::size_t>(std::countr_zero(bits));
      const Queue& queue = *group.queues[at];
      const double lateness = std::max(0.0, core::to_seconds(now - queue.due)) * queue.per_second;
      if (lateness > latest.lateness) latest = {.queue = at, .lateness = lateness};
    }
  }
  return latest;
}

std::size_t DueOrder::count(const Groups& groups) {
  std::size_t all = 0;
  for (const Group& group : groups) all += group.size;
  return all;
}

std::size_t DueOrder::choose_kind() {
  const bool routine_waits = count(kinds_[kRoutine]) > 0;
  const bool suspects_wait = size_ > count(kinds_[kRoutine]);
  const bool its_turn = routine_waits && turns_.routine + 1U >= kRoutineEvery;
  if (!suspects_wait || its_turn) {
    turns_.routine = 0;
    return kRoutine;
  }
  if (routine_waits) count_up(turns_.routine);
  return kSuspects;
}

std::size_t DueOrder::choose_priority(std::size_t kind, SteadyTime now) {
  const Groups& groups = kinds_[kind];
  auto& passed = turns_.priority[kind];
  std::size_t first = 0;
  while (groups[first].size == 0) ++first;
  std::size_t chosen = first;
  for (std::size_t lower = core::kPriorityCount - 1; lower > first; --lower) {
    const bool its_turn = groups[lower].size > 0 && passed[lower] + 1U >= kLowerEvery;
    if (its_turn && latest(groups[lower], now).lateness >= latest(groups[first], now).lateness) {
      chosen = lower;
      break;
    }
  }
  for (std::size_t other = first; other < core::kPriorityCount; ++other) {
    if (other == chosen) {
      passed[other] = 0;
    } else if (groups[other].size > 0) {
      count_up(passed[other]);
    }
  }
  return chosen;
}

DueOrder::Taken DueOrder::take(SteadyTime now) {
  ENSURE(size_ > 0, "the next of no checks");
  const Turns before = turns_;
  const std::size_t kind = choose_kind();
  const std::size_t priority = choose_priority(kind, now);
  const Group& group = kinds_[kind][priority];
  const SiteSlot site = group.queues[latest(group, now).queue]->checks.front();
  remove(site);
  return {.site = site, .before = before};
}

Duration DueOrder::oldest(SteadyTime now) const {
  Duration oldest{};
  for (const Groups& groups : kinds_) {
    for (const Group& group : groups) {
      for (std::size_t word = 0; word < group.used.size(); ++word) {
        for (std::uint64_t bits = group.used[word]; bits != 0; bits &= bits - 1) {
          const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
          oldest = std::max(oldest, now - group.queues[word * kWordBits + bit]->due);
        }
      }
    }
  }
  return oldest;
}

double DueOrder::lateness(core::Priority priority, SteadyTime now) const {
  return latest(kinds_[kRoutine][static_cast<std::size_t>(priority)], now).lateness;
}

std::size_t DueOrder::bytes() const {
  std::size_t bytes = sizeof *this + size_ * sizeof(SiteSlot);
  for (const Groups& groups : kinds_) {
    for (const Group& group : groups) {
      for (const auto& queue : group.queues) bytes += queue ? sizeof(Queue) + 576 : 0;
    }
  }
  return bytes;
}

}  // namespace watchwheel::scheduler
