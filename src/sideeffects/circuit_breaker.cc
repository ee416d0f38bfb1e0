// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/circuit_breaker.h"

#include <algorithm>

namespace watchwheel::sideeffects {
namespace {

using core::SteadyTime;

constexpr core::Duration kSlot = std::chrono::seconds{10};
// The probe's result wakes who asks; this is for the case that nobody does.
constexpr core::Duration kProbeAskAgain = std::chrono::seconds{1};

std::int64_t slot_number(SteadyTime now) {
  return now.time_since_epoch() / kSlot;
}

}  // namespace

std::string_view to_string(CircuitState state) {
  switch (state) {
    case CircuitState::Closed:
      return "closed";
    case CircuitState::Open:
      return "open";
    case CircuitState::HalfOpen:
      break;
  }
  return "half_open";
}

std::optional<CircuitBreaker::Pass> CircuitBreaker::allow(SteadyTime now) {
  if (state_ == CircuitState::Closed) return Pass{era_};
  if (state_ == CircuitState::Open) {
    if (now < retry_at_) return std::nullopt;
    state_ = CircuitState::HalfOpen;
    ++era_;
  }
  retry_at_ = now + kProbeAskAgain;
  if (probing_) return std::nullopt;
  probing_ = true;
  return Pass{era_};
}

void CircuitBreaker::on_result(Pass pass, SendOutcome outcome, SteadyTime now) {
  if (pass.era != era_ || state_ == CircuitState::Open) return;
  const bool failed = outcome == SendOutcome::Retry;
  if (state_ == CircuitState::HalfOpen) {
    probing_ = false;
    if (outcome == SendOutcome::NotSent) {
      retry_at_ = now;
    } else if (failed) {
      open(now);
    } else {
      close();
    }
    return;
  }
  if (outcome == SendOutcome::NotSent) return;
  count(failed, now);
  in_a_row_ = failed ? in_a_row_ + 1 : 0;
  if (!failed) opened_row_ = 0;
  if (failed && (in_a_row_ >= policy_.failures || too_many(now))) open(now);
}

void CircuitBreaker::open(SteadyTime now) {
  // At most some doublings: the number of times has no end.
  core::Duration wait = policy_.open_first;
  for (std::uint32_t i = 0; i < opened_row_ && wait < policy_.open_max; ++i) wait *= 2;
  state_ = CircuitState::Open;
  retry_at_ = now + std::min(wait, policy_.open_max);
  ++opened_row_;
  ++opened_total_;
  ++era_;
}

void CircuitBreaker::close() {
  state_ = CircuitState::Closed;
  retry_at_ = core::kNoSteadyTime;
  in_a_row_ = 0;
  minute_ = {};
  ++era_;
}

void CircuitBreaker::count(bool failed, SteadyTime now) {
  const std::int64_t number = slot_number(now);
  Slot& slot = minute_.at(static_cast<std::size_t>(number) % minute_.size());
  if (slot.number != number) slot = Slot{.number = number};
  ++(failed ? slot.failed : slot.answered);
}

bool CircuitBreaker::too_many(SteadyTime now) const {
  const std::int64_t oldest = slot_number(now) - static_cast<std::int64_t>(minute_.size()) + 1;
  std::uint32_t failed = 0;
  std::uint32_t all = 0;
  for (const Slot& slot : minute_) {
    if (slot.number < oldest) continue;
    failed += slot.failed;
    all += slot.failed + slot.answered;
  }
  return all >= policy_.share_of && failed >= policy_.share * all;
}

}  // namespace watchwheel::sideeffects
