// SPDX-License-Identifier: Apache-2.0
// scheduler/admission.h - may one more due check become a probe now?
//
// Owns     the count of a lane's probes in flight and what they are reckoned to cost.
// Thread   the lane's, for every call; stats() is read by any.
// Bounded  by what the machine affords, given as numbers by app. It reads no machine and no clock.
// Fails    by refusing, with a reason that is counted. A refused check stays due: it is late, and
//          lag shows it.
//
// The limit is what can be afforded, never what is wanted: the rate of checks is set by the wheel,
// concurrency is its consequence, and no latency of any site opens or closes anything here (ADR
// 0005). What is wanted, by Little's law over all outcomes, is only told, so that an operator sees
// in advance when the machine is too small.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/stats.h"

namespace watchwheel::scheduler {

// Why a check was not admitted; also the signals of pressure.
enum class AdmissionReason : std::uint8_t { InFlight, Descriptors, Memory, Ports, LoopLag };
inline constexpr std::size_t kAdmissionReasonCount = 5;
// "in_flight", "descriptors", "memory", "ports", "loop_lag".
[[nodiscard]] std::string_view to_string(AdmissionReason reason);

// What one lane may use. 0: this does not limit.
struct AdmissionLimits {
  std::uint64_t in_flight_max =
      0;  // The operator's own; 0 is automatic: the machine's limits alone.
  std::uint64_t descriptors =
      0;  // What probes may hold; what the process needs for itself is already taken off.
  std::uint64_t memory_bytes = 0;  // Reserved by each probe in flight, by its tier.
  std::uint64_t ephemeral_ports = 0;
};

// Reckoned with for one probe in flight, buffers of kernel and TLS included (measured: docs/reference/performance.md).
inline constexpr std::uint64_t kPlainProbeBytes = 20 * 1024;
inline constexpr std::uint64_t kTlsProbeBytes = 70 * 1024;
// More than this many at once is never useful for one thread, whatever the machine says.
inline constexpr std::uint64_t kInFlightMost = 1'000'000;
// A loop this late cannot tell a slow site from its own lateness: nothing new is started until it has caught up to half of it.
inline constexpr core::Duration kLoopLagMax = std::chrono::milliseconds{500};

struct AdmissionStats {
  core::Gauge in_flight;
  core::Gauge limit;       // See Admission::limit().
  core::Gauge wanted;      // See Admission::wanted().
  core::Gauge limited_by;  // The AdmissionReason of the tightest limit, as a number.
  std::array<core::Gauge, kAdmissionReasonCount>
      pressure;  // By AdmissionReason, 0 to 1; at 1 it refuses.
  std::array<core::Counter, kAdmissionReasonCount> refused;  // By AdmissionReason.
};

class Admission : core::Pinned {
 public:
  explicit Admission(AdmissionLimits limits);

  // True: one more probe is in flight, and released() or withdraw() ends it. False: there is no room; counted under its reason.
  [[nodiscard]] bool admit(bool tls);
  // The probe is over, whatever its outcome, after `time_in_flight`.
  void released(bool tls, core::Duration time_in_flight);
  // Admitted, but never started: its room is given back, and nothing is learnt from it.
  void withdraw(bool tls);

  // Once a turn: what the wheel asks for, and the time.
  void update(double required_per_second, core::SteadyTime now);
  // The loop woke `lag` later than it meant to. Forgotten after a second without news, so that it cannot close for ever.
  void note_loop_lag(core::Duration lag, core::SteadyTime now);

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  // How many could be in flight with the present mix of tiers; at least 1.
  [[nodiscard]] std::size_t limit() const;
  // How large limit() could ever become: the size of the table of probes.
  [[nodiscard]] std::size_t ceiling() const;
  // The tightest limit, or LoopLag while that refuses.
  [[nodiscard]] AdmissionReason limiting_reason() const;
  // Little's law: required rate x mean time in flight of all outcomes x 2 for headroom; at least 64.
  [[nodiscard]] std::size_t wanted() const;
  // Share of a limit that is used, 0 to 1; 0 when it does not limit.
  [[nodiscard]] double pressure(AdmissionReason signal) const;
  [[nodiscard]] const AdmissionStats& stats() const { return stats_; }

 private:
  [[nodiscard]] std::optional<AdmissionReason> refusal(std::uint64_t bytes) const;
  [[nodiscard]] std::uint64_t memory_limit() const;
  void publish_room();
  void leave(bool tls);

  const AdmissionLimits limits_;
  std::uint64_t in_flight_ = 0;
  std::uint64_t bytes_ = 0;
  double mean_bytes_ = static_cast<double>(
      kTlsProbeBytes);       // Of what is admitted, moving. Starts at the dearer tier.
  double mean_seconds_ = 0;  // In flight, moving.
  std::uint64_t released_ = 0;
  double required_per_second_ = 0;
  core::Duration loop_lag_{};
  core::SteadyTime loop_lag_at_ = core::kNoSteadyTime;
  bool lagging_ = false;
  AdmissionStats stats_;
};

}  // namespace watchwheel::scheduler
