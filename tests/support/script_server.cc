// SPDX-License-Identifier: Apache-2.0
#include "support/script_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>

namespace watchwheel::testing {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr std::size_t kHeadMax = 64 * 1024;
constexpr std::size_t kRequestsKept = 16;

int must(int result, const char* what) {
  if (result < 0)
    throw std::runtime_error(std::string("script server: ") + what + ": " + std::strerror(errno));
  return result;
}

struct Listener {
  int fd = -1;
  std::uint16_t port = 0;

  Listener() {
    fd = must(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    must(::bind(fd, reinterpret_cast<sockaddr*>(&at), size), "bind");
    must(::listen(fd, 4096), "listen");
    must(::getsockname(fd, reinterpret_cast<sockaddr*>(&at), &size), "getsockname");
    port = ntohs(at.sin_port);
  }
  ~Listener() { ::close(fd); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
};

struct SessionDeleter {
  void operator()(SSL* session) const { SSL_free(session); }
};

std::string path_of(std::string_view head) {
  const std::size_t begin = head.find(' ');
  if (begin == std::string_view::npos) return {};
  const std::size_t end = head.find_first_of(" ?\r", begin + 1);
  return std::string(head.substr(begin + 1, end == std::string_view::npos ? end : end - begin - 1));
}

std::size_t body_bytes(std::string_view head) {
  constexpr std::string_view kName = "\r\nContent-Length: ";
  const std::size_t at = head.find(kName);
  return at == std::string_view::npos ? 0
                                      : std::strtoul(head.data() + at + kName.size(), nullptr, 10);
}

// One connection: it reads a request, plays the script of its path, and leaves.
struct Connection {
  enum class State { Handshake, Request, Script, Leaving };
  int fd = -1;
  State state = State::Request;
  std::unique_ptr<SSL, SessionDeleter> tls;
  std::string request;
  std::shared_ptr<const Script> script;
  std::size_t step = 0;
  std::size_t sent = 0;  // Of the step's text.
  std::optional<Clock::time_point> wake;
  std::uint64_t serial = 0;
  std::uint32_t watched = 0;
};

}  // namespace

struct ScriptServer::Impl {
  Listener plain, secure;
  std::shared_ptr<SSL_CTX> context;
  int epoll = -1;
  int bell = -1;             // Rung to end.
  mutable std::mutex mutex;  // Guards scripts and requests.
  std::map<std::string, std::shared_ptr<const Script>, std::less<>> scripts;
  std::map<std::string, std::vector<std::string>, std::less<>> requests;
  const std::shared_ptr<const Script> unknown =
      std::make_shared<const Script>(status(404, "Not Found"));
  // The thread's own.
  std::unordered_map<int, Connection> connections;
  std::multimap<Clock::time_point, std::pair<int, std::uint64_t>> timers;  // Descriptor, serial.
  std::uint64_t serial = 0;
  std::thread thread;

  explicit Impl(const Certificate& certificate) {
    context.reset(SSL_CTX_new(TLS_server_method()), &SSL_CTX_free);
    SSL_CTX_set_mode(context.get(),
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_num_tickets(context.get(), 1);
    if (SSL_CTX_use_certificate(context.get(), certificate.chain.at(0).get()) != 1 ||
        SSL_CTX_use_PrivateKey(context.get(), certificate.key.get()) != 1)
      throw std::runtime_error("script server: certificate");
    for (std::size_t i = 1; i < certificate.chain.size(); ++i)
      SSL_CTX_add1_chain_cert(context.get(), certificate.chain[i].get());
    epoll = must(::epoll_create1(EPOLL_CLOEXEC), "epoll");
    bell = must(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), "eventfd");
    for (const int fd : {plain.fd, secure.fd, bell}) control(fd, EPOLLIN, EPOLL_CTL_ADD);
    thread = std::thread([this]() noexcept { run(); });
  }
  ~Impl() {
    const std::uint64_t one = 1;
    if (::write(bell, &one, sizeof one) != sizeof one) std::abort();
    thread.join();
    for (auto& [fd, one_of_them] : connections) {
      one_of_them.tls.reset();
      ::close(fd);
    }
    ::close(bell);
    ::close(epoll);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void control(int fd, std::uint32_t events, int how) const {
    epoll_event event{};
    event.events = events;
    event.data.fd = fd;
    ::epoll_ctl(epoll, how, fd, &event);
  }
  // Errors and hang-ups are told in any case.
  void watch(Connection& line, std::uint32_t events) const {
    if (std::exchange(line.watched, events) != events) control(line.fd, events, EPOLL_CTL_MOD);
  }

  void run() noexcept {
    // OpenSSL writes with write(2): a client that left would end the whole test by a signal.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    std::array<epoll_event, 256> events{};
    for (;;) {
      const int count = ::epoll_wait(epoll, events.data(), events.size(), wait_ms());
      for (int i = 0; i < count; ++i) {
        const epoll_event& event = events[static_cast<std::size_t>(i)];
        if (event.data.fd == bell) return;
        if (event.data.fd == plain.fd || event.data.fd == secure.fd) {
          accept_all(event.data.fd);
        } else if (const auto at = connections.find(event.data.fd); at != connections.end()) {
          on_event(at->second, event.events);
        }
      }
      run_timers();
    }
  }

  [[nodiscard]] int wait_ms() const {
    if (timers.empty()) return 1000;
    const auto left = std::chrono::ceil<milliseconds>(timers.begin()->first - Clock::now());
    return static_cast<int>(std::clamp(left, milliseconds{0}, milliseconds{1000}).count());
  }

  void run_timers() {
    const auto now = Clock::now();
    while (!timers.empty() && timers.begin()->first <= now) {
      const auto [fd, of] = timers.begin()->second;
      timers.erase(timers.begin());
      const auto at = connections.find(fd);
      if (at == connections.end() || at->second.serial != of || !at->second.wake ||
          *at->second.wake > now)
        continue;
      at->second.wake.reset();
      if (at->second.state == Connection::State::Script) {
        play(at->second);
      } else {
        drop(at->second);
      }
    }
  }
  void wake_in(Connection& line, milliseconds time) {
    line.wake = Clock::now() + time;
    timers.emplace(*line.wake, std::pair{line.fd, line.serial});
  }

  void accept_all(int listener) {
    for (;;) {
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd < 0) return;
      const int one = 1;
      ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      Connection& line = connections[fd] = Connection{};
      line.fd = fd;
      line.serial = ++serial;
      if (listener == secure.fd) {
        line.tls.reset(SSL_new(context.get()));
        SSL_set_fd(line.tls.get(), fd);
        SSL_set_accept_state(line.tls.get());
        line.state = Connection::State::Handshake;
      }
      wake_in(line, kPatience);
      line.watched = EPOLLIN;
      control(fd, EPOLLIN, EPOLL_CTL_ADD);
    }
  }

  void drop(Connection& line) {
    const int fd = line.fd;
    connections.erase(fd);  // Its session goes before the socket's number can be another's.
    ::close(fd);
  }

  void on_event(Connection& line, std::uint32_t events) {
    if (line.state == Connection::State::Handshake && !shake(line)) return;
    if (line.state == Connection::State::Request) {
      read_request(line);
      return;
    }
    if ((events & (EPOLLHUP | EPOLLERR)) != 0) return drop(line);
    if (line.state == Connection::State::Leaving) return drain(line);
    if ((events & EPOLLRDHUP) != 0) return drop(line);  // It holds, and the client left.
    if ((events & EPOLLOUT) != 0) play(line);
  }

  // True when the request may be read.
  bool shake(Connection& line) {
    ERR_clear_error();
    const int done = SSL_do_handshake(line.tls.get());
    if (done == 1) {
      line.state = Connection::State::Request;
      return true;
    }
    const int why = SSL_get_error(line.tls.get(), done);
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) drop(line);
    return false;
  }

  // > 0: so many bytes. 0: none now. < 0: over.
  long receive(Connection& line, std::span<char> into) {
    if (!line.tls) {
      const ssize_t got = ::recv(line.fd, into.data(), into.size(), 0);
      if (got > 0) return got;
      return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
    }
    ERR_clear_error();
    const int got = SSL_read(line.tls.get(), into.data(), static_cast<int>(into.size()));
    if (got > 0) return got;
    const int why = SSL_get_error(line.tls.get(), got);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
  }
  long send(Connection& line, std::string_view bytes) {
    if (!line.tls) {
      const ssize_t sent = ::send(line.fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent >= 0) return sent;
      return errno == EAGAIN || errno == EINTR ? 0 : -1;
    }
    ERR_clear_error();
    const int sent = SSL_write(line.tls.get(), bytes.data(), static_cast<int>(bytes.size()));
    if (sent > 0) return sent;
    const int why = SSL_get_error(line.tls.get(), sent);
    return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
  }

  void read_request(Connection& line) {
    std::array<char, 16 * 1024> bytes;
    for (;;) {
      const long got = receive(line, bytes);
      if (got < 0 || line.request.size() > kHeadMax) return drop(line);
      if (got == 0) return;
      line.request.append(bytes.data(), static_cast<std::size_t>(got));
      const std::size_t end = line.request.find("\r\n\r\n");
      if (end == std::string::npos || line.request.size() < end + 4 + body_bytes(line.request))
        continue;
      const std::string path = path_of(line.request);
      {
        const std::lock_guard guard(mutex);
        std::vector<std::string>& kept = requests[path];
        if (kept.size() < kRequestsKept) kept.push_back(line.request);
        const auto at = scripts.find(path);
        line.script = at == scripts.end() ? unknown : at->second;
      }
      line.state = Connection::State::Script;
      line.wake.reset();
      return play(line);
    }
  }

  void play(Connection& line) {
    while (line.step < line.script->size()) {
      const Step& step = (*line.script)[line.step];
      switch (step.kind) {
        case Step::Kind::Pause:
          ++line.step;
          watch(line, 0);
          return wake_in(line, step.wait);
        case Step::Kind::Drip:
        case Step::Kind::Send:
        case Step::Kind::Endless:
          if (!send_some(line, step)) return;
          break;
        case Step::Kind::Hold:
          watch(line, EPOLLRDHUP);
          return;
        case Step::Kind::HalfClose:
          half_close(line);
          ++line.step;
          break;
        case Step::Kind::CutOff:
          ::shutdown(line.fd, SHUT_WR);
          return leave(line);
        case Step::Kind::Reset: {
          const linger now{.l_onoff = 1, .l_linger = 0};
          ::setsockopt(line.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
          return drop(line);
        }
      }
    }
    half_close(line);
    leave(line);
  }

  // True when the step is done and the next may begin.
  bool send_some(Connection& line, const Step& step) {
    // Endless without text would send nothing for ever.
    while (line.sent < step.text.size()) {
      const std::string_view rest = std::string_view(step.text).substr(line.sent);
      const bool drips = step.kind == Step::Kind::Drip;
      const long sent = send(line, rest.substr(0, drips ? 1 : rest.size()));
      if (sent < 0) {
        drop(line);
        return false;
      }
      if (sent == 0) {
        watch(line, EPOLLOUT);
        return false;
      }
      line.sent += static_cast<std::size_t>(sent);
      if (step.kind == Step::Kind::Endless && line.sent == step.text.size()) {
        line.sent = 0;
        watch(line, EPOLLOUT);
        return false;  // The others have their turn.
      }
      if (drips && line.sent < step.text.size()) {
        watch(line, 0);
        wake_in(line, step.wait);
        return false;
      }
    }
    line.sent = 0;
    ++line.step;
    return true;
  }

  static void half_close(Connection& line) {
    if (line.tls) SSL_shutdown(line.tls.get());
    ::shutdown(line.fd, SHUT_WR);
  }
  // Closing with bytes unread would send a reset, which may overtake what was sent: the client leaves first.
  void leave(Connection& line) {
    line.state = Connection::State::Leaving;
    wake_in(line, kPatience);
    watch(line, EPOLLIN);
    drain(line);
  }
  void drain(Connection& line) {
    std::array<char, 4096> bytes;
    for (;;) {
      const ssize_t got = ::recv(line.fd, bytes.data(), bytes.size(), 0);
      if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
      if (got <= 0) return drop(line);
    }
  }
};

ScriptServer::ScriptServer(const Certificate& certificate)
    : impl_(std::make_unique<Impl>(certificate)) {}
ScriptServer::~ScriptServer() = default;

std::string ScriptServer::url(std::string_view path, bool tls) const {
  return (tls ? "https://127.0.0.1:" : "http://127.0.0.1:") +
         std::to_string(tls ? impl_->secure.port : impl_->plain.port) + std::string(path);
}

void ScriptServer::on(std::string_view path, Script script) {
  auto kept = std::make_shared<const Script>(std::move(script));
  const std::lock_guard guard(impl_->mutex);
  impl_->scripts[std::string(path)] = std::move(kept);
}

void ScriptServer::forget(std::string_view path) {
  const std::lock_guard guard(impl_->mutex);
  if (const auto at = impl_->scripts.find(path); at != impl_->scripts.end())
    impl_->scripts.erase(at);
  if (const auto at = impl_->requests.find(path); at != impl_->requests.end())
    impl_->requests.erase(at);
}

std::vector<std::string> ScriptServer::requests(std::string_view path) const {
  const std::lock_guard guard(impl_->mutex);
  const auto at = impl_->requests.find(path);
  return at == impl_->requests.end() ? std::vector<std::string>{} : at->second;
}

}  // namespace watchwheel::testing
