// SPDX-License-Identifier: Apache-2.0
#include "checker/dialer_error.h"

#include <ifaddrs.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstddef>
#include <optional>

#include "checker/address.h"

namespace watchwheel::checker {
namespace {

using core::Cause;

void set_receive_errors(int fd, bool v6, int on) {
  if (v6) {
    ::setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on);
  } else {
    ::setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on);
  }
}

std::optional<IpAddress> address_of(int fd, decltype(&::getsockname) which) {
  sockaddr_storage at{};
  socklen_t length = sizeof at;
  if (which(fd, reinterpret_cast<sockaddr*>(&at), &length) != 0) return std::nullopt;
  const auto endpoint = from_sockaddr(reinterpret_cast<sockaddr*>(&at), length);
  return endpoint ? std::optional(endpoint->ip) : std::nullopt;
}

std::optional<IpAddress> offender_of(cmsghdr* control) {
  const bool v4 = control->cmsg_level == IPPROTO_IP && control->cmsg_type == IP_RECVERR;
  const bool v6 = control->cmsg_level == IPPROTO_IPV6 && control->cmsg_type == IPV6_RECVERR;
  if (!v4 && !v6) return std::nullopt;
  auto* error = reinterpret_cast<sock_extended_err*>(CMSG_DATA(control));
  if (error->ee_origin != SO_EE_ORIGIN_ICMP && error->ee_origin != SO_EE_ORIGIN_ICMP6) {
    return std::nullopt;
  }
  const auto from =
      from_sockaddr(SO_EE_OFFENDER(error), v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return from ? std::optional(from->ip) : std::nullopt;
}

struct Said {
  IpAddress by;
  IpAddress about;  // The address that was to be connected to.
};

// Of the ICMP message that ended the connect; nothing when none did.
std::optional<Said> who_said(int fd) {
  alignas(cmsghdr) std::array<char, 512> control{};
  std::array<char, 128> payload{};
  iovec part{payload.data(), payload.size()};
  sockaddr_storage about{};
  msghdr message{};
  message.msg_name = &about;
  message.msg_namelen = sizeof about;
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (::recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) return std::nullopt;
  const auto to = from_sockaddr(reinterpret_cast<sockaddr*>(&about), message.msg_namelen);
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr && to; c = CMSG_NXTHDR(&message, c)) {
    if (const auto by = offender_of(c)) return Said{*by, to->ip};
  }
  return std::nullopt;
}

std::optional<IpAddress> ip_of(const sockaddr* address) {
  if (address == nullptr) return std::nullopt;
  const bool v4 = address->sa_family == AF_INET;
  if (!v4 && address->sa_family != AF_INET6) return std::nullopt;
  const auto endpoint = from_sockaddr(address, v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6));
  return endpoint ? std::optional(endpoint->ip) : std::nullopt;
}

// Within the network of one of our interfaces: reached without a gateway.
bool is_on_own_link(const IpAddress& ip) {
  ifaddrs* all = nullptr;
  if (::getifaddrs(&all) != 0) return false;
  bool found = false;
  for (const ifaddrs* one = all; one != nullptr && !found; one = one->ifa_next) {
    const auto own = ip_of(one->ifa_addr);
    const auto mask = ip_of(one->ifa_netmask);
    if (!own || !mask || own->v6 != ip.v6) continue;
    int bits = 0;
    for (const std::uint8_t byte : mask->bytes) bits += std::popcount(byte);
    found = Cidr{*own, static_cast<std::uint8_t>(bits)}.contains(ip);
  }
  ::freeifaddrs(all);
  return found;
}

// Our own kernel, about an address that is not ours and that a gateway is needed for.
bool we_said_it(int fd) {
  const auto said = who_said(fd);
  const auto own = address_of(fd, &::getsockname);
  return said && own && said->by == *own && said->about != *own && !is_on_own_link(said->about);
}

}  // namespace

void watch_who_speaks(int fd, bool v6) {
  set_receive_errors(fd, v6, 1);
}

void stop_watching_who_speaks(int fd, bool v6) {
  set_receive_errors(fd, v6, 0);
}

Cause cause_of_error_at_once(int error) {
  switch (error) {
    case ECONNREFUSED:
      return Cause::ConnectRefused;
    case ECONNRESET:
    case ECONNABORTED:
    case EPIPE:
      return Cause::ConnectReset;
    case ETIMEDOUT:
      return Cause::ConnectTimeout;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EAGAIN:
    case EADDRINUSE:
    case EADDRNOTAVAIL:
      return Cause::LocalResources;
    default:
      return Cause::LocalNetwork;
  }
}

Cause cause_of_error_later(int error, int fd) {
  const Cause cause = cause_of_error_at_once(error);
  if (error == ENETDOWN || cause == Cause::LocalResources) return cause;
  if (we_said_it(fd)) return Cause::LocalNetwork;
  return cause == Cause::LocalNetwork ? Cause::ConnectUnreachable : cause;
}

}  // namespace watchwheel::checker
