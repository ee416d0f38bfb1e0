// SPDX-License-Identifier: Apache-2.0
// checker/resolver_absence.h - which names have no addresses of one family, for as long as their zones say so.
//
// Most names have no IPv6 addresses, and their zones say for how long that holds (the SOA beside the answer, RFC 2308), which is
// mostly longer than addresses live and longer than the cache of a large fleet keeps anything. So this is kept apart, in 8 bytes
// a name: a hash and a time. Two names with the same 50 bits of hash are taken for one: whoever relies on it has to find out what
// it leaves out when the rest does not do.
//
// Owns     a hash and a time for each name.
// Thread   the lane's.
// Bounded  `names_max`; beyond it nothing more is remembered until something has expired, which is looked for once a
//          minute. Memory is taken as it comes, 11 to 21
//          bytes a name, and given back by clear().
// Time     passed in; at most kKeepMost, to the second.
// Cost     O(1); the worst single call moves 1/kSegments of the names.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "checker/resolver_cache.h"
#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::checker {

class AbsenceMemory : core::Pinned {
 public:
  static constexpr core::Duration kKeepMost = std::chrono::hours{1};
  static constexpr std::size_t kSegments = 1024;

  explicit AbsenceMemory(std::size_t names_max);

  // For `keep` from now; nothing for less than a second.
  void remember(const DnsKey& key, core::Duration keep, core::SteadyTime now);
  void forget(const DnsKey& key, core::SteadyTime now);
  [[nodiscard]] bool holds(const DnsKey& key, core::SteadyTime now) const;
  void clear();

  [[nodiscard]] std::size_t bytes() const;

 private:
  // 40 bits of hash above 24 of the second until which it holds; 0: free.
  using Entry = std::uint64_t;
  struct Segment {
    std::vector<Entry> entries;  // Open addressing, linear probing.
    std::size_t used = 0;        // Those that expired included.
    std::uint32_t made_s = 0;    // When those were left out last.
  };

  void make_room(Segment& segment, std::uint32_t now_s) const;

  std::size_t segment_max_;
  std::array<Segment, kSegments> segments_;
};

}  // namespace watchwheel::checker
