// SPDX-License-Identifier: Apache-2.0
// checker/tls_chain_cache.h - certificate chains that were verified not long ago, so that the signatures of an unchanged chain
// need not be verified again at every check. It saves a sixth of a handshake's CPU, a quarter where decoding is cheap.
//
// It stands for the walk over the chain alone: issuers, signatures, constraints, dates. Whoever uses it still checks the name
// and the leaf's dates each time, and TLS itself proves each time, by the handshake's signature, that the server has the leaf's
// key. A chain is known by a hash over everything that the walk reads: each certificate presented, the trust store as it was
// loaded, and the rules. So whatever changes is another chain. Failures are never kept: what is wrong is found out anew each
// time.
//
// Owns     the chains verified last.
// Thread   the lane's.
// Bounded  `entries_max`; about 70 B each, taken as they come. When full, the chain longest not seen goes.
// Time     wall time, passed in. A chain counts from when it was verified (a clock that was set back does not know it) until the
//          first of its certificates ends, for a day at the most.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"

namespace watchwheel::checker {

// SHA-256.
using Digest = std::array<std::uint8_t, 32>;

class ChainCache : core::Pinned {
 public:
  explicit ChainCache(std::size_t entries_max);

  // Whether this chain was verified and still counts at `now`.
  [[nodiscard]] bool knows(const Digest& chain, core::WallTime now);
  // It was verified at `now`; the first certificate of it ends at `until`. Does nothing when that has passed.
  void remember(const Digest& chain, core::WallTime now, core::WallTime until);

  // Keeps the quarter that was seen last and gives the memory of the others back.
  void shrink();

  [[nodiscard]] std::size_t size() const { return entries_.size(); }

 private:
  using Index = std::uint32_t;
  static constexpr Index kNone = UINT32_MAX;
  struct Entry {
    Digest chain;
    std::int64_t from_s = 0;
    std::int64_t until_s = 0;
    Index next_of_slot = kNone;
    Index newer = kNone;
    Index older = kNone;
  };

  [[nodiscard]] Index find(const Digest& chain) const;
  [[nodiscard]] std::size_t slot_of(const Digest& chain) const;
  [[nodiscard]] Index take_entry();
  void grow_slots();
  void drop_from_slot(Index at);
  void unlink(Index at);
  void link_newest(Index at);

  const std::size_t entries_max_;
  std::vector<Entry> entries_;
  std::vector<Index> slots_;  // A power of two of them; the first entry of each.
  Index newest_ = kNone;
  Index oldest_ = kNone;
};

}  // namespace watchwheel::checker
