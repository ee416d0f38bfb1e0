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

// All of a record that the table has a say in.
std::uint64_t hash_of(const core::SiteRecord& record) {
  std::uint64_t hash = core::stable_hash(record.url);
  const std::int64_t interval_ms =
      record.interval ? core::duration_cast<std::chrono::milliseconds>(*record.interval).count()
                      : 0;
  hash = core::stable_hash(hash ^ static_cast<std::uint64_t>(interval_ms));
  return core::stable_hash(hash ^ core::stable_hash(record.name));
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
  owed_.reset();
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
      elsewhere_.emplace(site.record.id, hash_of(site.record));
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
  const std::uint64_t hash = hash_of(*site);
  work.seen.push_back({.bucket = row.bucket, .id = row.id, .hash = hash});
  if (known != hash) work.stored.push_back(*std::move(site));
}

std::optional<std::uint64_t> LegacySweep::recalled(SiteId id) const {
  const auto found = elsewhere_.find(id);
  return found == elsewhere_.end() ? std::nullopt : std::optional(found->second);
}

// They were active, and are not where they were. One that moved is judged at once: it may have come up already in this sweep.
core::Result<void> LegacySweep::judge_missing(const std::map<SiteId, std::uint64_t>& missing,
                                              Work& work) {
  std::vector<SiteId> ids;
  ids.reserve(missing.size());
  for (const auto& [id, hash] : missing) ids.push_back(id);
  for (std::size_t begin = 0; begin < ids.size(); begin += db::kLegacyWriteMax) {
    const std::span<const SiteId> some =
        std::span(ids).subspan(begin, std::min(db::kLegacyWriteMax, ids.size() - begin));
    const auto rows = table_.find(some);
    if (!rows) return rows.error();
    auto row = rows->begin();
    for (const SiteId id : some) {
      while (row != rows->end() && row->id < id) ++row;
      if (row == rows->end() || row->id != id) {
        work.removed.push_back(id);
        continue;
      }
      auto site = row->active ? legacy_site(mapping_, defaults_, *row)
                              : core::Result<core::SiteRecord>(invalid("not active"));
      if (!site) {
        work.paused.push_back(id);
        continue;
      }
      const std::uint64_t hash = hash_of(*site);
      work.moved.emplace_back(id, hash);
      if (hash != missing.at(id)) work.stored.push_back(*std::move(site));
    }
  }
  return {};
}

// A row that is deleted while it is not active is not missed by a sweep. How many were looked at.
core::Result<std::size_t> LegacySweep::judge_paused(Work& work) {
  std::vector<SiteId> some;
  auto at = paused_.upper_bound(paused_looked_at_);
  for (; at != paused_.end() && some.size() < kPausedLookedAt; ++at) some.push_back(*at);
  work.paused_looked_at = at == paused_.end() ? SiteId{} : some.back();
  for (std::size_t begin = 0; begin < some.size(); begin += db::kLegacyWriteMax) {
    const std::span<const SiteId> part =
        std::span(some).subspan(begin, std::min(db::kLegacyWriteMax, some.size() - begin));
    const auto rows = table_.find(part);
    if (!rows) return rows.error();
    auto row = rows->begin();
    for (const SiteId id : part) {
      while (row != rows->end() && row->id < id) ++row;
      if (row == rows->end() || row->id != id) work.removed.push_back(id);
    }
  }
  return some.size();
}

// What the table has no column for (tags, options of a check) is the list's own and stays.
core::Result<void> LegacySweep::keep_options(std::vector<core::SiteRecord>& records) {
  if (list_was_empty_ && whole_sweeps_ == 0) return {};
  for (core::SiteRecord& record : records) {
    auto known = list_.get(record.id);
    if (!known && known.error().kind == core::ErrorKind::NotFound) continue;
    if (!known) return known.error();
    record.tags = std::move(known->record.tags);
    record.options = std::move(known->record.options);
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
  for (const SiteId id : work.removed) {
    waiting_.stored.erase(id);
    waiting_.paused.erase(id);
    waiting_.removed.insert(id);
  }
}

// Each part is taken off when it is done, so that a second try does the rest.
core::Result<void> LegacySweep::store(Step& step) {
  if (!waiting_.stored.empty()) {
    std::vector<core::SiteRecord> records;
    for (const auto& [id, record] : waiting_.stored) records.push_back(record);
    if (auto kept = keep_options(records); !kept) return kept;
    const auto counts = list_.upsert(records);
    if (!counts) return counts.error();
    tally_.added += counts->added;
    tally_.changed += counts->changed;
    waiting_.stored.clear();
  }
  if (!waiting_.paused.empty()) {
    const std::vector<SiteId> ids(waiting_.paused.begin(), waiting_.paused.end());
    const auto paused = list_.set_active(ids, false);
    if (!paused) return paused.error();
    tally_.paused += *paused;
    waiting_.paused.clear();
  }
  if (!waiting_.removed.empty()) {
    const std::vector<SiteId> ids(waiting_.removed.begin(), waiting_.removed.end());
    const auto removed = list_.remove(ids);
    if (!removed) return removed.error();
    tally_.removed += *removed;
    waiting_.removed.clear();
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
    paused_.erase(seen.id);
  }
  // What was seen a moment before it was paused or removed is not known any more.
  std::unordered_set<SiteId> gone;
  for (const SiteId id : work.paused) {
    elsewhere_.erase(id);
    paused_.insert(id);
    gone.insert(id);
  }
  for (const SiteId id : work.removed) {
    elsewhere_.erase(id);
    paused_.erase(id);
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

core::Result<LegacySweep::Step> LegacySweep::step(std::size_t limit) {
  if (owed_) {
    if (auto stored = store(*owed_); !stored) return stored.error();
    return *std::exchange(owed_, std::nullopt);
  }
  const auto page = table_.page(cursor_, limit);
  if (!page) return page.error();
  Work work;
  Step step{.rows_read = page->rows_read, .whole = page->last};
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
  if (auto judged = judge_missing(missing, work); !judged) return judged.error();
  step.rows_read += work.moved.size() + work.paused.size();
  if (page->last) {
    const auto looked = judge_paused(work);
    if (!looked) return looked.error();
    step.rows_read += *looked;
  }
  step.rejected = work.problems.size();
  await(work);
  remember(work, *page);
  if (!page->last && waiting_.size() < kWaitingMax) return step;
  if (auto stored = store(step); !stored) {
    owed_ = step;
    return stored.error();
  }
  return step;
}

}  // namespace watchwheel::app
