// SPDX-License-Identifier: Apache-2.0
// core/owner.h - checks that a structure is touched by the one thread that owns it.
#pragma once

#include <atomic>
#include <thread>

#include "core/ensure.h"

namespace watchwheel::core {

// The first thread that calls ensure_here() becomes the owner; any other then stops the process.
// release() lets the structure be handed over (built on one thread, run on another), while neither
// touches it. Cost: one relaxed load and a comparison. Relaxed is enough: it is a detector, not a
// synchronisation.
class ThreadOwner {
 public:
  void ensure_here() {
    const auto here = std::this_thread::get_id();
    auto owner = owner_.load(std::memory_order_relaxed);
    if (owner == here) return;
    ENSURE(owner == std::thread::id{} && owner_.compare_exchange_strong(owner, here, std::memory_order_relaxed),
           "a structure was touched by a thread that does not own it");
  }
  void release() { owner_.store(std::thread::id{}, std::memory_order_relaxed); }

 private:
  std::atomic<std::thread::id> owner_{};
};

}  // namespace watchwheel::core
