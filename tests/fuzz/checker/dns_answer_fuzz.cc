// SPDX-License-Identifier: Apache-2.0
// The answer of a name server, against a second reading of it that is as plain as can be.
// Input: a byte (A or AAAA, which host), then the message.
#include <algorithm>
#include <array>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checker/resolver_answer.h"
#include "fuzz/law.h"

namespace watchwheel::fuzz {
namespace {

using checker::DnsQueryResult;
using Bytes = std::span<const std::uint8_t>;
using Name = std::vector<std::string>;  // Labels, in lower case.

constexpr std::array<std::string_view, 4> kHosts{"www.example.com", "example.com", "a.b", "x"};

struct Record {
  Name owner;
  unsigned type = 0;
  unsigned klass = 0;
  std::string data;
  Name target;  // Of a CNAME.
};

std::optional<Name> name_at(Bytes message, std::size_t& at) {
  Name labels;
  std::size_t from = at;
  bool jumped = false;
  for (int steps = 0; steps < 1000; ++steps) {
    if (from >= message.size()) return std::nullopt;
    const unsigned length = message[from];
    if (length >= 0xc0) {
      if (from + 1 >= message.size()) return std::nullopt;
      if (!jumped) at = from + 2;
      jumped = true;
      from = (length & 0x3fU) << 8U | message[from + 1];
      continue;
    }
    if (length > 63 || from + 1 + length > message.size()) return std::nullopt;
    std::string label;
    for (std::size_t i = 0; i < length; ++i) {
      const char c = static_cast<char>(message[from + 1 + i]);
      label += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    }
    from += 1 + length;
    if (length == 0) {
      if (!jumped) at = from;
      return labels;
    }
    labels.push_back(label);
  }
  return std::nullopt;
}

unsigned u16_at(Bytes message, std::size_t at) {
  return static_cast<unsigned>(message[at] << 8 | message[at + 1]);
}

// As many records of the answer section as can be read.
std::vector<Record> records_of(Bytes message) {
  std::vector<Record> records;
  if (message.size() < 12) return records;
  std::size_t at = 12;
  for (unsigned i = 0; i < u16_at(message, 4); ++i) {
    if (!name_at(message, at)) return records;
    at += 4;
  }
  for (unsigned i = 0; i < u16_at(message, 6); ++i) {
    Record record;
    auto owner = name_at(message, at);
    if (!owner || at + 10 > message.size()) return records;
    record.owner = *owner;
    record.type = u16_at(message, at);
    record.klass = u16_at(message, at + 2);
    const std::size_t length = u16_at(message, at + 8);
    at += 10;
    if (at + length > message.size()) return records;
    record.data.assign(reinterpret_cast<const char*>(message.data()) + at, length);
    if (record.type == 5) {
      std::size_t target_at = at;
      record.target = name_at(message, target_at).value_or(Name{});
    }
    at += length;
    records.push_back(std::move(record));
  }
  return records;
}

Name labels_of(std::string_view host) {
  Name labels;
  for (;;) {
    const auto dot = host.find('.');
    labels.emplace_back(host.substr(0, dot));
    if (dot == std::string_view::npos) return labels;
    host.remove_prefix(dot + 1);
  }
}

// Everything that the answer says `host` has for an address.
std::set<std::string> addresses_of(const std::vector<Record>& records, std::string_view host,
                                   bool v6) {
  std::set<Name> names{labels_of(host)};
  for (std::size_t before = 0; before != names.size();) {
    before = names.size();
    for (const Record& record : records) {
      if (record.klass == 1 && record.type == 5 && names.contains(record.owner))
        names.insert(record.target);
    }
  }
  std::set<std::string> found;
  for (const Record& record : records) {
    if (record.klass == 1 && record.type == (v6 ? 28U : 1U) && names.contains(record.owner))
      found.insert(record.data);
  }
  return found;
}

void hold_answer_laws(Bytes message, std::string_view host, bool v6,
                      const checker::DnsAnswer& answer) {
  LAW(answer.addresses.size() <= checker::kAddressesMax, "addresses have a limit", host);
  LAW((answer.result == DnsQueryResult::Ok) == !answer.addresses.empty(),
      "there are addresses exactly when it is Ok", host);
  LAW(answer.other_question || (answer.result == DnsQueryResult::Ok) == answer.said.empty(),
      "what is not Ok says why", answer.said);
  LAW(has_no_controls(answer.said), "what is said is fit for people", answer.said);
  LAW((answer.result != DnsQueryResult::Ok && answer.alias_of.empty()) || answer.ttl_s <= INT32_MAX,
      "a TTL is a time to come", host);
  LAW(answer.alias_of.empty() || answer.result == DnsQueryResult::Nodata,
      "an alias is left to be asked for only when there are no addresses", answer.alias_of);
  LAW(answer.aliases <= checker::kAliasesMax, "aliases have a limit", host);
  LAW(!answer.other_question || answer.result == DnsQueryResult::Malformed,
      "the answer to another question is none", host);
  if (message.size() >= 12) {
    const unsigned flags = u16_at(message, 2);
    LAW(answer.result != DnsQueryResult::Ok || ((flags & 0x8000U) != 0 && (flags & 0xfU) == 0),
        "only an answer without an error gives addresses", host);
    LAW(answer.result != DnsQueryResult::Nxdomain || (flags & 0xfU) == 3,
        "only NXDOMAIN says that there is no such name", host);
  } else {
    LAW(answer.result == DnsQueryResult::Malformed, "less than a header is no answer", host);
  }
  if (answer.result != DnsQueryResult::Ok) return;
  if (u16_at(message, 4) > 0) {
    std::size_t at = 12;
    const auto question = name_at(message, at);
    LAW(question == labels_of(host) && u16_at(message, at) == (v6 ? 28U : 1U),
        "only an answer to our question is one", host);
  }
  const auto found = addresses_of(records_of(message), host, v6);
  for (const checker::IpAddress& ip : answer.addresses) {
    LAW(ip.v6 == v6, "what was asked for is what comes", to_string(ip));
    const std::string bytes(reinterpret_cast<const char*>(ip.bytes.data()), v6 ? 16 : 4);
    LAW(found.contains(bytes), "an address is the host's own", to_string(ip));
  }
}

}  // namespace
}  // namespace watchwheel::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace watchwheel;
  if (size == 0) return 0;
  const bool v6 = (data[0] & 1U) != 0;
  const std::string_view host = fuzz::kHosts[data[0] >> 1U & 3U];
  const std::span<const std::uint8_t> message(data + 1, size - 1);
  const checker::DnsAnswer answer = checker::parse_answer(message, host, v6);
  fuzz::hold_answer_laws(message, host, v6, answer);
  return 0;
}
