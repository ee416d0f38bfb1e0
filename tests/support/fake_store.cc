// SPDX-License-Identifier: Apache-2.0
#include "support/fake_store.h"

#include <algorithm>
#include <string>

namespace watchwheel::testing {

using core::Error;
using core::ErrorKind;
using core::FreshnessMark;
using core::kNoWallTime;
using core::Result;
using core::SiteId;
using core::SiteState;
using sideeffects::EventWrite;
using sideeffects::StoredEvent;

namespace {

Error invalid(SiteId site, const std::string& what) {
  return {.kind = ErrorKind::Invalid,
          .message = "site " + std::to_string(site.value) + ": " + what};
}

Error unavailable() {
  return {.kind = ErrorKind::Unavailable, .message = "the store is away"};
}

Error error_of(FakeFailure failure) {
  if (failure == FakeFailure::Unavailable) return unavailable();
  if (failure == FakeFailure::Corrupt)
    return {.kind = ErrorKind::Corrupt, .message = "the file is damaged"};
  return {.kind = ErrorKind::Unknown, .message = "the answer was lost"};
}

std::optional<FakeFailure> take(std::deque<FakeFailure>& failures) {
  if (failures.empty()) return std::nullopt;
  const FakeFailure next = failures.front();
  failures.pop_front();
  return next;
}

void put(std::set<SiteId>& sites, SiteId site, bool in) {
  if (in) {
    sites.insert(site);
  } else {
    sites.erase(site);
  }
}

std::size_t count_sites(std::span<const EventWrite> writes) {
  std::set<SiteId> sites;
  for (const EventWrite& write : writes) sites.insert(write.site);
  return sites.size();
}

// What no honest caller writes, whatever is stored.
std::optional<std::string> problem_of(const EventWrite& write) {
  if (write.started_at == kNoWallTime) return "an event without a start";
  const bool over = write.ended_at != kNoWallTime;
  if (over != (write.state == SiteState::Up))
    return "an event is over exactly when its state is up";
  if (!over && write.state != SiteState::SeemsDown && write.state != SiteState::Down)
    return "no state of an event";
  if (write.state == SiteState::Down && write.confirmed_at == kNoWallTime)
    return "down without a confirmation";
  if (over && write.ended_at < write.started_at) return "ended before it started";
  if (!write.transitions.empty() && write.transitions.back().seq != write.transitions_total) {
    return "the total is not the seq of the last transition";
  }
  return std::nullopt;
}

}  // namespace

// ---- Events --------------------------------------------------------------------------------------

Result<void> FakeEventStore::commit(std::span<const EventWrite> writes) {
  const std::lock_guard lock(mutex_);
  ++commits_;
  largest_commit_ = std::max(largest_commit_, count_sites(writes));
  if (away_) return unavailable();
  const auto failure = take(commit_failures_);
  if (failure && *failure != FakeFailure::UnknownAfter) return error_of(*failure);
  std::map<Key, std::optional<FakeEvent>>
      before;  // Whole or nothing: what a refused batch is undone with.
  for (const EventWrite& write : writes) {
    const Key key{write.site, write.started_at};
    const auto row = rows_.find(key);
    before.try_emplace(key, row == rows_.end() ? std::nullopt : std::optional{row->second});
    const Result<void> applied = apply(write);
    if (applied) continue;
    for (auto& [changed, old] : before) {
      rows_.erase(changed);
      if (old) rows_.emplace(changed, std::move(*old));
    }
    return applied;
  }
  if (failure) return error_of(*failure);
  return {};
}

Result<void> FakeEventStore::apply(const EventWrite& write) {
  if (poison_.contains(write.site)) return invalid(write.site, "a constraint refuses it");
  if (const auto problem = problem_of(write)) return invalid(write.site, *problem);
  const Key key{write.site, write.started_at};
  auto row = rows_.find(key);
  if (row != rows_.end() && row->second.ended()) return {};  // Frozen.
  if (row == rows_.end()) {
    const bool opens = write.ended_at == kNoWallTime;
    if (opens && find_open(write.site) != nullptr)
      return invalid(write.site, "an event is open already");
    row = rows_.emplace(key, FakeEvent{.id = core::EventId{++ids_}, .row = {}}).first;
  }
  EventWrite& stored = row->second.row;
  if (write.transitions_total < stored.transitions.size()) return {};  // An older write, again.
  auto transitions = std::move(stored.transitions);
  for (const auto& transition : write.transitions) {
    if (transition.seq <= transitions.size()) continue;  // There already.
    if (transition.seq != transitions.size() + 1)
      return invalid(write.site, "a gap in the transitions");
    transitions.push_back(transition);
  }
  if (write.transitions_total != transitions.size())
    return invalid(write.site, "transitions are missing");
  const std::uint32_t merged = std::max(stored.merged, write.merged);
  const core::WallTime group = stored.group != kNoWallTime ? stored.group : write.group;
  const core::Testimony testimony =
      write.testimony.basis != core::Basis::None ? write.testimony : stored.testimony;
  stored = write;
  stored.testimony = testimony;
  stored.merged = merged;
  stored.group = group;
  stored.transitions = std::move(transitions);
  return {};
}

const FakeEvent* FakeEventStore::find_open(SiteId site) const {
  for (auto row = rows_.lower_bound({site, core::WallTime::min()});
       row != rows_.end() && row->first.first == site; ++row) {
    if (!row->second.ended()) return &row->second;
  }
  return nullptr;
}

Result<std::optional<StoredEvent>> FakeEventStore::open_event(SiteId site) {
  const std::lock_guard lock(mutex_);
  ++reads_;
  if (away_) return unavailable();
  if (const auto failure = take(read_failures_)) return error_of(*failure);
  if (unreadable_.contains(site))
    return Error{.kind = ErrorKind::Corrupt, .message = "the row makes no sense"};
  const FakeEvent* open = find_open(site);
  if (open == nullptr) return std::optional<StoredEvent>{};
  const EventWrite& row = open->row;
  return std::optional<StoredEvent>{{.event = {.id = open->id,
                                               .state = row.state,
                                               .started_at = row.started_at,
                                               .confirmed_at = row.confirmed_at,
                                               .failures = row.failures,
                                               .cause = row.evidence.cause},
                                     .transitions_total = row.transitions_total,
                                     .evidence = row.evidence}};
}

void FakeEventStore::fail_commits(FakeFailure failure, std::size_t times) {
  const std::lock_guard lock(mutex_);
  commit_failures_.insert(commit_failures_.end(), times, failure);
}

void FakeEventStore::fail_reads(FakeFailure failure, std::size_t times) {
  const std::lock_guard lock(mutex_);
  read_failures_.insert(read_failures_.end(), times, failure);
}

void FakeEventStore::set_away(bool away) {
  const std::lock_guard lock(mutex_);
  away_ = away;
}

void FakeEventStore::set_poison(SiteId site, bool poison) {
  const std::lock_guard lock(mutex_);
  put(poison_, site, poison);
}

void FakeEventStore::set_unreadable(SiteId site, bool unreadable) {
  const std::lock_guard lock(mutex_);
  put(unreadable_, site, unreadable);
}

std::vector<FakeEvent> FakeEventStore::events() const {
  const std::lock_guard lock(mutex_);
  std::vector<FakeEvent> all;
  for (const auto& [key, event] : rows_) all.push_back(event);
  return all;
}

std::vector<FakeEvent> FakeEventStore::events_of(SiteId site) const {
  std::vector<FakeEvent> all = events();
  std::erase_if(all, [&](const FakeEvent& event) { return event.row.site != site; });
  return all;
}

std::optional<core::OpenEvent> FakeEventStore::open_of(SiteId site) const {
  const std::lock_guard lock(mutex_);
  const FakeEvent* open = find_open(site);
  if (open == nullptr) return std::nullopt;
  return core::OpenEvent{.id = open->id,
                         .state = open->row.state,
                         .started_at = open->row.started_at,
                         .confirmed_at = open->row.confirmed_at,
                         .failures = open->row.failures,
                         .cause = open->row.evidence.cause};
}

std::size_t FakeEventStore::commits() const {
  const std::lock_guard lock(mutex_);
  return commits_;
}

std::size_t FakeEventStore::reads() const {
  const std::lock_guard lock(mutex_);
  return reads_;
}

std::size_t FakeEventStore::largest_commit() const {
  const std::lock_guard lock(mutex_);
  return largest_commit_;
}

// ---- Freshness -----------------------------------------------------------------------------------

Result<void> FakeFreshnessSink::write(std::span<const FreshnessMark> marks) {
  const std::lock_guard lock(mutex_);
  ++writes_;
  for (std::size_t i = 1; i < marks.size(); ++i)
    sorted_ = sorted_ && marks[i - 1].site < marks[i].site;
  if (away_) return unavailable();
  const auto failure = take(failures_);
  if (failure && *failure != FakeFailure::UnknownAfter) return error_of(*failure);
  for (const FreshnessMark& mark : marks) {
    if (poison_.contains(mark.site)) return invalid(mark.site, "a constraint refuses it");
  }
  for (const FreshnessMark& mark : marks) {
    const auto [row, is_new] = marks_.try_emplace(mark.site, mark);
    if (!is_new && mark.holds_at() >= row->second.checked_at) row->second = mark;
  }
  if (failure) return error_of(*failure);
  batches_.push_back(marks.size());
  return {};
}

void FakeFreshnessSink::fail(FakeFailure failure, std::size_t times) {
  const std::lock_guard lock(mutex_);
  failures_.insert(failures_.end(), times, failure);
}

void FakeFreshnessSink::set_away(bool away) {
  const std::lock_guard lock(mutex_);
  away_ = away;
}

void FakeFreshnessSink::forget(SiteId site) {
  const std::lock_guard lock(mutex_);
  marks_.erase(site);
}

void FakeFreshnessSink::set_poison(SiteId site, bool poison) {
  const std::lock_guard lock(mutex_);
  put(poison_, site, poison);
}

std::map<SiteId, FreshnessMark> FakeFreshnessSink::marks() const {
  const std::lock_guard lock(mutex_);
  return marks_;
}

std::vector<std::size_t> FakeFreshnessSink::batches() const {
  const std::lock_guard lock(mutex_);
  return batches_;
}

std::size_t FakeFreshnessSink::writes() const {
  const std::lock_guard lock(mutex_);
  return writes_;
}

bool FakeFreshnessSink::always_sorted() const {
  const std::lock_guard lock(mutex_);
  return sorted_;
}

}  // namespace watchwheel::testing
