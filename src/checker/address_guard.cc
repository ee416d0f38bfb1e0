// SPDX-License-Identifier: Apache-2.0
#include "checker/address_guard.h"

#include <algorithm>

namespace watchwheel::checker {
namespace {

// What the IANA IPv4 and IPv6 special-purpose address registries and RFC 6890 do not let onto the public Internet.
struct Block {
  Cidr range;
  std::string_view reason;
  bool never = false;  // Not even when the operator allows it: no single host has such an address.
};

constexpr Cidr v4(std::uint8_t a, std::uint8_t b, std::uint8_t c, std::uint8_t d,
                  std::uint8_t prefix) {
  Cidr range;
  range.network.bytes = {a, b, c, d};
  range.prefix = prefix;
  return range;
}

// By its first four groups: no block below needs more, but for those two written out.
constexpr Cidr v6(std::uint16_t a, std::uint16_t b, std::uint16_t c, std::uint16_t d,
                  std::uint8_t prefix) {
  Cidr range;
  range.network.v6 = true;
  const std::array<std::uint16_t, 4> groups{a, b, c, d};
  for (std::size_t i = 0; i < groups.size(); ++i) {
    range.network.bytes[2 * i] = static_cast<std::uint8_t>(groups[i] >> 8U);
    range.network.bytes[2 * i + 1] = static_cast<std::uint8_t>(groups[i] & 0xffU);
  }
  range.prefix = prefix;
  return range;
}

constexpr Cidr v6_last_byte(std::uint8_t last) {
  Cidr range = v6(0, 0, 0, 0, 128);
  range.network.bytes[15] = last;
  return range;
}

// The first match decides, so the special cases stand before the blocks around them.
constexpr std::array kBlocksV4{
    Block{v4(0, 0, 0, 0, 32), "unspecified", true},
    Block{v4(0, 0, 0, 0, 8), "this-network"},
    Block{v4(10, 0, 0, 0, 8), "private"},
    Block{v4(100, 64, 0, 0, 10), "shared (CGNAT)"},
    Block{v4(127, 0, 0, 0, 8), "loopback"},
    Block{v4(169, 254, 0, 0, 16), "link-local"},
    Block{v4(172, 16, 0, 0, 12), "private"},
    Block{v4(192, 0, 0, 0, 24), "protocol assignment"},
    Block{v4(192, 0, 2, 0, 24), "documentation"},
    Block{v4(192, 88, 99, 0, 24), "6to4 relay"},
    Block{v4(192, 168, 0, 0, 16), "private"},
    Block{v4(198, 18, 0, 0, 15), "benchmarking"},
    Block{v4(198, 51, 100, 0, 24), "documentation"},
    Block{v4(203, 0, 113, 0, 24), "documentation"},
    Block{v4(224, 0, 0, 0, 4), "multicast", true},
    Block{v4(255, 255, 255, 255, 32), "broadcast", true},
    Block{v4(240, 0, 0, 0, 4), "reserved"},
};

constexpr std::array kBlocksV6{
    Block{v6_last_byte(0), "unspecified", true},
    Block{v6_last_byte(1), "loopback"},
    Block{v6(0, 0, 0, 0, 96), "IPv4-compatible"},
    // Local-use translation: where in it the IPv4 address stands is the operator's secret, so it cannot be judged by it.
    Block{v6(0x64, 0xff9b, 1, 0, 48), "local translation (NAT64)"},
    Block{v6(0x100, 0, 0, 0, 64), "discard"},
    Block{v6(0x2001, 0, 0, 0, 32), "Teredo"},
    Block{v6(0x2001, 2, 0, 0, 48), "benchmarking"},
    Block{v6(0x2001, 0, 0, 0, 23), "protocol assignment"},
    Block{v6(0x2001, 0xdb8, 0, 0, 32), "documentation"},
    Block{v6(0x3fff, 0, 0, 0, 20), "documentation"},
    Block{v6(0x5f00, 0, 0, 0, 16), "segment routing"},
    Block{v6(0xfc00, 0, 0, 0, 7), "private"},
    Block{v6(0xfe80, 0, 0, 0, 10), "link-local"},
    Block{v6(0xfec0, 0, 0, 0, 10), "site-local"},
    Block{v6(0xff00, 0, 0, 0, 8), "multicast", true},
};

constexpr Cidr kGlobalUnicastV6 = v6(0x2000, 0, 0, 0, 3);
constexpr Cidr kSixToFour = v6(0x2002, 0, 0, 0, 16);

constexpr Cidr mapped() {
  Cidr range = v6(0, 0, 0, 0, 96);
  range.network.bytes[10] = range.network.bytes[11] = 0xff;
  return range;
}
constexpr Cidr kMapped = mapped();
constexpr Cidr kNat64 = v6(0x64, 0xff9b, 0, 0, 96);

IpAddress v4_at(const IpAddress& ip, std::size_t offset) {
  IpAddress inner;
  std::copy_n(ip.bytes.begin() + static_cast<std::ptrdiff_t>(offset), 4, inner.bytes.begin());
  return inner;
}

// The IPv4 address that packets to `ip` end up at.
std::optional<IpAddress> embedded_v4(const IpAddress& ip) {
  if (kMapped.contains(ip) || kNat64.contains(ip)) return v4_at(ip, 12);
  if (kSixToFour.contains(ip)) return v4_at(ip, 2);
  return std::nullopt;
}

Block classify(const IpAddress& ip) {
  if (!ip.v6) {
    for (const Block& block : kBlocksV4) {
      if (block.range.contains(ip)) return block;
    }
    return {};
  }
  if (const auto inner = embedded_v4(ip)) return classify(*inner);
  for (const Block& block : kBlocksV6) {
    if (block.range.contains(ip)) return block;
  }
  if (!kGlobalUnicastV6.contains(ip)) return {{}, "reserved", false};
  return {};
}

bool any_contains(std::span<const Cidr> blocks, const IpAddress& ip) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [&ip](const Cidr& block) { return block.contains(ip); });
}

}  // namespace

GuardVerdict guard(const IpAddress& ip, std::span<const Cidr> allow, bool allow_private) {
  const Block block = classify(ip);
  if (block.reason.empty()) return {true, {}};
  if (block.never) return {false, block.reason};
  if (allow_private || any_contains(allow, ip)) return {true, {}};
  if (const auto inner = embedded_v4(ip); inner && any_contains(allow, *inner)) return {true, {}};
  return {false, block.reason};
}

}  // namespace watchwheel::checker
