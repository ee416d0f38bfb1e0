// SPDX-License-Identifier: Apache-2.0
// watchwheel-bench-floor: the least that a check can cost here. A hand-written client that does
// nothing but connect, send a GET, read to the end and look at the status: six system calls. With
// --https: OpenSSL as it comes, one SSL_CTX for all, chain and name verified, a full handshake each.
//
// It knows every address by itself, keeps no deadlines and reports nothing: it is a floor, not a
// checker.
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load.h"

namespace {

using watchwheel::bench::Load;
using watchwheel::bench::now_s;
using watchwheel::bench::Progress;

constexpr std::size_t kEventsMax = 512;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "watchwheel-bench-floor: %s: %s\n", what, std::strerror(errno));
  std::exit(3);
}

struct ContextDeleter {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct SessionDeleter {
  void operator()(SSL* session) const { SSL_free(session); }
};

struct Connection {
  int fd = -1;
  bool sent = false;
  bool good = false;
  bool seen_status = false;
  std::uint32_t site = 0;
  std::unique_ptr<SSL, SessionDeleter> tls;
};

class Client {
 public:
  explicit Client(const Load& load) : load_(load), progress_(load), rows_(load.in_flight) {
    epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
    if (epoll_ < 0) fail("epoll_create1");
    for (std::uint32_t i = load.in_flight; i > 0; --i) free_.push_back(i - 1);
    if (load.https) make_context();
  }
  ~Client() { ::close(epoll_); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  int run() {
    std::array<epoll_event, kEventsMax> events{};
    while (!progress_.done()) {
      const double now = now_s();
      if (progress_.overdue(now)) break;
      for (std::uint64_t n = progress_.may_start(in_flight(), now); n > 0; --n) start();
      const int count = ::epoll_wait(epoll_, events.data(), kEventsMax, timeout_ms(now));
      if (count < 0 && errno != EINTR) fail("epoll_wait");
      for (int i = 0; i < count; ++i) {
        on_event(events[static_cast<std::size_t>(i)].data.u32,
                 events[static_cast<std::size_t>(i)].events);
      }
    }
    return progress_.report();
  }

 private:
  [[nodiscard]] std::uint64_t in_flight() const { return rows_.size() - free_.size(); }

  [[nodiscard]] int timeout_ms(double now) const {
    const double next = progress_.next_start(in_flight());
    if (next <= 0) return 1000;
    return next <= now ? 0 : static_cast<int>((next - now) * 1e3) + 1;
  }

  void make_context() {
    context_.reset(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER, nullptr);
    if (SSL_CTX_load_verify_file(context_.get(), load_.ca_file.c_str()) != 1)
      fail("the CA file cannot be read");
  }

  void start() {
    const std::uint32_t index = free_.back();
    free_.pop_back();
    Connection& row = rows_[index];
    row.site = load_.site_of(progress_.started());
    row.sent = row.good = row.seen_status = false;
    row.fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (row.fd < 0) fail("socket");
    progress_.on_start();
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(load_.port);
    to.sin_addr.s_addr = htonl(load_.address(row.site));
    if (::connect(row.fd, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 &&
        errno != EINPROGRESS) {
      finish(index);
      return;
    }
    if (context_) start_tls(row);
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.u32 = index;
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, row.fd, &event) != 0) fail("epoll_ctl");
  }

  void start_tls(Connection& row) {
    row.tls.reset(SSL_new(context_.get()));
    std::string name = load_.host(row.site);
    // What SSL_set_tlsext_host_name() stands for, without its old-style cast.
    SSL_ctrl(row.tls.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    SSL_set1_host(row.tls.get(), name.c_str());
    SSL_set_fd(row.tls.get(), row.fd);
    SSL_set_connect_state(row.tls.get());
  }

  void on_event(std::uint32_t index, std::uint32_t events) {
    Connection& row = rows_[index];
    if (!row.sent && (events & (EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLIN)) != 0) {
      if (row.tls && !SSL_is_init_finished(row.tls.get())) {
        const int done = SSL_do_handshake(row.tls.get());
        if (done != 1) {
          if (!wants_more(row, done)) finish(index);
          return;
        }
      }
      if (!send_request(row)) {
        finish(index);
        return;
      }
      row.sent = true;
      // A plain answer cannot be here yet, and its arrival is an event; TLS may hold some already.
      if (!row.tls) return;
    }
    if (read_answer(row)) finish(index);
  }

  [[nodiscard]] static bool wants_more(const Connection& row, int done) {
    const int error = SSL_get_error(row.tls.get(), done);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) return true;
    ERR_clear_error();
    return false;
  }

  [[nodiscard]] bool send_request(const Connection& row) const {
    std::array<char, 256> text{};
    const int length =
        std::snprintf(text.data(), text.size(),
                      "GET / HTTP/1.1\r\nHost: %s:%u\r\nUser-Agent: floor\r\nAccept: */*\r\n"
                      "Connection: close\r\n\r\n",
                      load_.host(row.site).c_str(), unsigned{load_.port});
    if (row.tls) return SSL_write(row.tls.get(), text.data(), length) == length;
    return ::send(row.fd, text.data(), static_cast<std::size_t>(length), MSG_NOSIGNAL) == length;
  }

  // True when it is over, well or badly.
  [[nodiscard]] bool read_answer(Connection& row) {
    for (;;) {
      long got = 0;
      if (row.tls) {
        got = SSL_read(row.tls.get(), buffer_.data(), static_cast<int>(buffer_.size()));
        if (got <= 0 && wants_more(row, static_cast<int>(got))) return false;
      } else {
        got = ::recv(row.fd, buffer_.data(), buffer_.size(), 0);
        if (got < 0 && errno == EAGAIN) return false;
      }
      if (got <= 0) return true;
      if (!row.seen_status) {
        row.seen_status = true;
        const std::string_view text(buffer_.data(), static_cast<std::size_t>(got));
        row.good = text.substr(0, 12) == "HTTP/1.1 200";
      }
    }
  }

  void finish(std::uint32_t index) {
    Connection& row = rows_[index];
    row.tls.reset();
    ::close(row.fd);
    row.fd = -1;
    free_.push_back(index);
    progress_.on_result(row.good);
  }

  const Load load_;
  Progress progress_;
  int epoll_ = -1;
  std::vector<Connection> rows_;
  std::vector<std::uint32_t> free_;
  std::unique_ptr<SSL_CTX, ContextDeleter> context_;
  std::array<char, 16384> buffer_{};
};

}  // namespace

int main(int argc, char** argv) {
  const Load load = watchwheel::bench::read_load("watchwheel-bench-floor", argc, argv);
  return Client(load).run();
}
