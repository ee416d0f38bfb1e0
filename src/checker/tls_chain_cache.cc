// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_chain_cache.h"

#include <algorithm>
#include <cstring>

#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

constexpr std::size_t kSlotsMin = 64;
constexpr std::int64_t kDayS = 24 * 3600;

std::int64_t whole_seconds(core::WallTime time) {
  return std::chrono::floor<std::chrono::seconds>(time.time_since_epoch()).count();
}

// Between 18 and 24 hours, by the chain: after a restart all are verified within one interval, and would all have to be again
// within one interval of the next day.
std::int64_t lifetime_s(const Digest& chain) {
  return kDayS - chain[31] * (kDayS / 4) / 256;
}

}  // namespace

ChainCache::ChainCache(std::size_t entries_max)
    : entries_max_(std::min<std::size_t>(entries_max, kNone)), slots_(kSlotsMin, kNone) {
  ENSURE(entries_max > 0, "a cache of verified chains without room");
}

bool ChainCache::knows(const Digest& chain, core::WallTime now) {
  const Index at = find(chain);
  if (at == kNone) return false;
  unlink(at);
  link_newest(at);
  const std::int64_t now_s = whole_seconds(now);
  return entries_[at].from_s <= now_s && now_s < entries_[at].until_s;
}

void ChainCache::remember(const Digest& chain, core::WallTime now, core::WallTime until) {
  const std::int64_t from_s = whole_seconds(now);
  const std::int64_t until_s = std::min(whole_seconds(until), from_s + lifetime_s(chain));
  if (until_s <= from_s) return;
  Index at = find(chain);
  if (at == kNone) {
    at = take_entry();
    entries_[at].chain = chain;
    Index& slot = slots_[slot_of(chain)];
    entries_[at].next_of_slot = slot;
    slot = at;
  } else {
    unlink(at);
  }
  link_newest(at);
  entries_[at].from_s = from_s;
  entries_[at].until_s = until_s;
}

void ChainCache::shrink() {
  const std::size_t keep = entries_.size() / 4;
  std::vector<Entry> kept;
  kept.reserve(keep);
  for (Index at = newest_; at != kNone && kept.size() < keep; at = entries_[at].older)
    kept.push_back(entries_[at]);
  entries_ = std::move(kept);
  newest_ = oldest_ = kNone;
  std::size_t slots = kSlotsMin;
  while (slots < entries_.size()) slots *= 2;
  std::vector<Index>(slots, kNone).swap(slots_);
  for (auto at = static_cast<Index>(entries_.size()); at-- > 0;) {  // The newest last.
    Index& slot = slots_[slot_of(entries_[at].chain)];
    entries_[at].next_of_slot = slot;
    slot = at;
    link_newest(at);
  }
}

// An entry that is in no slot and in no order. A new one, or the oldest.
ChainCache::Index ChainCache::take_entry() {
  if (entries_.size() < entries_max_) {
    entries_.emplace_back();
    if (entries_.size() > slots_.size()) grow_slots();
    return static_cast<Index>(entries_.size() - 1);
  }
  const Index oldest = oldest_;
  drop_from_slot(oldest);
  unlink(oldest);
  return oldest;
}

std::size_t ChainCache::slot_of(const Digest& chain) const {
  std::size_t bits = 0;  // It is a cryptographic hash already.
  std::memcpy(&bits, chain.data(), sizeof bits);
  return bits & (slots_.size() - 1);
}

ChainCache::Index ChainCache::find(const Digest& chain) const {
  Index at = slots_[slot_of(chain)];
  while (at != kNone && entries_[at].chain != chain) at = entries_[at].next_of_slot;
  return at;
}

// The last entry is new and in no slot yet.
void ChainCache::grow_slots() {
  slots_.assign(slots_.size() * 2, kNone);
  for (Index at = 0; at + 1 < entries_.size(); ++at) {
    Index& slot = slots_[slot_of(entries_[at].chain)];
    entries_[at].next_of_slot = slot;
    slot = at;
  }
}

void ChainCache::drop_from_slot(Index at) {
  Index* link = &slots_[slot_of(entries_[at].chain)];
  while (*link != at) link = &entries_[*link].next_of_slot;
  *link = entries_[at].next_of_slot;
}

void ChainCache::unlink(Index at) {
  Entry& entry = entries_[at];
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
}

void ChainCache::link_newest(Index at) {
  entries_[at].newer = kNone;
  entries_[at].older = newest_;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = at;
  newest_ = at;
}

}  // namespace watchwheel::checker
