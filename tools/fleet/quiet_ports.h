// SPDX-License-Identifier: Apache-2.0
// fleet/quiet_ports.h - two addresses where connecting fails: one that never answers, one that
// refuses.
//
// Sites listen on a wildcard, so every loopback address accepts, and the port is in the site's URL.
// Only DNS can lead a site elsewhere: to these two. `silent` drops every SYN in a socket filter.
// `refused` does the same, and a raw socket answers the SYN with RST as a closed port does. Raw
// sockets need a privilege (CAP_NET_RAW); without it `refused` is [::1], where nothing listens.
//
// Owns     their sockets.
// Thread   the fleet's one thread.
// Bounded  kBatch packets a call; what is left makes the socket readable again.
// Fails    the constructor throws when an address cannot be had at all.
#pragma once

#include <cstdint>
#include <vector>

#include "fleet/net.h"
#include "fleet/site_map.h"

namespace watchwheel::fleet {

class QuietPorts {
 public:
  static constexpr int kBatch = 64;

  QuietPorts(const SiteMap& map, std::uint16_t http_port, std::uint16_t https_port);

  [[nodiscard]] std::uint32_t silent_address() const noexcept { return silent_; }

  // 0 when `refused` is [::1], answered to AAAA with nothing for A.
  [[nodiscard]] std::uint32_t refused_address() const noexcept { return raw_ ? refused_ : 0; }

  // Readable when a SYN waits to be refused; -1 when there is no raw socket.
  [[nodiscard]] int descriptor() const noexcept { return raw_.get(); }
  void on_readable() noexcept;

  [[nodiscard]] std::uint64_t refused_count() const noexcept { return refused_count_; }

 private:
  std::uint32_t silent_ = 0;
  std::uint32_t refused_ = 0;
  std::uint16_t http_port_;
  std::uint16_t https_port_;
  std::vector<Fd> listeners_;
  Fd raw_;
  std::uint64_t refused_count_ = 0;
};

}  // namespace watchwheel::fleet
