// SPDX-License-Identifier: Apache-2.0
#include "app/lane_spread.h"

#include <gtest/gtest.h>

#include <vector>

namespace watchwheel::app {
namespace {

using core::SiteId;

TEST(HostOf, IsTheHostInLowerCaseWithoutPortUserOrPath) {
  EXPECT_EQ(host_of("https://Shop.Example:8443/a?b#c"), "shop.example");
  EXPECT_EQ(host_of("http://user:pass@host.example/"), "host.example");
  EXPECT_EQ(host_of("http://host.example?x=1"), "host.example");
  EXPECT_EQ(host_of("http://host.example./"), "host.example") << "the same name";
  EXPECT_EQ(host_of("http://[2001:DB8::1]:80/"), "[2001:db8::1");
  EXPECT_EQ(host_of("no url at all"), "no url at all");
  EXPECT_EQ(host_of(""), "");
}

std::string of_host(const std::string& host, std::uint64_t i) {
  return "https://" + host + "/page/" + std::to_string(i);
}

TEST(LaneSpread, AllSitesOfAHostAreInOneLane) {
  for (const std::size_t lanes : {1U, 2U, 7U, 64U}) {
    LaneSpread spread(lanes);
    for (std::uint64_t i = 0; i < LaneSpread::kHeavySites; ++i)
      spread.count(of_host("a.example", i));
    spread.begin();
    const std::size_t lane = spread.lane_of("http://a.example/", SiteId{1});
    EXPECT_LT(lane, lanes);
    EXPECT_EQ(spread.lane_of("https://A.example:444/other?q", SiteId{2}), lane);
    EXPECT_EQ(spread.heavy_hosts(), 0U) << "as many as are allowed are not too many";
  }
}

// How many of the sites 1 to `count` each lane has.
template <typename UrlOf>
std::vector<double> shares(const LaneSpread& spread, std::uint64_t count, UrlOf url_of) {
  std::vector<double> shares(spread.lanes());
  for (std::uint64_t i = 1; i <= count; ++i) {
    const std::size_t lane = spread.lane_of(url_of(i), SiteId{i});
    if (lane < shares.size()) ++shares[lane];
  }
  return shares;
}

void expect_even(const std::vector<double>& shares, double all, double tolerance) {
  for (const double share : shares)
    EXPECT_NEAR(share, all / static_cast<double>(shares.size()), all * tolerance);
}

TEST(LaneSpread, HostsAreSpreadEvenly) {
  LaneSpread spread(4);
  const auto url_of = [](std::uint64_t i) {
    return of_host("s" + std::to_string(i) + ".example", 0);
  };
  for (std::uint64_t i = 1; i <= 40'000; ++i) spread.count(url_of(i));
  spread.begin();
  EXPECT_EQ(spread.heavy_hosts(), 0U);
  expect_even(shares(spread, 40'000, url_of), 40'000, 0.01);
}

// Goal: one host that is half of the fleet leaves the lanes even, and what is light stays together.
TEST(LaneSpread, TheSitesOfAHeavyHostAreSpreadEvenly) {
  for (const std::size_t lanes : {2U, 5U, 16U}) {
    LaneSpread spread(lanes);
    const auto url_of = [](std::uint64_t i) {
      return i % 2 == 0 ? of_host("heavy.example", i)
                        : of_host("s" + std::to_string(i / 20) + ".example", i);
    };
    for (std::uint64_t i = 1; i <= 200'000; ++i) spread.count(url_of(i));
    spread.begin();
    EXPECT_EQ(spread.heavy_hosts(), 1U);
    EXPECT_FALSE(spread.is_late(of_host("heavy.example", 1)));
    expect_even(shares(spread, 200'000, url_of), 200'000, 0.01);
  }
}

TEST(LaneSpread, AddressesGoByTheirSite) {
  LaneSpread spread(2);
  spread.begin();
  for (const char* const url : {"http://192.0.2.1/", "https://[2001:db8::1]:444/x", "http:///"}) {
    const auto of_one = shares(spread, 10'000, [&](std::uint64_t) { return std::string(url); });
    expect_even(of_one, 10'000, 0.02);
  }
  const auto named =
      shares(spread, 1000, [](std::uint64_t) { return std::string("http://1.2.3.4.example/"); });
  EXPECT_TRUE(named[0] == 0 || named[1] == 0) << "that is a name";
}

// A list that is counted anew, as after a restart, gives the same lanes, in whatever order it comes.
TEST(LaneSpread, IsTheSameForTheSameList) {
  const auto url_of = [](std::uint64_t i) {
    return of_host(i % 3 == 0 ? "heavy.example" : "s" + std::to_string(i % 100) + ".example", i);
  };
  LaneSpread once(3);
  LaneSpread again(3);
  for (std::uint64_t i = 1; i <= 3000; ++i) once.count(url_of(i));
  for (std::uint64_t i = 3000; i > 0; --i) again.count(url_of(i));
  once.begin();
  again.begin();
  for (std::uint64_t i = 1; i <= 3000; ++i)
    ASSERT_EQ(once.lane_of(url_of(i), SiteId{i}), again.lane_of(url_of(i), SiteId{i}));
}

TEST(LaneSpread, AHostThatBecomesHeavyLaterIsLate) {
  LaneSpread spread(2);
  for (std::uint64_t i = 0; i < 200; ++i) spread.count(of_host("a.example", i));
  spread.begin();
  const std::size_t before = spread.lane_of(of_host("a.example", 0), SiteId{1});
  for (std::uint64_t i = 0; i < LaneSpread::kHeavySites - 200; ++i)
    spread.count(of_host("a.example", i));
  EXPECT_EQ(spread.lane_of(of_host("a.example", 0), SiteId{1}), before);
  EXPECT_FALSE(spread.is_late(of_host("a.example", 0)));
  spread.count(of_host("a.example", 999));
  EXPECT_TRUE(spread.is_late(of_host("a.example", 0)));
  EXPECT_FALSE(spread.is_late(of_host("b.example", 0)));
  expect_even(shares(spread, 10'000, [](std::uint64_t i) { return of_host("a.example", i); }),
              10'000, 0.02);
}

// A million hosts of a site each: none of them is taken for heavy, though they share counts.
TEST(LaneSpread, ManyLightHostsAreNotTakenForHeavyOnes) {
  LaneSpread spread(2);
  for (std::uint64_t i = 0; i < 1'000'000; ++i)
    spread.count(of_host(std::to_string(i) + ".example", 0));
  EXPECT_EQ(spread.heavy_hosts(), 0U);
}

}  // namespace
}  // namespace watchwheel::app
