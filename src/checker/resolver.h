// SPDX-License-Identifier: Apache-2.0
// checker/resolver.h - names to addresses: asynchronous, cached by TTL, one query for many askers.
//
// Owns     the cache, who waits for what, and (resolver_lookups.h, resolver_upstream.h) the servers.
// Thread   the lane's, for every call.
// Bounded  `cache_entries_max` names (least recently used goes first); at most 200 fresh queries
//          (asked in the last try) a channel socket, the rest wait in a queue of at most
//          `waiting_max`; beyond that a request is answered local_overload.
// Time     TTLs are honoured between 5 s and 1 h; a negative answer is kept for 5 s (SERVFAIL and
//          timeouts 1 s; "no such address" of one family as long as the addresses of the other);
//          an entry used in the last tenth of its life is refreshed ahead. A name is decided within
//          3 s; 200 ms more when its second family was not asked for at first.
// Fails    as a cause: dns_* when the name's servers or the resolver say no, resolver_unreachable
//          when no resolver answers anything (asked ". NS" beside a silent query, to tell a dead
//          resolver from a dead name), never the one for the other.
//
// What is said of a name: NXDOMAIN is dns_nxdomain; an empty answer dns_no_address; REFUSED and a referral to other servers
// dns_refused, from a server that resolves for us at all (it is asked ". NS"; a server that refuses that too refuses us, and is
// resolver_unreachable); SERVFAIL (what a validating resolver says of broken DNSSEC), FORMERR, NOTIMP and the other codes
// dns_servfail, by their own name in the detail; what does not add up, aliases in a circle or more than 16 of them
// dns_malformed; silence about this name dns_timeout. Truncated, and then nothing or a refusal over TCP: resolver_unreachable,
// unless another server knows the name. Answers to other questions, with other ids or from elsewhere are left aside. An answer
// that ends at an alias without a word about its target is followed by asking for the target.
//
// Both families are asked for, where both may be used: addresses of either are enough, whatever became of the other. A name
// whose zone says that it has no IPv6 addresses (the SOA beside the answer, RFC 2308) is asked for IPv4 ones alone for as long as
// the zone says that it holds, at most an hour; as soon as those do not come, within 200 ms or at all, for both after all. With
// none, the failure that says most is told: NXDOMAIN (but for NXDOMAIN beside "no such address": the name exists then), ours,
// SERVFAIL, REFUSED, malformed, silence, "no such address".
//
// /etc/hosts is not read: a fleet is checked by what the world is told. "localhost" and what ends in it is loopback (RFC 6761),
// "onion" does not exist (RFC 7686); neither is asked for. Names of one label are asked as they are: no search list.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "checker/address.h"
#include "checker/reactor.h"
#include "checker/stats.h"
#include "core/check_options.h"
#include "core/probe.h"

namespace watchwheel::checker {

struct Resolution {
  core::Cause cause = core::Cause::Ok;  // Ok, or a dns_* cause, or one of ours.
  std::vector<IpAddress> addresses;     // As answered, both families; at most 16 of each. Not empty when Ok.
  std::string detail;                   // For a failure: who said what.
  bool cached = false;
};

class ResolveHandler {
 public:
  virtual ~ResolveHandler() = default;
  // Never called from inside resolve() — except when it returned true.
  virtual void on_resolved(std::uint64_t tag, const Resolution& resolution, core::SteadyTime now) noexcept = 0;
};

// A set of servers to ask, in order. Interned by the resolver: the same list gives the same channel.
using ServerSetId = std::uint32_t;

class Resolver : core::Pinned {
 public:
  struct Limits {
    std::size_t cache_entries_max = 100'000;
    std::size_t waiting_max = 100'000;
    core::Duration keep_max = std::chrono::hours{1};  // How long an answer may be kept. 0: each check asks anew.
    std::size_t absences_max = 8'000'000;  // Names of which it is remembered that they have no IPv6 addresses.
  };

  // `default_servers` empty: the machine's (systemd-resolved's upstream file, else /etc/resolv.conf, else 127.0.0.1).
  [[nodiscard]] static core::Result<std::unique_ptr<Resolver>> make(Limits limits, std::span<const Endpoint> default_servers,
                                                                    Reactor& reactor, Stats& stats);
  virtual ~Resolver() = default;

  // Id 0 is the default servers. Unavailable when a channel cannot be made. At most 64 sets.
  [[nodiscard]] virtual core::Result<ServerSetId> server_set(std::span<const Endpoint> servers) = 0;

  // Asks for the addresses of `host` (lower case, no trailing dot, IDNA already encoded, not an address).
  // From the cache: fills `now_known` and returns true, and on_resolved is not called. Otherwise on_resolved comes later, once.
  [[nodiscard]] virtual bool resolve(std::string_view host, core::IpFamily family, ServerSetId servers, core::SteadyTime now,
                                     ResolveHandler& handler, std::uint64_t tag, Resolution& now_known) = 0;
  // The asker is gone, or out of time: its on_resolved will not come. The query itself goes on, for the cache.
  // Returns what may be said of the name if time is up now: DnsTimeout when its servers answered something since they were
  // asked, ResolverUnreachable when they did not, LocalOverload when they have not been asked yet or there are addresses already;
  // what was found of the other family when that is our trouble. Cancelled when there is no such asker.
  virtual core::Cause cancel(std::string_view host, core::IpFamily family, ServerSetId servers, std::uint64_t tag) = 0;
  // Forgets the names that were not used last.
  virtual void give_back_memory() = 0;
};

}  // namespace watchwheel::checker
