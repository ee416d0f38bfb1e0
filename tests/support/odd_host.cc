// SPDX-License-Identifier: Apache-2.0
#include "support/odd_host.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace watchwheel::testing {
namespace {

using Bytes = std::vector<std::uint8_t>;

struct Place {
  sockaddr_storage address{};
  socklen_t length = 0;
};

Place place(const std::string& text, std::uint16_t port) {
  Place out;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, text.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&out.address, &v4, out.length = sizeof v4);
  } else if (inet_pton(AF_INET6, text.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&out.address, &v6, out.length = sizeof v6);
  } else {
    throw std::invalid_argument("odd_host: no address: " + text);
  }
  return out;
}

const sockaddr* of(const Place& at) {
  return reinterpret_cast<const sockaddr*>(&at.address);
}

int must(int result, const char* what) {
  if (result < 0)
    throw std::runtime_error(std::string("odd_host: ") + what + ": " + std::strerror(errno));
  return result;
}

void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value & 0xffU));
}

void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16U);
  put16(out, value & 0xffffU);
}

unsigned get16(const std::uint8_t* at) {
  return static_cast<unsigned>(at[0] << 8 | at[1]);
}

std::uint32_t get32(const std::uint8_t* at) {
  return get16(at) << 16U | get16(at + 2);
}

// The Internet checksum (RFC 1071).
unsigned checksum(const Bytes& data) {
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < data.size(); i += 2)
    sum += static_cast<std::uint32_t>(data[i] << 8 | (i + 1 < data.size() ? data[i + 1] : 0));
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16U);
  return ~sum & 0xffffU;
}

void set16(Bytes& data, std::size_t at, unsigned value) {
  data[at] = static_cast<std::uint8_t>(value >> 8U);
  data[at + 1] = static_cast<std::uint8_t>(value & 0xffU);
}

Bytes unreachable_message(unsigned code, const std::uint8_t* packet, std::size_t size) {
  constexpr std::size_t kHead = 8;
  Bytes message(kHead + size);  // All at once: GCC 12 believes that insert() writes beyond what it has just made larger.
  message[0] = 3;
  message[1] = static_cast<std::uint8_t>(code);
  std::copy_n(packet, size, message.begin() + kHead);
  set16(message, 2, checksum(message));
  return message;
}

// A SYN-ACK for the SYN in `packet`; our first byte is number 1.
Bytes syn_ack(const std::uint8_t* packet, const std::uint8_t* tcp) {
  constexpr std::size_t kTcpBytes = 20;
  Bytes out;
  put16(out, get16(tcp + 2));
  put16(out, get16(tcp));
  put32(out, 1);
  put32(out, get32(tcp + 4) + 1);
  out.push_back((kTcpBytes / 4) << 4U);
  out.push_back(0x12);  // SYN, ACK.
  put16(out, 65535);
  put32(out, 0);
  Bytes summed;  // Over the addresses, the protocol and the length too.
  put32(summed, get32(packet + 16));
  put32(summed, get32(packet + 12));
  put16(summed, IPPROTO_TCP);
  put16(summed, kTcpBytes);
  summed.insert(summed.end(), out.begin(), out.end());
  set16(out, 16, checksum(summed));
  return out;
}

}  // namespace

SilentPort::SilentPort(const std::string& address, std::uint16_t port) {
  Place at = place(address, port);
  const int fd = must(::socket(at.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  fds_.push_back(fd);
  const int on = 1;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  must(::bind(fd, of(at), at.length), "bind");
  must(::listen(fd, 0), "listen");
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&at.address), &at.length);
  sockaddr_in v4{};  // The port stands at the same place in both families.
  std::memcpy(&v4, &at.address, sizeof v4);
  port_ = ntohs(v4.sin_port);
  // Until one is not let in: how many it takes is the kernel's affair.
  for (int i = 0; i < 16; ++i) {
    const int filler = must(
        ::socket(at.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    fds_.push_back(filler);
    (void)::connect(filler, of(at), at.length);
    pollfd let_in{filler, POLLOUT, 0};
    if (::poll(&let_in, 1, 50) == 0) return;
  }
  throw std::runtime_error("odd_host: a queue of connections that never fills");
}

SilentPort::~SilentPort() {
  for (const int fd : fds_) ::close(fd);
}

OddHost::OddHost(const std::string& address)
    : unreachable_(address), prohibited_(address), resetting_(address) {
  const Place at = place(address, 0);
  tcp_ = must(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_TCP), "raw TCP socket");
  icmp_ = must(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), "raw ICMP socket");
  // Only what comes for our address, or the traffic of other tests would fill the buffer.
  std::array<sock_filter, 4> program{
      {{BPF_LD | BPF_W | BPF_ABS, 0, 0, 16},
       {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, ntohl(inet_addr(address.c_str()))},
       {BPF_RET | BPF_K, 0, 0, 0xffff},
       {BPF_RET | BPF_K, 0, 0, 0}}};
  const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
  must(::setsockopt(tcp_, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter), "filter");
  must(::bind(tcp_, of(at), at.length), "bind");
  must(::bind(icmp_, of(at), at.length), "bind");
  thread_ = std::thread([this]() noexcept { run(); });
}

OddHost::~OddHost() {
  stopping_ = true;
  thread_.join();
  ::close(tcp_);
  ::close(icmp_);
}

void OddHost::run() noexcept {
  std::array<std::uint8_t, 2048> packet{};
  while (!stopping_) {
    pollfd ready{tcp_, POLLIN, 0};
    if (::poll(&ready, 1, 50) <= 0) continue;
    const ssize_t got = ::recv(tcp_, packet.data(), packet.size(), MSG_DONTWAIT);
    if (got >= 40) answer(packet.data(), static_cast<std::size_t>(got));
  }
}

void OddHost::answer(const std::uint8_t* packet, std::size_t size) const {
  const std::size_t header = (packet[0] & 0x0fU) * 4U;
  if (header + 20 > size) return;
  const std::uint8_t* tcp = packet + header;
  constexpr unsigned kSyn = 0x02;
  constexpr unsigned kAck = 0x10;
  if ((tcp[13] & (kSyn | kAck)) != kSyn) return;
  sockaddr_in to{};
  to.sin_family = AF_INET;
  std::memcpy(&to.sin_addr, packet + 12, 4);
  const unsigned port = get16(tcp + 2);
  const auto send = [&to](int fd, const Bytes& bytes) {
    ::sendto(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to),
             sizeof to);
  };
  constexpr unsigned kHostUnreachable = 1;
  constexpr unsigned kProhibited = 13;
  if (port == unreachable()) send(icmp_, unreachable_message(kHostUnreachable, packet, size));
  if (port == prohibited()) send(icmp_, unreachable_message(kProhibited, packet, size));
  if (port == resetting()) send(tcp_, syn_ack(packet, tcp));
}

}  // namespace watchwheel::testing
