// SPDX-License-Identifier: Apache-2.0
#include "core/ensure.h"

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "core/owner.h"

namespace watchwheel::core {
namespace {

TEST(EnsureDeathTest, StopsTheProcessNamingPlaceConditionAndMessage) {
  const int checks = 2;
  EXPECT_EXIT(ENSURE(checks == 1, "a check in two slots"), testing::KilledBySignal(SIGABRT),
              "invariant_broken file=.*ensure_test.cc line=[0-9]+ condition=\"checks == 1\" "
              "message=\"a check in two slots\"");
}

TEST(Ensure, DoesNotEvaluateTheMessageWhenTheConditionHolds) {
  int evaluated = 0;
  const auto message = [&] {
    ++evaluated;
    return std::string("never read");
  };
  ENSURE(true, message());
  EXPECT_EQ(evaluated, 0);
}

TEST(ThreadOwnerDeathTest, AnotherThreadIsStopped) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(
      {
        ThreadOwner owner;
        owner.ensure_here();
        std::thread([&owner] { owner.ensure_here(); }).join();
      },
      "a thread that does not own it");
}

TEST(ThreadOwner, IsHandedOverByRelease) {
  ThreadOwner owner;
  owner.ensure_here();
  owner.ensure_here();
  owner.release();
  std::thread([&owner] {
    owner.ensure_here();
    owner.release();
  }).join();
  owner.ensure_here();
}

}  // namespace
}  // namespace watchwheel::core
