// SPDX-License-Identifier: Apache-2.0
#include "incident_store.h"

namespace watchwheel::sim {

std::optional<core::Error> StoreTrouble::before() {
  lost_ = false;
  ++calls_;
  if (kill_after != 0 && --kill_after == 0) {
    if (!kill_done) throw Killed{};
    kill_after = SIZE_MAX;  // When it is done.
  }
  if (away) return core::Error{core::ErrorKind::Unavailable, "the store is away"};
  if (lose_every != 0 && calls_ % lose_every == 0) {
    if (calls_ / lose_every % 2 == 0)
      return core::Error{core::ErrorKind::Unknown, "no answer came"};
    lost_ = true;
  }
  return std::nullopt;
}

std::optional<core::Error> StoreTrouble::after() {
  if (kill_after == SIZE_MAX) {
    kill_after = 0;
    throw Killed{};
  }
  if (std::exchange(lost_, false))
    return core::Error{core::ErrorKind::Unknown, "the answer was lost"};
  return std::nullopt;
}

}  // namespace watchwheel::sim
