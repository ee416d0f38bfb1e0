// SPDX-License-Identifier: Apache-2.0
// A fleet that is imported while its neighbours are checked: when its sites are asked for the first time, and the second.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "world.h"

namespace watchwheel::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t kOld = 1000;
constexpr std::uint32_t kNew = 20'000;
constexpr std::uint32_t kPaused = 2000;
constexpr core::Duration kInterval = 5min;

// Goal: the first checks of an imported fleet are no burst, each of its sites is asked within its first interval and then once an
// interval, and the sites that were there before are asked as if nothing had happened. Method: 20,000 sites added at once to a
// lane with 1,000, virtual time, every asking counted.
TEST(Import, OfAFleetIsNoBurst) {
  World world({.sites = kOld, .interval = kInterval, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, core::SteadyTime) { return Answer{}; });
  world.run_for(2 * kInterval);
  const core::SteadyTime imported = world.clock.steady();
  for (std::uint64_t site = kOld + 1; site <= kOld + kNew; ++site) world.put(site, kInterval);
  world.run_for(3 * kInterval);

  std::map<std::int64_t, std::size_t> by_10s;
  for (std::uint64_t site = 1; site <= kOld + kNew; ++site) {
    const auto& asked = world.asked(site);
    for (const Asked& one : asked)
      if (one.at >= imported) ++by_10s[(one.at - imported) / core::Duration{10s}];
    // One for each interval, the last of which may not have come yet; a first check that was hurried comes before the rhythm.
    const std::size_t intervals = site <= kOld ? 5 : 3;
    ASSERT_GE(asked.size(), intervals - 1) << site;
    ASSERT_LE(asked.size(), intervals + 2) << site;
    ASSERT_GE(asked.back().at, world.clock.steady() - kInterval - 1s) << site;
    if (site > kOld) {
      ASSERT_LE(asked.front().at, imported + kInterval + 1s) << site;
    }
    for (std::size_t i = 1; i < asked.size(); ++i)
      ASSERT_LE(asked[i].at - asked[i - 1].at, kInterval + 1s) << site;
  }
  // Required: 700 in 10 s; 167 more in the first minute, for the sites that a person waits for.
  std::size_t most = 0;
  for (const auto& [at, count] : by_10s) most = std::max(most, count);
  EXPECT_LE(most, 1100U);
}

// Goal: neither are the checks of a fleet that was paused and goes on. Method: as above, paused and resumed.
TEST(Import, AFleetThatGoesOnAfterAPauseIsNoBurst) {
  World world({.sites = kPaused, .interval = kInterval, .confirm = {}, .in_flight_max = 0},
              [](std::string_view, core::SteadyTime) { return Answer{}; });
  world.run_for(2 * kInterval);
  for (std::uint64_t site = 1; site <= kPaused; ++site) world.put(site, kInterval, false);
  world.run_for(kInterval);
  EXPECT_EQ(world.lane().sites().size(), 0U);
  const core::SteadyTime resumed = world.clock.steady();
  for (std::uint64_t site = 1; site <= kPaused; ++site) world.put(site, kInterval);
  world.run_for(2 * kInterval);
  std::map<std::int64_t, std::size_t> by_10s;
  for (std::uint64_t site = 1; site <= kPaused; ++site) {
    std::size_t afterwards = 0;
    for (const Asked& one : world.asked(site)) {
      if (one.at < resumed) continue;
      ++afterwards;
      ++by_10s[(one.at - resumed) / core::Duration{10s}];
    }
    ASSERT_GE(afterwards, 1U) << site;
    ASSERT_LE(afterwards, 3U) << site;
  }
  std::size_t most = 0;
  for (const auto& [at, count] : by_10s) most = std::max(most, count);
  EXPECT_LE(most, 130U);
}

}  // namespace
}  // namespace watchwheel::sim
