// SPDX-License-Identifier: Apache-2.0
#include "fleet/site_map.h"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <sstream>

namespace watchwheel::fleet {
namespace {

Config config_of(std::uint32_t sites, std::uint32_t https, std::uint32_t addresses = 0) {
  Config config;
  config.sites = sites;
  config.https = https;
  config.addresses = addresses;
  return config;
}

TEST(FleetSiteMap, NameLeadsBackToItsSite) {
  const SiteMap map(config_of(1000, 0));
  for (const std::uint32_t site : {0U, 9U, 10U, 999U}) EXPECT_EQ(map.by_name(map.name(site)), site);
  EXPECT_EQ(map.by_name("S12.Fleet.TEST:18080"), 12U);
  EXPECT_EQ(map.by_name("s12.fleet.test."), 12U);
}

TEST(FleetSiteMap, OtherNamesAreNoSites) {
  const SiteMap map(config_of(1000, 0));
  for (const char* name : {"", "s", "s.fleet.test", "s1000.fleet.test", "s01.fleet.test",
                           "x1.fleet.test", "s1.fleet.tests", "s1.other.test", "s-1.fleet.test",
                           "s99999999999999999999.fleet.test", "127.64.0.1", "s1"}) {
    EXPECT_FALSE(map.by_name(name)) << name;
  }
}

TEST(FleetSiteMap, AddressTellsTheSiteOnlyWhenItHasOneOfItsOwn) {
  const SiteMap own(config_of(1000, 0));
  EXPECT_EQ(to_text(own.address(300)), "127.64.1.45");
  EXPECT_EQ(own.by_address(own.address(300)), 300U);
  EXPECT_FALSE(own.by_address(own.address(0) - 1));
  EXPECT_FALSE(own.by_address(own.address(999) + 1));
  const SiteMap shared(config_of(1000, 0, 10));
  EXPECT_EQ(shared.address(25), shared.address(5));
  EXPECT_FALSE(shared.by_address(shared.address(5)));
}

TEST(FleetSiteMap, ListHasOneLineASiteInBothFormats) {
  const SiteMap map(config_of(2, 1));
  std::ostringstream csv;
  write_site_list(map, {std::chrono::seconds(60), 0, ListFormat::Csv}, csv);
  EXPECT_EQ(csv.str(),
            "url,interval,name\n"
            "https://s0.fleet.test:18443/,60s,s0.fleet.test\n"
            "http://s1.fleet.test:18080/,60s,s1.fleet.test\n");
  std::ostringstream jsonl;
  write_site_list(map, {std::chrono::milliseconds(1500), 0, ListFormat::Jsonl}, jsonl);
  EXPECT_NE(
      jsonl.str().find(
          R"({"url":"http://s1.fleet.test:18080/","interval":"1500ms","name":"s1.fleet.test"})"),
      std::string::npos);
}

TEST(FleetSiteMap, SpreadAddressesAreDistinctFarApartAndLeadBack) {
  Config config = config_of(200'000, 0);
  config.spread = true;
  ASSERT_EQ(problem_of(config), "");
  const SiteMap map(config);
  std::set<std::uint32_t> addresses;
  std::map<std::uint32_t, std::uint32_t>
      networks;  // Of the first 60,000 sites, by their first 16 bits.
  for (std::uint32_t site = 0; site < map.sites(); ++site) {
    const std::uint32_t address = map.address(site);
    ASSERT_TRUE(is_loopback(address) && map.is_site_address(address)) << site;
    ASSERT_EQ(map.by_address(address), site);
    addresses.insert(address);
    if (site < 60'000) ++networks[address >> 16U];
  }
  EXPECT_EQ(addresses.size(), map.sites());
  EXPECT_EQ(networks.size(), 192U);
  for (const auto& [network, sites] : networks) EXPECT_NEAR(sites, 60'000 / 192, 10) << network;
  EXPECT_FALSE(map.by_address(map.address(0) + 1));
  config.addresses = 10;
  EXPECT_NE(problem_of(config).find("--spread"), std::string::npos);
}

TEST(FleetSiteMap, ListCanBeginLaterAndLeaveTheIntervalOut) {
  const SiteMap map(config_of(3, 0));
  std::ostringstream csv;
  write_site_list(map, {Duration{0}, 2, ListFormat::Csv}, csv);
  EXPECT_EQ(csv.str(), "url,interval,name\nhttp://s2.fleet.test:18080/,,s2.fleet.test\n");
  std::ostringstream jsonl;
  write_site_list(map, {Duration{0}, 2, ListFormat::Jsonl}, jsonl);
  EXPECT_EQ(jsonl.str(), R"({"url":"http://s2.fleet.test:18080/","name":"s2.fleet.test"})"
                         "\n");
}

TEST(FleetConfig, RefusesWhatLeavesLoopback) {
  Config config = config_of(20'000, 0);
  EXPECT_EQ(problem_of(config), "");
  config.base = 0x7fffff00U;
  EXPECT_NE(problem_of(config).find("leave 127.0.0.0/8"), std::string::npos);
  config.base = 0x0a000001U;
  EXPECT_NE(problem_of(config), "");
  config = config_of(10, 11);
  EXPECT_NE(problem_of(config).find("--https"), std::string::npos);
  EXPECT_FALSE(parse_endpoint("10.0.0.1:53"));
  EXPECT_FALSE(parse_endpoint("0.0.0.0:53"));
  EXPECT_FALSE(parse_endpoint("127.0.0.1:65536"));
  EXPECT_FALSE(parse_endpoint("127.0.0.1"));
  EXPECT_TRUE(parse_endpoint("127.0.0.1:0"));
}

TEST(FleetUnits, DurationsAreWholeNumbersWithAUnit) {
  EXPECT_EQ(parse_duration("250ms").value, std::chrono::milliseconds(250));
  EXPECT_EQ(parse_duration("10s").value, std::chrono::seconds(10));
  EXPECT_EQ(parse_duration("5m").value, std::chrono::minutes(5));
  EXPECT_EQ(parse_duration("1h").value, std::chrono::hours(1));
  EXPECT_EQ(parse_duration("1d").value, std::chrono::hours(24));
  EXPECT_EQ(parse_duration("0").value, Duration{0});
  for (const char* text : {"", "s", "5", "1.5s", "-1s", "1 s", "367d", "99999999999999999999s"}) {
    EXPECT_FALSE(parse_duration(text)) << text;
  }
}

TEST(FleetUnits, SiteRangesStayWithinTheSites) {
  EXPECT_EQ(parse_site_range("0-19", 20).value->count(), 20U);
  EXPECT_EQ(parse_site_range("7", 20).value->first, 7U);
  EXPECT_EQ(parse_site_range("all", 20).value->last, 19U);
  for (const char* text : {"", "-", "3-2", "0-20", "20", "a-b", "1-", "-1"}) {
    EXPECT_FALSE(parse_site_range(text, 20)) << text;
  }
}

}  // namespace
}  // namespace watchwheel::fleet
