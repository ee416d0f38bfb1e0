// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_absence.h"

#include <algorithm>
#include <utility>

#include "core/ensure.h"
#include "core/hash.h"

namespace watchwheel::checker {
namespace {

constexpr unsigned kTimeBits =
    24;  // Seconds: half a year, which no name that is asked for lets pass.
constexpr std::uint32_t kTimeMask = (1U << kTimeBits) - 1;
constexpr std::size_t kEntriesMin = 8;
constexpr std::uint32_t kLookAgain_s = 60;

std::uint64_t hash_of(const DnsKey& key) {
  return core::stable_hash(core::stable_hash(key.host) ^ (std::uint64_t{key.servers} << 1U) ^
                           std::uint64_t{key.v6});
}

std::uint32_t seconds_of(core::SteadyTime at) {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(at.time_since_epoch()).count();
  return static_cast<std::uint32_t>(seconds) & kTimeMask;
}

std::size_t segment_of(std::uint64_t hash) {
  return hash % AbsenceMemory::kSegments;
}
// Not of the bits that chose the segment.
std::uint64_t tag_of(std::uint64_t hash) {
  return hash >> kTimeBits;
}
std::uint64_t tag_in(std::uint64_t entry) {
  return entry >> kTimeBits;
}

bool is_good(std::uint64_t entry, std::uint32_t now_s) {
  constexpr auto kMost = static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::seconds>(AbsenceMemory::kKeepMost).count());
  const std::uint32_t left = (static_cast<std::uint32_t>(entry & kTimeMask) - now_s) & kTimeMask;
  return entry != 0 && left > 0 && left <= kMost;
}

// Where `tag` stands, or the free place where its run ends. There is one: a table is never full.
std::size_t place_of(const std::vector<std::uint64_t>& entries, std::uint64_t tag) {
  const std::size_t mask = entries.size() - 1;
  std::size_t at = tag & mask;
  while (entries[at] != 0 && tag_in(entries[at]) != tag) at = (at + 1) & mask;
  return at;
}

}  // namespace

AbsenceMemory::AbsenceMemory(std::size_t names_max)
    : segment_max_((names_max + kSegments - 1) / kSegments) {
  ENSURE(names_max > 0, "a memory must hold something");
}

bool AbsenceMemory::holds(const DnsKey& key, core::SteadyTime now) const {
  const std::uint64_t hash = hash_of(key);
  const auto& entries = segments_[segment_of(hash)].entries;
  return !entries.empty() && is_good(entries[place_of(entries, tag_of(hash))], seconds_of(now));
}

void AbsenceMemory::remember(const DnsKey& key, core::Duration keep, core::SteadyTime now) {
  const std::uint32_t now_s = seconds_of(now);
  const auto until =
      static_cast<std::uint32_t>(
          std::chrono::floor<std::chrono::seconds>(std::min(keep, kKeepMost)).count()) +
      now_s;
  const std::uint64_t hash = hash_of(key);
  const Entry entry = (tag_of(hash) << kTimeBits) | (until & kTimeMask);
  if (!is_good(entry, now_s)) return;
  Segment& segment = segments_[segment_of(hash)];
  std::size_t at = segment.entries.empty() ? 0 : place_of(segment.entries, tag_of(hash));
  if (segment.entries.empty() || segment.entries[at] == 0) {
    const bool crowded = 4 * (segment.used + 1) > 3 * segment.entries.size();
    const bool full = segment.used >= segment_max_;
    if (crowded || (full && ((now_s - segment.made_s) & kTimeMask) >= kLookAgain_s))
      make_room(segment, now_s);
    if (segment.used >= segment_max_) return;
    at = place_of(segment.entries, tag_of(hash));
    ++segment.used;
  }
  segment.entries[at] = entry;
}

// What it says from now on is that it expired; its place stays taken until the segment is made anew.
void AbsenceMemory::forget(const DnsKey& key, core::SteadyTime now) {
  const std::uint64_t hash = hash_of(key);
  auto& entries = segments_[segment_of(hash)].entries;
  if (entries.empty()) return;
  Entry& entry = entries[place_of(entries, tag_of(hash))];
  // Until now; never 0, which is a free place.
  if (entry != 0) entry = std::max((entry & ~Entry{kTimeMask}) | seconds_of(now), Entry{1});
}

// Drops what has expired, and doubles when that is not enough.
void AbsenceMemory::make_room(Segment& segment, std::uint32_t now_s) const {
  const auto good = static_cast<std::size_t>(
      std::count_if(segment.entries.begin(), segment.entries.end(),
                    [now_s](Entry entry) { return is_good(entry, now_s); }));
  std::size_t size = std::max(kEntriesMin, segment.entries.size());
  // Half full at the most, so that it is long until the next time.
  while (size < 2 * (good + 1)) size *= 2;
  std::vector<Entry> entries(size);
  for (const Entry entry : std::exchange(segment.entries, {})) {
    if (is_good(entry, now_s)) entries[place_of(entries, tag_in(entry))] = entry;
  }
  segment.entries = std::move(entries);
  segment.used = good;
  segment.made_s = now_s;
}

void AbsenceMemory::clear() {
  for (Segment& segment : segments_) segment = Segment{};
}

std::size_t AbsenceMemory::bytes() const {
  std::size_t bytes = sizeof *this;
  for (const Segment& segment : segments_) bytes += segment.entries.capacity() * sizeof(Entry);
  return bytes;
}

}  // namespace watchwheel::checker
