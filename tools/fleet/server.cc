// SPDX-License-Identifier: Apache-2.0
#include "fleet/server.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace watchwheel::fleet {
namespace {

constexpr std::uint32_t kHoldsMax = 4;  // Of kIdle each: longer than any engine's patience.
constexpr std::uint32_t kDripsMax = 600;
constexpr Duration kDripEvery = std::chrono::seconds(1);

std::uint64_t tag_of(std::uint32_t index, std::uint32_t generation) noexcept {
  return (static_cast<std::uint64_t>(generation & 0x7fffffffU) << 32U) | index;
}

}  // namespace

Server::Server(const Parts& parts, int epoll, Time start)
    : config_(parts.config),
      map_(parts.map),
      board_(parts.board),
      observer_(parts.observer),
      dns_(parts.dns),
      control_(parts.control),
      tls_(parts.tls),
      epoll_(epoll),
      maker_(parts.config.body_bytes),
      table_(parts.config.connections_max),
      wheel_(parts.config.connections_max, start) {
  fired_.reserve(parts.config.connections_max);
}

void Server::add_listener(Protocol protocol, Fd listener) {
  // Sockets inherit it: an answer goes out at once whatever its size.
  set_socket_option(listener.get(), IPPROTO_TCP, TCP_NODELAY, 1);
  const bool serves_sites = protocol == Protocol::Http || protocol == Protocol::Https;
  if (serves_sites && config_.defer_accept) {
    set_socket_option(listener.get(), IPPROTO_TCP, TCP_DEFER_ACCEPT, 1);
  }
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kTagListener | static_cast<std::uint64_t>(protocol);
  if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, listener.get(), &event) != 0) {
    throw_errno("cannot watch a listener");
  }
  listeners_[static_cast<std::size_t>(protocol)] = std::move(listener);
}

void Server::on_event(std::uint64_t tag, std::uint32_t events) {
  if ((tag & kTagListener) != 0) {
    accept_from(static_cast<Protocol>(tag & 0xffU));
    return;
  }
  const auto index = static_cast<std::uint32_t>(tag & 0xffffffffU);
  Connection& row = table_[index];
  if (!row.is_open() || tag != tag_of(index, row.generation)) return;  // Of a connection before.
  const bool can_read = (events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0;
  switch (row.stage) {
    case Stage::Handshake:
      shake_hands(row);
      break;
    case Stage::Writing:
      if ((events & EPOLLOUT) != 0)
        go_on(row);
      else if (can_read)
        read(row);
      break;
    case Stage::Holding:
    case Stage::Dripping:
      discard(row);
      break;
    case Stage::Reading:
    case Stage::Waiting:
      if (can_read) read(row);
      break;
  }
}

void Server::accept_from(Protocol protocol) {
  const Time now = this->now();
  const int listener = listeners_[static_cast<std::size_t>(protocol)].get();
  const bool serves_sites = protocol == Protocol::Http || protocol == Protocol::Https;
  for (int i = 0; i < kAcceptBatch; ++i) {
    if (table_.free_count() <= (serves_sites ? kReserved : 0)) {
      pause_or_resume();
      return;
    }
    Fd socket(::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket) {
      // The client may have gone before we came; that is not the end of the queue.
      if (errno == ECONNABORTED || errno == EINTR) continue;
      if (errno != EAGAIN) ++counts_.io_errors;
      return;
    }
    adopt(std::move(socket), protocol, now);
  }
}

void Server::adopt(Fd socket, Protocol protocol, Time now) {
  ++counts_.accepted;
  std::uint32_t address = 0;
  if (protocol == Protocol::Http || protocol == Protocol::Https) {
    address = local_address(socket.get());
    if (!is_loopback(address)) return;  // Not ours to serve; see listen_tcp().
  }
  const int fd = socket.get();
  const std::uint32_t index = table_.take(std::move(socket), protocol);
  if (index == ConnectionTable::kNone) return;
  Connection& row = table_[index];
  row.address = address;
  counts_.open = table_.rows_max() - table_.free_count();
  counts_.open_max = std::max(counts_.open_max, counts_.open);
  arm(row, now + kIdle);
  if (protocol == Protocol::Https) {
    row.hello.site = map_.by_address(address).value_or(kNoSite);
    row.ssl = tls_->open(fd, row.hello);
    row.stage = Stage::Handshake;
    if (!row.ssl) return close(row);
    return shake_hands(row);
  }
  read(row);  // Nearly always there already: the listener defers accepting to the first bytes.
}

void Server::pause_or_resume() {
  const bool is_full = table_.free_count() <= kReserved;
  if (is_full == is_paused_) return;
  is_paused_ = is_full;
  counts_.full += is_full ? 1U : 0U;
  for (const Protocol protocol : {Protocol::Http, Protocol::Https}) {
    const Fd& listener = listeners_[static_cast<std::size_t>(protocol)];
    if (!listener) continue;
    epoll_event event{};
    event.events = is_full ? 0U : static_cast<std::uint32_t>(EPOLLIN);
    event.data.u64 = kTagListener | static_cast<std::uint64_t>(protocol);
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, listener.get(), &event);
  }
}

void Server::shake_hands(Connection& row) {
  ERR_clear_error();
  const int done = SSL_do_handshake(row.ssl.get());
  const bool counts_as_asking = row.hello.seen && row.hello.site != kNoSite &&
                                facts_of(row.hello.kind).stage == FaultStage::Tls;
  if (counts_as_asking && !row.asked_by_hello) {
    row.asked_by_hello = true;
    observer_.asked(row.hello.site, now());
  }
  if (done == 1) {
    ++counts_.tls_done;
    row.stage = Stage::Reading;
    want(row, EPOLLIN);
    return read(row);
  }
  switch (SSL_get_error(row.ssl.get(), done)) {
    case SSL_ERROR_WANT_READ:
      return want(row, EPOLLIN);
    case SSL_ERROR_WANT_WRITE:
      return want(row, EPOLLOUT);
    case SSL_ERROR_WANT_CLIENT_HELLO_CB:  // TlsStall
      row.stage = Stage::Holding;
      return want(row, EPOLLIN);
    default:
      ++counts_.tls_failed;
      return close(row);
  }
}

Server::Got Server::receive(Connection& row, std::size_t& size) {
  if (row.ssl) {
    ERR_clear_error();
    const int got = SSL_read_ex(row.ssl.get(), in_.data(), in_.size(), &size);
    if (got == 1) return Got::Data;
    switch (SSL_get_error(row.ssl.get(), got)) {
      case SSL_ERROR_WANT_READ:
      case SSL_ERROR_WANT_WRITE:
        return Got::Again;
      case SSL_ERROR_ZERO_RETURN:
        return Got::End;
      default:
        return Got::Error;
    }
  }
  const ssize_t got = ::recv(row.socket.get(), in_.data(), in_.size(), MSG_DONTWAIT);
  if (got > 0) {
    size = static_cast<std::size_t>(got);
    return Got::Data;
  }
  if (got == 0) return Got::End;
  return errno == EAGAIN || errno == EINTR ? Got::Again : Got::Error;
}

void Server::read(Connection& row) {
  for (int round = 0; round < kReadRounds; ++round) {
    std::size_t size = 0;
    switch (receive(row, size)) {
      case Got::Data:
        break;
      case Got::Again:
        return want(row, row.interest | EPOLLIN);
      case Got::End:
        if (row.stage != Stage::Reading) ++counts_.clients_gone;
        return close(row);
      case Got::Error:
        ++counts_.io_errors;
        return close(row);
    }
    take(row, {in_.data(), size});
    if (!row.is_open()) return;
    // A plain socket that gave less than there was room for is empty; epoll tells when it is not.
    if (!row.ssl && size < in_.size()) break;
  }
  if (row.stage == Stage::Reading) want(row, EPOLLIN);
}

void Server::discard(Connection& row) {
  const ssize_t got = ::recv(row.socket.get(), in_.data(), in_.size(), MSG_DONTWAIT);
  const bool is_gone = got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR);
  if (is_gone) close(row);
}

void Server::write(Connection& row) {
  make_reply(row);
  // Who takes without end waits for everybody else each time.
  const int rounds_max = reply_.end == ReplyEnd::Again ? 1 : kWriteRounds;
  for (int round = 0; row.sent < reply_.size(); ++round) {
    const std::int64_t sent = round < rounds_max ? send_part(row) : 0;
    if (sent < 0) {
      ++counts_.io_errors;
      return close(row);
    }
    if (sent == 0) {
      arm(row, now() + kIdle);
      return want(row, EPOLLOUT);
    }
    row.sent += static_cast<std::uint64_t>(sent);
    if (reply_.end == ReplyEnd::Again && row.sent == reply_.size() && ++row.ticks < kLapsMax)
      row.sent = reply_.front_length;
  }
  finish(row);
}

// Writes, and when that frees the connection serves what the client sent meanwhile.
void Server::go_on(Connection& row) {
  write(row);
  if (row.is_open() && row.stage == Stage::Reading) take(row, {});
}

// Sends some of the answer from row.sent on. Returns how much, 0 for not now, -1 for never.
std::int64_t Server::send_part(Connection& row) {
  const std::string_view front(reply_.front.data(), reply_.front_length);
  const std::string_view first = front.substr(std::min(row.sent, reply_.front_length));
  const std::string_view second =
      reply_.shared.substr(row.sent > reply_.front_length ? row.sent - reply_.front_length : 0);
  if (row.ssl) {
    const std::size_t head = std::min(first.size(), tls_out_.size());
    const std::size_t tail = std::min(second.size(), tls_out_.size() - head);
    std::memcpy(tls_out_.data(), first.data(), head);
    std::memcpy(tls_out_.data() + head, second.data(), tail);
    std::size_t written = 0;
    ERR_clear_error();
    const int done = SSL_write_ex(row.ssl.get(), tls_out_.data(), head + tail, &written);
    if (done == 1) return static_cast<std::int64_t>(written);
    const int error = SSL_get_error(row.ssl.get(), done);
    return error == SSL_ERROR_WANT_WRITE || error == SSL_ERROR_WANT_READ ? 0 : -1;
  }
  // sendmsg() takes pointers to what it only reads as pointers to what it might write.
  std::array<iovec, 2> parts{{{const_cast<char*>(first.data()), first.size()},
                              {const_cast<char*>(second.data()), second.size()}}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  const ssize_t sent = ::sendmsg(row.socket.get(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent >= 0) return sent;
  return errno == EAGAIN || errno == EINTR ? 0 : -1;
}

// The whole answer is out (or there is none): what its end asks for.
void Server::finish(Connection& row) {
  ++counts_.replies;
  row.sent = 0;
  row.ticks = 0;
  if (row.spill) row.spill->out.clear();
  const Time now = this->now();
  switch (reply_.end) {
    case ReplyEnd::Keep:
      row.stage = Stage::Reading;
      arm(row, now + kIdle);
      return want(row, EPOLLIN);
    case ReplyEnd::Again:  // It is enough.
    case ReplyEnd::Close:
      if (row.ssl) SSL_shutdown(row.ssl.get());
      return close(row);
    case ReplyEnd::Reset:
      make_close_reset(row.socket.get());
      return close(row);
    case ReplyEnd::Hold:
      row.stage = Stage::Holding;
      arm(row, now + kIdle);
      return want(row, EPOLLIN);
    case ReplyEnd::Drip:
      row.stage = Stage::Dripping;
      arm(row, now + kDripEvery);
      return want(row, EPOLLIN);
  }
}

void Server::on_timers(Time now) {
  fired_.clear();
  wheel_.advance(now, fired_);
  for (const std::uint32_t index : fired_) {
    Connection& row = table_[index];
    if (row.is_open()) on_timer(row, now);
  }
}

void Server::on_timer(Connection& row, Time now) {
  switch (row.stage) {
    case Stage::Waiting:
      row.stage = Stage::Writing;
      arm(row, now + kIdle);
      return go_on(row);
    case Stage::Dripping:
      return drip(row, now);
    case Stage::Holding:
      if (++row.ticks < kHoldsMax) return arm(row, now + kIdle);
      break;
    default:
      break;
  }
  ++counts_.idle_closed;
  close(row);
}

void Server::drip(Connection& row, Time now) {
  constexpr char kByte = '.';
  bool is_sent = ++row.ticks < kDripsMax;
  if (is_sent && row.ssl) {
    std::size_t written = 0;
    ERR_clear_error();
    is_sent = SSL_write_ex(row.ssl.get(), &kByte, 1, &written) == 1;
  } else if (is_sent) {
    is_sent = ::send(row.socket.get(), &kByte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) == 1;
  }
  if (!is_sent) return close(row);
  arm(row, now + kDripEvery);
}

void Server::close(Connection& row) noexcept {
  const std::uint32_t index = table_.index_of(row);
  wheel_.disarm(index);
  table_.give_back(index);
  counts_.open = table_.rows_max() - table_.free_count();
  if (is_paused_ && table_.free_count() > kReserved) pause_or_resume();
}

void Server::want(Connection& row, std::uint32_t interest) {
  if (row.interest == interest) return;
  const std::uint32_t index = table_.index_of(row);
  epoll_event event{};
  event.events = interest;
  event.data.u64 = tag_of(index, row.generation);
  const int operation = row.interest == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  if (::epoll_ctl(epoll_, operation, row.socket.get(), &event) != 0) {
    ++counts_.io_errors;
    return close(row);
  }
  row.interest = interest;
}

void Server::arm(Connection& row, Time due) noexcept {
  wheel_.arm(table_.index_of(row), due);
}

}  // namespace watchwheel::fleet
