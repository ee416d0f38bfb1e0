// SPDX-License-Identifier: Apache-2.0
#include "fleet/net.h"

#include <arpa/inet.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <string>

namespace watchwheel::fleet {
namespace {

sockaddr_in to_sockaddr(const Endpoint& endpoint) noexcept {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(endpoint.address);
  return address;
}

void bind_to(const Fd& socket, const Endpoint& endpoint) {
  const sockaddr_in address = to_sockaddr(endpoint);
  // The cast is how the socket calls take every kind of address.
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    throw_errno("cannot bind " + to_text(endpoint) + " (give another port, or 0 for any)");
  }
}

Fd open_socket(int type) {
  Fd socket(::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket) throw_errno("cannot open a socket");
  return socket;
}

void listen_on(const Fd& socket, const Endpoint& endpoint, int backlog) {
  if (::listen(socket.get(), backlog) != 0) {
    throw_errno("cannot listen on " + to_text(endpoint) + " (give another port, or 0 for any)");
  }
}

// SO_REUSEPORT would let two fleets of one user share a port without a word. So ask without it first.
void ensure_port_is_free(const Endpoint& endpoint) {
  if (endpoint.port == 0) return;
  const Fd probe = open_socket(SOCK_STREAM);
  set_socket_option(probe.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  bind_to(probe, endpoint);
  listen_on(probe, endpoint, 1);
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Fd::reset() noexcept {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void throw_errno(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

void set_socket_option(int fd, int level, int name, int value) noexcept {
  ::setsockopt(fd, level, name, &value, sizeof(value));
}

Fd listen_tcp(const Endpoint& endpoint, int backlog, Sharing sharing) {
  const bool is_wildcard = endpoint.address == 0;
  if (sharing == Sharing::WithOurs && is_wildcard) ensure_port_is_free(endpoint);
  Fd socket = open_socket(SOCK_STREAM);
  set_socket_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (sharing == Sharing::WithOurs) set_socket_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  if (is_wildcard) {
    // Without this every host that reaches this machine would reach us. Old kernels refuse it to
    // ordinary users; then the server still turns away connections to other addresses.
    constexpr std::array<char, 3> kLoopback{'l', 'o', '\0'};
    ::setsockopt(socket.get(), SOL_SOCKET, SO_BINDTODEVICE, kLoopback.data(), kLoopback.size());
  }
  bind_to(socket, endpoint);
  listen_on(socket, endpoint, backlog);
  return socket;
}

Fd open_udp(const Endpoint& endpoint) {
  constexpr int kBufferBytes = 4 << 20;  // The kernel cuts it to its own limit.
  Fd socket = open_socket(SOCK_DGRAM);
  set_socket_option(socket.get(), SOL_SOCKET, SO_RCVBUF, kBufferBytes);
  set_socket_option(socket.get(), SOL_SOCKET, SO_SNDBUF, kBufferBytes);
  bind_to(socket, endpoint);
  return socket;
}

Fd listen_silent(const Endpoint& endpoint) {
  Fd socket = open_socket(SOCK_STREAM);
  set_socket_option(socket.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  set_socket_option(socket.get(), SOL_SOCKET, SO_REUSEPORT, 1);
  // A full backlog would do it too, but the kernel empties it a little now and then; a filter that
  // keeps 0 bytes of each packet never does.
  std::array<sock_filter, 1> code{{{BPF_RET | BPF_K, 0, 0, 0}}};
  const sock_fprog program{static_cast<unsigned short>(code.size()), code.data()};
  if (::setsockopt(socket.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) != 0) {
    throw_errno("cannot filter " + to_text(endpoint));
  }
  bind_to(socket, endpoint);
  listen_on(socket, endpoint, 1);
  return socket;
}

std::uint16_t port_of(const Fd& socket) {
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    throw_errno("cannot read back a port");
  }
  return ntohs(address.sin_port);
}

std::uint32_t local_address(int fd) noexcept {
  sockaddr_in address{};
  socklen_t length = sizeof(address);
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) != 0) return 0;
  return ntohl(address.sin_addr.s_addr);
}

void make_close_reset(int fd) noexcept {
  const linger reset{1, 0};
  ::setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
}

std::uint64_t raise_descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  rlimit raised = limit;
  raised.rlim_cur = limit.rlim_max;
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) limit = raised;
  return limit.rlim_cur;
}

}  // namespace watchwheel::fleet
