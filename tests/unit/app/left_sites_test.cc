// SPDX-License-Identifier: Apache-2.0
#include "app/left_sites.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

using core::SiteId;
using namespace std::chrono_literals;

constexpr core::SteadyTime kT{1h};

TEST(LeftSites, EachIsAskedOfOnceInItsTime) {
  LeftSites left;
  left.add(SiteId{1}, kT);
  left.add(SiteId{2}, kT + 1s);
  EXPECT_EQ(left.take(kT + LeftSites::kAskAfter - 1ms), std::nullopt);
  EXPECT_EQ(left.take(kT + LeftSites::kAskAfter), SiteId{1});
  EXPECT_EQ(left.take(kT + LeftSites::kAskAfter), std::nullopt);
  EXPECT_EQ(left.take(kT + LeftSites::kAskAfter + 1s), SiteId{2});
  EXPECT_EQ(left.take(kT + 1h), std::nullopt);
}

TEST(LeftSites, WhatFindsNoRoomIsAskedOfAtOnce) {
  LeftSites left;
  for (std::uint64_t i = 0; i < LeftSites::kMost + 2; ++i) left.add(SiteId{i}, kT);
  EXPECT_EQ(left.take(kT), SiteId{0});
  EXPECT_EQ(left.take(kT), SiteId{1});
  EXPECT_EQ(left.take(kT), std::nullopt);
}

}  // namespace
}  // namespace watchwheel::app
