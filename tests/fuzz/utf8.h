// SPDX-License-Identifier: Apache-2.0
// fuzz/utf8.h - a second opinion on UTF-8: decodes, and looks whether the shortest form is what was there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace watchwheel::fuzz {

[[nodiscard]] inline bool is_valid_utf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i]);
    std::size_t length = 1;
    std::uint32_t point = first;
    if (first >= 0x80) {
      while (length < 8 && (first & (0x80U >> length)) != 0) ++length;
      if (length < 2 || length > 4 || i + length > text.size()) return false;
      point = first & (0x7fU >> length);
      for (std::size_t k = 1; k < length; ++k) {
        const auto next = static_cast<unsigned char>(text[i + k]);
        if ((next & 0xc0U) != 0x80) return false;
        point = point << 6U | (next & 0x3fU);
      }
    }
    const std::size_t shortest = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    if (length != shortest || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    i += length;
  }
  return true;
}

}  // namespace watchwheel::fuzz
