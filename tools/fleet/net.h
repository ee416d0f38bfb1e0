// SPDX-License-Identifier: Apache-2.0
// fleet/net.h - sockets, owned, and opened only where this machine alone can reach them.
//
// Every function that opens throws std::runtime_error with the reason and a remedy: this is start-up.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <utility>

#include "fleet/units.h"

namespace watchwheel::fleet {

// Owns one descriptor.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

enum class Sharing {
  Alone,     // Nobody else may have the port.
  WithOurs,  // Our own sockets on other addresses of this port may.
};

// A TCP listener, non-blocking. Address 0 listens on every address, and then on the loopback device
// only. Sharing is what lets one address of a port be treated apart from the rest.
[[nodiscard]] Fd listen_tcp(const Endpoint& endpoint, int backlog, Sharing sharing);

// A UDP socket, non-blocking, with buffers for a burst.
[[nodiscard]] Fd open_udp(const Endpoint& endpoint);

// A listener that the kernel lets no packet through to: a SYN to it is dropped in silence.
[[nodiscard]] Fd listen_silent(const Endpoint& endpoint);

[[nodiscard]] std::uint16_t port_of(const Fd& socket);

// The local address of a connected socket, in host order; 0 when it is gone.
[[nodiscard]] std::uint32_t local_address(int fd) noexcept;

void set_socket_option(int fd, int level, int name, int value) noexcept;

// Closes with RST instead of FIN when `fd` is closed next.
void make_close_reset(int fd) noexcept;

// Lifts the soft limit on descriptors to the hard one and returns it.
[[nodiscard]] std::uint64_t raise_descriptor_limit() noexcept;

[[noreturn]] void throw_errno(const std::string& what);

}  // namespace watchwheel::fleet
