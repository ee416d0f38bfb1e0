// SPDX-License-Identifier: Apache-2.0
// sideeffects/chore.h - something small that a shard's thread does beside its shard: it may block in the store, as that thread may.
#pragma once

#include <optional>

#include "core/clock.h"

namespace watchwheel::sideeffects {

class Chore {
 public:
  virtual ~Chore() = default;
  // Thread: the shard's, for both.
  virtual void turn(core::SteadyTime now) = 0;
  // When turn() has something to do; nothing: once its owner has woken the thread.
  [[nodiscard]] virtual std::optional<core::SteadyTime> next_turn() const = 0;
};

}  // namespace watchwheel::sideeffects
