// SPDX-License-Identifier: Apache-2.0
// sideeffects/warning_keeper.h - makes events of what warns: a certificate that ends soon, a site that answers slowly …
//
// It sees what is projected of each site (freshness marks, every projection interval), keeps what warns, and what has an open warning:
//
//   what is seen                                  open    what comes of it
//   it warns                                      no      it begins; of latency when it was so each time for kLatencyPatience, the
//                                                         site was up and looked at all the while, and our own network was well
//   it warns, at a nearer step of the policy      yes     the next step: told again
//   it warns, at the same step or a farther one   yes     nothing
//   it does not warn, each time for kCalm         yes     it ends. So long, for behind a balancer servers may differ; kCalmWavering
//                                                         where it came back after a calm within kWaverMemory
//   nothing that tells (down, without a certificate)      nothing
//   the site is paused, removed                   yes     it ends
//   its kind is not wanted any more, or the       yes     it ends, and not as one that was seen to be over
//   policy begins nearer to a certificate's end
//
// What is open is the store's, read anew every kReadEach: so a restart, another host that had the bucket, and an edit of the list
// are all the same to it. What is only here (how long it is calm) begins anew with the process, which makes an end later, never wrong.
//
// Owns     what it knows of each site that warns or has an open warning; of others nothing.
// Thread   turn(), next_turn(): its own. note(), set(): any; one mutex, held to copy what warns. stats(): any.
// Bounded  by the sites that warn: each takes about half a kilobyte, and as much again while it waits to be stored. A turn reads at most
//          kPagesATurn pages of kPage and writes at most kBatchesATurn transactions of kWritesMax. Reading takes a quarter of the time.
// Time     of what is seen: the marks'; of what the list says: the wall clock's. Steady for the pace.
// Fails    store away: later, with backoff; meanwhile the newest of each site is kept. One write that no store would take is dropped,
//          counted and logged. Fenced, or a bucket that is not ours any more, or ours anew: dropped, its owner sees for itself.
// Cost     of a mark of a site that does not warn: two comparisons, and a look into a set where anything does.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

#include "core/clock.h"
#include "core/event_kind.h"
#include "core/ids.h"
#include "core/pinned.h"
#include "core/site_facts.h"
#include "core/stats.h"
#include "sideeffects/chore.h"
#include "sideeffects/warning_api.h"
#include "sideeffects/warning_policy.h"

namespace watchwheel::sideeffects {

// Written by the keeper's thread, read by any. By kind; Outage's stay 0.
struct WarningStats {
  std::array<core::Gauge, core::kEventKindCount> open;  // Of sites that are ours, as last read.
  std::array<core::Counter, core::kEventKindCount> begun;
  std::array<core::Counter, core::kEventKindCount> stepped;
  std::array<core::Counter, core::kEventKindCount> ended;
  core::Gauge waiting;    // Transitions that the store has not taken yet.
  core::Counter dropped;  // No store would take them.
  core::Counter errors;   // Of the store.
};

class WarningKeeper final : public Chore, core::Pinned {
 public:
  static constexpr core::Duration kReadEach = std::chrono::seconds{15};
  static constexpr core::Duration kReadSoon = std::chrono::seconds{2};  // What was begun is read for its id.
  static constexpr core::Duration kLatencyPatience = std::chrono::minutes{30};
  static constexpr core::Duration kCalm = std::chrono::minutes{30};
  static constexpr core::Duration kCalmWavering = std::chrono::hours{24};
  static constexpr core::Duration kWaverMemory = std::chrono::hours{24};
  static constexpr std::size_t kWritesMax = 200;
  static constexpr std::size_t kPage = 500;
  static constexpr int kBatchesATurn = 10;
  static constexpr int kPagesATurn = 10;

  struct Settings {
    WarningPolicy policy{};
    core::Duration latency_patience = kLatencyPatience;
    core::Duration calm = kCalm;
    core::Duration calm_wavering = kCalmWavering;
    // Of the lease of a site's bucket. Nothing: it is not ours to write for now.
    std::function<std::optional<std::uint64_t>(core::SiteId)> epoch = [](core::SiteId) {
      return std::optional<std::uint64_t>{0};
    };
    // Our own network is well: that sites answer slowly is their doing. Asked once a turn.
    std::function<bool()> well_here = [] { return true; };
    std::function<void()> wake = [] {};  // turn() has something to do. By whoever calls note().
    std::function<void(const std::string&)> warn = [](const std::string&) {};
  };

  WarningKeeper(Settings settings, WarningStore& store, const core::Clock& clock);

  // From the next turn on.
  void set(const WarningPolicy& policy);
  // These were projected: at most one a site, newer than what was noted of it before.
  void note(std::span<const core::FreshnessMark> marks);

  void turn(core::SteadyTime now) override;
  [[nodiscard]] std::optional<core::SteadyTime> next_turn() const override { return next_; }

  [[nodiscard]] const WarningStats& stats() const { return stats_; }

 private:
  // True: something is noted.
  [[nodiscard]] bool take(std::span<const core::FreshnessMark> marks);
  // Of one mark, what may warn.
  struct Seen {
    core::WallTime at = core::kNoWallTime;
    bool up = false;
    core::WallTime not_after = core::kNoWallTime;  // kNoWallTime: no certificate was shown.
    core::Warnings warnings;
    core::Duration took{};
    core::Duration quiet_max{};  // The next is to come within this; 0: whenever it does.
  };
  enum class Says : std::uint8_t { Nothing, Calm, Warns };
  struct Judged {
    Says says = Says::Nothing;
    core::Duration step{};
    std::string detail{};
    core::Duration left{};  // Of a certificate that is shown and does not warn.
  };
  using Key = std::pair<core::SiteId, core::EventKind>;
  struct Known {
    std::optional<OpenWarning> open;                 // As the store has it.
    core::WallTime warns_since = core::kNoWallTime;  // Without an event yet, each time since then …
    core::WallTime warned_at = core::kNoWallTime;    // … until then.
    core::WallTime calm_since = core::kNoWallTime;   // With one.
    core::WallTime ended_at = core::kNoWallTime;
    core::WallTime wavered_at = core::kNoWallTime;  // It was calm, and warned again.
    std::uint64_t read = 0;                         // The reading in which it was found open.
  };

  [[nodiscard]] bool wants(core::EventKind kind) const;
  [[nodiscard]] Judged judge(const Seen& seen, core::EventKind kind) const;
  void look(core::SiteId site, const Seen& seen);
  void warns(const Key& key, Known& known, const Seen& seen, const Judged& judged);
  void calm(const Key& key, Known& known, const Seen& seen, const Judged& judged);
  void want(const Key& key, WarningWrite write);
  void want_end(const Key& key, const Known& known, core::WallTime at, core::Presence as);
  [[nodiscard]] core::Result<void> read_page(core::SteadyTime now);
  void found(const OpenWarning& warning);
  void end_reading();
  [[nodiscard]] core::Result<void> write();
  [[nodiscard]] core::Result<void> write_batch(std::vector<WarningWrite>& batch);
  void settle(const WarningWrite& write, bool done);
  [[nodiscard]] Known& known_of(const Key& key);
  void forget_idle();
  void publish();
  void failed(const core::Error& error, core::SteadyTime now);

  const Settings settings_;
  WarningStore& store_;
  const core::Clock& clock_;

  std::mutex mutex_;
  WarningPolicy policy_;                          // Guarded by mutex_.
  std::unordered_map<core::SiteId, Seen> noted_;  // Guarded by mutex_.
  std::unordered_set<core::SiteId> watched_;      // Guarded by mutex_. Of which all is noted.

  WarningPolicy judging_;  // Of this turn.
  bool well_here_ = true;  // Of this turn.
  std::unordered_map<core::SiteId, Seen> looking_;
  std::map<Key, Known> known_;
  std::map<Key, WarningWrite> wanted_;   // Not stored yet.
  std::vector<core::SiteId> unwatched_;  // In known_, and not in watched_ yet.
  bool watch_anew_ = false;
  bool loaded_ = false;  // What is open was read once.
  bool reading_ = false;
  std::uint64_t reading_number_ = 0;
  Key read_after_{};
  core::SteadyTime reading_since_ = core::SteadyTime::min();
  core::SteadyTime read_at_ = core::SteadyTime::min();
  core::SteadyTime read_not_before_ = core::SteadyTime::min();
  bool read_soon_ = false;
  core::SteadyTime next_ = core::SteadyTime::min();
  std::uint32_t failures_ = 0;
  WarningStats stats_;
};

}  // namespace watchwheel::sideeffects
