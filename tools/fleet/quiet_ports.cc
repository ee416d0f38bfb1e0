// SPDX-License-Identifier: Apache-2.0
#include "fleet/quiet_ports.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>

#include <array>
#include <cstring>

namespace watchwheel::fleet {
namespace {

// Two neighbours that are no site's address.
std::uint32_t choose_pair(const SiteMap& map) noexcept {
  constexpr std::array<std::uint32_t, 3> kCandidates{0x7f3fff01U, 0x7ffeff01U, 0x7f00ff01U};
  for (const std::uint32_t first : kCandidates) {
    if (!map.is_site_address(first) && !map.is_site_address(first + 1)) return first;
  }
  return kCandidates[0];  // Sites on all three would need more addresses than sites may have.
}

std::uint16_t checksum(const std::uint8_t* data, std::size_t size, std::uint32_t sum) noexcept {
  for (std::size_t i = 0; i + 1 < size; i += 2) {
    sum += (static_cast<std::uint32_t>(data[i]) << 8U) | data[i + 1];
  }
  while (sum > 0xffffU) sum = (sum & 0xffffU) + (sum >> 16U);
  return static_cast<std::uint16_t>(~sum);
}

// The RST that a closed port sends for `syn`, ready for the wire.
tcphdr refusal_of(const tcphdr& syn, std::uint32_t from, std::uint32_t to) noexcept {
  tcphdr rst{};
  rst.source = syn.dest;
  rst.dest = syn.source;
  rst.ack_seq = htonl(ntohl(syn.seq) + 1);
  rst.doff = sizeof(tcphdr) / 4;
  rst.rst = 1;
  rst.ack = 1;
  const std::uint32_t pseudo = (from >> 16U) + (from & 0xffffU) + (to >> 16U) + (to & 0xffffU) +
                               IPPROTO_TCP + static_cast<std::uint32_t>(sizeof(tcphdr));
  std::array<std::uint8_t, sizeof(tcphdr)> bytes{};
  std::memcpy(bytes.data(), &rst, sizeof(rst));
  rst.check = htons(checksum(bytes.data(), bytes.size(), pseudo));
  return rst;
}

// A socket that sees the TCP packets to `address`; empty when we may not have one.
Fd open_raw(std::uint32_t address) noexcept {
  Fd socket(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
  if (!socket) return socket;
  sockaddr_in local{};
  local.sin_family = AF_INET;
  local.sin_addr.s_addr = htonl(address);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) != 0) {
    return Fd();
  }
  return socket;
}

}  // namespace

QuietPorts::QuietPorts(const SiteMap& map, std::uint16_t http_port, std::uint16_t https_port)
    : silent_(choose_pair(map)),
      refused_(silent_ + 1),
      http_port_(http_port),
      https_port_(https_port),
      raw_(open_raw(refused_)) {
  for (const std::uint32_t address : {silent_, refused_}) {
    for (const std::uint16_t port : {http_port, https_port}) {
      listeners_.push_back(listen_silent({address, port}));
    }
  }
}

void QuietPorts::on_readable() noexcept {
  for (int i = 0; i < kBatch; ++i) {
    std::array<std::uint8_t, 256> packet{};
    const ssize_t got = ::recv(raw_.get(), packet.data(), packet.size(), MSG_TRUNC);
    if (got <= 0) return;
    iphdr ip{};
    std::memcpy(&ip, packet.data(), sizeof(ip));
    const std::size_t offset = ip.ihl * std::size_t{4};
    if (static_cast<std::size_t>(got) < offset + sizeof(tcphdr) ||
        offset + sizeof(tcphdr) > packet.size()) {
      continue;
    }
    tcphdr tcp{};
    std::memcpy(&tcp, packet.data() + offset, sizeof(tcp));
    const std::uint16_t port = ntohs(tcp.dest);
    const bool is_ours = port == http_port_ || port == https_port_;
    if (!is_ours || tcp.syn == 0 || tcp.ack != 0 || tcp.rst != 0) continue;

    const tcphdr rst = refusal_of(tcp, refused_, ntohl(ip.saddr));
    sockaddr_in peer{};
    peer.sin_family = AF_INET;
    peer.sin_addr.s_addr = ip.saddr;
    const ssize_t sent = ::sendto(raw_.get(), &rst, sizeof(rst), MSG_DONTWAIT,
                                  reinterpret_cast<const sockaddr*>(&peer), sizeof(peer));
    if (sent > 0) ++refused_count_;
  }
}

}  // namespace watchwheel::fleet
