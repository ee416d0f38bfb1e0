// SPDX-License-Identifier: Apache-2.0
#include "app/progress_watch.h"

namespace watchwheel::app {

std::optional<std::size_t> ProgressWatch::look(std::span<const std::uint64_t> turns,
                                               core::SteadyTime now) {
  if (seen_.size() != turns.size()) seen_.assign(turns.size(), Seen{0, now});
  std::optional<std::size_t> stuck;
  for (std::size_t lane = 0; lane < turns.size(); ++lane) {
    if (turns[lane] != seen_[lane].turns) {
      seen_[lane] = {turns[lane], now};
    } else if (!stuck && now - seen_[lane].rose_at > patience_) {
      stuck = lane;
    }
  }
  return stuck;
}

}  // namespace watchwheel::app
