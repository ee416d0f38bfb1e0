// SPDX-License-Identifier: Apache-2.0
// core/units.h - durations and sizes as people write them: `250ms`, `10s`, `5m`, `1h`, `1d`;
// `64KiB`, `1MiB`, `2GiB`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/clock.h"
#include "core/result.h"

namespace watchwheel::core {

// One whole number and one unit (ms, s, m, h, d); a bare `0` is zero. At most 10 years. Invalid:
// anything else, with the remedy.
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
// The shortest exact form: 90s -> "90s", 5min -> "5m". parse_duration reads it back. Below a
// millisecond it is rounded down.
[[nodiscard]] std::string format_duration(Duration d);
// For people: "3d 4h", "12.3s", "250ms".
[[nodiscard]] std::string humanize(Duration d);

// One whole number and one unit (B, KiB, MiB, GiB, TiB), or a bare number of bytes. Invalid:
// anything else or overflow.
[[nodiscard]] Result<std::uint64_t> parse_size(std::string_view text);
[[nodiscard]] std::string format_size(std::uint64_t bytes);

}  // namespace watchwheel::core
