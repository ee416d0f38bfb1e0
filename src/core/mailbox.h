// SPDX-License-Identifier: Apache-2.0
// core/mailbox.h - what must not be lost and must not block: one seat a key, the newest value in
// it.
//
// Owns     at most one value for each key.
// Thread   post(): any number of producers. take(): one consumer. The rest: any. One mutex, held
//          for O(1) a value (ADR 0002).
// Bounded  by the number of keys: `seats_max`. More distinct keys than seats is our mistake, not
//          load: it stops the process. Never full: a second post for a key replaces the value in
//          its seat, so values must be cumulative (the newest says all).
// Order    take() gives keys in the order in which they became waiting; a replaced value keeps its
//          key's place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <mutex>
#include <utility>
#include <vector>

#include "core/ensure.h"
#include "core/pinned.h"
#include "core/segmented_map.h"

namespace watchwheel::core {

template <typename Key, typename Value>
class Mailbox : Pinned {
 public:
  explicit Mailbox(std::size_t seats_max) : seats_max_(seats_max) { ENSURE(seats_max > 0, "a mailbox needs seats"); }

  // True when the mailbox was empty before: the caller then wakes the consumer.
  bool post(Key key, Value value) {
    const std::lock_guard lock(mutex_);
    const bool was_empty = order_.empty();
    const auto [seat, is_new] = waiting_.try_emplace(key);
    seat = std::move(value);
    if (is_new) {
      ENSURE(waiting_.size() <= seats_max_, "more keys are waiting than the mailbox has seats");
      order_.push_back(key);
    } else {
      ++coalesced_;
    }
    return was_empty;
  }

  // Moves at most `most` values into `into` (appended), oldest key first. Returns how many.
  std::size_t take(std::vector<Value>& into, std::size_t most) {
    const std::lock_guard lock(mutex_);
    std::size_t taken = 0;
    for (; taken < most && !order_.empty(); ++taken) {
      Value* const seat = waiting_.find(order_.front());
      ENSURE(seat != nullptr, "a key in the order of a mailbox without a seat");
      into.push_back(std::move(*seat));
      waiting_.erase(order_.front());
      order_.pop_front();
    }
    return taken;
  }

  // Raises or lowers the number of seats, when sites come and go. Never below what is waiting.
  void set_seats_max(std::size_t seats_max) {
    const std::lock_guard lock(mutex_);
    ENSURE(seats_max >= waiting_.size(), "fewer seats than values waiting");
    seats_max_ = seats_max;
  }

  [[nodiscard]] std::size_t depth() const {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  [[nodiscard]] std::size_t capacity() const {
    const std::lock_guard lock(mutex_);
    return seats_max_;
  }
  // Values that were replaced before they were taken. A mailbox never refuses, so this is its third
  // metric.
  [[nodiscard]] std::uint64_t coalesced() const {
    const std::lock_guard lock(mutex_);
    return coalesced_;
  }

 private:
  mutable std::mutex mutex_;
  // Guarded by mutex_. Segmented: who posts must not wait for the move of a million others.
  SegmentedMap<Key, Value> waiting_;
  std::deque<Key> order_;                   // Guarded by mutex_. Every key of waiting_, once.
  std::size_t seats_max_;                   // Guarded by mutex_.
  std::uint64_t coalesced_ = 0;             // Guarded by mutex_.
};

}  // namespace watchwheel::core
