// SPDX-License-Identifier: Apache-2.0
// support/paths.h - where the build that is under test stands. In one file, so that the compiler's cache serves every build
// directory with the rest.
#pragma once

#include <string>

namespace watchwheel::testing {

[[nodiscard]] std::string binary_dir();

}  // namespace watchwheel::testing
