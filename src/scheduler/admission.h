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
enum class AdmissionReason : std::uint8_t {
  InFlight,        // The operator's own limit.
  Descriptors,
  Memory,          // Reserved by tier for what is in flight.
  Ports,           // A destination had no port left for us. Told, never refused: others have theirs.
  LoopLag,
  Cpu,             // Answers are waiting: they go before starts.
  MemoryResident,  // What the process really takes, by the backstop.
};
inline constexpr std::size_t kAdmissionReasonCount = 7;
// "in_flight", "descriptors", "memory", "ports", "loop_lag", "cpu", "memory_resident".
[[nodiscard]] std::string_view to_string(AdmissionReason reason);

// What one lane may use. 0: this does not limit.
struct AdmissionLimits {
  std::uint64_t in_flight_max =
      0;  // The operator's own; 0 is automatic: the machine's limits alone.
  std::uint64_t descriptors =
      0;  // What probes may hold; what the process needs for itself is already taken off.
  std::uint64_t memory_bytes = 0;  // Reserved by each probe in flight, by its tier.
};

// What a probe takes while it is in flight: in clear text, over TLS, or with a body that is kept
// whole for expressions and JSON.
enum class Tier : std::uint8_t { Plain, Tls, Kept };
inline constexpr std::size_t kTierCount = 3;

// Reckoned with for one probe in flight, the kernel's buffers included (measured without them: 17 and
// 56 KiB, docs/reference/performance.md). A kept body is a page's usual size; what bodies really take
// has its own limit in the checker.
inline constexpr std::uint64_t kPlainProbeBytes = 20 * 1024;
inline constexpr std::uint64_t kTlsProbeBytes = 64 * 1024;
inline constexpr std::uint64_t kKeptProbeBytes = 192 * 1024;
[[nodiscard]] std::uint64_t bytes_of(Tier tier);

// More than this many at once is never useful for one thread, whatever the machine says.
inline constexpr std::uint64_t kInFlightMost = 1'000'000;
// A loop this late cannot tell a slow site from its own lateness: beyond kInFlightFloor nothing new is started until it has caught
// up to half of it. On a host whose processors are always taken by others it never does.
inline constexpr core::Duration kLoopLagMax = std::chrono::milliseconds{500};
// However late the loop is, this many checks of a lane go on, and however short memory is, this many of each tier: a process whose
// sites alone exceed its budget would check nothing for ever, and give nothing back for it.
inline constexpr std::uint64_t kInFlightFloor = 16;

// What the watch over the resident memory asks of a lane. By tier: no new probe of it beyond kInFlightFloor.
struct MemoryRelief {
  std::array<bool, kTierCount> refuse{};
  double pressure = 0;  // 0 to 1.
  friend bool operator==(const MemoryRelief&, const MemoryRelief&) = default;
};

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
  [[nodiscard]] bool admit(Tier tier);
  // The probe is over, whatever its outcome, after `time_in_flight`.
  void released(Tier tier, core::Duration time_in_flight);
  // Admitted, but there was no room to start it: its room is given back, nothing is learnt from it, and it is counted as refused
  // under limiting_reason().
  void withdraw(Tier tier);

  // Once a turn: what the wheel asks for, and the time.
  void update(double required_per_second, core::SteadyTime now);
  // The loop woke `lag` later than it meant to. Forgotten after a second without news, so that it cannot close for ever.
  void note_loop_lag(core::Duration lag, core::SteadyTime now);

  // Once a turn, before starts: `answers_left` when answers that are here already were left for the next turn. Then what may
  // start is what has ended since the last turn, one in for one out, and what is missing to kInFlightFloor: more would only make
  // all of them wait longer, until they time out. Without answers left there is no such limit.
  void note_answers_left(bool answers_left);
  // How many may start until the next note_answers_left(), by that alone.
  [[nodiscard]] std::size_t starts_left() const {
    return answers_left_ ? starts_left_ : kInFlightMost;
  }
  // A check was due and starts_left() was 0.
  void count_refused_for_answers();

  void set_memory_relief(const MemoryRelief& relief) { relief_ = relief; }
  // Memory is too short for this tier but not for a smaller one: the check is not made this time, or those of the smaller tier
  // would wait behind it. Counted when true.
  [[nodiscard]] bool sheds(Tier tier);
  // A connection found no port of ours for its destination.
  void note_no_port(core::SteadyTime now);

  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  // How many could be in flight with the present mix of tiers; at least 1.
  [[nodiscard]] std::size_t limit() const;
  // How large limit() could ever become: the size of the table of probes.
  [[nodiscard]] std::size_t ceiling() const;
  // The tightest limit, or LoopLag while that refuses.
  [[nodiscard]] AdmissionReason limiting_reason() const;
  // Little's law: required rate x mean time in flight of all outcomes of about the last half minute x 2 for headroom; at least
  // 64. By time and not by number: with a third of a fleet timing out, the mean of the last few hundred swings widely.
  [[nodiscard]] std::size_t wanted() const;
  // Share of a limit that is used, 0 to 1; 0 when it does not limit.
  [[nodiscard]] double pressure(AdmissionReason signal) const;
  [[nodiscard]] const AdmissionStats& stats() const { return stats_; }

 private:
  [[nodiscard]] std::optional<AdmissionReason> refusal(Tier tier) const;
  [[nodiscard]] std::uint64_t memory_limit() const;
  void publish_pressure();
  void leave(Tier tier);
  [[nodiscard]] bool below_floor(Tier tier) const {
    return in_flight_by_[static_cast<std::size_t>(tier)] < kInFlightFloor;
  }

  const AdmissionLimits limits_;
  std::uint64_t in_flight_ = 0;
  std::array<std::uint64_t, kTierCount> in_flight_by_{};
  std::uint64_t bytes_ = 0;
  double mean_bytes_ = static_cast<double>(
      kTlsProbeBytes);       // Of what is admitted, moving. Starts at the dearer tier.
  double seconds_sum_ = 0;     // In flight, of those released, and how many; both fade away.
  double released_sum_ = 0;
  double required_per_second_ = 0;
  core::SteadyTime updated_ = core::kNoSteadyTime;
  core::Duration loop_lag_{};
  core::SteadyTime loop_lag_at_ = core::kNoSteadyTime;
  bool lagging_ = false;
  std::size_t starts_left_ = 0;  // While answers are left.
  std::size_t released_since_turn_ = 0;
  bool answers_left_ = false;
  double cpu_share_ = 0;  // Of time in which answers were left, moving.
  MemoryRelief relief_;
  core::SteadyTime no_port_at_ = core::kNoSteadyTime;
  bool no_port_ = false;
  AdmissionStats stats_;
};

}  // namespace watchwheel::scheduler
