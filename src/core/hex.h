// SPDX-License-Identifier: Apache-2.0
// core/hex.h - bytes as lower case hexadecimal text.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace watchwheel::core {

[[nodiscard]] inline std::string to_hex(std::span<const std::uint8_t> bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const std::uint8_t b : bytes) {
    out += kDigits[b >> 4U];
    out += kDigits[b & 15U];
  }
  return out;
}

}  // namespace watchwheel::core
