// SPDX-License-Identifier: Apache-2.0
#include "fleet/units.h"

#include <arpa/inet.h>

#include <array>

namespace watchwheel::fleet {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t milliseconds;
};

constexpr std::array<Unit, 5> kUnits{{
    {"ms", 1},
    {"s", 1000},
    {"m", 60'000},
    {"h", 3'600'000},
    {"d", 86'400'000},
}};
constexpr std::uint64_t kDurationMaxMs = 366ULL * 86'400'000ULL;

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  return "'" + std::string(text.substr(0, kShown)) + "'";
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t value_max) noexcept {
  constexpr std::size_t kDigitsMax = 18;  // Fits 64 bits without a look at overflow.
  if (text.empty() || text.size() > kDigitsMax) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  if (value > value_max) return std::nullopt;
  return value;
}

Parsed<Duration> parse_duration(std::string_view text) {
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::string_view unit_name = text.substr(digits);
  const auto number = parse_number(text.substr(0, digits), kDurationMaxMs);
  if (number && *number == 0 && unit_name.empty()) return Parsed<Duration>::good(Duration{0});
  for (const Unit& unit : kUnits) {
    if (unit.name != unit_name) continue;
    if (!number || *number > kDurationMaxMs / unit.milliseconds) break;
    return Parsed<Duration>::good(
        std::chrono::milliseconds(static_cast<std::int64_t>(*number * unit.milliseconds)));
  }
  return Parsed<Duration>::bad("bad duration " + quoted(text) +
                               ": write a whole number and ms, s, m, h or d, such as 250ms or 10s");
}

bool is_loopback(std::uint32_t address) noexcept {
  return (address >> 24U) == 127U;
}

Parsed<std::uint32_t> parse_loopback(std::string_view text) {
  in_addr address{};
  const std::string copy(text.substr(0, INET_ADDRSTRLEN));
  if (inet_pton(AF_INET, copy.c_str(), &address) != 1) {
    return Parsed<std::uint32_t>::bad("bad address " + quoted(text) +
                                      ": write an IPv4 address such as 127.64.0.1");
  }
  const std::uint32_t host_order = ntohl(address.s_addr);
  if (!is_loopback(host_order)) {
    return Parsed<std::uint32_t>::bad("address " + quoted(text) +
                                      " is not loopback: use one within 127.0.0.0/8");
  }
  return Parsed<std::uint32_t>::good(host_order);
}

Parsed<Endpoint> parse_endpoint(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return Parsed<Endpoint>::bad("bad endpoint " + quoted(text) +
                                 ": write IP:PORT such as 127.0.0.1:15353");
  }
  const auto address = parse_loopback(text.substr(0, colon));
  if (!address) return Parsed<Endpoint>::bad(address.problem);
  const auto port = parse_number(text.substr(colon + 1), 65535);
  if (!port) {
    return Parsed<Endpoint>::bad("bad port in " + quoted(text) + ": write 0 to 65535");
  }
  return Parsed<Endpoint>::good({*address.value, static_cast<std::uint16_t>(*port)});
}

Parsed<SiteRange> parse_site_range(std::string_view text, std::uint32_t sites) {
  if (text == "all" && sites > 0) return Parsed<SiteRange>::good({0, sites - 1});
  const std::size_t dash = text.find('-');
  const auto first = parse_number(text.substr(0, dash), kNoSite - 1);
  const auto last =
      dash == std::string_view::npos ? first : parse_number(text.substr(dash + 1), kNoSite - 1);
  if (!first || !last || *first > *last) {
    return Parsed<SiteRange>::bad("bad sites " + quoted(text) +
                                  ": write A, A-B with A not above B, or all");
  }
  if (*last >= sites) {
    return Parsed<SiteRange>::bad("sites " + quoted(text) + " do not exist: the last one is " +
                                  std::to_string(sites == 0 ? 0 : sites - 1));
  }
  return Parsed<SiteRange>::good(
      {static_cast<std::uint32_t>(*first), static_cast<std::uint32_t>(*last)});
}

std::string to_text(std::uint32_t address) {
  in_addr network{};
  network.s_addr = htonl(address);
  std::array<char, INET_ADDRSTRLEN> text{};
  inet_ntop(AF_INET, &network, text.data(), text.size());
  return text.data();
}

std::string to_text(const Endpoint& endpoint) {
  return to_text(endpoint.address) + ":" + std::to_string(endpoint.port);
}

}  // namespace watchwheel::fleet
