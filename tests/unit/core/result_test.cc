// SPDX-License-Identifier: Apache-2.0
#include "core/result.h"

#include <gtest/gtest.h>

#include <memory>

namespace watchwheel::core {
namespace {

TEST(Result, HoldsAValueOrAnError) {
  Result<std::string> good = std::string("yes");
  ASSERT_TRUE(good);
  EXPECT_EQ(*good, "yes");
  EXPECT_EQ(good->size(), 3U);
  *good = "changed";
  EXPECT_EQ(good.value(), "changed");

  const Result<std::string> bad = Error{ErrorKind::NotFound, "no such row"};
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().kind, ErrorKind::NotFound);
  EXPECT_EQ(bad.error().message, "no such row");
}

TEST(Result, GivesUpWhatCanOnlyBeMoved) {
  Result<std::unique_ptr<int>> made = std::make_unique<int>(5);
  const std::unique_ptr<int> taken = std::move(made).value();
  EXPECT_EQ(*taken, 5);
}

TEST(Result, OfNothingIsGoodUnlessGivenAnError) {
  EXPECT_TRUE(Result<void>{});
  const Result<void> bad = Error{ErrorKind::Unavailable, "busy"};
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().message, "busy");
}

TEST(ResultDeathTest, AskingForWhatIsNotThereStopsTheProcess) {
  Result<int> bad = Error{ErrorKind::Corrupt, "half a page"};
  EXPECT_DEATH((void)bad.value(), "half a page");
  const Result<int> good = 1;
  EXPECT_DEATH((void)good.error(), "holds a value");
  const Result<void> done;
  EXPECT_DEATH((void)done.error(), "holds no error");
}

TEST(ErrorKind, HasAWordForEach) {
  EXPECT_EQ(to_string(ErrorKind::Unavailable), "unavailable");
  EXPECT_EQ(to_string(ErrorKind::Unknown), "unknown");
  EXPECT_EQ(to_string(ErrorKind::Invalid), "invalid");
  EXPECT_EQ(to_string(ErrorKind::NotFound), "not_found");
  EXPECT_EQ(to_string(ErrorKind::Corrupt), "corrupt");
}

}  // namespace
}  // namespace watchwheel::core
