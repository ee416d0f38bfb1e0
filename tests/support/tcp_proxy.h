// SPDX-License-Identifier: Apache-2.0
// support/tcp_proxy.h - a network between a program and a server of a test, to be cut.
//
// Owns     a listening port of 127.0.0.1, a thread, the connections through it.
// Thread   any, for the calls.
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "core/pinned.h"

namespace watchwheel::testing {

class TcpProxy : core::Pinned {
 public:
  enum class Network : std::uint8_t {
    Whole,
    Cut,     // Connections are reset, and new ones at once.
    Silent,  // Nothing goes through and nobody is told: a cable that was pulled.
  };
  explicit TcpProxy(int to_port);
  ~TcpProxy();

  [[nodiscard]] int port() const { return port_; }
  void set(Network network) { network_.store(network); }

 private:
  void run() noexcept;

  const int to_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<Network> network_{Network::Whole};
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace watchwheel::testing
