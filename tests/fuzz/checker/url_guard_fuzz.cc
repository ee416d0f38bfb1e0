// SPDX-License-Identifier: Apache-2.0
// A URL as a customer or a redirect gives it: what is asked, whether it may be asked, and what of it is shown.
#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <string>
#include <string_view>

#include "checker/address_guard.h"
#include "checker/target.h"
#include "fuzz/checker/target_laws.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using checker::IpAddress;

// ---- A second opinion on addresses, in another form than the guard's: as texts, and IPv6 by what is public, not by what is not.

bool within(const std::uint8_t* bytes, std::string_view bits) {
  for (std::size_t i = 0; i < bits.size(); ++i) {
    const bool one = (bytes[i / 8] >> (7 - i % 8) & 1) != 0;
    if (one != (bits[i] == '1')) return false;
  }
  return true;
}

std::string bits_of(std::string_view cidr) {
  const auto slash = cidr.find('/');
  const auto ip = checker::parse_ip(cidr.substr(0, slash));
  std::size_t prefix = 0;
  std::from_chars(cidr.data() + slash + 1, cidr.data() + cidr.size(), prefix);
  std::string bits;
  for (std::size_t i = 0; i < prefix; ++i) {
    bits += (ip->bytes[i / 8] >> (7 - i % 8) & 1) != 0 ? '1' : '0';
  }
  return bits;
}

template <std::size_t N>
bool in_any(const std::uint8_t* bytes, const std::array<std::string, N>& blocks) {
  return std::any_of(blocks.begin(), blocks.end(),
                     [bytes](const std::string& bits) { return within(bytes, bits); });
}

bool is_public_v4(const std::uint8_t* bytes) {
  static const std::array<std::string, 15> kSpecial{
      bits_of("0.0.0.0/8"),      bits_of("10.0.0.0/8"),     bits_of("100.64.0.0/10"),
      bits_of("127.0.0.0/8"),    bits_of("169.254.0.0/16"), bits_of("172.16.0.0/12"),
      bits_of("192.0.0.0/24"),   bits_of("192.0.2.0/24"),   bits_of("192.88.99.0/24"),
      bits_of("192.168.0.0/16"), bits_of("198.18.0.0/15"),  bits_of("198.51.100.0/24"),
      bits_of("203.0.113.0/24"), bits_of("224.0.0.0/4"),    bits_of("240.0.0.0/4")};
  return !in_any(bytes, kSpecial);
}

bool is_public(const IpAddress& ip) {
  const std::uint8_t* bytes = ip.bytes.data();
  if (!ip.v6) return is_public_v4(bytes);
  // Those that carry an IPv4 address are as public as it is.
  static const std::array<std::string, 2> kCarriedLast{bits_of("::ffff:0:0/96"),
                                                       bits_of("64:ff9b::/96")};
  if (in_any(bytes, kCarriedLast)) return is_public_v4(bytes + 12);
  static const std::string kCarriedEarly = bits_of("2002::/16");
  if (within(bytes, kCarriedEarly)) return is_public_v4(bytes + 2);
  static const std::string kGlobal = bits_of("2000::/3");
  static const std::array<std::string, 3> kSpecial{bits_of("2001::/23"), bits_of("2001:db8::/32"),
                                                   bits_of("3fff::/20")};
  return within(bytes, kGlobal) && !in_any(bytes, kSpecial);
}

// No host has it: unspecified, multicast, broadcast.
bool is_no_host(const IpAddress& ip) {
  const auto no_v4 = [](const std::uint8_t* b) {
    return (b[0] | b[1] | b[2] | b[3]) == 0 || b[0] >> 4 == 14 ||
           (b[0] & b[1] & b[2] & b[3]) == 255;
  };
  const auto& b = ip.bytes;
  if (!ip.v6) return no_v4(b.data());
  static const std::array<std::string, 2> kCarriedLast{bits_of("::ffff:0:0/96"),
                                                       bits_of("64:ff9b::/96")};
  if (in_any(b.data(), kCarriedLast)) return no_v4(b.data() + 12);
  if (b[0] == 0x20 && b[1] == 0x02) return no_v4(b.data() + 2);
  return b[0] == 0xff || std::all_of(b.begin(), b.end(), [](unsigned x) { return x == 0; });
}

void hold_guard_laws(const IpAddress& ip) {
  const std::string text = to_string(ip);
  LAW(checker::parse_ip(text) == ip, "an address is read as it was written", text);
  const auto verdict = checker::guard(ip, {}, false);
  LAW(verdict.allowed == is_public(ip), "only what is public is let through", text, verdict.reason);
  LAW(verdict.allowed == verdict.reason.empty(), "a refusal has its reason", text);
  const auto at_will = checker::guard(ip, {}, true);
  LAW(at_will.allowed == !is_no_host(ip), "the operator's word covers every host", text,
      at_will.reason);
  const checker::Cidr one{ip, static_cast<std::uint8_t>(ip.v6 ? 128 : 32)};
  const auto allowed = checker::guard(ip, std::span(&one, 1), false);
  LAW(allowed.allowed == !is_no_host(ip), "a block that is allowed is let through", text,
      allowed.reason);
}

// ---- What is shown of a URL

constexpr std::string_view kSecret = "Zq7pAssWoRd";

void hold_shown_laws(std::string_view shown) {
  LAW(shown.size() <= 256 && is_graphic(shown), "what is shown is short and printable", shown);
}

// `text` with our own secret as its password, when it is a URL; or `text` behind one.
std::string with_secret(std::string_view text) {
  const auto colon = text.find("://");
  const auto is_scheme = [](std::string_view word) {
    return !word.empty() && word.size() <= 16 &&
           std::all_of(word.begin(), word.end(), [](unsigned char c) { return std::isalnum(c); });
  };
  if (colon == std::string_view::npos || !is_scheme(text.substr(0, colon))) {
    return "http://user:" + std::string(kSecret) + std::string(text) + "@example.com/";
  }
  const std::string_view rest = text.substr(colon + 3);
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?#"));
  const auto at = authority.rfind('@');
  const std::string_view host = at == std::string_view::npos ? rest : rest.substr(at + 1);
  return std::string(text.substr(0, colon + 3)) + "user:" + std::string(kSecret) + "@" +
         std::string(host);
}

void hold_secret_laws(std::string_view text) {
  if (text.find(kSecret) != std::string_view::npos) return;
  const std::string secret = with_secret(text);
  const std::string shown = checker::url_without_secrets(secret);
  hold_shown_laws(shown);
  LAW(shown.find(kSecret) == std::string::npos, "a password is never shown", secret, shown);
  const auto target = checker::parse_target(secret);
  if (!target) {
    LAW(target.error().message.find(kSecret) == std::string::npos,
        "a password is not in the reason of a refusal", secret, target.error().message);
    return;
  }
  LAW(target->url().find(kSecret) == std::string::npos, "a password is not in the URL we ask",
      secret, target->url());
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  const std::string_view text = fuzz::Input(data, size).rest();

  const std::string shown = checker::url_without_secrets(text);
  fuzz::hold_shown_laws(shown);
  fuzz::hold_secret_laws(text);
  const auto target = checker::parse_target(text);
  if (target) {
    fuzz::hold_target_laws(*target);
    if (target->literal) fuzz::hold_guard_laws(*target->literal);
  } else {
    LAW(!target.error().message.empty() && fuzz::is_graphic(target.error().message.substr(0, 1)),
        "a refusal says why", text);
    LAW(fuzz::has_no_controls(target.error().message), "a refusal is one line of text", text,
        target.error().message);
  }

  checker::IpAddress ip;
  if (size >= 4) {
    std::copy_n(data, 4, ip.bytes.begin());
    fuzz::hold_guard_laws(ip);
  }
  if (size >= 16) {
    ip.v6 = true;
    std::copy_n(data, 16, ip.bytes.begin());
    fuzz::hold_guard_laws(ip);
  }
  return 0;
}
