// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/replayer.h"

#include <algorithm>
#include <utility>

namespace watchwheel::sideeffects {
namespace {

// A start gives up at the first trouble and comes again: what begins small has brought something in by then.
constexpr std::size_t kFirstPage = 8;
// Nothing can be read, and yet something is said to be there: it has just come, or the count is wrong.
constexpr core::Duration kLookAgain = std::chrono::milliseconds{50};

// Or may be: a row that the store cannot read is another one's trouble no more than a refusal is.
bool is_of_the_entry(const core::Error& error) {
  return refuses(error) || error.kind == core::ErrorKind::Corrupt;
}

bool is_event(const JournalEntry& entry) {
  return entry.problem.empty() && std::holds_alternative<EventWrite>(entry.write);
}

core::SiteId site_of(const JournalEntry& entry) {
  const auto* event = std::get_if<EventWrite>(&entry.write);
  return event == nullptr ? core::SiteId{} : event->site;
}

}  // namespace

Replayer::Replayer(const ReplayerLimits& limits, Detour& detour, Journal& journal,
                   EventStore& events, VantageStore& vantage, const core::Clock& clock,
                   OutageWatch& watch, std::uint64_t jitter_seed)
    : limits_(limits),
      detour_(detour),
      journal_(journal),
      events_(events),
      vantage_(vantage),
      clock_(clock),
      watch_(watch),
      jitter_seed_(jitter_seed),
      page_(std::min(limits.page, kFirstPage)) {}

void Replayer::turn(core::SteadyTime now) {
  now_ = now;
  if (!detour_.taken()) {
    if (now < look_at_ || journal_.reading().set_aside == 0) return;
    look_at_ = now + limits_.look_again;
    journal_.look_again();
    return;
  }
  if (now < retry_at_) return;
  if (!std::exchange(under_way_, true)) {
    answered_ = false;
    replayed_before_ = stats_.replayed.value();
  }
  const auto page = journal_.read(page_);
  if (!page) {
    (void)put_off(page.error());
  } else if (page->empty()) {
    leave();
  } else {
    (void)replay(*page);
  }
}

std::optional<core::SteadyTime> Replayer::next_turn() const {
  if (!detour_.taken()) {
    if (journal_.reading().set_aside == 0) return std::nullopt;
    return std::max(now_, look_at_);
  }
  return std::max(now_, retry_at_);
}

// Events that follow each other go in one transaction; the few others one by one.
Replayer::Step Replayer::replay(Entries page) {
  while (!page.empty()) {
    const auto other = std::find_if_not(page.begin(), page.end(), is_event);
    auto count = static_cast<std::size_t>(other - page.begin());
    if (count == 0) count = 1;
    if (replay_run(page.first(count)) == Step::Later) return Step::Later;
    page = page.subspan(count);
  }
  return Step::Done;
}

Replayer::Step Replayer::replay_run(Entries run) {
  if (!run.front().problem.empty()) return set_aside(run.front(), run.front().problem);
  const core::Result<void> stored = store(run);
  if (stored) {
    done_through(run);
    return Step::Done;
  }
  if (may_pass(stored.error()) || !is_of_the_entry(stored.error())) return away(run, stored.error());
  if (run.size() == 1) return isolate(run.front(), stored.error());
  const std::size_t half = run.size() / 2;
  if (replay_run(run.first(half)) == Step::Later) return Step::Later;
  return replay_run(run.subspan(half));
}

// What cannot be read now may be read soon: a table that is being repaired, a page that a bad disk gives at the next try.
bool Replayer::may_pass(const core::Error& error) {
  if (error.kind != core::ErrorKind::Corrupt) {
    unreadable_ = 0;
    return false;
  }
  return ++unreadable_ < limits_.unreadable_tries;
}

// Refused alone. It may have met another session in the middle of the same, so it is tried once more.
Replayer::Step Replayer::isolate(const JournalEntry& entry, const core::Error& refused) {
  if (refused.kind == core::ErrorKind::Fenced) return drop(entry);
  const core::Result<void> again = store({&entry, 1});
  if (again) {
    done_through({&entry, 1});
    return Step::Done;
  }
  if (!is_of_the_entry(again.error())) return away({&entry, 1}, again.error());
  return refuse(entry, refused);
}

// A row that cannot be read holds up nobody else; a store in which one after the other cannot be is broken.
Replayer::Step Replayer::refuse(const JournalEntry& entry, const core::Error& refused) {
  const core::SiteId site = site_of(entry);
  const std::size_t most = refused.kind == core::ErrorKind::Corrupt
                               ? 1
                               : std::max<std::size_t>(1, limits_.refused_sites);
  if (refused_.size() < most || refused_.contains(site)) {
    const Step step = set_aside(entry, refused.message);
    if (step == Step::Done) refused_.insert(site);
    unreadable_ = 0;
    return step;
  }
  const std::size_t sites = refused_.size();
  refused_.clear();
  unreadable_ = 0;
  const Step step = away({&entry, 1}, {core::ErrorKind::Unavailable,
                                       "it refused " + std::to_string(sites + 1) +
                                           " sites in a row and took nothing: " + refused.message});
  retry_at_ = now_ + limits_.refused_pause;
  return step;
}

// Its site is another node's now, which sees for itself: to keep it for a person would be to keep it for nobody.
Replayer::Step Replayer::drop(const JournalEntry& entry) {
  journal_.remove(entry.seq);
  stats_.fenced.add();
  answered_ = true;
  return Step::Done;
}

core::Result<void> Replayer::store(Entries run) {
  if (const auto* event = std::get_if<VantageEvent>(&run.front().write))
    return vantage_.put(*event);
  if (const auto* end = std::get_if<VantageEnd>(&run.front().write)) {
    const auto closed = vantage_.close_open(end->at);
    return closed ? core::Result<void>{} : core::Result<void>{closed.error()};
  }
  writes_.clear();
  for (const JournalEntry& entry : run) writes_.push_back(std::get<EventWrite>(entry.write));
  return events_.commit(writes_);
}

Replayer::Step Replayer::set_aside(const JournalEntry& entry, const std::string& reason) {
  if (auto done = journal_.set_aside(entry.seq, reason, clock_.wall()); !done)
    return put_off(done.error());
  stats_.set_aside.add();
  watch_.on_set_aside(site_of(entry), reason);
  return Step::Done;
}

void Replayer::done_through(Entries run) {
  journal_.remove(run.back().seq);
  stats_.replayed.add(run.size());
  page_ = std::min(limits_.page, page_ * 2);
  refused_.clear();
  unreadable_ = 0;
  stats_.answering.set(1);
  attempts_failed_ = 0;
  answered_ = true;
  trouble_.reset();
}

// The detour may have been taken for what was left, and nobody been told.
Replayer::Step Replayer::away(Entries run, core::Error why) {
  detour_.take(why);
  // One that is locked, say, holds up all others: a person should know which.
  if (run.size() == 1 && site_of(run.front()).value != 0)
    why.message =
        "at a write of site " + std::to_string(site_of(run.front()).value) + ": " + why.message;
  return put_off(why);
}

Replayer::Step Replayer::put_off(const core::Error& why) {
  stats_.errors.add();
  stats_.answering.set(0);
  answered_ = false;
  page_ = std::max<std::size_t>(1, page_ / 2);
  trouble_ = why;
  // A hang took its time: counted from now, the pause would be over already.
  now_ = std::max(now_, clock_.steady());
  retry_at_ = now_ + backoff_delay(limits_.backoff, ++attempts_failed_, jitter_seed_);
  return Step::Later;
}

void Replayer::leave() {
  // Nothing was kept since it was last away: whether it is back nobody knows.
  if (!answered_) {
    const auto asked = events_.open_event(core::SiteId{1});
    if (!asked && !refuses(asked.error())) {
      (void)away({}, asked.error());
      return;
    }
    answered_ = true;
  }
  if (!detour_.leave(stats_.replayed.value() - replayed_before_)) {
    retry_at_ = now_ + kLookAgain;
    return;
  }
  trouble_.reset();
  stats_.answering.set(0);
  attempts_failed_ = 0;
  under_way_ = false;
}

}  // namespace watchwheel::sideeffects
