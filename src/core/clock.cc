// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <time.h>

#include <array>
#include <cstdio>

#include "core/ensure.h"

namespace watchwheel::core {
namespace {

Duration read(clockid_t id) {
  timespec ts{};
  ENSURE(clock_gettime(id, &ts) == 0, "clock_gettime failed");
  return std::chrono::seconds{ts.tv_sec} + std::chrono::nanoseconds{ts.tv_nsec};
}

// False when it is not a digit, or would be one more than nine, which is what an int surely holds.
bool append_digit(int& number, char c) {
  if (c < '0' || c > '9' || number > 99'999'999) return false;
  number = number * 10 + (c - '0');
  return true;
}

}  // namespace

// BOOTTIME would count suspends too, but then a laptop's lid would make every site stale at once with no lag seen by anyone.
SteadyTime SystemClock::steady() const {
  return SteadyTime{read(CLOCK_MONOTONIC)};
}
WallTime SystemClock::wall() const {
  return WallTime{read(CLOCK_REALTIME)};
}
SteadyTime SystemClock::boot() const {
  return SteadyTime{read(CLOCK_BOOTTIME)};
}

void SystemClock::sleep_for(Duration d) const {
  const auto seconds = std::chrono::floor<std::chrono::seconds>(d);
  const timespec wait{static_cast<time_t>(seconds.count()), static_cast<long>((d - seconds).count())};
  // A signal may cut it short; every caller looks at the time again.
  if (d > Duration::zero()) nanosleep(&wait, nullptr);
}

ManualClock::ManualClock(SteadyTime steady, WallTime wall)
    : steady_(steady.time_since_epoch().count()), wall_(wall.time_since_epoch().count()) {}

SteadyTime ManualClock::steady() const {
  return SteadyTime{Duration{steady_.load()}};
}
WallTime ManualClock::wall() const {
  return WallTime{Duration{wall_.load()}};
}

void ManualClock::sleep_for(Duration d) const {
  advance(d);
}

void ManualClock::advance(Duration by) const {
  ENSURE(by >= Duration::zero(), "steady time does not go back");
  steady_ += by.count();
  wall_ += by.count();
}

void ManualClock::step_wall(Duration by) {
  wall_ += by.count();
}

std::string to_iso8601(WallTime t) {
  const std::int64_t ms = to_unix_ms(t);
  const std::int64_t seconds = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
  const auto fraction = static_cast<int>(ms - seconds * 1000);
  const time_t as_time = static_cast<time_t>(seconds);
  tm parts{};
  gmtime_r(&as_time, &parts);
  char buffer[80];
  const int n = std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                              parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                              parts.tm_min, parts.tm_sec, fraction);
  return std::string(buffer, static_cast<std::size_t>(n));
}

Result<WallTime> parse_iso8601(std::string_view text) {
  const auto wrong = [&] {
    return Error{ErrorKind::Invalid, "\"" + std::string(text.substr(0, 40)) +
                                         "\" is not a UTC time such as 2026-11-20T12:00:00Z"};
  };
  // Not sscanf: it takes blanks and signs for digits.
  constexpr std::string_view kShape = "dddd-dd-ddTdd:dd:dd";
  std::array<int, 6> fields{};
  if (text.size() < kShape.size()) return wrong();
  for (std::size_t i = 0, field = 0; i < kShape.size(); ++i) {
    if (kShape[i] != 'd') {
      if (text[i] != kShape[i]) return wrong();
      ++field;
    } else if (!append_digit(fields[field], text[i])) {
      return wrong();
    }
  }
  std::string_view rest = text.substr(kShape.size());
  int nanoseconds = 0;
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    int digits = 0;
    for (; !rest.empty() && append_digit(nanoseconds, rest.front()); rest.remove_prefix(1)) {
      if (++digits > 9) return wrong();
    }
    if (digits == 0) return wrong();
    for (; digits < 9; ++digits) nanoseconds *= 10;
  }
  if (rest != "Z") return wrong();
  // WallTime holds nanoseconds in 64 bits: 1677-09-21 to 2262-04-11. Whole years only, so that no sum can overflow.
  if (fields[0] < 1678 || fields[0] > 2261) return wrong();

  tm parts{};
  parts.tm_year = fields[0] - 1900;
  parts.tm_mon = fields[1] - 1;
  parts.tm_mday = fields[2];
  parts.tm_hour = fields[3];
  parts.tm_min = fields[4];
  parts.tm_sec = fields[5];
  const tm asked = parts;
  const time_t seconds = timegm(&parts);
  // timegm normalises 31 February into March; a time that moved was not a time.
  const bool moved = parts.tm_mon != asked.tm_mon || parts.tm_mday != asked.tm_mday ||
                     parts.tm_hour != asked.tm_hour || parts.tm_min != asked.tm_min ||
                     parts.tm_sec != asked.tm_sec;
  if (moved) return wrong();
  return WallTime{std::chrono::seconds{seconds} + std::chrono::nanoseconds{nanoseconds}};
}

}  // namespace watchwheel::core
