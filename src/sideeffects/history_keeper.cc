// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/history_keeper.h"

#include <algorithm>
#include <span>
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
  SteadyTime next = purge_at_;
  if (settings_.responses) next = std::min(next, minute_at_);
  if (settings_.gathered != nullptr) next = std::min(next, pages_at_);
  return next;
}

void HistoryKeeper::turn(SteadyTime now) {
  // One a turn: a stop waits for one call of a store that does not answer.
  if (settings_.responses && now >= minute_at_) return write_minute(now);
  if (settings_.gathered != nullptr && now >= pages_at_) return write_pages(now);
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

void HistoryKeeper::write_pages(SteadyTime now) {
  if (pages_.empty()) pages_ = settings_.gathered->take(clock_.wall(), kPages, false);
  if (pages_.empty()) {
    pages_at_ = now + kPagesLook;
  } else {
    const core::Duration pause = write_pages_in_hand() ? kPagesPause : kAfterError;
    pages_at_ = clock_.steady() + pause;  // After it, so that a slow store still purges.
  }
}

// A store that is too slow for so many gets fewer, and one that it refuses costs the others nothing. Each page has a token of its own, so
// parts are repeated as safely as all.
bool HistoryKeeper::write_pages_in_hand() {
  const std::span<const ResponsePage> part(pages_.data(), std::min(at_once_, pages_.size()));
  const core::Result<void> added = store_.add_pages(settings_.node, part);
  if (added) {
    stats_.pages.add(part.size());
    at_once_ = std::min(kPages, at_once_ * 2);
  } else {
    stats_.errors.add();
    const core::ErrorKind kind = added.error().kind;
    const bool refused = kind == core::ErrorKind::Invalid || kind == core::ErrorKind::NotFound;
    at_once_ = std::max<std::size_t>(1, part.size() / 2);
    if (!refused || part.size() > 1) return refused;
  }
  pages_.erase(pages_.begin(), pages_.begin() + static_cast<std::ptrdiff_t>(part.size()));
  return true;
}

bool HistoryKeeper::write_rest(SteadyTime deadline) {
  if (settings_.gathered == nullptr) return true;
  while (true) {
    if (pages_.empty()) pages_ = settings_.gathered->take(clock_.wall(), kPages, true);
    if (pages_.empty()) return true;
    if (clock_.steady() >= deadline || !write_pages_in_hand()) return false;
  }
}

}  // namespace watchwheel::sideeffects
