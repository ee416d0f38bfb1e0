// SPDX-License-Identifier: Apache-2.0
#include "checker/address_guard.h"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace watchwheel::checker {
namespace {

// The registries, written a second time and independently: each block, why it is refused, and whether an operator may allow it.
struct Block {
  const char* range;
  const char* reason;
  bool never = false;
};

const std::vector<Block> kBlocks{
    {"0.0.0.0/8", "this-network"},
    {"10.0.0.0/8", "private"},
    {"100.64.0.0/10", "shared (CGNAT)"},
    {"127.0.0.0/8", "loopback"},
    {"169.254.0.0/16", "link-local"},
    {"172.16.0.0/12", "private"},
    {"192.0.0.0/24", "protocol assignment"},
    {"192.0.2.0/24", "documentation"},
    {"192.88.99.0/24", "6to4 relay"},
    {"192.168.0.0/16", "private"},
    {"198.18.0.0/15", "benchmarking"},
    {"198.51.100.0/24", "documentation"},
    {"203.0.113.0/24", "documentation"},
    {"224.0.0.0/4", "multicast", true},
    {"240.0.0.0/4", "reserved"},
    {"64:ff9b:1::/48", "local translation (NAT64)"},
    {"100::/64", "discard"},
    {"2001::/32", "Teredo"},
    {"2001:2::/48", "benchmarking"},
    {"2001:10::/28", "protocol assignment"},
    {"2001:20::/28", "protocol assignment"},
    {"2001:db8::/32", "documentation"},
    {"3fff::/20", "documentation"},
    {"5f00::/16", "segment routing"},
    {"fc00::/7", "private"},
    {"fe80::/10", "link-local"},
    {"fec0::/10", "site-local"},
    {"ff00::/8", "multicast", true},
};

IpAddress ip(const char* text) {
  return *parse_ip(text);
}

int bits_of(const IpAddress& address) {
  return address.v6 ? 128 : 32;
}

IpAddress last_of(const Cidr& block) {
  IpAddress last = block.network;
  for (int bit = block.prefix; bit < bits_of(last); ++bit) {
    last.bytes[static_cast<std::size_t>(bit / 8)] |= static_cast<std::uint8_t>(0x80U >> (bit % 8));
  }
  return last;
}

// The next address, or the one before; nothing at the end of the space.
std::optional<IpAddress> neighbour(IpAddress address, int step) {
  for (int i = bits_of(address) / 8 - 1; i >= 0; --i) {
    auto& byte = address.bytes[static_cast<std::size_t>(i)];
    byte = static_cast<std::uint8_t>(byte + step);
    if (step > 0 ? byte != 0 : byte != 0xff) return address;
  }
  return std::nullopt;
}

// The reason by the table above; empty when no block holds it. The longest block decides.
std::string by_table(const IpAddress& address) {
  std::string reason;
  int longest = -1;
  for (const Block& block : kBlocks) {
    const Cidr range = *parse_cidr(block.range);
    if (!range.contains(address) || range.prefix <= longest) continue;
    longest = range.prefix;
    reason = block.reason;
  }
  return reason;
}

std::string verdict(const IpAddress& address) {
  const GuardVerdict v = guard(address, {}, false);
  EXPECT_EQ(v.allowed, v.reason.empty());
  return std::string(v.reason);
}

TEST(AddressGuard, RefusesTheFirstAndLastAddressOfEachBlock) {
  for (const Block& block : kBlocks) {
    const Cidr range = *parse_cidr(block.range);
    // Two addresses have a name of their own.
    if (std::string_view(block.range) != "0.0.0.0/8") {
      EXPECT_EQ(verdict(range.network), block.reason) << block.range;
    }
    if (std::string_view(block.range) != "240.0.0.0/4") {
      EXPECT_EQ(verdict(last_of(range)), block.reason) << block.range;
    }
    EXPECT_EQ(verdict(*neighbour(range.network, 1)), block.reason) << block.range;
    EXPECT_EQ(verdict(*neighbour(last_of(range), -1)), block.reason) << block.range;
  }
}

TEST(AddressGuard, TheNeighboursOfABlockAreJudgedByTheirOwn) {
  for (const Block& block : kBlocks) {
    const Cidr range = *parse_cidr(block.range);
    for (const auto& beside : {neighbour(range.network, -1), neighbour(last_of(range), 1)}) {
      if (!beside) continue;
      std::string expected = by_table(*beside);
      // What the table of special blocks does not say: outside 2000::/3 nothing is handed out.
      if (expected.empty() && beside->v6 && !parse_cidr("2000::/3")->contains(*beside))
        expected = "reserved";
      if (beside->v6 && parse_cidr("2001::/23")->contains(*beside) && expected.empty())
        expected = "protocol assignment";
      EXPECT_EQ(verdict(*beside), expected) << to_string(*beside);
    }
  }
}

TEST(AddressGuard, LetsPublicAddressesThrough) {
  for (const char* text :
       {"1.1.1.1", "8.8.8.8", "9.255.255.255", "11.0.0.0", "100.63.255.255", "100.128.0.0",
        "172.15.255.255", "172.32.0.0", "192.31.196.1", "192.52.193.1", "192.175.48.1",
        "223.255.255.255", "2000::1", "2001:200::1", "2606:4700::1111", "2620:4f:8000::1",
        "2a00:1450::1", "3ffe::1"}) {
    EXPECT_EQ(verdict(ip(text)), "") << text;
  }
}

TEST(AddressGuard, JudgesEmbeddedIpv4ByItself) {
  struct Form {
    const char* before;
    const char* after;
  };
  // Mapped, NAT64, 6to4: loopback 127.0.0.1 = 7f00:1, private 10.1.2.3 = a01:203, public 8.8.8.8 = 808:808.
  for (const Form& form : {Form{"::ffff:", ""}, Form{"64:ff9b::", ""}, Form{"2002:", "::1"}}) {
    const auto with = [&form](const char* inner) {
      return ip((std::string(form.before) + inner + form.after).c_str());
    };
    EXPECT_EQ(verdict(with("7f00:1")), "loopback");
    EXPECT_EQ(verdict(with("a01:203")), "private");
    EXPECT_EQ(verdict(with("a9fe:a9fe")), "link-local");
    EXPECT_EQ(verdict(with("e000:1")), "multicast");
    EXPECT_EQ(verdict(with("0:0")), "unspecified");
    EXPECT_EQ(verdict(with("808:808")), "");
    const std::vector<Cidr> inside{*parse_cidr("10.0.0.0/8")};
    EXPECT_TRUE(guard(with("a01:203"), inside, false).allowed);
    EXPECT_FALSE(guard(with("7f00:1"), inside, false).allowed);
  }
  EXPECT_EQ(verdict(ip("::8.8.8.8")), "IPv4-compatible");
  EXPECT_EQ(verdict(ip("::127.0.0.1")), "IPv4-compatible");
  EXPECT_EQ(verdict(ip("64:ff9b:1::8.8.8.8")), "local translation (NAT64)");
  EXPECT_EQ(verdict(ip("2001:0:4136:e378:8000:63bf:f7f7:f7f7")), "Teredo");
}

TEST(AddressGuard, NamesTheSingleOnes) {
  EXPECT_EQ(verdict(ip("0.0.0.0")), "unspecified");
  EXPECT_EQ(verdict(ip("255.255.255.255")), "broadcast");
  EXPECT_EQ(verdict(ip("::")), "unspecified");
  EXPECT_EQ(verdict(ip("::1")), "loopback");
  EXPECT_EQ(verdict(ip("::2")), "IPv4-compatible");
}

TEST(AddressGuard, TheOperatorsWordBeatsAllButWhatIsNoHost) {
  const std::vector<Cidr> everything{*parse_cidr("0.0.0.0/0"), *parse_cidr("::/0")};
  for (const Block& block : kBlocks) {
    const IpAddress inside = *neighbour(parse_cidr(block.range)->network, 1);
    EXPECT_EQ(guard(inside, everything, false).allowed, !block.never) << block.range;
    EXPECT_EQ(guard(inside, {}, true).allowed, !block.never) << block.range;
  }
  for (const char* text : {"0.0.0.0", "::", "255.255.255.255", "::ffff:0.0.0.0",
                           "64:ff9b::224.0.0.1", "2002:ffff:ffff::1"}) {
    EXPECT_FALSE(guard(ip(text), everything, true).allowed) << text;
  }
}

TEST(AddressGuard, AnAllowedBlockOpensNothingElse) {
  const std::vector<Cidr> allow{*parse_cidr("192.168.7.0/24"), *parse_cidr("fd00:7::/32")};
  EXPECT_TRUE(guard(ip("192.168.7.255"), allow, false).allowed);
  EXPECT_FALSE(guard(ip("192.168.8.0"), allow, false).allowed);
  EXPECT_TRUE(guard(ip("fd00:7::1"), allow, false).allowed);
  EXPECT_FALSE(guard(ip("fd00:8::1"), allow, false).allowed);
  EXPECT_TRUE(guard(ip("8.8.8.8"), allow, false).allowed);
}

}  // namespace
}  // namespace watchwheel::checker
