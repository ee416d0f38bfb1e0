// SPDX-License-Identifier: Apache-2.0
#include "app/verifiers.h"

#include <gtest/gtest.h>

namespace watchwheel::app {
namespace {

// A reload takes a quorum at once and verifiers at the next start: one that cannot be reached is none.
TEST(Verifiers, AQuorumIsNoMoreThanThereAreVantages) {
  Config config;
  const auto add = [&](const std::string& name, const std::string& region) {
    VerifierConfig& one = config.verifiers.emplace_back();
    one.name = name;
    one.region = region;
  };
  config.confirm.quorum = 3;
  EXPECT_EQ(confirm_policy(config).quorum, 1U);
  add("a", "eu");
  EXPECT_EQ(confirm_policy(config).quorum, 2U);
  add("b", "eu");
  EXPECT_EQ(confirm_policy(config).quorum, 2U);
  add("c", "");
  EXPECT_EQ(confirm_policy(config).quorum, 3U);
  config.confirm.quorum = 1;
  EXPECT_EQ(confirm_policy(config).quorum, 1U);
}

}  // namespace
}  // namespace watchwheel::app
