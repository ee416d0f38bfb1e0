// SPDX-License-Identifier: Apache-2.0
#include "app/cluster_member.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::app {
namespace {

using core::BucketNo;
using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

// Of the lease: how often it is renewed, what we end it earlier than the database does, and how long we wait for the others where all
// may have lost it.
constexpr int kRenewParts = 3;
constexpr int kMarginParts = 5;
constexpr int kPatienceParts = 2;
// Nearer than this the clocks agree; a phase may be off by it.
constexpr Duration kClockSlack = 100ms;
// A reading that took longer says too little.
constexpr Duration kClockRoundMax = 50ms;
constexpr int kClockSamples = 5;
constexpr int kClockOffMax = 3;
// Within it a daemon of our name that lives renews its lease, if that is not much longer than usual; else it is told in a later attempt.
constexpr Duration kNameWait = 6s;

std::int64_t whole_ms(Duration d) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(d).count();
}

// As LeaseStore::take() will say it. 0: nobody did.
std::int64_t looked_after_until(const db::LeaseRow& lease, const db::ClusterView& view,
                                std::int64_t our_lease_ms) {
  if (lease.owner.empty()) return lease.cut_ms;
  const auto owner = std::find_if(view.nodes.begin(), view.nodes.end(),
                                  [&](const db::NodeRow& one) { return one.name == lease.owner; });
  const std::int64_t lease_ms = owner == view.nodes.end() ? our_lease_ms : owner->lease_ms;
  const std::int64_t renewed_ms = lease.expires_ms - lease_ms;
  return lease.cut_ms == 0 ? renewed_ms : std::min(renewed_ms, lease.cut_ms);
}

}  // namespace

ClusterMember::ClusterMember(const MemberSettings& settings, db::LeaseStore& store,
                             core::BucketTable& table, ClusterClock& clock, Log& log)
    : settings_(settings),
      store_(store),
      table_(table),
      clock_(clock),
      log_(log),
      buckets_(table.buckets()) {
  row_.name = settings.node;
  row_.instance = settings.instance;
  row_.version = settings.version;
  row_.weight = settings.weight;
  row_.lease_ms = whole_ms(settings.lease);
}

// ---- Joining ----

core::Result<void> ClusterMember::join() {
  if (auto set = store_.set_up(table_.buckets()); !set) return set;
  if (!measure_clock(kClockSamples))
    return core::Error{core::ErrorKind::Unavailable, "the database's clock cannot be read"};
  const SteadyTime from = clock_.boot();
  if (auto free = wait_for_our_name(row_); !free) return free;
  // What a run before ours held is ours to write for: it may have left something to be written.
  const auto view = store_.look(row_.name);
  if (!view) return view.error();
  for (const db::LeaseRow& lease : view->leases) {
    if (lease.owner == row_.name && lease.bucket.value < table_.buckets())
      table_.set_epoch(lease.bucket, lease.epoch);
  }
  note_others(*view);
  table_.set_fence(view->fence);
  table_.set_valid_until(from + settings_.lease - settings_.lease / kMarginParts);
  log_.info(fmt::format("cluster_joined node={} buckets={} lease_s={:.1f} clock_offset_s={:.3f}",
                        row_.name, table_.buckets(), core::to_seconds(settings_.lease),
                        core::to_seconds(clock_.offset())));
  renew_at_ = clock_.steady();
  return {};
}

void ClusterMember::keep_alive() {
  const SteadyTime now = clock_.steady();
  if (now < renew_at_ || !renew(now)) return;
  table_.set_valid_until(renewed_from_ + settings_.lease - settings_.lease / kMarginParts);
}

// A run before ours may have died and left its row; or another host has the same name, by mistake.
core::Result<void> ClusterMember::wait_for_our_name(db::NodeRow& row) {
  NameSight& sight = settings_.sight != nullptr ? *settings_.sight : own_sight_;
  sight.waits = false;
  const SteadyTime until = clock_.steady() + kNameWait;
  while (true) {
    const auto view = store_.look(row.name);
    if (!view) return view.error();
    const auto found = std::find_if(view->nodes.begin(), view->nodes.end(),
                                    [&](const db::NodeRow& one) { return one.name == row.name; });
    std::string expected;
    if (found != view->nodes.end()) {
      expected = found->instance;
      former_seen_ms_ = found->seen_ms;
      const bool over = expected == row.instance ||  // This process, which tried before.
                        found->state == db::NodeState::Gone ||
                        found->seen_ms + found->lease_ms < view->now_ms ||
                        (settings_.surely_dead && settings_.surely_dead(expected));
      const bool known = sight.seen_ms >= 0 && sight.instance == expected;
      if (!over && known && found->seen_ms != sight.seen_ms) {
        return core::Error{core::ErrorKind::Invalid,
                           "another daemon runs as node " + row.name + " (" + expected +
                               "); give each its own cluster.node"};
      }
      if (!over && clock_.steady() >= until) {
        sight.waits = true;
        return core::Error{core::ErrorKind::Unavailable,
                           "node " + row.name + " was " + expected +
                               " and its lease holds yet; it is ours when that ends"};
      }
      if (!over) {
        if (!known)
          log_.warn(fmt::format("node_name_held node={} instance={} wait_s={:.1f}", row.name,
                                expected, static_cast<double>(found->lease_ms) / 1000));
        sight.instance = expected;
        sight.seen_ms = found->seen_ms;
        clock_.sleep_for(500ms);
        continue;
      }
    }
    const auto joined = store_.join(row, expected);
    if (!joined) return joined.error();
    if (*joined) return {};
  }
}

// ---- A turn ----

void ClusterMember::turn() {
  const SteadyTime now = clock_.steady();
  next_turn_ = now + kTurn;
  table_.note_running();
  turned_ = clock_.boot();
  if (usurped_ || !renew(now)) {
    publish();
    return;
  }
  const auto view = look();
  if (!view) {
    publish();
    return;
  }
  reconcile(*view);
  find_candidates(*view);
  carry_out(decide(*view, now));
  if (count(Hold::None) + count(Hold::Held) != buckets_.size())
    next_turn_ = now + kTurnWhileMoving;
  publish();
}

bool ClusterMember::failed(const char* call, const core::Error& error) {
  stats_.errors.add();
  if (error.kind == core::ErrorKind::Fenced) end_ourselves("node_usurped", error.message);
  table_.set_asked(turned_);
  if (std::exchange(reachable_, false))
    log_.warn(fmt::format("cluster_store_failed call={} kind={} error=\"{}\"", call,
                          core::to_string(error.kind), error.message));
  return false;
}

// Nothing that we believe holds any more, and what we would write is another's to write.
void ClusterMember::end_ourselves(const char* event, const std::string& why) {
  if (usurped_.exchange(true)) return;
  log_.error(fmt::format("{} node={} action=stop error=\"{}\"", event, row_.name, why));
  for (std::uint32_t i = 0; i < buckets_.size(); ++i) table_.set_epoch(BucketNo{i}, 0);
  table_.set_fence(-1);
}

bool ClusterMember::renew(SteadyTime now) {
  if (now < renew_at_) return true;
  const SteadyTime from = clock_.boot();
  const auto renewed = store_.renew(row_);
  if (!renewed) return failed("renew", renewed.error());
  if (!*renewed) {
    end_ourselves("node_usurped", "");
    return false;
  }
  renewed_from_ = from;
  renew_at_ = now + settings_.lease / kRenewParts;
  stats_.renewed.add();
  stats_.renewed_at.set(static_cast<double>(core::to_unix_ms(clock_.wall())) / 1000);
  (void)measure_clock(1);
  return true;
}

std::optional<db::ClusterView> ClusterMember::look() {
  const core::WallTime asked = clock_.wall();
  auto view = store_.look(row_.name);
  if (!view) {
    (void)failed("look", view.error());
    return std::nullopt;
  }
  // Their clock was read between the question and the answer. If that cannot be by ours, ours was set: at once, or the next moment we
  // name, or wait for, is wrong by as much.
  const core::WallTime theirs = core::from_unix_ms(view->now_ms);
  if (theirs < asked - kClockSlack || theirs > clock_.wall() + kClockSlack) {
    if (!measure_clock(kClockSamples)) return std::nullopt;
    log_.warn(fmt::format("cluster_clock_moved offset_s={:.3f}", core::to_seconds(clock_.offset())));
  }
  // Whoever changed the number took us for gone. By the old one nothing can be taken or given, and as one of those who take we would
  // keep everybody else from what should be ours.
  if (view->leases.size() != buckets_.size()) {
    end_ourselves("buckets_parted_anew", fmt::format("there are {} buckets, and this process was started for {}",
                                                     view->leases.size(), buckets_.size()));
    return std::nullopt;
  }
  if (!std::exchange(reachable_, true)) log_.info("cluster_store_back");
  be_patient();
  return *std::move(view);
}

// The database was away, for others too perhaps: all leases have run out, and whoever is back first would take everything. So is it
// for one that has just started. No lease of theirs can end in a silence that is shorter than what is left of it when it is due to be
// renewed. Where the database is slow and answers now and then, one silence after another, the dead are followed nevertheless.
void ClusterMember::be_patient() {
  const SteadyTime now = clock_.steady();
  const bool first = answered_at_ == core::kNoSteadyTime;
  const Duration silence = now - std::exchange(answered_at_, now);
  if (!first && silence <= settings_.lease / kRenewParts) {
    if (now - silent_at_ > settings_.lease) was_patient_ = false;
    return;
  }
  silent_at_ = now;
  if (!first && silence <= settings_.lease / kPatienceParts) return;
  if (!first && was_patient_ && silence <= settings_.lease) return;
  was_patient_ = true;
  patient_until_ = now + settings_.lease / kPatienceParts;
}

// What the database says of ours goes before what we believe. What is lost first, then the fence under which that is known, then
// that the lease holds: whoever asks in between is told less than is true, never more.
void ClusterMember::reconcile(const db::ClusterView& view) {
  std::size_t lost = 0;
  std::string taker;  // Of one of them.
  for (const db::LeaseRow& lease : view.leases) {
    Bucket& bucket = at(lease.bucket);
    const bool ours = lease.owner == row_.name;
    const bool believed = bucket.hold == Hold::Held || bucket.hold == Hold::Leaving;
    if (believed && (!ours || lease.epoch != bucket.epoch)) {
      ++lost;
      taker = lease.owner;
      let_go(lease.bucket);
    }
    // Also what a run before ours held when we joined, and what we would not write for any more but did not come to give up.
    table_.set_epoch(lease.bucket, ours ? lease.epoch : 0);
    // A take whose answer was lost; or what a run before ours held.
    if (ours && bucket.hold != Hold::Held && bucket.hold != Hold::Leaving) {
      std::int64_t since_ms = bucket.since_ms != 0 ? bucket.since_ms : former_seen_ms_;
      // That run was stopping: up to this moment it looked after them.
      if (lease.cut_ms != 0 && since_ms != 0) since_ms = std::min(since_ms, lease.cut_ms);
      own_and_begin(lease.bucket, lease.epoch, since_ms);
    }
  }
  former_seen_ms_ = 0;
  if (lost > 0) {
    stats_.lost.add(lost);
    log_.warn(fmt::format("leases_lost count={} to={} owned={}", lost, taker, count(Hold::Held)));
  }
  table_.set_fence(view.fence);
  table_.set_valid_until(renewed_from_ + settings_.lease - settings_.lease / kMarginParts);
  table_.set_asked(turned_);
}

// One that has left may come back while we cannot see it, and take what is ours. Nor do we see one that has lost the database with us:
// while we did not look nobody grew older. The first look of a process comes after the last sign of the run before it; of a new name
// there is none.
void ClusterMember::note_others(const db::ClusterView& view) {
  std::int64_t seen_ms = others_ms_;
  bool others = false;
  for (const db::NodeRow& node : view.nodes) {
    if (node.name == row_.name) continue;
    others = true;
    seen_ms = std::max(seen_ms, node.seen_ms);
  }
  const std::int64_t before_ms = looked_ms_ != 0 ? looked_ms_ : former_seen_ms_;
  if (view.now_ms - before_ms > row_.lease_ms) {
    const std::int64_t gone_ms = std::max<std::int64_t>(before_ms - seen_ms, 0);
    if (gone_ms <= db::kForgottenAfterMs) seen_ms = view.now_ms - gone_ms;
  }
  looked_ms_ = view.now_ms;
  others_ms_ = seen_ms;
  stats_.alone.set(others && seen_ms + db::kForgottenAfterMs >= view.now_ms ? 0 : 1);
}

void ClusterMember::find_candidates(const db::ClusterView& view) {
  std::vector<Candidate> candidates;
  std::vector<Candidate> drained;
  live_.clear();
  taking_.clear();
  bool drain = leaving_;
  for (const db::NodeRow& node : view.nodes) {
    if (node.name == row_.name) drain = drain || node.drain_wanted;
    if (node.state == db::NodeState::Gone || node.seen_ms + node.lease_ms < view.now_ms) continue;
    live_.push_back(node.name);
    const bool stops = node.state == db::NodeState::Draining && !node.drain_wanted;
    if (!stops && (node.name != row_.name || !leaving_)) taking_.push_back(node.name);
    if (node.state == db::NodeState::Active && !node.drain_wanted &&
        (node.name != row_.name || !leaving_))
      candidates.push_back({node.name, std::max(1U, node.weight)});
    if (node.drain_wanted && (node.name != row_.name || !leaving_))
      drained.push_back({node.name, std::max(1U, node.weight)});
  }
  // Those that were to be relieved take what nobody else is there for; they hand nothing to each other.
  last_resort_ = candidates.empty();
  if (last_resort_) candidates = std::move(drained);
  std::sort(taking_.begin(), taking_.end());
  const db::NodeState state = drain ? db::NodeState::Draining : db::NodeState::Active;
  if (std::exchange(row_.state, state) != state) {
    renew_at_ = core::kNoSteadyTime;  // Said at once.
    log_.info(fmt::format("node_state node={} state={}", row_.name, db::to_string(state)));
  }
  stats_.nodes_live.set(static_cast<double>(live_.size()));
  note_others(view);
  if (candidates == candidates_) return;
  candidates_ = std::move(candidates);
  wanted_ = wanted_owners(candidates_, table_.buckets());
  log_.info(fmt::format("cluster_nodes live={} taking={}", live_.size(), candidates_.size()));
}

bool ClusterMember::takes(const std::string& node) const {
  return std::binary_search(taking_.begin(), taking_.end(), node);
}

bool ClusterMember::should_own(BucketNo bucket, const std::string& node) const {
  return !wanted_.empty() && candidates_[wanted_[bucket.value]].name == node;
}

// ---- Deciding ----

ClusterMember::Plan ClusterMember::decide(const db::ClusterView& view, SteadyTime now) {
  for (const BucketNo bucket : care_->take_prepared()) {
    if (at(bucket).hold == Hold::Preparing) at(bucket).hold = Hold::AtHand;
  }
  Plan plan;
  for (const db::LeaseRow& lease : view.leases) {
    if (lease.owner == row_.name) {
      decide_own(lease, now, plan);
    } else if (lease.owner.empty() || lease.expires_ms < view.now_ms) {
      decide_free(lease, view, now, plan);
    } else {
      decide_others(lease, plan);
    }
  }
  return plan;
}

// Nobody's. One that was given up for a node is that node's for as long as it lives and might still be on its way.
void ClusterMember::decide_free(const db::LeaseRow& lease, const db::ClusterView& view,
                                SteadyTime now, Plan& plan) {
  if (leaving_) return;
  if (!lease.owner.empty() && now < patient_until_) return;
  const bool promised = lease.cut_ms != 0 && !lease.taker.empty() && takes(lease.taker) &&
                        view.now_ms - std::max(lease.moved_ms, lease.expires_ms) < row_.lease_ms;
  const bool mine = promised ? lease.taker == row_.name : should_own(lease.bucket, row_.name);
  if (!mine) return;
  plan.take.push_back(lease.bucket);
  at(lease.bucket).since_ms = looked_after_until(lease, view, row_.lease_ms);
}

void ClusterMember::decide_own(const db::LeaseRow& lease, SteadyTime now, Plan& plan) {
  Bucket& bucket = at(lease.bucket);
  if (bucket.hold == Hold::Held && lease.cut_ms != 0 && !leaving_) {
    // What we say ourselves is said to a taker. This a run before ours said when it was stopped, and it is not so any more: the checks
    // go on, whether or not the database can be told now.
    if (lease.taker.empty()) {
      plan.take_back.push_back(lease.bucket);
      return;
    }
    bucket.hold = Hold::Leaving;  // Our word, whose answer was lost.
    bucket.cut = to_steady(lease.cut_ms);
    table_.watch_until(lease.bucket, bucket.cut);
  }
  if (bucket.hold == Hold::Leaving) {
    if (leaving_) return;  // All at once, when everything has ended.
    if (lease.taker.empty() || !takes(lease.taker)) {  // None: it was taken back, and the answer lost.
      plan.take_back.push_back(lease.bucket);
      return;
    }
    // What we judged cannot be stored, and until it is the taker may not write: a site that it finds down is told by nobody. It is
    // rather we who look after them.
    if (now >= bucket.cut + settings_.leave_within && writes_wait()) {
      plan.take_back.push_back(lease.bucket);
      return;
    }
    const bool quiet = table_.rows(lease.bucket) == 0;
    if (now >= bucket.cut && !writes_wait() &&
        (quiet || now >= bucket.cut + settings_.leave_within))
      plan.release.push_back(lease.bucket);
    return;
  }
  if (bucket.hold != Hold::Held || leaving_ || lease.taker.empty()) return;
  const bool its_turn =
      !last_resort_ && should_own(lease.bucket, lease.taker) && takes(lease.taker);
  if (its_turn && !writes_wait() && count(Hold::Leaving) + plan.cut.size() < kLeavingMax)
    plan.cut.push_back(lease.bucket);
}

// Somebody's who lives.
void ClusterMember::decide_others(const db::LeaseRow& lease, Plan& plan) {
  Bucket& bucket = at(lease.bucket);
  const bool should = !leaving_ && should_own(lease.bucket, row_.name);
  const bool wanted = should && !last_resort_;
  const bool ours_from_cut = !leaving_ && lease.cut_ms != 0 &&
                             (lease.taker == row_.name || (lease.taker.empty() && should));
  switch (bucket.hold) {
    case Hold::Coming:
      if (!ours_from_cut) let_go(lease.bucket);
      return;
    case Hold::None:
    case Hold::Preparing:
    case Hold::AtHand:
      if (ours_from_cut) {
        expect(lease.bucket, lease.cut_ms);
      } else if (!wanted) {
        if (bucket.hold != Hold::None) care_->forget(lease.bucket);
        bucket.hold = Hold::None;
      } else if (bucket.hold == Hold::None) {
        if (count(Hold::Preparing) + count(Hold::AtHand) >= kAtHandMax) return;
        bucket.hold = Hold::Preparing;
        care_->prepare(lease.bucket);
      } else if (bucket.hold == Hold::AtHand && lease.taker != row_.name && lease.cut_ms == 0) {
        plan.announce.push_back(lease.bucket);
      }
      return;
    case Hold::Held:
    case Hold::Leaving:
      ENSURE(false, "a bucket is held that another node owns");
  }
}

// ---- Doing ----

void ClusterMember::carry_out(const Plan& plan) {
  if (!plan.take.empty()) take(plan.take);
  if (!plan.announce.empty()) {
    if (auto done = store_.announce(row_, plan.announce); !done)
      (void)failed("announce", done.error());
  }
  if (!plan.cut.empty()) set_cut(plan.cut);
  if (!plan.take_back.empty()) take_back(plan.take_back);
  if (!plan.release.empty()) release(plan.release);
}

void ClusterMember::take(const std::vector<BucketNo>& buckets) {
  const auto taken = store_.take(row_, buckets);
  if (!taken) {
    (void)failed("take", taken.error());  // The next look shows whether it was done.
    return;
  }
  std::size_t expired = 0;
  for (const db::Taken& one : *taken) {
    const bool begun = at(one.bucket).hold == Hold::Coming;
    own_and_begin(one.bucket, one.epoch, one.since_ms);
    (one.expired ? stats_.taken_expired : begun ? stats_.taken_handed : stats_.taken_free).add();
    expired += one.expired ? 1 : 0;
  }
  if (!taken->empty())
    log_.info(fmt::format("buckets_taken count={} expired={} owned={}", taken->size(), expired,
                          count(Hold::Held)));
}

// From when on what fell due is checked now, for a bucket that nobody looked after since then.
SteadyTime ClusterMember::made_up_from(SteadyTime since) const {
  // A lease that has run out tells of nothing newer than a whole lease.
  const Duration most = std::max<Duration>(kMakeUpMax, settings_.lease * 2);
  return clock_.steady() - since < most ? since : core::kNoSteadyTime;
}

SteadyTime ClusterMember::made_up_since(std::int64_t db_ms) const {
  return db_ms == 0 ? core::kNoSteadyTime : made_up_from(to_steady(db_ms));
}

void ClusterMember::set_cut(const std::vector<BucketNo>& buckets) {
  const SteadyTime cut = clock_.steady() + kCutAhead;
  const std::int64_t cut_ms = core::to_unix_ms(clock_.wall() + kCutAhead);
  if (auto done = store_.set_cut(row_, buckets, cut_ms); !done) {
    (void)failed("set_cut", done.error());
    return;
  }
  for (const BucketNo bucket : buckets) {
    at(bucket).hold = Hold::Leaving;
    at(bucket).cut = cut;
    table_.watch_until(bucket, cut);
  }
}

// The one it was for is gone, or we cannot part with it: its checks since then are ours again. Of a stopped run's word they are
// already, since the lease was found to be ours.
void ClusterMember::take_back(const std::vector<BucketNo>& buckets) {
  if (auto done = store_.set_cut(row_, buckets, 0); !done) {
    (void)failed("take_back", done.error());
    return;
  }
  std::size_t held = 0;
  for (const BucketNo bucket : buckets) {
    if (at(bucket).hold == Hold::Held) {
      ++held;
      continue;
    }
    at(bucket).hold = Hold::Held;
    table_.watch(bucket);
    care_->begin(bucket, made_up_from(at(bucket).cut));
  }
  if (held > 0) log_.info(fmt::format("buckets_kept count={} reason=restarted", held));
  if (held < buckets.size())
    log_.info(fmt::format("buckets_kept count={} reason={}", buckets.size() - held,
                          writes_wait() ? "journal" : "taker_gone"));
}

// We stop believing in them first: what is still on its way to the database is refused there.
void ClusterMember::release(const std::vector<BucketNo>& buckets) {
  for (const BucketNo bucket : buckets) table_.set_epoch(bucket, 0);
  const auto fence = store_.release(row_, buckets);
  if (!fence) {
    (void)failed("release", fence.error());
    // Whether it was done, the next look shows. Until then we do not write for them.
    return;
  }
  table_.set_fence(*fence);
  for (const BucketNo bucket : buckets) let_go(bucket);
  stats_.given.add(buckets.size());
  log_.info(fmt::format("buckets_given count={} owned={}", buckets.size(), count(Hold::Held)));
}

void ClusterMember::let_go(BucketNo bucket) {
  table_.set_epoch(bucket, 0);
  table_.watch_until(bucket, core::kNoSteadyTime);
  at(bucket) = Bucket{};
}

void ClusterMember::expect(BucketNo bucket, std::int64_t cut_ms) {
  at(bucket).hold = Hold::Coming;
  at(bucket).cut = to_steady(cut_ms);
  table_.watch(bucket);
  care_->begin(bucket, made_up_from(at(bucket).cut));
}

void ClusterMember::own(BucketNo bucket, std::uint64_t epoch) {
  at(bucket).hold = Hold::Held;
  at(bucket).epoch = epoch;
  at(bucket).since_ms = 0;
  table_.watch(bucket);
  table_.set_epoch(bucket, epoch);
}

// Nobody else can write for it any more, so what is read from now on is the last word: also for one that we check already, and for
// one whose sites were read before, while its owner could still open an event.
void ClusterMember::own_and_begin(BucketNo bucket, std::uint64_t epoch, std::int64_t since_ms) {
  const Hold before = at(bucket).hold;
  if (before == Hold::Preparing || before == Hold::AtHand) care_->forget(bucket);
  own(bucket, epoch);
  care_->begin(bucket, before == Hold::Coming ? core::kNoSteadyTime : made_up_since(since_ms));
}

// ---- Leaving ----

// What is told is the very moment that we keep to ourselves, however long the telling takes.
SteadyTime ClusterMember::begin_leaving(SteadyTime moment) {
  leaving_ = true;
  row_.state = db::NodeState::Draining;
  std::vector<BucketNo> ours;
  const SteadyTime now = clock_.steady();
  moment = std::min(moment, now);
  const std::int64_t moment_ms = core::to_unix_ms(clock_.wall() - (now - moment));
  SteadyTime last = moment;
  for (std::uint32_t i = 0; i < buckets_.size(); ++i) {
    const BucketNo bucket{i};
    if (at(bucket).hold == Hold::Leaving) last = std::max(last, at(bucket).cut);
    // What is on its way to us stays with its owner, which looks after it again as soon as it sees that we stop.
    if (at(bucket).hold == Hold::Preparing || at(bucket).hold == Hold::AtHand) care_->forget(bucket);
    if (at(bucket).hold != Hold::Held && at(bucket).hold != Hold::Leaving) let_go(bucket);
    if (at(bucket).hold != Hold::Held) continue;
    ours.push_back(bucket);
    at(bucket).hold = Hold::Leaving;
    at(bucket).cut = moment;
    table_.watch_until(bucket, moment);
  }
  if (usurped_) return last;
  const auto renewed = store_.renew(row_);
  if (!renewed) {
    (void)failed("renew", renewed.error());
    return last;
  }
  if (auto cut = store_.set_cut(row_, ours, moment_ms); !cut)
    (void)failed("set_cut", cut.error());
  return last;
}

void ClusterMember::leave() {
  for (std::uint32_t i = 0; i < buckets_.size(); ++i) table_.set_epoch(BucketNo{i}, 0);
  table_.set_fence(-1);
  if (usurped_) return;
  if (writes_wait()) {
    log_.warn(fmt::format("leases_kept node={} reason=journal lease_s={:.1f}", row_.name,
                          core::to_seconds(settings_.lease)));
    return;
  }
  if (auto left = store_.leave(row_); !left) {
    (void)failed("leave", left.error());
    return;
  }
  log_.info(fmt::format("cluster_left node={}", row_.name));
}

// ---- Clocks ----

// The reading with the shortest way there and back says most. Where many disagree with what we have, they win; one may have been
// held up.
bool ClusterMember::measure_clock(int samples) {
  Duration best_round = Duration::max();
  Duration offset{};
  for (int i = 0; i < samples; ++i) {
    const SteadyTime before = clock_.steady();
    const core::WallTime machine = clock_.machine_wall();
    const auto theirs = store_.now_ms();
    if (!theirs) return failed("now", theirs.error());
    const Duration round = clock_.steady() - before;
    if (round >= best_round) continue;
    best_round = round;
    offset = core::from_unix_ms(*theirs) + 500us - (machine + round / 2);  // Whole milliseconds are read.
  }
  const Duration off = offset - clock_.offset();
  const bool agrees = off < kClockSlack && off > -kClockSlack;
  if (samples == 1 && (agrees || best_round > kClockRoundMax)) {
    if (agrees) clock_off_ = 0;
    return true;
  }
  if (samples == 1 && ++clock_off_ < kClockOffMax) return true;
  clock_off_ = 0;
  if (samples == 1)
    log_.warn(fmt::format("cluster_clock_moved offset_s={:.3f} was_s={:.3f}",
                          core::to_seconds(offset), core::to_seconds(clock_.offset())));
  clock_.set_offset(offset);
  return true;
}

SteadyTime ClusterMember::to_steady(std::int64_t db_ms) const {
  return clock_.steady() + (core::from_unix_ms(db_ms) - clock_.wall());
}

// ---- Reading ----

std::size_t ClusterMember::count(Hold hold) const {
  return static_cast<std::size_t>(std::count_if(
      buckets_.begin(), buckets_.end(), [hold](const Bucket& one) { return one.hold == hold; }));
}

void ClusterMember::publish() {
  const auto of = [this](Hold hold) { return static_cast<std::uint32_t>(count(hold)); };
  stats_.buckets_owned.set(static_cast<double>(count(Hold::Held) + count(Hold::Leaving)));
  const std::lock_guard lock(mutex_);
  reading_ = {.node = row_.name,
              .state = row_.state,
              .buckets = table_.buckets(),
              .owned = of(Hold::Held) + of(Hold::Leaving),
              .coming = of(Hold::Coming),
              .leaving = of(Hold::Leaving),
              .nodes_live = static_cast<std::uint32_t>(live_.size()),
              .reachable = reachable_,
              .valid = table_.valid(),
              .clock_offset = clock_.offset()};
}

ClusterReading ClusterMember::reading() const {
  const std::lock_guard lock(mutex_);
  return reading_;
}

}  // namespace watchwheel::app
