// SPDX-License-Identifier: Apache-2.0
#include "support/fault_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <list>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

#include "support/child_process.h"

namespace watchwheel::testing {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kHeadMax = 64 * 1024;
constexpr std::size_t kLogMax = 4096;
constexpr milliseconds kGlance{
    20};  // How often a waiting connection looks whether the server stops.

int must(int result, const char* what) {
  if (result < 0)
    throw std::runtime_error(std::string("fault server: ") + what + ": " + std::strerror(errno));
  return result;
}

int listening(const std::string& address, int backlog, std::uint16_t& port) {
  const bool v6 = address.find(':') != std::string::npos;
  const int fd = must(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (v6) {
    auto* in6 = reinterpret_cast<sockaddr_in6*>(&storage);
    in6->sin6_family = AF_INET6;
    must(::inet_pton(AF_INET6, address.c_str(), &in6->sin6_addr) - 1, "address");
    length = sizeof(sockaddr_in6);
  } else {
    auto* in = reinterpret_cast<sockaddr_in*>(&storage);
    in->sin_family = AF_INET;
    must(::inet_pton(AF_INET, address.c_str(), &in->sin_addr) - 1, "address");
    length = sizeof(sockaddr_in);
  }
  must(::bind(fd, reinterpret_cast<sockaddr*>(&storage), length), "bind");
  must(::listen(fd, backlog), "listen");
  must(::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &length), "getsockname");
  port = ntohs(v6 ? reinterpret_cast<sockaddr_in6*>(&storage)->sin6_port
                  : reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
  return fd;
}

// The socket of one connection, with TLS on it or not. Calls block, but never beyond the server's end.
class Line {
 public:
  Line(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {
    ::fcntl(fd_, F_SETFL, O_NONBLOCK);
    const int one = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  }
  ~Line() {
    SSL_free(tls_);
    if (fd_ != -1) ::close(fd_);
  }
  Line(const Line&) = delete;
  Line& operator=(const Line&) = delete;

  bool handshake(SSL_CTX* context) {
    tls_ = SSL_new(context);
    SSL_set_fd(tls_, fd_);
    return until_done([this] { return SSL_accept(tls_); });
  }

  // The next bytes, at least one; nothing when the client left or the server stops.
  std::optional<std::string> receive() {
    std::string bytes(16 * 1024, '\0');
    if (tls_ != nullptr) {
      int got = 0;
      if (!until_done(
              [&] { return got = SSL_read(tls_, bytes.data(), static_cast<int>(bytes.size())); }))
        return std::nullopt;
      bytes.resize(static_cast<std::size_t>(got));
      return bytes;
    }
    while (wait(POLLIN)) {
      const ssize_t got = ::recv(fd_, bytes.data(), bytes.size(), 0);
      if (got > 0) {
        bytes.resize(static_cast<std::size_t>(got));
        return bytes;
      }
      if (got == 0 || (errno != EAGAIN && errno != EINTR)) return std::nullopt;
    }
    return std::nullopt;
  }
  bool resumed() const { return SSL_session_reused(tls_) == 1; }
  bool wait_for_bytes() { return wait(POLLIN); }

  bool send(std::string_view bytes) {
    if (bytes.empty()) return true;
    if (tls_ != nullptr)
      return until_done(
          [&] { return SSL_write(tls_, bytes.data(), static_cast<int>(bytes.size())); });
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent > 0) {
        bytes.remove_prefix(static_cast<std::size_t>(sent));
      } else if (errno != EAGAIN || !wait(POLLOUT)) {
        return false;
      }
    }
    return true;
  }

  // Until `time`, the server's end, or (when `for_client`) the client's leave.
  void rest(std::optional<Clock::time_point> time, bool for_client) {
    while (!stopping_ && (!time || Clock::now() < *time)) {
      const auto left = time ? std::chrono::ceil<milliseconds>(*time - Clock::now()) : kGlance;
      pollfd waits{
          .fd = fd_, .events = static_cast<short>(for_client ? POLLRDHUP : 0), .revents = 0};
      ::poll(&waits, 1, static_cast<int>(std::clamp(left, milliseconds{0}, kGlance).count()));
      if ((waits.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) return;
    }
  }

  void half_close() {
    if (tls_ != nullptr) SSL_shutdown(tls_);
    ::shutdown(fd_, SHUT_WR);
  }
  void cut_off() {
    ::shutdown(fd_, SHUT_WR);
    drain();
  }
  void reset() {
    const linger now{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    ::close(std::exchange(fd_, -1));
  }
  // Closing with bytes unread would send a reset, which may overtake what was sent: read until the client has left, for a while.
  void close_in_order() {
    if (fd_ == -1) return;
    half_close();
    drain();
  }

 private:
  bool wait(short events) {
    while (!stopping_) {
      pollfd ready{.fd = fd_, .events = events, .revents = 0};
      if (::poll(&ready, 1, static_cast<int>(kGlance.count())) > 0) return true;
    }
    return false;
  }
  template <typename Call>
  bool until_done(Call call) {
    while (!stopping_) {
      ERR_clear_error();
      const int result = call();
      if (result > 0) return true;
      const int why = SSL_get_error(tls_, result);
      if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return false;
      if (!wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT)) return false;
    }
    return false;
  }
  void drain() {
    const auto end = Clock::now() + milliseconds{500};
    std::array<char, 4096> bytes;
    while (!stopping_ && Clock::now() < end) {
      pollfd ready{.fd = fd_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, static_cast<int>(kGlance.count())) > 0 &&
          ::recv(fd_, bytes.data(), bytes.size(), 0) <= 0)
        return;
    }
  }

  int fd_;
  const std::atomic<bool>& stopping_;
  SSL* tls_ = nullptr;
};

using Context = std::shared_ptr<SSL_CTX>;

// What a TLS server is set to, as its callbacks need it: as long as the context lives.
struct Manners {
  TlsOptions tls;
};

bool use(SSL* session, const Certificate& certificate) {
  bool good = SSL_use_certificate(session, certificate.chain.at(0).get()) == 1 &&
              SSL_use_PrivateKey(session, certificate.key.get()) == 1;
  for (std::size_t i = 1; i < certificate.chain.size(); ++i)
    good = good && SSL_add1_chain_cert(session, certificate.chain[i].get()) == 1;
  return good;
}

int on_name(SSL* session, int* alert, void* manners) {
  const TlsOptions& tls = static_cast<Manners*>(manners)->tls;
  const char* name = SSL_get_servername(session, TLSEXT_NAMETYPE_host_name);
  const auto known = tls.by_name.find(std::string_view(name == nullptr ? "" : name));
  *alert = SSL_AD_UNRECOGNIZED_NAME;
  if (name != nullptr && tls.refuses_names) return SSL_TLSEXT_ERR_ALERT_FATAL;
  if (name != nullptr && tls.warns_of_names) return SSL_TLSEXT_ERR_ALERT_WARNING;
  if (known == tls.by_name.end())
    return tls.refuses_other_names ? SSL_TLSEXT_ERR_ALERT_FATAL : SSL_TLSEXT_ERR_OK;
  SSL_certs_clear(session);
  return use(session, known->second) ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// `protocol`: the one that the server agrees to.
int choose_protocol(SSL* /*session*/, const unsigned char** chosen, unsigned char* size,
                    const unsigned char* offered, unsigned int offered_size, void* protocol) {
  const auto* wanted = static_cast<const std::string*>(protocol);
  const unsigned char* end = offered + offered_size;
  for (const unsigned char* at = offered; at < end; at += 1 + *at) {
    const std::string_view name(reinterpret_cast<const char*>(at) + 1, *at);
    if (name != *wanted) continue;
    *chosen = at + 1;
    *size = *at;
    return SSL_TLSEXT_ERR_OK;
  }
  return SSL_TLSEXT_ERR_NOACK;
}

void ask_for_certificate(SSL_CTX* context, const TlsOptions& tls) {
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  if (!tls.client_authority) return;
  X509_STORE_add_cert(SSL_CTX_get_cert_store(context), tls.client_authority.get());
  SSL_CTX_add_client_CA(context, tls.client_authority.get());
}

Context make_context(const TlsOptions& tls) {
  SSL_CTX* context = SSL_CTX_new(TLS_server_method());
  if (context == nullptr) throw std::runtime_error("fault server: TLS context");
  auto manners = std::make_shared<Manners>(Manners{tls});
  const Context owned(context, [manners](SSL_CTX* made) { SSL_CTX_free(made); });
  SSL_CTX_set_security_level(context, 0);  // It must be able to be worse than Debian allows.
  SSL_CTX_set_options(context, SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (tls.version_min != 0) SSL_CTX_set_min_proto_version(context, tls.version_min);
  if (tls.version_max != 0) {
    SSL_CTX_set_min_proto_version(context, tls.version_min != 0 ? tls.version_min : TLS1_VERSION);
    SSL_CTX_set_max_proto_version(context, tls.version_max);
  }
  if ((!tls.ciphers.empty() && SSL_CTX_set_cipher_list(context, tls.ciphers.c_str()) != 1) ||
      (!tls.ciphersuites.empty() &&
       SSL_CTX_set_ciphersuites(context, tls.ciphersuites.c_str()) != 1)) {
    throw std::runtime_error("fault server: ciphers");
  }
  if (!tls.groups.empty() && SSL_CTX_set1_groups_list(context, tls.groups.c_str()) != 1) {
    throw std::runtime_error("fault server: groups");
  }
  if (tls.wants_client_certificate) ask_for_certificate(context, tls);
  if (!tls.alpn.empty()) SSL_CTX_set_alpn_select_cb(context, &choose_protocol, &manners->tls.alpn);
  if (tls.refuses_names || tls.warns_of_names || tls.refuses_other_names || !tls.by_name.empty()) {
    // The macro for it casts in C's way.
    SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                          reinterpret_cast<void (*)()>(&on_name));
    SSL_CTX_set_tlsext_servername_arg(context, manners.get());
  }
  bool good = SSL_CTX_use_certificate(context, tls.certificate.chain.at(0).get()) == 1 &&
              SSL_CTX_use_PrivateKey(context, tls.certificate.key.get()) == 1;
  for (std::size_t i = 1; i < tls.certificate.chain.size(); ++i) {
    good = good && SSL_CTX_add1_chain_cert(context, tls.certificate.chain[i].get()) == 1;
  }
  if (!good) throw std::runtime_error("fault server: certificate");
  return owned;
}

std::size_t content_length(std::string_view head) {
  constexpr std::string_view kName = "\r\nContent-Length: ";
  const std::size_t at = head.find(kName);
  return at == std::string_view::npos ? 0
                                      : std::strtoul(head.data() + at + kName.size(), nullptr, 10);
}

std::string path_of(std::string_view head) {
  const std::size_t begin = head.find(' ');
  if (begin == std::string_view::npos) return {};
  const std::size_t end = head.find_first_of(" ?\r", begin + 1);
  return std::string(head.substr(begin + 1, end == std::string_view::npos ? end : end - begin - 1));
}

}  // namespace

Step send(std::string text) {
  return {.kind = Step::Kind::Send, .text = std::move(text)};
}
Step drip(std::string text, milliseconds every) {
  return {.kind = Step::Kind::Drip, .text = std::move(text), .wait = every};
}
Step endless(std::string text) {
  return {.kind = Step::Kind::Endless, .text = std::move(text)};
}
Step pause(milliseconds wait) {
  return {.kind = Step::Kind::Pause, .text = {}, .wait = wait};
}
Step hold() {
  return {.kind = Step::Kind::Hold, .text = {}};
}
Step half_close() {
  return {.kind = Step::Kind::HalfClose, .text = {}};
}
Step cut_off() {
  return {.kind = Step::Kind::CutOff, .text = {}};
}
Step reset() {
  return {.kind = Step::Kind::Reset, .text = {}};
}

Script ok(std::string_view body, std::string_view headers) {
  return status(200, "OK", headers, body);
}

Script status(int code, std::string_view reason, std::string_view headers, std::string_view body) {
  return {send("HTTP/1.1 " + std::to_string(code) + " " + std::string(reason) + "\r\n" +
               std::string(headers) + "Content-Length: " + std::to_string(body.size()) +
               "\r\n\r\n" + std::string(body))};
}

Script redirect(int code, std::string_view location) {
  return status(code, "Moved", "Location: " + std::string(location) + "\r\n");
}

struct FaultServer::Impl {
  std::string address = "127.0.0.1";
  std::uint16_t port_ = 0;
  int listener = -1;
  bool is_tls = false;  // Set before the server runs.
  std::atomic<bool> stopping{false};
  std::atomic<std::uint64_t> connections{0}, finished{0}, resumed{0};
  mutable std::mutex mutex;  // Guards all below.
  Context context;           // Null: plain.
  std::condition_variable less;
  std::map<std::string, Script, std::less<>> paths;
  struct Special {
    std::string path, text;
    Script script;
  };
  std::vector<Special> specials;
  Script other = status(404, "Not Found");
  std::optional<Script> at_connect, at_first_bytes;
  std::deque<std::string> log;
  std::list<std::thread> threads;
  std::vector<std::thread::id> ended;
  std::thread acceptor;

  void open() {
    listener = listening(address, 1024, port_);
    acceptor = std::thread([this]() noexcept { accept_all(); });
  }
  ~Impl() {
    stopping = true;
    less.notify_all();
    if (acceptor.joinable()) acceptor.join();
    for (std::thread& thread : threads) thread.join();
    if (listener != -1) ::close(listener);
  }

  void accept_all() noexcept {
    while (!stopping) {
      pollfd ready{.fd = listener, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, static_cast<int>(kGlance.count())) <= 0) continue;
      const int fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) {
        std::this_thread::sleep_for(
            milliseconds{1});  // Out of descriptors: let some connection end.
        continue;
      }
      ++connections;
      std::unique_lock lock(mutex);
      less.wait(lock,
                [this] { return stopping || threads.size() - ended.size() < kConnectionsMax; });
      join_ended();
      threads.emplace_back([this, fd]() noexcept {
        // OpenSSL writes with write(2): a client that left would end the whole test by a signal.
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
        serve(fd);
        ++finished;
        const std::lock_guard guard(mutex);
        ended.push_back(std::this_thread::get_id());
        less.notify_all();
      });
    }
  }
  void join_ended() {
    for (const std::thread::id id : ended) {
      const auto at = std::find_if(threads.begin(), threads.end(),
                                   [&](const std::thread& t) { return t.get_id() == id; });
      if (at == threads.end()) continue;
      at->join();
      threads.erase(at);
    }
    ended.clear();
  }

  void serve(int fd) noexcept {
    Line line(fd, stopping);
    std::optional<Script> early, first;
    Context tls;
    {
      const std::lock_guard guard(mutex);
      tls = context;
      early = at_connect;
      first = at_first_bytes;
    }
    if (early) return play(line, *early);
    if (first) {
      if (line.wait_for_bytes()) play(line, *first);
      return;
    }
    if (tls && !line.handshake(tls.get())) return line.close_in_order();
    if (tls && line.resumed()) ++resumed;
    const std::optional<std::string> request = read_request(line);
    if (request) play(line, script_for(*request));
  }

  std::optional<std::string> read_request(Line& line) {
    std::string request;
    std::size_t wanted = std::string::npos;
    while (wanted == std::string::npos || request.size() < wanted) {
      const auto more = line.receive();
      if (!more || request.size() > kHeadMax + content_length(request)) return std::nullopt;
      request += *more;
      const std::size_t end = request.find("\r\n\r\n");
      if (end != std::string::npos) wanted = end + 4 + content_length(request);
    }
    return request;
  }

  Script script_for(const std::string& request) {
    const std::lock_guard guard(mutex);
    log.push_back(request);
    if (log.size() > kLogMax) log.pop_front();
    const std::string path = path_of(request);
    for (const Special& special : specials) {
      if (special.path == path && request.find(special.text) != std::string::npos)
        return special.script;
    }
    const auto at = paths.find(path);
    return at == paths.end() ? other : at->second;
  }

  void play(Line& line, const Script& script) {
    for (const Step& step : script) {
      if (stopping) return;
      switch (step.kind) {
        case Step::Kind::Send:
          if (!line.send(step.text)) return;
          break;
        case Step::Kind::Drip:
          for (const char c : step.text) {
            if (!line.send({&c, 1})) return;
            line.rest(Clock::now() + step.wait, false);
          }
          break;
        case Step::Kind::Endless:
          while (!stopping) {
            if (!line.send(step.text)) return;
          }
          return;
        case Step::Kind::Pause:
          line.rest(Clock::now() + step.wait, false);
          break;
        case Step::Kind::Hold:
          return line.rest(std::nullopt, true);
        case Step::Kind::HalfClose:
          line.half_close();
          break;
        case Step::Kind::CutOff:
          return line.cut_off();
        case Step::Kind::Reset:
          return line.reset();
      }
    }
    line.close_in_order();
  }
};

FaultServer::FaultServer() : impl_(std::make_unique<Impl>()) {
  impl_->open();
}

FaultServer::FaultServer(TlsOptions tls) : impl_(std::make_unique<Impl>()) {
  impl_->context = make_context(tls);
  impl_->is_tls = true;
  impl_->address = tls.address;
  impl_->open();
}

FaultServer::FaultServer(std::string_view address) : impl_(std::make_unique<Impl>()) {
  impl_->address = address;
  impl_->open();
}

FaultServer::~FaultServer() = default;

std::uint16_t FaultServer::port() const {
  return impl_->port_;
}

std::string FaultServer::url(std::string_view path, std::string_view host) const {
  std::string where = host.empty() ? impl_->address : std::string(host);
  if (where.find(':') != std::string::npos) where = "[" + where + "]";
  return (impl_->is_tls ? "https://" : "http://") + where + ":" + std::to_string(port()) +
         std::string(path);
}

void FaultServer::on(std::string_view path, Script script) {
  const std::lock_guard guard(impl_->mutex);
  impl_->paths[std::string(path)] = std::move(script);
}
void FaultServer::on(std::string_view path, std::string_view text, Script script) {
  const std::lock_guard guard(impl_->mutex);
  impl_->specials.push_back({std::string(path), std::string(text), std::move(script)});
}
void FaultServer::take_little() {
  const int least = 1;
  must(::setsockopt(impl_->listener, SOL_SOCKET, SO_RCVBUF, &least, sizeof least), "buffer");
  // The client's kernel makes room for ten segments, which on loopback are of 64 KiB.
  const int segment = 536;
  must(::setsockopt(impl_->listener, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment), "segment");
}
void FaultServer::otherwise(Script script) {
  const std::lock_guard guard(impl_->mutex);
  impl_->other = std::move(script);
}
void FaultServer::set_tls(const TlsOptions& tls) {
  Context made = make_context(tls);
  const std::lock_guard guard(impl_->mutex);
  impl_->context = std::move(made);
}
void FaultServer::on_connect(Script script) {
  const std::lock_guard guard(impl_->mutex);
  impl_->at_connect = std::move(script);
}
void FaultServer::on_first_bytes(Script script) {
  const std::lock_guard guard(impl_->mutex);
  impl_->at_first_bytes = std::move(script);
}
std::uint64_t FaultServer::connections() const {
  return impl_->connections;
}
std::uint64_t FaultServer::finished() const {
  return impl_->finished;
}
std::uint64_t FaultServer::resumed() const {
  return impl_->resumed;
}
std::vector<std::string> FaultServer::requests() const {
  const std::lock_guard guard(impl_->mutex);
  return {impl_->log.begin(), impl_->log.end()};
}
std::string FaultServer::last_request() const {
  const std::lock_guard guard(impl_->mutex);
  return impl_->log.empty() ? std::string{} : impl_->log.back();
}

DeafPort::DeafPort() {
  fds_.push_back(listening("127.0.0.1", 0, port_));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port_);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  // Enough to fill the queue of established connections; those beyond hang, as the test's will.
  for (int i = 0; i < 4; ++i) {
    const int fd = must(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), "socket");
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) < 0 &&
        errno != EINPROGRESS)
      must(-1, "connect");
    fds_.push_back(fd);
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    ::poll(&ready, 1, 100);
  }
}

DeafPort::~DeafPort() {
  for (const int fd : fds_) ::close(fd);
}

std::uint16_t closed_port() {
  return static_cast<std::uint16_t>(free_port());
}

}  // namespace watchwheel::testing
