// SPDX-License-Identifier: Apache-2.0
// checker/address.h - IP addresses, blocks of them, and endpoints, as values.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <sys/socket.h>

#include "core/result.h"

namespace watchwheel::checker {

// IPv4 or IPv6. IPv4 stands in the first four bytes.
struct IpAddress {
  std::array<std::uint8_t, 16> bytes{};
  bool v6 = false;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

// Strict: dotted quad of four decimal parts without leading zeros, or RFC 4291 text; no zone, no brackets.
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text);
[[nodiscard]] std::string to_string(const IpAddress& ip);

struct Endpoint {
  IpAddress ip;
  std::uint16_t port = 0;
  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// "IP", "IP:PORT", "[IP6]:PORT".
[[nodiscard]] core::Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port);
[[nodiscard]] std::string to_string(const Endpoint& endpoint);  // "192.0.2.1:80", "[2001:db8::1]:80"
// Fills `into`; returns its length.
socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& into);
[[nodiscard]] std::optional<Endpoint> from_sockaddr(const sockaddr* address, socklen_t length);

struct Cidr {
  IpAddress network;
  std::uint8_t prefix = 0;
  [[nodiscard]] bool contains(const IpAddress& ip) const;
  friend auto operator<=>(const Cidr&, const Cidr&) = default;
};

// "10.0.0.0/8", "2001:db8::/32", or one address. Host bits that are set are an error, not silently cleared.
[[nodiscard]] core::Result<Cidr> parse_cidr(std::string_view text);

}  // namespace watchwheel::checker
