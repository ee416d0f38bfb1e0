// SPDX-License-Identifier: Apache-2.0
// checker/resolver_upstream.h - one name server: sends it questions through c-ares and hands back
// what it answers, as it came.
//
// Owns     up to kChannelsMax c-ares channels for UDP to the server and one for each question over
//          TCP (kTcpMax), made when they are needed, and their sockets on the reactor; up to
//          kWornMax more that only finish.
// Thread   the lane's, for every call.
// Bounded  kFreshMax fresh queries a channel: an answer burst beyond that overflows the socket's
//          buffer (measured: 8 k/s and losses instead of 40 k/s). A query that is no longer waited
//          for leaves the fresh ones, and is forgotten after 5 s; kOutstandingMax of both a
//          channel.
// Time     c-ares reads its own clock, for its 5 s only; tries and their order are the resolver's.
// Fails    send() is refused when full; a socket that fails ends its queries with the errno.
//
// c-ares is kept to framing, matching and sockets. It does not judge: it folds REFUSED, SERVFAIL and dead sockets into one error,
// and each of them says something else about a site. Three things are ours:
//
// Ids. 16 random bits from the kernel for each query; ports are the kernel's choice, and a socket is left after kQueriesPerSocket
// questions, so that under load too who wants to slip in an answer has to guess both. The socket is connected: the kernel drops
// what comes from elsewhere. An answer with another id or question is dropped by c-ares and the right one still waited for.
//
// Size. Questions say that 1232 bytes are taken (EDNS, RFC 6891; the size that is not fragmented). A server that answers FORMERR
// or NOTIMP, or that is silent to all such questions and not to one without, is asked without it, until one of them is answered
// after all (it was only slow).
//
// Truncation. The question is asked again over TCP, where it stays: over_tcp() tells it, because a server that truncates and then
// is silent or refuses over TCP says nothing about the name. With kTcpMax under way the query fails with EAGAIN.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "checker/address.h"
#include "checker/reactor.h"

namespace watchwheel::checker {

enum class DnsType : std::uint16_t { A = 1, Ns = 2, Aaaa = 28 };

struct QueryError {
  int number = 0;  // Of errno. 0: none.
  bool tcp = false;
};

class AnswerHandler {
 public:
  virtual ~AnswerHandler() = default;
  // The message that `server` sent to `query`; or, when `message` is empty, what its socket failed with. Never from inside
  // send().
  virtual void on_answer(std::uint64_t tag, std::uint32_t server, std::uint64_t query,
                         std::span<const std::uint8_t> message, QueryError error,
                         core::SteadyTime now) noexcept = 0;
  // A question for life has ended, answered or not.
  virtual void on_life(std::uint32_t server, core::SteadyTime now) noexcept = 0;
};

class Upstream : core::Pinned {
 public:
  static constexpr std::size_t kChannelsMax = 4;
  static constexpr std::size_t kFreshMax = 200;
  static constexpr std::size_t kOutstandingMax = 20'000;
  static constexpr std::size_t kQueriesPerSocket = 1000;
  static constexpr std::size_t kWornMax = 32;
  static constexpr std::size_t kTcpMax = 64;

  // 0: none.
  using QueryId = std::uint64_t;
  struct Sent {
    QueryId query = 0;
    int error = 0;  // The socket failed at once. Neither: full, ask again when a query has ended.
  };

  // `number` comes back with the answers.
  [[nodiscard]] static std::unique_ptr<Upstream> make(const Endpoint& server, std::uint32_t number,
                                                      Reactor& reactor, AnswerHandler& handler);
  virtual ~Upstream() = default;

  [[nodiscard]] virtual const Endpoint& endpoint() const = 0;

  // At most one on_answer follows, also after set_aside(); none when the server stays silent.
  [[nodiscard]] virtual Sent send(const std::string& name, DnsType type, std::uint64_t tag,
                                  core::SteadyTime now) = 0;
  // It is no longer waited for and no longer counts as fresh. An answer may still come.
  virtual void set_aside(QueryId query) = 0;
  // It was answered with "truncated" and waits for the answer over TCP.
  [[nodiscard]] virtual bool over_tcp(QueryId query) const = 0;
  // Asks ". NS", whose answer only counts for heard() and served(): at most once a second.
  virtual void ask_for_life(core::SteadyTime now) = 0;
  // The same, at once unless such a question is under way.
  virtual void ask_for_service(core::SteadyTime now) = 0;
  // A question for life is under way.
  [[nodiscard]] virtual bool is_asked_for_life() const = 0;

  // When something, whatever it was, last came from the server; kNoSteadyTime when nothing did.
  [[nodiscard]] virtual core::SteadyTime heard() const = 0;
  // When it last answered ". NS" as a server does that resolves names for us; kNoSteadyTime when it never did.
  [[nodiscard]] virtual core::SteadyTime served() const = 0;
};

}  // namespace watchwheel::checker
