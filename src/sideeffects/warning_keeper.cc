// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/warning_keeper.h"

#include <algorithm>

#include "core/units.h"
#include "sideeffects/backoff.h"

namespace watchwheel::sideeffects {

using core::EventKind;
using core::kNoWallTime;
using core::SiteId;
using core::SteadyTime;
using core::WallTime;
using core::Warning;

namespace {

// What was only begun to be seen so long ago and led to nothing is forgotten.
constexpr core::Duration kPendingMax = std::chrono::hours{24};

WallTime whole_ms(WallTime t) {
  return t == kNoWallTime ? t : core::from_unix_ms(core::to_unix_ms(t));
}

std::size_t index_of(EventKind kind) {
  return static_cast<std::size_t>(kind);
}

std::string certificate_detail(WallTime not_after, core::Duration left) {
  const std::string when = " (" + core::to_iso8601(not_after) + ")";
  const auto whole = std::chrono::floor<std::chrono::minutes>(left);
  if (left < core::Duration::zero())
    return "the certificate expired " + core::humanize(-whole) + " ago" + when;
  return "the certificate expires in " + core::humanize(whole) + when;
}

// The shortest that is not shorter than what is left. 0: there is more time than that.
core::Duration step_of(const std::vector<core::Duration>& steps, core::Duration left) {
  core::Duration nearest{};
  for (const core::Duration step : steps) {
    if (left <= step && (nearest == core::Duration{} || step < nearest)) nearest = step;
  }
  return nearest;
}

Warning warning_of(EventKind kind) {
  for (const core::WarningKind& known : core::kWarningKinds) {
    if (known.kind == kind) return known.warning;
  }
  return Warning::TlsExpiring;
}

std::string_view detail_of(EventKind kind) {
  switch (kind) {
    case EventKind::TlsDeprecated:
      return "it was asked over a version of TLS below 1.2";
    case EventKind::LatencyExceeded:
      return "checks take longer than latency_warning allows";
    case EventKind::RedirectDowngrade:
      return "a redirect leads from https to http";
    case EventKind::Outage:
    case EventKind::TlsExpiring:
      break;
  }
  return "";
}

bool may_be_kept(const core::Error& error) {
  return error.kind != core::ErrorKind::Invalid && error.kind != core::ErrorKind::NotFound;
}

}  // namespace

WarningKeeper::WarningKeeper(Settings settings, WarningStore& store, const core::Clock& clock)
    : settings_(std::move(settings)), store_(store), clock_(clock), policy_(settings_.policy) {}

void WarningKeeper::set(const WarningPolicy& policy) {
  const std::lock_guard lock(mutex_);
  policy_ = policy;
}

void WarningKeeper::note(std::span<const core::FreshnessMark> marks) {
  if (take(marks)) settings_.wake();
}

bool WarningKeeper::take(std::span<const core::FreshnessMark> marks) {
  const std::lock_guard lock(mutex_);
  core::Duration longest{};
  for (const core::Duration step : policy_.certificate) longest = std::max(longest, step);
  core::Warnings none;
  none.add(Warning::TlsExpiring);  // By steps of its own, here by the policy's.
  for (const core::FreshnessMark& mark : marks) {
    if (!mark.measured || mark.checked_at == kNoWallTime) continue;
    const bool expires =
        mark.cert_not_after != kNoWallTime && mark.cert_not_after - mark.checked_at <= longest;
    const bool warns = !mark.warnings.empty() && mark.warnings != none;
    if (!expires && !warns && (watched_.empty() || !watched_.contains(mark.site))) continue;
    noted_[mark.site] = {.at = whole_ms(mark.checked_at),
                         .up = mark.cause == core::Cause::Ok,
                         .not_after = mark.cert_not_after,
                         .warnings = mark.warnings,
                         .took = mark.total,
                         .quiet_max = mark.quiet_max};
  }
  return !noted_.empty();
}

void WarningKeeper::turn(SteadyTime now) {
  {
    const std::lock_guard lock(mutex_);
    judging_ = policy_;
    for (const auto& [site, seen] : noted_) looking_[site] = seen;
    noted_.clear();
  }
  well_here_ = settings_.well_here();
  if (!reading_ && now >= read_at_) {
    reading_ = true;
    reading_since_ = now;
    ++reading_number_;
    read_after_ = {SiteId{}, EventKind::Outage};
  }
  if (failures_ > 0) reading_since_ = now;  // A store that was away took no time to read.
  for (int pages = 0; reading_ && pages < kPagesATurn; ++pages) {
    if (auto read = read_page(now); !read) return failed(read.error(), now);
  }
  next_ = reading_ ? now : read_at_;
  if (!loaded_) return;  // What is open already would be begun anew.
  for (const auto& [site, seen] : looking_) look(site, seen);
  looking_.clear();
  publish();
  const core::Result<void> written = write();
  if (read_soon_) read_at_ = std::min(read_at_, std::max(now + kReadSoon, read_not_before_));
  read_soon_ = false;
  if (!written) return failed(written.error(), now);
  next_ = reading_ || !wanted_.empty() ? now : std::max(now, read_at_);
  failures_ = 0;
}

// ---- What is seen

bool WarningKeeper::wants(EventKind kind) const {
  return judging_.wants(kind) && (kind != EventKind::TlsExpiring || !judging_.certificate.empty());
}

WarningKeeper::Judged WarningKeeper::judge(const Seen& seen, EventKind kind) const {
  if (!wants(kind)) return {};
  if (kind == EventKind::TlsExpiring) {
    // Of a site that is up and shows none nothing expires; one that does not get so far tells nothing.
    if (seen.not_after == kNoWallTime) return {.says = seen.up ? Says::Calm : Says::Nothing};
    const core::Duration left = seen.not_after - seen.at;
    const core::Duration step = step_of(judging_.certificate, left);
    if (step == core::Duration{})
      return {.says = Says::Calm, .step = {}, .detail = {}, .left = left};
    return {.says = Says::Warns, .step = step, .detail = certificate_detail(seen.not_after, left)};
  }
  if (!seen.up) return {};
  if (kind == EventKind::LatencyExceeded && !well_here_) return {};
  if (!seen.warnings.has(warning_of(kind))) return {.says = Says::Calm};
  std::string detail(detail_of(kind));
  if (kind == EventKind::LatencyExceeded) detail += " (" + core::humanize(seen.took) + ")";
  return {.says = Says::Warns, .step = {}, .detail = std::move(detail)};
}

void WarningKeeper::look(SiteId site, const Seen& seen) {
  if (!settings_.epoch(site)) return;
  for (const core::WarningKind& each : core::kWarningKinds) {
    const Judged judged = judge(seen, each.kind);
    const Key key{site, each.kind};
    if (judged.says == Says::Warns) {
      warns(key, known_of(key), seen, judged);
    } else if (judged.says == Says::Calm) {
      const auto known = known_.find(key);
      if (known != known_.end()) calm(key, known->second, seen, judged);
    } else if (each.kind == EventKind::LatencyExceeded) {
      const auto known = known_.find(key);
      if (known != known_.end()) known->second.warns_since = kNoWallTime;
    }
  }
}

void WarningKeeper::warns(const Key& key, Known& known, const Seen& seen, const Judged& judged) {
  const bool came_back = known.ended_at != kNoWallTime && !known.open &&
                         known.warns_since == kNoWallTime &&
                         seen.at - known.ended_at < kWaverMemory;
  if (known.calm_since != kNoWallTime || came_back) known.wavered_at = seen.at;
  known.calm_since = kNoWallTime;
  if (known.open) {
    if (known.open->presence != core::Presence::Watched) return;
    const auto wanted = wanted_.find(key);
    if (wanted != wanted_.end() && wanted->second.act == WarningWrite::Act::End &&
        wanted->second.ended_as == core::Presence::Watched)
      wanted_.erase(wanted);
    if (judged.step >= known.open->step) return;
    want(key, {.act = WarningWrite::Act::Step,
               .warning = *known.open,
               .epoch = 0,
               .step = judged.step,
               .at = std::max(seen.at, known.open->started_at),
               .detail = judged.detail});
    return;
  }
  const bool patient = key.second == EventKind::LatencyExceeded;
  const bool gap =
      patient && seen.quiet_max > core::Duration{} && seen.at - known.warned_at > seen.quiet_max;
  if (known.warns_since == kNoWallTime || known.warns_since > seen.at || gap)
    known.warns_since = seen.at;
  known.warned_at = seen.at;
  if (patient && seen.at - known.warns_since < settings_.latency_patience) return;
  OpenWarning warning{.event = {},
                      .site = key.first,
                      .kind = key.second,
                      .started_at = known.warns_since,
                      .step = judged.step};
  want(key, {.act = WarningWrite::Act::Begin,
             .warning = warning,
             .epoch = 0,
             .step = judged.step,
             .at = seen.at,
             .detail = judged.detail});
}

void WarningKeeper::calm(const Key& key, Known& known, const Seen& seen, const Judged& judged) {
  known.warns_since = kNoWallTime;
  const auto wanted = wanted_.find(key);
  if (wanted != wanted_.end() && wanted->second.act == WarningWrite::Act::Begin)
    wanted_.erase(wanted);
  if (!known.open || known.open->presence != core::Presence::Watched) return;
  // As near as it was when it began: what has changed is when it is to begin.
  if (judged.left > core::Duration{} && judged.left <= known.open->step)
    return want_end(key, known, seen.at, core::Presence::Closed);
  if (known.calm_since == kNoWallTime || known.calm_since > seen.at) known.calm_since = seen.at;
  const bool wavers = known.wavered_at != kNoWallTime && seen.at - known.wavered_at < kWaverMemory;
  if (seen.at - known.calm_since >= (wavers ? settings_.calm_wavering : settings_.calm))
    want_end(key, known, seen.at, core::Presence::Watched);
}

void WarningKeeper::want_end(const Key& key, const Known& known, WallTime at, core::Presence as) {
  want(key, {.act = WarningWrite::Act::End,
             .warning = *known.open,
             .epoch = 0,
             .step = {},
             .at = std::max(whole_ms(at), known.open->started_at),
             .detail = {},
             .ended_as = as});
}

// Under the lease under which it was seen so: after another one others may have seen it otherwise.
void WarningKeeper::want(const Key& key, WarningWrite write) {
  write.epoch = settings_.epoch(key.first).value_or(0);
  wanted_[key] = std::move(write);
}

// ---- What is open

core::Result<void> WarningKeeper::read_page(SteadyTime now) {
  const auto page = store_.open(read_after_.first, read_after_.second, kPage);
  if (!page) return page.error();
  for (const OpenWarning& warning : *page) found(warning);
  if (!page->empty()) read_after_ = {page->back().site, page->back().kind};
  if (page->size() == kPage) return {};
  end_reading();
  reading_ = false;
  loaded_ = true;
  read_not_before_ = now + 3 * (now - reading_since_);
  read_at_ = std::max(now + kReadEach, read_not_before_);
  return {};
}

void WarningKeeper::found(const OpenWarning& warning) {
  const Key key{warning.site, warning.kind};
  if (!settings_.epoch(warning.site))
    return;  // What is known of it goes at the end of the reading.
  Known& known = known_of(key);
  if (known.open && known.open->event != warning.event) known.calm_since = kNoWallTime;
  known.open = warning;
  known.read = reading_number_;
  auto wanted = wanted_.find(key);
  // What the list said is void by what it says now.
  if (wanted != wanted_.end() && wanted->second.act == WarningWrite::Act::End &&
      warning.presence == core::Presence::Watched &&
      (wanted->second.ended_as == core::Presence::Paused ||
       wanted->second.ended_as == core::Presence::Removed)) {
    wanted_.erase(wanted);
    wanted = wanted_.end();
  }
  if (wanted != wanted_.end()) {
    // Done already: its answer was lost, or another host did it.
    const WarningWrite& write = wanted->second;
    const bool stands = write.act == WarningWrite::Act::Begin ||
                        (write.act == WarningWrite::Act::Step && warning.step <= write.step);
    if (stands) {
      wanted_.erase(wanted);
    } else {
      wanted->second.warning = warning;
    }
  }
  if (warning.presence != core::Presence::Watched) {
    want_end(key, known, clock_.wall(), warning.presence);
  } else if (!wants(warning.kind)) {
    want_end(key, known, clock_.wall(), core::Presence::Closed);
  }
}

// What was not found is over, or not ours any more.
void WarningKeeper::end_reading() {
  for (auto& [key, known] : known_) {
    if (!known.open || known.read == reading_number_) continue;
    known.open.reset();
    known.calm_since = kNoWallTime;
    wanted_.erase(key);
  }
  forget_idle();
}

void WarningKeeper::forget_idle() {
  const WallTime now = clock_.wall();
  const auto is_recent = [now](WallTime t, core::Duration limit) {
    return t != kNoWallTime && now - t < limit;
  };
  std::array<std::uint64_t, core::kEventKindCount> open{};
  for (auto each = known_.begin(); each != known_.end();) {
    const Known& known = each->second;
    if (known.open) ++open.at(index_of(each->first.second));
    const bool needed =
        settings_.epoch(each->first.first) &&
        (known.open || is_recent(known.warns_since, kPendingMax) ||
         is_recent(known.ended_at, kWaverMemory) || is_recent(known.wavered_at, kWaverMemory));
    if (!needed) wanted_.erase(each->first);
    each = needed ? std::next(each) : known_.erase(each);
  }
  for (std::size_t i = 0; i < open.size(); ++i)
    stats_.open.at(i).set(static_cast<double>(open.at(i)));
  watch_anew_ = true;
}

// ---- What is written

core::Result<void> WarningKeeper::write() {
  std::vector<WarningWrite> batch;
  for (int batches = 0; batches < kBatchesATurn && !wanted_.empty(); ++batches) {
    batch.clear();
    for (auto each = wanted_.begin(); each != wanted_.end() && batch.size() < kWritesMax;) {
      const auto epoch = settings_.epoch(each->first.first);
      if (!epoch || *epoch != each->second.epoch) {
        known_.erase(each->first);
        each = wanted_.erase(each);
        read_soon_ = true;
        continue;
      }
      batch.push_back(each->second);
      ++each;
    }
    if (batch.empty()) break;
    if (auto written = write_batch(batch); !written) return written;
  }
  stats_.waiting.set(static_cast<double>(wanted_.size()));
  return {};
}

core::Result<void> WarningKeeper::write_batch(std::vector<WarningWrite>& batch) {
  const auto done = store_.commit(batch);
  if (done) {
    for (std::size_t i = 0; i < batch.size(); ++i) settle(batch[i], (*done)[i]);
    return {};
  }
  if (may_be_kept(done.error())) return done.error();
  // One of them no store would take: each by itself, and without that one.
  for (const WarningWrite& write : batch) {
    const auto alone = store_.commit({&write, 1});
    if (!alone && may_be_kept(alone.error())) return alone.error();
    if (!alone) {
      stats_.dropped.add();
      settings_.warn("warning_unstorable site=" + std::to_string(write.warning.site.value) +
                     " kind=" + std::string(core::to_string(write.warning.kind)) + " why=\"" +
                     alone.error().message + "\"");
    }
    settle(write, alone && alone->front());
  }
  return {};
}

// What was done, or was found to be otherwise, is read again: the store gives a new one its id.
void WarningKeeper::settle(const WarningWrite& write, bool done) {
  const Key key{write.warning.site, write.warning.kind};
  wanted_.erase(key);
  Known& known = known_of(key);
  const std::size_t kind = index_of(key.second);
  if (!done || write.act == WarningWrite::Act::Begin) read_soon_ = true;
  if (!done) {
    known.warns_since = kNoWallTime;
    return;
  }
  switch (write.act) {
    case WarningWrite::Act::Begin:
      stats_.begun.at(kind).add();
      break;
    case WarningWrite::Act::Step:
      stats_.stepped.at(kind).add();
      if (!known.open) break;
      known.open->step = write.step;
      ++known.open->transitions_total;
      break;
    case WarningWrite::Act::End:
      stats_.ended.at(kind).add();
      known.open.reset();
      known.warns_since = known.calm_since = kNoWallTime;
      if (write.ended_as == core::Presence::Watched) known.ended_at = write.at;
      break;
  }
}

WarningKeeper::Known& WarningKeeper::known_of(const Key& key) {
  const auto [known, is_new] = known_.try_emplace(key);
  if (is_new) unwatched_.push_back(key.first);
  return known->second;
}

// From now on all that is seen of these is noted.
void WarningKeeper::publish() {
  stats_.waiting.set(static_cast<double>(wanted_.size()));
  if (unwatched_.empty() && !watch_anew_) return;
  std::unordered_set<SiteId> all;
  if (watch_anew_) {
    for (const auto& [key, known] : known_) all.insert(key.first);
  }
  const std::lock_guard lock(mutex_);
  if (watch_anew_) {
    watched_.swap(all);
  } else {
    watched_.insert(unwatched_.begin(), unwatched_.end());
  }
  unwatched_.clear();
  watch_anew_ = false;
}

void WarningKeeper::failed(const core::Error& error, SteadyTime now) {
  stats_.errors.add();
  stats_.waiting.set(static_cast<double>(wanted_.size()));
  if (++failures_ == 1) settings_.warn("warnings_not_written why=\"" + error.message + "\"");
  const auto random = static_cast<std::uint64_t>(now.time_since_epoch().count());
  next_ = now + backoff_delay({}, failures_, random);
}

}  // namespace watchwheel::sideeffects
