// SPDX-License-Identifier: Apache-2.0
// sideeffects/away_notices.h - the outbox and the deliveries of a host that goes on telling people while its store is away (ADR 0025).
//
//   Straight    everything is the store's; the mirror follows it
//   Away        the store is away and this host is alone: notices come from the journal, all is the mirror's
//   Returning   the journal is empty again: what is under way ends, then the mirror is handed over; nothing new meanwhile
//
// Of several hosts each may be the one that is cut off, and what it judged may be refused: there notices wait for the store.
//
// Router and worker see one Outbox and one DeliveryQueue and know nothing of it. An id of the mirror's deliveries bears a bit that no
// store's id has, so that what was begun in one phase ends in another.
//
// Owns     the phase.
// Thread   AwayOutbox: the router's. AwayQueue: the worker's. note(): any. The phase is an atomic, written by the router.
// Fails    as the store or the mirror. A mirror that fails while the store answers is left behind and told once: of what it does not
//          know the notices are presumed. One that takes no writes holds up what is told while the store is away, and no longer: what
//          it could not note is told again then, with the same ids.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"
#include "sideeffects/delivery_queue_api.h"
#include "sideeffects/journal_api.h"
#include "sideeffects/notice_mirror_api.h"

namespace watchwheel::sideeffects {

enum class NoticePhase : std::uint8_t { Straight, Away, Returning };
[[nodiscard]] constexpr std::string_view to_string(NoticePhase phase) {
  return phase == NoticePhase::Straight ? "store"
         : phase == NoticePhase::Away   ? "journal"
                                        : "returning";
}

struct AwayStats {
  core::Counter times;        // The store was left.
  core::Counter presumed;     // Notices of events of which it was not known what was told.
  core::Counter handed_over;  // Deliveries made meanwhile that are in the store.
  core::Counter errors;       // Of the mirror.
};

// What router and worker share.
class AwayShared : core::Pinned {
 public:
  [[nodiscard]] NoticePhase phase() const { return phase_.load(); }
  [[nodiscard]] const AwayStats& stats() const { return stats_; }

 private:
  friend class AwayOutbox;
  friend class AwayQueue;
  std::atomic<NoticePhase> phase_{NoticePhase::Straight};
  std::atomic<std::size_t> under_way_{0};  // Deliveries that were claimed and are not finished.
  // Held while a delivery of the store ends, and while what it was is copied: a copy made of what it was before would be sent again.
  std::mutex following_;
  AwayStats stats_;
};

class AwayOutbox final : public Outbox, core::Pinned {
 public:
  static constexpr std::size_t kJournalPage = 100;
  // Of the router's turn, for what is read of the journal and for what is handed over: a stop waits for a turn, and so do those who are
  // to be told of what was read already. The next turn goes on.
  static constexpr core::Duration kTurnMax = std::chrono::milliseconds{500};
  static constexpr int kTries = 5;  // Of what the mirror's file refuses; then it is done without.
  static constexpr core::Duration kFollowAllEach = std::chrono::minutes{5};
  static constexpr core::Duration kNoteAloneEach = std::chrono::minutes{1};

  struct Settings {
    std::function<bool()> away = [] { return true; };   // The store.
    std::function<bool()> alone = [] { return true; };  // No other host shares it.
    // A question to the store failed: others need not find out by themselves.
    std::function<void(const core::Error&)> store_failed = [](const core::Error&) {};
    std::function<void(const std::string&)> tell = [](const std::string&) {};
    std::function<void(const std::string&)> warn = [](const std::string&) {};
  };

  // `store` null: it is away, and this process ends before it is back.
  AwayOutbox(Settings settings, Outbox* store, Outbox& local, NoticeMirror& mirror,
             RecentWrites& recent, Journal& journal, AwayShared& shared, const core::Clock& clock);

  // Committed, and perhaps not routed yet.
  void note(std::span<const EventWrite> writes);

  core::Result<std::vector<Notice>> take(std::size_t limit,
                                         const std::function<bool(core::SiteId)>& mine) override;
  core::Result<Settling> settle(std::span<const NoticeId> notices,
                                std::span<const NewDelivery> deliveries,
                                std::span<const NewWake> wakes) override;
  core::Result<Level> level() override;

 private:
  struct Taken {
    core::EventId event;
    std::uint32_t seq = 0;  // 0: a wake.
  };

  [[nodiscard]] core::Result<void> look_at_phase();
  void note_alone(bool alone);
  void store_failed(const core::Error& error);
  [[nodiscard]] core::Result<void> leave_store();
  [[nodiscard]] core::Result<std::vector<Notice>> take_from_store(
      std::size_t limit, const std::function<bool(core::SiteId)>& mine);
  [[nodiscard]] core::Result<std::vector<Notice>> take_from_mirror(std::size_t limit);
  [[nodiscard]] core::Result<bool> read_recent(core::SteadyTime until);
  [[nodiscard]] core::Result<void> read_journal(core::SteadyTime until);
  [[nodiscard]] core::Result<bool> hand_over();
  [[nodiscard]] core::Result<void> catch_up();
  void follow(std::span<const NoticeId> notices, bool wakes);
  void follow_all();
  void mirror_failed(const core::Error& error);

  const Settings settings_;
  Outbox* const store_;
  Outbox& local_;
  NoticeMirror& mirror_;
  RecentWrites& recent_;
  Journal& journal_;
  AwayShared& shared_;
  const core::Clock& clock_;
  int tries_ = 0;
  int failures_ = 0;  // Of the store, in a row.
  std::optional<bool> alone_;  // As the mirror was told,
  core::SteadyTime alone_noted_ = core::kNoSteadyTime;  // and when.
  bool known_ = false;         // Whether an earlier process left something to hand over.
  bool taken_here_ = false;    // The newest notices are the mirror's.
  std::vector<EventWrite> left_of_recent_;  // The newest first.
  bool left_behind_ = false;   // The mirror is to be emptied before it is used again.
  std::map<NoticeId, Taken> taken_;
  core::SteadyTime follow_at_ = core::SteadyTime::min();
  std::atomic<bool> mirror_failing_{false};
  std::atomic<bool> noted_{
      true};  // Something since the last empty outbox, or by an earlier process.
  std::atomic<bool> noted_since_{true};  // Something since it was last read.
};

class AwayQueue final : public DeliveryQueue, core::Pinned {
 public:
  AwayQueue(DeliveryQueue* store, DeliveryQueue& local, MirrorFinish& mirror, AwayShared& shared)
      : store_(store), local_(local), mirror_(mirror), shared_(shared) {}

  core::Result<Claimed> claim(std::span<const Want> wants, core::Duration lease,
                              const Claimer& claimer) override;
  core::Result<std::vector<DeliveryId>> finish(std::span<const Finish> finished) override;
  core::Result<std::vector<DeliveryId>> extend(std::span<const Held> held,
                                               core::Duration lease) override;
  core::Result<std::uint64_t> release_former(const Claimer& claimer) override;
  core::Result<std::uint64_t> bury_waiting(std::string_view target, DeathReason reason,
                                           std::size_t limit) override;
  core::Result<std::uint64_t> bury_older(std::string_view target, DeathReason reason,
                                         core::Duration age, std::size_t limit) override;
  core::Result<void> note_targets(std::span<const std::string> targets) override;
  core::Result<std::vector<TargetLevel>> levels() override;
  core::Result<std::uint64_t> purge(const DeliveryRetention& retention, std::size_t limit) override;

 private:
  [[nodiscard]] bool straight() const { return shared_.phase() == NoticePhase::Straight; }
  [[nodiscard]] core::Result<void> finish_of_store(std::span<const Finish> finished,
                                                   std::vector<DeliveryId>& lost);
  void count();

  DeliveryQueue* const store_;
  DeliveryQueue& local_;
  MirrorFinish& mirror_;
  AwayShared& shared_;
  std::set<DeliveryId> of_store_;  // Under way.
  std::set<DeliveryId> of_mirror_;
};

}  // namespace watchwheel::sideeffects
