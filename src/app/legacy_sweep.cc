// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_sweep.h"

#include <algorithm>
#include <unordered_set>
#include <utility>

#include "app/site_fields.h"
#include "core/hash.h"

namespace watchwheel::app {
namespace {

using core::SiteId;

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

// All of a record that the table has a say in: what it has no column for is the list's own.
std::uint64_t hash_of(const db::LegacyMapping& mapping, const core::SiteRecord& record) {
  std::uint64_t hash = core::stable_hash(record.url);
  const std::int64_t interval_ms =
      record.interval && !mapping.interval.empty()
          ? core::duration_cast<std::chrono::milliseconds>(*record.interval).count()
          : 0;
  hash = core::stable_hash(hash ^ static_cast<std::uint64_t>(interval_ms));
  return core::stable_hash(
      hash ^ core::stable_hash(mapping.name.empty() ? std::string_view() : record.name));
}

}  // namespace

core::Result<core::SiteRecord> legacy_site(const db::LegacyMapping& mapping,
                                           const ChecksConfig& defaults, const db::LegacyRow& row) {
  core::SiteRecord record;
  record.id = row.id;
  if (!row.url) return invalid("url: is NULL");
  const std::string url = db::legacy_url(mapping, *row.url);
  if (url.empty()) return invalid("url: is empty");
  if (auto fits = set_site_field(record, "url", url); !fits) return fits.error();
  if (auto fits = set_site_field(record, "name", row.name); !fits) return fits.error();
  if (!mapping.interval.empty()) {
    if (!row.interval) return invalid("interval: is NULL");
    const std::int64_t most = core::kIntervalMax / mapping.interval_unit;
    if (*row.interval < 1 || *row.interval > most ||
        *row.interval * mapping.interval_unit < core::kIntervalMin) {
      return invalid("interval: " + std::to_string(*row.interval) +
                     " is out of range; it is 1s to 24h");
    }
    record.interval = *row.interval * mapping.interval_unit;
  }
  if (auto fits = check_site(record, defaults); !fits) return fits.error();
  return record;
}

LegacySweep::LegacySweep(const db::LegacyMapping& mapping, const ChecksConfig& defaults,
                         db::LegacySource& table, db::SiteCatalog& list)
    : mapping_(mapping), defaults_(defaults), table_(table), list_(list) {}

void LegacySweep::forget() {
  seen_.clear();
  ahead_ = 0;
  elsewhere_.clear();
  paused_.clear();
  waiting_ = {};
  tally_ = {};
  pending_.reset();
  owed_.reset();
  gone_.clear();
  active_rows_ = 0;
  withheld_ = 0;
  agreeing_ = 0;
  recalled_until_ = SiteId{};
  list_was_empty_ = true;
  whole_sweeps_ = 0;
  cursor_ = {};
  problems_.clear();
}

core::Result<bool> LegacySweep::recall(std::size_t limit) {
  const auto page = list_.list({}, recalled_until_, limit);
  if (!page) return page.error();
  for (const db::SiteView& site : *page) {
    list_was_empty_ = false;
    recalled_until_ = site.record.id;
    if (site.record.active) {
      elsewhere_.emplace(site.record.id, hash_of(mapping_, site.record));
    } else {
      paused_.insert(site.record.id);
    }
  }
  return page->size() < limit;
}

// A paused site that is active again comes as a new one: the list knows better.
void LegacySweep::judge(const db::LegacyRow& row, std::optional<std::uint64_t> known, Work& work) {
  if (!row.active) {
    if (known) work.paused.push_back(row.id);
    return;
  }
  auto site = legacy_site(mapping_, defaults_, row);
  if (!site) {
    work.problems.push_back({row.id, site.error().message});
    if (known) work.paused.push_back(row.id);
    return;
  }
  const std::uint64_t hash = hash_of(mapping_, *site);
  work.seen.push_back({.bucket = row.bucket, .id = row.id, .hash = hash});
  if (known != hash) work.stored.push_back(*std::move(site));
}

std::optional<std::uint64_t> LegacySweep::recalled(SiteId id) const {
  if (const auto found = elsewhere_.find(id); found != elsewhere_.end()) return found->second;
  if (const auto found = gone_.find(id); found != gone_.end()) return found->second;
  return std::nullopt;
}

// They were active, and are not where they were. One that moved is judged at once: it may have come up already in this sweep.
core::Result<void> LegacySweep::judge_missing(Pending& pending) {
  const auto& missing = pending.missing;
  Work& work = pending.work;
  const std::size_t end = std::min(pending.looked_for + kLookedForAtOnce, missing.size());
  while (pending.looked_for < end) {
    const auto some = std::span(missing).subspan(
        pending.looked_for, std::min(db::kLegacyWriteMax, end - pending.looked_for));
    std::vector<SiteId> ids;
    for (const auto& [id, hash] : some) ids.push_back(id);
    const auto rows = table_.find(ids);
    if (!rows) return rows.error();
    pending.step.rows_read += rows->size();
    pending.looked_for += some.size();
    auto row = rows->begin();
    for (const auto& [id, known] : some) {
      while (row != rows->end() && row->id < id) ++row;
      if (row == rows->end() || row->id != id) {
        work.gone.emplace_back(id, known);
        continue;
      }
      auto site = row->active ? legacy_site(mapping_, defaults_, *row)
                              : core::Result<core::SiteRecord>(invalid("not active"));
      if (!site) {
        work.paused.push_back(id);
        continue;
      }
      const std::uint64_t hash = hash_of(mapping_, *site);
      work.moved.emplace_back(id, hash);
      if (hash != known) work.stored.push_back(*std::move(site));
    }
  }
  return {};
}

// A row that is deleted while it is not active is not missed by a sweep.
core::Result<void> LegacySweep::judge_paused(Work& work) {
  std::vector<SiteId> some;
  auto at = paused_.upper_bound(paused_looked_at_);
  for (; at != paused_.end() && some.size() < kPausedLookedAt; ++at) some.push_back(*at);
  std::vector<SiteId> gone;
  for (std::size_t begin = 0; begin < some.size(); begin += db::kLegacyWriteMax) {
    const std::span<const SiteId> part =
        std::span(some).subspan(begin, std::min(db::kLegacyWriteMax, some.size() - begin));
    const auto rows = table_.find(part);
    if (!rows) return rows.error();
    auto row = rows->begin();
    for (const SiteId id : part) {
      while (row != rows->end() && row->id < id) ++row;
      if (row == rows->end() || row->id != id) gone.push_back(id);
    }
  }
  work.paused_gone = std::move(gone);
  work.paused_looked_for = some.size();
  work.paused_looked_at = at == paused_.end() ? SiteId{} : some.back();
  return {};
}

// The sweep is whole: what is gone is removed, unless that is too much to be believed yet. How many stay.
std::uint64_t LegacySweep::settle_gone(const Work& work) {
  const auto too_many = [](std::size_t gone, std::size_t of) {
    return gone > kRemovedFreely && gone > of / 4;
  };
  const bool doubtful = too_many(gone_.size(), seen_.size() + elsewhere_.size() + gone_.size()) ||
                        too_many(work.paused_gone.size(), work.paused_looked_for);
  agreeing_ = !doubtful ? 0 : gone_.size() >= withheld_ ? agreeing_ + 1 : 1;
  withheld_ = doubtful ? gone_.size() : 0;
  if (doubtful && (agreeing_ < kAgreeing || active_rows_ == 0)) {
    const std::uint64_t kept = gone_.size() + work.paused_gone.size();
    for (const auto& [id, hash] : gone_)
      elsewhere_.emplace(id, hash);  // Missing again in the next one.
    gone_.clear();
    return kept;
  }
  const auto remove = [this](SiteId id) {
    waiting_.stored.erase(id);
    waiting_.paused.erase(id);
    waiting_.removed.insert(id);
  };
  for (const auto& [id, hash] : gone_) remove(id);
  for (const SiteId id : work.paused_gone) {
    if (paused_.erase(id) > 0) remove(id);  // It may just have been seen.
  }
  gone_.clear();
  agreeing_ = 0;
  withheld_ = 0;
  return 0;
}

// What the table has no column for (tags, options of a check, perhaps names and intervals) is the list's own and stays.
core::Result<void> LegacySweep::keep_options(std::vector<core::SiteRecord>& records) {
  if (list_was_empty_ && whole_sweeps_ == 0) return {};
  for (core::SiteRecord& record : records) {
    auto known = list_.get(record.id);
    if (!known && known.error().kind == core::ErrorKind::NotFound) continue;
    if (!known) return known.error();
    record.tags = std::move(known->record.tags);
    record.options = std::move(known->record.options);
    if (mapping_.interval.empty()) record.interval = known->record.interval;
    if (mapping_.name.empty()) record.name = std::move(known->record.name);
  }
  return {};
}

void LegacySweep::await(Work& work) {
  for (core::SiteRecord& record : work.stored) {
    waiting_.paused.erase(record.id);
    waiting_.removed.erase(record.id);
    waiting_.stored[record.id] = std::move(record);
  }
  for (const SiteId id : work.paused) {
    waiting_.stored.erase(id);
    waiting_.removed.erase(id);
    waiting_.paused.insert(id);
  }
}

// A part of each kind, in a transaction of its own: one of a hundred thousand sites would outlast its time, and for ever. Each part
// is taken off when it is done, so that a second try does the rest.
core::Result<void> LegacySweep::store(Step& step) {
  const auto end_of = [](auto& all) {
    return std::next(all.begin(), static_cast<std::ptrdiff_t>(std::min(all.size(), kStoredAtOnce)));
  };
  if (!waiting_.stored.empty()) {
    const auto end = end_of(waiting_.stored);
    std::vector<core::SiteRecord> records;
    for (auto at = waiting_.stored.begin(); at != end; ++at) records.push_back(at->second);
    if (auto kept = keep_options(records); !kept) return kept;
    const auto counts = list_.upsert(records);
    if (!counts) return counts.error();
    tally_.added += counts->added;
    tally_.changed += counts->changed;
    waiting_.stored.erase(waiting_.stored.begin(), end);
  }
  if (!waiting_.paused.empty()) {
    const auto end = end_of(waiting_.paused);
    const std::vector<SiteId> ids(waiting_.paused.begin(), end);
    const auto paused = list_.set_active(ids, false);
    if (!paused) return paused.error();
    tally_.paused += *paused;
    waiting_.paused.erase(waiting_.paused.begin(), end);
  }
  if (!waiting_.removed.empty()) {
    const auto end = end_of(waiting_.removed);
    const std::vector<SiteId> ids(waiting_.removed.begin(), end);
    const auto removed = list_.remove(ids);
    if (!removed) return removed.error();
    tally_.removed += *removed;
    waiting_.removed.erase(waiting_.removed.begin(), end);
  }
  step.added += tally_.added;
  step.changed += tally_.changed;
  step.paused += tally_.paused;
  step.removed += tally_.removed;
  tally_ = {};
  return {};
}

core::Result<LegacySweep::Step> LegacySweep::flush() {
  Step step;
  if (auto stored = store(step); !stored) return stored.error();
  return step;
}

void LegacySweep::remember(Work& work, const db::LegacyPage& page) {
  seen_.erase(seen_.begin(), seen_.begin() + static_cast<std::ptrdiff_t>(work.passed));
  ahead_ -= work.passed;
  for (const auto& [id, hash] : work.moved) elsewhere_[id] = hash;
  for (const Seen& seen : work.seen) {
    elsewhere_.erase(seen.id);
    gone_.erase(seen.id);
    paused_.erase(seen.id);
  }
  // What was seen a moment before it was paused or removed is not known any more.
  std::unordered_set<SiteId> gone;
  for (const SiteId id : work.paused) {
    elsewhere_.erase(id);
    gone_.erase(id);
    paused_.insert(id);
    gone.insert(id);
  }
  for (const auto& [id, hash] : work.gone) {
    elsewhere_.erase(id);
    if (!paused_.contains(id)) gone_[id] = hash;
    gone.insert(id);
  }
  if (work.paused_looked_at) paused_looked_at_ = *work.paused_looked_at;
  for (const Seen& seen : work.seen) {
    if (!gone.contains(seen.id)) seen_.push_back(seen);
  }
  for (LegacyProblem& problem : work.problems) {
    if (problems_.size() < kProblemsKept) problems_.push_back(std::move(problem));
  }
  cursor_ = page.until;
  if (!page.last) return;
  cursor_ = {};
  ahead_ = seen_.size();
  ++whole_sweeps_;
  last_problems_ = std::exchange(problems_, {});
}

core::Result<void> LegacySweep::read_page(std::size_t limit) {
  auto page = table_.page(cursor_, limit);
  if (!page) return page.error();
  Work work;
  Step step{.rows_read = page->rows_read};
  // Both are in the order of bucket and id; what was seen and lies before the page's end is either in it or missing.
  const auto before = [](const Seen& a, std::int64_t bucket, SiteId id) {
    return std::pair(a.bucket, a.id) < std::pair(bucket, id);
  };
  std::map<SiteId, std::uint64_t> missing;
  const auto miss = [&](const Seen& seen) {
    missing.emplace(seen.id, seen.hash);
    ++work.passed;
  };
  const auto miss_until = [&](std::int64_t bucket, SiteId id) {
    while (work.passed < ahead_ && before(seen_[work.passed], bucket, id)) miss(seen_[work.passed]);
  };
  for (const db::LegacyRow& row : page->rows) {
    miss_until(row.bucket, row.id);
    std::optional<std::uint64_t> known = recalled(row.id);
    if (work.passed < ahead_ && seen_[work.passed].bucket == row.bucket &&
        seen_[work.passed].id == row.id) {
      known = seen_[work.passed++].hash;
    }
    step.active += row.active ? 1U : 0U;
    judge(row, known, work);
  }
  if (page->last) {
    while (work.passed < ahead_) miss(seen_[work.passed]);
    // A page is of one bucket, and so in the order of ids.
    for (const auto& [id, hash] : elsewhere_) {
      const auto here =
          std::lower_bound(page->rows.begin(), page->rows.end(), id,
                           [](const db::LegacyRow& row, SiteId wanted) { return row.id < wanted; });
      if (here == page->rows.end() || here->id != id) missing.emplace(id, hash);
    }
  } else {
    // The end itself may be a row; it was in the page, or is not there any more.
    miss_until(page->until.bucket, SiteId{page->until.after.value + 1});
  }
  pending_ = Pending{.page = *std::move(page),
                     .work = std::move(work),
                     .step = step,
                     .missing = {missing.begin(), missing.end()}};
  return {};
}

core::Result<LegacySweep::Step> LegacySweep::store_owed() {
  Step some;
  if (auto stored = store(some); !stored) return stored.error();
  if (has_waiting()) return some;
  Step step = *std::exchange(owed_, std::nullopt);
  step.added += some.added;
  step.changed += some.changed;
  step.paused += some.paused;
  step.removed += some.removed;
  return step;
}

core::Result<LegacySweep::Step> LegacySweep::step(std::size_t limit) {
  if (owed_) return store_owed();
  if (!pending_) {
    if (auto read = read_page(limit); !read) return read.error();
  }
  if (auto judged = judge_missing(*pending_); !judged) return judged.error();
  if (pending_->looked_for < pending_->missing.size())
    return Step{.rows_read = std::exchange(pending_->step.rows_read, 0)};
  const bool last = pending_->page.last;
  if (last) {
    if (auto judged = judge_paused(pending_->work); !judged) return judged.error();
  }
  Pending done = *std::exchange(pending_, std::nullopt);
  Step step = done.step;
  step.rows_read += done.work.paused_looked_for;
  step.rejected = done.work.problems.size();
  step.whole = last;
  active_rows_ += step.active;
  await(done.work);
  remember(done.work, done.page);
  if (last) {
    step.withheld = settle_gone(done.work);
    active_rows_ = 0;
  }
  if (!last && waiting_.size() < kWaitingMax) return step;
  owed_ = step;
  return store_owed();
}

}  // namespace watchwheel::app
