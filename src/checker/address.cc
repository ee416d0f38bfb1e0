// SPDX-License-Identifier: Apache-2.0
#include "checker/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace watchwheel::checker {
namespace {

core::Error invalid(std::string message) {
  return {core::ErrorKind::Invalid, std::move(message)};
}

std::string quoted(std::string_view text) {
  constexpr std::size_t kShown = 80;
  std::string out = "\"";
  for (const char c : text.substr(0, kShown)) out += (c >= ' ' && c <= '~') ? c : '?';
  return out + '"';
}

// A whole decimal number without sign, space or leading zero.
template <typename Number>
std::optional<Number> parse_decimal(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  Number value{};
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end) return std::nullopt;
  return value;
}

int bits_of(const IpAddress& ip) {
  return ip.v6 ? 128 : 32;
}

// Are all bits from `prefix` on zero?
bool host_bits_clear(const IpAddress& ip, int prefix) {
  for (int bit = prefix; bit < bits_of(ip); ++bit) {
    const auto byte = ip.bytes[static_cast<std::size_t>(bit / 8)];
    if ((byte >> (7 - bit % 8)) & 1) return false;
  }
  return true;
}

}  // namespace

std::optional<IpAddress> parse_ip(std::string_view text) {
  // inet_pton is as strict as we promise (glibc refuses leading zeros and zones), but stops at a NUL.
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (text.empty() || text.size() >= buffer.size()) return std::nullopt;
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  std::copy(text.begin(), text.end(), buffer.begin());
  IpAddress ip;
  ip.v6 = text.find(':') != std::string_view::npos;
  if (inet_pton(ip.v6 ? AF_INET6 : AF_INET, buffer.data(), ip.bytes.data()) != 1) {
    return std::nullopt;
  }
  return ip;
}

std::string to_string(const IpAddress& ip) {
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (ip.v6) {
    inet_ntop(AF_INET6, ip.bytes.data(), buffer.data(), buffer.size());
    return buffer.data();
  }
  // Every result has one, and the C library prints it by way of sprintf.
  char* at = buffer.data();
  for (std::size_t i = 0; i < 4; ++i) {
    if (i > 0) *at++ = '.';
    at = std::to_chars(at, at + 3, static_cast<unsigned>(ip.bytes[i])).ptr;
  }
  return {buffer.data(), at};
}

core::Result<Endpoint> parse_endpoint(std::string_view text, std::uint16_t default_port) {
  if (const auto bare = parse_ip(text)) return Endpoint{*bare, default_port};

  std::string_view host = text;
  std::string_view port;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) return invalid(quoted(text) + " has '[' without ']'");
    host = text.substr(1, close - 1);
    port = text.substr(close + 1);
    if (host.find(':') == std::string_view::npos) {
      return invalid(quoted(text) + ": only an IPv6 address stands in brackets");
    }
    if (port.empty())
      port = {};
    else if (port.front() != ':')
      return invalid(quoted(text) + " is not [IP6]:PORT");
  } else if (const auto colon = text.find(':'); colon != std::string_view::npos) {
    host = text.substr(0, colon);
    port = text.substr(colon);
  }

  const auto ip = parse_ip(host);
  if (!ip) return invalid(quoted(text) + " is not IP, IP:PORT or [IP6]:PORT");
  if (port.empty()) return Endpoint{*ip, default_port};
  const auto number = parse_decimal<std::uint16_t>(port.substr(1));
  if (!number || *number == 0) return invalid(quoted(text) + ": the port must be 1 to 65535");
  return Endpoint{*ip, *number};
}

std::string to_string(const Endpoint& endpoint) {
  const std::string ip = to_string(endpoint.ip);
  const std::string port = std::to_string(endpoint.port);
  return endpoint.ip.v6 ? "[" + ip + "]:" + port : ip + ":" + port;
}

socklen_t to_sockaddr(const Endpoint& endpoint, sockaddr_storage& into) {
  into = {};
  if (endpoint.ip.v6) {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(endpoint.port);
    std::memcpy(&v6.sin6_addr, endpoint.ip.bytes.data(), 16);
    std::memcpy(&into, &v6, sizeof v6);
    return sizeof v6;
  }
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  v4.sin_port = htons(endpoint.port);
  std::memcpy(&v4.sin_addr, endpoint.ip.bytes.data(), 4);
  std::memcpy(&into, &v4, sizeof v4);
  return sizeof v4;
}

std::optional<Endpoint> from_sockaddr(const sockaddr* address, socklen_t length) {
  if (address == nullptr || length < sizeof(sa_family_t)) return std::nullopt;
  Endpoint endpoint;
  if (address->sa_family == AF_INET && length >= sizeof(sockaddr_in)) {
    sockaddr_in v4{};
    std::memcpy(&v4, address, sizeof v4);
    std::memcpy(endpoint.ip.bytes.data(), &v4.sin_addr, 4);
    endpoint.port = ntohs(v4.sin_port);
    return endpoint;
  }
  if (address->sa_family == AF_INET6 && length >= sizeof(sockaddr_in6)) {
    sockaddr_in6 v6{};
    std::memcpy(&v6, address, sizeof v6);
    std::memcpy(endpoint.ip.bytes.data(), &v6.sin6_addr, 16);
    endpoint.ip.v6 = true;
    endpoint.port = ntohs(v6.sin6_port);
    return endpoint;
  }
  return std::nullopt;
}

bool Cidr::contains(const IpAddress& ip) const {
  if (ip.v6 != network.v6) return false;
  const std::size_t whole = prefix / 8U;
  if (!std::equal(network.bytes.begin(), network.bytes.begin() + static_cast<int>(whole),
                  ip.bytes.begin())) {
    return false;
  }
  const unsigned rest = prefix % 8U;
  if (rest == 0) return true;
  const unsigned mask = 0xffU << (8U - rest) & 0xffU;
  return (network.bytes[whole] & mask) == (ip.bytes[whole] & mask);
}

core::Result<Cidr> parse_cidr(std::string_view text) {
  const auto slash = text.find('/');
  const auto ip = parse_ip(text.substr(0, slash));
  if (!ip) return invalid(quoted(text) + " is not an address block such as 10.0.0.0/8");
  if (slash == std::string_view::npos) {
    return Cidr{*ip, static_cast<std::uint8_t>(bits_of(*ip))};
  }
  const auto prefix = parse_decimal<std::uint8_t>(text.substr(slash + 1));
  if (!prefix || *prefix > bits_of(*ip)) {
    return invalid(quoted(text) + ": the prefix must be 0 to " + std::to_string(bits_of(*ip)));
  }
  if (!host_bits_clear(*ip, *prefix)) {
    return invalid(quoted(text) + " has host bits set; write the block's first address");
  }
  return Cidr{*ip, *prefix};
}

}  // namespace watchwheel::checker
