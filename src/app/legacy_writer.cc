// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_writer.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_set>
#include <utility>
#include <vector>

namespace watchwheel::app {
namespace {

using namespace std::chrono_literals;

constexpr core::Duration kPoll = 100ms;  // What is noted within it is written together.
constexpr core::Duration kLockedFor =
    1s;  // A row that another program held is tried again after it.
constexpr core::Duration kBackoffMin = 200ms;
constexpr core::Duration kBackoffMax = 30s;

using Sites = std::vector<core::SiteId>;

// A set, and since when it is not empty.
struct Noted {
  std::unordered_set<core::SiteId> sites;
  core::SteadyTime since = core::kNoSteadyTime;

  void add(core::SiteId site, core::SteadyTime now) {
    if (sites.empty()) since = now;
    sites.insert(site);
  }
};

}  // namespace

struct LegacyWriter::Parts {
  Parts(std::unique_ptr<db::LegacyTable> legacy, const core::Clock& time, Log& lines)
      : table(std::move(legacy)), clock(time), log(lines) {}

  const std::unique_ptr<db::LegacyTable> table;
  const core::Clock& clock;
  Log& log;
  LegacyWriteStats stats;

  // The thread's: the round under way, rising, and how far it is; what is urgent of it, to be written first.
  Sites round;
  std::size_t at = 0;
  core::SteadyTime round_since = core::kNoSteadyTime;
  std::set<core::SiteId> urgent;  // A mass outage is many at once, and each batch takes the first.
  core::SteadyTime urgent_since = core::kNoSteadyTime;
  Noted locked;  // Held by another program a moment ago.
  core::Duration backoff = kBackoffMin;

  std::mutex mutex;
  std::condition_variable wake;
  Noted waiting, waiting_urgent;            // Guarded by mutex.
  std::optional<core::SteadyTime> stop_by;  // Guarded by mutex.
  std::thread thread;
  bool left = false;  // After the thread: something was not written.

  void loop() noexcept;
  void take(core::SteadyTime now);
  void publish(core::SteadyTime now);
  [[nodiscard]] bool idle() const { return urgent.empty() && at == round.size(); }
  [[nodiscard]] core::Result<void> write_some();
  // How many of them, from the first on, are dealt with: at least one.
  [[nodiscard]] core::Result<std::size_t> write(std::span<const core::SiteId> sites);
};

// What was noted since the last look.
void LegacyWriter::Parts::take(core::SteadyTime now) {
  const std::lock_guard lock(mutex);
  if (!locked.sites.empty() && now - locked.since >= kLockedFor) {
    for (const core::SiteId site : locked.sites) waiting_urgent.add(site, locked.since);
    locked.sites.clear();
  }
  if (!waiting_urgent.sites.empty()) {
    if (urgent.empty()) urgent_since = waiting_urgent.since;
    urgent.insert(waiting_urgent.sites.begin(), waiting_urgent.sites.end());
    waiting_urgent.sites.clear();
  }
  if (at < round.size() || waiting.sites.empty()) return;
  round.assign(waiting.sites.begin(), waiting.sites.end());
  std::sort(round.begin(), round.end());
  at = 0;
  round_since = waiting.since;
  waiting.sites.clear();
}

void LegacyWriter::Parts::publish(core::SteadyTime now) {
  const std::lock_guard lock(mutex);
  std::size_t pending = urgent.size() + round.size() - at + waiting.sites.size() +
                        waiting_urgent.sites.size() + locked.sites.size();
  core::SteadyTime oldest = now;
  if (!urgent.empty()) oldest = std::min(oldest, urgent_since);
  if (!locked.sites.empty()) oldest = std::min(oldest, locked.since);
  if (at < round.size()) oldest = std::min(oldest, round_since);
  if (!waiting.sites.empty()) oldest = std::min(oldest, waiting.since);
  if (!waiting_urgent.sites.empty()) oldest = std::min(oldest, waiting_urgent.since);
  stats.pending.set(static_cast<double>(pending));
  stats.lag_s.set(core::to_seconds(now - oldest));
}

core::Result<std::size_t> LegacyWriter::Parts::write(std::span<const core::SiteId> sites) {
  const auto done = table->project(sites);
  if (done) {
    stats.batches.add();
    stats.status.add(done->status);
    stats.checked.add(done->checked);
    stats.overruled.add(done->overruled);
    stats.not_ours.add(done->not_ours);
    for (const core::SiteId site : done->locked) locked.add(site, clock.steady());
    return done->sites;
  }
  const core::ErrorKind kind = done.error().kind;
  if (kind != core::ErrorKind::Invalid && kind != core::ErrorKind::NotFound) return done.error();
  if (sites.size() > 1) {
    const std::size_t half = sites.size() / 2;
    const auto first = write(sites.first(half));
    if (!first || *first < half) return first;
    const auto second = write(sites.subspan(half));
    // What is done is done; the rest comes again, and meets the same trouble.
    return half + (second ? *second : 0);
  }
  stats.refused.add();
  log.warn(fmt::format("legacy_row_refused site={} error=\"{}\"", sites.front().value,
                       done.error().message));
  return std::size_t{1};
}

core::Result<void> LegacyWriter::Parts::write_some() {
  if (!urgent.empty()) {
    const std::size_t size = std::min(urgent.size(), db::kLegacyTransactionMax);
    const auto end = std::next(urgent.begin(), static_cast<std::ptrdiff_t>(size));
    const auto done = write(Sites(urgent.begin(), end));
    if (!done) return done.error();
    urgent.erase(urgent.begin(), std::next(urgent.begin(), static_cast<std::ptrdiff_t>(*done)));
    return {};
  }
  const std::size_t size = std::min(round.size() - at, db::kLegacyTransactionMax);
  const auto done = write(std::span(round).subspan(at, size));
  if (!done) return done.error();
  at += *done;
  return {};
}

void LegacyWriter::Parts::loop() noexcept {
  pthread_setname_np(pthread_self(), "legacy-write");
  for (;;) {
    take(clock.steady());
    core::Duration pause = kPoll;
    if (!idle()) {
      const auto done = write_some();
      pause = core::Duration::zero();
      if (done) {
        backoff = kBackoffMin;
      } else {
        stats.errors.add();
        log.warn(fmt::format("legacy_write_failed kind={} retry_s={:.1f} error=\"{}\"",
                             core::to_string(done.error().kind), core::to_seconds(backoff),
                             done.error().message));
        pause = backoff;
        backoff = std::min(backoff * 2, kBackoffMax);
      }
    }
    const core::SteadyTime now = clock.steady();
    publish(now);
    std::unique_lock lock(mutex);
    const bool all_done = idle() && waiting.sites.empty() && waiting_urgent.sites.empty();
    if (stop_by && (all_done || now >= *stop_by)) {
      left = !all_done || !locked.sites.empty();
      return;
    }
    if (stop_by) pause = std::min(pause, idle() ? core::Duration::zero() : *stop_by - now);
    if (pause > core::Duration::zero())
      wake.wait_for(lock, pause, [this, draining = stop_by.has_value()] {
        return stop_by.has_value() && !draining;
      });
  }
}

LegacyWriter::LegacyWriter(std::unique_ptr<db::LegacyTable> table, const core::Clock& clock,
                           Log& log)
    : parts_(std::make_unique<Parts>(std::move(table), clock, log)) {}

LegacyWriter::~LegacyWriter() {
  (void)stop(parts_->clock.steady());
}

void LegacyWriter::start() {
  parts_->thread = std::thread([parts = parts_.get()] { parts->loop(); });
}

bool LegacyWriter::stop(core::SteadyTime deadline) {
  if (!parts_->thread.joinable()) return !parts_->left;
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->stop_by = deadline;
  }
  parts_->wake.notify_one();
  parts_->thread.join();
  return !parts_->left;
}

void LegacyWriter::note(core::SiteId site) {
  const std::lock_guard lock(parts_->mutex);
  parts_->waiting.add(site, parts_->clock.steady());
}

void LegacyWriter::note_urgent(core::SiteId site) {
  const std::lock_guard lock(parts_->mutex);
  parts_->waiting_urgent.add(site, parts_->clock.steady());
}

const LegacyWriteStats& LegacyWriter::stats() const {
  return parts_->stats;
}

}  // namespace watchwheel::app
