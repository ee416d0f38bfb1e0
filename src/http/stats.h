// SPDX-License-Identifier: Apache-2.0
// http/stats.h - what the listener counts of itself. Written by the http thread, read by any.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

#include "core/stats.h"

namespace watchwheel::http {

// How a connection or a request ended without a route's answer.
enum class Refused { TooManyConnections, Timeout, HeadTooLarge, BodyTooLarge, Malformed };
inline constexpr std::size_t kRefusedCount = 5;
[[nodiscard]] constexpr std::string_view to_string(Refused reason) {
  constexpr std::array<std::string_view, kRefusedCount> kNames{
      "too_many_connections", "timeout", "head_too_large", "body_too_large", "malformed"};
  return kNames[static_cast<std::size_t>(reason)];
}

struct Stats {
  std::array<core::Counter, 6> answers;  // By the first digit of the status; 0 is never used.
  std::array<core::Counter, kRefusedCount> refused;
  core::Counter accept_errors;  // Mostly: out of descriptors. The listener tries again.
  core::Gauge connections;
  core::Gauge connections_max;

  void count(Refused reason) { refused[static_cast<std::size_t>(reason)].add(); }
};

}  // namespace watchwheel::http
