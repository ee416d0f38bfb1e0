// SPDX-License-Identifier: Apache-2.0
// support/slow_build.h - how much longer things may take in this build.
#pragma once

namespace watchwheel::testing {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr int kSlowness = 5;
#else
inline constexpr int kSlowness = 1;
#endif

}  // namespace watchwheel::testing
