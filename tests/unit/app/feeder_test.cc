// SPDX-License-Identifier: Apache-2.0
#include "app/feeder.h"

#include <gtest/gtest.h>

#include <array>

namespace watchwheel::app {
namespace {

TEST(HostOf, IsTheHostInLowerCaseWithoutPortUserOrPath) {
  EXPECT_EQ(host_of("https://Shop.Example:8443/a?b#c"), "shop.example");
  EXPECT_EQ(host_of("http://user:pass@host.example/"), "host.example");
  EXPECT_EQ(host_of("http://host.example?x=1"), "host.example");
  EXPECT_EQ(host_of("http://[2001:DB8::1]:80/"), "[2001:db8::1");
  EXPECT_EQ(host_of("no url at all"), "no url at all");
  EXPECT_EQ(host_of(""), "");
}

TEST(LaneOf, IsTheSameForAllUrlsOfAHost) {
  for (const std::size_t lanes : {1U, 2U, 7U, 64U}) {
    const std::size_t lane = lane_of("http://shop.example/", lanes);
    EXPECT_LT(lane, lanes);
    EXPECT_EQ(lane_of("https://SHOP.example:444/other?q", lanes), lane);
  }
}

TEST(LaneOf, SpreadsHostsEvenly) {
  std::array<int, 4> lanes{};
  for (int i = 0; i < 40'000; ++i)
    ++lanes[lane_of("http://s" + std::to_string(i) + ".example/", lanes.size())];
  for (const int sites : lanes) EXPECT_NEAR(sites, 10'000, 500);
}

TEST(OptionInterner, GivesOneObjectForEqualOptions) {
  core::CheckOptions defaults;
  OptionInterner interner(defaults);
  const auto plain = interner.merged({});
  const auto timed = interner.merged({{"timeout", "7s"}});
  const auto again = interner.merged({{"timeout", "7s"}});
  ASSERT_TRUE(plain && timed && again);
  EXPECT_EQ(timed->get(), again->get());
  EXPECT_NE(plain->get(), timed->get());
  EXPECT_EQ((*timed)->timeout, core::Duration{std::chrono::seconds{7}});
}

TEST(OptionInterner, GivesNewObjectsForNewDefaultsAndKeepsTheOldOnesValid) {
  core::CheckOptions defaults;
  OptionInterner interner(defaults);
  const auto before = *interner.merged({});
  interner.set_defaults(defaults);
  EXPECT_EQ(*interner.merged({}), before) << "the same defaults are not new";
  defaults.method = "HEAD";
  interner.set_defaults(defaults);
  EXPECT_EQ((*interner.merged({}))->method, "HEAD");
  EXPECT_EQ(before->method, "GET");
}

TEST(OptionInterner, RefusesOptionsThatDoNotFit) {
  OptionInterner interner{core::CheckOptions{}};
  EXPECT_EQ(interner.merged({{"timeout", "soon"}}).error().kind, core::ErrorKind::Invalid);
  EXPECT_EQ(interner.merged({{"no_such_option", "1"}}).error().kind, core::ErrorKind::Invalid);
}

}  // namespace
}  // namespace watchwheel::app
