// SPDX-License-Identifier: Apache-2.0
// checker/resolver_lookups.h - one question about a name, asked of the servers of a set until one of
// them has decided it.
//
// Owns     the servers (each once, however many sets it is in), the sets, and the lookups under way.
// Thread   the lane's, for every call.
// Bounded  kServerSetsMax sets of at most kServersPerSetMax servers; fresh queries as in
//          resolver_upstream.h, lookups beyond them wait in queues of at most `waiting_max` in all:
//          full() then, and who starts more breaks the bound.
// Time     round by round each server of the set is asked; a try is waited for 500 ms in the first
//          round, twice that in the next, until 3 s have passed. Whether a refusal is about the name
//          or about us is waited for 500 ms.
// Fails    as the cause of what was found (see resolver.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "checker/address.h"
#include "checker/reactor.h"
#include "checker/resolver_cache.h"
#include "checker/stats.h"

namespace watchwheel::checker {

struct LookupKey {
  std::uint32_t set = 0;
  bool v6 = false;
  std::string host;
  friend bool operator==(const LookupKey&, const LookupKey&) = default;
  [[nodiscard]] DnsKey view() const { return {set, v6, host}; }
};
struct LookupKeyHash {
  std::size_t operator()(const LookupKey& key) const {
    return std::hash<std::string>{}(key.host) ^ (std::size_t{key.set} << 1U) ^ std::size_t{key.v6};
  }
};

class LookupHandler {
 public:
  virtual ~LookupHandler() = default;
  // Once for each lookup, also from inside start(). `ttl_s` counts when `fact` is Ok; and when it is that there
  // is no such address: how long the zone says that it holds, 0 when it does not say.
  virtual void on_looked_up(const LookupKey& key, DnsFact&& fact, std::uint32_t ttl_s,
                            core::SteadyTime now) noexcept = 0;
};

class Lookups : core::Pinned {
 public:
  static constexpr std::size_t kServerSetsMax = 64;
  static constexpr std::size_t kServersPerSetMax = 8;

  [[nodiscard]] static std::unique_ptr<Lookups> make(std::size_t waiting_max, Reactor& reactor,
                                                     Stats& stats, LookupHandler& handler);
  virtual ~Lookups() = default;

  // The number of this list of servers, the same for the same list. Invalid: none, or too many of them. Unavailable: too many
  // lists.
  [[nodiscard]] virtual core::Result<std::uint32_t> server_set(
      std::span<const Endpoint> servers) = 0;
  [[nodiscard]] virtual bool is_set(std::uint32_t set) const = 0;

  // As many lookups wait for room as may.
  [[nodiscard]] virtual bool full() const = 0;
  // Does nothing when it is under way.
  virtual void start(const LookupKey& key, core::SteadyTime now) = 0;
  // What may be said if time is up now: DnsTimeout when the servers answered something since they were asked,
  // ResolverUnreachable when they did not, LocalOverload when they have not been asked yet. Nothing: it is not under way.
  [[nodiscard]] virtual std::optional<core::Cause> cause_of_silence(const LookupKey& key) const = 0;
};

// How much a failure says, to choose the one that is told. Ours first: with half of the question unasked nothing can be said
// of the name. But NXDOMAIN holds for all types. "No such address" comes last: the other half might have had some.
[[nodiscard]] int weight_of(core::Cause failure);

}  // namespace watchwheel::checker
