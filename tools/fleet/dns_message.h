// SPDX-License-Identifier: Apache-2.0
// fleet/dns_message.h - reading one DNS query and writing one answer. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

namespace watchwheel::fleet {

inline constexpr std::size_t kDnsMessageMax = 512;  // Ours never come near it.

inline constexpr std::uint16_t kDnsTypeA = 1;
inline constexpr std::uint16_t kDnsTypeSoa = 6;
inline constexpr std::uint16_t kDnsTypeAaaa = 28;

enum class DnsCode : std::uint8_t {
  NoError = 0,
  FormErr = 1,
  ServFail = 2,
  NxDomain = 3,
  NotImp = 4,
  Refused = 5
};

struct DnsQuery {
  std::array<char, 256> name_text;  // Lower case, dots, no final dot.
  std::size_t name_length = 0;
  std::uint16_t type = 0;
  std::uint16_t klass = 0;
  std::size_t question_end = 0;  // Where the question ends in the message.
  bool has_edns = false;
  [[nodiscard]] std::string_view name() const noexcept { return {name_text.data(), name_length}; }
};

// What to say. `address` (host order) is written for an A query, `is_v6_loopback` as ::1 for AAAA.
struct DnsSaying {
  DnsCode code = DnsCode::NoError;
  bool is_silent = false;     // Nothing at all.
  bool is_malformed = false;  // One answer record that is cut off within its data.
  bool has_address = false;
  bool is_v6_loopback = false;
  std::uint32_t address = 0;
  std::uint32_t ttl_s = 0;
  std::uint32_t negative_ttl_s = 0;
};

// False when `message` is no query that can be answered; such bytes get no answer at all, as
// answering them would let two servers talk to each other for ever.
[[nodiscard]] bool read_dns_query(std::span<const std::uint8_t> message, DnsQuery& query) noexcept;

// Writes the answer and returns its length, 0 for silence. `domain` names the zone in the SOA that
// goes with every answer without an address, TTL and MINIMUM `negative_ttl_s`.
[[nodiscard]] std::size_t write_dns_answer(std::span<const std::uint8_t> message,
                                           const DnsQuery& query, const DnsSaying& saying,
                                           std::string_view domain,
                                           std::span<std::uint8_t, kDnsMessageMax> out) noexcept;

}  // namespace watchwheel::fleet
