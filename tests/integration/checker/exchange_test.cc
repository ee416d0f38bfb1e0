// SPDX-License-Identifier: Apache-2.0
// Both exchanges by themselves, where the machine refuses what they need and where they are ended from outside.
#include "checker/exchange.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "checker/direct_exchange.h"
#include "checker/tls_facts.h"
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

 private:
  std::unique_ptr<Reactor> real_;
};

using Maker = std::unique_ptr<Exchange> (*)(std::size_t, Reactor&, const core::Clock&, BodyMeans&,
                                            bool);

class ExchangeTest : public ::testing::TestWithParam<Maker>, public ExchangeHandler {
 protected:
  ExchangeTest() {
    core::CheckOptions options;
    plan = *make_plan(options,
                      {.user_agent = "test", .allow = {}, .trust = std::make_shared<TrustStores>()},
                      clock.wall());
    exchange = GetParam()(8, reactor, clock, bodies, false);
  }

  ExchangeId begin(const std::string& url, std::uint64_t tag) {
    const Target target = *parse_target(url);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(target.port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // As the dialer leaves it: begun without waiting, and connected since.
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
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
    reactor.run(clock.steady());
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
  [[nodiscard]] ino_t inode() const {
    struct stat facts {};
    return ::fstat(fd_, &facts) == 0 ? facts.st_ino : 0;
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

}  // namespace
}  // namespace watchwheel::checker
