// SPDX-License-Identifier: Apache-2.0
// app/cluster_member.h - one node of a cluster: joins, keeps its leases, takes what should be its own, hands on what should not.
//
// Owns     what it knows of each bucket; nothing that outlives the process: all that is agreed on stands in the database.
// Thread   one, for every call but reading(). Calls block in the lease store.
// Bounded  a few words a bucket; kAtHandMax buckets prepared at a time, kLeavingMax on their way to somebody else.
// Time     given by the clock, read once a turn and around the calls whose age matters. Leases run on the database's clock; what we
//          believe of ours runs on Clock::boot(), from before it was renewed, less a margin.
// Fails    database away: nothing changes hands, the checks go on, writes are held (core::BucketTable). Our name in use elsewhere:
//          join() refuses; a running node is told by usurped().
//
// A bucket goes from A to B without a gap and without a check made twice (docs/operations/many-hosts.md shows it):
//
//   B  sees that it should own it, brings its sites to hand, says so        taker = B
//   A  names the moment from which the checks are B's                       cut_at
//   A  starts nothing that is due from then on; what is in flight ends and is committed
//   B  starts what is due from then on; what it finds waits for the lease
//   A  gives the lease up                                                   owner = ''
//   B  takes it, under the next epoch                                       owner = B, epoch + 1
//
// Whatever either does not do any more, the lease that runs out does. A node that stops names the moment for all it has, without
// a taker: whoever should own them then begins at once. Its next run, if it comes while the lease holds, takes that word back.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "app/cluster_clock.h"
#include "app/log.h"
#include "app/rendezvous.h"
#include "core/buckets.h"
#include "core/stats.h"
#include "db/lease_store.h"

namespace watchwheel::app {

// Who brings a bucket's sites into the lanes. Thread: the member's.
class BucketCare {
 public:
  virtual ~BucketCare() = default;
  // Bring its sites to hand, without checking them.
  virtual void prepare(core::BucketNo bucket) = 0;
  // Those that came to hand since the last question.
  [[nodiscard]] virtual std::vector<core::BucketNo> take_prepared() = 0;
  // They are not needed.
  virtual void forget(core::BucketNo bucket) = 0;
  // Its sites into the lanes, those at hand or read now. Checks due from `from` on are ours, also what has passed of them; none: from
  // each site's next due time on. Once more when its lease has become ours after that: what its former owner has stored last is read
  // then, events above all.
  virtual void begin(core::BucketNo bucket, core::SteadyTime from) = 0;
};

struct ClusterStats {
  core::Gauge buckets_owned;
  core::Counter taken_free;     // Nobody had them.
  core::Counter taken_expired;  // Their owner's lease had run out.
  core::Counter taken_handed;   // Their owner had given them up for us.
  core::Counter given;          // Given up for another node.
  core::Counter lost;           // Somebody took them: our lease had run out.
  core::Counter renewed;
  core::Counter errors;         // Calls of the lease store that failed.
  core::Gauge renewed_at;       // Unix time, by the database's clock.
  core::Gauge nodes_live;
  core::Gauge alone;  // 1: no other node was seen for db::kForgottenAfterMs in which the database answered us. 0 until known.
};

// A daemon of our name that may live, as it was seen while we waited to join. Kept over several attempts: one whose lease is long
// renews it less often than an attempt lasts.
struct NameSight {
  std::string instance;
  std::int64_t seen_ms = -1;
  bool waits = false;  // The newest attempt ended with that.
};

struct MemberSettings {
  std::string node;
  std::string instance;
  std::string version;
  std::uint32_t weight = 1;
  core::Duration lease = std::chrono::seconds{15};
  // Whether a process of this name is surely gone, although its lease still holds: it ran here, and here it is not.
  std::function<bool(const std::string& instance)> surely_dead;
  // Something that we judged is not in the database yet, and would be refused once a bucket is another's: nothing is given up
  // meanwhile. Null: never.
  std::function<bool()> writes_wait;
  // How long a check in flight may keep a bucket that is on its way to another node.
  core::Duration leave_within = std::chrono::seconds{15};
  // Outlives the member. Null: each begins anew.
  NameSight* sight = nullptr;
};

struct ClusterReading {
  std::string node;
  db::NodeState state = db::NodeState::Active;
  std::uint32_t buckets = 0;
  std::uint32_t owned = 0;
  std::uint32_t coming = 0;   // Checked by us, their lease on its way.
  std::uint32_t leaving = 0;  // On their way to another node.
  std::uint32_t nodes_live = 0;
  bool reachable = true;  // The newest question to the database was answered.
  bool valid = false;     // Our lease surely holds.
  core::Duration clock_offset{};
};

class ClusterMember : core::Pinned {
 public:
  static constexpr std::size_t kAtHandMax = 32;
  static constexpr std::size_t kLeavingMax = 128;
  static constexpr core::Duration kTurn = std::chrono::seconds{1};
  static constexpr core::Duration kTurnWhileMoving = std::chrono::milliseconds{200};
  // Ahead of the moment from which the checks are another's: it is told by the database, and asked for once in a turn.
  static constexpr core::Duration kCutAhead = std::chrono::milliseconds{1500};
  // What was missed longer ago (or than two leases) is not made up for: it would be the whole fleet at once.
  static constexpr core::Duration kMakeUpMax = std::chrono::minutes{1};

  ClusterMember(const MemberSettings& settings, db::LeaseStore& store, core::BucketTable& table,
                ClusterClock& clock, Log& log);

  // Reads the database's clock and writes our row. Where another run's lease holds under our name, waits some seconds
  // for its end. Unavailable: it holds yet, try again. Invalid, naming the remedy: it is kept alive.
  [[nodiscard]] core::Result<void> join();

  // Between join() and the first turn(): renews what we have, when it is time.
  void keep_alive();
  // Before the first turn().
  void set_care(BucketCare& care) { care_ = &care; }

  // Renews, looks, and does what follows from it.
  void turn();
  [[nodiscard]] core::SteadyTime next_turn() const { return next_turn_; }

  // We are stopping: nothing is taken any more, and from now on, or from `moment` if that has passed, our checks are the others'; but
  // for those on their way to another node already, whose moments stand. Returns the last of these moments.
  core::SteadyTime begin_leaving(core::SteadyTime moment);
  // Gives up everything. What fails is left to the leases' end.
  void leave();

  // Another process runs under our name, or the sites are parted into another number of buckets: ours must end.
  [[nodiscard]] bool usurped() const { return usurped_.load(); }  // Any thread.
  [[nodiscard]] const ClusterStats& stats() const { return stats_; }
  [[nodiscard]] ClusterReading reading() const;  // Any thread.

 private:
  enum class Hold : std::uint8_t {
    None,
    Preparing,
    AtHand,   // Its sites are read, and we say so.
    Coming,   // Its checks are ours, its lease is not yet.
    Held,
    Leaving,  // Its checks are another's from `cut` on.
  };
  struct Bucket {
    Hold hold = Hold::None;
    std::uint64_t epoch = 0;
    core::SteadyTime cut = core::kNoSteadyTime;
    std::int64_t since_ms = 0;  // When we set out to take it: until when somebody looked after its sites. See db::Taken.
  };
  // What is to be done in the store after a look, decided before anything is done.
  struct Plan {
    std::vector<core::BucketNo> take, announce, cut, take_back, release;
  };

  [[nodiscard]] bool renew(core::SteadyTime now);
  [[nodiscard]] std::optional<db::ClusterView> look();
  void be_patient();
  void reconcile(const db::ClusterView& view);
  void note_others(const db::ClusterView& view);
  void find_candidates(const db::ClusterView& view);
  [[nodiscard]] bool takes(const std::string& node) const;
  [[nodiscard]] bool should_own(core::BucketNo bucket, const std::string& node) const;
  [[nodiscard]] Plan decide(const db::ClusterView& view, core::SteadyTime now);
  void decide_free(const db::LeaseRow& lease, const db::ClusterView& view, core::SteadyTime now,
                   Plan& plan);
  void decide_own(const db::LeaseRow& lease, core::SteadyTime now, Plan& plan);
  void decide_others(const db::LeaseRow& lease, Plan& plan);
  void carry_out(const Plan& plan);
  void take(const std::vector<core::BucketNo>& buckets);
  [[nodiscard]] core::SteadyTime made_up_from(core::SteadyTime since) const;
  [[nodiscard]] core::SteadyTime made_up_since(std::int64_t db_ms) const;
  void set_cut(const std::vector<core::BucketNo>& buckets);
  void take_back(const std::vector<core::BucketNo>& buckets);
  void release(const std::vector<core::BucketNo>& buckets);
  void let_go(core::BucketNo bucket);
  void expect(core::BucketNo bucket, std::int64_t cut_ms);
  void own(core::BucketNo bucket, std::uint64_t epoch);
  void own_and_begin(core::BucketNo bucket, std::uint64_t epoch, std::int64_t since_ms);
  [[nodiscard]] bool measure_clock(int samples);
  [[nodiscard]] core::SteadyTime to_steady(std::int64_t db_ms) const;
  [[nodiscard]] core::Result<void> wait_for_our_name(db::NodeRow& row);
  void end_ourselves(const char* event, const std::string& why);
  [[nodiscard]] bool failed(const char* call, const core::Error& error);
  [[nodiscard]] Bucket& at(core::BucketNo bucket) { return buckets_[bucket.value]; }
  [[nodiscard]] bool writes_wait() const { return settings_.writes_wait && settings_.writes_wait(); }
  [[nodiscard]] std::size_t count(Hold hold) const;
  void publish();

  const MemberSettings settings_;
  db::LeaseStore& store_;
  core::BucketTable& table_;
  ClusterClock& clock_;
  Log& log_;
  BucketCare* care_ = nullptr;

  db::NodeRow row_;
  std::vector<Bucket> buckets_;
  std::vector<Candidate> candidates_;
  bool last_resort_ = false;         // They are drained: nobody else lives.
  std::vector<std::size_t> wanted_;  // Of each bucket, an index into candidates_.
  std::vector<std::string> live_;
  std::vector<std::string> taking_;  // Of them those that do not stop, so that what is promised to them is theirs. Sorted.
  core::SteadyTime renew_at_ = core::kNoSteadyTime;
  core::SteadyTime renewed_from_ = core::kNoSteadyTime;  // By boot(): before the call that renewed last.
  core::SteadyTime turned_ = core::kNoSteadyTime;        // By boot(): when the turn began.
  core::SteadyTime next_turn_ = core::kNoSteadyTime;
  core::SteadyTime answered_at_ = core::kNoSteadyTime;  // The newest look.
  core::SteadyTime patient_until_ = core::kNoSteadyTime;  // Leases that have run out are left to their owners.
  core::SteadyTime silent_at_ = core::kNoSteadyTime;      // The end of the newest silence.
  bool was_patient_ = false;  // Since the database last answered for a whole lease, one turn after the other.
  NameSight own_sight_;  // Where none was given.
  std::int64_t former_seen_ms_ = 0;  // Until the first look: when the run before ours last said that it lives.
  std::int64_t looked_ms_ = 0;       // The newest look, by the database's clock.
  std::int64_t others_ms_ = 0;       // When any other node was last there, for all that we can know.
  bool leaving_ = false;
  std::atomic<bool> usurped_{false};
  bool reachable_ = true;
  int clock_off_ = 0;  // Readings in a row that did not agree with the offset.
  ClusterStats stats_;
  mutable std::mutex mutex_;
  ClusterReading reading_;  // Guarded by mutex_.
};

}  // namespace watchwheel::app
