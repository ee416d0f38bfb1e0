// SPDX-License-Identifier: Apache-2.0
#include "fleet/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace watchwheel::fleet {
namespace {
constexpr std::uint32_t kWords = TimerWheel::kSlots / 64;
constexpr std::uint32_t kMask = TimerWheel::kSlots - 1;
static_assert((TimerWheel::kSlots & kMask) == 0, "slots are found by masking");
}  // namespace

TimerWheel::TimerWheel(std::uint32_t timers_max, Time start)
    : start_(start), nodes_(timers_max), heads_(kSlots, kNone), occupied_(kWords, 0) {}

std::uint64_t TimerWheel::tick_of(Time time) const noexcept {
  if (time <= start_) return 0;
  constexpr Duration kAlmost = std::chrono::milliseconds(1) - Duration(1);
  return static_cast<std::uint64_t>((time - start_ + kAlmost) / std::chrono::milliseconds(1));
}

void TimerWheel::arm(std::uint32_t timer, Time due) noexcept {
  disarm(timer);
  const std::uint64_t tick = std::clamp(tick_of(due), tick_ + 1, tick_ + kSlots - 1);
  const auto slot = static_cast<std::uint32_t>(tick & kMask);
  Node& node = nodes_[timer];
  node.slot = slot;
  node.previous = kNone;
  node.next = heads_[slot];
  if (node.next != kNone) nodes_[node.next].previous = timer;
  heads_[slot] = timer;
  occupied_[slot / 64] |= 1ULL << (slot % 64);
  ++armed_;
}

void TimerWheel::disarm(std::uint32_t timer) noexcept {
  Node& node = nodes_[timer];
  if (node.slot == kNone) return;
  if (node.previous != kNone)
    nodes_[node.previous].next = node.next;
  else
    heads_[node.slot] = node.next;
  if (node.next != kNone) nodes_[node.next].previous = node.previous;
  if (heads_[node.slot] == kNone) occupied_[node.slot / 64] &= ~(1ULL << (node.slot % 64));
  node.slot = kNone;
  --armed_;
}

std::uint64_t TimerWheel::next_tick() const noexcept {
  const auto first = static_cast<std::uint32_t>((tick_ + 1) & kMask);
  std::uint64_t word = occupied_[first / 64] & (~0ULL << (first % 64));
  for (std::uint32_t step = 0; step <= kWords; ++step) {
    if (word != 0) {
      const std::uint32_t index = (first / 64 + step) % kWords;
      const std::uint32_t slot = index * 64 + static_cast<std::uint32_t>(std::countr_zero(word));
      return tick_ + 1 + ((slot - first) & kMask);
    }
    word = occupied_[(first / 64 + step + 1) % kWords];
  }
  return tick_ + kSlots;
}

void TimerWheel::advance(Time now, std::vector<std::uint32_t>& fired) {
  if (now <= start_) return;
  const auto target = static_cast<std::uint64_t>((now - start_) / std::chrono::milliseconds(1));
  while (armed_ > 0) {
    const std::uint64_t tick = next_tick();
    if (tick > target) break;
    tick_ = tick;
    const auto slot = static_cast<std::uint32_t>(tick & kMask);
    while (heads_[slot] != kNone) {
      const std::uint32_t timer = heads_[slot];
      disarm(timer);
      fired.push_back(timer);
    }
  }
  tick_ = std::max(tick_, target);
}

Time TimerWheel::next() const noexcept {
  if (armed_ == 0) return Time::max();
  return start_ + std::chrono::milliseconds(static_cast<std::int64_t>(next_tick()));
}

}  // namespace watchwheel::fleet
