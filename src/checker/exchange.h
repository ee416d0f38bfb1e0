// SPDX-License-Identifier: Apache-2.0
// checker/exchange.h - one HTTP request and its response, on a socket that is already connected.
//
// Exchange is what the checker asks; make() gives libcurl's. Plain requests are served by our own code (direct_exchange.h), and
// exchange_router.h chooses. libcurl serves everything, and is what the other is held to.
//
// Owns     libcurl: an easy handle for each transfer under way (transfer.h says why) and many
//          small multi handles, all their sockets on the lane's one Reactor; the connected sockets
//          given to it.
// Thread   the lane's, for every call.
// Bounded  `transfers_max` at once, about kTransfersPerMulti in each multi handle; response header
//          as head_check.h says; the body by the plan's max_body, counted after decompression
//          (body_decoder.h). The descriptors of a multi handle are two; a transfer's is the
//          socket it was given.
// Time     stamps are the `now` of the turn that brought the event; deadlines are the caller's:
//          expire().
// Fails    as a cause.
// Cost     libcurl walks lists that grow with the transfers of one multi handle: at 5,000 in one it
//          took 3 to 13 times the CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "checker/address.h"
#include "checker/body_scan.h"
#include "checker/head_check.h"
#include "checker/plan.h"
#include "checker/reactor.h"
#include "checker/target.h"
#include "core/probe.h"

namespace watchwheel::checker {

inline constexpr std::size_t kTransfersPerMulti = 200;

struct ExchangeRequest {
  int fd = -1;  // Connected to `peer`; the exchange's from now on, whatever happens.
  Endpoint peer;
  const Target* target = nullptr;   // Used inside begin() only.
  const ProbePlan* plan = nullptr;  // Must live until the exchange has ended.
  std::string_view method;          // Used inside begin() only.
  bool with_body = false;           // Send the plan's body.
  bool at_origin = true;  // The target has the origin of the check's URL: credentials may be sent.
  std::string cookies{};  // The value of the Cookie header; "": none is sent.
  bool trace = false;     // Keep the header lines.
  bool no_http2 = false;  // Whatever the plan says.
};

enum class HeadAnswer : std::uint8_t { ReadBody, Enough };

struct ExchangeResult {
  // Ok: the response is complete, or was read as far as it was wanted.
  core::Cause cause = core::Cause::Ok;
  core::Phase phase = core::Phase::Done;
  std::string detail;

  bool head_complete = false;
  ResponseHead head;
  // The server did nothing with our HTTP/2 stream and wants to be asked again: ask by HTTP/1.1.
  bool wants_http1 = false;
  std::optional<BodyScan> body;  // When the body was wanted.
  bool body_cut = false;         // It went on beyond the cap, or beyond size_max.
  bool body_opaque = false;      // In a coding we do not know, so nothing was looked at.
  bool home_page = false;        // By who asked: it answers a GET of "/" with 200 (error_pages.h).
  std::optional<core::SteadyTime> tls_done, first_byte;
  std::shared_ptr<const core::TlsFacts> tls;
  // When asked for a trace, as trace_lines.h keeps them: what was sent, and what came (interim responses and trailers too).
  std::vector<std::string> request_lines, response_lines;
};

class ExchangeHandler {
 public:
  virtual ~ExchangeHandler() = default;
  // The header is complete. Must only decide: no call back into the exchange, start nothing.
  virtual HeadAnswer on_head(std::uint64_t tag, const ResponseHead& head) noexcept = 0;
  // Never from inside begin(). May begin the next one.
  virtual void on_exchanged(std::uint64_t tag, ExchangeResult&& result,
                            core::SteadyTime now) noexcept = 0;
};

// 0: none. The highest bit is never set: it is free for who has several exchanges.
using ExchangeId = std::uint64_t;
inline constexpr std::uint32_t kExchangeUsesMask = 0x7fff'ffff;  // Of a row's generation, in its ids.

class Exchange : core::Pinned {
 public:
  // `bodies` outlives it, and every result. With `exact` stamps are the clock's, read for each: for one check that a person
  // looks at, where a turn is long beside what is measured.
  [[nodiscard]] static std::unique_ptr<Exchange> make(std::size_t transfers_max, Reactor& reactor,
                                                      const core::Clock& clock, BodyMeans& bodies,
                                                      bool exact = false);
  virtual ~Exchange() = default;

  // Exactly one on_exchanged follows, unless expired or cancelled. More than transfers_max is the caller's mistake.
  virtual ExchangeId begin(const ExchangeRequest& request, ExchangeHandler& handler,
                           std::uint64_t tag, core::SteadyTime now) = 0;
  // Whether anything of the answer came since this was asked last, or since it began. Who comes late to a long answer reads it in
  // several turns: its time is not up between two of them.
  [[nodiscard]] virtual bool came(ExchangeId exchange) = 0;
  // Its time is up, `allowed` after the check began: ends it and tells what that means.
  [[nodiscard]] virtual ExchangeResult expire(ExchangeId exchange, core::Duration allowed,
                                              core::SteadyTime now) = 0;
  virtual void cancel(ExchangeId exchange, core::SteadyTime now) = 0;

  // Runs what libcurl wanted run by now. Once a turn, after the reactor.
  virtual void turn(core::SteadyTime now) = 0;
  [[nodiscard]] virtual std::optional<core::SteadyTime> next_deadline() const = 0;
};

}  // namespace watchwheel::checker
