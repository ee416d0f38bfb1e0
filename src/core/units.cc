// SPDX-License-Identifier: Apache-2.0
#include "core/units.h"

#include <array>
#include <charconv>
#include <limits>

namespace watchwheel::core {
namespace {

struct DurationUnit {
  std::string_view name;
  std::int64_t ms;
};
struct SizeUnit {
  std::string_view name;
  std::uint64_t bytes;
};

// Largest first, so that the first that divides gives the shortest form.
constexpr std::array<DurationUnit, 5> kDurationUnits{
    {{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr std::array<SizeUnit, 5> kSizeUnits{{{"TiB", 1ULL << 40U},
                                              {"GiB", 1ULL << 30U},
                                              {"MiB", 1ULL << 20U},
                                              {"KiB", 1ULL << 10U},
                                              {"B", 1}}};
constexpr std::int64_t kDurationMsMax = std::int64_t{3650} * 86'400'000;  // 10 years.

// A text from outside, fit to be shown in a message: short, and on one line.
std::string quoted(std::string_view text) {
  constexpr std::size_t kShownMax = 40;
  std::string shown = "\"";
  for (const char c : text.substr(0, kShownMax))
    shown += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  if (text.size() > kShownMax) shown += "...";
  return shown + "\"";
}

// Splits "250ms" into 250 and "ms". False: no digits, or a number that does not fit.
bool split_number(std::string_view text, std::uint64_t& number, std::string_view& unit) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{}) return false;
  unit = text.substr(static_cast<std::size_t>(end - text.data()));
  return true;
}

std::string two_units(std::int64_t big, const char* big_name, std::int64_t small,
                      const char* small_name) {
  std::string text = std::to_string(big) + big_name;
  if (small != 0) text += " " + std::to_string(small) + small_name;
  return text;
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const auto wrong = [&](std::string_view remedy) {
    return Error{ErrorKind::Invalid, quoted(text) + " is not a duration: " + std::string(remedy)};
  };
  constexpr std::string_view kRemedy =
      "write a whole number and ms, s, m, h or d, such as 250ms, 10s or 5m";
  std::uint64_t number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) return wrong(kRemedy);
  if (unit.empty() && number == 0) return Duration::zero();
  for (const DurationUnit& known : kDurationUnits) {
    if (known.name != unit) continue;
    if (number > static_cast<std::uint64_t>(kDurationMsMax / known.ms))
      return wrong("at most 10 years (3650d)");
    return Duration{std::chrono::milliseconds{static_cast<std::int64_t>(number) * known.ms}};
  }
  return wrong(kRemedy);
}

std::string format_duration(Duration d) {
  const std::int64_t ms = std::chrono::floor<std::chrono::milliseconds>(d).count();
  if (ms == 0) return "0s";
  for (const DurationUnit& unit : kDurationUnits) {
    if (ms % unit.ms == 0) return std::to_string(ms / unit.ms) + std::string(unit.name);
  }
  return std::to_string(ms) + "ms";
}

std::string humanize(Duration d) {
  if (d < Duration::zero()) {
    // The smallest value has no positive counterpart.
    return "-" + humanize(d == Duration::min() ? Duration::max() : -d);
  }
  const std::int64_t ms = duration_cast<std::chrono::milliseconds>(d).count();
  if (ms < 1000) return std::to_string(ms) + "ms";
  const std::int64_t seconds = ms / 1000;
  if (seconds < 60) {
    const std::int64_t tenths = ms % 1000 / 100;
    return std::to_string(seconds) + (tenths == 0 ? "" : "." + std::to_string(tenths)) + "s";
  }
  if (seconds < 3600) return two_units(seconds / 60, "m", seconds % 60, "s");
  if (seconds < 86'400) return two_units(seconds / 3600, "h", seconds % 3600 / 60, "m");
  return two_units(seconds / 86'400, "d", seconds % 86'400 / 3600, "h");
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto wrong = [&](std::string_view remedy) {
    return Error{ErrorKind::Invalid, quoted(text) + " is not a size: " + std::string(remedy)};
  };
  constexpr std::string_view kRemedy =
      "write a whole number and B, KiB, MiB, GiB or TiB, such as 64KiB or 1MiB, or a bare number "
      "of bytes";
  std::uint64_t number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) return wrong(kRemedy);
  if (unit.empty()) return number;
  for (const SizeUnit& known : kSizeUnits) {
    if (known.name != unit) continue;
    if (number > std::numeric_limits<std::uint64_t>::max() / known.bytes)
      return wrong("it does not fit in 64 bits");
    return number * known.bytes;
  }
  return wrong(kRemedy);
}

std::string format_size(std::uint64_t bytes) {
  if (bytes == 0) return "0B";
  for (const SizeUnit& unit : kSizeUnits) {
    if (bytes % unit.bytes == 0) return std::to_string(bytes / unit.bytes) + std::string(unit.name);
  }
  return std::to_string(bytes) + "B";
}

}  // namespace watchwheel::core
