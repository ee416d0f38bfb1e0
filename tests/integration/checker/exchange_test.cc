// SPDX-License-Identifier: Apache-2.0
// Both exchanges by themselves, where the machine refuses what they need and where they are ended from outside.
#include "checker/exchange.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "checker/direct_exchange.h"
#include "checker/tls_facts.h"
#include "support/certs.h"
#include "support/fault_server.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

// A real reactor that can be told to refuse sockets, as a kernel does at its limit of watches.
class RefusingReactor final : public Reactor {
 public:
  RefusingReactor() : real_(std::move(*Reactor::make(64))) {}
  bool refuse = false;

  int descriptor() const override { return real_->descriptor(); }
  core::Result<void> watch(int fd, std::uint32_t events, IoHandler& handler,
                           std::uint64_t tag) override {
    if (refuse) return core::Error{core::ErrorKind::Unavailable, "no more watches"};
    return real_->watch(fd, events, handler, tag);
  }
  void unwatch(int fd) override { real_->unwatch(fd); }
  void forget(int fd) override { real_->forget(fd); }
  TimerId arm(core::SteadyTime at, TimerHandler& handler, std::uint64_t tag) override {
    return real_->arm(at, handler, tag);
  }
  void disarm(TimerId timer) override { real_->disarm(timer); }
  std::optional<core::SteadyTime> next_timer() const override { return real_->next_timer(); }
  std::size_t run(core::SteadyTime now) override { return real_->run(now); }
  bool more_ready() const override { return real_->more_ready(); }
  ReactorWaits waits() const override { return {}; }

 private:
  std::unique_ptr<Reactor> real_;
};

using Maker = std::unique_ptr<Exchange> (*)(std::size_t, Reactor&, const core::Clock&, BodyMeans&,
                                            bool);

class ExchangeRig : public ::testing::Test, public ExchangeHandler {
 protected:
  explicit ExchangeRig(Maker make) {
    use({});
    exchange = make(8, reactor, clock, bodies, false);
  }
  void use(const core::CheckOptions& options) {
    plan = *make_plan(options,
                      {.user_agent = "test", .allow = {}, .trust = std::make_shared<TrustStores>()},
                      clock.wall());
  }

  ExchangeId begin(const std::string& url, std::uint64_t tag) {
    const Target target = *parse_target(url);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(target.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // As the dialer leaves it: begun without waiting, and connected since.
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (send_buffer > 0) ::setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), -1);
    pollfd ready{.fd = fd, .events = POLLOUT, .revents = 0};
    EXPECT_EQ(::poll(&ready, 1, 5000), 1);
    last_fd = fd;
    return exchange->begin({.fd = fd,
                            .peer = {.ip = *parse_ip("127.0.0.1"), .port = target.port},
                            .target = &target,
                            .plan = plan.get(),
                            .method = "GET"},
                           *this, tag, clock.steady());
  }
  void run_until_results(std::size_t count) {
    const core::SteadyTime end = clock.steady() + 20s;
    while (results.size() < count && clock.steady() < end) turn();
    ASSERT_EQ(results.size(), count);
  }
  void turn() {
    pollfd ready{.fd = reactor.descriptor(), .events = POLLIN, .revents = 0};
    const auto next = exchange->next_deadline();
    ::poll(&ready, 1, next && *next <= clock.steady() ? 0 : 5);
    events += reactor.run(clock.steady());
    exchange->turn(clock.steady());
  }

  HeadAnswer on_head(std::uint64_t, const ResponseHead&) noexcept override {
    return HeadAnswer::ReadBody;
  }
  void on_exchanged(std::uint64_t tag, ExchangeResult&& result,
                    core::SteadyTime) noexcept override {
    results.emplace_back(tag, std::move(result));
  }

  core::SystemClock clock;
  RefusingReactor reactor;
  std::shared_ptr<ProbePlan> plan;
  BodyMeans bodies{{}, KeptBytes{1024 * 1024}};
  std::unique_ptr<Exchange> exchange;
  std::vector<std::pair<std::uint64_t, ExchangeResult>> results;
  int last_fd = -1;
  int send_buffer = 0;     // Of the next socket; 0: as the kernel has it.
  std::size_t events = 0;  // That the reactor told of.
};

class ExchangeTest : public ExchangeRig, public ::testing::WithParamInterface<Maker> {
 protected:
  ExchangeTest() : ExchangeRig(GetParam()) {}
};

INSTANTIATE_TEST_SUITE_P(Each, ExchangeTest,
                         ::testing::Values(&Exchange::make, &make_direct_exchange),
                         [](const auto& maker) {
                           return std::string(maker.index == 0 ? "curl" : "direct");
                         });

TEST_P(ExchangeTest, WithoutAWatchItIsOurTroubleAndTheOthersGoOn) {
  testing::FaultServer server;
  server.on("/", {testing::pause(100ms), testing::ok("hello").front()});
  begin(server.url(), 1);
  while (server.requests().empty()) turn();
  reactor.refuse = true;
  begin(server.url(), 2);
  run_until_results(1);
  EXPECT_EQ(results[0].first, 2U);
  EXPECT_EQ(results[0].second.cause, Cause::LocalResources);
  EXPECT_EQ(::fcntl(last_fd, F_GETFD), -1);  // Closed.
  reactor.refuse = false;
  run_until_results(2);
  EXPECT_EQ(results[1].first, 1U);
  EXPECT_EQ(results[1].second.cause, Cause::Ok) << results[1].second.detail;
}

TEST_P(ExchangeTest, NothingComesFromInsideBegin) {
  testing::FaultServer server;
  server.otherwise(testing::ok("hello"));
  reactor.refuse = true;
  begin(server.url(), 1);
  EXPECT_TRUE(results.empty());
  EXPECT_TRUE(exchange->next_deadline());
  run_until_results(1);
}

// By more than its number, which the server's threads may be given as soon as it is free.
class OpenSocket {
 public:
  explicit OpenSocket(int fd) : fd_(fd), inode_(inode()) {}
  [[nodiscard]] bool is_open() const { return inode() == inode_; }

 private:
  // By its name: to the thread sanitizer a number that is looked at is one that is used, beside whoever is given it.
  [[nodiscard]] ino_t inode() const {
    struct stat facts {};
    const std::string name = "/proc/self/fd/" + std::to_string(fd_);
    return ::stat(name.c_str(), &facts) == 0 ? facts.st_ino : 0;
  }
  const int fd_;
  const ino_t inode_;
};

TEST_P(ExchangeTest, CancelledOrExpiredItIsSilentAndClosed) {
  testing::FaultServer server;
  server.otherwise({testing::hold()});
  const ExchangeId first = begin(server.url(), 1);
  const OpenSocket first_socket(last_fd);
  while (server.requests().empty()) turn();
  const ExchangeId second = begin(server.url(), 2);  // Not yet run at all.
  const OpenSocket second_socket(last_fd);
  const ExchangeResult expired = exchange->expire(first, 3s, clock.steady());
  EXPECT_EQ(expired.cause, Cause::HttpTimeout);
  EXPECT_THAT(expired.detail, HasSubstr("within 3s"));
  exchange->cancel(second, clock.steady());
  EXPECT_FALSE(first_socket.is_open());
  EXPECT_FALSE(second_socket.is_open());
  for (int i = 0; i < 5; ++i) turn();
  EXPECT_TRUE(results.empty());
}

TEST_P(ExchangeTest, EndsWithTransfersUnderWay) {
  testing::FaultServer server;
  server.otherwise({testing::hold()});
  begin(server.url(), 1);
  const OpenSocket socket(last_fd);
  while (server.requests().empty()) turn();
  exchange.reset();
  EXPECT_FALSE(socket.is_open());
}

// A server in the test's own thread, which says what it is told to between turns.
class Peer {
 public:
  // `record_bytes`: the most that it puts into one TLS record.
  explicit Peer(const testing::Certificate* certificate = nullptr, long record_bytes = 16 * 1024,
                int receive_buffer = 0) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      ::setsockopt(listener_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), length), 0);
    EXPECT_EQ(::listen(listener_, 8), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &length), 0);
    port_ = ntohs(address.sin_port);
    if (certificate == nullptr) return;
    context_ = SSL_CTX_new(TLS_server_method());
    EXPECT_EQ(SSL_CTX_use_certificate(context_, certificate->chain.at(0).get()), 1);
    EXPECT_EQ(SSL_CTX_use_PrivateKey(context_, certificate->key.get()), 1);
    SSL_CTX_set_mode(context_, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_max_send_fragment(context_, record_bytes);
  }
  ~Peer() {
    SSL_free(session_);
    SSL_CTX_free(context_);
    if (fd_ != -1) ::close(fd_);
    ::close(listener_);
    ERR_clear_error();
  }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] std::string url() const {
    return (context_ != nullptr ? "https" : "http") + std::string("://127.0.0.1:") +
           std::to_string(port_) + "/";
  }
  void accept() {
    fd_ = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
    ASSERT_NE(fd_, -1);
    const int at_once = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &at_once, sizeof at_once);
    if (context_ == nullptr) return;
    session_ = SSL_new(context_);
    SSL_set_fd(session_, fd_);
  }
  // Goes on with the handshake. True: it is done, and nothing behind it was read.
  bool shake() { return SSL_is_init_finished(session_) == 1 || SSL_accept(session_) == 1; }
  // The same with the request. True: it has come.
  bool has_request() {
    std::array<char, 4096> room{};
    if (!shake()) return false;
    return SSL_read(session_, room.data(), room.size()) > 0;
  }
  // Returns how much of it went out.
  std::size_t say(std::string_view text) {
    std::size_t said = 0;
    while (!text.empty()) {
      const ssize_t sent = session_ != nullptr
                               ? SSL_write(session_, text.data(), static_cast<int>(text.size()))
                               : ::send(fd_, text.data(), text.size(), MSG_NOSIGNAL);
      if (sent <= 0) break;
      said += static_cast<std::size_t>(sent);
      text.remove_prefix(static_cast<std::size_t>(sent));
    }
    ERR_clear_error();
    return said;
  }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  int listener_ = -1;
  int fd_ = -1;
  std::uint16_t port_ = 0;
  SSL_CTX* context_ = nullptr;  // Null: clear text.
  SSL* session_ = nullptr;
};

class DirectExchangeTest : public ExchangeRig {
 protected:
  DirectExchangeTest() : ExchangeRig(&make_direct_exchange) { use(blind()); }
  static core::CheckOptions blind() {
    core::CheckOptions options;
    options.tls_verify = false;
    options.max_body_bytes = 64 * 1024 * 1024;
    return options;
  }
  // Until the server has the client's part of the handshake.
  void shake(Peer& peer) {
    begin(peer.url(), 1);
    peer.accept();
    const core::SteadyTime end = clock.steady() + 20s;
    while (!peer.shake() && clock.steady() < end) turn();
    ASSERT_TRUE(results.empty());
  }
  // Until the server has the request.
  void ask(Peer& peer) {
    begin(peer.url(), 1);
    peer.accept();
    const core::SteadyTime end = clock.steady() + 20s;
    while (!peer.has_request() && clock.steady() < end) turn();
    ASSERT_TRUE(results.empty());
  }
  // Bytes that were taken from our socket, ever.
  [[nodiscard]] std::uint64_t read_so_far() const {
    tcp_info before{};
    tcp_info after{};
    int waiting = 0;
    do {  // Until nothing came in between.
      socklen_t size = sizeof before;
      EXPECT_EQ(::getsockopt(last_fd, IPPROTO_TCP, TCP_INFO, &before, &size), 0);
      EXPECT_EQ(::ioctl(last_fd, FIONREAD, &waiting), 0);
      size = sizeof after;
      EXPECT_EQ(::getsockopt(last_fd, IPPROTO_TCP, TCP_INFO, &after, &size), 0);
    } while (before.tcpi_bytes_received != after.tcpi_bytes_received);
    return std::uint64_t{after.tcpi_bytes_received} - static_cast<std::uint64_t>(waiting);
  }

  testing::Authority root{"Root"};
  testing::Certificate certificate = root.issue({.ips = {"127.0.0.1"}});
};

// Goal: a server that never stops takes the same share of each turn.
TEST_F(DirectExchangeTest, AnEndlessAnswerTakesNoMoreOfATurnThanAtFirst) {
  // A read brings 25 such records: with most of the others something is held back, which asks for a turn.
  Peer peer(&certificate, 650);
  ask(peer);
  peer.say("HTTP/1.1 200 OK\r\n\r\n");
  turn();
  const std::string much(4 * 1024 * 1024, 'x');
  constexpr std::uint64_t kReadAhead = 17'000;
  std::uint64_t first = 0;
  for (int i = 0; i < 24; ++i) {
    peer.say(much);
    const std::uint64_t before = read_so_far();
    turn();
    const std::uint64_t got = read_so_far() - before;
    if (i == 0) first = got;  // Told once, and turned once.
    EXPECT_LE(got, first + kReadAhead) << "turn " << i;
    EXPECT_LE(got, 2 * (128 * 1024 + kReadAhead)) << "turn " << i;
  }
  EXPECT_GT(first, 0U);
  EXPECT_TRUE(results.empty());
}

// Goal: a server that answers before it has read the request, and reads no more of it, is heard. libcurl 7.88 waits on.
TEST_F(DirectExchangeTest, AnAnswerToHalfARequest) {
  core::CheckOptions options;
  options.headers = {{"X-Long", std::string(500'000, 'x')}};
  use(options);
  send_buffer = 4096;
  Peer peer(nullptr, 0, 4096);
  begin(peer.url(), 1);
  peer.accept();
  for (int i = 0; i < 5; ++i) turn();
  peer.say("HTTP/1.1 431 Too long\r\nContent-Length: 5\r\n\r\n");
  for (int i = 0; i < 5; ++i) turn();
  peer.say("sorry");
  run_until_results(1);
  EXPECT_EQ(results[0].second.cause, Cause::Ok) << results[0].second.detail;
  EXPECT_TRUE(results[0].second.head_complete);
  EXPECT_EQ(results[0].second.head.status, 431);
}

// Goal: what a server says while its socket takes nothing costs no turns. Method: it speaks, and reads nothing of the request.
TEST_F(DirectExchangeTest, ARequestThatWaitsToBeSentIsNotWokenByWhatComes) {
  core::CheckOptions options = blind();
  options.headers = {{"X-Long", std::string(500'000, 'x')}};
  use(options);
  send_buffer = 4096;
  Peer peer(&certificate, 16 * 1024, 4096);
  shake(peer);
  peer.say("HTTP/1.1 431 Too long\r\n\r\n");
  for (int i = 0; i < 20; ++i) turn();  // What can still be sent, is.
  events = 0;
  for (int i = 0; i < 20; ++i) turn();
  EXPECT_EQ(events, 0U);
  EXPECT_TRUE(results.empty());
}

// Goal: what the machine refuses us is not told as a site's silence. Method: the time is up before the turn that would tell.
TEST_F(DirectExchangeTest, ExpiredWithoutAWatchItIsOurTrouble) {
  Peer peer(&certificate);
  reactor.refuse = true;
  const ExchangeId exchange_id = begin(peer.url(), 1);  // In the middle of its handshake.
  const ExchangeResult expired = exchange->expire(exchange_id, 3s, clock.steady());
  EXPECT_EQ(expired.cause, Cause::LocalResources) << expired.detail;
  EXPECT_EQ(::fcntl(last_fd, F_GETFD), -1);
  for (int i = 0; i < 3; ++i) turn();
  EXPECT_TRUE(results.empty());
}

TEST_F(DirectExchangeTest, WithoutAWatchInTheHandshakeItIsOurTrouble) {
  Peer peer(&certificate);
  reactor.refuse = true;
  begin(peer.url(), 1);
  run_until_results(1);
  EXPECT_EQ(results[0].second.cause, Cause::LocalResources) << results[0].second.detail;
}

TEST_F(DirectExchangeTest, ExpiredInTheHandshake) {
  Peer peer(&certificate);
  const ExchangeId exchange_id = begin(peer.url(), 1);
  turn();
  const ExchangeResult expired = exchange->expire(exchange_id, 3s, clock.steady());
  EXPECT_EQ(expired.cause, Cause::TlsTimeout) << expired.detail;
  EXPECT_EQ(::fcntl(last_fd, F_GETFD), -1);
}

// Goal: a page is not read later for being sent in small records.
TEST_F(DirectExchangeTest, SmallRecordsTakeAsManyTurnsAsTheirBytes) {
  Peer peer(&certificate, 1400);
  ask(peer);
  const std::string page(512 * 1024, 'x');
  std::string answer =
      "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(page.size()) + "\r\n\r\n" + page;
  std::string_view left = answer;
  int turns = 0;
  const core::SteadyTime end = clock.steady() + 20s;
  while (results.empty() && clock.steady() < end) {
    left.remove_prefix(peer.say(left));
    turn();
    ++turns;
  }
  ASSERT_EQ(results.size(), 1U);
  EXPECT_EQ(results[0].second.cause, Cause::Ok) << results[0].second.detail;
  EXPECT_LT(turns, 20);
}

}  // namespace
}  // namespace watchwheel::checker
