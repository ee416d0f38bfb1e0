// SPDX-License-Identifier: Apache-2.0
// Goal: the replay would tell. Method: the inputs that the planted mistakes wait for.
#include <gtest/gtest.h>

#include <string_view>

#include "fuzz/replay.h"

namespace watchwheel::fuzz {
namespace {

void feed(std::string_view name, std::string_view text) {
  for (const Target& target : targets()) {
    if (target.name != name) continue;
    (void)target.run(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
  }
}

TEST(FuzzRig, ABrokenLawStopsTheProgramAndIsNamed) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(feed("planted_law", "a\\b"), "broken law: what is written is read back");
  feed("planted_law", "a,b");
}

TEST(FuzzRig, AStepPastTheInputStopsTheProgramUnderTheAddressSanitizer) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(feed("planted_memory", "watchwheel 0"), "heap-buffer-overflow");
#endif
  feed("planted_memory", "watchwheel");
}

}  // namespace
}  // namespace watchwheel::fuzz
