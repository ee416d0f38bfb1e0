// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/away_notices.h"

#include <algorithm>
#include <utility>

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

// No id of a store has it, nor those that a host gives (kAwayIdFirst).
constexpr std::uint64_t kMirrorBit = std::uint64_t{1} << 61U;
// In a row, until the store counts as away.
constexpr int kFailuresAway = 2;
// Its twin is under way, begun before the store went away.
constexpr core::Duration kTwinAgain = 2s;
// Of what is handed over the mirror keeps no history.
constexpr DeliveryRetention kMirrorRetention{.done = 24h, .dead = 24h * 30, .tellings = 24h};

bool is_of_mirror(DeliveryId id) {
  return (id.value & kMirrorBit) != 0;
}
DeliveryId marked(DeliveryId id) {
  return DeliveryId{id.value | kMirrorBit};
}
DeliveryId bare(DeliveryId id) {
  return DeliveryId{id.value & ~kMirrorBit};
}

bool is_away(const core::Error& error) {
  return error.kind == core::ErrorKind::Unavailable || error.kind == core::ErrorKind::Unknown;
}

}  // namespace

// ---- The outbox

AwayOutbox::AwayOutbox(Settings settings, Outbox* store, Outbox& local, NoticeMirror& mirror,
                       RecentWrites& recent, Journal& journal, AwayShared& shared,
                       const core::Clock& clock)
    : settings_(std::move(settings)),
      store_(store),
      local_(local),
      mirror_(mirror),
      recent_(recent),
      journal_(journal),
      shared_(shared),
      clock_(clock) {
  // Until it is known whether something is to be handed over nothing is claimed.
  shared_.phase_.store(store == nullptr ? NoticePhase::Away : NoticePhase::Returning);
}

void AwayOutbox::note(std::span<const EventWrite> writes) {
  if (auto noted = recent_.note(writes); !noted) mirror_failed(noted.error());
  noted_.store(true);
  noted_since_.store(true);
}

void AwayOutbox::mirror_failed(const core::Error& error) {
  shared_.stats_.errors.add();
  if (!mirror_failing_.exchange(true))
    settings_.warn("notice_mirror_failed why=\"" + error.message + "\"");
}

core::Result<void> AwayOutbox::look_at_phase() {
  if (!known_) {
    const auto left = mirror_.is_away();
    if (!left && ++tries_ < kTries) return left.error();
    known_ = true;
    tries_ = 0;
    if (!left) mirror_failed(left.error());
    if (store_ != nullptr)
      shared_.phase_.store(left && *left ? NoticePhase::Returning : NoticePhase::Straight);
    if (store_ == nullptr) {
      if (auto begun = leave_store(); !begun) {
        known_ = false;
        return begun;
      }
    }
  }
  const bool alone = settings_.alone();
  note_alone(alone);
  // What was begun alone is ended here, whoever else may have come.
  const bool away =
      store_ == nullptr || (settings_.away() && (alone || shared_.phase() == NoticePhase::Away));
  const NoticePhase phase = shared_.phase();
  if (phase == NoticePhase::Away && !away) {
    settings_.tell("notices_returning under_way=" + std::to_string(shared_.under_way_.load()));
    shared_.phase_.store(NoticePhase::Returning);
  }
  if (phase == NoticePhase::Away || !away) return {};
  auto left = leave_store();
  // Without the mirror they wait for the store, as they would without one.
  if (!left) mirror_failed(left.error());
  return {};
}

// Now and then, so that it has an age for the process that reads it.
void AwayOutbox::note_alone(bool alone) {
  const core::SteadyTime now = clock_.steady();
  if (alone_ == alone && (!alone || now < alone_noted_ + kNoteAloneEach)) return;
  const auto noted = mirror_.note_alone(alone);
  if (!noted) return mirror_failed(noted.error());
  alone_ = alone;
  alone_noted_ = now;
}

// A session that was lost while nobody used it is found out by its next use, and the one after that has a new session.
void AwayOutbox::store_failed(const core::Error& error) {
  if (++failures_ >= kFailuresAway) settings_.store_failed(error);
}

// What is left in a file that could not be emptied was handed over, or given up.
core::Result<void> AwayOutbox::catch_up() {
  if (!left_behind_) return {};
  if (auto gone = mirror_.discard(); !gone) return gone;
  left_behind_ = false;
  follow_at_ = core::SteadyTime::min();
  return {};
}

core::Result<void> AwayOutbox::leave_store() {
  if (auto caught = catch_up(); !caught) return caught;
  if (auto begun = mirror_.begin_away(); !begun) return begun;
  noted_since_.store(true);
  if (shared_.phase() != NoticePhase::Returning) shared_.stats_.times.add();
  shared_.phase_.store(NoticePhase::Away);
  settings_.tell("notices_from_journal");
  return {};
}

core::Result<std::vector<Notice>> AwayOutbox::take(std::size_t limit,
                                                   const std::function<bool(core::SiteId)>& mine) {
  if (auto looked = look_at_phase(); !looked) {
    mirror_failed(looked.error());
    return looked.error();
  }
  if (shared_.phase() == NoticePhase::Returning) {
    const auto done = hand_over();
    if (!done) return done.error();
    if (!*done) return std::vector<Notice>{};
  }
  return shared_.phase() == NoticePhase::Away ? take_from_mirror(limit)
                                              : take_from_store(limit, mine);
}

core::Result<std::vector<Notice>> AwayOutbox::take_from_store(
    std::size_t limit, const std::function<bool(core::SiteId)>& mine) {
  taken_here_ = false;
  const bool noted = noted_.exchange(false);
  const auto newest = noted ? recent_.newest() : std::uint64_t{0};
  auto taken = store_->take(limit, mine);
  if (!taken) {
    if (noted) noted_.store(true);
    if (is_away(taken.error()) && settings_.alone()) store_failed(taken.error());
    return taken;
  }
  failures_ = 0;
  taken_.clear();
  for (const Notice& notice : *taken) {
    taken_[notice.id] = {.event = notice.event, .seq = notice.wake ? 0 : notice.transition.seq};
    for (const Notice& former : notice.former) taken_[former.id] = {.event = former.event, .seq = 0};
  }
  if (!taken->empty()) {
    if (noted) noted_.store(true);
    return taken;
  }
  // All that was committed before is routed.
  if (noted && newest && *newest > 0 && !recent_.forget(*newest)) noted_.store(true);
  follow_all();
  return taken;
}

// Committed, and perhaps never routed: before what the journal holds. The store may have come and gone since the last look. True: all
// of it was read.
core::Result<bool> AwayOutbox::read_recent(core::SteadyTime until) {
  if (noted_since_.exchange(false)) {
    auto recent = recent_.read();
    if (!recent) {
      noted_since_.store(true);
      return recent.error();
    }
    left_of_recent_ = *std::move(recent);
    std::reverse(left_of_recent_.begin(), left_of_recent_.end());  // Taken from the back.
  }
  while (!left_of_recent_.empty()) {
    if (clock_.steady() >= until) return false;
    std::vector<EventWrite> page;
    while (!left_of_recent_.empty() && page.size() < kJournalPage) {
      page.push_back(std::move(left_of_recent_.back()));
      left_of_recent_.pop_back();
    }
    if (auto added = mirror_.add(page); !added) {
      noted_since_.store(true);
      return added.error();
    }
  }
  return true;
}

core::Result<void> AwayOutbox::read_journal(core::SteadyTime until) {
  auto through = mirror_.journal_read();
  if (!through) return through.error();
  while (clock_.steady() < until) {
    const auto page = journal_.read_after(*through, kJournalPage);
    if (!page) return page.error();
    if (page->empty()) return {};
    std::vector<EventWrite> writes;
    for (const JournalEntry& entry : *page) {
      const auto* event = std::get_if<EventWrite>(&entry.write);
      if (entry.problem.empty() && event != nullptr) writes.push_back(*event);
    }
    if (auto added = mirror_.add(writes); !added) return added;
    through = page->back().seq;
    if (auto noted = mirror_.set_journal_read(*through); !noted) return noted;
  }
  return {};
}

core::Result<std::vector<Notice>> AwayOutbox::take_from_mirror(std::size_t limit) {
  taken_here_ = true;
  // What cannot be read is told by the replayer; what was read goes on.
  const core::SteadyTime until = clock_.steady() + kTurnMax;
  const auto recent = read_recent(until);
  core::Result<void> read = recent ? core::Result<void>{} : core::Result<void>{recent.error()};
  if (recent && *recent) read = read_journal(until);
  if (!read) mirror_failed(read.error());
  // All sites are ours: there is nobody else.
  auto taken = local_.take(limit, [](core::SiteId) { return true; });
  if (!taken) {
    mirror_failed(taken.error());
    return taken;
  }
  if (auto described = mirror_.describe(*taken); !described) return described.error();
  for (const Notice& notice : *taken) {
    if (notice.presumed) shared_.stats_.presumed.add();
  }
  mirror_failing_ = false;
  return taken;
}

core::Result<bool> AwayOutbox::hand_over() {
  if (shared_.under_way_.load() > 0) return false;
  const core::SteadyTime until = clock_.steady() + kTurnMax;
  const std::uint64_t before = mirror_.handed_over();
  for (bool done = false; !done;) {
    const auto step = mirror_.hand_over();
    if (!step && is_away(step.error())) {
      store_failed(step.error());
      return step.error();
    }
    if (!step) {
      mirror_failed(step.error());
      if (++tries_ < kTries) return step.error();
      // Told once more, with the same ids, is better than nobody told of anything any more.
      settings_.warn("notices_not_handed_over why=\"" + step.error().message + "\"");
      left_behind_ = true;
      if (auto gone = catch_up(); !gone) mirror_failed(gone.error());
      done = true;
      continue;
    }
    failures_ = 0;
    done = *step;
    // It goes on where it was; after another time away it begins anew, and what is handed over already is known there.
    if (!done && (settings_.away() || clock_.steady() >= until)) return false;
  }
  const std::uint64_t count = mirror_.handed_over() - before;
  shared_.stats_.handed_over.add(count);
  follow_at_ = core::SteadyTime::min();
  tries_ = 0;
  left_of_recent_ = {};
  shared_.phase_.store(NoticePhase::Straight);
  settings_.tell("notices_from_store handed_over=" + std::to_string(count));
  return true;
}

core::Result<Settling> AwayOutbox::settle(std::span<const NoticeId> notices,
                                          std::span<const NewDelivery> deliveries,
                                          std::span<const NewWake> wakes) {
  if (taken_here_) return local_.settle(notices, deliveries, wakes);
  const auto done = store_->settle(notices, deliveries, wakes);
  if (done && *done == Settling::Done) follow(notices, !wakes.empty());
  return done;
}

void AwayOutbox::follow(std::span<const NoticeId> notices, bool wakes) {
  std::vector<Followed> events;
  std::vector<NoticeId> over;
  for (const NoticeId notice : notices) {
    const auto taken = taken_.find(notice);
    if (taken == taken_.end()) continue;
    const bool wake = taken->second.seq == 0;
    if (wake) over.push_back(notice);
    events.push_back({.event = taken->second.event,
                      .routed = wake ? std::nullopt : std::optional(taken->second.seq)});
  }
  const std::lock_guard lock(shared_.following_);
  core::Result<void> followed = catch_up();
  if (followed) followed = mirror_.follow(events);
  if (followed && !over.empty()) followed = mirror_.forget_wakes(over);
  if (followed && wakes) followed = mirror_.follow_wakes();
  if (!followed) return mirror_failed(followed.error());
  mirror_failing_ = false;
}

// All of it at the start, and now and then: others change deliveries too, by commands.
void AwayOutbox::follow_all() {
  const core::SteadyTime now = clock_.steady();
  if (now < follow_at_) return;
  const std::lock_guard lock(shared_.following_);
  const auto caught = catch_up();
  const auto last = caught ? mirror_.follow_all() : core::Result<bool>{caught.error()};
  if (!last) {
    mirror_failed(last.error());
    follow_at_ = now + 10s;
    return;
  }
  mirror_failing_ = false;
  if (*last) follow_at_ = now + kFollowAllEach;
}

core::Result<Outbox::Level> AwayOutbox::level() {
  return shared_.phase() == NoticePhase::Straight ? store_->level() : local_.level();
}

// ---- The deliveries

void AwayQueue::count() {
  shared_.under_way_.store(of_store_.size() + of_mirror_.size());
}

core::Result<Claimed> AwayQueue::claim(std::span<const Want> wants, core::Duration lease,
                                       const Claimer& claimer) {
  // Before the phase is read: what is claimed is under way for whoever changes it.
  shared_.under_way_.store(of_store_.size() + of_mirror_.size() + 1);
  const NoticePhase phase = shared_.phase();
  core::Result<Claimed> claimed = Claimed{};
  if (phase == NoticePhase::Straight) claimed = store_->claim(wants, lease, claimer);
  if (phase == NoticePhase::Away) claimed = local_.claim(wants, lease, claimer);
  if (!claimed || claimed->deliveries.empty()) {
    count();
    return claimed;
  }
  std::vector<Finish> twins;
  std::erase_if(claimed->deliveries, [&](const Delivery& delivery) {
    if (phase == NoticePhase::Straight || !of_store_.contains(delivery.id)) return false;
    twins.push_back({.id = delivery.id, .token = delivery.token, .verdict = Snooze{kTwinAgain}});
    return true;
  });
  if (!twins.empty()) (void)local_.finish(twins);
  for (Delivery& delivery : claimed->deliveries) {
    if (phase == NoticePhase::Away) delivery.id = marked(delivery.id);
    (phase == NoticePhase::Away ? of_mirror_ : of_store_).insert(delivery.id);
  }
  count();
  return claimed;
}

core::Result<std::vector<DeliveryId>> AwayQueue::finish(std::span<const Finish> finished) {
  std::vector<Finish> here;
  std::vector<Finish> there;
  for (Finish one : finished) {
    const bool mirrored = is_of_mirror(one.id);
    one.id = bare(one.id);
    (mirrored ? here : there).push_back(std::move(one));
  }
  std::vector<DeliveryId> lost;
  if (!here.empty()) {
    const auto done = local_.finish(here);
    if (!done && shared_.phase() == NoticePhase::Away) return done;
    if (done) {
      for (const DeliveryId id : *done) lost.push_back(marked(id));
    } else {
      // Nobody is told of anything before these have ended: told once more, with the same ids, is better.
      shared_.stats_.errors.add();
    }
  }
  if (auto done = finish_of_store(there, lost); !done) return done.error();
  for (const Finish& one : finished) (is_of_mirror(one.id) ? of_mirror_ : of_store_).erase(one.id);
  count();
  return lost;
}

// While the store is away their ends are the mirror's: it has them too, and hands over what became of them. What its file refuses is the
// store's once that is back.
core::Result<void> AwayQueue::finish_of_store(std::span<const Finish> finished,
                                              std::vector<DeliveryId>& lost) {
  if (finished.empty()) return {};
  const std::lock_guard lock(shared_.following_);
  if (!straight()) {
    const auto kept = mirror_.finish(finished);
    if (kept || store_ == nullptr || shared_.phase() == NoticePhase::Away) return kept;
    shared_.stats_.errors.add();
  }
  auto done = store_->finish(finished);
  if (!done) return done.error();
  lost.insert(lost.end(), done->begin(), done->end());
  if (!mirror_.finish(finished)) shared_.stats_.errors.add();
  return {};
}

core::Result<std::vector<DeliveryId>> AwayQueue::extend(std::span<const Held> held,
                                                        core::Duration lease) {
  std::vector<Held> here;
  std::vector<Held> there;
  for (const Held& one : held)
    (is_of_mirror(one.id) ? here : there).push_back({.id = bare(one.id), .token = one.token});
  std::vector<DeliveryId> lost;
  if (!here.empty()) {
    auto done = local_.extend(here, lease);
    if (!done) return done;
    for (const DeliveryId id : *done) lost.push_back(marked(id));
  }
  if (there.empty() || !straight()) return lost;
  auto done = store_->extend(there, lease);
  if (!done) return done;
  lost.insert(lost.end(), done->begin(), done->end());
  return lost;
}

core::Result<std::uint64_t> AwayQueue::release_former(const Claimer& claimer) {
  auto here = local_.release_former(claimer);
  if (!here || store_ == nullptr || shared_.phase() == NoticePhase::Away) return here;
  auto there = store_->release_former(claimer);
  if (!there) return there;
  return *here + *there;
}

core::Result<std::uint64_t> AwayQueue::bury_waiting(std::string_view target, DeathReason reason,
                                                    std::size_t limit) {
  return straight() ? store_->bury_waiting(target, reason, limit)
                    : local_.bury_waiting(target, reason, limit);
}

core::Result<std::uint64_t> AwayQueue::bury_older(std::string_view target, DeathReason reason,
                                                  core::Duration age, std::size_t limit) {
  return straight() ? store_->bury_older(target, reason, age, limit)
                    : local_.bury_older(target, reason, age, limit);
}

core::Result<void> AwayQueue::note_targets(std::span<const std::string> targets) {
  return straight() ? store_->note_targets(targets) : local_.note_targets(targets);
}

core::Result<std::vector<TargetLevel>> AwayQueue::levels() {
  return straight() ? store_->levels() : local_.levels();
}

core::Result<std::uint64_t> AwayQueue::purge(const DeliveryRetention& retention,
                                             std::size_t limit) {
  return straight() ? store_->purge(retention, limit) : local_.purge(kMirrorRetention, limit);
}

}  // namespace watchwheel::sideeffects
