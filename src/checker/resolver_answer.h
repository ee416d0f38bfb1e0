// SPDX-License-Identifier: Apache-2.0
// checker/resolver_answer.h - reads the answer of a name server.
//
// Pure; any thread. Every byte comes from outside: nothing is read past its end, names are followed backwards only, and what
// does not add up is Malformed.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checker/address.h"
#include "checker/stats.h"

namespace watchwheel::checker {

inline constexpr std::size_t kAddressesMax = 16;  // Of one answer; more are dropped.
inline constexpr std::size_t kAliasesMax = 16;    // From a name to its addresses.

struct DnsAnswer {
  DnsQueryResult result = DnsQueryResult::Malformed;
  std::vector<IpAddress> addresses;  // Not empty when Ok.
  std::uint32_t ttl_s =
      0;             // When Ok: the least of the addresses and of the aliases that lead to them.
  // When Nodata: how long the zone says that it holds (RFC 2308: the lesser of its SOA's TTL and MINIMUM). 0: it does not say.
  std::uint32_t absent_s = 0;
  std::string said{};  // When not Ok: "SERVFAIL", "a record that does not end"; for people.
  // The answer ends at an alias for this name and does not say whether it has addresses (no SOA beside it, RFC 2308): whoever
  // wants to know must ask for it. `result` is Nodata, `ttl_s` that of the aliases.
  std::string alias_of{};
  std::size_t aliases = 0;      // Followed.
  bool other_question = false;  // It answers a question that was not asked: nothing else is set.
};

// The answer to "what addresses (`v6`: AAAA) has `host`", as it came. Aliases (CNAME) are followed inside the answer, in
// whatever order its records stand; a circle of them, or more than kAliasesMax, is Malformed. Addresses of other names are
// left aside; an answer with such only is Malformed. A referral (no answer, no SOA, name servers of somebody else) is Refused:
// the server does not resolve for us. rcodes other than NOERROR, NXDOMAIN and REFUSED (FORMERR, NOTIMP …) are Servfail, by
// their own name in `said`.
[[nodiscard]] DnsAnswer parse_answer(std::span<const std::uint8_t> message, std::string_view host,
                                     bool v6);

// Whether an answer to ". NS" shows that the server resolves names for us: it says that there is something, or nothing.
// A refusal, a failure and a referral show nothing.
[[nodiscard]] bool shows_service(std::span<const std::uint8_t> message);

}  // namespace watchwheel::checker
