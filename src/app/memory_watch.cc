// SPDX-License-Identifier: Apache-2.0
#include "app/memory_watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "core/ensure.h"

namespace watchwheel::app {
namespace {

using core::SteadyTime;
using scheduler::Tier;

constexpr std::uint8_t bit(Tier tier) {
  return static_cast<std::uint8_t>(1U << static_cast<unsigned>(tier));
}

constexpr std::string_view action_of(int level) {
  switch (level) {
    case 0:
      return "none";
    case 1:
      return "shrink_caches";
    case 2:
      return "refuse_large_checks";
    default:
      return "refuse_checks";
  }
}

}  // namespace

scheduler::MemoryRelief MemoryRequest::relief() const {
  const std::uint8_t bits = refuse.load(std::memory_order_relaxed);  // Stands for itself.
  scheduler::MemoryRelief relief;
  for (const Tier tier : {Tier::Plain, Tier::Tls, Tier::Kept})
    relief.refuse[static_cast<std::size_t>(tier)] = (bits & bit(tier)) != 0;
  relief.pressure = std::min(1.0, share.value());
  return relief;
}

MemoryWatch::MemoryWatch(std::uint64_t budget_bytes, Means means, Log& log)
    : budget_(budget_bytes), means_(std::move(means)), log_(log) {
  ENSURE(budget_ > 0, "a memory budget of nothing");
}

void MemoryWatch::look(SteadyTime now) {
  if (looked_ != core::kNoSteadyTime && now - looked_ < kEvery) return;
  looked_ = now;
  const std::uint64_t resident = means_.resident();
  if (resident == 0) return;
  resident_.set(static_cast<double>(resident));
  const double share = static_cast<double>(resident) / static_cast<double>(budget_);
  request_.share.set(share);
  if (const int to = level_for(share, now); to != level_) {
    change(to, now);
    begin_refusing(share, now);
  }
  act(share, now);
}

// Up at once, as far as need be; down by one, when it has been low for long enough.
int MemoryWatch::level_for(double share, SteadyTime now) {
  int begun = 0;
  while (begun < kLevelMost && share >= kBegins[begun]) ++begun;
  if (begun > level_) return begun;
  if (level_ == kLevelMost && begun < kLevelMost && is_in_vain(share, now)) return level_ - 1;
  if (level_ == 0 || share >= kEnds[level_ - 1]) {
    below_since_ = core::kNoSteadyTime;
    return level_;
  }
  if (below_since_ == core::kNoSteadyTime) below_since_ = now;
  return now - below_since_ >= kDwell ? level_ - 1 : level_;
}

void MemoryWatch::change(int to, SteadyTime now) {
  const bool up = to > level_;
  const std::string line =
      fmt::format("memory_level from={} to={} resident_bytes={} budget_bytes={} action={}", level_,
                  to, resident_bytes(), budget_, action_of(to));
  up ? log_.warn(line) : log_.info(line);
  if (up) shrunk_ = core::kNoSteadyTime;
  level_ = to;
  level_gauge_.set(to);
  changes_.add();
  since_ = now;
  below_since_ = core::kNoSteadyTime;
  told_ = now;
}

void MemoryWatch::begin_refusing(double share, SteadyTime now) {
  resting_ = false;
  refusing_since_ = now;
  measured_since_ = now;
  measured_from_ = share;
}

// Asked at each look, it compares once in kInVainAfter.
bool MemoryWatch::is_in_vain(double share, SteadyTime now) {
  if (now - measured_since_ < kInVainAfter) return false;
  const bool in_vain = share > measured_from_ - kGain;
  measured_since_ = now;
  measured_from_ = share;
  return in_vain;
}

void MemoryWatch::act(double share, SteadyTime now) {
  if (level_ == 2) {
    if (resting_ && share >= rested_at_ + kGrowth) {
      begin_refusing(share, now);
      tls_out_ = false;
    } else if (!resting_ && is_in_vain(share, now)) {
      resting_ = true;
      rested_at_ = share;
    }
  }
  // On the way down from level 3 TLS stays out until level 2 has ended too.
  tls_out_ = level_ == 3 || (level_ == 2 && (tls_out_ || now - refusing_since_ >= kDwell));
  std::uint8_t refuse = 0;
  if (level_ >= 2) refuse |= bit(Tier::Kept);
  if (tls_out_) refuse |= bit(Tier::Tls);
  if (level_ >= 3) refuse |= bit(Tier::Plain);
  if (level_ == 2 && resting_) refuse = 0;
  request_.refuse.store(refuse, std::memory_order_relaxed);
  if (std::exchange(trim_due_, false)) means_.trim();
  if (level_ == 0) return;
  shrink(share, now);
  if (level_ >= 2 && now - told_ >= kTellEvery) tell(now);
}

void MemoryWatch::shrink(double share, SteadyTime now) {
  if (shrunk_ == core::kNoSteadyTime) {
    shrink_every_ = kShrinkEvery;
  } else {
    if (now - shrunk_ < shrink_every_) return;
    const bool freed = share <= shrunk_at_ - kGain;
    shrink_every_ =
        freed ? kShrinkEvery : std::min<core::Duration>(2 * shrink_every_, kShrinkEveryMost);
  }
  shrunk_ = now;
  shrunk_at_ = share;
  trim_due_ = true;  // The lanes give back what they hold in their next turns.
  request_.shrinks.fetch_add(1, std::memory_order_relaxed);
}

void MemoryWatch::tell(SteadyTime now) {
  told_ = now;
  const std::string figures = fmt::format(
      "resident_bytes={} budget_bytes={} for_s={} in_flight_a_lane_and_tier={}", resident_bytes(),
      budget_, core::to_seconds(now - since_), scheduler::kInFlightFloor);
  constexpr std::string_view kRemedy =
      "remedy=\"raise engine.memory or give some sites to another host\"";
  if (level_ == kLevelMost) {
    log_.error(
        fmt::format("memory_over_budget {} action=checks_go_on_at_a_floor {}", figures, kRemedy));
  } else {
    log_.warn(fmt::format("memory_short {} action={} {}", figures,
                          resting_ ? "none_for_it_freed_nothing" : "large_checks_go_on_at_a_floor",
                          kRemedy));
  }
}

}  // namespace watchwheel::app
