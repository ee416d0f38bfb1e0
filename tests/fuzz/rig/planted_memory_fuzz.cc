// SPDX-License-Identifier: Apache-2.0
// A fuzz rig that never finds anything looks like code without mistakes. So two targets have a mistake each, behind a door that a
// fuzzer must open, and a run in which they are not found fails: this one reads past a buffer, which only the address sanitizer
// sees; planted_law breaks a law.
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

#include "fuzz/law.h"

namespace {

// Nothing that the compiler may reason away.
volatile unsigned seen = 0;

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  watchwheel::fuzz::Input input(data, size);
  // A record: the word, how long it says it is, and so many bytes.
  if (input.until(' ') != "watchwheel") return 0;
  const std::size_t length = input.byte();
  const std::string_view rest = input.rest();
  const auto copy = std::make_unique<char[]>(rest.size());
  rest.copy(copy.get(), rest.size());
  for (std::size_t i = 0; i < length && length < 64; ++i) {
    seen = seen + static_cast<unsigned char>(copy[i]);  // The mistake: the length is believed.
  }
  return 0;
}
