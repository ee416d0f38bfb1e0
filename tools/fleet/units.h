// SPDX-License-Identifier: Apache-2.0
// fleet/units.h - reading what people type: durations, endpoints, addresses, site ranges.
//
// Bounded  every reader looks at its argument once and takes no memory but for the problem's text.
// Fails    with a Parsed that has no value and a problem that says what is wrong and what would be
//          right.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace watchwheel::fleet {

using Time = std::chrono::steady_clock::time_point;
using Duration = std::chrono::nanoseconds;

inline constexpr std::uint32_t kNoSite = 0xffffffffU;

// What a reader made of its text: a value, or a problem in words.
template <typename T>
struct Parsed {
  std::optional<T> value;
  std::string problem;

  explicit operator bool() const noexcept { return value.has_value(); }
  static Parsed good(T value) { return {std::move(value), {}}; }
  static Parsed bad(std::string problem) { return {std::nullopt, std::move(problem)}; }
};

// A place on this machine. `address` is in host order.
struct Endpoint {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
};

// Sites `first` to `last`, both within.
struct SiteRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  [[nodiscard]] std::uint32_t count() const noexcept { return last - first + 1; }
};

// Decimal digits only, no sign, no more than `value_max`.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text,
                                                        std::uint64_t value_max) noexcept;

// `250ms`, `10s`, `5m`, `1h`, `1d`, and `0`. At most 366 days.
[[nodiscard]] Parsed<Duration> parse_duration(std::string_view text);

// `127.1.2.3`. Only addresses within 127.0.0.0/8 have a value: this program serves the machine it
// runs on and nobody else.
[[nodiscard]] Parsed<std::uint32_t> parse_loopback(std::string_view text);

// `127.0.0.1:15353`, the address as above; port 0 means any free one.
[[nodiscard]] Parsed<Endpoint> parse_endpoint(std::string_view text);

// `7`, `0-19` or `all`, within `sites`.
[[nodiscard]] Parsed<SiteRange> parse_site_range(std::string_view text, std::uint32_t sites);

[[nodiscard]] bool is_loopback(std::uint32_t address) noexcept;
[[nodiscard]] std::string to_text(std::uint32_t address);
[[nodiscard]] std::string to_text(const Endpoint& endpoint);

[[nodiscard]] inline double to_seconds(Duration duration) noexcept {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace watchwheel::fleet
