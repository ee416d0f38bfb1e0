// SPDX-License-Identifier: Apache-2.0
#include "core/vantage.h"

#include <gtest/gtest.h>

namespace watchwheel::core {
namespace {

// Goal: addresses of one /24 or /48 are one network, whatever the URL; others are, but for a chance of 1 in 256, not.
TEST(VantageCell, IsTheNetworkOfTheAddress) {
  const auto cell = [](const char* address) { return vantage_cell(address, "http://any.test/"); };
  EXPECT_EQ(cell("93.184.216.34"), cell("93.184.216.1"));
  EXPECT_NE(cell("93.184.216.34"), cell("93.184.217.34"));
  EXPECT_EQ(cell("2001:db8:1:2::7"), cell("2001:db8:1:ffff::1"));
  EXPECT_EQ(cell("2001:db8:1::7"), cell("2001:db8:1:ffff::1"));
  EXPECT_NE(cell("2001:db8:1::7"), cell("2001:db8:2::7"));
  EXPECT_EQ(cell("2001:db8::1"), cell("2001:db8::2"));
  EXPECT_EQ(cell("::1"), cell("::2"));
}

// Goal: a name that does not resolve counts for its zone.
TEST(VantageCell, WithoutAnAddressIsTheZone) {
  const auto cell = [](const char* url) { return vantage_cell("", url); };
  EXPECT_EQ(cell("http://a.example.com/x?y=.z"), cell("https://b.c.example.com:8443/"));
  EXPECT_EQ(cell("http://user:p.w@a.example.com"), cell("http://example.com./"));
  EXPECT_NE(cell("http://a.example.com/"), cell("http://a.example.org/"));
  EXPECT_EQ(cell("http://localhost/"), cell("http://localhost:8080/"));
  EXPECT_NO_FATAL_FAILURE((void)cell(""));
  EXPECT_NO_FATAL_FAILURE((void)cell("http://./"));
}

TEST(VantageCause, IsLowLevelWhenNoServerHadItsSay) {
  EXPECT_TRUE(is_low_level(Cause::ConnectTimeout));
  EXPECT_TRUE(is_low_level(Cause::DnsServfail));
  EXPECT_TRUE(is_low_level(Cause::TlsCertUntrusted));
  EXPECT_TRUE(is_low_level(Cause::HttpTimeout));
  EXPECT_FALSE(is_low_level(Cause::HttpStatus));
  EXPECT_FALSE(is_low_level(Cause::KeywordMissing));
  EXPECT_FALSE(is_low_level(Cause::Ok));
  EXPECT_FALSE(is_low_level(Cause::ResolverUnreachable)) << "ours, and counted as such";
}

TEST(VantageGate, GivesBackWhatWasPublished) {
  VantageGate gate;
  EXPECT_EQ(gate.read(), VantageGate::Reading{});
  const VantageGate::Reading wanted{.state = VantageState::MassOutage,
                                    .reason = VantageReason::Resources,
                                    .cleared = SteadyTime{5s},
                                    .blind_until = SteadyTime{4s},
                                    .group = from_unix_ms(1'700'000'000'123)};
  gate.publish(wanted);
  EXPECT_EQ(gate.read(), wanted);
}

}  // namespace
}  // namespace watchwheel::core
