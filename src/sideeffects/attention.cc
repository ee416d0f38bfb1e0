// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/attention.h"

#include <algorithm>
#include <utility>

#include "core/ensure.h"
#include "core/hash.h"

namespace watchwheel::sideeffects {

using core::Evidence;
using core::kNoWallTime;
using core::kOutagesWaitingMax;
using core::OpenEvent;
using core::Outage;
using core::Outcome;
using core::Presence;
using core::SiteFacts;
using core::SiteId;
using core::SiteNote;
using core::SiteState;
using core::WallTime;

namespace {

// As the stores keep it: an outage is named by its start, which must survive a restart to the last digit.
WallTime whole_ms(WallTime t) {
  return core::from_unix_ms(core::to_unix_ms(t));
}

// The next time within an outage. A wall clock that was set back must not make it end before it began.
WallTime not_before(const Outage& outage, WallTime at) {
  return std::max({at, outage.started_at, outage.last_failed_at, outage.confirmed_at});
}

// The first sites of a mass outage fail before it can be seen that there are many.
constexpr core::Duration kJoinsGroup = std::chrono::minutes{1};

// Of a re-check after results that measured nothing, and of one that waits for others' word: beyond any interval.
constexpr std::uint8_t kDoublingsMost = 20;
// Doubled for both reasons at once it would not fit.
constexpr core::Duration kRecheckMost = std::chrono::hours{24 * 366};

core::Duration doubled(core::Duration delay, std::uint32_t times) {
  for (; times > 0 && delay < kRecheckMost; --times) delay *= 2;
  return std::min(delay, kRecheckMost);
}

bool is_confirmed(const Outage& outage) {
  return outage.confirmed_at != kNoWallTime;
}

bool differs(const Outage& outage, const Evidence& evidence) {
  if (outage.last_failed_at == kNoWallTime)
    return true;  // Restored: what the store has is not known here.
  const Evidence& before = outage.evidence;
  return before.cause != evidence.cause || before.phase != evidence.phase ||
         before.http_status != evidence.http_status;
}

}  // namespace

core::Duration recheck_delay(core::Duration retry_interval, SiteId site, std::uint32_t results,
                             std::uint64_t jitter_seed) {
  const core::Duration tenth = retry_interval / 10;
  const auto span = static_cast<std::uint64_t>(2 * tenth.count()) + 1;
  const std::uint64_t draw =
      core::stable_hash(jitter_seed ^ core::stable_hash(core::stable_hash(site.value) + results));
  return retry_interval - tenth + core::Duration{static_cast<core::Duration::rep>(draw % span)};
}

Attention::Attention(core::ConfirmPolicy policy, std::uint64_t jitter_seed)
    : policy_(policy), jitter_seed_(jitter_seed) {
  set_policy(policy);
}

void Attention::set_policy(core::ConfirmPolicy policy) {
  ENSURE(policy.failures > 0 && policy.successes > 0,
         "a confirm policy needs at least one of each");
  policy_ = policy;
}

// ---- Results -----------------------------------------------------------------------------------

Reaction Attention::on_result(SiteId site, const Seen& seen) {
  Trouble* known = troubles_.find(site);
  if (seen.outcome == Outcome::NotMeasured) {
    if (known == nullptr) return {};
    Reaction reaction = reaction_to(site, *known);
    reaction.post = false;  // We saw nothing, so there is nothing new to say.
    if (reaction.recheck_in) reaction.recheck_in = doubled(*reaction.recheck_in, known->unmeasured);
    known->unmeasured = std::min<std::uint8_t>(known->unmeasured + 1, kDoublingsMost);
    return reaction;
  }
  if (known == nullptr) {
    if (seen.outcome == Outcome::Up) return {};
    known = &troubles_.try_emplace(site).first;
  }
  Trouble& trouble = *known;
  const WallTime at = whole_ms(seen.at);
  trouble.presence = Presence::Watched;
  trouble.at = at;
  trouble.unmeasured = 0;
  if (seen.outcome == Outcome::Down) {
    on_failure(trouble, seen, at);
  } else {
    on_success(trouble, seen, at);
  }
  recount(trouble);
  return reaction_to(site, trouble);
}

void Attention::on_failure(Trouble& trouble, const Seen& seen, WallTime at) {
  if (!trouble.current) {
    start_outage(trouble, seen.evidence, at);
  } else if (Outage& held = trouble.current->outage; held.ended()) {
    // Its end could not be told, so no shard knows of it: it goes on, and says that it was not one run.
    held.ended_at = kNoWallTime;
    held.ended_by = {};
    held.ended_as = Presence::Watched;
    ++held.merged;
    ++merged_total_;
    trouble.current->run_failures = 0;
  }
  Kept& kept = *trouble.current;
  Outage& outage = kept.outage;
  if (outage.restored && kept.resumed_failures++ == 0) {
    kept.resumed_at = at;
    kept.resumed_by = seen.evidence;
  }
  at = not_before(outage, at);
  const bool news = differs(outage, seen.evidence);
  outage.successes = 0;
  outage.failures = std::max(outage.failures, ++kept.run_failures);
  outage.last_failed_at = at;
  outage.evidence = seen.evidence;
  const bool joins = outage.group == kNoWallTime && outage.started_at >= seen.group - kJoinsGroup;
  if (seen.group != kNoWallTime && joins && !is_confirmed(outage)) outage.group = seen.group;
  if (is_confirmed(outage)) {
    // Nothing new in a long outage is no news, unless the shard has not followed: its policy may
    // have been stricter for a moment while the configuration was reloaded.
    if (news || !trouble.shard_down) trouble.dirty = true;
    return;
  }
  trouble.dirty = true;  // The streak is stored with each failure, so that a restart continues it.
  if (kept.run_failures < policy_.failures) return;
  outage.confirmed_at = at;
  outage.confirmed_by = seen.evidence;
  outage.confirmed_failures = outage.failures;
}

void Attention::start_outage(Trouble& trouble, const Evidence& evidence, WallTime at) {
  // With the site the start names the event, so two outages never share one, not even when the
  // clock was set back.
  const auto taken = [&](const Kept& kept) { return kept.outage.started_at == at; };
  while (std::any_of(trouble.ended.begin(), trouble.ended.end(), taken))
    at += std::chrono::milliseconds{1};
  trouble.current.emplace();
  trouble.current->outage.started_at = at;
  trouble.current->outage.opened_by = evidence;
  trouble.shard_down = false;
}

void Attention::on_success(Trouble& trouble, const Seen& seen, WallTime at) const {
  if (!trouble.current || trouble.current->outage.ended()) return;
  Outage& outage = trouble.current->outage;
  if (++outage.successes < policy_.successes) return;
  outage.ended_at = not_before(outage, at);
  outage.ended_by = seen.evidence;
  move_to_ended(trouble);
}

// Lets the end of the current outage be told, if there is room. One place is kept free for the
// outage that may start next.
void Attention::move_to_ended(Trouble& trouble) {
  const std::size_t room =
      trouble.presence == Presence::Watched ? kOutagesWaitingMax - 1 : kOutagesWaitingMax;
  if (!trouble.current || !trouble.current->outage.ended() || trouble.ended.size() >= room) return;
  trouble.current->told_seq = 0;
  trouble.ended.push_back(std::move(*trouble.current));
  trouble.current.reset();
  trouble.left_out = false;
  trouble.dirty = true;
}

Reaction Attention::reaction_to(SiteId site, const Trouble& trouble) const {
  Reaction reaction{.post = trouble.dirty, .recheck_in = std::nullopt, .troubled = true};
  if (!trouble.current) return reaction;
  const Outage& outage = trouble.current->outage;
  const bool recovering = outage.successes > 0;
  const bool in_doubt = is_confirmed(outage) && policy_.verified() && !trouble.shard_down;
  if (!outage.ended() && (!is_confirmed(outage) || recovering || in_doubt)) {
    reaction.recheck_in = recheck_delay(policy_.retry_interval, site,
                                        outage.failures + outage.successes, jitter_seed_);
  }
  if (reaction.recheck_in && in_doubt && !recovering) {
    const std::uint32_t beyond = outage.failures - std::min(outage.failures, outage.confirmed_failures);
    reaction.recheck_in =
        doubled(*reaction.recheck_in, std::min<std::uint32_t>(beyond, kDoublingsMost));
  }
  return reaction;
}

// ---- What the shard is told ---------------------------------------------------------------------

SiteFacts Attention::facts(SiteId site) {
  SiteFacts facts{
      .site = site, .seq = ++seq_, .presence = Presence::Watched, .at = kNoWallTime, .outages = {}};
  Trouble* const known = troubles_.find(site);
  if (known == nullptr) return facts;
  Trouble& trouble = *known;
  facts.presence = trouble.presence;
  facts.at = trouble.at;
  for (Kept& kept : trouble.ended) {
    if (kept.told_seq == 0) kept.told_seq = facts.seq;
    facts.outages.push_back(kept.outage);
  }
  trouble.left_out = trouble.current && facts.outages.size() >= kOutagesWaitingMax;
  if (trouble.current && !trouble.left_out) {
    if (trouble.current->told_seq == 0) trouble.current->told_seq = facts.seq;
    Outage& told = facts.outages.emplace_back(trouble.current->outage);
    told.ended_at = kNoWallTime;  // An end that waits for room is not told yet.
    told.ended_by = {};
    told.ended_as = Presence::Watched;
  }
  trouble.posted_seq = facts.seq;
  trouble.dirty = false;
  return facts;
}

SiteFacts Attention::paused(SiteId site, WallTime at) {
  return stop_looking(site, Presence::Paused, at);
}

SiteFacts Attention::removed(SiteId site, WallTime at) {
  return stop_looking(site, Presence::Removed, at);
}

SiteFacts Attention::stop_looking(SiteId site, Presence presence, WallTime at) {
  Trouble& trouble = troubles_.try_emplace(site).first;
  trouble.presence = presence;
  trouble.at = whole_ms(at);
  if (trouble.current && !trouble.current->outage.ended()) {
    Outage& outage = trouble.current->outage;
    outage.ended_at = not_before(outage, trouble.at);
    outage.ended_as = presence;
  }
  move_to_ended(trouble);
  recount(trouble);
  return facts(site);
}

bool Attention::close(SiteId site, WallTime started_at, WallTime at) {
  Trouble* const known = troubles_.find(site);
  if (known == nullptr || !known->current) return false;
  Outage& outage = known->current->outage;
  if (outage.ended() || outage.started_at != whole_ms(started_at)) return false;
  outage.ended_at = not_before(outage, whole_ms(at));
  outage.ended_as = Presence::Closed;
  known->dirty = true;
  move_to_ended(*known);
  recount(*known);
  return true;
}

// ---- What the shard answers ----------------------------------------------------------------------

bool Attention::on_note(const SiteNote& note) {
  Trouble* const known = troubles_.find(note.site);
  if (known == nullptr) return true;
  Trouble& trouble = *known;
  trouble.heard_seq = std::max(trouble.heard_seq, note.seq);
  if (note.unknown_event) {
    take_over(trouble, *note.unknown_event);
  } else if (note.event_gone) {
    on_event_gone(trouble);
  } else {
    drop_acknowledged(trouble, note);
  }
  move_to_ended(trouble);
  if (trouble.left_out && trouble.ended.size() < kOutagesWaitingMax) trouble.dirty = true;
  recount(trouble);
  if (!is_over(trouble, note)) return false;
  troubles_.erase(note.site);
  return true;
}

bool Attention::unacknowledged(SiteId site) const {
  const Trouble* const known = troubles_.find(site);
  return known != nullptr && known->heard_seq < known->posted_seq;
}

bool Attention::is_over(const Trouble& trouble, const SiteNote& note) {
  return !trouble.current && trouble.ended.empty() && !trouble.dirty &&
         note.seq >= trouble.posted_seq;
}

void Attention::drop_acknowledged(Trouble& trouble, const SiteNote& note) {
  const auto told = [&](const Kept& kept) {
    return kept.told_seq != 0 && kept.told_seq <= note.seq;
  };
  std::erase_if(trouble.ended, told);
  if (!trouble.current || !told(*trouble.current) || note.event_state != SiteState::Down) return;
  trouble.shard_down = true;
  Outage& outage = trouble.current->outage;
  if (is_confirmed(outage)) return;
  // It was confirmed before we took it over, though we were not told so.
  outage.confirmed_at = std::max(outage.started_at, outage.last_failed_at);
  outage.confirmed_failures = outage.failures;
}

// The store has an event open that we do not know of. Notes come in order, so what was committed
// before is dropped already, and the oldest outage here is what goes on under that event's name.
void Attention::take_over(Trouble& trouble, const OpenEvent& event) {
  trouble.dirty = true;
  if (trouble.presence != Presence::Watched) return;  // The facts that say so close it.
  if (trouble.ended.empty() && !trouble.current) {
    open_stored(trouble, event);
    return;
  }
  const bool is_current = trouble.ended.empty();
  Kept& oldest = is_current ? *trouble.current : trouble.ended.front();
  Outage& outage = oldest.outage;
  if (!outage.restored) {
    oldest.resumed_at = outage.started_at;
    oldest.resumed_by = outage.opened_by;
    oldest.resumed_failures = outage.failures;
  }
  outage.restored = true;
  outage.started_at = whole_ms(event.started_at);
  outage.failures = std::max(outage.failures, event.failures);
  if (event.state != SiteState::Down) return;
  if (is_current) trouble.shard_down = true;
  if (is_confirmed(outage)) return;
  outage.confirmed_at = whole_ms(event.confirmed_at);
  outage.confirmed_failures = event.failures;
}

// A restored outage went on under the name of an event that was closed before we took it over. What
// failed since then is an outage of its own; what did not fail since then was over.
void Attention::on_event_gone(Trouble& trouble) const {
  trouble.dirty = true;
  const auto was_over = [](const Kept& kept) {
    return kept.outage.restored && kept.resumed_failures == 0;
  };
  std::erase_if(trouble.ended, was_over);
  if (trouble.current && was_over(*trouble.current)) trouble.current.reset();
  for (Kept& kept : trouble.ended) make_own(kept);
  if (!trouble.current || !trouble.current->outage.restored) return;
  make_own(*trouble.current);
  trouble.shard_down = false;
}

void Attention::make_own(Kept& kept) const {
  Outage& outage = kept.outage;
  if (!outage.restored) return;
  outage.restored = false;
  // Not the name of the event that is gone, whatever the clock says: that one is frozen.
  const bool same_name = kept.resumed_at == outage.started_at;
  outage.started_at = same_name ? kept.resumed_at + std::chrono::milliseconds{1} : kept.resumed_at;
  outage.opened_by = kept.resumed_by;
  outage.failures = kept.resumed_failures;
  kept.run_failures = std::min(kept.run_failures, kept.resumed_failures);
  const bool earned = kept.run_failures >= policy_.failures;
  outage.confirmed_at = earned ? outage.last_failed_at : kNoWallTime;
  outage.confirmed_by = earned ? outage.evidence : Evidence{};
  outage.confirmed_failures = earned ? outage.failures : 0;
  kept.told_seq = 0;
}

// ---- The rest ------------------------------------------------------------------------------------

void Attention::restore(SiteId site, const OpenEvent& event) {
  const auto [trouble, is_new] = troubles_.try_emplace(site);
  if (!is_new) return;
  open_stored(trouble, event);
  recount(trouble);
}

void Attention::open_stored(Trouble& trouble, const OpenEvent& event) {
  Kept& kept = trouble.current.emplace();
  Outage& outage = kept.outage;
  outage.restored = true;
  outage.started_at = whole_ms(event.started_at);
  outage.failures = event.failures;
  outage.evidence.cause = event.cause;
  kept.run_failures = event.failures;
  if (event.state != SiteState::Down) return;
  outage.confirmed_at = std::max(outage.started_at, whole_ms(event.confirmed_at));
  outage.confirmed_failures = event.failures;
  trouble.shard_down = true;
}

bool Attention::wants_post(SiteId site) const {
  const Trouble* const known = troubles_.find(site);
  return known != nullptr && known->dirty;
}

void Attention::forget(SiteId site) {
  Trouble* const known = troubles_.find(site);
  if (known == nullptr) return;
  recount(*known, std::nullopt);
  troubles_.erase(site);
}

std::optional<SiteState> Attention::state_of(SiteId site) const {
  const Trouble* const known = troubles_.find(site);
  return known == nullptr ? std::nullopt : view(*known);
}

Attention::View Attention::view(const Trouble& trouble) const {
  if (!trouble.current || trouble.current->outage.ended()) return std::nullopt;
  const bool is_down =
      is_confirmed(trouble.current->outage) && (trouble.shard_down || !policy_.verified());
  return is_down ? SiteState::Down : SiteState::SeemsDown;
}

void Attention::recount(Trouble& trouble, View after) {
  if (trouble.counted) --(*trouble.counted == SiteState::Down ? down_ : seem_down_);
  if (after) ++(*after == SiteState::Down ? down_ : seem_down_);
  trouble.counted = after;
}

}  // namespace watchwheel::sideeffects
