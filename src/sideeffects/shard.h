// SPDX-License-Identifier: Apache-2.0
// sideeffects/shard.h - judges and records for its share of the sites.
//
// Owns     the batch in hand, the notes not yet delivered, a cache of the open events of its sites, and while the store cannot be
//          read the facts that cannot be judged without it; what is asked of other vantages (verification.h); what people ask of
//          open events (operator_requests.h).
// Thread   one, for every call except stats(). Calls to the store block.
// Bounded  one batch of `batch_sites_max`; at most as many notes; `open_events_max` cached events
//          (beyond: read again); `poisoned_max` sites set aside are shown; of facts that wait one entry a site and lane.
// Time     steady time, passed in. The clock is read only to measure how long a commit took.
// Fails    store away: the batch is kept and tried again with backoff while the mailbox coalesces.
//          Answer lost: the same writes are sent again, which the store absorbs. Batch invalid:
//          halves are tried until the bad site is alone; it is set aside *without* being
//          acknowledged, so the lane keeps its facts and they come again with its next news. A bucket that is not ours yet: the
//          facts wait here. It is another node's now, or the write was fenced: what was judged is judged anew, and facts of a
//          site that is not ours are dropped and counted; that node sees for itself.
//          Store detoured (event_store_api.h): commits succeed, so judging goes on from what is remembered. Facts that go on with
//          an event from before our start, not yet read, wait; so does everything not remembered once the cache was full.
// Cost     one transaction a batch; one read for each site whose open event is not cached.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "core/buckets.h"
#include "core/clock.h"
#include "core/mailbox.h"
#include "core/pinned.h"
#include "core/site.h"
#include "core/site_facts.h"
#include "core/stats.h"
#include "sideeffects/backoff.h"
#include "sideeffects/event_store_api.h"
#include "sideeffects/judge.h"
#include "sideeffects/note_sink.h"
#include "sideeffects/operator_requests.h"
#include "sideeffects/verification.h"

namespace watchwheel::sideeffects {

using FactsMailbox = core::Mailbox<core::FactsKey, core::SiteFacts>;

struct ShardLimits {
  std::size_t batch_sites_max = 256;
  std::size_t open_events_max = 100'000;
  std::size_t poisoned_max = 100;
  BackoffLimits backoff{};
  core::Duration note_retry = std::chrono::milliseconds{50};
  VerificationLimits verification{};
};

// Written by the shard's thread, read by any.
struct ShardStats {
  std::array<core::Counter, core::kTransitionReasonCount> transitions;  // Committed, by reason.
  core::Counter batches;                                                // Committed transactions.
  core::Counter sites;      // Sites whose facts were settled.
  core::Gauge batch_sites;  // In the newest batch.
  core::Histogram commit;   // Each attempt, failed ones too.
  core::Counter commit_errors;
  core::Counter read_errors;
  core::Counter retries;  // Attempts put off by a backoff.
  core::Counter poisoned;
  core::Counter unknown_events;  // Handed to the lane: open in the store, unknown to it.
  core::Counter events_gone;     // Told to the lane: not open in the store any more.
  core::Counter notes_refused;
  core::Gauge open_events;  // Cached.
  core::Gauge unread;       // Facts that wait until the store can be read.
  core::Counter fenced;      // Batches that were refused because buckets had been taken from us.
  core::Counter given_away;  // Sites whose facts were dropped: their bucket is another node's.
  core::Gauge awaiting_lease;  // Sites whose facts wait until their bucket is ours.
  RequestStats requests;       // Of people.
};

// Facts that the store would not take.
struct Poisoned {
  core::SiteId site;
  std::string reason;
  std::uint64_t times = 0;

  friend bool operator==(const Poisoned&, const Poisoned&) = default;
};

class Shard : core::Pinned {
 public:
  Shard(const ShardLimits& limits, core::ConfirmPolicy policy, FactsMailbox& mailbox,
        EventStore& store, NoteSink& notes, const core::Clock& clock, std::uint64_t jitter_seed,
        const core::BucketTable* buckets = nullptr);

  // Who else is asked before a site is down, where the policy says so. Before the first turn; it outlives the last.
  void attach(VerifierPanel& panel) { verification_.attach(panel); }

  // Where people ask for something. Before the first turn; it outlives the last.
  void attach(OperatorDesk& desk) { requests_.attach(desk); }

  // Delivers the notes that wait, takes a batch if none is in hand, judges it, commits it, tells
  // the lanes. Returns how many sites were settled. 0 does not mean idle: see next_turn().
  std::size_t turn(core::SteadyTime now);

  // When turn() has something to do: a time that may be past (at once), or nothing (until something
  // is posted).
  [[nodiscard]] std::optional<core::SteadyTime> next_turn() const;

  // Nothing in hand, nothing waiting in the mailbox, no note undelivered.
  [[nodiscard]] bool idle() const;

  // For batches taken from now on.
  void set_policy(core::ConfirmPolicy policy) { policy_ = policy; }
  // What was committed of it was not brought into the store: what is remembered is dropped, and its lane asked.
  void doubt(core::SiteId site);
  // The lanes have stopped: a note that is refused is dropped instead of holding up what is left to
  // commit, and who was asked and has not answered is not taken for silent.
  void close_notes();

  // Sites set aside, oldest first. A site that is stored later leaves the list.
  [[nodiscard]] const std::vector<Poisoned>& poisoned() const { return poisoned_; }
  [[nodiscard]] const ShardStats& stats() const { return stats_; }
  [[nodiscard]] const VerificationStats& verification() const { return verification_.stats(); }

 private:
  struct Entry {
    core::SiteFacts facts;
    std::vector<OperatorRequest> requests{};  // Not empty: of people; of the facts only the site means anything.
    bool judged = false;
    bool reread = false;  // Judged again after the store refused it: the cache may have been wrong.
    std::uint64_t epoch = 0;  // Under which it was judged.
    Verdict verdict;
  };
  using Part = std::vector<Entry>;
  enum class Step { Done, Later };
  // An open event as we committed or read it, under a lease: the next holder's writes are not in it.
  struct Remembered {
    StoredEvent event;
    std::uint64_t epoch = 0;
  };

  void deliver_notes();
  void take_batch();
  void take_requests();
  [[nodiscard]] bool judge_asked(Entry& entry);
  void sign_close(Entry& entry) const;
  void take_unread();
  void take_awaiting();
  void take_verified();
  [[nodiscard]] Verdict judge_entry(const Entry& entry, const std::optional<StoredEvent>& open);
  void drop_older(std::size_t waited);
  void keep_ours();
  [[nodiscard]] bool may_write_for(core::SiteFacts& facts);
  void put_by(core::SiteFacts facts);
  void judge_anew();
  [[nodiscard]] std::uint64_t epoch_of(core::SiteId site) const;
  [[nodiscard]] Step work(std::size_t& settled);
  [[nodiscard]] Step judge_part(Part& part);
  [[nodiscard]] core::Result<std::optional<StoredEvent>> stored_of(core::SiteId site,
                                                                   std::uint64_t epoch);
  [[nodiscard]] bool surely_has_none(const core::SiteFacts& facts) const;
  [[nodiscard]] core::Result<void> commit(const Part& part);
  void settle(const Part& part);
  void remember(const Entry& entry);
  void forget(core::SiteId site);
  void divide(Part part);
  void reconsider(Part part, const std::string& reason);
  void set_aside(core::SiteId site, const std::string& reason);
  [[nodiscard]] Step put_off();

  const ShardLimits limits_;
  core::ConfirmPolicy policy_;
  FactsMailbox& mailbox_;
  EventStore& store_;
  NoteSink& notes_;
  const core::Clock& clock_;
  const std::uint64_t jitter_seed_;

  std::deque<Part> parts_;  // The batch in hand: one part, more while a bad write is looked for.
  std::deque<core::SiteNote> undelivered_;
  const core::BucketTable* const buckets_;  // Null: every site is ours.
  // Facts of sites whose bucket is not ours yet, the newest of each. As many as sites in trouble in buckets that are moving.
  std::unordered_map<core::FactsKey, core::SiteFacts> awaiting_;
  std::unordered_map<core::SiteId, Remembered> open_events_;  // Only of sites that have one.
  bool forgot_some_ = false;  // There was no room for one: what is not remembered may be open.
  // Their event was dropped: a write of it was refused, or did not come into the store. At most open_events_max.
  std::unordered_set<core::SiteId> forgotten_;
  // Facts that cannot be judged until the store can be read. The newest of a seat tells all that the older ones told.
  std::unordered_map<core::FactsKey, core::SiteFacts> unread_;
  core::SteadyTime unread_at_ = core::kNoSteadyTime;
  std::vector<core::SiteFacts> taken_;
  std::unordered_set<core::SiteId> batch_sites_;  // Of the part that is being filled; a member for its memory.
  std::vector<Poisoned> poisoned_;
  std::uint32_t attempts_failed_ = 0;
  core::SteadyTime retry_at_ = core::kNoSteadyTime;
  core::SteadyTime now_ = core::kNoSteadyTime;  // Of the last turn.
  bool notes_closed_ = false;
  Verification verification_;
  OperatorRequests requests_{stats_.requests};
  core::SteadyTime look_for_lost_at_ = core::kNoSteadyTime;
  ShardStats stats_;
};

}  // namespace watchwheel::sideeffects
