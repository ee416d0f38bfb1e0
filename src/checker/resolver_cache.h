// SPDX-License-Identifier: Apache-2.0
// checker/resolver_cache.h - what names resolved to, until it is too old.
//
// Owns     at most `entries_max` entries; memory grows with use up to that, and only shrink() gives it back.
// Thread   the lane's.
// Bounded  when full, the entry that was used least recently goes.
// Time     passed in. An entry is answered from until it expires and not a moment longer; that a name has no addresses of one
//          family, as long as the addresses of the other that were learned with it: most names have none of IPv6, and asking
//          for them every 5 s would be a query for every check.
// Cost     find, store: O(1); an entry is about 150 bytes and its name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checker/address.h"
#include "core/clock.h"
#include "core/pinned.h"
#include "core/probe.h"

namespace watchwheel::checker {

struct DnsKey {
  std::uint32_t servers = 0;
  bool v6 = false;
  std::string_view host;
  friend bool operator==(const DnsKey&, const DnsKey&) = default;
};

// What one family of a name resolved to.
struct DnsFact {
  core::Cause cause = core::Cause::Ok;
  std::vector<IpAddress> addresses;  // Not empty when Ok.
  std::string detail;                // When not Ok.
};

// How long a fact may be kept: its TTL between 5 s and 1 h; 5 s for what a server said of a name; 1 s for what may be a
// server's bad moment (SERVFAIL, silence); not at all for our own trouble.
[[nodiscard]] core::Duration lifetime(core::Cause cause, std::uint32_t ttl_s);

class ResolverCache : core::Pinned {
 public:
  explicit ResolverCache(std::size_t entries_max);

  struct Found {
    const DnsFact* fact = nullptr;  // Null: nothing that is still true. Until the next store().
    bool refresh =
        false;  // It lives as long as addresses, and they are in the last tenth of their life.
  };
  // Marks what it finds as used.
  [[nodiscard]] Found find(const DnsKey& key, core::SteadyTime now);

  // Keeps `fact` for `keep`, in place of what was there. A bad moment (SERVFAIL, silence) does not displace addresses that are
  // still good. Does nothing for a `keep` of zero.
  void store(const DnsKey& key, DnsFact fact, core::Duration keep, core::SteadyTime now);

  // Keeps the quarter that was used last and gives the memory of the others back.
  void shrink();

  [[nodiscard]] std::size_t size() const { return used_; }

 private:
  static constexpr std::uint32_t kNone = 0xffff'ffff;

  struct Entry {
    std::uint64_t hash = 0;
    std::uint32_t servers = 0;
    bool v6 = false;
    std::string host;
    DnsFact fact;
    core::SteadyTime stored;
    core::SteadyTime expires;
    std::uint32_t newer = kNone;  // Neighbours in the order of use.
    std::uint32_t older = kNone;
  };

  [[nodiscard]] std::uint32_t lookup(const DnsKey& key, std::uint64_t hash) const;
  [[nodiscard]] const Entry* addresses_beside(const Entry& entry, core::SteadyTime now) const;
  [[nodiscard]] std::uint32_t make_room();
  void insert_in_table(std::uint32_t index);
  void erase_from_table(std::uint32_t index);
  void grow_table();
  void unlink(std::uint32_t index);
  void link_newest(std::uint32_t index);

  std::size_t entries_max_;
  std::size_t used_ = 0;
  std::vector<Entry> entries_;
  std::vector<std::uint32_t>
      table_;  // Open addressing, linear probing: indices of entries, kNone where free.
  std::uint32_t newest_ = kNone;
  std::uint32_t oldest_ = kNone;
};

}  // namespace watchwheel::checker
