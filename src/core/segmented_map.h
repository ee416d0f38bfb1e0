// SPDX-License-Identifier: Apache-2.0
// core/segmented_map.h - a hash map that never moves all its entries at once.
//
// A std::unordered_map that doubles walks every entry it has: at a million that is a tenth of a
// second in which a lane's loop answers nobody. Here the keys are spread over kSegments maps, each
// of which grows by itself, at another moment than the others.
//
// Owns     its entries. References to values stay valid until they are erased.
// Thread   one at a time.
// Bounded  by its keys; 57 KB when empty.
// Cost     O(1); the worst single call moves about 1/kSegments of the entries.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <unordered_map>
#include <utility>

#include "core/hash.h"

namespace watchwheel::core {

template <typename Key, typename Value>
class SegmentedMap {
 public:
  static constexpr std::size_t kSegments = 1024;

  // The value of `key` and whether it is new (then it was made from `arguments`).
  template <typename... Arguments>
  std::pair<Value&, bool> try_emplace(const Key& key, Arguments&&... arguments) {
    const auto [entry, is_new] = of(key).try_emplace(key, std::forward<Arguments>(arguments)...);
    size_ += is_new ? 1 : 0;
    return {entry->second, is_new};
  }
  // Null when it is not there.
  [[nodiscard]] Value* find(const Key& key) {
    auto& segment = of(key);
    const auto entry = segment.find(key);
    return entry == segment.end() ? nullptr : &entry->second;
  }
  [[nodiscard]] const Value* find(const Key& key) const {
    const auto& segment = of(key);
    const auto entry = segment.find(key);
    return entry == segment.end() ? nullptr : &entry->second;
  }
  [[nodiscard]] bool contains(const Key& key) const { return of(key).contains(key); }
  // False when it was not there.
  bool erase(const Key& key) {
    const bool was_there = of(key).erase(key) > 0;
    size_ -= was_there ? 1 : 0;
    return was_there;
  }
  // Those of one segment for which `gone(key)` holds.
  template <typename Gone>
  void erase_if(std::size_t segment, Gone gone) {
    size_ -= std::erase_if(segments_[segment], [&](const auto& entry) { return gone(entry.first); });
  }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool empty() const { return size_ == 0; }
  // The entries that the fullest segment holds: what one call may have to move.
  [[nodiscard]] std::size_t fullest() const {
    std::size_t most = 0;
    for (const auto& segment : segments_) most = segment.size() > most ? segment.size() : most;
    return most;
  }

 private:
  using Segment = std::unordered_map<Key, Value>;

  // Mixed, because std::hash of a number is the number, and ids rise by one.
  [[nodiscard]] static std::size_t number(const Key& key) {
    return stable_hash(static_cast<std::uint64_t>(std::hash<Key>{}(key))) % kSegments;
  }
  [[nodiscard]] Segment& of(const Key& key) { return segments_[number(key)]; }
  [[nodiscard]] const Segment& of(const Key& key) const { return segments_[number(key)]; }

  std::array<Segment, kSegments> segments_;
  std::size_t size_ = 0;
};

}  // namespace watchwheel::core
