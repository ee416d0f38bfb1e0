// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/history_keeper.h"

#include <algorithm>
#include <utility>

namespace watchwheel::sideeffects {

using core::SteadyTime;
using std::chrono::minutes;

HistoryKeeper::HistoryKeeper(Settings settings, HistoryStore& store, const core::Clock& clock)
    : settings_(std::move(settings)),
      store_(store),
      clock_(clock),
      retention_(settings_.retention) {}

void HistoryKeeper::set(const HistoryRetention& retention) {
  const std::lock_guard lock(mutex_);
  retention_ = retention;
}

std::optional<SteadyTime> HistoryKeeper::next_turn() const {
  return settings_.responses ? std::min(purge_at_, minute_at_) : purge_at_;
}

void HistoryKeeper::turn(SteadyTime now) {
  if (settings_.responses && now >= minute_at_) write_minute(now);
  if (now >= purge_at_) purge(now);
}

void HistoryKeeper::purge(SteadyTime now) {
  purge_at_ = now + kLookEach;
  if (!settings_.ours()) return;
  HistoryRetention retention;
  {
    const std::lock_guard lock(mutex_);
    retention = retention_;
  }
  if (retention == HistoryRetention{}) return;  // All is kept.
  const core::Result<HistoryPurge> purged = store_.purge(retention, kRows);
  if (!purged) {
    stats_.errors.add();
    purge_at_ = now + kAfterError;
    return;
  }
  for (std::size_t i = 0; i < purged->removed.size(); ++i)
    stats_.removed.at(i).add(purged->removed.at(i));
  if (purged->total() > 0) purge_at_ = now + kPause;
}

// Looked at once a minute, at its beginning: what is new belongs to the one that ended. A clock that jumps, or a store that was away,
// makes one long minute of several.
void HistoryKeeper::write_minute(SteadyTime now) {
  const core::WallTime wall = clock_.wall();
  const core::WallTime begun = std::chrono::floor<minutes>(wall);
  minute_at_ =
      now + std::max<core::Duration>(begun + minutes{1} - wall, std::chrono::milliseconds{1});
  const core::WallTime ended = std::exchange(minute_, begun);
  const core::ResponseHistogram all = settings_.responses();
  core::ResponseHistogram fresh;
  for (std::size_t i = 0; i < all.counts.size(); ++i)
    fresh.counts.at(i) = all.counts.at(i) - told_.counts.at(i);
  if (ended == core::kNoWallTime || fresh.total() == 0) return;
  if (core::Result<void> added = store_.add_minute(settings_.node, ended, fresh); added) {
    told_ = all;
    stats_.minutes.add();
  } else {
    stats_.errors.add();
    // Its answer may have been lost: told twice would be worse than not at all.
    if (added.error().kind == core::ErrorKind::Unknown) told_ = all;
  }
}

}  // namespace watchwheel::sideeffects
