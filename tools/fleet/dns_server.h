// SPDX-License-Identifier: Apache-2.0
// fleet/dns_server.h - the name server of the sites: what to answer, and the UDP socket.
//
// Queries over TCP come through the Server's connection table and use the same answer().
//
// Owns     the UDP socket and the buffers of one batch.
// Thread   the fleet's one thread.
// Bounded  kBatch queries a call, kRounds batches; what is left makes the socket readable again.
// Fails    an answer that cannot be sent is dropped and counted, as on any network.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "fleet/dns_message.h"
#include "fleet/faults.h"
#include "fleet/net.h"
#include "fleet/observer.h"
#include "fleet/quiet_ports.h"
#include "fleet/site_map.h"

namespace watchwheel::fleet {

struct DnsCounts {
  std::uint64_t queries = 0;
  std::uint64_t unreadable = 0;
  std::uint64_t unanswered = 0;  // By a fault.
  std::uint64_t unsent = 0;      // The kernel's buffer was full.
  std::uint64_t foreign = 0;     // For names that are no site's.
};

class DnsServer {
 public:
  static constexpr std::size_t kBatch = 64;
  static constexpr int kRounds = 8;

  struct Ttls {
    Duration addresses;
    Duration absence;  // Of "no such name" and "no such address".
  };

  DnsServer(const Endpoint& endpoint, Ttls ttls, const SiteMap& map, const FaultBoard& board,
            const QuietPorts& quiet, Observer& observer);
  ~DnsServer();

  [[nodiscard]] int descriptor() const noexcept { return socket_.get(); }
  [[nodiscard]] std::uint16_t port() const { return port_of(socket_); }
  void on_readable(Time now) noexcept;

  // Answers one message; returns the length of the answer, 0 for none.
  [[nodiscard]] std::size_t answer(std::span<const std::uint8_t> message, Time now,
                                   std::span<std::uint8_t, kDnsMessageMax> out) noexcept;

  // While off, no question gets an answer, whatever it asks for, over UDP and TCP.
  void set_answering(bool on) noexcept { is_answering_ = on; }
  [[nodiscard]] bool is_answering() const noexcept { return is_answering_; }

  [[nodiscard]] const DnsCounts& counts() const noexcept { return counts_; }

 private:
  struct Batch;
  [[nodiscard]] DnsSaying say(const DnsQuery& query, Time now) noexcept;
  [[nodiscard]] DnsSaying say_for_site(std::uint32_t site, const DnsQuery& query,
                                       Time now) noexcept;

  Fd socket_;
  std::uint32_t ttl_s_;
  std::uint32_t negative_ttl_s_;
  const SiteMap& map_;
  const FaultBoard& board_;
  const QuietPorts& quiet_;
  Observer& observer_;
  DnsCounts counts_;
  bool is_answering_ = true;
  std::unique_ptr<Batch> batch_;
};

}  // namespace watchwheel::fleet
