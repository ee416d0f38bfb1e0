// SPDX-License-Identifier: Apache-2.0
#include "checker/safe_text.h"

#include <gtest/gtest.h>

namespace watchwheel::checker {
namespace {

TEST(SafeText, KeepsWhatIsWellFormed) {
  for (const char* text :
       {"", "plain", "größe", "日本語", "\U0001F600", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"}) {
    EXPECT_EQ(safe_text(text, 100), text);
  }
}

TEST(SafeText, ReplacesWhatIsNot) {
  EXPECT_EQ(safe_text("a\nb\x1b[1m\x7f", 100), "a?b?[1m?");
  EXPECT_EQ(safe_text("\xc2\x9b", 100), "?");             // A terminal's escape in one character.
  EXPECT_EQ(safe_text("\x80\xff", 100), "??");            // No character begins so.
  EXPECT_EQ(safe_text("\xc0\xaf", 100), "??");            // Longer than needed.
  EXPECT_EQ(safe_text("\xe0\x80\x80", 100), "???");       // The same.
  EXPECT_EQ(safe_text("\xed\xa0\x80", 100), "???");       // Half of a pair.
  EXPECT_EQ(safe_text("\xf4\x90\x80\x80", 100), "????");  // Beyond the last.
  EXPECT_EQ(safe_text("\xe6\x97", 100), "??");            // Cut off.
  EXPECT_EQ(safe_text("\xe6\x97g", 100), "??g");
}

TEST(SafeText, CutsAtACharacter) {
  EXPECT_EQ(safe_text("größe", 2), "gr");
  EXPECT_EQ(safe_text("größe", 3), "gr");
  EXPECT_EQ(safe_text("größe", 4), "grö");
  EXPECT_EQ(safe_text("\n\n\n", 2), "??");
}

TEST(SafeText, PrintableIsAscii) {
  EXPECT_EQ(printable("a\r\nb\x01\x80z", 100), "a??b??z");
  EXPECT_EQ(printable("abcdef", 3), "abc");
}

}  // namespace
}  // namespace watchwheel::checker
