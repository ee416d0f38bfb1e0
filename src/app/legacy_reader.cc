// SPDX-License-Identifier: Apache-2.0
#include "app/legacy_reader.h"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "app/legacy_pace.h"

namespace watchwheel::app {
namespace {

constexpr core::Duration kBackoffMin = 200ms;
constexpr core::Duration kBackoffMax = 30s;
constexpr core::Duration kNotAllowedPoll = 1s;
constexpr std::size_t kRecallPage = 1000;
// Changes that were found wait at most so long for others.
constexpr core::Duration kStoreEvery = 1s;

}  // namespace

struct LegacyReader::Parts {
  Parts(LegacyReadSettings given, std::unique_ptr<db::LegacyTable> legacy,
        std::unique_ptr<db::SiteCatalog> catalog, const core::Clock& time, Log& lines)
      : settings(std::move(given)),
        table(std::move(legacy)),
        list(std::move(catalog)),
        clock(time),
        log(lines),
        sweep(settings.mapping, settings.defaults, *table, *list),
        pace(settings.sweep, static_cast<double>(settings.rows_per_second)) {}

  const LegacyReadSettings settings;
  const std::unique_ptr<db::LegacyTable> table;
  const std::unique_ptr<db::SiteCatalog> list;
  const core::Clock& clock;
  Log& log;
  LegacySweep sweep;
  LegacyPace pace;
  std::uint64_t turn_of = 0;               // Whose memory this is. See LegacyReadSettings::turn.
  bool known = false;                      // The list was recalled.
  std::optional<core::WallTime> followed;  // Since when the list is the table's.
  bool told = false;                       // It was looked at.
  core::Duration backoff = kBackoffMin;
  core::SteadyTime stored_at;  // Since when changes may wait.
  LegacySweep::Step sum;       // Of the sweep under way.
  LegacyReadStats stats;

  mutable std::mutex mutex;
  std::condition_variable wake;
  bool stopping = false;                // Guarded by mutex.
  std::optional<ChecksConfig> wanted;   // Guarded by mutex.
  std::vector<LegacyProblem> problems;  // Guarded by mutex.
  std::thread thread;

  void loop() noexcept;
  [[nodiscard]] core::SteadyTime turn(core::SteadyTime now);
  [[nodiscard]] core::SteadyTime failed(const core::Error& error, core::SteadyTime now);
  void count(const LegacySweep::Step& step);
  void end_sweep();
  void forget();
  [[nodiscard]] bool follows(std::optional<core::WallTime> since);
};

core::SteadyTime LegacyReader::Parts::failed(const core::Error& error, core::SteadyTime now) {
  stats.errors.add();
  log.warn(fmt::format("legacy_read_failed kind={} retry_s={:.1f} error=\"{}\"",
                       core::to_string(error.kind), core::to_seconds(backoff), error.message));
  const core::SteadyTime again = now + backoff;
  backoff = std::min(backoff * 2, kBackoffMax);
  return again;
}

void LegacyReader::Parts::count(const LegacySweep::Step& step) {
  stats.rows.add(step.rows_read);
  stats.added.add(step.added);
  stats.changed.add(step.changed);
  stats.paused.add(step.paused);
  stats.removed.add(step.removed);
  sum.rows_read += step.rows_read;
  sum.active += step.active;
  sum.added += step.added;
  sum.changed += step.changed;
  sum.paused += step.paused;
  sum.removed += step.removed;
  sum.rejected += step.rejected;
  sum.withheld += step.withheld;
}

void LegacyReader::Parts::end_sweep() {
  stats.sweep_s.set(core::to_seconds(pace.took()));
  stats.active.set(static_cast<double>(sum.active));
  stats.rejected.set(static_cast<double>(sum.rejected));
  stats.withheld.set(static_cast<double>(sum.withheld));
  stats.rows_per_second.set(pace.rate());
  if (sum.withheld > 0) {
    log.warn(
        fmt::format("legacy_removals_withheld sites={} rows_active={} hint=\"more than a quarter "
                    "of the rows are "
                    "gone: is the table being loaded, or is this another copy?\"",
                    sum.withheld, sum.active));
  }
  if (stats.sweeps.value() == 0 || sum.added + sum.changed + sum.paused + sum.removed > 0) {
    log.info(
        fmt::format("legacy_swept rows={} active={} added={} changed={} paused={} removed={} "
                    "rejected={} took_s={:.1f}",
                    sum.rows_read, sum.active, sum.added, sum.changed, sum.paused, sum.removed,
                    sum.rejected, core::to_seconds(pace.took())));
  }
  if (pace.took() > settings.sweep) {
    log.warn(fmt::format(
        "legacy_sweep_slow took_s={:.1f} wanted_s={:.1f} rows={} rows_per_second={:.0f} "
        "hint=\"raise legacy.rows_per_second, or legacy.sweep\"",
        core::to_seconds(pace.took()), core::to_seconds(settings.sweep), sum.rows_read,
        pace.rate()));
  }
  stats.sweeps.add();
  sum = {};
  const std::lock_guard lock(mutex);
  problems = sweep.problems();
}

// Others may change the list meanwhile.
void LegacyReader::Parts::forget() {
  sweep.forget();
  known = false;
  sum = {};
}

// Whether the list is still the table's: somebody may release it while we run, change it, and have it follow the table again.
bool LegacyReader::Parts::follows(std::optional<core::WallTime> since) {
  if (told && since == followed) return since.has_value();
  forget();
  if (!since) {
    log.warn(
        fmt::format("legacy_released table={} hint=\"the site list does not follow the table "
                    "any more; set legacy.role to target, or remove [legacy]\"",
                    settings.mapping.table));
  } else if (told) {
    log.info(fmt::format("legacy_followed table={}", settings.mapping.table));
  }
  told = true;
  followed = since;
  return since.has_value();
}

// Does one page's work; says when the next is due.
core::SteadyTime LegacyReader::Parts::turn(core::SteadyTime now) {
  if (settings.turn) {
    const std::optional<std::uint64_t> ours = settings.turn();
    if (!ours) return now + kNotAllowedPoll;
    if (*ours != turn_of) forget();
    turn_of = *ours;
    if (turn_of == 0) return now + kNotAllowedPoll;
  }
  const auto since = table->claimed_since();
  if (!since) return failed(since.error(), now);
  if (!follows(*since)) return now + kNotAllowedPoll;
  if (!known) {
    const auto all = sweep.recall(kRecallPage);
    if (!all) return failed(all.error(), now);
    known = *all;
    backoff = kBackoffMin;
    if (known) pace.begin(now);
    return now;
  }
  const auto step = sweep.step(pace.page_rows());
  if (!step) return failed(step.error(), now);
  backoff = kBackoffMin;
  count(*step);
  if (!sweep.has_waiting()) stored_at = now;
  if (now - stored_at >= kStoreEvery) {
    const auto stored = sweep.flush();
    if (!stored) return failed(stored.error(), now);
    count(*stored);
    if (!sweep.has_waiting()) stored_at = now;
  }
  const core::SteadyTime after = clock.steady();
  const core::SteadyTime next = pace.after_page(step->rows_read, after);
  if (!step->whole) return next;
  const core::SteadyTime begin = pace.after_sweep(after);
  end_sweep();
  pace.begin(begin);
  return begin;
}

void LegacyReader::Parts::loop() noexcept {
  pthread_setname_np(pthread_self(), "legacy-read");
  core::SteadyTime due = clock.steady();
  for (;;) {
    const core::SteadyTime now = clock.steady();
    {
      std::unique_lock lock(mutex);
      if (due > now) wake.wait_for(lock, due - now, [this] { return stopping; });
      if (stopping) return;
      if (wanted) sweep.set_defaults(*std::exchange(wanted, std::nullopt));
    }
    due = turn(clock.steady());
  }
}

LegacyReader::LegacyReader(LegacyReadSettings settings, std::unique_ptr<db::LegacyTable> table,
                           std::unique_ptr<db::SiteCatalog> list, const core::Clock& clock,
                           Log& log)
    : parts_(std::make_unique<Parts>(std::move(settings), std::move(table), std::move(list), clock,
                                     log)) {}

LegacyReader::~LegacyReader() {
  stop();
}

void LegacyReader::start() {
  parts_->thread = std::thread([parts = parts_.get()] { parts->loop(); });
}

void LegacyReader::stop() {
  if (!parts_->thread.joinable()) return;
  {
    const std::lock_guard lock(parts_->mutex);
    parts_->stopping = true;
  }
  parts_->wake.notify_one();
  parts_->thread.join();
}

void LegacyReader::set_defaults(const ChecksConfig& defaults) {
  const std::lock_guard lock(parts_->mutex);
  parts_->wanted = defaults;
}

const LegacyReadStats& LegacyReader::stats() const {
  return parts_->stats;
}

std::vector<LegacyProblem> LegacyReader::problems() const {
  const std::lock_guard lock(parts_->mutex);
  return parts_->problems;
}

}  // namespace watchwheel::app
