// SPDX-License-Identifier: Apache-2.0
#include "fleet/dns_message.h"

#include <cstring>

namespace watchwheel::fleet {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr std::uint16_t kClassIn = 1;
constexpr std::uint16_t kTypeOpt = 41;

std::uint16_t read16(std::span<const std::uint8_t> data, std::size_t at) noexcept {
  return static_cast<std::uint16_t>((data[at] << 8U) | data[at + 1]);
}

// Writes into a buffer that is large enough by kDnsMessageMax; the last check is in the caller.
class Writer {
 public:
  explicit Writer(std::span<std::uint8_t, kDnsMessageMax> out) noexcept : out_(out) {}

  void bytes(std::span<const std::uint8_t> data) noexcept {
    for (const std::uint8_t byte : data) put(byte);
  }
  void put(std::uint8_t byte) noexcept {
    if (length_ < out_.size()) out_[length_] = byte;
    ++length_;
  }
  void put16(std::uint32_t value) noexcept {
    put(static_cast<std::uint8_t>((value >> 8U) & 0xffU));
    put(static_cast<std::uint8_t>(value & 0xffU));
  }
  void put32(std::uint32_t value) noexcept {
    put16(value >> 16U);
    put16(value & 0xffffU);
  }
  void name(std::string_view text) noexcept {
    while (!text.empty()) {
      const std::size_t dot = std::min(text.find('.'), text.size());
      put(static_cast<std::uint8_t>(dot));
      for (const char c : text.substr(0, dot)) put(static_cast<std::uint8_t>(c));
      text.remove_prefix(std::min(dot + 1, text.size()));
    }
    put(0);
  }
  void set16(std::size_t at, std::size_t value) noexcept {
    out_[at] = static_cast<std::uint8_t>((value >> 8U) & 0xffU);
    out_[at + 1] = static_cast<std::uint8_t>(value & 0xffU);
  }
  [[nodiscard]] std::size_t length() const noexcept { return length_; }

 private:
  std::span<std::uint8_t, kDnsMessageMax> out_;
  std::size_t length_ = 0;
};

// Reads the name at `at` into `query`; returns where it ends, 0 when it is not a plain name.
std::size_t read_name(std::span<const std::uint8_t> message, std::size_t at,
                      DnsQuery& query) noexcept {
  query.name_length = 0;
  while (at < message.size()) {
    const std::size_t label = message[at++];
    if (label == 0) return at;
    // Questions are never compressed; 255 is the longest name there is.
    if (label > 63 || at + label > message.size() || query.name_length + label + 1 > 254) return 0;
    if (query.name_length > 0) query.name_text[query.name_length++] = '.';
    for (std::size_t i = 0; i < label; ++i) {
      const char c = static_cast<char>(message[at + i]);
      query.name_text[query.name_length++] = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    at += label;
  }
  return 0;
}

void write_soa(Writer& writer, std::string_view domain, std::uint32_t ttl_s) noexcept {
  writer.name(domain);
  writer.put16(kDnsTypeSoa);
  writer.put16(kClassIn);
  writer.put32(ttl_s);
  const std::size_t length_at = writer.length();
  writer.put16(0);
  const std::size_t data_at = writer.length();
  writer.put(2);
  writer.put('n');
  writer.put('s');
  writer.name(domain);
  writer.put(4);
  for (const char c : std::string_view("host")) writer.put(static_cast<std::uint8_t>(c));
  writer.name(domain);
  for (const std::uint32_t value : {1U, 3600U, 600U, 86'400U, ttl_s}) writer.put32(value);
  if (writer.length() <= kDnsMessageMax) writer.set16(length_at, writer.length() - data_at);
}

void write_record_head(Writer& writer, std::uint16_t type, std::uint32_t ttl_s,
                       std::uint32_t data_bytes) noexcept {
  writer.put16(0xc000U + kHeaderBytes);  // The name of the question.
  writer.put16(type);
  writer.put16(kClassIn);
  writer.put32(ttl_s);
  writer.put16(data_bytes);
}

// Writes the answer section; returns how many records it has.
std::uint32_t write_addresses(Writer& writer, const DnsQuery& query,
                              const DnsSaying& saying) noexcept {
  if (saying.is_malformed) {
    write_record_head(writer, query.type, saying.ttl_s, query.type == kDnsTypeAaaa ? 16 : 4);
    writer.put(127);  // And no more: the promised data is not there.
    return 1;
  }
  if (query.type == kDnsTypeA && saying.has_address) {
    write_record_head(writer, kDnsTypeA, saying.ttl_s, 4);
    writer.put32(saying.address);
    return 1;
  }
  if (query.type == kDnsTypeAaaa && saying.is_v6_loopback) {
    write_record_head(writer, kDnsTypeAaaa, saying.ttl_s, 16);
    for (int i = 0; i < 15; ++i) writer.put(0);
    writer.put(1);
    return 1;
  }
  return 0;
}

}  // namespace

bool read_dns_query(std::span<const std::uint8_t> message, DnsQuery& query) noexcept {
  if (message.size() < kHeaderBytes) return false;
  const bool is_response = (message[2] & 0x80U) != 0;
  const bool is_standard = (message[2] & 0x78U) == 0;
  if (is_response || !is_standard || read16(message, 4) != 1) return false;
  const std::size_t name_end = read_name(message, kHeaderBytes, query);
  if (name_end == 0 || name_end + 4 > message.size()) return false;
  query.type = read16(message, name_end);
  query.klass = read16(message, name_end + 2);
  query.question_end = name_end + 4;
  // The OPT record of every resolver is the first after the question, with the root as its name.
  const std::size_t at = query.question_end;
  query.has_edns = read16(message, 10) > 0 && at + 11 <= message.size() && message[at] == 0 &&
                   read16(message, at + 1) == kTypeOpt;
  return true;
}

std::size_t write_dns_answer(std::span<const std::uint8_t> message, const DnsQuery& query,
                             const DnsSaying& saying, std::string_view domain,
                             std::span<std::uint8_t, kDnsMessageMax> out) noexcept {
  if (saying.is_silent) return 0;
  Writer writer(out);
  writer.bytes(message.first(2));
  // Answer, authoritative; the wish for recursion is repeated and not granted.
  writer.put(static_cast<std::uint8_t>(0x84U | (message[2] & 0x01U)));
  writer.put(static_cast<std::uint8_t>(saying.code));
  writer.put16(1);
  writer.put16(0);
  writer.put16(0);
  writer.put16(0);
  writer.bytes(message.subspan(kHeaderBytes, query.question_end - kHeaderBytes));

  const std::uint32_t answers = write_addresses(writer, query, saying);
  const bool is_negative =
      answers == 0 && (saying.code == DnsCode::NoError || saying.code == DnsCode::NxDomain);
  if (is_negative) write_soa(writer, domain, saying.negative_ttl_s);
  const bool with_edns = query.has_edns && !saying.is_malformed;
  if (with_edns) {
    writer.put(0);
    writer.put16(kTypeOpt);
    writer.put16(1232);
    writer.put32(0);
    writer.put16(0);
  }
  if (writer.length() > out.size()) return 0;
  writer.set16(6, answers);
  writer.set16(8, is_negative ? 1 : 0);
  writer.set16(10, with_edns ? 1 : 0);
  return writer.length();
}

}  // namespace watchwheel::fleet
