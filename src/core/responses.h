// SPDX-License-Identifier: Apache-2.0
// core/responses.h - how fast a site answered: few counts in eight bytes, and the histogram that they are added to.
//
// A response time is known to its step: 64 of them from 1 ms to 55 s, each 19% longer than the one before (the fourth root of two).
// What is told of it is the upper end of its step: never faster than it was, and at most 19% slower.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "core/clock.h"

namespace watchwheel::core {

inline constexpr std::size_t kResponseSteps = 64;

// The step that a time falls into; what is longer than all is in the last.
[[nodiscard]] std::size_t response_step(Duration took);
// The longest time of it, in whole microseconds.
[[nodiscard]] Duration response_step_end(std::size_t step);

struct ResponseHistogram;

// Of one site since somebody last asked. A value of eight bytes: four steps, each with how often, up to 1023 times. A fifth step
// makes the two that lie closest one, in the slower of them: so what is told is never too fast, and a time that lies far off stays.
class ResponseCounts {
 public:
  static constexpr std::size_t kCellsMax = 4;
  static constexpr std::uint32_t kCountMax = 1023;  // Beyond it a step counts no more.

  void add(Duration took) { add_step(response_step(took), 1); }
  ResponseCounts& operator+=(const ResponseCounts& other);
  [[nodiscard]] bool empty() const { return cells_[0] == 0; }
  friend bool operator==(const ResponseCounts&, const ResponseCounts&) = default;

 private:
  friend struct ResponseHistogram;
  static constexpr unsigned kCountBits = 10;
  static std::size_t step_of(std::uint16_t cell) { return cell >> kCountBits; }
  static std::uint32_t count_of(std::uint16_t cell) { return cell & kCountMax; }
  static std::uint16_t cell(std::size_t step, std::uint32_t count);
  void add_step(std::size_t step, std::uint32_t count);

  std::array<std::uint16_t, kCellsMax>
      cells_{};  // Filled from the first on, in the order of their coming. 0: none.
};
static_assert(sizeof(ResponseCounts) == 8, "every site of a lane has one");

struct ResponseHistogram {
  std::array<std::uint64_t, kResponseSteps> counts{};

  ResponseHistogram& operator+=(const ResponseCounts& some);
  ResponseHistogram& operator+=(const ResponseHistogram& other);
  [[nodiscard]] std::uint64_t total() const;
  // The time within which a share `q` (0 to 1) of all was answered, by nearest rank. Nothing when there is none.
  [[nodiscard]] std::optional<Duration> quantile(double q) const;
  friend bool operator==(const ResponseHistogram&, const ResponseHistogram&) = default;
};

}  // namespace watchwheel::core
