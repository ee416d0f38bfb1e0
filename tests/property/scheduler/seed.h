// SPDX-License-Identifier: Apache-2.0
// The seed of a property test: WATCHWHEEL_SEED, or one that is written down here. A failure prints it, and it replays.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstdlib>
#include <string>

namespace watchwheel::scheduler {

inline std::uint64_t base_seed() {
  const char* given = std::getenv("WATCHWHEEL_SEED");
  return given == nullptr ? 20261121 : std::strtoull(given, nullptr, 10);
}

// `round` gives each run of a test its own seed; with WATCHWHEEL_SEED the first round is exactly that seed.
inline std::uint64_t seed_of(std::uint64_t round) {
  const std::uint64_t seed = base_seed() + round;
  testing::Test::RecordProperty("seed_" + std::to_string(round), std::to_string(seed));
  return seed;
}

}  // namespace watchwheel::scheduler
