// SPDX-License-Identifier: Apache-2.0
// fleet/timeline.h - the file that says which fault is on when.
//
// One switch a line, the words in any order: `at=60s for=60s fault=status_500 sites=0-19`. `for`
// may be left out: the fault then stays. `#` starts a comment; empty lines are fine.
//
// Bounded  kTimelineBytesMax of text, FaultBoard::kSwitchesMax / 2 lines.
// Fails    as a whole: every bad line is reported, `FILE:LINE: error: what, and what would be
//          right`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "fleet/faults.h"
#include "fleet/units.h"

namespace watchwheel::fleet {

inline constexpr std::size_t kTimelineBytesMax = 4U << 20U;

struct Timeline {
  std::vector<FaultSwitch> switches;  // In the order of the file.
  std::vector<std::string> problems;  // Empty when the whole file is good; at most 100.
};

// Reads `text`; `file` is only for the problems. `board` says which faults its sites can have.
[[nodiscard]] Timeline parse_timeline(std::string_view file, std::string_view text,
                                      const FaultBoard& board, std::uint32_t sites);

// Reads the file at `path` first; not being able to is one of the problems.
[[nodiscard]] Timeline load_timeline(const std::string& path, const FaultBoard& board,
                                     std::uint32_t sites);

}  // namespace watchwheel::fleet
