// SPDX-License-Identifier: Apache-2.0
#include "app/lane.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

#include "core/hash.h"

namespace watchwheel::app {
namespace {

using core::Cause;
using core::Duration;
using core::Outcome;
using core::SiteSlot;
using core::SiteState;
using core::SteadyTime;
using core::WallTime;
using namespace std::chrono_literals;

// How long a lane may sleep with nothing to do: its rings are polled, nobody has to wake it.
constexpr Duration kIdleWait = 100ms;
// Beyond interval + timeout: what a result may be late before a site counts as unknown. Covers one
// tick, one turn and pacing.
constexpr Duration kFreshnessSlack = 2s;
constexpr Duration kSweepEvery = 20ms;
// A slice takes a millisecond or two at most; a table of more rows than fifty of them is swept in more than a second.
constexpr std::uint32_t kSweepSliceMax = 40'000;
constexpr Duration kPrepareAgain = 60s;
// How often facts that no shard has acknowledged are posted again: a shard may have set them aside.
constexpr Duration kRepostEvery = 60s;
constexpr Duration kWorstLagWindow = 10s;

// Slot and generation, so that the result of a site that was removed is not taken for that of the
// site in its place; and the tier it was admitted under, which the URL may no longer tell when it
// ends. 16 bits: a list whose sites come and go uses a slot more than 256 times within one timeout.
checker::ProbeToken token_of(SiteSlot slot, std::uint16_t generation, scheduler::Tier tier) {
  return (static_cast<std::uint64_t>(tier) << 48U) |
         (static_cast<std::uint64_t>(generation) << 32U) | slot.value;
}
SiteSlot slot_of(checker::ProbeToken token) {
  return SiteSlot{static_cast<std::uint32_t>(token & 0xffffffffU)};
}
std::uint16_t generation_of(checker::ProbeToken token) {
  return static_cast<std::uint16_t>(token >> 32U);
}
scheduler::Tier tier_of(checker::ProbeToken token) {
  return static_cast<scheduler::Tier>((token >> 48U) & 3U);
}

scheduler::Tier tier_of(std::string_view url, const core::CheckOptions& options) {
  const bool keeps_body = !options.body_match.empty() || !options.body_not_match.empty() ||
                          !options.json_equals.empty();
  if (keeps_body) return scheduler::Tier::Kept;
  return url.starts_with("https:") ? scheduler::Tier::Tls : scheduler::Tier::Plain;
}

std::uint64_t certificate_hash(const core::ProbeResult& result) {
  if (!result.tls) return 0;
  std::uint64_t hash = 0;
  std::memcpy(&hash, result.tls->fingerprint.data(), sizeof hash);
  return hash;
}

}  // namespace

Lane::Lane(const LaneSettings& settings, LanePorts ports, SteadyTime now, WallTime wall)
    : number_(settings.number),
      ports_(std::move(ports)),
      tuning_(settings.tuning),
      sites_(settings.sites_max),
      admission_(settings.admission),
      scheduler_(std::make_unique<scheduler::Scheduler>(scheduler::Limits{}, sites_, now, wall)),
      attention_(settings.tuning.confirm, settings.jitter_seed),
      budget_(settings.clock, kTurnShare),
      vantage_(ports_.vantage, settings.jitter_seed),
      now_(now),
      wall_(wall),
      memory_(settings.memory) {
  ENSURE(!ports_.shards.empty() && ports_.inbox != nullptr && ports_.marks != nullptr,
         "a lane needs all its ports");
  responses_.keep(tuning_.rollups);
}

Lane::~Lane() = default;

void Lane::attach(checker::Prober& prober) {
  ENSURE(prober_ == nullptr, "a lane has one prober");
  prober_ = &prober;
}

void Lane::begin_turn(SteadyTime now, WallTime wall) {
  owner_.ensure_here();
  now_ = now;
  wall_ = wall;
  vantage_.begin_turn();
}

void Lane::turn(SteadyTime now, WallTime wall) {
  begin_turn(now, wall);
  take_messages();
  take_notes();
  ask_of_left();
  release_held();
  scheduler_->turn(now, wall);
  admission_.update(scheduler_->required_per_second(), now);
  prober_->set_in_flight_limit(admission_.limit());
  heed_memory();
  if (admitting_ && (ports_.buckets == nullptr || !ports_.buckets->unsure())) start_due();
  sweep_slice();
  stats_.turns.store(stats_.turns.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

SteadyTime Lane::next_turn(SteadyTime now) const {
  // The last turn left some.
  if (ports_.inbox->depth() > 0) return now;
  for (const auto* ring : ports_.notes) {
    if (ring->depth() > 0) return now;
  }
  const SteadyTime idle = now + kIdleWait;
  if (!admitting_) return idle;
  // When admission is full, the next result makes room; waking at the pacer's time would only spin.
  if (scheduler_->queued() > 0 && prober_->in_flight() >= admission_.limit()) return idle;
  return std::min(idle, scheduler_->next_turn(now));
}

void Lane::heed_memory() {
  if (memory_ == nullptr) return;
  admission_.set_memory_relief(memory_->relief());
  const std::uint32_t shrinks = memory_->shrinks.load(std::memory_order_relaxed);
  if (std::exchange(shrinks_seen_, shrinks) != shrinks) prober_->give_back_memory();
}

// ---- What comes in ----

void Lane::take_messages() {
  LaneMessage message;
  budget_.begin();
  for (std::size_t i = 0; i < kMessagesPerTurn && !budget_.spent(); ++i) {
    if (!ports_.inbox->take(message)) return;
    apply(std::move(message));
  }
}

void Lane::apply(LaneMessage&& message) {
  switch (message.kind) {
    case LaneMessage::Kind::Nothing:
      break;
    case LaneMessage::Kind::Put:
      message.active ? put(std::move(message)) : put_paused(message);
      break;
    case LaneMessage::Kind::Remove:
      if (message.open_event && !attention_.contains(message.id))
        attention_.restore(message.id, *message.open_event);
      remove(message.id, core::Presence::Removed);
      break;
    case LaneMessage::Kind::Leave:
      paused_.erase(message.id);
      if (const SiteSlot slot = sites_.find(message.id); slot != core::kNoSlot) drop_row(slot);
      if (attention_.contains(message.id)) left_.add(message.id, now_);
      attention_.forget(message.id);
      break;
    case LaneMessage::Kind::Tune:
      tuning_ = *message.tuning;
      attention_.set_policy(tuning_.confirm);
      responses_.keep(tuning_.rollups);
      break;
    case LaneMessage::Kind::Loaded:
      stats_.loaded.store(true);
      break;
  }
}

void Lane::put(LaneMessage&& message) {
  ENSURE(message.url.size() <= core::kUrlBytesMax, "the feeder cuts URLs that are too long");
  paused_.erase(message.id);
  const scheduler::PlanIndex plan = intern(message.options, message.problem);
  const SiteSlot slot = sites_.find(message.id);
  if (slot == core::kNoSlot) {
    add(message, plan);
  } else {
    edit(slot, message, plan);
  }
}

void Lane::add(const LaneMessage& message, scheduler::PlanIndex plan) {
  const SiteSlot slot = sites_.add(message.id, message.url, message.interval, plan);
  if (slot ==
      core::
          kNoSlot) {  // The operator's list is larger than the table may grow: say so, keep the others.
    release_plan(plan);
    stats_.sites_refused.add();
    return;
  }
  if (message.open_event && !attention_.contains(message.id))
    attention_.restore(message.id, *message.open_event);
  scheduler::SiteRow& row = sites_.row(slot);
  row.troubled = attention_.contains(message.id);
  row.since = now_;
  if (message.last_checked_at != core::kNoWallTime) {
    row.checked = now_ - std::max(Duration::zero(), wall_ - message.last_checked_at);
  }
  scheduler_->set_priority(slot, message.options->priority);
  if (message.from != core::kNoSteadyTime) {
    scheduler_->take_over(slot, message.from, now_);
  } else {
    scheduler_->add(slot, message.last_checked_at, now_);
  }
  if (ports_.buckets != nullptr) ports_.buckets->row_added(message.id);
}

void Lane::edit(SiteSlot slot, const LaneMessage& message, scheduler::PlanIndex plan) {
  scheduler::SiteRow& row = sites_.row(slot);
  const bool asks_differently = sites_.url(slot) != message.url || sites_.plan(slot) != plan;
  if (sites_.url(slot) != message.url) {
    sites_.set_url(slot, message.url);
    // What was seen of another URL says nothing of this one: it counts from now, and its first result is projected at once. Until
    // then it is unknown: a mark of the other URL may have come to the store after the edit.
    const bool was_told = row.projected != core::kNoSteadyTime;
    row.checked = core::kNoSteadyTime;
    row.since = now_;
    row.cert_hash = 0;
    row.cause = Cause::Ok;
    row.http_status = 0;
    row.total_ms = 0;
    row.measured = row.stale = false;
    if (was_told) project(slot, false, nullptr);
    row.projected = core::kNoSteadyTime;
  }
  const scheduler::PlanIndex before = sites_.plan(slot);
  sites_.set_plan(slot, plan);
  scheduler_->set_priority(slot, message.options->priority);
  release_plan(before);  // Also when it is the same one: intern() counted it once more.
  if (asks_differently && row.asking) row.edited = true;
  // Opened by the host that had the site before, after we had read it. What has ended since turns out with the next result.
  if (message.taken && message.open_event && !attention_.contains(message.id)) {
    attention_.restore(message.id, *message.open_event);
    row.troubled = true;
  }
  if (sites_.interval(slot) != message.interval) {
    sites_.set_interval(slot, message.interval);
    scheduler_->reschedule(slot, now_);
  }
  // What others are asked about it is another check now.
  if (asks_differently && tuning_.confirm.verified() && attention_.contains(message.id))
    post(message.id, facts_of(message.id));
}

void Lane::put_paused(const LaneMessage& message) {
  if (message.open_event && !attention_.contains(message.id))
    attention_.restore(message.id, *message.open_event);
  remove(message.id, core::Presence::Paused);
  paused_.try_emplace(message.id);
}

void Lane::remove(core::SiteId id, core::Presence presence) {
  paused_.erase(id);
  if (const SiteSlot slot = sites_.find(id); slot != core::kNoSlot) drop_row(slot);
  if (!attention_.contains(id)) return;  // Nothing is open, so there is nothing to end.
  post(id, presence == core::Presence::Paused ? attention_.paused(id, wall_)
                                              : attention_.removed(id, wall_));
}

void Lane::drop_row(SiteSlot slot) {
  if (sites_.row(slot).asking) stats_.edited_in_flight.add();
  if (sites_.row(slot).withheld) vantage_.withheld_sites_changed(-1);
  if (ports_.buckets != nullptr) ports_.buckets->row_dropped(sites_.id(slot));
  scheduler_->remove(slot);
  release_plan(sites_.plan(slot));
  responses_.clear(slot);
  sites_.remove(slot);
}

// Its bucket is another host's. Nothing ends for it, so nothing is told of it.
void Lane::give_away(SiteSlot slot) {
  stats_.given_away.add();
  attention_.forget(sites_.id(slot));
  drop_row(slot);
}

// A due check that is another host's. What we have told and no shard has acknowledged is committed first.
void Lane::give_away_when_told(SiteSlot slot) {
  const core::SiteId id = sites_.id(slot);
  const bool may_be_told = ports_.buckets->standing(id) == core::Standing::Ours;
  if (may_be_told && attention_.unacknowledged(id)) {
    scheduler_->finished(slot, now_, std::nullopt);
  } else {
    give_away(slot);
  }
}

bool Lane::is_given_away(SiteSlot slot) const {
  const core::SiteId id = sites_.id(slot);
  if (ports_.buckets == nullptr || ports_.buckets->starts(id, scheduler_->due_time(slot)))
    return false;
  if (ports_.buckets->standing(id) != core::Standing::Ours) return true;
  return !sites_.row(slot).asking && !attention_.unacknowledged(id);
}

void Lane::take_notes() {
  core::SiteNote note;
  budget_.begin();
  for (auto* ring : ports_.notes) {
    for (std::size_t i = 0; i < kMessagesPerTurn && !budget_.spent() && ring->take(note); ++i) {
      if (note.doubted) {
        tell_anew(note.site);
        continue;
      }
      if (note.close != core::kNoWallTime) {
        close_by_hand(note);
        continue;
      }
      if (!attention_.contains(note.site)) {
        hear_of_unknown_trouble(note);
        continue;
      }
      if (note.lane != number_) continue;  // About facts of the lane that had the site before.
      const bool forgotten = attention_.on_note(note);
      const SiteSlot slot = sites_.find(note.site);
      if (forgotten && slot != core::kNoSlot) sites_.row(slot).troubled = false;
      // The store knew of an event that this lane did not, or the other way round: what follows
      // from it is told.
      if (!forgotten && attention_.wants_post(note.site))
        post(note.site, facts_of(note.site));
    }
  }
}

// Shards tell every lane; one that does not have the site has nothing to do. One that has it and knows
// of no trouble took it over from another lane while that one's facts were being committed.
void Lane::hear_of_unknown_trouble(const core::SiteNote& note) {
  const SiteSlot slot = sites_.find(note.site);
  if (slot == core::kNoSlot) {
    // Paused here since then: what is open ends as if it had been known when the pause came.
    const bool open = note.event_state || note.unknown_event;
    if (open && paused_.contains(note.site)) post(note.site, attention_.paused(note.site, wall_));
    return;
  }
  if (note.unknown_event && note.lane == number_) {
    attention_.restore(note.site, *note.unknown_event);
    sites_.row(slot).troubled = true;
  } else if (note.event_state) {
    post(note.site, facts_of(note.site));  // The answer tells which event it is.
  }
}

// How the site is nobody knows then, until its next result; that opens an event of its own when it still fails. A lane that does not
// know the event is told of it in answer, and asked to close it again.
void Lane::close_by_hand(const core::SiteNote& note) {
  const SiteSlot slot = sites_.find(note.site);
  if (slot == core::kNoSlot) return;
  if (!attention_.close(note.site, note.close, wall_)) {
    if (!attention_.contains(note.site)) post(note.site, attention_.facts(note.site));
    return;
  }
  post(note.site, facts_of(note.site));
  sites_.row(slot).stale = true;
  project(slot, false, nullptr);
}

// What the store has open though nothing fails comes back as an unknown event, and ends with the next success.
void Lane::tell_anew(core::SiteId site) {
  if (attention_.contains(site)) {
    post(site, attention_.facts(site));
  } else if (paused_.contains(site)) {
    post(site, attention_.paused(site, wall_));
  } else if (sites_.find(site) != core::kNoSlot) {
    post(site, attention_.facts(site));
  }
}

// To facts that mention nothing a shard answers what it has open, and every lane hears it.
void Lane::ask_of_left() {
  for (std::size_t i = 0; i < kMessagesPerTurn; ++i) {
    const auto site = left_.take(now_);
    if (!site) return;
    post(*site, facts_of(*site));
  }
}

// ---- Checks start ----

void Lane::start_due() {
  std::array<SiteSlot, 64> due;
  const std::size_t most = std::min(kStartsPerTurn, admission_.starts_left());
  std::size_t started = 0;
  while (started < most) {
    const std::size_t n =
        scheduler_->take_due(std::span(due).first(std::min(due.size(), most - started)), now_);
    if (n == 0) return;
    for (std::size_t i = 0; i < n; ++i) {
      if (start(due[i])) {
        ++started;
        continue;
      }
      // No room: this one and those behind it stay due, the oldest at the head again.
      for (std::size_t back = n; back > i; --back) scheduler_->refused(due[back - 1]);
      return;
    }
  }
  if (most < kStartsPerTurn && scheduler_->queued() > 0) admission_.count_refused_for_answers();
}

bool Lane::start(SiteSlot slot) {
  if (ports_.buckets != nullptr &&
      !ports_.buckets->starts(sites_.id(slot), scheduler_->due_time(slot))) {
    give_away_when_told(slot);
    return true;
  }
  Plan& plan = plans_[sites_.plan(slot)];
  if (!plan.ready && plan.may_pass && now_ - plan.tried >= kPrepareAgain) prepare(plan);
  if (!plan.ready) {
    pass_over(slot, Cause::TargetInvalid, plan.problem);
    return true;
  }
  const scheduler::Tier tier = tier_of(sites_.url(slot), *plan.options);
  if (admission_.sheds(tier)) {
    pass_over(slot, Cause::LocalResources, "this process is short of memory");
    return true;
  }
  if (!admission_.admit(tier)) return false;
  if (prober_->start(token_of(slot, sites_.generation(slot), tier), sites_.url(slot), plan.ready,
                     now_) == checker::Start::Full) {
    admission_.withdraw(tier);
    return false;
  }
  sites_.row(slot).asking = true;
  return true;
}

// A due check that is not made this time.
void Lane::pass_over(SiteSlot slot, Cause cause, std::string_view why) {
  core::ProbeResult unasked;
  unasked.cause = cause;
  unasked.started = now_;
  unasked.started_at = wall_;
  unasked.detail = why;
  handle(slot, unasked, wall_);
}

// ---- Checks end ----

void Lane::on_result(checker::ProbeToken token, core::ProbeResult&& result) noexcept {
  const SiteSlot slot = slot_of(token);
  const bool still_here = sites_.contains(slot) && sites_.generation(slot) == generation_of(token);
  admission_.released(tier_of(token), result.timings.total);
  if (!still_here) return;  // Counted when its row was dropped.
  scheduler::SiteRow& row = sites_.row(slot);
  row.asking = false;
  if (std::exchange(
          row.edited,
          false)) {  // About what the site was before: it says nothing about what it is now.
    stats_.edited_in_flight.add();
    result.cause = Cause::Cancelled;
  }
  const std::uint8_t discounted = row.discounted;
  result.cause = honest_cause(slot, result);
  // A timeout that our own lateness may explain, and may not: better known soon than an interval later. It says nothing of the site,
  // so it is not weighed.
  const bool doubtful = row.discounted > discounted;
  vantage_.count(result, {.troubled = row.troubled, .seen = row.checked != core::kNoSteadyTime},
                 sites_.url(slot));
  if (doubtful) {
    handle(slot, result, wall_, true);
  } else {
    weigh(slot, std::move(result));
  }
}

// Whether a failure is the site's is not always known when it comes (app/lane_vantage.h).
void Lane::weigh(SiteSlot slot, core::ProbeResult&& result) {
  scheduler::SiteRow& row = sites_.row(slot);
  Judgement judgement = Judgement::TheSites;
  if (result.outcome() == Outcome::Down) {
    const bool is_down =
        row.troubled && attention_.state_of(sites_.id(slot)) == core::SiteState::Down;
    judgement = vantage_.judge(result, now_, is_down);
  }
  if (judgement == Judgement::Wait) {
    HeldResult held{slot, sites_.generation(slot), now_, wall_, std::move(result)};
    if (vantage_.hold(std::move(held))) {
      row.asking = true;  // For the rest of the lane it has not answered yet.
      return;
    }
    withhold(slot, held.result, wall_, true);
  } else if (judgement == Judgement::Ours) {
    withhold(slot, result, wall_, false);
  } else {
    handle(slot, result, wall_);
  }
}

void Lane::withhold(SiteSlot slot, core::ProbeResult& result, WallTime at, bool no_room) {
  scheduler::SiteRow& row = sites_.row(slot);
  if (!row.withheld) vantage_.withheld_sites_changed(1);
  row.withheld = true;
  vantage_.withhold(result, no_room);
  handle(slot, result, at);
}

void Lane::release_held() {
  Judgement judgement = Judgement::Wait;
  while (auto held = vantage_.release(judgement)) {
    const SiteSlot slot = held->slot;
    if (!sites_.contains(slot) || sites_.generation(slot) != held->generation) continue;
    scheduler::SiteRow& row = sites_.row(slot);
    row.asking = false;
    if (std::exchange(row.edited, false)) {
      stats_.edited_in_flight.add();
      held->result.cause = Cause::Cancelled;
      judgement = Judgement::TheSites;
    }
    if (judgement == Judgement::Ours) {
      withhold(slot, held->result, held->seen_at, false);
    } else {
      handle(slot, held->result, held->seen_at);
    }
  }
}

// A timeout is the site's only if we were there to see the answer (loop_lateness.h). Else it is our
// overload, and nothing is said about the site.
Cause Lane::honest_cause(SiteSlot slot, const core::ProbeResult& result) {
  if (!is_discounted(result, *plans_[sites_.plan(slot)].options, lateness_,
                     sites_.row(slot).discounted))
    return result.cause;
  stats_.overload_discounted.add();
  return Cause::LocalOverload;
}

void Lane::handle(SiteSlot slot, const core::ProbeResult& result, WallTime at, bool doubtful) {
  scheduler::SiteRow& row = sites_.row(slot);
  const Outcome outcome = core::outcome_of(result.cause);
  if (row.withheld && outcome != Outcome::NotMeasured) {
    row.withheld = false;
    vantage_.withheld_sites_changed(-1);
  }
  stats_.results[static_cast<std::size_t>(result.cause)].add();
  row.cause = result.cause;
  row.http_status = result.http_status;
  row.total_ms =
      static_cast<std::uint32_t>(std::min<double>(core::to_ms(result.timings.total), 4e9));
  if (outcome != Outcome::NotMeasured) {
    row.checked = now_;
    row.measured = true;
  }
  if (outcome == Outcome::Up) responses_.add(slot, result.timings.total);
  // Not projected at once: behind some balancers every check shows another certificate than the one before.
  const std::uint64_t certificate = certificate_hash(result);
  if (certificate != 0 && certificate != row.cert_hash) {
    if (row.cert_hash != 0) stats_.certificates_changed.add();
    row.cert_hash = certificate;
  }

  std::optional<Duration> recheck_in;
  bool news = false;
  if (row.troubled || outcome == Outcome::Down) recheck_in = react(slot, result, at, news);
  // As late as its next check it is no re-check, and not to go before those of others.
  if (outcome == Outcome::NotMeasured && recheck_in && *recheck_in >= sites_.interval(slot))
    recheck_in.reset();
  if (row.withheld && !recheck_in) {
    recheck_in = vantage_.recheck_in(sites_.id(slot), sites_.interval(slot),
                                     scheduler_->required_per_second());
  }
  if (doubtful && !row.troubled && !recheck_in) {
    const Duration soon = attention_.recheck_in(sites_.id(slot), row.discounted);
    if (soon < sites_.interval(slot)) recheck_in = soon;
  }
  scheduler_->finished(slot, now_, recheck_in);

  const bool measured_again = outcome != Outcome::NotMeasured && row.stale;
  if (measured_again) {
    row.stale = false;
    row.since = now_;
  }
  const bool due =
      row.projected == core::kNoSteadyTime || now_ - row.projected >= tuning_.projection_interval;
  if (outcome != Outcome::NotMeasured && (due || news || measured_again)) {
    project(slot, true, &result);
  }
}

std::optional<Duration> Lane::react(SiteSlot slot, const core::ProbeResult& result, WallTime at,
                                    bool& news) {
  const core::SiteId id = sites_.id(slot);
  const sideeffects::Seen seen{.outcome = core::outcome_of(result.cause),
                               .evidence = {.cause = result.cause,
                                            .phase = result.phase,
                                            .http_status = result.http_status,
                                            .detail = result.detail,
                                            .address = result.address},
                               .at = at,
                               .group = vantage_.group_of(result.cause)};
  const sideeffects::Reaction reaction = attention_.on_result(id, seen);
  sites_.row(slot).troubled = reaction.troubled;
  news = reaction.post;
  if (reaction.post) post(id, facts_of(id));
  return reaction.recheck_in;
}

// With how the site is asked, where others are to ask it too.
core::SiteFacts Lane::facts_of(core::SiteId id) {
  core::SiteFacts facts = attention_.facts(id);
  if (!tuning_.confirm.verified() || facts.outages.empty()) return facts;
  const core::Outage& last = facts.outages.back();
  if (last.ended() || last.confirmed_at == core::kNoWallTime) return facts;
  const SiteSlot slot = sites_.find(id);
  if (slot == core::kNoSlot) return facts;
  const auto& options = plans_[sites_.plan(slot)].options;
  facts.subject = std::make_shared<const core::Subject>(
      core::Subject{.url = std::string(sites_.url(slot)),
                    .options = options,
                    .own_resolvers = options->resolvers != tuning_.resolvers});
  return facts;
}

void Lane::post(core::SiteId id, core::SiteFacts facts) {
  facts.lane = number_;
  ShardPort& shard = ports_.shards[core::stable_hash(id.value) % ports_.shards.size()];
  const core::FactsKey seat = core::key_of(facts);
  if (shard.mailbox->post(seat, std::move(facts))) shard.wake();
}

void Lane::project(SiteSlot slot, bool measured, const core::ProbeResult* result) {
  scheduler::SiteRow& row = sites_.row(slot);
  const core::TlsFacts* const tls = result != nullptr ? result->tls.get() : nullptr;
  core::FreshnessMark mark{
      .site = sites_.id(slot),
      .measured = measured,
      .checked_at = row.checked == core::kNoSteadyTime ? core::kNoWallTime : to_wall(row.checked),
      .cause = row.cause,
      .http_status = row.http_status,
      .total = std::chrono::milliseconds{row.total_ms},
      .next_due_at = to_wall(scheduler_->due_time(slot)),
      .cert_not_after = tls != nullptr ? tls->not_after : core::kNoWallTime,
      .cert_sha256 = std::nullopt,
      .made_at = measured ? core::kNoWallTime : wall_,
      .unbroken_since = measured ? to_wall(row.since) : core::kNoWallTime,
      .quiet_max = tuning_.projection_interval + freshness_limit(slot),
      .responses = responses_.of(slot),
      .by_hour = sites_.size() <= tuning_.hourly_sites_max,
      .warnings = result != nullptr ? result->warnings : core::Warnings{}};
  if (tls != nullptr) mark.cert_sha256 = tls->fingerprint;
  if (ports_.marks->offer(std::move(mark))) {
    row.projected = now_;
    responses_.clear(slot);
  } else {
    row.projected = core::kNoSteadyTime;  // Due again at its next check.
    stats_.marks_refused.add();
  }
}

void Lane::tell_rest(const std::function<void(const core::FreshnessMark&)>& tell) const {
  for (std::uint32_t i = 0; i < sites_.slots_end(); ++i) {
    const SiteSlot slot{i};
    const core::ResponseCounts responses = responses_.of(slot);
    if (responses.empty() || !sites_.contains(slot)) continue;
    core::FreshnessMark mark;
    mark.site = sites_.id(slot);
    mark.checked_at = to_wall(sites_.row(slot).checked);
    mark.responses = responses;
    mark.by_hour = sites_.size() <= tuning_.hourly_sites_max;
    tell(mark);
  }
}

// ---- The sweep: how old is what we tell people ----

// A rolling walk over the table, a slice a turn, so that a site from which no result comes is
// noticed without a timer for each, and the gauges are exact once a cycle (about a second) without
// touching them at every check.
void Lane::sweep_slice() {
  if (last_sweep_ != core::kNoSteadyTime && now_ - last_sweep_ < kSweepEvery) return;
  last_sweep_ = now_;
  const std::uint32_t end = sites_.slots_end();
  std::uint32_t budget = std::clamp<std::uint32_t>(end / 50, 20, kSweepSliceMax);
  for (; budget > 0 && sweep_.at < end; --budget, ++sweep_.at) {
    if (sites_.contains(SiteSlot{sweep_.at})) sweep_row(SiteSlot{sweep_.at});
  }
  if (sweep_.at >= end) publish_sweep();
  if (ports_.buckets != nullptr) forget_paused();
}

// Paused sites have no row: those whose bucket is another host's by now leave here, some at a time.
void Lane::forget_paused() {
  paused_.erase_if(paused_at_, [this](core::SiteId id) {
    return !ports_.buckets->watched(ports_.buckets->of(id));
  });
  paused_at_ = (paused_at_ + 1) % decltype(paused_)::kSegments;
}

void Lane::sweep_row(SiteSlot slot) {
  if (is_given_away(slot)) {
    give_away(slot);
    return;
  }
  scheduler::SiteRow& row = sites_.row(slot);
  // A site taken over counts from then: what is stored of it may be older than its projection shows.
  const Duration age = now_ - std::max(row.checked, row.since);
  const Duration limit = freshness_limit(slot);
  if (age > limit && (!row.stale || row.projected == core::kNoSteadyTime)) {
    row.stale = true;
    project(slot, false, nullptr);
  }
  if (reposting_ && row.troubled && attention_.unacknowledged(sites_.id(slot))) {
    post(sites_.id(slot), facts_of(sites_.id(slot)));
  }
  sweep_.stale += row.stale ? 1 : 0;
  if (age <= sites_.interval(slot)) ++sweep_.within_interval;
  sweep_.oldest = std::max(sweep_.oldest, age);
  SiteState state = SiteState::Up;
  if (!row.measured || row.stale) {
    state = SiteState::Unknown;
  } else if (row.troubled) {
    state = attention_.state_of(sites_.id(slot)).value_or(SiteState::Up);
  }
  ++sweep_.sites[static_cast<std::size_t>(state)];
}

void Lane::publish_sweep() {
  sweep_.sites[static_cast<std::size_t>(SiteState::Paused)] = paused_.size();
  for (std::size_t i = 0; i < core::kSiteStateCount; ++i)
    stats_.sites[i].set(static_cast<double>(sweep_.sites[i]));
  stats_.stale.set(static_cast<double>(sweep_.stale));
  stats_.within_interval.set(static_cast<double>(sweep_.within_interval));
  stats_.oldest_age_s.set(core::to_seconds(sweep_.oldest));
  stats_.bytes.set(static_cast<double>(sites_.bytes() + responses_.bytes()));
  stats_.incidents_seem_down.set(static_cast<double>(attention_.seem_down()));
  stats_.incidents_down.set(static_cast<double>(attention_.down()));
  sweep_ = Sweep{};
  reposting_ = now_ - last_repost_ >= kRepostEvery;
  if (reposting_) last_repost_ = now_;
  if (now_ - worst_lag_since_ > kWorstLagWindow) {
    worst_lag_ = Duration::zero();
    worst_lag_since_ = now_;
  }
  stats_.loop_lag_s.set(core::to_seconds(worst_lag_));
}

Duration Lane::freshness_limit(SiteSlot slot) const {
  const Plan& plan = plans_[sites_.plan(slot)];
  return sites_.interval(slot) + plan.options->timeout + kFreshnessSlack;
}

void Lane::note_loop_lag(Duration lag, SteadyTime now) {
  worst_lag_ = std::max(worst_lag_, lag);
  admission_.note_loop_lag(lag, now);
  lateness_.note(lag, now);
}

void Lane::note_answers_wait(Duration ended, SteadyTime since) {
  lateness_.note(ended, now_);
  lateness_.note_waiting(since, now_);
}

void Lane::note_answers_left(bool left) {
  admission_.note_answers_left(left);
}

void Lane::note_dials_without_port(std::uint64_t count) {
  if (std::exchange(without_port_seen_, count) != count) admission_.note_no_port(now_);
}

// ---- Plans ----

scheduler::PlanIndex Lane::intern(const std::shared_ptr<const core::CheckOptions>& options,
                                  const std::string& problem) {
  if (const scheduler::PlanIndex* const known = plan_index_.find(options.get())) {
    ++plans_[*known].sites;
    return *known;
  }
  Plan plan{.options = options, .ready = nullptr, .problem = {}, .sites = 1};
  plan.problem = problem;
  if (problem.empty()) prepare(plan);
  scheduler::PlanIndex index;
  if (free_plans_.empty()) {
    index = static_cast<scheduler::PlanIndex>(plans_.size());
    plans_.push_back(std::move(plan));
  } else {
    index = free_plans_.back();
    free_plans_.pop_back();
    plans_[index] = std::move(plan);
  }
  plan_index_.try_emplace(options.get(), index);
  return index;
}

// Why a plan cannot be had may pass (a file that was missing, memory): it is tried again at most once a minute.
void Lane::prepare(Plan& plan) {
  plan.tried = now_;
  auto ready = prober_->prepare(*plan.options);
  (void)budget_.look();  // An expression may take milliseconds to compile: the clock is read after each.
  if (ready) {
    plan.ready = *std::move(ready);
    plan.problem.clear();
  } else {
    plan.problem = ready.error().message;
    plan.may_pass = true;
  }
}

void Lane::release_plan(scheduler::PlanIndex index) {
  Plan& plan = plans_[index];
  ENSURE(plan.sites > 0, "a plan was released more often than it was taken");
  if (--plan.sites > 0) return;
  plan_index_.erase(plan.options.get());
  plan = Plan{};
  free_plans_.push_back(index);
}

}  // namespace watchwheel::app
