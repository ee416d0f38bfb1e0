// SPDX-License-Identifier: Apache-2.0
// support/gzip.h - gzip streams for tests, written by hand: no library that could agree with the one under test.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace watchwheel::testing {

// `text` in one gzip member, not made smaller. At most 65,535 bytes.
[[nodiscard]] std::string gzip(std::string_view text);
// A stream that unpacks to at least `bytes` of 'y', about 160 times its own size. It has no end.
[[nodiscard]] std::string gzip_bomb(std::size_t bytes);

}  // namespace watchwheel::testing
