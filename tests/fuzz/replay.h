// SPDX-License-Identifier: Apache-2.0
// fuzz/replay.h - the fuzz targets of one test program, by name.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace watchwheel::fuzz {

struct Target {
  const char* name;
  int (*run)(const std::uint8_t* data, std::size_t size);
};

// Every target that is linked in. Generated (targets.cc.in).
[[nodiscard]] std::vector<Target> targets();

}  // namespace watchwheel::fuzz
