// SPDX-License-Identifier: Apache-2.0
// checker/checker.h - the real Prober: c-ares for names, our own connects, our own HTTP for plain
// requests and libcurl for the others, all on one epoll descriptor.
//
// Owns     the in-flight table, the DNS cache, the pools of curl handles and the trust store of one
//          lane.
// Thread   the lane's, for every call; stats() is for any thread.
// Bounded  see Limits; descriptors: 1 a probe, a second one (two addresses raced) for at most a
//          quarter of in_flight_max of them, or 64; ~2 for each 200 probes; for each name server 4,
//          and up to 96 under load and truncation.
// Time     steady and wall time from the clock given, read once a turn; start() takes `now`.
//
// The lane waits on descriptor() becoming readable or next_deadline(), then calls turn(). It never
// blocks.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checker/prober.h"
#include "checker/reactor.h"
#include "checker/stats.h"

namespace watchwheel::checker {

struct Limits {
  std::size_t in_flight_max = 1000;       // The size of the table; set_in_flight_limit() may lower it, never raise it above.
  std::size_t dns_cache_entries_max = 100'000;
  core::Duration dns_keep_max = std::chrono::hours{1};  // How long a name's answer may be kept. 0: each probe asks anew.
  std::size_t tls_chains_max = 1'000'000;  // Verified certificate chains that are remembered: about 70 B each, taken as they come.
  std::size_t events_per_turn = 512;
  // Bodies that are kept whole for expressions and JSON, together; one beyond it ends its check as local_resources.
  std::size_t kept_body_bytes_max = 64 * 1024 * 1024;
};

struct Settings {
  Limits limits;
  std::string user_agent;              // Sent where the options name none.
  std::vector<std::string> resolvers;  // Where the options name none; empty: found as DESIGN says (resolved's, resolv.conf).
  std::vector<std::string> allow;      // CIDRs for every site, on top of the options' own.
  bool trace = false;                  // Results say how the probe went (core/probe_trace.h): for one check, not for a fleet.
};

class Checker : public Prober {
 public:
  // Invalid: a setting that cannot work (a resolver that is no address). Unavailable: the machine refuses descriptors.
  [[nodiscard]] static core::Result<std::unique_ptr<Checker>> make(const Settings& settings, const core::Clock& clock,
                                                                   ResultHandler& handler);

  // Reads what the first check would else read on its way: the system's trusted certificates and OpenSSL's tables, some 60 ms. On
  // the thread of the turns, before the first of them.
  virtual void warm_up() = 0;

  [[nodiscard]] virtual int descriptor() const = 0;
  // When turn() must be called at the latest, if nothing becomes readable. Nothing: no deadline is set.
  [[nodiscard]] virtual std::optional<core::SteadyTime> next_deadline() const = 0;
  // Does what is ready and delivers what is finished. Bounded by events_per_turn, and by 10 ms of them.
  virtual void turn(core::SteadyTime now) = 0;
  // The last turn left answers that are here already.
  [[nodiscard]] virtual bool behind() const = 0;
  // How long such answers wait (reactor.h).
  [[nodiscard]] virtual ReactorWaits answers_wait() const = 0;
  [[nodiscard]] virtual const Stats& stats() const = 0;
};

}  // namespace watchwheel::checker
