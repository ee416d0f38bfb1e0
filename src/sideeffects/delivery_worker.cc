// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/delivery_worker.h"

#include <algorithm>
#include <optional>

#include "core/hash.h"
#include "sideeffects/backoff.h"
#include "sideeffects/message.h"
#include "sideeffects/retry_policy.h"

namespace watchwheel::sideeffects {
namespace {

using namespace std::chrono_literals;

// An attempt is begun only when its lease outlasts its timeout by this.
constexpr core::Duration kLeaseSpare = 5s;
constexpr std::size_t kLooksMax = 4096;
constexpr std::size_t kPurgeRows = 500;
constexpr std::size_t kBuryRows = 500;
constexpr BackoffLimits kNotSentWait{.first = 1s, .max = 30s};

}  // namespace

DeliveryWorker::DeliveryWorker(Settings settings, DeliveryQueue& queue, Channels& channels,
                               std::shared_ptr<const NotifyTargets> targets,
                               const core::Clock& clock, std::uint64_t seed)
    : settings_(std::move(settings)),
      queue_(queue),
      channels_(channels),
      clock_(clock),
      random_(core::stable_hash(seed)),
      wanted_(std::move(targets)) {
  inbox_->wake = settings_.wake;
}

DeliveryWorker::~DeliveryWorker() {
  const std::lock_guard lock(inbox_->mutex);
  inbox_->wake = nullptr;
}

void DeliveryWorker::set_targets(std::shared_ptr<const NotifyTargets> targets) {
  const std::lock_guard lock(mutex_);
  wanted_ = std::move(targets);
}

std::vector<TargetReading> DeliveryWorker::targets() const {
  const std::lock_guard lock(mutex_);
  return readings_;
}

void DeliveryWorker::turn(core::SteadyTime now) {
  again_ = false;
  if (new_.exchange(false)) claim_at_ = core::SteadyTime::min();
  take_over_targets();
  take_answers(now);
  const bool well = finish() && extend(now) && look_at_levels(now) && look_for_new(now);
  if (well) purge(now);
  if (well) {
    failures_ = 0;
    plan_next(now);
  } else {
    next_ = now + backoff_delay({}, ++failures_, random());
  }
  publish();
}

void DeliveryWorker::take_over_targets() {
  {
    const std::lock_guard lock(mutex_);
    if (wanted_ == taken_) return;
    taken_ = wanted_;
  }
  for (auto& [name, target] : targets_) target.configured = false;
  for (const NotifyTarget& wanted : *taken_) {
    Target& target = targets_.try_emplace(wanted.name(), settings_.circuit).first->second;
    if (!target.channel || target.settings.channel != wanted.channel) {
      // Another place: what was learnt of the old one says nothing about it.
      target.circuit = CircuitBreaker(settings_.circuit);
      target.failing = false;
      target.channel = std::make_shared<const ChannelTarget>(wanted.channel);
    }
    target.settings = wanted;
    target.rate.set(wanted.rate);
    target.configured = true;
    target.gone = false;
    target.not_before = core::kNoSteadyTime;
    target.reading.name = wanted.name();
    target.reading.type = wanted.channel.type;
  }
  std::erase_if(targets_, [](const auto& entry) {
    return !entry.second.configured && entry.second.reading.under_way == 0;
  });
  claim_at_ = core::SteadyTime::min();
}

// ---- What became of attempts.

void DeliveryWorker::take_answers(core::SteadyTime now) {
  std::vector<Answer> answers;
  {
    const std::lock_guard lock(inbox_->mutex);
    answers.swap(inbox_->answers);
  }
  for (const Answer& one : answers) {
    const auto flight = under_way_.find(one.id);
    if (flight == under_way_.end() || flight->second.number != one.number) continue;
    const UnderWay ended = std::move(flight->second);
    under_way_.erase(flight);
    answer(ended, one.id, one.result, now);
    claim_at_ = core::SteadyTime::min();  // A place is free.
  }
}

void DeliveryWorker::answer(const UnderWay& flight, DeliveryId id, const SendResult& result,
                            core::SteadyTime now) {
  const auto found = targets_.find(flight.target);
  if (found == targets_.end()) return;  // Cannot be: it is kept while something of it is under way.
  Target& target = found->second;
  --target.reading.under_way;
  const bool former = flight.channel != target.channel;
  const bool some = result.part_taken && result.outcome == SendOutcome::Retry;
  if (!former)
    target.circuit.on_result(flight.pass, some ? SendOutcome::Delivered : result.outcome, now);
  stats_.attempts.at(static_cast<std::size_t>(target.reading.type))
      .at(static_cast<std::size_t>(result.outcome))
      .add();
  target.reading.last_at = clock_.wall();
  if (result.outcome == SendOutcome::Delivered) {
    ++target.reading.delivered;
    if (!former) {
      target.reading.last_failure.clear();
      target.failing = false;
    }
  } else if (former) {
    ++target.reading.failed;
  } else {
    if (result.outcome != SendOutcome::NotSent) ++target.reading.failed;
    target.reading.last_failure = result.detail;
    target.failing = result.outcome == SendOutcome::Retry && !some;
  }
  finishing_.push_back(
      {.id = id,
       .token = flight.token,
       .verdict = former ? verdict_of_former(result, now) : verdict(target, flight, result, now),
       .http_status = static_cast<std::uint16_t>(std::clamp(result.status, 0, 999)),
       .took = now - flight.begun_at,
       .detail = result.detail});
}

std::variant<Delivered, Retry, Snooze, Bury> DeliveryWorker::verdict(Target& target,
                                                                     const UnderWay& flight,
                                                                     const SendResult& result,
                                                                     core::SteadyTime now) {
  if (result.outcome != SendOutcome::NotSent) target.not_sent_row = 0;
  const auto later = [&](bool permanent) -> std::variant<Delivered, Retry, Snooze, Bury> {
    std::uint32_t most = target.settings.retry.attempts_max;
    if (permanent) most = std::min(most, kPermanentAttempts);
    if (result.part_taken && target.reading.type == ChannelType::Email)
      most = std::min(most, kPartMailAttempts);
    if (flight.attempt >= most && result.part_taken) {
      // As a dead letter it would withhold the end from a receiver that has most of it.
      settings_.warn("delivery_partly_refused target=" + flight.target + " attempts=" +
                     std::to_string(flight.attempt) + " why=\"" + result.detail + "\"");
      return Delivered{};
    }
    if (flight.attempt >= most) {
      stats_.dead.add();
      settings_.warn("delivery_dead target=" + flight.target + " attempts=" +
                     std::to_string(flight.attempt) + " why=\"" + result.detail + "\"");
      return Bury{permanent ? DeathReason::Permanent : DeathReason::MaxAttempts};
    }
    const core::Duration after = result.retry_after
                                     ? delay_as_asked(*result.retry_after, random())
                                     : retry_delay(target.settings.retry, flight.attempt, random());
    look_again(now + after);
    return Retry{after};
  };
  switch (result.outcome) {
    case SendOutcome::Delivered:
      return Delivered{};
    case SendOutcome::Retry:
      return later(false);
    case SendOutcome::Permanent:
      return later(true);
    case SendOutcome::Gone:
      target.gone = true;
      level_at_ = core::SteadyTime::min();  // What waits for it is buried there.
      stats_.dead.add();
      settings_.warn("target_gone target=" + flight.target + " why=\"" + result.detail + "\"");
      return Bury{DeathReason::Gone};
    case SendOutcome::NotSent:
      break;
  }
  const core::Duration wait = backoff_delay(kNotSentWait, ++target.not_sent_row, random());
  target.not_before = now + wait;
  look_again(target.not_before);
  stats_.snoozed.add();
  return Snooze{wait};
}

// Another place is configured by now: it is asked at once, whatever the former one said.
std::variant<Delivered, Retry, Snooze, Bury> DeliveryWorker::verdict_of_former(
    const SendResult& result, core::SteadyTime now) {
  if (result.outcome == SendOutcome::Delivered) return Delivered{};
  stats_.snoozed.add();
  look_again(now);
  return Snooze{};
}

bool DeliveryWorker::finish() {
  while (!finishing_.empty()) {
    const std::size_t count = std::min<std::size_t>(finishing_.size(), kClaimMax);
    const auto lost = queue_.finish(std::span(finishing_).first(count));
    if (!lost) {
      stats_.errors.add();
      return false;
    }
    stats_.stale.add(lost->size());
    finishing_.erase(finishing_.begin(), finishing_.begin() + static_cast<std::ptrdiff_t>(count));
    claim_at_ = core::SteadyTime::min();  // What waited behind them is due.
  }
  return true;
}

bool DeliveryWorker::extend(core::SteadyTime now) {
  if (now < extend_at_) return true;
  extend_at_ = now + lease() / 3;
  std::vector<Held> held;
  for (const auto& [id, flight] : under_way_) held.push_back({.id = id, .token = flight.token});
  if (held.empty()) return true;
  // Those that are lost are told so again, and counted, when they end.
  if (!queue_.extend(held, lease())) {
    stats_.errors.add();
    extend_at_ = now + 1s;
    return false;
  }
  return true;
}

// ---- The whole of it, now and then.

bool DeliveryWorker::look_at_levels(core::SteadyTime now) {
  if (now < level_at_ || draining_.load()) return true;
  std::vector<std::string> configured;
  for (const auto& [name, target] : targets_) {
    if (target.configured) configured.push_back(name);
  }
  const auto noted = queue_.note_targets(configured);
  const auto levels = noted ? queue_.levels() : noted.error();
  if (!levels) {
    stats_.errors.add();
    unknown_since_.clear();  // Nor could others say what they know.
    return false;
  }
  level_at_ = now + settings_.level_each;
  double waiting = 0, dead = 0;
  core::Duration oldest{};
  for (auto& [name, target] : targets_) {
    target.reading.waiting = target.reading.dead = 0;
    target.reading.oldest = {};
  }
  std::map<std::string, core::SteadyTime> unknown;
  for (const TargetLevel& level : *levels) {
    waiting += static_cast<double>(level.waiting + level.leased);
    dead += static_cast<double>(level.dead);
    oldest = std::max(oldest, level.oldest);
    const auto target = targets_.find(level.target);
    if (target != targets_.end() && target->second.configured) {
      target->second.reading.waiting = level.waiting + level.leased;
      target->second.reading.dead = level.dead;
      target->second.reading.oldest = level.oldest;
      const core::Duration max_age = target->second.settings.max_age;
      if (max_age > core::Duration{} && level.oldest > max_age &&
          !bury(level.target, DeathReason::TooOld, max_age))
        return false;
      if (target->second.gone && level.waiting > 0 && !bury(level.target, DeathReason::Gone))
        return false;
      continue;
    }
    if (level.waiting == 0) continue;
    const auto since = unknown_since_.find(level.target);
    const core::SteadyTime from = since == unknown_since_.end() ? now : since->second;
    unknown.emplace(level.target, from);
    // Long enough here, and nobody else knows it: on a host that was not told yet it may be new.
    const bool unseen = !level.seen || *level.seen >= settings_.no_target_after;
    if (unseen && now - from >= settings_.no_target_after &&
        !bury(level.target, DeathReason::NoTarget))
      return false;
  }
  unknown_since_ = std::move(unknown);
  stats_.waiting.set(waiting);
  stats_.dead_letters.set(dead);
  stats_.oldest_s.set(core::to_seconds(oldest));
  return true;
}

void DeliveryWorker::purge(core::SteadyTime now) {
  if (now < purge_at_ || draining_.load()) return;
  const auto purged = queue_.purge(settings_.retention, kPurgeRows);
  if (!purged) stats_.errors.add();
  if (purged) stats_.removed.add(*purged);
  // There is more of it: soon again, and not at once, for the store has others to serve.
  const bool more = purged && *purged > 0;
  purge_at_ =
      now + (more ? std::min<core::Duration>(1s, settings_.level_each) : settings_.level_each);
}

bool DeliveryWorker::bury(const std::string& target, DeathReason reason, core::Duration older_than) {
  const auto buried = older_than > core::Duration{}
                          ? queue_.bury_older(target, reason, older_than, kBuryRows)
                          : queue_.bury_waiting(target, reason, kBuryRows);
  if (!buried) {
    stats_.errors.add();
    return false;
  }
  if (*buried == 0) return true;
  stats_.dead.add(*buried);
  settings_.warn("deliveries_buried target=" + target + " count=" + std::to_string(*buried) +
                 " reason=" + std::string(to_string(reason)));
  if (*buried >= kBuryRows) level_at_ = core::SteadyTime::min();
  return true;
}

// ---- New attempts.

bool DeliveryWorker::look_for_new(core::SteadyTime now) {
  if (draining_.load() || now < claim_at_) return true;
  if (!released_) {
    const auto released = queue_.release_former(settings_.claimer);
    if (!released) {
      stats_.errors.add();
      return false;
    }
    released_ = true;
  }
  claim_at_ = now + settings_.poll -
              settings_.poll / 10 * static_cast<core::Duration::rep>(random() % 1000) / 1000;
  // Each target once, from where the last look ended; in several rounds where there are more targets than places, most of which have
  // nothing to send.
  std::vector<std::string> names;
  for (const auto& [name, target] : targets_) names.push_back(name);
  first_ = names.empty() ? 0 : first_ % names.size();
  std::rotate(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(first_), names.end());
  std::size_t looked_at = 0;
  while (looked_at < names.size()) {
    std::vector<Want> wants;
    looked_at += want_from(std::span(names).subspan(looked_at), wants, now);
    if (wants.empty()) break;
    if (!claim(wants, now)) return false;
  }
  first_ += looked_at;
  return true;
}

// How many of `names` were looked at before all places were given away.
std::size_t DeliveryWorker::want_from(std::span<const std::string> names, std::vector<Want>& wants,
                                      core::SteadyTime now) {
  const std::size_t most = std::min(kUnderWayMax, channels_.attempts_max());
  std::size_t left = std::min<std::size_t>(most - std::min(most, under_way_.size()), kClaimMax);
  std::size_t looked_at = 0;
  for (; looked_at < names.size() && left > 0; ++looked_at) {
    Target& target = targets_.find(names[looked_at])->second;
    const std::uint32_t room = std::min(room_of(target, now), static_cast<std::uint32_t>(left));
    std::uint32_t taken = 0;
    while (taken < room) {
      if (const auto at = target.rate.take(now)) {
        look_again(*at);
        break;
      }
      ++taken;
    }
    if (taken == 0) continue;
    wants.push_back({.target = target.reading.name, .room = taken});
    left -= taken;
  }
  return looked_at;
}

bool DeliveryWorker::claim(const std::vector<Want>& wants, core::SteadyTime now) {
  auto claimed = queue_.claim(wants, lease(), settings_.claimer);
  std::map<std::string_view, std::uint32_t> got;
  if (claimed) {
    for (const Delivery& delivery : claimed->deliveries) ++got[delivery.target];
  }
  for (const Want& want : wants) {
    Target& target = targets_.find(want.target)->second;
    for (std::uint32_t unused = want.room - std::min(want.room, got[want.target]); unused > 0;
         --unused)
      target.rate.give_back();
  }
  if (!claimed) {
    stats_.errors.add();
    return false;
  }
  stats_.dead.add(claimed->poisoned);
  const core::SteadyTime then = clock_.steady();
  for (Delivery& delivery : claimed->deliveries) begin(std::move(delivery), now, then);
  return true;
}

std::uint32_t DeliveryWorker::room_of(Target& target, core::SteadyTime now) {
  if (!target.configured || target.gone) return 0;
  if (now < target.not_before) return 0;
  const std::uint32_t under_way = target.reading.under_way;
  if (target.circuit.state() != CircuitState::Closed) {
    if (under_way > 0) return 0;  // The probe, or what was begun before it opened.
    if (now >= target.circuit.retry_at()) return 1;
    look_again(target.circuit.retry_at());
    return 0;
  }
  const std::uint32_t places = target.failing ? 1 : target.settings.in_flight_max;
  return places - std::min(places, under_way);
}

void DeliveryWorker::begin(Delivery delivery, core::SteadyTime claimed_at, core::SteadyTime now) {
  const auto found = targets_.find(delivery.target);
  if (found == targets_.end()) return give_back(delivery, settings_.poll, now);
  Target& target = found->second;
  // Its lease ran out while we are sending it (the store's clock was set, or the machine slept): what comes of that is said under
  // the new one. Sent twice it would hold two places, and free one.
  if (const auto sending = under_way_.find(delivery.id); sending != under_way_.end()) {
    sending->second.token = delivery.token;
    target.rate.give_back();
    return;
  }
  if (claimed_at + lease() - now <= target.channel->timeout + kLeaseSpare) {
    target.rate.give_back();
    return give_back(delivery, {}, now);
  }
  const std::optional<CircuitBreaker::Pass> pass = target.circuit.allow(now);
  if (!pass) {
    target.rate.give_back();
    return give_back(delivery, std::max<core::Duration>(target.circuit.retry_at() - now, 250ms),
                     now);
  }
  core::Result<Message> message = decode_message(delivery.body);
  if (!message) {
    target.circuit.on_result(*pass, SendOutcome::NotSent, now);
    target.rate.give_back();
    stats_.dead.add();
    settings_.warn("delivery_unreadable target=" + delivery.target + " why=\"" +
                   message.error().message + "\"");
    finishing_.push_back({.id = delivery.id,
                          .token = delivery.token,
                          .verdict = Bury{DeathReason::Permanent},
                          .http_status = 0,
                          .took = {},
                          .detail = message.error().message});
    again_ = true;
    return;
  }
  ++target.reading.under_way;
  under_way_[delivery.id] = {.number = ++begun_,
                             .token = delivery.token,
                             .attempt = delivery.attempt,
                             .target = delivery.target,
                             .channel = target.channel,
                             .pass = *pass,
                             .begun_at = now};
  channels_.send(
      {.message_id = delivery.message_id,
       .number = delivery.attempt,
       .target = target.channel,
       .message = std::make_shared<const Message>(*std::move(message))},
      [inbox = inbox_, id = delivery.id, number = begun_](SendResult result) {
        const std::lock_guard lock(inbox->mutex);
        if (!inbox->wake) return;
        inbox->answers.push_back({.id = id, .number = number, .result = std::move(result)});
        inbox->wake();
      });
}

void DeliveryWorker::give_back(const Delivery& delivery, core::Duration after,
                               core::SteadyTime now) {
  stats_.snoozed.add();
  finishing_.push_back({.id = delivery.id,
                        .token = delivery.token,
                        .verdict = Snooze{after},
                        .http_status = 0,
                        .took = {},
                        .detail = {}});
  look_again(now + after);
  again_ = true;  // To tell the store.
}

void DeliveryWorker::abandon() {
  take_answers(clock_.steady());
  for (const auto& [id, flight] : under_way_) {
    stats_.snoozed.add();
    finishing_.push_back({.id = id,
                          .token = flight.token,
                          .verdict = Snooze{.after = {}, .begun = true},
                          .http_status = 0,
                          .took = {},
                          .detail = {}});
  }
  under_way_.clear();
  // What the store does not take now, it has back when the leases run out, or with the next start.
  (void)finish();
}

// ---- When next.

void DeliveryWorker::look_again(core::SteadyTime at) {
  if (looks_.size() < kLooksMax) looks_.insert(at);
}

void DeliveryWorker::plan_next(core::SteadyTime now) {
  looks_.erase(looks_.begin(), looks_.upper_bound(now));
  if (!looks_.empty()) claim_at_ = std::min(claim_at_, *looks_.begin());
  if (again_) claim_at_ = now;
  next_ = claim_at_;
  if (!under_way_.empty()) next_ = std::min(next_, extend_at_);
  if (!draining_.load()) next_ = std::min({next_, level_at_, purge_at_});
  if (draining_.load()) next_ = again_ ? now : now + settings_.poll;
  next_ = std::max(next_, now);
}

void DeliveryWorker::publish() {
  stats_.under_way.set(static_cast<double>(under_way_.size()));
  std::vector<TargetReading> readings;
  for (auto& [name, target] : targets_) {
    if (!target.configured) continue;
    target.reading.circuit = target.circuit.state();
    target.reading.gone = target.gone;
    readings.push_back(target.reading);
  }
  const std::lock_guard lock(mutex_);
  readings_ = std::move(readings);
}

core::Duration DeliveryWorker::lease() const {
  core::Duration longest{};
  for (const auto& [name, target] : targets_)
    longest = std::max(longest, target.settings.channel.timeout);
  return std::max(settings_.lease_min, longest * 2 + 30s);
}

std::uint64_t DeliveryWorker::random() {
  random_ = core::stable_hash(random_);
  return random_;
}

}  // namespace watchwheel::sideeffects
