// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_cache.h"

#include <gtest/gtest.h>

#include <list>
#include <random>

namespace watchwheel::checker {
namespace {

using core::Cause;
using namespace std::chrono_literals;

const core::SteadyTime kStart{1h};

DnsFact addresses(const char* text) {
  return {Cause::Ok, {*parse_ip(text)}, {}};
}

TEST(ResolverLifetime, HoldsTtlsAndFailuresToTheirBounds) {
  EXPECT_EQ(lifetime(Cause::Ok, 0), 5s);
  EXPECT_EQ(lifetime(Cause::Ok, 5), 5s);
  EXPECT_EQ(lifetime(Cause::Ok, 60), 60s);
  EXPECT_EQ(lifetime(Cause::Ok, 3600), 1h);
  EXPECT_EQ(lifetime(Cause::Ok, 0xffff'ffff), 1h);
  for (const Cause cause :
       {Cause::DnsNxdomain, Cause::DnsNoAddress, Cause::DnsRefused, Cause::DnsMalformed}) {
    EXPECT_EQ(lifetime(cause, 600), 5s) << core::to_string(cause);
  }
  for (const Cause cause : {Cause::DnsServfail, Cause::DnsTimeout, Cause::ResolverUnreachable}) {
    EXPECT_EQ(lifetime(cause, 600), 1s) << core::to_string(cause);
  }
  for (const Cause cause : {Cause::LocalOverload, Cause::LocalResources, Cause::LocalNetwork}) {
    EXPECT_EQ(lifetime(cause, 600), 0s) << core::to_string(cause);
  }
}

TEST(ResolverCache, AnswersUntilItExpiresAndNotAMomentLonger) {
  ResolverCache cache(10);
  cache.store({0, false, "a.example"}, addresses("192.0.2.1"), 60s, kStart);
  const auto found = cache.find({0, false, "a.example"}, kStart + 60s - 1ns);
  ASSERT_NE(found.fact, nullptr);
  EXPECT_EQ(found.fact->addresses, addresses("192.0.2.1").addresses);
  EXPECT_EQ(cache.find({0, false, "a.example"}, kStart + 60s).fact, nullptr);
}

TEST(ResolverCache, TellsApartWhatIsNotTheSame) {
  ResolverCache cache(10);
  cache.store({0, false, "a.example"}, addresses("192.0.2.1"), 60s, kStart);
  EXPECT_EQ(cache.find({0, true, "a.example"}, kStart).fact, nullptr);
  EXPECT_EQ(cache.find({1, false, "a.example"}, kStart).fact, nullptr);
  EXPECT_EQ(cache.find({0, false, "b.example"}, kStart).fact, nullptr);
  EXPECT_NE(cache.find({0, false, "a.example"}, kStart).fact, nullptr);
}

TEST(ResolverCache, WantsARefreshInTheLastTenthOfGoodAddressesOnly) {
  ResolverCache cache(10);
  const DnsKey key{0, false, "a.example"};
  cache.store(key, addresses("192.0.2.1"), 100s, kStart);
  EXPECT_FALSE(cache.find(key, kStart + 90s - 1ns).refresh);
  EXPECT_TRUE(cache.find(key, kStart + 90s).refresh);
  cache.store(key, {Cause::DnsNxdomain, {}, "gone"}, 100s, kStart);
  EXPECT_FALSE(cache.find(key, kStart + 95s).refresh);
}

// Most names have no IPv6 addresses: a query for them with every check would double the load on the resolver.
TEST(ResolverCache, AFamilyWithoutAddressesLivesAsLongAsTheAddressesOfTheOther) {
  for (const auto apart : {0s, 3s}) {  // The two answers do not come at once.
    ResolverCache cache(10);
    const DnsKey v4{0, false, "a.example"};
    const DnsKey v6{0, true, "a.example"};
    cache.store(v6, {Cause::DnsNoAddress, {}, "none"}, 5s, kStart - apart);
    cache.store(v4, addresses("192.0.2.1"), 100s, kStart);
    ASSERT_NE(cache.find(v6, kStart + 90s - 1ns).fact, nullptr);
    EXPECT_EQ(cache.find(v6, kStart + 90s - 1ns).fact->cause, Cause::DnsNoAddress);
    EXPECT_FALSE(cache.find(v6, kStart + 90s - 1ns).refresh);
    EXPECT_TRUE(cache.find(v6, kStart + 90s)
                    .refresh);  // With the addresses, so that neither is waited for.
    EXPECT_EQ(cache.find(v6, kStart + 100s).fact, nullptr);
  }
}

TEST(ResolverCache, AFamilyWithoutAddressesIsAskedAgainWhenItStandsAlone) {
  const DnsKey v4{0, false, "a.example"};
  const DnsKey v6{0, true, "a.example"};
  const DnsFact none{Cause::DnsNoAddress, {}, "none"};
  {
    ResolverCache cache(
        10);  // Neither family has any: the site is down for it, and may come back soon.
    cache.store(v6, none, 5s, kStart);
    cache.store(v4, none, 5s, kStart);
    EXPECT_EQ(cache.find(v6, kStart + 5s).fact, nullptr);
    EXPECT_EQ(cache.find(v4, kStart + 5s).fact, nullptr);
  }
  {
    ResolverCache cache(10);  // The name went away.
    cache.store(v6, none, 5s, kStart);
    cache.store(v4, addresses("192.0.2.1"), 100s, kStart);
    cache.store(v4, {Cause::DnsNxdomain, {}, "gone"}, 5s, kStart + 50s);
    EXPECT_EQ(cache.find(v6, kStart + 51s).fact, nullptr);
  }
  {
    ResolverCache cache(10);  // The addresses are newer than it.
    cache.store(v6, none, 5s, kStart);
    cache.store(v4, addresses("192.0.2.1"), 100s, kStart + 6s);
    EXPECT_EQ(cache.find(v6, kStart + 7s).fact, nullptr);
  }
  {
    ResolverCache cache(10);  // Another server's addresses; another failure.
    cache.store(v6, none, 5s, kStart);
    cache.store({1, false, "a.example"}, addresses("192.0.2.1"), 100s, kStart);
    EXPECT_EQ(cache.find(v6, kStart + 5s).fact, nullptr);
    cache.store(v4, addresses("192.0.2.1"), 100s, kStart);
    cache.store(v6, {Cause::DnsNxdomain, {}, "gone"}, 5s, kStart);
    EXPECT_EQ(cache.find(v6, kStart + 5s).fact, nullptr);
  }
}

TEST(ResolverCache, ABadMomentDoesNotDisplaceGoodAddresses) {
  ResolverCache cache(10);
  const DnsKey key{0, false, "a.example"};
  cache.store(key, addresses("192.0.2.1"), 100s, kStart);
  cache.store(key, {Cause::DnsServfail, {}, "x"}, 1s, kStart + 95s);
  EXPECT_EQ(cache.find(key, kStart + 96s).fact->cause, Cause::Ok);
  cache.store(key, {Cause::DnsNxdomain, {}, "x"}, 5s, kStart + 97s);
  EXPECT_EQ(cache.find(key, kStart + 98s).fact->cause, Cause::DnsNxdomain);
  cache.store(key, {Cause::DnsTimeout, {}, "x"}, 1s, kStart + 200s);
  EXPECT_EQ(cache.find(key, kStart + 200s).fact->cause, Cause::DnsTimeout);
}

TEST(ResolverCache, KeepsNothingForNoTime) {
  ResolverCache cache(10);
  cache.store({0, false, "a.example"}, {Cause::LocalOverload, {}, "x"}, 0s, kStart);
  EXPECT_EQ(cache.size(), 0U);
}

TEST(ResolverCache, WhatWasUsedLeastRecentlyGoesFirst) {
  ResolverCache cache(3);
  for (const char* host : {"a", "b", "c"})
    cache.store({0, false, host}, addresses("192.0.2.1"), 60s, kStart);
  EXPECT_NE(cache.find({0, false, "a"}, kStart).fact, nullptr);
  cache.store({0, false, "d"}, addresses("192.0.2.1"), 60s, kStart);
  EXPECT_EQ(cache.size(), 3U);
  EXPECT_EQ(cache.find({0, false, "b"}, kStart).fact, nullptr);
  for (const char* host : {"a", "c", "d"})
    EXPECT_NE(cache.find({0, false, host}, kStart).fact, nullptr) << host;
}

// Goal: any mix of stores and finds agrees with a plain list in the order of use. Method: random steps over few names, so that
// entries come, move, are displaced and come again.
TEST(ResolverCache, AgreesWithAPlainList) {
  const unsigned seed = 20'261'121;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  constexpr std::size_t kMax = 200;
  ResolverCache cache(kMax);
  struct Entry {
    std::string host;
    std::uint8_t value;
    core::SteadyTime expires;
  };
  std::list<Entry> model;  // Newest first.
  core::SteadyTime now = kStart;
  for (int step = 0; step < 100'000; ++step) {
    now += std::chrono::milliseconds{random() % 20};
    const std::string host = "n" + std::to_string(random() % 500);
    const auto there =
        std::find_if(model.begin(), model.end(), [&](const Entry& e) { return e.host == host; });
    if (random() % 2 == 0) {
      const auto value = static_cast<std::uint8_t>(random());
      DnsFact fact = addresses("192.0.2.0");
      fact.addresses[0].bytes[3] = value;
      const auto keep = std::chrono::milliseconds{1 + random() % 2000};
      cache.store({0, false, host}, fact, keep, now);
      if (there != model.end()) model.erase(there);
      model.push_front({host, value, now + keep});
      if (model.size() > kMax) model.pop_back();
    } else {
      const auto found = cache.find({0, false, host}, now);
      const bool expected = there != model.end() && now < there->expires;
      ASSERT_EQ(found.fact != nullptr, expected) << step;
      if (!expected) continue;
      ASSERT_EQ(found.fact->addresses[0].bytes[3], there->value);
      model.splice(model.begin(), model, there);
    }
    if (random() % 3000 == 0) {
      cache.shrink();
      model.resize(model.size() / 4);
    }
    ASSERT_EQ(cache.size(), model.size());
  }
}

}  // namespace
}  // namespace watchwheel::checker
