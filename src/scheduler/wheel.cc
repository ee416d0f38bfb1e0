// SPDX-License-Identifier: Apache-2.0
#include "scheduler/wheel.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::scheduler {
namespace {

using core::SiteSlot;
using core::SteadyTime;
using Place = SiteTable::Place;

constexpr std::size_t kSlotsMax = 65'000;
constexpr std::uint16_t kOpen = UINT16_MAX;  // In Timing::holder: among those of the open tick.
constexpr std::size_t kSpareMax = 16;
constexpr std::size_t kWordBits = 64;

}  // namespace

Wheel::Wheel(Limits limits, SiteTable& sites, SteadyTime start)
    : sites_(sites), tick_length_(limits.tick), origin_(start) {
  ENSURE(limits.tick > core::Duration::zero() && limits.horizon >= 2 * limits.tick,
         "a wheel needs two ticks or more");
  const auto slots = static_cast<std::size_t>(limits.horizon / limits.tick);
  ENSURE(slots <= kSlotsMax, "more ticks in the horizon than a site can name");
  slots_.resize(slots);
  occupied_.resize((slots + kWordBits - 1) / kWordBits);
}

Wheel::Tick Wheel::tick_of(SteadyTime t) const {
  const core::Duration since = t - origin_;
  return since < core::Duration::zero() ? -1 : since / tick_length_;
}

std::size_t Wheel::slot_of(Tick tick) const {
  return static_cast<std::size_t>(tick) % slots_.size();
}

void Wheel::mark(std::size_t slot, bool occupied) {
  const std::uint64_t bit = std::uint64_t{1} << slot % kWordBits;
  std::uint64_t& word = occupied_[slot / kWordBits];
  const bool before = (word & bit) != 0;
  if (before == occupied) return;
  word ^= bit;
  occupied ? ++occupied_count_ : --occupied_count_;
}

void Wheel::place(SiteSlot site, SteadyTime due) {
  SiteTable::Timing& timing = sites_.timing(site);
  ENSURE(timing.place == Place::Nowhere, "a check in two places");
  timing.place = Place::Wheel;
  timing.due = due;
  ++size_;
  put(site, due);
}

void Wheel::put(SiteSlot site, SteadyTime due) {
  const auto ticks = static_cast<Tick>(slots_.size());
  Tick tick = std::max(tick_of(due), cursor_ + 1);
  // What lies beyond the horizon is spread over its later half: at its end a million sites of a long interval came back together,
  // to be placed again in one turn.
  if (tick >= cursor_ + ticks) tick = cursor_ + ticks - 1 - site.value % ((ticks + 1) / 2);
  const std::size_t slot = slot_of(tick);
  std::vector<SiteSlot>& entries = slots_[slot];
  if (entries.capacity() == 0 && !spare_.empty()) {
    entries = std::move(spare_.back());
    spare_.pop_back();
  }
  SiteTable::Timing& timing = sites_.timing(site);
  timing.holder = static_cast<std::uint16_t>(slot);
  timing.at = static_cast<std::uint32_t>(entries.size());
  entries.push_back(site);
  mark(slot, true);
}

void Wheel::remove(SiteSlot site) {
  SiteTable::Timing& timing = sites_.timing(site);
  ENSURE(timing.place == Place::Wheel, "a check to be taken from the wheel is not in it");
  timing.place = Place::Nowhere;
  --size_;
  if (timing.holder == kOpen) {
    ENSURE(timing.at < open_.size() && open_[timing.at].site == site,
           "a site's place in the open tick is wrong");
    open_[timing.at].site = core::kNoSlot;
    return;
  }
  std::vector<SiteSlot>& entries = slots_[timing.holder];
  ENSURE(timing.at < entries.size() && entries[timing.at] == site,
         "a site's place in the wheel is wrong");
  entries[timing.at] = entries.back();  // The order within a tick is made when it opens.
  sites_.timing(entries[timing.at]).at = timing.at;
  entries.pop_back();
  if (entries.empty()) {
    mark(timing.holder, false);
    recycle(std::exchange(entries, {}));
  }
}

void Wheel::advance(SteadyTime now, std::vector<SiteSlot>& fired, std::size_t most) {
  const std::size_t fired_before = fired.size();
  std::size_t again = 0;
  const Tick target = tick_of(now);
  ENSURE(target >= cursor_, "the wheel does not turn back");
  // Ends: each round opens a later tick, and none beyond `target`.
  for (;;) {
    for (; open_at_ < open_.size(); ++open_at_) {
      const Entry& entry = open_[open_at_];
      if (entry.site == core::kNoSlot) continue;
      if (entry.due > now || fired.size() - fired_before >= most) return;
      sites_.timing(entry.site).place = Place::Nowhere;
      --size_;
      fired.push_back(entry.site);
    }
    const std::optional<Tick> tick = next_occupied();
    if (!tick || *tick > target) break;
    if (again + fired.size() - fired_before >= most) return;
    again += open(*tick);
  }
  // All ticks up to here are empty.
  cursor_ = target;
}

// How many were placed again.
std::size_t Wheel::open(Tick tick) {
  cursor_ = tick;
  const std::size_t slot = slot_of(tick);
  std::vector<SiteSlot> entries = std::exchange(slots_[slot], {});
  mark(slot, false);
  open_.clear();
  open_at_ = 0;
  const SteadyTime end = start_of(tick + 1);
  for (const SiteSlot site : entries) {
    const SteadyTime due = sites_.timing(site).due;
    if (due < end) {
      open_.push_back({due, site});
    } else {
      put(site, due);  // Its due time was beyond the horizon.
    }
  }
  std::sort(open_.begin(), open_.end(), [](const Entry& a, const Entry& b) {
    return a.due != b.due ? a.due < b.due : a.site < b.site;  // The same on every run.
  });
  for (std::size_t i = 0; i < open_.size(); ++i) {
    SiteTable::Timing& timing = sites_.timing(open_[i].site);
    timing.holder = kOpen;
    timing.at = static_cast<std::uint32_t>(i);
  }
  const std::size_t again = entries.size() - open_.size();
  recycle(std::move(entries));
  return again;
}

// Memory follows the number of entries: a buffer much larger than what a slot now holds on average, left by a crowded tick, goes.
void Wheel::recycle(std::vector<SiteSlot>&& buffer) {
  const std::size_t fitting = 16 + 4 * size_ / (occupied_count_ + 1);
  if (buffer.capacity() == 0 || buffer.capacity() > fitting || spare_.size() >= kSpareMax) return;
  buffer.clear();
  spare_.push_back(std::move(buffer));
}

// The first occupied tick after the open one. The slots from cursor_ + 1 on, once around, are the ticks to come, in order.
std::optional<Wheel::Tick> Wheel::next_occupied() const {
  if (occupied_count_ == 0) return std::nullopt;
  const std::size_t first = slot_of(cursor_ + 1);
  std::size_t word = first / kWordBits;
  std::uint64_t bits = occupied_[word] & (~std::uint64_t{0} << first % kWordBits);
  for (std::size_t i = 0; bits == 0; ++i) {
    ENSURE(i <= occupied_.size(), "the count of occupied slots is wrong");
    word = word + 1 == occupied_.size() ? 0 : word + 1;
    bits = occupied_[word];
  }
  const std::size_t slot = word * kWordBits + static_cast<std::size_t>(std::countr_zero(bits));
  const std::size_t ahead = slot >= first ? slot - first : slot + slots_.size() - first;
  return cursor_ + 1 + static_cast<Tick>(ahead);
}

std::optional<SteadyTime> Wheel::next() const {
  for (std::size_t i = open_at_; i < open_.size(); ++i) {
    if (open_[i].site != core::kNoSlot) return open_[i].due;
  }
  const std::optional<Tick> tick = next_occupied();
  if (!tick) return std::nullopt;
  return start_of(*tick);
}

std::size_t Wheel::bytes() const {
  std::size_t bytes = sizeof *this + slots_.capacity() * sizeof(slots_[0]) +
                      occupied_.capacity() * sizeof(occupied_[0]) +
                      open_.capacity() * sizeof(Entry);
  for (const auto& entries : slots_) bytes += entries.capacity() * sizeof(SiteSlot);
  for (const auto& buffer : spare_) bytes += buffer.capacity() * sizeof(SiteSlot);
  return bytes;
}

}  // namespace watchwheel::scheduler
