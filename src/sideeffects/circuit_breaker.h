// SPDX-License-Identifier: Apache-2.0
// sideeffects/circuit_breaker.h - leaves a receiver alone that does not work, and looks now and then whether it does again.
//
//   closed     everything may go. Opens at `failures` failures in a row, or when at least `share` of at least `share_of` results
//              of the last minute failed.
//   open       nothing may go, for `open_first`, twice as long each time in a row, at most `open_max`.
//   half open  one may go, the probe. It is answered: closed. It fails: open. It was not sent after all: the next one may go.
//
// What may not go is put off and its attempt given back: a receiver that is down for an hour costs no message its attempts.
//
// Owns     its counts. One for each target.
// Thread   one, for every call.
// Bounded  a fixed size.
// Time     steady, passed in, never backwards.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "core/clock.h"
#include "sideeffects/channel_api.h"

namespace watchwheel::sideeffects {

struct CircuitPolicy {
  std::uint32_t failures = 5;
  double share = 0.5;
  std::uint32_t share_of = 20;
  core::Duration open_first = std::chrono::seconds{30};
  core::Duration open_max = std::chrono::minutes{15};
  friend bool operator==(const CircuitPolicy&, const CircuitPolicy&) = default;
};

enum class CircuitState : std::uint8_t { Closed, Open, HalfOpen };
inline constexpr std::size_t kCircuitStates = 3;
[[nodiscard]] std::string_view to_string(CircuitState state);  // "closed", "open", "half_open"

class CircuitBreaker {
 public:
  // Given with leave to send, and brought back with the result: what began before a change says nothing about what is after it.
  struct Pass {
    std::uint64_t era = 0;
    friend bool operator==(const Pass&, const Pass&) = default;
  };

  explicit CircuitBreaker(CircuitPolicy policy = {}) : policy_(policy) {}

  // Nothing: not now; ask again at retry_at(). What was allowed must be brought back by on_result(), once.
  [[nodiscard]] std::optional<Pass> allow(core::SteadyTime now);
  // Delivered, Permanent and Gone are answers: it works. Retry is a failure. NotSent says nothing of the receiver.
  void on_result(Pass pass, SendOutcome outcome, core::SteadyTime now);

  [[nodiscard]] CircuitState state() const { return state_; }
  // While open: when a probe may go. Half open and its probe under way: when to ask again, a guess. Closed: kNoSteadyTime.
  [[nodiscard]] core::SteadyTime retry_at() const { return retry_at_; }
  // How often it opened.
  [[nodiscard]] std::uint64_t opened_total() const { return opened_total_; }

 private:
  struct Slot {
    std::int64_t number = -1;  // Which ten seconds it counts.
    std::uint32_t answered = 0, failed = 0;
  };

  void open(core::SteadyTime now);
  void close();
  void count(bool failed, core::SteadyTime now);
  [[nodiscard]] bool too_many(core::SteadyTime now) const;

  CircuitPolicy policy_;
  CircuitState state_ = CircuitState::Closed;
  core::SteadyTime retry_at_ = core::kNoSteadyTime;
  std::uint64_t era_ = 1;
  bool probing_ = false;
  std::uint32_t in_a_row_ = 0;    // Failures.
  std::uint32_t opened_row_ = 0;  // Times it opened since it last worked.
  std::array<Slot, 6> minute_{};
  std::uint64_t opened_total_ = 0;
};

}  // namespace watchwheel::sideeffects
