// SPDX-License-Identifier: Apache-2.0
// sideeffects/retry_policy.h - how long to wait before something that failed is tried again.
//
// After failed attempt number n (1, 2, 3 …), with base b, cap m and step = min(b·2^(n-1), m):
//
//   schedule      entry n of the list (the last one beyond it), a tenth more or less
//   fixed         min(b, m)
//   linear        min(b·n, m)
//   exponential   step
//   full_jitter   anything from `least` to step, each as likely
//   equal_jitter  step/2, and anything from 0 to step/2
//   poly4         min(b·n⁴, m), a tenth more or less
//
// Never below `least` (or the cap, where that is less): full jitter alone would rightly say 0, which is a hot loop. Never above the
// cap, jitter included; a schedule has its own numbers and no cap.
//
// Pure: randomness is an argument, 64 random bits of the caller's, fresh for each call. A generator made anew for each call from
// the same seed is no randomness, and a shared one is state. Nothing overflows, whatever the number of attempts.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "core/clock.h"

namespace watchwheel::sideeffects {

enum class RetryKind : std::uint8_t {
  Schedule,
  Fixed,
  Linear,
  Exponential,
  FullJitter,
  EqualJitter,
  Poly4
};
inline constexpr std::array<std::string_view, 7> kRetryKindNames{
    "schedule", "fixed", "linear", "exponential", "full_jitter", "equal_jitter", "poly4"};
[[nodiscard]] constexpr std::string_view to_string(RetryKind kind) {
  return kRetryKindNames.at(static_cast<std::size_t>(kind));
}
[[nodiscard]] constexpr std::optional<RetryKind> parse_retry_kind(std::string_view name) {
  for (std::size_t i = 0; i < kRetryKindNames.size(); ++i) {
    if (kRetryKindNames.at(i) == name) return static_cast<RetryKind>(i);
  }
  return std::nullopt;
}

struct RetrySettings {
  RetryKind kind = RetryKind::Schedule;
  core::Duration base = std::chrono::seconds{5};  // 1 ms to 1 h.
  core::Duration cap = std::chrono::minutes{15};  // `base` to 7 days.
  core::Duration least = std::chrono::milliseconds{250};
  std::uint32_t attempts_max = 8;  // The first included. 1 to 100.
  // Of Schedule: before the 2nd attempt, the 3rd … ; the last one repeats. Never empty. What the Standard Webhooks document
  // lists for eight attempts: some 17 hours in all.
  std::vector<core::Duration> schedule{std::chrono::seconds{5}, std::chrono::minutes{1},
                                       std::chrono::minutes{5}, std::chrono::minutes{30},
                                       std::chrono::hours{2},   std::chrono::hours{5},
                                       std::chrono::hours{10}};
  friend bool operator==(const RetrySettings&, const RetrySettings&) = default;
};

// `failed`: the number of the attempt that failed; 0 counts as 1. What is out of its range above is taken as it is, as long as
// base and cap are above 0 and a schedule has an entry (our mistake otherwise).
[[nodiscard]] core::Duration retry_delay(const RetrySettings& settings, std::uint32_t failed,
                                         std::uint64_t random);

// The receiver said when: not before that, and up to a tenth later so that all that were told the same do not come at once.
[[nodiscard]] core::Duration delay_as_asked(core::Duration retry_after, std::uint64_t random);

}  // namespace watchwheel::sideeffects
