// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/detour.h"

#include <utility>

namespace watchwheel::sideeffects {

using core::ErrorKind;

bool refuses(const core::Error& error) {
  return error.kind == ErrorKind::Invalid || error.kind == ErrorKind::NotFound ||
         error.kind == ErrorKind::Fenced;
}

Detour::Detour(Journal& journal, const core::Clock& clock, OutageWatch& watch)
    : journal_(journal), clock_(clock), watch_(watch) {
  if (journal.reading().entries > 0) take_locked(nullptr);
}

void Detour::take_locked(const core::Error* why) {
  // Taken for what an earlier process left, nobody was told: then the first that finds the store away tells.
  const bool tell = why != nullptr && !told_;
  if (tell) {
    told_ = true;
    watch_.on_store_away(*why);
  }
  if (taken_.exchange(true)) return;
  taken_at_ = clock_.steady();
  stats_.taken.add();
  stats_.since_s.set(static_cast<double>(core::to_unix_ms(clock_.wall())) / 1000);
  if (wake_) wake_();
}

void Detour::take(const core::Error& why) {
  const std::lock_guard lock(mutex_);
  take_locked(&why);
}

void Detour::went_straight() {
  if (stats_.refusing.value() == 0) return;
  const std::lock_guard lock(mutex_);
  if (!taken_.load()) forget_refusal();
}

void Detour::forget_refusal() {
  if (stats_.refusing.value() == 0) return;
  stats_.refusing.set(0);
  watch_.on_journal_takes_again();
}

core::Result<void> Detour::keep(std::span<const JournalWrite> writes, const core::Error* why) {
  const std::lock_guard lock(mutex_);
  const core::Result<void> kept = journal_.append(writes, clock_.wall());
  const bool refused_before = stats_.refusing.value() != 0;
  if (kept) {
    stats_.kept.add(writes.size());
    forget_refusal();
    take_locked(why);
    return kept;
  }
  stats_.refusals.add();
  stats_.refusing.set(1);
  if (!refused_before) watch_.on_journal_refuses(kept.error());
  // It may have been kept all the same: nothing may overtake it.
  if (kept.error().kind == ErrorKind::Unknown) {
    take_locked(why);
    return kept;
  }
  // The journal's trouble is not the write's: a writer that took it for a refusal of the store would drop what it tells.
  return core::Error{ErrorKind::Unavailable, kept.error().message};
}

bool Detour::leave(std::uint64_t replayed) {
  const std::lock_guard lock(mutex_);
  if (journal_.reading().entries > 0) return false;
  forget_refusal();  // Nobody needs it any more.
  taken_.store(false);
  if (std::exchange(told_, false)) watch_.on_store_back(clock_.steady() - taken_at_, replayed);
  stats_.since_s.set(0);
  return true;
}

// ---- The stores ----

core::Result<void> DetourEventStore::commit(std::span<const EventWrite> writes) {
  core::Result<void> stored;
  const bool straight = !detour_.taken();
  if (straight) {
    stored = store_.commit(writes);
    if (stored) detour_.went_straight();
    if (stored || refuses(stored.error())) return stored;
  }
  writes_.assign(writes.begin(), writes.end());
  core::Result<void> kept = detour_.keep(writes_, straight ? &stored.error() : nullptr);
  // What the store said comes first: the writer repeats the same writes, and that is right for both.
  return kept || !straight ? kept : stored;
}

core::Result<std::optional<StoredEvent>> DetourEventStore::open_event(core::SiteId site) {
  if (!detour_.taken()) {
    auto found = store_.open_event(site);
    if (found || refuses(found.error()) || found.error().kind == ErrorKind::Corrupt) return found;
    detour_.take(found.error());
    return found;
  }
  return core::Error{ErrorKind::Unavailable, "the store is away"};
}

core::Result<void> DetourVantageStore::put(const VantageEvent& event) {
  core::Result<void> stored;
  const bool straight = !detour_.taken();
  if (straight) {
    stored = store_.put(event);
    if (stored || refuses(stored.error())) return stored;
  }
  const JournalWrite write = event;
  return detour_.keep({&write, 1}, straight ? &stored.error() : nullptr);
}

core::Result<std::uint64_t> DetourVantageStore::close_open(core::WallTime at) {
  core::Result<std::uint64_t> closed = std::uint64_t{0};
  const bool straight = !detour_.taken();
  if (straight) {
    closed = store_.close_open(at);
    if (closed || refuses(closed.error())) return closed;
  }
  const JournalWrite write = VantageEnd{at};
  if (auto kept = detour_.keep({&write, 1}, straight ? &closed.error() : nullptr); !kept)
    return kept.error();
  return std::uint64_t{0};
}

core::Result<void> DetourFreshnessSink::write(std::span<const core::FreshnessMark> marks) {
  if (!detour_.taken()) return sink_.write(marks);
  return core::Error{ErrorKind::Unavailable, "events wait in the journal"};
}

}  // namespace watchwheel::sideeffects
