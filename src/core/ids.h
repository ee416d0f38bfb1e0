// SPDX-License-Identifier: Apache-2.0
// core/ids.h - the names of things, each a type of its own so that none is taken for another.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace watchwheel::core {

// A number with a meaning. Explicit in, explicit out (`.value`), ordered, hashable.
template <typename Tag, typename Number>
struct Id {
  using number_type = Number;
  Number value{};

  constexpr Id() = default;
  constexpr explicit Id(Number number) : value(number) {}
  friend constexpr auto operator<=>(Id, Id) = default;
};

using SiteId = Id<struct SiteIdTag, std::uint64_t>;      // The store's key of a site. 0: none. At most 2^63-1.
using EventId = Id<struct EventIdTag, std::uint64_t>;    // The store's key of an event. 0: none. At most 2^63-1.
using SiteSlot = Id<struct SiteSlotTag, std::uint32_t>;  // Index of a site in its lane's table. Reused after removal.
using ChangeSeq = Id<struct ChangeSeqTag, std::uint64_t>;  // Position in the store's sequence of site changes.

inline constexpr SiteSlot kNoSlot{UINT32_MAX};

}  // namespace watchwheel::core

template <typename Tag, typename Number>
struct std::hash<watchwheel::core::Id<Tag, Number>> {
  std::size_t operator()(watchwheel::core::Id<Tag, Number> id) const noexcept {
    return std::hash<Number>{}(id.value);
  }
};
