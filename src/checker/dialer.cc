// SPDX-License-Identifier: Apache-2.0
//
// The race. Addresses stand in one order, IPv6 and IPv4 in turn, IPv6 first. The first is tried; 250 ms later, or at once when
// it fails, the next one is tried beside it. With both places taken and addresses left, the older attempt ends when it has had
// its share of the time (time allowed / addresses, at least 250 ms), so that silent addresses cannot use up the whole of it.
// With as many pairs of attempts under way as may be, a dial has one place: its next address comes when the first has failed
// or had its share, or when a pair has ended.
//
// Which failure is told, when they differ. Our own want of descriptors, ports or memory comes first: with an address untried
// for our sake nothing can be said about the site. Then what says most: refused, reset, unreachable, timed out. That we have no
// route (a host without IPv6) comes last: it is told only when there is nothing else. Silence says nothing when our own kernel
// called another address of the same family unreachable meanwhile: the same dead gateway explains both.
#include "checker/dialer.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "checker/address_guard.h"
#include "checker/dialer_error.h"
#include "core/ensure.h"

namespace watchwheel::checker {
namespace {

constexpr core::Duration kHeadStart = std::chrono::milliseconds{250};
constexpr std::size_t kAddressesPerFamily = 16;

// A failure of one address, and how much it says (see above).
struct Failure {
  core::Cause cause = core::Cause::Ok;  // Ok: none so far.
  int error = 0;
  Endpoint endpoint;
  core::Duration after{};  // From its own connect.
};

int weight(core::Cause cause) {
  switch (cause) {
    case core::Cause::LocalResources:
      return 6;
    case core::Cause::ConnectRefused:
      return 5;
    case core::Cause::ConnectReset:
      return 4;
    case core::Cause::ConnectUnreachable:
      return 3;
    case core::Cause::ConnectTimeout:
      return 2;
    case core::Cause::LocalNetwork:
      return 1;
    default:
      return 0;
  }
}

// IPv6 and IPv4 in turn, IPv6 first, each family in its given order.
void interleave(std::span<const IpAddress> from, std::vector<IpAddress>& into) {
  into.clear();
  const auto next_of = [&from](std::size_t at, bool v6) {
    while (at < from.size() && from[at].v6 != v6) ++at;
    return at;
  };
  std::array<std::size_t, 2> at{next_of(0, true), next_of(0, false)};
  std::array<std::size_t, 2> taken{};
  for (std::size_t turn = 0; at[0] < from.size() || at[1] < from.size(); ++turn) {
    const std::size_t family = turn % 2;
    if (at[family] >= from.size()) continue;
    if (taken[family]++ < kAddressesPerFamily) into.push_back(from[at[family]]);
    at[family] = next_of(at[family] + 1, family == 0);
  }
}

struct Attempt {
  int fd = -1;
  Endpoint endpoint;
  core::SteadyTime started;
};

struct Row {
  bool used = false;
  std::uint32_t generation = 0;
  std::vector<IpAddress> addresses;  // In the order of the race.
  std::size_t next = 0;              // Of `addresses`.
  std::uint16_t port = 0;
  std::span<const Cidr> allow;
  bool allow_private = false;
  core::SteadyTime deadline;
  core::SteadyTime started;     // The dial.
  core::SteadyTime last_start;  // The newest attempt.
  core::Duration share{};
  std::array<Attempt, 2> attempts;
  TimerId timer = 0;
  DialHandler* handler = nullptr;
  std::uint64_t tag = 0;
  std::uint16_t tried = 0;
  Failure told;
  std::array<bool, 2> silent{};      // [v6]: an address timed out.
  std::array<Failure, 2> cut_off{};  // [v6]: our own kernel gave up on the way to one.
  std::string_view blocked;          // Why the guard refused the last one it refused.
  IpAddress blocked_ip;
  Endpoint last;
  int connected = -1;                                    // Done: waits for the turn after dial().
  std::unique_ptr<std::vector<core::AddressTry>> tries;  // Null: nobody asked for a trace.
};

// For a trace: what an address said.
std::string words_for(core::Cause cause, int error) {
  switch (cause) {
    case core::Cause::ConnectRefused:
      return "refused";
    case core::Cause::ConnectReset:
      return "reset";
    case core::Cause::ConnectTimeout:
      return "no answer";
    case core::Cause::LocalNetwork:
      return std::string("our own network says: ") + std::strerror(error);
    default:
      return std::strerror(error);
  }
}

void begin_try(Row& row, const IpAddress& ip, core::SteadyTime now) {
  if (row.tries) row.tries->push_back({to_string(ip), now - row.started, ""});
}

void end_try(Row& row, const IpAddress& ip, const std::string& said) {
  if (!row.tries) return;
  const std::string address = to_string(ip);
  for (core::AddressTry& tried : *row.tries) {
    if (tried.address == address && tried.result.empty()) tried.result = said;
  }
}

class RacingDialer final : public Dialer, private IoHandler, private TimerHandler {
 public:
  RacingDialer(std::size_t dials_max, std::size_t pairs_max, Reactor& reactor)
      : dials_max_(dials_max), pairs_max_(pairs_max), reactor_(reactor) {
    ENSURE(dials_max > 0 && dials_max < (std::size_t{1} << 31U), "a dialer must hold dials");
  }

  ~RacingDialer() override {
    for (Row& row : rows_) {
      if (row.used) release(row);
    }
  }

  DialId dial(const DialRequest& request, DialHandler& handler, std::uint64_t tag,
              core::SteadyTime now) override {
    ENSURE(!request.addresses.empty(), "a dial without addresses");
    const std::size_t index = take_row();
    Row& row = rows_[index];
    interleave(request.addresses, row.addresses);
    row.next = 0;
    row.port = request.port;
    row.allow = request.allow;
    row.allow_private = request.allow_private;
    row.deadline = request.deadline;
    row.started = row.last_start = now;
    row.share = std::max<core::Duration>(
        kHeadStart, (request.deadline - now) / static_cast<std::int64_t>(row.addresses.size()));
    row.handler = &handler;
    row.tag = tag;
    row.tried = 0;
    row.told = {};
    row.silent = {};
    row.cut_off = {};
    row.blocked = {};
    row.last = {request.addresses.front(), request.port};
    row.connected = -1;
    if (request.trace) row.tries = std::make_unique<std::vector<core::AddressTry>>();

    if (now < row.deadline) start_next(index, now);
    // Even when all is decided already: never from inside dial().
    arm(index, is_decided(row) ? now : next_event(row));
    return id_of(index);
  }

  void cancel(DialId dial) override {
    const std::size_t index = (dial & 0xffff'ffffU) - 1;
    if (dial == 0 || index >= rows_.size()) return;
    Row& row = rows_[index];
    if (row.used && row.generation == dial >> 32U) release(row);
  }

 private:
  // ---- rows

  std::size_t take_row() {
    if (free_.empty()) {
      ENSURE(rows_.size() < dials_max_, "more dials at once than the dialer was made for");
      free_.push_back(rows_.size());
      rows_.emplace_back();
    }
    const std::size_t index = free_.back();
    free_.pop_back();
    rows_[index].used = true;
    return index;
  }

  void release(Row& row) {
    reactor_.disarm(row.timer);
    row.timer = 0;
    for (Attempt& attempt : row.attempts) drop(row, attempt);
    if (row.connected >= 0) {
      reactor_.forget(row.connected);
      ::close(row.connected);
    }
    row.connected = -1;
    row.tries.reset();
    row.used = false;
    ++row.generation;
    free_.push_back(static_cast<std::size_t>(&row - rows_.data()));
  }

  [[nodiscard]] DialId id_of(std::size_t index) const {
    return (DialId{rows_[index].generation} << 32U) | (index + 1);
  }

  void drop(Row& row, Attempt& attempt) {
    if (attempt.fd < 0) return;
    reactor_.forget(attempt.fd);
    ::close(attempt.fd);
    end_attempt(row, attempt);
  }

  // Its socket is closed or somebody else's.
  void end_attempt(Row& row, Attempt& attempt) {
    if (under_way(row) == 2) --pairs_;
    attempt.fd = -1;
  }

  // ---- what to do next

  static std::size_t under_way(const Row& row) {
    return static_cast<std::size_t>(std::count_if(row.attempts.begin(), row.attempts.end(),
                                                  [](const Attempt& a) { return a.fd >= 0; }));
  }

  static bool is_decided(const Row& row) {
    return row.connected >= 0 || (under_way(row) == 0 && row.next >= row.addresses.size());
  }

  // Of those under way; there is one.
  static Attempt& oldest(Row& row) {
    auto& [a, b] = row.attempts;
    if (a.fd < 0 || b.fd < 0) return a.fd < 0 ? b : a;
    return a.started <= b.started ? a : b;
  }

  // May another address be tried beside what is under way?
  [[nodiscard]] bool has_place(const Row& row) const {
    const std::size_t count = under_way(row);
    return count == 0 || (count == 1 && pairs_ < pairs_max_);
  }

  [[nodiscard]] core::SteadyTime next_event(Row& row) const {
    if (row.next >= row.addresses.size()) return row.deadline;
    const auto next_start =
        under_way(row) < 2 ? row.last_start + kHeadStart
                           : std::max(oldest(row).started + row.share, row.last_start + kHeadStart);
    return std::min(row.deadline, next_start);
  }

  void arm(std::size_t index, core::SteadyTime at) {
    Row& row = rows_[index];
    reactor_.disarm(row.timer);
    row.timer = reactor_.arm(at, *this, id_of(index));
  }

  // Starts the next address that can be started; those that are blocked or fail at once are passed over.
  void start_next(std::size_t index, core::SteadyTime now) {
    Row& row = rows_[index];
    while (row.connected < 0 && row.next < row.addresses.size()) {
      const Endpoint endpoint{row.addresses[row.next++], row.port};
      const GuardVerdict verdict = guard(endpoint.ip, row.allow, row.allow_private);
      if (!verdict.allowed) {
        row.blocked = verdict.reason;
        row.blocked_ip = endpoint.ip;
        begin_try(row, endpoint.ip, now);
        end_try(row, endpoint.ip, "blocked: " + std::string(verdict.reason));
        continue;
      }
      if (start(index, endpoint, now)) return;
    }
  }

  // True when an attempt is under way or has succeeded at once.
  bool start(std::size_t index, const Endpoint& endpoint, core::SteadyTime now) {
    Row& row = rows_[index];
    ++row.tried;
    row.last = endpoint;
    begin_try(row, endpoint.ip, now);
    const int fd = ::socket(endpoint.ip.v6 ? AF_INET6 : AF_INET,
                            SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);
    if (fd < 0) {
      note(row, {cause_of_error_at_once(errno), errno, endpoint});
      return false;
    }
    watch_who_speaks(fd, endpoint.ip.v6);
    sockaddr_storage address{};
    const socklen_t length = to_sockaddr(endpoint, address);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), length) == 0) {
      stop_watching_who_speaks(fd, endpoint.ip.v6);
      row.connected = fd;
      return true;
    }
    if (errno != EINPROGRESS && errno != EINTR) {
      note(row, {cause_of_error_at_once(errno), errno, endpoint});
      ::close(fd);
      return false;
    }
    const auto watched = reactor_.watch(fd, EPOLLOUT, *this, id_of(index));
    if (!watched) {
      note(row, {core::Cause::LocalResources, ENOSPC, endpoint});
      ::close(fd);
      return false;
    }
    if (under_way(row) == 1) ++pairs_;
    Attempt& free = row.attempts[0].fd < 0 ? row.attempts[0] : row.attempts[1];
    free = {fd, endpoint, now};
    row.last_start = now;
    return true;
  }

  static void note(Row& row, const Failure& failure) {
    const Endpoint& endpoint = failure.endpoint;
    if (failure.cause == core::Cause::ConnectTimeout) row.silent[endpoint.ip.v6] = true;
    if (row.tries) end_try(row, endpoint.ip, words_for(failure.cause, failure.error));
    const int more = weight(failure.cause) - weight(row.told.cause);
    // Of the silent ones the one that had most time.
    const bool longer =
        failure.cause == core::Cause::ConnectTimeout && failure.after > row.told.after;
    if (more > 0 || (more == 0 && longer)) row.told = failure;
  }

  // A late loop is no reason to speak of more time than there was.
  static core::Duration waited(const Row& row, const Attempt& attempt, core::SteadyTime now) {
    return std::min(now, row.deadline) - attempt.started;
  }

  // ---- events

  Row* row_of(std::uint64_t id) {
    const std::size_t index = (id & 0xffff'ffffU) - 1;
    if (index >= rows_.size()) return nullptr;
    Row& row = rows_[index];
    return row.used && row.generation == id >> 32U ? &row : nullptr;
  }

  void on_io(int fd, std::uint32_t events, std::uint64_t tag,
             core::SteadyTime now) noexcept override {
    Row* row = row_of(tag);
    if (row == nullptr || row->connected >= 0) return;
    for (Attempt& attempt : row->attempts) {
      if (attempt.fd == fd) settle(*row, attempt, (events & (EPOLLERR | EPOLLHUP)) != 0, now);
    }
    go_on(*row, now);
  }

  // What became of an attempt that the kernel says is over. What failed is told with `trouble`; so is what was connected and
  // lost again, and a word about the way to a host that answered all the same.
  void settle(Row& row, Attempt& attempt, bool trouble, core::SteadyTime now) {
    int error = 0;
    socklen_t length = sizeof error;
    if (trouble && ::getsockopt(attempt.fd, SOL_SOCKET, SO_ERROR, &error, &length) != 0)
      error = errno;
    if (error != 0) {
      const core::Cause cause = cause_of_error_later(error, attempt.fd);
      note(row, {cause, error, attempt.endpoint, waited(row, attempt, now)});
      if (cause == core::Cause::LocalNetwork) {
        row.cut_off[attempt.endpoint.ip.v6] = {cause, error, attempt.endpoint};
      }
      drop(row, attempt);
      return;
    }
    reactor_.unwatch(attempt.fd);
    stop_watching_who_speaks(attempt.fd, attempt.endpoint.ip.v6);
    row.connected = attempt.fd;
    row.last = attempt.endpoint;
    end_attempt(row, attempt);
  }

  void on_timer(std::uint64_t tag, core::SteadyTime now) noexcept override {
    Row* row = row_of(tag);
    if (row == nullptr) return;
    row->timer = 0;
    if (is_decided(*row)) {
      finish(*row, now);
      return;
    }
    if (now >= row->deadline) {
      give_up(*row, now);
      return;
    }
    if (!has_place(*row) && now >= oldest(*row).started + row->share) {
      Attempt& slow = oldest(*row);
      note(*row, {core::Cause::ConnectTimeout, ETIMEDOUT, slow.endpoint, waited(*row, slow, now)});
      drop(*row, slow);
    }
    const std::size_t index = static_cast<std::size_t>(row - rows_.data());
    if (has_place(*row)) {
      start_next(index, now);
    } else {
      row->last_start = now;  // Looks again in a while.
    }
    go_on(*row, now);
  }

  // At the deadline. A loop that was late may find the connection made: then it was made in time.
  void give_up(Row& row, core::SteadyTime now) {
    for (Attempt& attempt : row.attempts) {
      if (attempt.fd < 0 || row.connected >= 0) continue;
      pollfd ready{attempt.fd, POLLOUT, 0};
      if (::poll(&ready, 1, 0) > 0) {
        settle(row, attempt, (ready.revents & (POLLERR | POLLHUP)) != 0, now);
      } else {
        note(row,
             {core::Cause::ConnectTimeout, ETIMEDOUT, attempt.endpoint, waited(row, attempt, now)});
      }
    }
    row.next = row.addresses.size();
    finish(row, now);
  }

  void go_on(Row& row, core::SteadyTime now) {
    const std::size_t index = static_cast<std::size_t>(&row - rows_.data());
    if (!is_decided(row) && under_way(row) == 0) start_next(index, now);
    if (is_decided(row)) {
      finish(row, now);
    } else {
      arm(index, next_event(row));
    }
  }

  void finish(Row& row, core::SteadyTime now) {
    Dialed dialed;
    dialed.endpoint = row.last;
    dialed.tried = row.tried;
    dialed.took = now - row.started;
    if (row.tries) dialed.tries = tries_of(row);
    if (row.connected >= 0) {
      dialed.fd = row.connected;
      row.connected = -1;
    } else {
      if (row.told.cause == core::Cause::ConnectTimeout) excuse_silence(row);
      dialed.cause = row.told.cause;
      dialed.no_port = dialed.cause == core::Cause::LocalResources && row.told.error == EADDRNOTAVAIL;
      dialed.detail = explain(row, dialed.cause);
    }
    DialHandler* handler = row.handler;
    const std::uint64_t tag = row.tag;
    release(row);
    handler->on_dialed(tag, std::move(dialed), now);
  }

  static std::vector<core::AddressTry> tries_of(Row& row) {
    if (row.connected >= 0) end_try(row, row.last.ip, "connected");
    for (core::AddressTry& tried : *row.tries) {
      if (tried.result.empty()) tried.result = "given up: another one answered first";
    }
    return std::move(*row.tries);
  }

  // See the top of this file.
  static void excuse_silence(Row& row) {
    for (const bool v6 : {false, true}) {
      if (row.silent[v6] && row.cut_off[v6].cause == core::Cause::Ok) return;
    }
    row.told = row.silent[true] ? row.cut_off[true] : row.cut_off[false];
  }

  // Words for the failure; settles the cause when no connect was started.
  static std::string explain(const Row& row, core::Cause& cause) {
    if (row.tried == 0 && !row.blocked.empty() && cause == core::Cause::Ok) {
      cause = core::Cause::AddressBlocked;
      return to_string(row.blocked_ip) + " is " + std::string(row.blocked) +
             "; allow it for this site if it is meant";
    }
    if (row.tried == 0) {
      cause = core::Cause::LocalOverload;
      return "no time was left to connect";
    }
    std::string text = to_string(row.told.endpoint) + ": ";
    if (cause == core::Cause::LocalNetwork) text += "our own network says: ";
    text += cause == core::Cause::ConnectTimeout
                ? "no answer within " +
                      std::to_string(
                          core::duration_cast<std::chrono::milliseconds>(row.told.after).count()) +
                      " ms"
                : std::string(std::strerror(row.told.error));
    if (row.tried > 1) text += " (" + std::to_string(row.tried) + " addresses tried)";
    return text;
  }

  std::size_t dials_max_;
  std::size_t pairs_max_;
  std::size_t pairs_ = 0;  // Rows with two attempts under way.
  Reactor& reactor_;
  std::vector<Row> rows_;
  std::vector<std::size_t> free_;
};

}  // namespace

std::unique_ptr<Dialer> Dialer::make(std::size_t dials_max, std::size_t pairs_max,
                                     Reactor& reactor) {
  return std::make_unique<RacingDialer>(dials_max, pairs_max, reactor);
}

}  // namespace watchwheel::checker
