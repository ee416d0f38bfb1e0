// SPDX-License-Identifier: Apache-2.0
#include "core/clock.h"

#include <time.h>

#include <cstdio>

#include "core/ensure.h"

namespace watchwheel::core {
namespace {

Duration read(clockid_t id) {
  timespec ts{};
  ENSURE(clock_gettime(id, &ts) == 0, "clock_gettime failed");
  return std::chrono::seconds{ts.tv_sec} + std::chrono::nanoseconds{ts.tv_nsec};
}

}  // namespace

// BOOTTIME would count suspends too, but then a laptop's lid would make every site stale at once with no lag seen by anyone.
SteadyTime SystemClock::steady() const { return SteadyTime{read(CLOCK_MONOTONIC)}; }
WallTime SystemClock::wall() const { return WallTime{read(CLOCK_REALTIME)}; }

ManualClock::ManualClock(SteadyTime steady, WallTime wall)
    : steady_(steady.time_since_epoch().count()), wall_(wall.time_since_epoch().count()) {}

SteadyTime ManualClock::steady() const { return SteadyTime{Duration{steady_.load()}}; }
WallTime ManualClock::wall() const { return WallTime{Duration{wall_.load()}}; }

void ManualClock::advance(Duration by) {
  ENSURE(by >= Duration::zero(), "steady time does not go back");
  steady_ += by.count();
  wall_ += by.count();
}

void ManualClock::step_wall(Duration by) { wall_ += by.count(); }

std::string to_iso8601(WallTime t) {
  const std::int64_t ms = to_unix_ms(t);
  const std::int64_t seconds = ms >= 0 ? ms / 1000 : (ms - 999) / 1000;
  const auto fraction = static_cast<int>(ms - seconds * 1000);
  const time_t as_time = static_cast<time_t>(seconds);
  tm parts{};
  gmtime_r(&as_time, &parts);
  char buffer[80];
  const int n = std::snprintf(buffer, sizeof buffer, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", parts.tm_year + 1900,
                              parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, fraction);
  return std::string(buffer, static_cast<std::size_t>(n));
}

Result<WallTime> parse_iso8601(std::string_view text) {
  tm parts{};
  int fraction = 0;
  int end = 0;
  const std::string copy(text);  // sscanf needs the terminator.
  const auto wrong = [&] {
    return Error{ErrorKind::Invalid, "\"" + copy + "\" is not a UTC time such as 2026-11-20T12:00:00Z"};
  };
  if (std::sscanf(copy.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &parts.tm_year, &parts.tm_mon, &parts.tm_mday, &parts.tm_hour,
                  &parts.tm_min, &parts.tm_sec, &end) != 6) {
    return wrong();
  }
  std::string_view rest = text.substr(static_cast<std::size_t>(end));
  if (!rest.empty() && rest.front() == '.') {
    rest.remove_prefix(1);
    int scale = 100;
    while (!rest.empty() && rest.front() >= '0' && rest.front() <= '9') {
      fraction += (rest.front() - '0') * scale;
      scale /= 10;
      rest.remove_prefix(1);
    }
  }
  if (rest != "Z") return wrong();
  parts.tm_year -= 1900;
  parts.tm_mon -= 1;
  const tm asked = parts;
  const time_t seconds = timegm(&parts);
  // timegm normalises 31 February into March; a date that moved was not a date.
  if (parts.tm_mday != asked.tm_mday || parts.tm_hour != asked.tm_hour || parts.tm_min != asked.tm_min) return wrong();
  return WallTime{std::chrono::seconds{seconds} + std::chrono::milliseconds{fraction}};
}

}  // namespace watchwheel::core
