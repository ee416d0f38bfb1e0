// SPDX-License-Identifier: Apache-2.0
#include "fleet/dns_server.h"

#include <netinet/in.h>
#include <sys/uio.h>

namespace watchwheel::fleet {
namespace {

std::uint32_t seconds_of(Duration ttl) {
  return static_cast<std::uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(ttl).count());
}

}  // namespace

struct DnsServer::Batch {
  std::array<mmsghdr, kBatch> in{};
  std::array<mmsghdr, kBatch> out{};
  std::array<iovec, kBatch> in_parts{};
  std::array<iovec, kBatch> out_parts{};
  std::array<sockaddr_in, kBatch> peers{};
  std::array<std::array<std::uint8_t, kDnsMessageMax>, kBatch> queries{};
  std::array<std::array<std::uint8_t, kDnsMessageMax>, kBatch> answers{};
};

DnsServer::DnsServer(const Endpoint& endpoint, Ttls ttls, const SiteMap& map,
                     const FaultBoard& board, const QuietPorts& quiet, Observer& observer)
    : socket_(open_udp(endpoint)),
      ttl_s_(seconds_of(ttls.addresses)),
      negative_ttl_s_(seconds_of(ttls.absence)),
      map_(map),
      board_(board),
      quiet_(quiet),
      observer_(observer),
      batch_(std::make_unique<Batch>()) {
  Batch& batch = *batch_;
  for (std::size_t i = 0; i < kBatch; ++i) {
    batch.in_parts[i] = {batch.queries[i].data(), kDnsMessageMax};
    batch.in[i].msg_hdr.msg_iov = &batch.in_parts[i];
    batch.in[i].msg_hdr.msg_iovlen = 1;
    batch.in[i].msg_hdr.msg_name = &batch.peers[i];
    batch.out[i].msg_hdr.msg_iov = &batch.out_parts[i];
    batch.out[i].msg_hdr.msg_iovlen = 1;
  }
}

DnsServer::~DnsServer() = default;

void DnsServer::on_readable(Time now) noexcept {
  Batch& batch = *batch_;
  for (int round = 0; round < kRounds; ++round) {
    for (mmsghdr& header : batch.in) header.msg_hdr.msg_namelen = sizeof(sockaddr_in);
    const int got = ::recvmmsg(socket_.get(), batch.in.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (got <= 0) return;
    unsigned int ready = 0;
    for (std::size_t i = 0; i < static_cast<std::size_t>(got); ++i) {
      const std::size_t length =
          answer({batch.queries[i].data(), batch.in[i].msg_len}, now, batch.answers[ready]);
      if (length == 0) continue;
      batch.out_parts[ready] = {batch.answers[ready].data(), length};
      batch.out[ready].msg_hdr.msg_name = &batch.peers[i];
      batch.out[ready].msg_hdr.msg_namelen = batch.in[i].msg_hdr.msg_namelen;
      ++ready;
    }
    const int sent =
        ready == 0 ? 0 : ::sendmmsg(socket_.get(), batch.out.data(), ready, MSG_DONTWAIT);
    counts_.unsent += ready - static_cast<unsigned int>(std::max(sent, 0));
    if (got < static_cast<int>(kBatch)) return;
  }
}

std::size_t DnsServer::answer(std::span<const std::uint8_t> message, Time now,
                              std::span<std::uint8_t, kDnsMessageMax> out) noexcept {
  ++counts_.queries;
  DnsQuery query;
  if (!read_dns_query(message, query)) {
    ++counts_.unreadable;
    return 0;
  }
  DnsSaying saying = say(query, now);
  saying.is_silent = saying.is_silent || !is_answering_;
  counts_.unanswered += saying.is_silent ? 1U : 0U;
  return write_dns_answer(message, query, saying, map_.domain(), out);
}

DnsSaying DnsServer::say(const DnsQuery& query, Time now) noexcept {
  DnsSaying saying;
  saying.ttl_s = ttl_s_;
  saying.negative_ttl_s = negative_ttl_s_;
  if (const auto site = map_.by_name(query.name())) return say_for_site(*site, query, now);
  // The root: whoever was refused asks for it, to tell a resolver that refuses one name from one that refuses everything.
  if (query.name().empty()) return saying;
  ++counts_.foreign;
  if (!map_.is_below_domain(query.name()))
    saying.code = DnsCode::Refused;
  else if (query.name() != map_.domain())
    saying.code = DnsCode::NxDomain;
  return saying;
}

DnsSaying DnsServer::say_for_site(std::uint32_t site, const DnsQuery& query, Time now) noexcept {
  const FaultKind kind = board_.kind(site);
  const FaultStage stage = facts_of(kind).stage;
  const bool asks_address = query.type == kDnsTypeA || query.type == kDnsTypeAaaa;
  if (asks_address && (stage == FaultStage::Dns || stage == FaultStage::Connect)) {
    observer_.asked_by_dns(site, now);
  }
  DnsSaying saying;
  saying.ttl_s = ttl_s_;
  saying.negative_ttl_s = negative_ttl_s_;
  saying.has_address = true;
  saying.address = map_.address(site);
  switch (kind) {
    case FaultKind::Nxdomain:
      saying.code = DnsCode::NxDomain;
      saying.has_address = false;
      break;
    case FaultKind::Nodata:
      saying.has_address = false;
      break;
    case FaultKind::Servfail:
      saying.code = DnsCode::ServFail;
      saying.has_address = false;
      break;
    case FaultKind::DnsRefused:
      saying.code = DnsCode::Refused;
      saying.has_address = false;
      break;
    case FaultKind::DnsSilent:
      saying.is_silent = true;
      break;
    case FaultKind::DnsMalformed:
      saying.is_malformed = true;
      break;
    case FaultKind::Silent:
      saying.address = quiet_.silent_address();
      break;
    case FaultKind::Refused:
      saying.address = quiet_.refused_address();
      saying.has_address = saying.address != 0;
      saying.is_v6_loopback = saying.address == 0;
      break;
    default:
      break;
  }
  return saying;
}

}  // namespace watchwheel::fleet
