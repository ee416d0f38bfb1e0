// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_cache.h"

#include <algorithm>
#include <utility>

#include "core/ensure.h"
#include "core/hash.h"

namespace watchwheel::checker {
namespace {

constexpr core::Duration kKeepMin = std::chrono::seconds{5};
constexpr core::Duration kKeepMax = std::chrono::hours{1};
constexpr core::Duration kKeepNegative = std::chrono::seconds{5};
constexpr core::Duration kKeepBadMoment = std::chrono::seconds{1};
constexpr std::size_t kTableMin = 64;

bool is_bad_moment(core::Cause cause) {
  return cause == core::Cause::DnsServfail || cause == core::Cause::DnsTimeout ||
         cause == core::Cause::ResolverUnreachable;
}

std::uint64_t hash_of(const DnsKey& key) {
  return core::stable_hash(core::stable_hash(key.host) ^ (std::uint64_t{key.servers} << 1U) ^
                           std::uint64_t{key.v6});
}

}  // namespace

core::Duration lifetime(core::Cause cause, std::uint32_t ttl_s) {
  if (cause == core::Cause::Ok) {
    return std::clamp<core::Duration>(std::chrono::seconds{ttl_s}, kKeepMin, kKeepMax);
  }
  if (is_bad_moment(cause)) return kKeepBadMoment;
  return core::outcome_of(cause) == core::Outcome::NotMeasured ? core::Duration{} : kKeepNegative;
}

ResolverCache::ResolverCache(std::size_t entries_max)
    : entries_max_(entries_max), table_(kTableMin, kNone) {
  ENSURE(entries_max > 0 && entries_max < kNone / 2, "a cache must hold entries");
}

ResolverCache::Found ResolverCache::find(const DnsKey& key, core::SteadyTime now) {
  const std::uint32_t index = lookup(key, hash_of(key));
  if (index == kNone) return {};
  const Entry& entry = entries_[index];
  const Entry* life = &entry;  // Whose life counts.
  if (now >= entry.expires) life = addresses_beside(entry, now);
  if (life == nullptr) return {};
  const bool late = now >= life->expires - (life->expires - life->stored) / 10;
  const bool refresh = late && life->fact.cause == core::Cause::Ok;
  unlink(index);
  link_newest(index);
  return {&entry.fact, refresh};
}

// The addresses of the other family, when `entry` says that this one has none and was learned with them.
const ResolverCache::Entry* ResolverCache::addresses_beside(const Entry& entry,
                                                            core::SteadyTime now) const {
  if (entry.fact.cause != core::Cause::DnsNoAddress) return nullptr;
  const DnsKey other{entry.servers, !entry.v6, entry.host};
  const std::uint32_t index = lookup(other, hash_of(other));
  if (index == kNone) return nullptr;
  const Entry& beside = entries_[index];
  const bool good = beside.fact.cause == core::Cause::Ok && now < beside.expires;
  return good && entry.stored + kKeepNegative >= beside.stored ? &beside : nullptr;
}

void ResolverCache::store(const DnsKey& key, DnsFact fact, core::Duration keep,
                          core::SteadyTime now) {
  if (keep <= core::Duration{}) return;
  const std::uint64_t hash = hash_of(key);
  std::uint32_t index = lookup(key, hash);
  if (index == kNone) {
    index = make_room();
    Entry& entry = entries_[index];
    entry.hash = hash;
    entry.servers = key.servers;
    entry.v6 = key.v6;
    entry.host = key.host;
    insert_in_table(index);
  } else {
    const Entry& there = entries_[index];
    const bool still_good = there.fact.cause == core::Cause::Ok && now < there.expires;
    if (is_bad_moment(fact.cause) && still_good) return;
    unlink(index);
  }
  Entry& entry = entries_[index];
  entry.fact = std::move(fact);
  entry.stored = now;
  entry.expires = now + keep;
  link_newest(index);
}

void ResolverCache::shrink() {
  std::vector<Entry> kept;
  kept.reserve(used_ / 4);
  for (std::uint32_t at = newest_; at != kNone && kept.size() < used_ / 4; at = entries_[at].older)
    kept.push_back(std::move(entries_[at]));
  entries_ = std::move(kept);
  used_ = entries_.size();
  newest_ = oldest_ = kNone;
  std::size_t slots = kTableMin;
  while (slots < used_ * 2) slots *= 2;
  std::vector<std::uint32_t>(slots, kNone).swap(table_);
  for (auto at = static_cast<std::uint32_t>(used_); at-- > 0;) {  // The newest last.
    insert_in_table(at);
    link_newest(at);
  }
}

std::uint32_t ResolverCache::lookup(const DnsKey& key, std::uint64_t hash) const {
  const std::size_t mask = table_.size() - 1;
  for (std::size_t at = hash & mask; table_[at] != kNone; at = (at + 1) & mask) {
    const Entry& entry = entries_[table_[at]];
    if (entry.hash == hash && entry.servers == key.servers && entry.v6 == key.v6 &&
        entry.host == key.host) {
      return table_[at];
    }
  }
  return kNone;
}

// An unlinked entry that is in no table: a new one, or the one used least recently.
std::uint32_t ResolverCache::make_room() {
  if (used_ < entries_max_) {
    if ((used_ + 1) * 2 > table_.size()) grow_table();
    entries_.emplace_back();
    return static_cast<std::uint32_t>(used_++);
  }
  const std::uint32_t index = oldest_;
  unlink(index);
  erase_from_table(index);
  return index;
}

void ResolverCache::insert_in_table(std::uint32_t index) {
  const std::size_t mask = table_.size() - 1;
  std::size_t at = entries_[index].hash & mask;
  while (table_[at] != kNone) at = (at + 1) & mask;
  table_[at] = index;
}

// Closes the gap by moving later members of the run back, so that no tombstones pile up.
void ResolverCache::erase_from_table(std::uint32_t index) {
  const std::size_t mask = table_.size() - 1;
  std::size_t gap = entries_[index].hash & mask;
  while (table_[gap] != index) gap = (gap + 1) & mask;
  for (std::size_t at = (gap + 1) & mask; table_[at] != kNone; at = (at + 1) & mask) {
    const std::size_t home = entries_[table_[at]].hash & mask;
    const bool may_move = ((at - home) & mask) >= ((at - gap) & mask);
    if (!may_move) continue;
    table_[gap] = table_[at];
    gap = at;
  }
  table_[gap] = kNone;
}

void ResolverCache::grow_table() {
  table_.assign(table_.size() * 2, kNone);
  for (std::uint32_t i = 0; i < used_; ++i) insert_in_table(i);
}

void ResolverCache::unlink(std::uint32_t index) {
  Entry& entry = entries_[index];
  (entry.newer == kNone ? newest_ : entries_[entry.newer].older) = entry.older;
  (entry.older == kNone ? oldest_ : entries_[entry.older].newer) = entry.newer;
  entry.newer = entry.older = kNone;
}

void ResolverCache::link_newest(std::uint32_t index) {
  Entry& entry = entries_[index];
  entry.newer = kNone;
  entry.older = newest_;
  (newest_ == kNone ? oldest_ : entries_[newest_].newer) = index;
  newest_ = index;
}

}  // namespace watchwheel::checker
