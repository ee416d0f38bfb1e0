// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/verification.h"

#include <algorithm>
#include <utility>

#include "sideeffects/quorum.h"

namespace watchwheel::sideeffects {

using core::Basis;
using core::Outage;
using core::Saw;
using core::SiteFacts;
using core::SiteId;
using core::SteadyTime;
using core::Testimony;
using core::Witness;

namespace {

// The outage that earned our own word and goes on; null: there is none.
const Outage* earned(const SiteFacts& facts, const core::ConfirmPolicy& policy) {
  if (facts.presence != core::Presence::Watched || facts.outages.empty()) return nullptr;
  const Outage& last = facts.outages.back();
  const bool is_earned = !last.ended() && last.confirmed_at != core::kNoWallTime &&
                         last.failures >= policy.failures;
  return is_earned ? &last : nullptr;
}

Witness own_witness(const Outage& outage) {
  return {.vantage = "local",
          .region = {},
          .saw = Saw::Down,
          .cause = outage.evidence.cause,
          .http_status = outage.evidence.http_status,
          .detail = outage.evidence.detail,
          .at = outage.last_failed_at};
}

// Whether it is the same check still.
bool is_same(const core::Subject& a, const core::Subject& b) {
  return a.url == b.url && (a.options == b.options || *a.options == *b.options);
}

}  // namespace

void Verification::attach(VerifierPanel& panel) {
  panel_ = &panel;
  for (const Seat& seat : panel.seats()) vantages_.push_back(seat.vantage());
}

Verification::Heard Verification::consult(const SiteFacts& facts,
                                          const std::optional<StoredEvent>& open,
                                          const core::ConfirmPolicy& policy, Now now) {
  if (panel_ == nullptr || policy.quorum <= 1)
    return {{.basis = Basis::LocalOnly, .witnesses = {}}};
  const auto known = sites_.find(facts.site);
  const Outage* const outage = earned(facts, policy);
  // Over, or not yet there: what was answered of it still tells what it was.
  const auto end = [&](Site& site) {
    if (site.question != 0) weigh_round(facts.site, site, When::Ended, now);
    if (site.question != 0) {
      close_question(site);
      count(Basis::None);
      publish();
    }
    // It may have ended while it could not be judged: it is what it would have been then.
    const auto same =
        std::find_if(facts.outages.begin(), facts.outages.end(),
                     [&](const Outage& one) { return one.started_at == site.started_at; });
    if (same != facts.outages.end()) end_dispute(site, *same, policy, now);
    return site.testimony;
  };
  if (outage == nullptr) {
    if (known == sites_.end()) return {{.quorum = policy.quorum, .witnesses = {}}};
    return {end(known->second), known->second.earlier};
  }
  const bool is_down = open && open->event.state == core::SiteState::Down &&
                       open->event.started_at == outage->started_at;
  if (is_down) return {{.quorum = policy.quorum, .witnesses = {}}};
  if (known == sites_.end() || known->second.started_at != outage->started_at) {
    Testimony earlier;
    if (known != sites_.end()) {
      earlier = end(known->second);
      settled(facts.site, std::nullopt);
    }
    Testimony newest = ask_first(facts, *outage, policy, now);
    if (const auto made = sites_.find(facts.site); made != sites_.end())
      made->second.earlier = earlier;
    return {std::move(newest), std::move(earlier)};
  }
  Site& site = known->second;
  const bool changed = facts.subject && site.facts.subject &&
                       !is_same(*facts.subject, *site.facts.subject);
  site.facts = facts;
  if (changed) ask_anew(site, now);
  end_dispute(site, *outage, policy, now);
  ask_again(site, facts, *outage, policy, now);
  return {site.testimony, site.earlier};
}

// What was answered was about another check. The rounds are counted on: they are the event's.
void Verification::ask_anew(Site& site, Now now) {
  if (site.question != 0) close_question(site);
  disputed_ -= site.testimony.basis == Basis::Disagreement ? 1U : 0U;
  site.testimony = {.outage = site.started_at, .witnesses = {}};
  site.kept.assign(vantages_.size(), std::nullopt);
  site.asked_failures = 0;
  site.again_at = core::kNoSteadyTime;
  site.disputed_since = core::kNoSteadyTime;
  site.outvoted = site.ready = false;
  site.wanted_at = now.steady;
  site.same_since = now.wall;
  publish();
}

void Verification::ask_again(Site& site, const SiteFacts& facts, const Outage& outage,
                             const core::ConfirmPolicy& policy, Now now) {
  const Basis basis = site.testimony.basis;
  const bool has_news = outage.failures > site.asked_failures && now.steady >= site.again_at;
  if (site.question != 0 || !has_news) return;
  if (basis != Basis::Disagreement && basis != Basis::None) return;
  const auto asked = open_question(site, facts, outage, policy, now);
  if (basis == Basis::Disagreement) return;  // Full: with the next failure.
  if (asked == VerifierPanel::Asked::Bound) {
    decide_alone(site, Basis::Bound, outage, now);
  } else if (asked == VerifierPanel::Asked::Full &&
             now.steady - site.wanted_at >= policy.verify_timeout) {
    decide_alone(site, Basis::Unasked, outage, now);
  }
}

void Verification::decide_alone(Site& site, Basis basis, const Outage& outage, Now now) {
  site.testimony.basis = basis;
  site.testimony.decided_at = now.wall;
  site.testimony.witnesses = {own_witness(outage)};
  count(basis);
}

// Where it went on for too long. While others are being asked they are heard first.
void Verification::end_dispute(Site& site, const Outage& outage, const core::ConfirmPolicy& policy,
                               Now now) {
  if (site.question != 0 || site.testimony.basis != Basis::Disagreement || site.outvoted) return;
  const core::Duration steady_least = std::min(limits_.dispute_least, policy.dispute_most);
  const core::WallTime since = std::max(outage.started_at, site.same_since);
  if (outage.last_failed_at - since < policy.dispute_most) return;
  if (now.steady - site.disputed_since < steady_least) return;
  site.testimony.basis = Basis::Outlasted;
  site.testimony.decided_at = now.wall;
  --disputed_;
  count(Basis::Outlasted);
  publish();
}

Testimony Verification::ask_first(const SiteFacts& facts, const Outage& outage,
                                  const core::ConfirmPolicy& policy, Now now) {
  Testimony testimony{.outage = outage.started_at, .quorum = policy.quorum, .witnesses = {}};
  if (sites_.size() < limits_.sites_max && facts.subject) {
    Site site;
    site.started_at = outage.started_at;
    site.testimony.outage = outage.started_at;
    site.kept.assign(vantages_.size(), std::nullopt);
    const auto asked = open_question(site, facts, outage, policy, now);
    if (asked == VerifierPanel::Asked::Taken) {
      const Testimony none = site.testimony;
      sites_.insert_or_assign(facts.site, std::move(site));
      publish();
      return none;
    }
    if (asked == VerifierPanel::Asked::Bound) testimony.basis = Basis::Bound;
  }
  // Too many at once. A real outage is not held back for that: by the time its answers would have been there, our word is enough.
  if (testimony.basis == Basis::None && facts.at - outage.confirmed_at >= policy.verify_timeout)
    testimony.basis = Basis::Unasked;
  if (testimony.basis != Basis::None) {
    testimony.decided_at = now.wall;
    testimony.witnesses.push_back(own_witness(outage));
    count(testimony.basis);
  }
  return testimony;
}

VerifierPanel::Asked Verification::open_question(Site& site, const SiteFacts& facts,
                                                 const Outage& outage,
                                                 const core::ConfirmPolicy& policy, Now now) {
  if (!facts.subject) return VerifierPanel::Asked::Full;
  const std::uint64_t id = last_question_ + 1;
  const SteadyTime deadline = now.steady + policy.verify_timeout;
  const auto asked = panel_->ask({.id = id, .subject = *facts.subject, .deadline = deadline});
  if (asked != VerifierPanel::Asked::Taken) return asked;
  last_question_ = id;
  questions_.emplace(id, facts.site);
  site.facts = facts;
  site.question = id;
  site.deadline = deadline;
  site.answers.assign(vantages_.size(), std::nullopt);
  site.asked_failures = outage.failures;
  site.policy = policy;
  site.once_more = false;
  ++site.rounds;
  due_.push_back(id);
  publish();
  return asked;
}

void Verification::collect(Now now, std::vector<SiteFacts>& into, std::size_t room) {
  if (panel_ == nullptr) return;
  heard_.clear();
  panel_->take(heard_);
  for (const SeatAnswer& answer : heard_) hear(answer, now);
  for (; !closed_ && !due_.empty(); due_.pop_front()) {
    const auto question = questions_.find(due_.front());
    if (question == questions_.end()) continue;
    const SiteId id = question->second;
    Site& site = sites_.at(id);
    if (site.deadline > now.steady) break;
    if (!ask_once_more(site, now)) weigh_round(id, site, When::TimeOver, now);
  }
  while (room > 0 && !ready_.empty()) {
    const auto found = sites_.find(ready_.front());
    ready_.pop_front();
    if (found == sites_.end() || !std::exchange(found->second.ready, false)) continue;
    into.push_back(found->second.facts);
    --room;
  }
}

// Once a round: a shard that is always late must decide all the same. The newest facts tell what is asked.
bool Verification::ask_once_more(Site& site, Now now) {
  if (site.once_more || now.steady - site.deadline <= limits_.late_most) return false;
  close_question(site);
  const SiteFacts facts = site.facts;
  const bool asked = open_question(site, facts, facts.outages.back(), site.policy, now) ==
                     VerifierPanel::Asked::Taken;
  if (!asked) return false;
  --site.rounds;
  site.once_more = true;
  return true;
}

void Verification::hear(const SeatAnswer& answer, Now now) {
  const auto question = questions_.find(answer.id);
  if (question == questions_.end()) return;  // Of a round that is over.
  const SiteId id = question->second;
  Site& site = sites_.at(id);
  site.answers.at(answer.seat) = answer.witness;
  if (core::is_vote(answer.witness.saw)) {
    auto& kept = site.kept.at(answer.seat);
    kept.reset();
    if (answer.witness.saw == Saw::Up) kept = Kept{answer.witness, now.steady};
  }
  weigh_round(id, site, When::Open, now);
}

const Witness* Verification::voice(const Site& site, std::size_t seat, bool time_is_over,
                                   Now now) const {
  const auto& answer = site.answers[seat];
  const bool says_nothing = answer ? !core::is_vote(answer->saw) : time_is_over;
  const auto& kept = site.kept[seat];
  if (says_nothing && kept && now.steady - kept->since < site.policy.dispute_most)
    return &kept->witness;
  return answer ? &*answer : nullptr;
}

void Verification::weigh_round(SiteId id, Site& site, When when, Now now) {
  const bool time_is_over = when != When::Open;
  std::vector<Ballot> ballots;
  for (std::size_t seat = 0; seat < vantages_.size(); ++seat) {
    const Witness* const witness = voice(site, seat, time_is_over, now);
    ballots.push_back({vantages_[seat], witness ? std::optional(witness->saw) : std::nullopt});
  }
  const Basis basis = weigh(ballots, site.policy.quorum, time_is_over);
  if (basis == Basis::None || (when == When::Ended && basis == Basis::Unanswered)) return;
  close_question(site);
  count(basis);
  Testimony& testimony = site.testimony;
  disputed_ += basis == Basis::Disagreement ? 1U : 0U;
  disputed_ -= testimony.basis == Basis::Disagreement ? 1U : 0U;
  if (basis == Basis::Disagreement && site.disputed_since == core::kNoSteadyTime)
    site.disputed_since = now.steady;
  site.outvoted = outvoted(ballots);
  testimony.basis = basis;
  testimony.quorum = site.policy.quorum;
  testimony.round = site.rounds;
  testimony.decided_at = now.wall;
  testimony.witnesses = {own_witness(site.facts.outages.back())};
  for (std::size_t seat = 0; seat < vantages_.size(); ++seat) {
    const Witness* const heard = voice(site, seat, time_is_over, now);
    Witness witness = heard != nullptr ? *heard : Witness{.at = now.wall};
    witness.vantage = panel_->seats()[seat].name;
    witness.region = panel_->seats()[seat].region;
    testimony.witnesses.push_back(std::move(witness));
  }
  const auto doublings = std::min<std::uint32_t>(site.rounds - 1, 16);
  site.again_at = now.steady + std::min(limits_.again_after * (1U << doublings), limits_.again_most);
  if (when != When::Ended) {
    site.ready = true;
    ready_.push_back(id);
  }
  publish();
}

void Verification::close_question(Site& site) {
  panel_->drop(site.question);
  questions_.erase(std::exchange(site.question, 0));
}

void Verification::settled(SiteId site, const std::optional<StoredEvent>& open) {
  const auto found = sites_.find(site);
  if (found == sites_.end()) return;
  const bool goes_on = open && open->event.state == core::SiteState::SeemsDown &&
                       open->event.started_at == found->second.started_at;
  if (goes_on) {
    found->second.earlier = {};
    return;
  }
  if (found->second.question != 0) close_question(found->second);
  disputed_ -= found->second.testimony.basis == Basis::Disagreement ? 1U : 0U;
  sites_.erase(found);
  publish();
}

std::optional<SteadyTime> Verification::next() const {
  if (!ready_.empty()) return SteadyTime::min();
  if (closed_) return std::nullopt;
  for (const std::uint64_t id : due_) {
    const auto question = questions_.find(id);
    if (question != questions_.end()) return sites_.at(question->second).deadline;
  }
  return std::nullopt;
}

void Verification::publish() {
  stats_.waiting.set(static_cast<double>(questions_.size()));
  stats_.disputed.set(static_cast<double>(disputed_));
}

}  // namespace watchwheel::sideeffects
