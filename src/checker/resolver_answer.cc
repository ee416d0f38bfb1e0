// SPDX-License-Identifier: Apache-2.0
#include "checker/resolver_answer.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace watchwheel::checker {
namespace {

constexpr std::size_t kHeaderBytes = 12;
constexpr unsigned kTypeA = 1;
constexpr unsigned kTypeNs = 2;
constexpr unsigned kTypeCname = 5;
constexpr unsigned kTypeSoa = 6;
constexpr unsigned kTypeAaaa = 28;
constexpr unsigned kClassInternet = 1;
constexpr std::size_t kPointersMax = 32;
constexpr std::size_t kNameBytesMax = 255;

class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> message) : message_(message) {}

  bool has(std::size_t bytes) const { return message_.size() - at_ >= bytes; }
  void skip(std::size_t bytes) { at_ += bytes; }
  std::size_t at() const { return at_; }

  std::optional<std::uint16_t> u16() {
    if (!has(2)) return std::nullopt;
    const auto value = static_cast<std::uint16_t>(message_[at_] << 8 | message_[at_ + 1]);
    at_ += 2;
    return value;
  }

  std::optional<std::uint32_t> u32() {
    const auto high = u16();
    const auto low = u16();
    if (!high || !low) return std::nullopt;
    return std::uint32_t{*high} << 16U | *low;
  }

  std::span<const std::uint8_t> bytes(std::size_t count) const {
    return message_.subspan(at_, count);
  }

  // In lower case; dots inside a label are escaped, so that no label reads as two.
  std::optional<std::string> name() {
    std::string out;
    std::size_t at = at_;
    std::size_t pointers = 0;
    std::size_t wire_bytes = 1;  // The root label.
    for (;;) {
      if (at >= message_.size()) return std::nullopt;
      const std::size_t length = message_[at];
      if (length >= 0xc0) {
        if (at + 1 >= message_.size() || ++pointers > kPointersMax) return std::nullopt;
        const std::size_t target = (length & 0x3fU) << 8U | message_[at + 1];
        if (pointers == 1) at_ = at + 2;
        if (target >= at) return std::nullopt;  // Backwards only, so it ends.
        at = target;
        continue;
      }
      if (length > 63 || at + 1 + length > message_.size()) return std::nullopt;
      ++at;
      if (length == 0) break;
      if ((wire_bytes += 1 + length) > kNameBytesMax) return std::nullopt;
      if (!out.empty()) out += '.';
      append_label(out, message_.subspan(at, length));
      at += length;
    }
    if (pointers == 0) at_ = at;
    return out;
  }

 private:
  static void append_label(std::string& out, std::span<const std::uint8_t> label) {
    for (const std::uint8_t byte : label) {
      if (byte == '.' || byte == '\\') out += '\\';
      const bool upper = byte >= 'A' && byte <= 'Z';
      out += static_cast<char>(upper ? byte - 'A' + 'a' : byte);
    }
  }

  std::span<const std::uint8_t> message_;
  std::size_t at_ = 0;
};

struct Alias {
  std::string from;
  std::string to;
  std::uint32_t ttl_s;
};
struct Address {
  std::string of;
  IpAddress ip;
  std::uint32_t ttl_s;
};
struct Records {
  std::vector<Alias> aliases;
  std::vector<Address> addresses;
};

DnsAnswer malformed(std::string_view what) {
  DnsAnswer answer;
  answer.said = what;
  return answer;
}

// RFC 2181: a TTL with its highest bit set is zero.
std::uint32_t ttl_of(std::uint32_t value) {
  return value > std::numeric_limits<std::int32_t>::max() ? 0 : value;
}

// One record of the answer section. False when it does not add up.
bool read_record(Reader& reader, bool v6, Records& into) {
  auto owner = reader.name();
  const auto type = reader.u16();
  const auto klass = reader.u16();
  const auto ttl = reader.u32();
  const auto length = reader.u16();
  if (!owner || !type || !klass || !ttl || !length || !reader.has(*length)) return false;
  const std::size_t end = reader.at() + *length;
  const std::uint32_t ttl_s = ttl_of(*ttl);

  if (*klass == kClassInternet && *type == kTypeCname) {
    auto target = reader.name();
    if (!target || reader.at() != end) return false;
    into.aliases.push_back({*std::move(owner), *std::move(target), ttl_s});
  } else if (*klass == kClassInternet && *type == (v6 ? kTypeAaaa : kTypeA)) {
    IpAddress ip;
    ip.v6 = v6;
    if (*length != (v6 ? 16 : 4)) return false;
    const auto bytes = reader.bytes(*length);
    std::copy(bytes.begin(), bytes.end(), ip.bytes.begin());
    into.addresses.push_back({*std::move(owner), ip, ttl_s});
  }
  reader.skip(end - reader.at());
  return true;
}

// Where the aliases that begin at `host` end.
struct Chain {
  std::string_view end;
  std::size_t aliases = 0;
  std::uint32_t ttl_s = std::numeric_limits<std::uint32_t>::max();
};

// Nothing: they go in a circle, or are too many.
std::optional<Chain> follow_aliases(const Records& records, std::string_view host) {
  Chain chain{host};
  for (;;) {
    const auto alias = std::find_if(records.aliases.begin(), records.aliases.end(),
                                    [&chain](const Alias& a) { return a.from == chain.end; });
    if (alias == records.aliases.end()) return chain;
    if (chain.aliases++ == kAliasesMax) return std::nullopt;
    chain.end = alias->to;
    chain.ttl_s = std::min(chain.ttl_s, alias->ttl_s);
  }
}

struct Authority {
  bool soa = false;
  bool ns = false;
  std::uint32_t absent_s = 0;  // By the SOA.
};

// What of the authority section can be read: it only decides how much an answer without addresses says.
Authority read_authority(Reader& reader, unsigned count) {
  Authority authority;
  for (unsigned i = 0; i < count; ++i) {
    const auto owner = reader.name();
    const auto type = reader.u16();
    if (!owner || !type || !reader.has(6)) break;
    reader.skip(2);
    const auto ttl = reader.u32();
    const auto length = reader.u16();
    if (!length || !reader.has(*length)) break;
    // Two names, four other numbers, and then the MINIMUM.
    constexpr std::size_t kLeast = 2 + 5 * 4;
    const bool whole = *type == kTypeSoa && *length >= kLeast;
    reader.skip(whole ? *length - 4U : *length);
    if (whole) authority.absent_s = std::min(ttl_of(*ttl), ttl_of(*reader.u32()));
    authority.soa = authority.soa || *type == kTypeSoa;
    authority.ns = authority.ns || *type == kTypeNs;
  }
  return authority;
}

DnsAnswer addresses_at(const Chain& chain, const Records& records) {
  DnsAnswer answer;
  answer.aliases = chain.aliases;
  answer.ttl_s = chain.ttl_s;
  for (const Address& address : records.addresses) {
    if (address.of != chain.end || answer.addresses.size() == kAddressesMax) continue;
    answer.addresses.push_back(address.ip);
    answer.ttl_s = std::min(answer.ttl_s, address.ttl_s);
  }
  if (!answer.addresses.empty()) answer.result = DnsQueryResult::Ok;
  return answer;
}

// No addresses: is that the last word?
DnsAnswer without_addresses(DnsAnswer answer, const Chain& chain, const Records& records,
                            Authority authority) {
  if (!records.addresses.empty()) return malformed("addresses of another name");
  answer.result = DnsQueryResult::Nodata;
  answer.said = "no such address";
  if (authority.soa) {
    answer.absent_s = std::min(answer.ttl_s, authority.absent_s);
    return answer;
  }
  if (chain.aliases > 0) {
    answer.alias_of = chain.end;
  } else if (authority.ns) {
    answer.result = DnsQueryResult::Refused;
    answer.said = "ask other servers: it does not resolve names for us";
  }
  return answer;
}

DnsAnswer refused(unsigned rcode) {
  constexpr std::array<std::string_view, 11> kNames{"NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN",
                                                    "NOTIMP",  "REFUSED", "YXDOMAIN", "YXRRSET",
                                                    "NXRRSET", "NOTAUTH", "NOTZONE"};
  DnsAnswer answer;
  answer.result = rcode == 3   ? DnsQueryResult::Nxdomain
                  : rcode == 5 ? DnsQueryResult::Refused
                               : DnsQueryResult::Servfail;
  answer.said =
      rcode < kNames.size() ? std::string(kNames[rcode]) : "RCODE " + std::to_string(rcode);
  return answer;
}

}  // namespace

DnsAnswer parse_answer(std::span<const std::uint8_t> message, std::string_view host, bool v6) {
  if (message.size() < kHeaderBytes) return malformed("less than a header");
  Reader reader(message);
  reader.skip(2);
  const unsigned flags = *reader.u16();
  const unsigned questions = *reader.u16();
  const unsigned answers = *reader.u16();
  const unsigned authorities = *reader.u16();
  reader.skip(2);
  if ((flags & 0x8000U) == 0 || (flags & 0x7800U) != 0) return malformed("no answer to a query");
  for (unsigned i = 0; i < questions; ++i) {
    const auto name = reader.name();
    const auto type = reader.u16();
    if (!name || !type || !reader.has(2)) return malformed("a question that does not end");
    reader.skip(2);
    if (*name == host && *type == (v6 ? kTypeAaaa : kTypeA)) continue;
    DnsAnswer other;
    other.other_question = true;
    return other;
  }
  if (const unsigned rcode = flags & 0xfU; rcode != 0) return refused(rcode);
  Records records;
  for (unsigned i = 0; i < answers; ++i) {
    if (!read_record(reader, v6, records)) return malformed("a record that does not add up");
  }
  const auto chain = follow_aliases(records, host);
  if (!chain) return malformed("aliases that go in a circle");
  DnsAnswer answer = addresses_at(*chain, records);
  if (answer.result == DnsQueryResult::Ok) return answer;
  return without_addresses(std::move(answer), *chain, records, read_authority(reader, authorities));
}

bool shows_service(std::span<const std::uint8_t> message) {
  if (message.size() < kHeaderBytes) return false;
  Reader reader(message);
  reader.skip(2);
  const unsigned flags = *reader.u16();
  const unsigned questions = *reader.u16();
  const unsigned answers = *reader.u16();
  const unsigned authorities = *reader.u16();
  reader.skip(2);
  const unsigned rcode = flags & 0xfU;
  if ((flags & 0x8000U) == 0 || (rcode != 0 && rcode != 3)) return false;
  if (rcode == 3 || answers > 0) return true;
  for (unsigned i = 0; i < questions; ++i) {
    if (!reader.name() || !reader.has(4)) return false;
    reader.skip(4);
  }
  return authorities == 0 || read_authority(reader, authorities).soa;
}

}  // namespace watchwheel::checker
