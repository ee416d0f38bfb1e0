// SPDX-License-Identifier: Apache-2.0
// checker/dialer.h - makes the connection: races IPv6 and IPv4, goes to the next address at once on
// refusal, guards every address.
//
// Owns     the sockets while they connect; a connected one is handed over, unwatched.
// Thread   the lane's, for every call.
// Bounded  one row a dial; one socket connecting in each, and a second one in at most `pairs_max` of
//          them; at most 16 addresses of each family are tried.
// Time     an address gets a head start of 250 ms (RFC 8305) before the next one is tried beside
//          it; when it refuses, the next starts at once. The whole dial ends at its deadline: with
//          one silent address the others still get their turn.
// Fails    as a cause: connect_* for what the network said, address_blocked when the guard lets no
//          address through, local_resources when we have no descriptor, port or memory,
//          local_network when we have no route or address at all, or when it is our own kernel that
//          calls the address unreachable because our gateway is dead; of an address on our own link,
//          where no gateway is needed, that word is connect_unreachable. With one address that
//          speaks about the site and one that speaks about us, the site's is told.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "checker/address.h"
#include "checker/reactor.h"
#include "core/probe.h"

namespace watchwheel::checker {

struct DialRequest {
  std::span<const IpAddress> addresses;  // Copied. Not empty.
  std::uint16_t port = 0;
  std::span<const Cidr> allow;           // Must live until the dial ends (the plan's).
  bool allow_private = false;
  core::SteadyTime deadline;
  bool trace = false;                    // Tell of each address.
};

struct Dialed {
  core::Cause cause = core::Cause::Ok;
  int fd = -1;                   // Connected, non-blocking, close-on-exec; the receiver's to close. -1 unless Ok.
  Endpoint endpoint;             // Connected to, or the last one tried.
  std::uint16_t tried = 0;       // Addresses for which a connect was started.
  core::Duration took{};         // From the first connect to success or the end.
  std::string detail;            // For a failure: which address said what.
  std::vector<core::AddressTry> tries;  // When asked for a trace: in the order they began, the blocked ones too.
  bool no_port = false;          // local_resources: every ephemeral port was taken, for this destination.
};

class DialHandler {
 public:
  virtual ~DialHandler() = default;
  // Never from inside dial().
  virtual void on_dialed(std::uint64_t tag, Dialed&& dialed, core::SteadyTime now) noexcept = 0;
};

// 0: none.
using DialId = std::uint64_t;

class Dialer : core::Pinned {
 public:
  // At most `dials_max` + `pairs_max` sockets.
  [[nodiscard]] static std::unique_ptr<Dialer> make(std::size_t dials_max, std::size_t pairs_max, Reactor& reactor);
  virtual ~Dialer() = default;

  // Exactly one on_dialed follows, unless cancelled. More than dials_max at once is the caller's mistake.
  virtual DialId dial(const DialRequest& request, DialHandler& handler, std::uint64_t tag, core::SteadyTime now) = 0;
  virtual void cancel(DialId dial) = 0;
};

}  // namespace watchwheel::checker
