// SPDX-License-Identifier: Apache-2.0
// The second planted mistake (planted_memory_fuzz.cc): a round trip that loses something, which only a law sees.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "fuzz/law.h"

namespace {

std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == ',') out += '\\';  // The mistake: a backslash of the text's own is not doubled.
    out += c;
  }
  return out;
}

std::string unquoted(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    out += text[i];
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  watchwheel::fuzz::Input input(data, size);
  const std::string_view text = input.rest();
  LAW(unquoted(quoted(text)) == text, "what is written is read back", text);
  return 0;
}
