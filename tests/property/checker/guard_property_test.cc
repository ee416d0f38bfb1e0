// SPDX-License-Identifier: Apache-2.0
// No spelling of an address that may not be asked gets a connection begun: random addresses in random spellings, and random
// text in the place of a host, through a whole checker. The seed is printed and replays (WATCHWHEEL_SEED).
//
// The judge is written a second time: the spellings by what inet_aton(3) and RFC 4291 accept, the blocks as the table of
// the IANA registries has them (what Python's ipaddress calls not global, and multicast).
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "checker/target.h"
#include "support/checker_driver.h"
#include "support/fake_dns.h"

namespace watchwheel::testing {
namespace {

using core::Cause;

std::uint64_t seed_from_env() {
  const char* text = std::getenv("WATCHWHEEL_SEED");
  return text == nullptr ? std::random_device{}() : std::strtoull(text, nullptr, 10);
}

struct Block {
  std::uint32_t network;
  unsigned prefix;
};
constexpr std::array kNotGlobal{
    Block{0x0000'0000, 8},  Block{0x0a00'0000, 8},  Block{0x6440'0000, 10}, Block{0x7f00'0000, 8},
    Block{0xa9fe'0000, 16}, Block{0xac10'0000, 12}, Block{0xc000'0000, 24}, Block{0xc000'0200, 24},
    Block{0xc058'6300, 24}, Block{0xc0a8'0000, 16}, Block{0xc612'0000, 15}, Block{0xc633'6400, 24},
    Block{0xcb00'7100, 24}, Block{0xe000'0000, 4},  Block{0xf000'0000, 4}};

bool is_not_global(std::uint32_t ip) {
  for (const Block& block : kNotGlobal) {
    if ((ip ^ block.network) >> (32 - block.prefix) == 0) return true;
  }
  return false;
}

class GuardProperty : public ::testing::Test {
 protected:
  GuardProperty() : seed_(seed_from_env()), random_(seed_) {
    RecordProperty("seed", std::to_string(seed_));
    dns_.otherwise({.addresses = {"127.0.0.1", "::1"}});
    checker::Settings settings = loopback_settings({dns_.endpoint()});
    settings.allow.clear();
    driver_.emplace(settings);
  }

  std::uint32_t up_to(std::uint32_t most) {
    return std::uniform_int_distribution<std::uint32_t>(0, most)(random_);
  }

  std::uint32_t forbidden_address() {
    const Block& block = kNotGlobal[up_to(kNotGlobal.size() - 1)];
    const std::uint32_t host = block.prefix == 0 ? ~0U : ~0U >> block.prefix;
    return block.network | (up_to(~0U) & host);
  }

  static std::string digits_of(std::uint32_t value, unsigned base) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string out;
    do {
      out.insert(out.begin(), kDigits[value % base]);
      value /= base;
    } while (value != 0);
    return out;
  }

  // Decimal, octal or hexadecimal, with any zeros and case that inet_aton takes.
  std::string number(std::uint32_t value) {
    switch (up_to(2)) {
      case 0:
        return digits_of(value, 10);
      case 1:
        return "0" + std::string(up_to(4), '0') + digits_of(value, 8);
      default: {
        std::string out =
            (up_to(1) == 0 ? "0x" : "0X") + std::string(up_to(4), '0') + digits_of(value, 16);
        if (up_to(1) == 0) {
          for (char& c : out) c = static_cast<char>(c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
        }
        return out;
      }
    }
  }

  // A letter or digit as it is, percent-encoded, or in its full width.
  std::string disguised(const std::string& host) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    if (up_to(2) != 0) return host;
    const bool wide = up_to(1) == 0;
    std::string out;
    for (const char c : host) {
      const auto byte = static_cast<unsigned char>(c);
      if (up_to(3) != 0) {
        out += c;
      } else if (!wide) {
        out += {'%', kHex[byte >> 4U], kHex[byte & 0xfU]};
      } else if (c == '.') {
        out += "\xe3\x80\x82";
      } else {
        // U+FF01 to U+FF5E are the printable ones of ASCII.
        const unsigned code = 0xff00U + byte - 0x20U;
        out += {static_cast<char>(0xe0U | code >> 12U),
                static_cast<char>(0x80U | (code >> 6U & 0x3fU)),
                static_cast<char>(0x80U | (code & 0x3fU))};
      }
    }
    return out;
  }

  std::string spelling_v4(std::uint32_t ip) {
    const unsigned parts = up_to(3) + 1;
    std::string out;
    for (unsigned i = 0; i + 1 < parts; ++i) {
      out += number(ip >> 24U) + ".";
      ip <<= 8U;
    }
    out += number(ip >> (8 * (parts - 1)));
    if (up_to(7) == 0) out += ".";
    return disguised(out);
  }

  std::string groups_of(std::uint32_t ip) {
    const std::string high = digits_of(ip >> 16U, 16);
    const std::string low = digits_of(ip & 0xffffU, 16);
    return std::string(up_to(1) == 0 ? 4 - high.size() : 0, '0') + high + ":" + low;
  }
  static std::string quad_of(std::uint32_t ip) {
    return std::to_string(ip >> 24U) + "." + std::to_string(ip >> 16U & 0xffU) + "." +
           std::to_string(ip >> 8U & 0xffU) + "." + std::to_string(ip & 0xffU);
  }

  std::string spelling_v6(std::uint32_t ip) {
    const std::string inner = up_to(1) == 0 ? groups_of(ip) : quad_of(ip);
    switch (up_to(5)) {
      case 0:
        return "[::ffff:" + inner + "]";
      case 1:
        return "[0:0:0:0:0:FFFF:" + inner + "]";
      case 2:
        return "[64:ff9b::" + inner + "]";
      case 3:
        return "[2002:" + groups_of(ip) + "::" + digits_of(up_to(0xffff), 16) + "]";
      case 4:
        return "[::" + inner + "]";
      default:
        return "[fe80::5efe:" + inner + "]";
    }
  }

  std::string url_of(const std::string& host) {
    constexpr std::array kBefore{"http://", "https://", "HTTP://", "http://good.example@",
                                 "http://good.example:80@"};
    constexpr std::array kAfter{"/", "", ":8080/", "?@good.example/", "#@good.example/", "/../"};
    return kBefore[up_to(kBefore.size() - 1)] + host + kAfter[up_to(kAfter.size() - 1)];
  }

  core::ProbeResult check(const std::string& url) { return driver_->check(url, options_); }

  const std::uint64_t seed_;
  std::mt19937_64 random_;
  FakeDns dns_;
  std::optional<CheckerDriver> driver_;
  core::CheckOptions options_;
};

TEST_F(GuardProperty, NoSpellingOfAForbiddenAddressIsConnectedTo) {
  SCOPED_TRACE(seed_);
  for (int round = 0; round < 4000; ++round) {
    const std::uint32_t ip = forbidden_address();
    const std::string url = url_of(up_to(2) == 0 ? spelling_v6(ip) : spelling_v4(ip));
    const core::ProbeResult result = check(url);
    EXPECT_EQ(result.cause, Cause::AddressBlocked) << url << ": " << result.detail;
    EXPECT_EQ(result.addresses_tried, 0) << url;
  }
}

// Goal: no text in the place of a host gets around it either. Method: bits of addresses thrown together; what the URL parser
// takes for a public address is not asked, of the rest nothing may be connected to. Every name is one of loopback.
TEST_F(GuardProperty, NoTextInThePlaceOfAHostIsConnectedTo) {
  SCOPED_TRACE(seed_);
  constexpr std::array kBits{
      "127", "0",   "1",   ".",   "0x7f", "0177", ":", "::",           "[",     "]",
      "%",   "%2e", "%25", "@",   "a",    "\\",   "/", "\xe3\x80\x82", "ffff:", "localhost",
      "..",  "-",   "_",   "256", "0x",   "#",    "?", "%00",          "\t",    "2130706433"};
  std::size_t blocked = 0;
  for (int round = 0; round < 4000; ++round) {
    std::string host;
    for (std::uint32_t i = 0; i <= up_to(7); ++i) host += kBits[up_to(kBits.size() - 1)];
    const std::string url = url_of(host);
    const auto target = checker::parse_target(url);
    if (target && target->literal && !target->literal->v6) {
      const auto& b = target->literal->bytes;
      const std::uint32_t ip = std::uint32_t{b[0]} << 24U | std::uint32_t{b[1]} << 16U |
                               std::uint32_t{b[2]} << 8U | std::uint32_t{b[3]};
      if (!is_not_global(ip)) continue;
    }
    const core::ProbeResult result = check(url);
    EXPECT_EQ(core::outcome_of(result.cause), core::Outcome::NotMeasured)
        << url << ": " << result.detail;
    EXPECT_EQ(result.addresses_tried, 0) << url;
    blocked += result.cause == Cause::AddressBlocked ? 1U : 0U;
  }
  EXPECT_GT(blocked, 400U);
}

}  // namespace
}  // namespace watchwheel::testing
