// SPDX-License-Identifier: Apache-2.0
// core/clock.h - the two times, and the only place where they are read.
//
// SteadyTime is for due times, deadlines, latencies: it never jumps, and means nothing outside this
// process. WallTime is for what people and tables read: UTC, and it jumps. They do not convert into
// each other by accident.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/pinned.h"
#include "core/result.h"

namespace watchwheel::core {

using Duration = std::chrono::nanoseconds;
using std::chrono::duration_cast;
using namespace std::chrono_literals;

struct SteadyTag {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<SteadyTag, Duration>;
  static constexpr bool is_steady = true;
};
struct WallTag {
  using rep = Duration::rep;
  using period = Duration::period;
  using duration = Duration;
  using time_point = std::chrono::time_point<WallTag, Duration>;
  static constexpr bool is_steady = false;
};

using SteadyTime = SteadyTag::time_point;  // Since an unnamed moment, the same for the whole process.
using WallTime = WallTag::time_point;      // Since 1970-01-01T00:00:00Z.

// Never / not set. Both are the zero of their time, which no running machine reads.
inline constexpr SteadyTime kNoSteadyTime{};
inline constexpr WallTime kNoWallTime{};

// Where code gets the time. Only app makes a real one; a loop reads it once a turn and passes `now`
// down. Thread: any.
class Clock : Pinned {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual SteadyTime steady() const = 0;
  [[nodiscard]] virtual WallTime wall() const = 0;
  // As steady(), but the time that the machine slept counts: for what runs out elsewhere while we sleep. Its zero is its own.
  [[nodiscard]] virtual SteadyTime boot() const { return steady(); }
  // Waits, on a thread that has nothing else to do. Never on a lane's.
  virtual void sleep_for(Duration d) const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] SteadyTime steady() const override;
  [[nodiscard]] WallTime wall() const override;
  [[nodiscard]] SteadyTime boot() const override;
  void sleep_for(Duration d) const override;
};

// A clock that stands still until told to move: for tests and the simulation. The two times move
// independently, as a machine's do when its wall clock is set.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(SteadyTime steady = SteadyTime{1h}, WallTime wall = WallTime{std::chrono::seconds{1'700'000'000}});

  [[nodiscard]] SteadyTime steady() const override;
  [[nodiscard]] WallTime wall() const override;
  void sleep_for(Duration d) const override;  // Returns at once, the times moved on.

  void advance(Duration by) const;  // Both times. `by` is not negative.
  void step_wall(Duration by);    // The wall clock alone, either way.

 private:
  mutable std::atomic<Duration::rep> steady_;
  mutable std::atomic<Duration::rep> wall_;
};

constexpr std::int64_t to_unix_ms(WallTime t) {
  return std::chrono::floor<std::chrono::milliseconds>(t.time_since_epoch()).count();
}
constexpr WallTime from_unix_ms(std::int64_t ms) { return WallTime{std::chrono::milliseconds{ms}}; }

constexpr double to_seconds(Duration d) { return std::chrono::duration<double>(d).count(); }
constexpr double to_ms(Duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

// "2026-11-20T12:00:00.123Z".
[[nodiscard]] std::string to_iso8601(WallTime t);
// Accepts what to_iso8601 writes, with or without the fraction (1 to 9 digits), in the years 1678
// to 2261. Anything else is Invalid.
[[nodiscard]] Result<WallTime> parse_iso8601(std::string_view text);

}  // namespace watchwheel::core
