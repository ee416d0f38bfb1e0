// SPDX-License-Identifier: Apache-2.0
#include "sideeffects/vantage_recorder.h"

#include <algorithm>
#include <utility>

namespace watchwheel::sideeffects {

VantageRecorder::VantageRecorder(VantageStore& store, core::WallTime opened_before,
                                 std::function<void()> wake)
    : store_(store), opened_before_(opened_before), wake_(std::move(wake)) {}

void VantageRecorder::post(const VantageEvent& event) {
  {
    const std::lock_guard lock(mutex_);
    const auto same = std::find_if(waiting_.begin(), waiting_.end(), [&](const VantageEvent& one) {
      return one.started_at == event.started_at;
    });
    if (same != waiting_.end()) {
      *same = event;
    } else if (waiting_.size() < kWaitingMax) {
      waiting_.push_back(event);
    } else {
      waiting_.back().ended_at = event.ended_at;
      waiting_.back().withheld = std::max(waiting_.back().withheld, event.withheld);
    }
  }
  wake_();
}

void VantageRecorder::turn(core::SteadyTime now) {
  if (now < retry_at_) return;
  if (!closed_old_) {
    const auto closed = store_.close_open(opened_before_);
    if (!done(closed ? core::Result<void>{} : core::Result<void>{closed.error()}, now)) return;
    closed_old_ = true;
  }
  for (;;) {
    VantageEvent event;
    {
      const std::lock_guard lock(mutex_);
      if (waiting_.empty()) return;
      event = waiting_.front();
    }
    if (!done(store_.put(event), now)) return;
    const std::lock_guard lock(mutex_);
    // A newer word may have come meanwhile.
    if (waiting_.front() == event) waiting_.pop_front();
  }
}

bool VantageRecorder::done(const core::Result<void>& stored, core::SteadyTime now) {
  if (stored) {
    failed_ = 0;
    return true;
  }
  errors_.add();
  const core::ErrorKind kind = stored.error().kind;
  if (kind != core::ErrorKind::Unavailable && kind != core::ErrorKind::Unknown) return true;
  retry_at_ = now + backoff_delay(BackoffLimits{}, ++failed_, 1);
  return false;
}

std::optional<core::SteadyTime> VantageRecorder::next_turn() const {
  const std::lock_guard lock(mutex_);
  if (waiting_.empty() && closed_old_) return std::nullopt;
  return retry_at_;  // May be past.
}

}  // namespace watchwheel::sideeffects
