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
constexpr unsigned kTypeCname = 5;
constexpr unsigned kTypeAaaa = 28;
constexpr unsigned kClassInternet = 1;
constexpr std::size_t kAliasesMax = 16;
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
      if (!out.empty()) out += '.';
      append_label(out, message_.subspan(at, length));
      if (out.size() > 4 * kNameBytesMax) return std::nullopt;
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
  return {DnsQueryResult::Malformed, {}, 0, std::string(what)};
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
  // RFC 2181: a TTL with its highest bit set is zero.
  const std::uint32_t ttl_s = *ttl > std::numeric_limits<std::int32_t>::max() ? 0 : *ttl;

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

DnsAnswer follow_aliases(const Records& records, std::string_view host) {
  std::string_view name = host;
  std::uint32_t ttl_s = std::numeric_limits<std::uint32_t>::max();
  for (std::size_t hops = 0;; ++hops) {
    const auto alias = std::find_if(records.aliases.begin(), records.aliases.end(),
                                    [name](const Alias& a) { return a.from == name; });
    if (alias == records.aliases.end()) break;
    if (hops == kAliasesMax) return malformed("aliases that go in a circle");
    name = alias->to;
    ttl_s = std::min(ttl_s, alias->ttl_s);
  }
  DnsAnswer answer;
  for (const Address& address : records.addresses) {
    if (address.of != name || answer.addresses.size() == kAddressesMax) continue;
    answer.addresses.push_back(address.ip);
    ttl_s = std::min(ttl_s, address.ttl_s);
  }
  if (!answer.addresses.empty()) {
    answer.result = DnsQueryResult::Ok;
    answer.ttl_s = ttl_s;
    return answer;
  }
  if (!records.addresses.empty()) return malformed("addresses of another name");
  return {DnsQueryResult::Nodata, {}, 0, "no such address"};
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
  reader.skip(4);
  if ((flags & 0x8000U) == 0 || (flags & 0x7800U) != 0) return malformed("no answer to a query");
  if (const unsigned rcode = flags & 0xfU; rcode != 0) return refused(rcode);
  for (unsigned i = 0; i < questions; ++i) {
    if (!reader.name() || !reader.has(4)) return malformed("a question that does not end");
    reader.skip(4);
  }
  Records records;
  for (unsigned i = 0; i < answers; ++i) {
    if (!read_record(reader, v6, records)) return malformed("a record that does not add up");
  }
  return follow_aliases(records, host);
}

}  // namespace watchwheel::checker
