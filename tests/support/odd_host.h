// SPDX-License-Identifier: Apache-2.0
// support/odd_host.h - what no server can do by listening: addresses of 127.0.0.0/8 that stay silent, that a router calls
// unreachable, or that reset a connection in the moment it stands.
//
// SilentPort  owns a listening socket whose queue is full, so that the kernel drops what asks. Any address of this machine.
// OddHost     owns raw sockets and a thread on one address of 127.0.0.0/8. It needs the right to open them (root, as the tests of
//             network namespaces do): without it the constructor throws.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace watchwheel::testing {

class SilentPort {
 public:
  explicit SilentPort(const std::string& address, std::uint16_t port = 0);
  ~SilentPort();
  SilentPort(const SilentPort&) = delete;
  SilentPort& operator=(const SilentPort&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  std::vector<int> fds_;
  std::uint16_t port_ = 0;
};

class OddHost {
 public:
  explicit OddHost(const std::string& address);
  ~OddHost();
  OddHost(const OddHost&) = delete;
  OddHost& operator=(const OddHost&) = delete;

  // Ports that answer a SYN with the ICMP message "host unreachable", with "prohibited by an administrator", and with a SYN-ACK
  // whose acknowledgement is then reset.
  [[nodiscard]] std::uint16_t unreachable() const { return unreachable_.port(); }
  [[nodiscard]] std::uint16_t prohibited() const { return prohibited_.port(); }
  [[nodiscard]] std::uint16_t resetting() const { return resetting_.port(); }

 private:
  void run() noexcept;
  void answer(const std::uint8_t* packet, std::size_t size) const;

  SilentPort unreachable_;
  SilentPort prohibited_;
  SilentPort resetting_;
  int tcp_ = -1;
  int icmp_ = -1;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace watchwheel::testing
