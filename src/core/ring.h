// SPDX-License-Identifier: Apache-2.0
// core/ring.h - a bounded queue of values from one thread to one other.
//
// Owns     `capacity` seats, taken in the constructor.
// Thread   offer(): the producer. take(): the consumer. depth(), capacity(), refused(): any.
// Bounded  `capacity`, given by the caller; there is no default. Full: offer() refuses and counts
//          it, and the caller still has the value. Where a ring is declared, a comment says what
//          the caller does then.
// Cost     O(1), no lock, no allocation, no waiting.
// Source   the bounded single-producer single-consumer queue of Lamport (1983) with cached indices
//          (as in Rigtorp's SPSCQueue): each side re-reads the other's index only when it seems
//          full or empty.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "core/ensure.h"
#include "core/pinned.h"

namespace watchwheel::core {

template <typename T>
class SpscRing : Pinned {
 public:
  // One seat more than asked, so that full and empty differ.
  explicit SpscRing(std::size_t capacity) : seats_(capacity + 1) { ENSURE(capacity > 0, "a ring needs a capacity"); }

  // False when full: `value` is then untouched and the refusal is counted.
  [[nodiscard]] bool offer(T&& value) {
    const std::size_t tail = tail_.load(std::memory_order_relaxed);
    const std::size_t next = following(tail);
    if (next == head_seen_) {
      head_seen_ = head_.load(std::memory_order_acquire);  // Pairs with the release in take().
      if (next == head_seen_) {
        refused_.store(refused_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
        return false;
      }
    }
    seats_[tail] = std::move(value);
    tail_.store(next, std::memory_order_release);  // Pairs with the acquire in take().
    return true;
  }

  // False when empty. Oldest first.
  [[nodiscard]] bool take(T& into) {
    const std::size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_seen_) {
      tail_seen_ = tail_.load(std::memory_order_acquire);  // Pairs with the release in offer().
      if (head == tail_seen_) return false;
    }
    into = std::move(seats_[head]);
    seats_[head] = T{};  // What a value holds is freed by the consumer now, not when its seat is used again.
    head_.store(following(head), std::memory_order_release);  // Pairs with the acquire in offer().
    return true;
  }

  // Exact only when both sides are still; otherwise a moment's view.
  [[nodiscard]] std::size_t depth() const {
    const std::size_t head = head_.load(std::memory_order_acquire);
    const std::size_t tail = tail_.load(std::memory_order_acquire);
    return tail >= head ? tail - head : tail + seats_.size() - head;
  }
  [[nodiscard]] std::size_t capacity() const { return seats_.size() - 1; }
  [[nodiscard]] std::uint64_t refused() const { return refused_.load(std::memory_order_relaxed); }

 private:
  [[nodiscard]] std::size_t following(std::size_t i) const { return i + 1 == seats_.size() ? 0 : i + 1; }

  std::vector<T> seats_;
  alignas(64) std::atomic<std::size_t> head_{0};  // Written by the consumer.
  std::size_t tail_seen_ = 0;                     // The consumer's.
  alignas(64) std::atomic<std::size_t> tail_{0};  // Written by the producer.
  std::size_t head_seen_ = 0;                     // The producer's.
  std::atomic<std::uint64_t> refused_{0};         // Written by the producer.
};

}  // namespace watchwheel::core
