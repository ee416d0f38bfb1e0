// SPDX-License-Identifier: Apache-2.0
// scheduler/url_store.h - many short texts, each behind a 32-bit reference.
//
// Owns     the texts, length first, in chunks of 256 KiB that never move.
// Thread   the site table's.
// Bounded  2^32 references of 8 bytes each: 32 GiB. A freed text's room is kept by its size and
//          used for the next of that size; wasted() tells how much lies unused, and the site table
//          then moves the texts to another store, some at a time.
// Cost     put, set, drop, get: O(1). 2 bytes of length and at most 7 of padding a text.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/pinned.h"
#include "core/site.h"

namespace watchwheel::scheduler {

class UrlStore : core::Pinned {
 public:
  using Ref = std::uint32_t;

  // At most core::kUrlBytesMax bytes.
  [[nodiscard]] Ref put(std::string_view text);
  void drop(Ref ref);
  // Valid until the next put() or drop().
  [[nodiscard]] std::string_view get(Ref ref) const;

  [[nodiscard]] std::size_t used() const {
    return used_;
  }  // By texts that are there, with length and padding.
  [[nodiscard]] std::size_t wasted() const {
    return wasted_;
  }                                         // By texts that were dropped and not replaced.
  [[nodiscard]] std::size_t bytes() const;  // Allocated.

  // Gives one chunk back; true when none is left. For a store that nobody reads any more: freeing
  // all of it at once takes 20 ms at some million texts.
  [[nodiscard]] bool release_chunk();

 private:
  static constexpr std::size_t kUnit = 8;
  static constexpr std::size_t kChunkUnits = 256 * 1024 / kUnit;
  static constexpr std::size_t kLengthBytes = 2;
  static constexpr std::size_t kSizes = (core::kUrlBytesMax + kLengthBytes + kUnit - 1) / kUnit + 1;
  static constexpr Ref kNone = UINT32_MAX;

  [[nodiscard]] char* at(Ref ref) const {
    return chunks_[ref / kChunkUnits].get() + ref % kChunkUnits * kUnit;
  }
  [[nodiscard]] Ref take_room(std::size_t units);

  std::vector<std::unique_ptr<char[]>> chunks_;
  std::size_t next_unit_ = 0;  // First never used.
  std::array<Ref, kSizes> free_ =
      all_none();  // By units: the newest dropped; each holds the one before it.
  std::size_t used_ = 0;
  std::size_t wasted_ = 0;

  static constexpr std::array<Ref, kSizes> all_none() {
    std::array<Ref, kSizes> none{};
    none.fill(kNone);
    return none;
  }
};

}  // namespace watchwheel::scheduler
