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
    "in_flight", "descriptors", "memory", "ports", "loop_lag"};
constexpr Duration kLoopLagForgotten = 1s;
constexpr double kWantedHeadroom = 2;
constexpr double kWantedMin = 64;
// Of a moving mean over about the last 256 probes; a plain mean until there are as many.
constexpr double kMeanWindow = 256;

constexpr std::uint64_t bytes_of(bool tls) {
  return tls ? kTlsProbeBytes : kPlainProbeBytes;
}
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

Admission::Admission(AdmissionLimits limits) : limits_(limits) {
  update(0, core::kNoSteadyTime);
}

bool Admission::admit(bool tls) {
  const std::uint64_t bytes = bytes_of(tls);
  if (const std::optional<AdmissionReason> reason = refusal(bytes)) {
    stats_.refused[index_of(*reason)].add();
    return false;
  }
  ++in_flight_;
  bytes_ += bytes;
  mean_bytes_ += (static_cast<double>(bytes) - mean_bytes_) / kMeanWindow;
  publish_room();
  return true;
}

void Admission::released(bool tls, Duration time_in_flight) {
  leave(tls);
  ++released_;
  const double weight = 1 / std::min(static_cast<double>(released_), kMeanWindow);
  mean_seconds_ += (std::max(0.0, core::to_seconds(time_in_flight)) - mean_seconds_) * weight;
}

void Admission::withdraw(bool tls) {
  leave(tls);
}

void Admission::leave(bool tls) {
  ENSURE(in_flight_ > 0 && bytes_ >= bytes_of(tls), "a probe was released that was not admitted");
  --in_flight_;
  bytes_ -= bytes_of(tls);
  publish_room();
}

void Admission::update(double required_per_second, SteadyTime now) {
  required_per_second_ = required_per_second;
  if (now - loop_lag_at_ >= kLoopLagForgotten) {
    loop_lag_ = Duration::zero();
    lagging_ = false;
  }
  stats_.limit.set(static_cast<double>(limit()));
  stats_.wanted.set(static_cast<double>(wanted()));
  stats_.limited_by.set(static_cast<double>(index_of(limiting_reason())));
  publish_room();
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

// The first limit that one more probe of this size would exceed. One probe always fits the memory: a budget smaller than one
// probe must not mean that nothing is ever checked.
std::optional<AdmissionReason> Admission::refusal(std::uint64_t bytes) const {
  if (lagging_) return AdmissionReason::LoopLag;
  if (in_flight_ >= or_most(limits_.in_flight_max)) return AdmissionReason::InFlight;
  if (limits_.descriptors != 0 && in_flight_ >= limits_.descriptors)
    return AdmissionReason::Descriptors;
  if (limits_.ephemeral_ports != 0 && in_flight_ >= limits_.ephemeral_ports)
    return AdmissionReason::Ports;
  if (limits_.memory_bytes != 0 && in_flight_ > 0 && bytes_ + bytes > limits_.memory_bytes)
    return AdmissionReason::Memory;
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
                   or_most(limits_.ephemeral_ports), memory_limit()});
}

std::size_t Admission::ceiling() const {
  const std::uint64_t by_memory =
      limits_.memory_bytes == 0
          ? kInFlightMost
          : std::max<std::uint64_t>(1, limits_.memory_bytes / kPlainProbeBytes);
  return std::min({or_most(limits_.in_flight_max), or_most(limits_.descriptors),
                   or_most(limits_.ephemeral_ports), by_memory});
}

AdmissionReason Admission::limiting_reason() const {
  if (lagging_) return AdmissionReason::LoopLag;
  const std::uint64_t tightest = limit();
  if (limits_.in_flight_max != 0 && limits_.in_flight_max == tightest)
    return AdmissionReason::InFlight;
  if (limits_.descriptors != 0 && limits_.descriptors == tightest)
    return AdmissionReason::Descriptors;
  if (limits_.ephemeral_ports != 0 && limits_.ephemeral_ports == tightest)
    return AdmissionReason::Ports;
  return limits_.memory_bytes != 0 && memory_limit() == tightest ? AdmissionReason::Memory
                                                                 : AdmissionReason::InFlight;
}

std::size_t Admission::wanted() const {
  const double wanted = std::ceil(required_per_second_ * mean_seconds_ * kWantedHeadroom);
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
      return share(in_flight_, limits_.ephemeral_ports);
    case AdmissionReason::LoopLag:
      break;
  }
  if (lagging_) return 1;
  return std::clamp(core::to_seconds(loop_lag_) / core::to_seconds(kLoopLagMax), 0.0, 1.0);
}

void Admission::publish_room() {
  stats_.in_flight.set(static_cast<double>(in_flight_));
  for (std::size_t i = 0; i < kAdmissionReasonCount; ++i) {
    stats_.pressure[i].set(pressure(static_cast<AdmissionReason>(i)));
  }
}

}  // namespace watchwheel::scheduler
