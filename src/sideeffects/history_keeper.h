// SPDX-License-Identifier: Apache-2.0
// sideeffects/history_keeper.h - removes what is older than is kept, in small steps, and writes how fast sites answered: all together by
// minute, each by hour and day from what was gathered of it.
//
// Owns     when it did what last, and the pages in hand.
// Thread   turn(), next_turn(): its own. set(): any; one mutex, held to copy a value. stats(): any.
// Bounded  kRows of each table a step, a step each kPause while there is more: writers wait for a step, never for all of them. kPages pages of
//          response times a transaction, one each kPagesPause: those of an hour are written over the first minutes of the next. One call of
//          the store a turn.
// Time     steady for the pace; minutes are the wall clock's.
// Fails    store away: again after kAfterError. A minute that could not be written is told with the next one that can; pages are tried again
//          as they are, half as many at once after each failure; what is gathered meanwhile counts for the newest hour of it. A page that
//          the store refuses is dropped and counted.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/chore.h"
#include "sideeffects/history_api.h"
#include "sideeffects/response_gatherer.h"

namespace watchwheel::sideeffects {

struct HistoryStats {
  std::array<core::Counter, kHistoryTables.size()> removed;
  core::Counter minutes;  // Written.
  core::Counter errors;   // Of the store.
  core::Counter pages;    // Of response times, written.
};

class HistoryKeeper final : public Chore, core::Pinned {
 public:
  static constexpr std::size_t kRows = 500;
  static constexpr core::Duration kPause = std::chrono::milliseconds{250};
  static constexpr core::Duration kLookEach = std::chrono::minutes{10};
  static constexpr core::Duration kAfterError = std::chrono::minutes{1};
  static constexpr std::size_t kPages = 64;
  static constexpr core::Duration kPagesPause = std::chrono::milliseconds{100};
  static constexpr core::Duration kPagesLook = std::chrono::seconds{5};

  struct Settings {
    std::string node;  // Whose minutes they are.
    HistoryRetention retention{};
    // Of several hosts one removes: asked before each step. Two that do for a moment do no harm.
    std::function<bool()> ours = [] { return true; };
    // How fast all sites answered, ever more. Null: minutes are not written.
    std::function<core::ResponseHistogram()> responses{};
    // Where the projector leaves each site's. Null: nobody gathers any.
    ResponseGatherer* gathered = nullptr;
  };

  HistoryKeeper(Settings settings, HistoryStore& store, const core::Clock& clock);

  // From the next step on.
  void set(const HistoryRetention& retention);

  void turn(core::SteadyTime now) override;
  [[nodiscard]] std::optional<core::SteadyTime> next_turn() const override;

  // At the end, after the last turn: writes all that was gathered, of the hour under way too. False: the store failed, or `deadline` has
  // passed; the rest is lost.
  [[nodiscard]] bool write_rest(core::SteadyTime deadline);

  // Taken, and not known to be written. After the last turn.
  [[nodiscard]] std::size_t pages_in_hand() const { return pages_.size(); }
  [[nodiscard]] const HistoryStats& stats() const { return stats_; }

 private:
  void purge(core::SteadyTime now);
  void write_minute(core::SteadyTime now);
  void write_pages(core::SteadyTime now);
  // False: the store is away, or too slow.
  [[nodiscard]] bool write_pages_in_hand();

  const Settings settings_;
  HistoryStore& store_;
  const core::Clock& clock_;
  std::mutex mutex_;
  HistoryRetention retention_;  // Guarded by mutex_.
  core::SteadyTime purge_at_ = core::SteadyTime::min();
  core::SteadyTime minute_at_ = core::SteadyTime::min();
  core::WallTime minute_ = core::kNoWallTime;  // The one under way.
  core::ResponseHistogram told_{};             // Of the responses, what was written.
  core::SteadyTime pages_at_ = core::SteadyTime::min();
  std::vector<ResponsePage> pages_;  // In hand: taken, and not known to be written.
  std::size_t at_once_ = kPages;     // Of them in a transaction.
  HistoryStats stats_;
};

}  // namespace watchwheel::sideeffects
