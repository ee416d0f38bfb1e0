// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/shard.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::sideeffects {

using core::ErrorKind;
using core::SiteId;
using core::SteadyTime;

namespace {

// How often sites are looked for that others are asked about and that are not ours any more.
constexpr core::Duration kLookForLost = std::chrono::seconds{10};
// How often it is tried whether the store can be read again.
constexpr core::Duration kUnreadEvery = std::chrono::seconds{1};

// Whether trying the same again can help. A store that reads its own file as corrupt is broken, not
// our batch: nothing is thrown away for that.
bool is_bad_request(const core::Error& error) {
  return error.kind == ErrorKind::Invalid || error.kind == ErrorKind::NotFound;
}
// How often facts that wait for a lease are looked at.
constexpr core::Duration kAwaitPoll = std::chrono::milliseconds{200};

bool may_pass(const core::Error& error) {
  return error.kind == ErrorKind::Unavailable || error.kind == ErrorKind::Unknown;
}

std::size_t requests_in(const Verdict& verdict) {
  std::size_t count = 0;
  for (const EventWrite& write : verdict.writes) {
    count += static_cast<std::size_t>(
        std::count_if(write.transitions.begin(), write.transitions.end(),
                      [](const TransitionRecord& transition) { return transition.by.has_value(); }));
  }
  return count;
}

core::SiteNote note_of(const core::SiteFacts& facts, const Verdict& verdict) {
  core::SiteNote note{.site = facts.site,
                      .lane = facts.lane,
                      .seq = facts.seq,
                      .event_state = std::nullopt,
                      .unknown_event = verdict.unknown_event,
                      .event_gone = verdict.event_gone};
  if (verdict.open_after) note.event_state = verdict.open_after->event.state;
  return note;
}

}  // namespace

Shard::Shard(const ShardLimits& limits, core::ConfirmPolicy policy, FactsMailbox& mailbox,
             EventStore& store, NoteSink& notes, const core::Clock& clock,
             std::uint64_t jitter_seed, const core::BucketTable* buckets)
    : limits_(limits),
      policy_(policy),
      mailbox_(mailbox),
      store_(store),
      notes_(notes),
      clock_(clock),
      jitter_seed_(jitter_seed),
      buckets_(buckets),
      verification_(limits.verification) {
  ENSURE(limits.batch_sites_max > 0, "a shard needs a batch of at least one site");
}

std::size_t Shard::turn(SteadyTime now) {
  now_ = now;
  deliver_notes();
  // Not taking more while notes wait is what bounds them, and lets the mailbox coalesce instead.
  if (!undelivered_.empty()) return 0;
  if (parts_.empty()) {
    take_batch();
    take_requests();
  }
  if (now < retry_at_) return 0;
  std::size_t settled = 0;
  // Ends: each step settles a part, sets a site aside, or divides a part; or it gives up until later.
  while (!parts_.empty() && work(settled) == Step::Done) {
  }
  deliver_notes();
  return settled;
}

std::optional<SteadyTime> Shard::next_turn() const {
  if (!undelivered_.empty()) return now_ + limits_.note_retry;
  if (!parts_.empty()) return std::max(now_, retry_at_);
  if (mailbox_.depth() > 0) return now_;
  std::optional<SteadyTime> next = verification_.next();
  if (const auto requests = requests_.next())
    next = std::min(next.value_or(SteadyTime::max()), *requests);
  if (next) next = std::max(now_, *next);
  if (!unread_.empty())
    next = std::min(next.value_or(SteadyTime::max()), std::max(now_, unread_at_));
  if (!awaiting_.empty()) next = std::min(next.value_or(SteadyTime::max()), now_ + kAwaitPoll);
  return next;
}

bool Shard::idle() const {
  // What cannot be judged without the store is not waited for while it is away.
  const bool read = unread_.empty() || store_.detoured();
  return parts_.empty() && undelivered_.empty() && mailbox_.depth() == 0 && read;
}

// Its facts wait for the store until the journal is empty: what is read then is what all of it became.
void Shard::doubt(SiteId site) {
  open_events_.erase(site);
  forget(site);
  core::SiteNote note;
  note.site = site;
  note.doubted = true;
  undelivered_.push_back(std::move(note));
}

void Shard::close_notes() {
  notes_closed_ = true;
  verification_.close();
}

void Shard::deliver_notes() {
  while (!undelivered_.empty()) {
    if (!notes_.offer(core::SiteNote{undelivered_.front()})) {
      stats_.notes_refused.add();
      if (!notes_closed_) return;
    }
    undelivered_.pop_front();
  }
}

std::uint64_t Shard::epoch_of(SiteId site) const {
  return buckets_ == nullptr ? 0 : buckets_->epoch(buckets_->of(site));
}

// False: they wait for a lease that is on its way (moved from), or nobody asks us any more.
bool Shard::may_write_for(core::SiteFacts& facts) {
  if (buckets_ == nullptr) return true;
  const core::Standing standing = buckets_->standing(facts.site);
  const core::FactsKey key = core::key_of(facts);
  if (standing == core::Standing::Ours) {
    awaiting_.erase(key);  // Older ones: it became ours between two looks.
    return true;
  }
  if (standing == core::Standing::Coming) {
    awaiting_[key] = std::move(facts);
  } else {
    awaiting_.erase(key);
    unread_.erase(key);
    open_events_.erase(facts.site);
    verification_.settled(facts.site, std::nullopt);
    stats_.given_away.add();
  }
  return false;
}

// What newer facts of the same key in the mailbox tell besides is settled after these.
void Shard::take_awaiting() {
  for (auto one = awaiting_.begin(); one != awaiting_.end();) {
    const core::Standing standing = buckets_->standing(one->second.site);
    if (standing == core::Standing::Coming || taken_.size() >= limits_.batch_sites_max) {
      ++one;
      continue;
    }
    if (standing == core::Standing::Ours) {
      taken_.push_back(std::move(one->second));
    } else {
      stats_.given_away.add();
    }
    one = awaiting_.erase(one);
  }
}

void Shard::keep_ours() {
  std::size_t kept = 0;
  for (core::SiteFacts& facts : taken_) {
    if (!may_write_for(facts)) continue;
    if (&taken_[kept] != &facts) taken_[kept] = std::move(facts);
    ++kept;
  }
  taken_.resize(kept);
  stats_.awaiting_lease.set(static_cast<double>(awaiting_.size()));
}

void Shard::take_batch() {
  taken_.clear();
  if (!unread_.empty()) take_unread();
  if (!awaiting_.empty()) take_awaiting();
  take_verified();
  const std::size_t waited = taken_.size();
  if (waited < limits_.batch_sites_max)
    (void)mailbox_.take(taken_, limits_.batch_sites_max - waited);
  drop_older(waited);
  keep_ours();
  if (taken_.empty()) return;
  parts_.emplace_back().reserve(taken_.size());
  batch_sites_.clear();
  for (core::SiteFacts& facts : taken_) {
    // Of a site that changed its lane the later facts are judged when the earlier ones are stored.
    if (!batch_sites_.insert(facts.site).second) {
      parts_.emplace_back();
      batch_sites_ = {facts.site};
    }
    parts_.back().push_back({.facts = std::move(facts), .verdict = {}});
  }
  stats_.batch_sites.set(static_cast<double>(taken_.size()));
}

// Behind the batch, and only when nothing is in hand: what that makes of an event is known when they are judged, and what was read
// before is stored. A close is the lane's to tell; until it has, it is
// asked again each time.
void Shard::take_requests() {
  if (!requests_.due(now_)) return;
  if (store_.detoured()) return requests_.put_off(now_);
  const auto mine = [this](SiteId site) {
    return buckets_ == nullptr || buckets_->standing(site) == core::Standing::Ours;
  };
  Part part;
  for (const OperatorRequest& request : requests_.read(now_, mine)) {
    if (request.by.act == Act::Close) {
      core::SiteNote note;
      note.site = request.site;
      note.close = request.event_started_at;
      undelivered_.push_back(std::move(note));
      continue;
    }
    auto entry = std::find_if(part.begin(), part.end(), [&](const Entry& known) {
      return known.facts.site == request.site;
    });
    if (entry == part.end()) entry = part.insert(part.end(), Entry{});
    entry->facts.site = request.site;
    entry->requests.push_back(request);
  }
  if (!part.empty()) parts_.push_back(std::move(part));
}

// False: not now, or not any more; what still waits is read again.
bool Shard::judge_asked(Entry& entry) {
  const SiteId site = entry.facts.site;
  if (buckets_ != nullptr && buckets_->standing(site) != core::Standing::Ours) return false;
  const auto open = stored_of(site, entry.epoch);
  if (!open) stats_.read_errors.add();
  if (!open || !*open) return false;
  std::erase_if(entry.requests, [&](const OperatorRequest& request) {
    return request.event_started_at != (*open)->event.started_at;
  });
  if (entry.requests.empty()) return false;
  entry.verdict = judge_requests(**open, entry.requests, clock_.wall());
  entry.judged = true;
  return true;
}

// Who closed it is known here, not in the lane.
void Shard::sign_close(Entry& entry) const {
  for (EventWrite& write : entry.verdict.writes) {
    const OperatorRequest* const request = requests_.closing(write.site, write.started_at);
    if (request == nullptr || write.transitions.empty()) continue;
    TransitionRecord& last = write.transitions.back();
    if (last.reason == core::TransitionReason::Operator && last.after == core::SiteState::Unknown)
      last.by = request->by;
  }
}

// At most half a batch, so that what can be judged is not held up by what cannot.
void Shard::take_unread() {
  if (now_ < unread_at_) return;
  if (store_.detoured()) {
    unread_at_ = now_ + kUnreadEvery;
    return;
  }
  const std::size_t room = std::max<std::size_t>(1, limits_.batch_sites_max / 2);
  while (!unread_.empty() && taken_.size() < room) {
    taken_.push_back(std::move(unread_.begin()->second));
    unread_.erase(unread_.begin());
  }
  stats_.unread.set(static_cast<double>(unread_.size()));
}

// Sites of which others have been heard, at most half a batch: their facts are judged again, with that. Facts that wait for the
// store are newer than those that were judged before it went away.
void Shard::take_verified() {
  const std::size_t first = taken_.size();
  if (buckets_ != nullptr && now_ >= look_for_lost_at_) {
    look_for_lost_at_ = now_ + kLookForLost;
    verification_.drop_if(
        [&](SiteId site) { return buckets_->standing(site) == core::Standing::Away; });
  }
  verification_.collect({now_, clock_.wall()}, taken_, std::max<std::size_t>(1, limits_.batch_sites_max / 2));
  const auto is_older = [&](const core::SiteFacts& facts) {
    const core::FactsKey seat = core::key_of(facts);
    const auto waits = taken_.begin() + static_cast<std::ptrdiff_t>(first);
    return unread_.contains(seat) || awaiting_.contains(seat) ||
           std::any_of(taken_.begin(), waits, [&](const auto& other) {
             return core::key_of(other) == seat;
           });
  };
  const auto begin = taken_.begin() + static_cast<std::ptrdiff_t>(first);
  taken_.erase(std::remove_if(begin, taken_.end(), is_older), taken_.end());
}

Verdict Shard::judge_entry(const Entry& entry, const std::optional<StoredEvent>& open) {
  const Verification::Heard heard =
      verification_.consult(entry.facts, open, policy_, {now_, clock_.wall()});
  return judge(open, entry.facts, policy_, heard.newest, heard.earlier);
}

// What was posted last tells all that waits under the same seat, here or in the first `waited` of the batch. Judged after it, the
// older could undo it.
void Shard::drop_older(std::size_t waited) {
  if (waited == 0 && unread_.empty()) return;
  std::unordered_set<core::FactsKey> newer;
  for (std::size_t i = waited; i < taken_.size(); ++i) {
    newer.insert(core::key_of(taken_[i]));
    unread_.erase(core::key_of(taken_[i]));
  }
  const auto older = taken_.begin() + static_cast<std::ptrdiff_t>(waited);
  const auto kept = std::remove_if(taken_.begin(), older, [&](const core::SiteFacts& facts) {
    return newer.contains(core::key_of(facts));
  });
  taken_.erase(kept, older);
}

void Shard::put_by(core::SiteFacts facts) {
  if (unread_.empty()) unread_at_ = now_ + kUnreadEvery;
  const core::FactsKey seat = core::key_of(facts);
  unread_.insert_or_assign(seat, std::move(facts));
  stats_.unread.set(static_cast<double>(unread_.size()));
}

Shard::Step Shard::work(std::size_t& settled) {
  if (judge_part(parts_.front()) == Step::Later) return Step::Later;
  const core::Result<void> stored = commit(parts_.front());
  Part part;
  if (stored) {
    attempts_failed_ = 0;
    part = std::move(parts_.front());
    parts_.pop_front();
    settled += part.size();
    settle(part);
    return Step::Done;
  }
  stats_.commit_errors.add();
  if (stored.error().kind == ErrorKind::Fenced) judge_anew();
  if (!is_bad_request(stored.error())) return put_off();
  attempts_failed_ = 0;  // The store answers: it is one of these that it will not take.
  part = std::move(parts_.front());
  parts_.pop_front();
  if (part.size() > 1) {
    divide(std::move(part));
  } else {
    reconsider(std::move(part), stored.error().message);
  }
  return Step::Done;
}

Shard::Step Shard::judge_part(Part& part) {
  for (auto entry = part.begin(); entry != part.end();) {
    if (entry->judged) {
      ++entry;
      continue;
    }
    // The epoch first: what is read after it was written under it, or before.
    entry->epoch = epoch_of(entry->facts.site);
    if (!entry->requests.empty()) {
      entry = judge_asked(*entry) ? entry + 1 : part.erase(entry);
      continue;
    }
    if (!may_write_for(entry->facts)) {
      entry = part.erase(entry);
      continue;
    }
    const auto open = stored_of(entry->facts.site, entry->epoch);
    if (open) {
      entry->verdict = judge_entry(*entry, *open);
      sign_close(*entry);
      entry->judged = true;
      ++entry;
      continue;
    }
    stats_.read_errors.add();
    if (may_pass(open.error()) && store_.detoured()) {
      if (surely_has_none(entry->facts)) {
        entry->verdict = judge_entry(*entry, std::nullopt);
        entry->judged = true;
        ++entry;
      } else {
        put_by(std::move(entry->facts));
        entry = part.erase(entry);
      }
      continue;
    }
    if (may_pass(open.error())) return put_off();
    set_aside(entry->facts.site, open.error().message);
    entry = part.erase(entry);
  }
  return Step::Done;
}

core::Result<std::optional<StoredEvent>> Shard::stored_of(SiteId site, std::uint64_t epoch) {
  const auto known = open_events_.find(site);
  if (known != open_events_.end() && known->second.epoch == epoch)
    return std::optional<StoredEvent>{known->second.event};
  return store_.open_event(site);
}

// Without asking the store. What its lane found in the store when it took the site is marked as restored; what was opened since
// then went through here and is remembered.
bool Shard::surely_has_none(const core::SiteFacts& facts) const {
  return !forgot_some_ && !open_events_.contains(facts.site) && !forgotten_.contains(facts.site) &&
         facts.presence == core::Presence::Watched &&
         std::none_of(facts.outages.begin(), facts.outages.end(),
                      [](const core::Outage& outage) { return outage.restored; });
}

// Nothing of the batch was written. Whose each site is, is asked again before the next try.
void Shard::judge_anew() {
  stats_.fenced.add();
  for (Part& part : parts_) {
    for (Entry& entry : part) entry.judged = false;
  }
}

// After a lost answer the very same writes are sent again, not judged anew: what the store already
// has of them it absorbs.
core::Result<void> Shard::commit(const Part& part) {
  std::vector<EventWrite> writes;
  for (const Entry& entry : part) {
    writes.insert(writes.end(), entry.verdict.writes.begin(), entry.verdict.writes.end());
    for (std::size_t i = 1; i <= entry.verdict.writes.size(); ++i)
      writes[writes.size() - i].epoch = entry.epoch;
  }
  if (writes.empty()) return {};
  const SteadyTime before = clock_.steady();
  core::Result<void> stored = store_.commit(writes);
  stats_.commit.observe(clock_.steady() - before);
  if (stored) stats_.batches.add();
  return stored;
}

void Shard::settle(const Part& part) {
  for (const Entry& entry : part) {
    for (const EventWrite& write : entry.verdict.writes) {
      for (const TransitionRecord& transition : write.transitions) {
        stats_.transitions[static_cast<std::size_t>(transition.reason)].add();
      }
    }
    if (entry.verdict.unknown_event) stats_.unknown_events.add();
    if (entry.verdict.event_gone) stats_.events_gone.add();
    remember(entry);
    requests_.done(requests_in(entry.verdict));
    if (!entry.requests.empty()) continue;  // No lane told it.
    verification_.settled(entry.facts.site, entry.verdict.open_after);
    std::erase_if(poisoned_, [&](const Poisoned& p) { return p.site == entry.facts.site; });
    undelivered_.push_back(note_of(entry.facts, entry.verdict));
  }
  stats_.sites.add(part.size());
}

void Shard::remember(const Entry& entry) {
  const SiteId site = entry.facts.site;
  forgotten_.erase(site);
  if (!entry.verdict.open_after) {
    open_events_.erase(site);
  } else if (open_events_.size() < limits_.open_events_max || open_events_.contains(site)) {
    open_events_.insert_or_assign(site, Remembered{*entry.verdict.open_after, entry.epoch});
  } else {
    forgot_some_ = true;
  }
  stats_.open_events.set(static_cast<double>(open_events_.size()));
}

// From here until it is settled again it is not known to have none.
void Shard::forget(SiteId site) {
  if (forgotten_.size() < limits_.open_events_max) {
    forgotten_.insert(site);
  } else {
    forgot_some_ = true;
  }
}

void Shard::divide(Part part) {
  const auto middle = part.begin() + static_cast<std::ptrdiff_t>(part.size() / 2);
  Part second(std::make_move_iterator(middle), std::make_move_iterator(part.end()));
  part.erase(middle, part.end());
  parts_.push_front(std::move(second));
  parts_.push_front(std::move(part));
}

// The store refuses this site alone. What we remembered of it may be wrong, so it is read and
// judged once more.
void Shard::reconsider(Part part, const std::string& reason) {
  Entry& entry = part.front();
  if (entry.reread && !entry.requests.empty()) {
    for (const OperatorRequest& request : entry.requests)
      requests_.refuse(request.by.request, reason);
    return;
  }
  if (entry.reread) {
    set_aside(entry.facts.site, reason);
    return;
  }
  if (open_events_.erase(entry.facts.site) > 0) forget(entry.facts.site);
  entry.judged = false;
  entry.reread = true;
  parts_.push_front(std::move(part));
}

// No note is sent: to the lane nothing is acknowledged, so it keeps what it knows and tells it
// again with its next news.
void Shard::set_aside(SiteId site, const std::string& reason) {
  stats_.poisoned.add();
  const auto known = std::find_if(poisoned_.begin(), poisoned_.end(),
                                  [&](const Poisoned& p) { return p.site == site; });
  if (known != poisoned_.end()) {
    known->reason = reason;
    ++known->times;
    return;
  }
  if (poisoned_.size() >= limits_.poisoned_max) poisoned_.erase(poisoned_.begin());
  poisoned_.push_back({.site = site, .reason = reason, .times = 1});
}

Shard::Step Shard::put_off() {
  retry_at_ = now_ + backoff_delay(limits_.backoff, ++attempts_failed_, jitter_seed_);
  stats_.retries.add();
  return Step::Later;
}

}  // namespace watchwheel::sideeffects
