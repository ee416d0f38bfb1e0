// SPDX-License-Identifier: Apache-2.0
#include "scheduler/admission.h"

#include <algorithm>
#include <cmath>

#include "core/ensure.h"

namespace watchwheel::scheduler {
namespace {

using core::Duration;
using core::SteadyTime;
using namespace std::chrono_literals;

constexpr std::array<std::string_view, kAdmissionReasonCount> kReasons{
    "in_flight", "descriptors", "memory", "ports", "loop_lag", "cpu", "memory_resident"};
constexpr Duration kLoopLagForgotten = 1s;
constexpr Duration kNoPortForgotten = 1s;
// After this long a released probe counts for a third in the mean.
constexpr double kMeanFadesSeconds = 30;
// So long until the share of time in which answers waited has followed a change by two thirds.
constexpr double kCpuShareFollowsSeconds = 1;
constexpr double kCpuLimits = 0.5;
constexpr double kWantedHeadroom = 2;
constexpr double kWantedMin = 64;
// The mix of tiers is a mean over about the last 256 probes.
constexpr double kMixWindow = 256;

constexpr std::uint64_t or_most(std::uint64_t limit) {
  return limit == 0 ? kInFlightMost : std::min(limit, kInFlightMost);
}
constexpr std::size_t index_of(AdmissionReason reason) {
  return static_cast<std::size_t>(reason);
}

double share(std::uint64_t used, std::uint64_t limit) {
  return limit == 0 ? 0 : std::min(1.0, static_cast<double>(used) / static_cast<double>(limit));
}

}  // namespace

std::string_view to_string(AdmissionReason reason) {
  ENSURE(index_of(reason) < kReasons.size(), "an admission reason outside its list");
  return kReasons[index_of(reason)];
}

std::uint64_t bytes_of(Tier tier) {
  switch (tier) {
    case Tier::Plain:
      return kPlainProbeBytes;
    case Tier::Tls:
      return kTlsProbeBytes;
    case Tier::Kept:
      return kKeptProbeBytes;
  }
  ENSURE(false, "a tier outside its list");
}

Admission::Admission(AdmissionLimits limits) : limits_(limits) {
  update(0, core::kNoSteadyTime);
}

bool Admission::admit(Tier tier) {
  if (const std::optional<AdmissionReason> reason = refusal(tier)) {
    stats_.refused[index_of(*reason)].add();
    return false;
  }
  ++in_flight_;
  ++in_flight_by_[static_cast<std::size_t>(tier)];
  if (starts_left_ > 0) --starts_left_;
  const std::uint64_t bytes = bytes_of(tier);
  bytes_ += bytes;
  mean_bytes_ += (static_cast<double>(bytes) - mean_bytes_) / kMixWindow;
  stats_.in_flight.set(static_cast<double>(in_flight_));
  return true;
}

void Admission::released(Tier tier, Duration time_in_flight) {
  leave(tier);
  ++released_since_turn_;
  seconds_sum_ += std::max(0.0, core::to_seconds(time_in_flight));
  released_sum_ += 1;
}

void Admission::withdraw(Tier tier) {
  stats_.refused[index_of(limiting_reason())].add();
  leave(tier);
  ++starts_left_;  // Means nothing while no answers are left.
}

void Admission::leave(Tier tier) {
  ENSURE(in_flight_ > 0 && bytes_ >= bytes_of(tier), "a probe was released that was not admitted");
  --in_flight_;
  --in_flight_by_[static_cast<std::size_t>(tier)];
  bytes_ -= bytes_of(tier);
  stats_.in_flight.set(static_cast<double>(in_flight_));
}

void Admission::note_answers_left(bool answers_left) {
  answers_left_ = answers_left;
  // With next to nothing in flight there is always something to start: whatever it is that waits, the work does not stop for it.
  const std::uint64_t floor = in_flight_ < kInFlightFloor ? kInFlightFloor - in_flight_ : 0;
  starts_left_ = std::max<std::size_t>(released_since_turn_, floor);
  released_since_turn_ = 0;
}

void Admission::count_refused_for_answers() {
  stats_.refused[index_of(AdmissionReason::Cpu)].add();
}

bool Admission::sheds(Tier tier) {
  const auto refuses = [&](Tier one) { return relief_.refuse[static_cast<std::size_t>(one)]; };
  if (!refuses(tier) || refuses(Tier::Plain) || below_floor(tier)) return false;
  stats_.refused[index_of(AdmissionReason::MemoryResident)].add();
  return true;
}

void Admission::note_no_port(SteadyTime now) {
  no_port_ = true;
  no_port_at_ = now;
}

void Admission::update(double required_per_second, SteadyTime now) {
  required_per_second_ = required_per_second;
  if (now - loop_lag_at_ >= kLoopLagForgotten) {
    loop_lag_ = Duration::zero();
    lagging_ = false;
  }
  if (now - no_port_at_ >= kNoPortForgotten) no_port_ = false;
  const double passed = updated_ == core::kNoSteadyTime ? 0 : core::to_seconds(now - updated_);
  updated_ = now;
  // A mean of nothing is no mean: what was last known stays.
  if (const double fades = std::exp(-passed / kMeanFadesSeconds); released_sum_ * fades >= 1) {
    seconds_sum_ *= fades;
    released_sum_ *= fades;
  }
  cpu_share_ += ((answers_left_ ? 1.0 : 0.0) - cpu_share_) *
                (1 - std::exp(-passed / kCpuShareFollowsSeconds));
  stats_.limit.set(static_cast<double>(limit()));
  stats_.wanted.set(static_cast<double>(wanted()));
  stats_.limited_by.set(static_cast<double>(index_of(limiting_reason())));
  publish_pressure();
}

void Admission::note_loop_lag(Duration lag, SteadyTime now) {
  loop_lag_ = lag;
  loop_lag_at_ = now;
  if (lag >= kLoopLagMax) {
    lagging_ = true;
  } else if (lag <= kLoopLagMax / 2) {
    lagging_ = false;
  }
}

// The first limit that one more probe of this tier would exceed. One probe always fits the memory: a budget smaller than one
// probe must not mean that nothing is ever checked.
std::optional<AdmissionReason> Admission::refusal(Tier tier) const {
  if (lagging_ && in_flight_ >= kInFlightFloor) return AdmissionReason::LoopLag;
  if (starts_left() == 0) return AdmissionReason::Cpu;
  if (in_flight_ >= or_most(limits_.in_flight_max)) return AdmissionReason::InFlight;
  if (limits_.descriptors != 0 && in_flight_ >= limits_.descriptors)
    return AdmissionReason::Descriptors;
  if (limits_.memory_bytes != 0 && in_flight_ > 0 &&
      bytes_ + bytes_of(tier) > limits_.memory_bytes)
    return AdmissionReason::Memory;
  if (relief_.refuse[static_cast<std::size_t>(tier)] && !below_floor(tier))
    return AdmissionReason::MemoryResident;
  return std::nullopt;
}

// With the present mix. What is in flight already counts as it is, what could come at the mean.
std::uint64_t Admission::memory_limit() const {
  if (limits_.memory_bytes == 0) return kInFlightMost;
  const std::uint64_t left = limits_.memory_bytes > bytes_ ? limits_.memory_bytes - bytes_ : 0;
  return std::max<std::uint64_t>(
      1, in_flight_ + static_cast<std::uint64_t>(static_cast<double>(left) / mean_bytes_));
}

std::size_t Admission::limit() const {
  return std::min({or_most(limits_.in_flight_max), or_most(limits_.descriptors),
                   memory_limit()});
}

std::size_t Admission::ceiling() const {
  const std::uint64_t by_memory =
      limits_.memory_bytes == 0
          ? kInFlightMost
          : std::max<std::uint64_t>(1, limits_.memory_bytes / kPlainProbeBytes);
  return std::min({or_most(limits_.in_flight_max), or_most(limits_.descriptors), by_memory});
}

AdmissionReason Admission::limiting_reason() const {
  if (lagging_) return AdmissionReason::LoopLag;
  if (std::find(relief_.refuse.begin(), relief_.refuse.end(), true) != relief_.refuse.end())
    return AdmissionReason::MemoryResident;
  if (cpu_share_ > kCpuLimits) return AdmissionReason::Cpu;
  const std::uint64_t tightest = limit();
  if (limits_.in_flight_max != 0 && limits_.in_flight_max == tightest)
    return AdmissionReason::InFlight;
  if (limits_.descriptors != 0 && limits_.descriptors == tightest)
    return AdmissionReason::Descriptors;
  return limits_.memory_bytes != 0 && memory_limit() == tightest ? AdmissionReason::Memory
                                                                 : AdmissionReason::InFlight;
}

std::size_t Admission::wanted() const {
  const double mean = released_sum_ > 0 ? seconds_sum_ / released_sum_ : 0;
  const double wanted = std::ceil(required_per_second_ * mean * kWantedHeadroom);
  return static_cast<std::size_t>(
      std::clamp(wanted, kWantedMin, static_cast<double>(kInFlightMost)));
}

double Admission::pressure(AdmissionReason signal) const {
  switch (signal) {
    case AdmissionReason::InFlight:
      return share(in_flight_, or_most(limits_.in_flight_max));
    case AdmissionReason::Descriptors:
      return share(in_flight_, limits_.descriptors);
    case AdmissionReason::Memory:
      return share(bytes_, limits_.memory_bytes);
    case AdmissionReason::Ports:
      return no_port_ ? 1 : 0;
    case AdmissionReason::Cpu:
      return cpu_share_;
    case AdmissionReason::MemoryResident:
      return relief_.pressure;
    case AdmissionReason::LoopLag:
      break;
  }
  if (lagging_) return 1;
  return std::clamp(core::to_seconds(loop_lag_) / core::to_seconds(kLoopLagMax), 0.0, 1.0);
}

void Admission::publish_pressure() {
  for (std::size_t i = 0; i < kAdmissionReasonCount; ++i) {
    stats_.pressure[i].set(pressure(static_cast<AdmissionReason>(i)));
  }
}

}  // namespace watchwheel::scheduler
