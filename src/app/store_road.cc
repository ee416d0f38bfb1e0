// SPDX-License-Identifier: Apache-2.0
#include "app/store_road.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <mutex>
#include <utility>

#include "core/units.h"
#include "db/sqlite_journal.h"
#include "db/store_url.h"
#include "sideeffects/replayer_thread.h"

namespace watchwheel::app {
namespace {

// Between two looks at what else is to be done while a replay pauses.
constexpr core::Duration kStep = std::chrono::milliseconds{100};

// One line at each change, and what was set aside for whoever looks.
class Teller final : public sideeffects::OutageWatch {
 public:
  Teller(const core::Clock& clock, Log& log) : clock_(clock), log_(log) {}

  void on_store_away(const core::Error& why) override {
    log_.error(fmt::format("store_away kind={} action=journal error=\"{}\"",
                           core::to_string(why.kind), why.message));
  }
  void on_store_back(core::Duration away, std::uint64_t replayed) override {
    log_.info(
        fmt::format("store_back away_s={:.1f} replayed={}", core::to_seconds(away), replayed));
  }
  void on_set_aside(core::SiteId site, const std::string& reason) override {
    log_.error(fmt::format("journal_set_aside site={} reason=\"{}\"", site.value, reason));
    const std::lock_guard lock(mutex_);
    aside_.insert(aside_.begin(), {.site = site, .at = clock_.wall(), .reason = reason});
    if (aside_.size() > StoreRoad::kSetAsideShown) aside_.pop_back();
    if (told_ && site.value != 0) told_(site);
  }
  void on_journal_refuses(const core::Error& why) override {
    log_.error(fmt::format("journal_refuses action=keep_in_memory error=\"{}\"", why.message));
  }
  void on_journal_takes_again() override { log_.info("journal_takes_again"); }

  void on_set_aside(std::function<void(core::SiteId)> told) { told_ = std::move(told); }
  void set(std::vector<sideeffects::SetAside> aside) { aside_ = std::move(aside); }
  [[nodiscard]] std::vector<sideeffects::SetAside> aside() const {
    const std::lock_guard lock(mutex_);
    return aside_;
  }

 private:
  const core::Clock& clock_;
  Log& log_;
  std::function<void(core::SiteId)> told_;
  mutable std::mutex mutex_;
  std::vector<sideeffects::SetAside> aside_;  // Guarded by mutex_. The newest first.
};

}  // namespace

// In the order in which they need each other.
struct StoreRoad::Parts {
  Parts(const core::Clock& time, Log& lines) : clock(time), log(lines), teller(time, lines) {}

  const core::Clock& clock;
  Log& log;
  Teller teller;
  std::string trouble;
  std::unique_ptr<db::SqliteJournal> journal;  // Null: there is none, and nothing of what follows.
  std::unique_ptr<sideeffects::Detour> detour;
  std::unique_ptr<sideeffects::EventStore> events;
  std::unique_ptr<sideeffects::VantageStore> vantage;
  std::unique_ptr<sideeffects::Replayer> replayer;
  std::unique_ptr<sideeffects::ReplayerThread> thread;
};

StoreRoad::StoreRoad() = default;
StoreRoad::~StoreRoad() = default;

core::Result<std::uint64_t> StoreRoad::left_behind(const StoreConfig& config) {
  std::error_code failed;
  const auto file = std::filesystem::path(config.state_dir) / db::kJournalFile;
  if (!std::filesystem::exists(file, failed)) return std::uint64_t{0};
  const auto journal =
      db::SqliteJournal::open({.directory = config.state_dir, .may_begin_anew = false});
  if (!journal) return journal.error();
  return (*journal)->reading().entries;
}

bool StoreRoad::journal_in_use(const StoreConfig& config) {
  return db::is_server_url(config.url) && db::SqliteJournal::in_use(config.state_dir);
}

core::Result<std::unique_ptr<StoreRoad>> StoreRoad::make(const StoreConfig& config,
                                                         db::Store& store, const core::Clock& clock,
                                                         Log& log, std::uint64_t seed,
                                                         const Wrap& wrap,
                                                         const db::Fencing& fencing) {
  std::unique_ptr<StoreRoad> road(new StoreRoad);
  road->parts_ = std::make_unique<Parts>(clock, log);
  Parts& parts = *road->parts_;
  if (!db::is_server_url(config.url)) {
    if (const auto left = left_behind(config); left && *left > 0)
      log.error(
          fmt::format("journal_left_alone entries={} reason=\"the store is no server's, and they "
                      "were written for one\"",
                      *left));
    return road;
  }
  auto journal = db::SqliteJournal::open(
      {.directory = config.state_dir,
       .bytes_max = config.journal_bytes_max,
       .may_begin_anew = true,
       .on_damaged = [&log](const std::string& kept) {
         log.error(fmt::format("journal_damaged action=begun_anew kept=\"{}\"", kept));
       }});
  if (!journal && journal_in_use(config)) return journal.error();
  if (!journal) {
    parts.trouble = journal.error().message;
    log.error(fmt::format("journal_unusable action=keep_in_memory error=\"{}\"", parts.trouble));
    return road;
  }
  const auto identity = store.identity();
  if (!identity) return identity.error();
  if (auto ours = (*journal)->belong_to(*identity); !ours) {
    parts.trouble = ours.error().message;
    log.error(fmt::format("journal_unusable action=keep_in_memory error=\"{}\"", parts.trouble));
    return road;
  }
  if (!(*journal)->foreign().empty())
    log.error(fmt::format("journal_of_another_store action=begun_anew kept=\"{}\"",
                          (*journal)->foreign()));
  auto events = store.make_event_store(fencing);
  if (!events) return events.error();
  auto vantage = store.make_vantage_store(fencing.node);
  if (!vantage) return vantage.error();
  parts.journal = *std::move(journal);
  parts.events = wrap(*std::move(events));
  parts.vantage = *std::move(vantage);
  if (auto aside = parts.journal->list_set_aside(kSetAsideShown))
    parts.teller.set(*std::move(aside));
  parts.detour = std::make_unique<sideeffects::Detour>(*parts.journal, clock, parts.teller);
  parts.replayer = std::make_unique<sideeffects::Replayer>(
      sideeffects::ReplayerLimits{}, *parts.detour, *parts.journal, *parts.events, *parts.vantage,
      clock, parts.teller, seed);
  parts.thread = std::make_unique<sideeffects::ReplayerThread>(*parts.replayer, clock);
  parts.detour->on_taken([&thread = *parts.thread] { thread.wake(); });
  return road;
}

core::Result<void> StoreRoad::replay_left(const Meanwhile& meanwhile) {
  if (parts_->journal == nullptr || !parts_->detour->taken()) return {};
  const sideeffects::JournalReading left = parts_->journal->reading();
  parts_->log.info(fmt::format("journal_left entries={} oldest={}", left.entries,
                               core::to_iso8601(left.oldest)));
  sideeffects::Replayer& replayer = *parts_->replayer;
  std::uint64_t replayed = 0;  // When it was last in trouble.
  std::uint64_t errors = 0;
  while (parts_->detour->taken()) {
    if (!meanwhile(parts_->journal->reading().entries))
      return core::Error{core::ErrorKind::Unavailable, "the replay of the journal was ended"};
    replayer.turn(parts_->clock.steady());
    // A server that is slow takes half as much the next time. Whatever kind the trouble is, it was met after the store had been opened:
    // to wait and ask again is right, to give up is not.
    if (const std::uint64_t failed = replayer.stats().errors.value(); failed != errors) {
      errors = failed;
      const std::uint64_t done = replayer.stats().replayed.value();
      // A row that cannot be read: the replayer ends that by itself, and another would begin to count anew.
      const bool unreadable = replayer.trouble()->kind == core::ErrorKind::Corrupt;
      if (done == replayed && !unreadable)
        return core::Error{core::ErrorKind::Unavailable, replayer.trouble()->message};
      replayed = done;
    }
    const core::SteadyTime now = parts_->clock.steady();
    if (const auto next = replayer.next_turn(); next && *next > now)
      parts_->clock.sleep_for(std::min<core::Duration>(*next - now, kStep));
  }
  parts_->log.info(fmt::format("journal_replayed entries={} set_aside={}",
                               parts_->replayer->stats().replayed.value(),
                               parts_->replayer->stats().set_aside.value()));
  return {};
}

sideeffects::Detour* StoreRoad::detour() {
  return parts_->detour.get();
}

sideeffects::Journal* StoreRoad::journal() {
  return parts_->journal.get();
}

void StoreRoad::on_set_aside(std::function<void(core::SiteId)> told) {
  parts_->teller.on_set_aside(std::move(told));
}

void StoreRoad::start() {
  if (parts_->thread) parts_->thread->start();
}

void StoreRoad::stop(core::SteadyTime deadline) {
  if (!parts_->thread) return;
  parts_->thread->stop(deadline);
  if (const auto left = parts_->journal->reading().entries; left > 0)
    parts_->log.warn(fmt::format("journal_kept entries={} action=replay_at_next_start", left));
}

StoreRoadReading StoreRoad::reading() const {
  StoreRoadReading reading;
  reading.journal_trouble = parts_->trouble;
  if (parts_->journal == nullptr) return reading;
  const sideeffects::DetourStats& detour = parts_->detour->stats();
  const sideeffects::ReplayerStats& replayer = parts_->replayer->stats();
  reading.has_journal = true;
  reading.foreign = parts_->journal->foreign();
  if (const double since = detour.since_s.value(); since != 0) {
    reading.detoured = true;
    reading.since = core::from_unix_ms(std::llround(since * 1000));
  }
  reading.replaying = reading.detoured && replayer.answering.value() != 0;
  reading.refusing = detour.refusing.value() != 0;
  reading.journal = parts_->journal->reading();
  reading.detours = detour.taken.value();
  reading.kept = detour.kept.value();
  reading.refusals = detour.refusals.value();
  reading.replayed = replayer.replayed.value();
  reading.replay_errors = replayer.errors.value();
  reading.set_aside = replayer.set_aside.value();
  reading.fenced = replayer.fenced.value();
  if (reading.journal.set_aside > 0) reading.shown_aside = parts_->teller.aside();
  return reading;
}

std::string degraded(const StoreRoadReading& road) {
  std::string words;
  const auto add = [&words](const std::string& more) {
    words += (words.empty() ? "" : "; ") + more;
  };
  if (!road.journal_trouble.empty())
    add("without a journal, should the store go away: " + road.journal_trouble);
  if (!road.foreign.empty())
    add("the journal held writes of another store, they are kept in " + road.foreign);
  if (road.replaying) {
    add(fmt::format("the store is back; {} writes of the journal are being replayed",
                    road.journal.entries));
  } else if (road.detoured) {
    add(fmt::format("store away since {}; {} writes in the journal", core::to_iso8601(road.since),
                    road.journal.entries));
  }
  if (road.refusing) add("the journal takes no more, what is judged waits in memory");
  return words;
}

}  // namespace watchwheel::app
