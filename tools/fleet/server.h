// SPDX-License-Identifier: Apache-2.0
// fleet/server.h - accepts, reads, waits, answers: every TCP connection of the fleet.
//
// It shares the machine with the engine it measures, so the common case is short: accept, read,
// send, close, with no memory taken and no word to epoll when the request was already there at the
// accept.
//
// Owns     the listeners, the connections, their timers.
// Thread   the fleet's one thread.
// Bounded  `connections_max` rows, the last kReserved of them for the control port alone; accepting
//          stops when they are taken and is counted. kAcceptBatch accepts a call, kReadRounds reads
//          and kWriteRounds writes an event. Heads to kRequestHeadMax; idle connections kIdle.
// Time     read once an event, when a request is complete: its time is what the observer measures.
// Fails    what a client does closes its connection and is counted; nothing throws while serving.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "fleet/config.h"
#include "fleet/connection_table.h"
#include "fleet/dns_server.h"
#include "fleet/faults.h"
#include "fleet/http_head.h"
#include "fleet/observer.h"
#include "fleet/replies.h"
#include "fleet/site_map.h"
#include "fleet/timer_wheel.h"
#include "fleet/tls.h"

namespace watchwheel::fleet {

struct ServerCounts {
  std::uint64_t accepted = 0;
  std::uint64_t replies = 0;
  std::uint64_t full = 0;  // Times that accepting stopped because the table was full.
  std::uint64_t idle_closed = 0;
  std::uint64_t bad_heads = 0;        // Not HTTP, or a head too large.
  std::uint64_t unknown_hosts = 0;    // Requests that are for no site.
  std::uint64_t wrong_addresses = 0;  // A site's name asked on another site's address.
  std::uint64_t io_errors = 0;        // The client reset the connection, mostly.
  std::uint64_t clients_gone = 0;     // Closed by the client before the answer was out.
  std::uint64_t tls_done = 0;
  std::uint64_t tls_failed = 0;
  std::uint32_t open = 0;
  std::uint32_t open_max = 0;
};

// What the control port answers.
struct ControlAnswer {
  int status = 200;
  std::string body;  // JSON
};
class ControlApi {
 public:
  virtual ~ControlApi() = default;
  [[nodiscard]] virtual ControlAnswer answer(std::string_view method, std::string_view target,
                                             Time now) = 0;
};

class Server {
 public:
  static constexpr Duration kIdle = std::chrono::seconds(30);
  static constexpr std::uint32_t kReserved = 16;
  static constexpr int kAcceptBatch = 256;
  static constexpr int kReadRounds = 8;
  static constexpr int kWriteRounds = 16;

  struct Parts {
    const Config& config;
    const SiteMap& map;
    const FaultBoard& board;
    Observer& observer;
    DnsServer& dns;
    ControlApi& control;
    const TlsServer* tls;  // Null without HTTPS sites.
  };

  // Events of this server carry tags below kTagsEnd; the others are the caller's.
  static constexpr std::uint64_t kTagListener = 1ULL << 63U;
  static constexpr std::uint64_t kTagForeign = kTagListener | 0x100U;

  Server(const Parts& parts, int epoll, Time start);

  // Takes the listener into the epoll set.
  void add_listener(Protocol protocol, Fd listener);

  void on_event(std::uint64_t tag, std::uint32_t events);
  void on_timers(Time now);
  [[nodiscard]] Time next() const noexcept { return wheel_.next(); }
  [[nodiscard]] const ServerCounts& counts() const noexcept { return counts_; }

 private:
  enum class Got { Data, Again, End, Error };

  // server.cc: sockets.
  void accept_from(Protocol protocol);
  void adopt(Fd socket, Protocol protocol, Time now);
  void pause_or_resume();
  void shake_hands(Connection& row);
  void read(Connection& row);
  Got receive(Connection& row, std::size_t& size);
  void discard(Connection& row);
  void write(Connection& row);
  void go_on(Connection& row);
  std::int64_t send_part(Connection& row);
  void finish(Connection& row);
  void on_timer(Connection& row, Time now);
  void drip(Connection& row, Time now);
  void close(Connection& row) noexcept;
  void want(Connection& row, std::uint32_t interest);
  void arm(Connection& row, Time due) noexcept;
  [[nodiscard]] Time now() const noexcept { return std::chrono::steady_clock::now(); }

  // server_requests.cc: what is in the bytes.
  void take(Connection& row, std::string_view data);
  void stash(Connection& row, std::string_view data);
  std::size_t take_request(Connection& row, std::string_view data);
  void serve_site(Connection& row, const RequestHead& head, Time now);
  void serve_control(Connection& row, const RequestHead& head, Time now);
  std::size_t serve_dns(Connection& row, std::string_view data);
  [[nodiscard]] std::uint32_t site_of(const Connection& row, const RequestHead& head);
  [[nodiscard]] Duration delay_for(FaultKind kind) noexcept;
  void refuse_head(Connection& row, std::string_view status);
  void answer_own(Connection& row, std::string bytes, bool keep_alive);
  void make_reply(const Connection& row);

  const Config& config_;
  const SiteMap& map_;
  const FaultBoard& board_;
  Observer& observer_;
  DnsServer& dns_;
  ControlApi& control_;
  const TlsServer* tls_;
  int epoll_;
  ReplyMaker maker_;
  ConnectionTable table_;
  TimerWheel wheel_;
  ServerCounts counts_;
  std::array<Fd, kProtocols> listeners_;
  bool is_paused_ = false;
  std::uint64_t random_ = 0x9e3779b97f4a7c15ULL;  // Fixed: the same run gives the same delays.
  std::vector<std::uint32_t> fired_;
  Reply reply_;  // Made again for each write.
  std::array<char, 16'384> in_;
  std::array<char, 16'384> tls_out_;
};

}  // namespace watchwheel::fleet
