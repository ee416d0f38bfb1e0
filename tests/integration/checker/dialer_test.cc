// SPDX-License-Identifier: Apache-2.0
#include "checker/dialer.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <random>
#include <thread>

#include "net_loop.h"

namespace watchwheel::checker {
namespace {

using core::Cause;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

IpAddress ip(std::string_view text) {
  return *parse_ip(text);
}

std::size_t open_descriptors() {
  const std::filesystem::directory_iterator entries("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(entries), end(entries)));
}

// A port of one address: listening, silent (its queue of connections is full, so that the kernel drops what asks), or closed.
class Port {
 public:
  enum class Kind { Listening, Silent, Closed };

  Port(const std::string& address, Kind kind, std::uint16_t port = 0) {
    sockaddr_storage at{};
    // Below those that the kernel gives to connections: a second address must find the same number free.
    static std::mt19937 random{std::random_device{}()};
    std::uniform_int_distribution<std::uint16_t> numbers(20'000, 32'000);
    for (int i = 0; i < (port == 0 ? 100 : 1); ++i) {
      if (fd_ != -1) ::close(fd_);
      const socklen_t length = to_sockaddr({ip(address), port == 0 ? numbers(random) : port}, at);
      fd_ = ::socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const int on = 1;
      ::setsockopt(fd_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      bound_ = ::bind(fd_, reinterpret_cast<sockaddr*>(&at), length) == 0;
      if (bound_) break;
    }
    EXPECT_TRUE(bound_) << address << " " << port;
    socklen_t got = sizeof at;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &got);
    endpoint_ = *from_sockaddr(reinterpret_cast<sockaddr*>(&at), got);
    // Closed: bound and not listening, so that nobody else gets the port meanwhile.
    if (kind != Kind::Closed) {
      EXPECT_EQ(::listen(fd_, kind == Kind::Silent ? 0 : 1024), 0);
    }
    if (kind == Kind::Silent) fill();
  }
  ~Port() {
    for (const int fd : fillers_) ::close(fd);
    ::close(fd_);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  [[nodiscard]] std::uint16_t number() const { return endpoint_.port; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  // Until one is not let in: how many it takes is the kernel's affair, and under load they come in late.
  void fill() {
    sockaddr_storage at{};
    const socklen_t length = to_sockaddr(endpoint_, at);
    for (int i = 0; i < 16; ++i) {
      fillers_.push_back(::socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
      (void)::connect(fillers_.back(), reinterpret_cast<sockaddr*>(&at), length);
      pollfd let_in{fillers_.back(), POLLOUT, 0};
      if (::poll(&let_in, 1, 50) == 0) return;
    }
    ADD_FAILURE() << "a queue of connections that never fills";
  }

  int fd_ = -1;
  bool bound_ = false;
  Endpoint endpoint_;
  std::vector<int> fillers_;
};

class DialerTest : public ::testing::Test, public DialHandler {
 protected:
  void start(std::int64_t speed = 1, std::size_t events_max = 64) {
    loop.emplace(speed, events_max);
    dialer = Dialer::make(2000, pairs_max, loop->reactor());
  }
  void TearDown() override {
    for (auto& [tag, dialed] : told) {
      if (dialed.fd >= 0) ::close(dialed.fd);
    }
    told.clear();
    dialer.reset();
  }

  void on_dialed(std::uint64_t tag, Dialed&& dialed, core::SteadyTime now) noexcept override {
    EXPECT_FALSE(inside_dial);
    EXPECT_FALSE(told.contains(tag));
    EXPECT_EQ(dialed.cause == Cause::Ok, dialed.fd >= 0);
    told[tag] = std::move(dialed);
    told_at = now;
  }

  DialId dial(const std::vector<std::string>& addresses, std::uint16_t port, std::uint64_t tag,
              core::Duration timeout = 5s) {
    std::vector<IpAddress> ips;
    for (const std::string& text : addresses) ips.push_back(ip(text));
    inside_dial = true;
    asked_at = loop->now();
    const DialId id = dialer->dial({.addresses = ips,
                                    .port = port,
                                    .allow = allow,
                                    .allow_private = allow_private,
                                    .deadline = asked_at + timeout},
                                   *this, tag, asked_at);
    inside_dial = false;
    return id;
  }

  // Dials and waits.
  const Dialed& dialed(const std::vector<std::string>& addresses, std::uint16_t port,
                       core::Duration timeout = 5s) {
    const std::uint64_t tag = ++last_tag;
    dial(addresses, port, tag, timeout);
    EXPECT_TRUE(loop->run_until([&] { return told.contains(tag); }, timeout + 2s));
    return told[tag];
  }

  std::optional<NetLoop> loop;
  std::unique_ptr<Dialer> dialer;
  std::map<std::uint64_t, Dialed> told;
  std::vector<Cidr> allow;
  bool allow_private = true;
  std::size_t pairs_max = 2000;
  core::SteadyTime asked_at, told_at;
  std::uint64_t last_tag = 0;
  bool inside_dial = false;
};

TEST_F(DialerTest, HandsOverAConnectedSocket) {
  const Port port("127.0.0.1", Port::Kind::Listening);
  start();
  const Dialed& result = dialed({"127.0.0.1"}, port.number());
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(to_string(result.endpoint), "127.0.0.1:" + std::to_string(port.number()));
  EXPECT_EQ(result.tried, 1);
  EXPECT_NE(::fcntl(result.fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(::fcntl(result.fd, F_GETFL) & O_NONBLOCK, 0);
  sockaddr_storage peer{};
  socklen_t length = sizeof peer;
  EXPECT_EQ(::getpeername(result.fd, reinterpret_cast<sockaddr*>(&peer), &length), 0);
}

TEST_F(DialerTest, TheSocketMayBeWatchedByItsNextOwner) {
  struct Waiter : IoHandler {
    void on_io(int, std::uint32_t events, std::uint64_t, core::SteadyTime) noexcept override {
      seen |= events;
    }
    std::uint32_t seen = 0;
  } waiter;
  const Port port("127.0.0.1", Port::Kind::Listening);
  start();
  const int fd = dialed({"127.0.0.1"}, port.number()).fd;
  ASSERT_TRUE(loop->reactor().watch(fd, EPOLLOUT, waiter, 1));
  EXPECT_TRUE(loop->run_until([&] { return waiter.seen != 0; }, 1s));
  loop->reactor().unwatch(fd);
}

TEST_F(DialerTest, ARefusalIsTold) {
  const Port port("127.0.0.1", Port::Kind::Closed);
  start();
  const Dialed& result = dialed({"127.0.0.1"}, port.number());
  EXPECT_EQ(result.cause, Cause::ConnectRefused);
  EXPECT_THAT(result.detail, HasSubstr("127.0.0.1:" + std::to_string(port.number())));
  EXPECT_THAT(result.detail, HasSubstr("refused"));
}

TEST_F(DialerTest, AfterARefusalTheNextAddressComesAtOnce) {
  const Port port("127.0.0.2", Port::Kind::Listening);
  const Port closed("127.0.0.1", Port::Kind::Closed, port.number());
  start();
  const Dialed& result = dialed({"127.0.0.1", "127.0.0.2"}, port.number());
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.tried, 2);
  EXPECT_EQ(to_string(result.endpoint.ip), "127.0.0.2");
  EXPECT_LT(told_at - asked_at, 200ms);
}

TEST_F(DialerTest, SilenceIsATimeoutAtTheDeadline) {
  const Port port("127.0.0.1", Port::Kind::Silent);
  start();
  const Dialed& result = dialed({"127.0.0.1"}, port.number(), 300ms);
  EXPECT_EQ(result.cause, Cause::ConnectTimeout) << result.detail;
  EXPECT_GE(result.took, 300ms);
  EXPECT_LT(result.took, 800ms);
  EXPECT_THAT(result.detail, HasSubstr("300 ms"));
}

// Goal: the time that is told is the one the address had. Method: three silent ones, of which each gets a part.
TEST_F(DialerTest, TheTimeThatIsToldIsTheAddresss) {
  std::vector<std::unique_ptr<Port>> silent;
  std::vector<std::string> addresses;
  for (int i = 1; i <= 3; ++i) {
    addresses.push_back("127.0.0." + std::to_string(i));
    silent.push_back(std::make_unique<Port>(addresses.back(), Port::Kind::Silent,
                                            silent.empty() ? 0 : silent[0]->number()));
  }
  start();
  const Dialed& result = dialed(addresses, silent[0]->number(), 1200ms);
  EXPECT_EQ(result.cause, Cause::ConnectTimeout);
  EXPECT_THAT(result.detail, HasSubstr("3 addresses"));
  const auto at = result.detail.find("within ");
  ASSERT_NE(at, std::string::npos) << result.detail;
  EXPECT_LT(std::stoi(result.detail.substr(at + 7)), 1100) << result.detail;
}

TEST_F(DialerTest, ASilentAddressDelaysTheGoodOneByAHeadStart) {
  const Port port("127.0.0.2", Port::Kind::Listening);
  const Port silent("127.0.0.1", Port::Kind::Silent, port.number());
  start();
  const Dialed& result = dialed({"127.0.0.1", "127.0.0.2"}, port.number());
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.tried, 2);
  EXPECT_GE(told_at - asked_at, 250ms);
  EXPECT_LT(told_at - asked_at, 700ms);
}

// Goal: silent addresses cannot use up the time of a good one behind them, with two places only. Method: five silent ones.
TEST_F(DialerTest, SeveralSilentAddressesLeaveTimeForTheGoodOne) {
  const Port port("127.0.0.6", Port::Kind::Listening);
  std::vector<std::unique_ptr<Port>> silent;
  std::vector<std::string> addresses;
  for (int i = 1; i <= 5; ++i) {
    addresses.push_back("127.0.0." + std::to_string(i));
    silent.push_back(std::make_unique<Port>(addresses.back(), Port::Kind::Silent, port.number()));
  }
  addresses.emplace_back("127.0.0.6");
  start();
  const Dialed& result = dialed(addresses, port.number(), 2s);
  ASSERT_EQ(result.cause, Cause::Ok) << result.detail;
  EXPECT_EQ(result.tried, 6);
  EXPECT_LT(told_at - asked_at, 1900ms);
}

// Goal: the number of sockets is bounded, and who finds no second place still gets its turn. Method: one place for a pair, and
// three dials with a silent address before a good one.
TEST_F(DialerTest, WithoutRoomForAPairTheNextAddressComesInTurn) {
  const Port port("127.0.0.2", Port::Kind::Listening);
  const Port silent("127.0.0.1", Port::Kind::Silent, port.number());
  pairs_max = 1;
  start();
  const std::size_t before = open_descriptors();
  std::size_t most = 0;
  for (std::uint64_t tag = 1; tag <= 3; ++tag)
    dial({"127.0.0.1", "127.0.0.1", "127.0.0.2"}, port.number(), tag, 1500ms);
  ASSERT_TRUE(loop->run_until([&] {
    const auto connected = static_cast<std::size_t>(std::count_if(
        told.begin(), told.end(), [](const auto& one) { return one.second.fd >= 0; }));
    most = std::max(most, open_descriptors() - before - connected);
    return told.size() == 3;
  }));
  EXPECT_EQ(most, 4U);
  for (const auto& [tag, result] : told) EXPECT_EQ(result.cause, Cause::Ok) << result.detail;
  TearDown();
  pairs_max = 0;
  start();
  EXPECT_EQ(dialed({"127.0.0.1", "127.0.0.2"}, port.number(), 2s).cause, Cause::Ok);
  EXPECT_GE(told_at - asked_at, 1s);  // Half of the time is the first one's.
}

// Goal: a handshake that takes long is waited for. Method: the queue of connections is full, and has room when the SYN comes
// again a second later.
TEST_F(DialerTest, ASlowHandshakeIsWaitedFor) {
  const Port port("127.0.0.1", Port::Kind::Silent);
  start();
  dial({"127.0.0.1"}, port.number(), 1, 6s);
  loop->run_for(200ms);
  EXPECT_FALSE(told.contains(1));
  ::fcntl(port.fd(), F_SETFL, O_NONBLOCK);
  std::vector<int> taken;
  ASSERT_TRUE(loop->run_until([&] {
    const int fd = ::accept4(port.fd(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd >= 0) taken.push_back(fd);
    return told.contains(1);
  }));
  for (const int fd : taken) ::close(fd);
  EXPECT_EQ(told[1].cause, Cause::Ok) << told[1].detail;
  EXPECT_GE(told[1].took, 500ms);
}

TEST_F(DialerTest, Ipv6IsTriedFirst) {
  const Port v4("127.0.0.1", Port::Kind::Listening);
  const Port v6("::1", Port::Kind::Listening, v4.number());
  start();
  EXPECT_EQ(to_string(dialed({"127.0.0.1", "::1"}, v4.number()).endpoint.ip), "::1");
}

TEST_F(DialerTest, FamiliesTakeTurns) {
  const Port v4("127.0.0.1", Port::Kind::Listening);
  const Port closed("::1", Port::Kind::Closed, v4.number());
  start();
  const Dialed& result = dialed({"::1", "::1", "::1", "127.0.0.1"}, v4.number());
  EXPECT_EQ(result.cause, Cause::Ok);
  EXPECT_EQ(result.tried, 2);  // ::1 refuses, then 127.0.0.1.
}

TEST_F(DialerTest, TheGuardKeepsItFromPrivateAddresses) {
  const Port port("127.0.0.1", Port::Kind::Listening);
  allow_private = false;
  start();
  const Dialed& result = dialed({"127.0.0.1", "10.0.0.1"}, port.number());
  EXPECT_EQ(result.cause, Cause::AddressBlocked);
  EXPECT_EQ(result.tried, 0);
  EXPECT_THAT(result.detail, HasSubstr("10.0.0.1 is private"));

  // Nothing came, and what is allowed goes through.
  ::fcntl(port.fd(), F_SETFL, O_NONBLOCK);
  EXPECT_EQ(::accept4(port.fd(), nullptr, nullptr, 0), -1);
  allow = {*parse_cidr("127.0.0.0/8")};
  EXPECT_EQ(dialed({"10.0.0.1", "127.0.0.1"}, port.number()).cause, Cause::Ok);
}

TEST_F(DialerTest, WithSomeAddressesBlockedTheFailureOfTheOthersIsTold) {
  const Port port("127.0.0.1", Port::Kind::Closed);
  allow_private = false;
  allow = {*parse_cidr("127.0.0.1")};
  start();
  const Dialed& result = dialed({"10.0.0.1", "127.0.0.1", "192.168.1.1"}, port.number());
  EXPECT_EQ(result.cause, Cause::ConnectRefused);
  EXPECT_EQ(result.tried, 1);
}

TEST_F(DialerTest, NoWayAroundTheGuardByForm) {
  allow_private = false;
  start();
  for (const char* address : {"0.0.0.0", "::", "::1", "::ffff:127.0.0.1", "::127.0.0.1",
                              "224.0.0.1", "169.254.169.254"}) {
    EXPECT_EQ(dialed({address}, 80).cause, Cause::AddressBlocked) << address;
  }
}

// Goal: of different failures the one that says most. Method: one address silent, the other one refusing, in both orders.
TEST_F(DialerTest, ARefusalSaysMoreThanSilence) {
  const Port silent("127.0.0.1", Port::Kind::Silent);
  const Port closed("127.0.0.2", Port::Kind::Closed, silent.number());
  start();
  EXPECT_EQ(dialed({"127.0.0.1", "127.0.0.2"}, silent.number(), 400ms).cause,
            Cause::ConnectRefused);
  EXPECT_EQ(dialed({"127.0.0.2", "127.0.0.1"}, silent.number(), 400ms).cause,
            Cause::ConnectRefused);
}

TEST_F(DialerTest, AResetRightAfterTheHandshakeIsTold) {
  const Port port("127.0.0.1", Port::Kind::Listening);
  start();
  dial({"127.0.0.1"}, port.number(), 1);
  const int peer = ::accept4(port.fd(), nullptr, nullptr, SOCK_CLOEXEC);
  ASSERT_GE(peer, 0);
  const linger abort{.l_onoff = 1, .l_linger = 0};
  ::setsockopt(peer, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  ::close(peer);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1); }));
  EXPECT_EQ(told[1].cause, Cause::ConnectReset) << told[1].detail;
}

TEST_F(DialerTest, WithoutDescriptorsItIsOurTrouble) {
  const Port port("127.0.0.1", Port::Kind::Listening);
  start();
  // Once before: the sanitizers open a descriptor at the first call of each kind.
  EXPECT_EQ(dialed({"127.0.0.1"}, port.number()).cause, Cause::Ok);
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 1;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  dial({"127.0.0.1", "127.0.0.2"}, port.number(), 1000);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1000); }));
  EXPECT_EQ(told[1000].cause, Cause::LocalResources) << told[1000].detail;
}

TEST_F(DialerTest, WithoutTimeLeftNothingIsSaidAboutTheSite) {
  const Port port("127.0.0.1", Port::Kind::Closed);
  start();
  const Dialed& result = dialed({"127.0.0.1"}, port.number(), 0s);
  EXPECT_EQ(result.cause, Cause::LocalOverload);
  EXPECT_EQ(result.tried, 0);
}

// Goal: a loop that is late does not call a connection that was made a timeout. Method: one event a turn, and that one always
// is another descriptor's; the deadline has passed when the dialer gets its turn.
TEST_F(DialerTest, ALateLoopFindsTheConnectionThatWasMade) {
  struct Busy : IoHandler {
    void on_io(int, std::uint32_t, std::uint64_t, core::SteadyTime) noexcept override {}
  } busy;
  const Port port("127.0.0.1", Port::Kind::Listening);
  start(1, 1);
  const int always = ::eventfd(1, EFD_CLOEXEC);
  ASSERT_TRUE(loop->reactor().watch(always, EPOLLIN, busy, 0));
  dial({"127.0.0.1"}, port.number(), 1, 100ms);
  loop->skip(1s);
  ASSERT_TRUE(loop->run_until([&] { return told.contains(1); }));
  EXPECT_EQ(told[1].cause, Cause::Ok) << told[1].detail;
  loop->reactor().unwatch(always);
  ::close(always);
}

TEST_F(DialerTest, TriesAtMostSixteenAddressesOfAFamily) {
  const Port port("127.0.0.1", Port::Kind::Closed);
  std::vector<std::string> addresses;
  for (int i = 1; i <= 20; ++i) addresses.push_back("127.0.1." + std::to_string(i));
  start();
  EXPECT_EQ(dialed(addresses, port.number()).tried, 16);
}

TEST_F(DialerTest, ACancelledDialSaysNothingAndLeavesNothingOpen) {
  const Port silent("127.0.0.1", Port::Kind::Silent);
  start();
  const std::size_t before = open_descriptors();
  const DialId first = dial({"127.0.0.1"}, silent.number(), 1, 300ms);
  EXPECT_NE(first, 0U);
  EXPECT_EQ(open_descriptors(), before + 1);
  dialer->cancel(first);
  EXPECT_EQ(open_descriptors(), before);
  dialer->cancel(first);
  dialer->cancel(0);
  const DialId second = dial({"127.0.0.1"}, silent.number(), 2, 300ms);
  EXPECT_NE(second, first);
  dialer->cancel(first);  // An old name does not reach the new dial in its place.
  ASSERT_TRUE(loop->run_until([&] { return told.contains(2); }));
  EXPECT_FALSE(told.contains(1));
  EXPECT_EQ(open_descriptors(), before);
}

TEST_F(DialerTest, ManyAtOnce) {
  const Port port("127.0.0.1", Port::Kind::Listening);
  const Port closed("127.0.0.2", Port::Kind::Closed, port.number());
  start();
  for (std::uint64_t tag = 1; tag <= 1000; ++tag) {
    dial(tag % 2 == 0 ? std::vector<std::string>{"127.0.0.1"}
                      : std::vector<std::string>{"127.0.0.2"},
         port.number(), tag);
  }
  ASSERT_TRUE(loop->run_until([&] { return told.size() == 1000; }));
  for (const auto& [tag, result] : told) {
    EXPECT_EQ(result.cause, tag % 2 == 0 ? Cause::Ok : Cause::ConnectRefused) << result.detail;
  }
}

// ---- with a network of its own: a thread may leave the machine's for an empty one, where it has the right to.

void run(const std::string& command) {
  ASSERT_EQ(std::system((command + " 2>/dev/null").c_str()), 0) << command;
}

class DialerInOwnNetwork : public DialerTest {
 protected:
  // Runs `body` on a thread in a network namespace with loopback up; skips where that is not allowed.
  void in_own_network(const std::function<void()>& body) {
    bool skipped = false;
    std::thread([&] {
      skipped = ::unshare(CLONE_NEWNET) != 0 || std::system("ip link set lo up 2>/dev/null") != 0;
      if (!skipped) body();
      TearDown();
    }).join();
    if (skipped) GTEST_SKIP() << "no right to make a network namespace";
  }

  // The same, behind a router in a namespace of its own: we are 192.0.2.2 and 2001:db8::2, it is 192.0.2.1 and 2001:db8::1 and
  // our gateway for everything, and it does `routes`. Our kernel gives up on a neighbour after 3 tries of 100 ms.
  void behind_a_router(const std::vector<std::string>& routes, const std::function<void()>& body) {
    in_own_network([&] {
      const int here = ::open("/proc/thread-self/ns/net", O_RDONLY);
      ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
      const int router = ::open("/proc/thread-self/ns/net", O_RDONLY);  // Open in what we run.
      ASSERT_TRUE(here >= 0 && router >= 0);
      ASSERT_EQ(::setns(here, CLONE_NEWNET), 0);
      run("ip link add near type veth peer name far netns /proc/self/fd/" + std::to_string(router));
      ASSERT_EQ(::setns(router, CLONE_NEWNET), 0);
      std::ofstream("/proc/sys/net/ipv4/ip_forward") << "1";
      std::ofstream("/proc/sys/net/ipv6/conf/all/forwarding") << "1";
      std::ofstream("/proc/sys/net/ipv4/icmp_ratelimit") << "0";
      run("ip link set lo up && ip link set far up && ip address add 192.0.2.1/24 dev far");
      run("ip address add 2001:db8::1/64 dev far nodad");
      for (const std::string& route : routes) run("ip route add " + route);
      ASSERT_EQ(::setns(here, CLONE_NEWNET), 0);
      run("ip link set near up && ip address add 192.0.2.2/24 dev near");
      run("ip address add 2001:db8::2/64 dev near nodad");
      run("ip route add default via 192.0.2.1 && ip -6 route add default via 2001:db8::1");
      std::ofstream("/proc/sys/net/ipv4/neigh/near/retrans_time_ms") << "100";
      std::ofstream("/proc/sys/net/ipv6/neigh/near/retrans_time_ms") << "100";
      start();
      body();
      ::close(here);
      ::close(router);
    });
  }
};

// Goal: when every ephemeral port is taken for one destination, that is our want of a port, said as such; and other
// destinations have theirs: the kernel counts ports for each.
TEST_F(DialerInOwnNetwork, WithoutAPortItIsOurWantAndOfThatDestinationOnly) {
  in_own_network([&] {
    std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "40000 40001" << std::flush;
    const Port port("127.0.0.1", Port::Kind::Listening, 20000);
    const Port other("127.0.0.2", Port::Kind::Listening, 20000);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(20000);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    std::vector<int> held;
    int error = 0;
    while (error == 0 && held.size() < 10) {
      held.push_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      if (::connect(held.back(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) error = errno;
    }
    ASSERT_EQ(error, EADDRNOTAVAIL) << "after " << held.size() << " connections";
    start();
    const Dialed& without = dialed({"127.0.0.1"}, 20000);
    EXPECT_EQ(without.cause, Cause::LocalResources) << without.detail;
    EXPECT_TRUE(without.no_port);
    EXPECT_THAT(without.detail, ::testing::HasSubstr("Cannot assign requested address"));
    const Dialed& with = dialed({"127.0.0.2"}, 20000);
    EXPECT_EQ(with.cause, Cause::Ok) << with.detail;
    EXPECT_FALSE(with.no_port);
    for (const int fd : held) ::close(fd);
  });
}

TEST_F(DialerInOwnNetwork, WithoutARouteItIsOurNetwork) {
  in_own_network([&] {
    start();
    const Dialed& result = dialed({"192.0.2.1", "2001:db8::1"}, 80);
    EXPECT_EQ(result.cause, Cause::LocalNetwork) << result.detail;
    EXPECT_EQ(result.tried, 2);
  });
}

TEST_F(DialerInOwnNetwork, WithoutIpv6TheSiteIsJudgedByIpv4) {
  in_own_network([&] {
    const Port port("127.0.0.1", Port::Kind::Listening);
    const Port closed("127.0.0.2", Port::Kind::Closed, port.number());
    start();
    EXPECT_EQ(dialed({"2001:db8::1", "127.0.0.1"}, port.number()).cause, Cause::Ok);
    EXPECT_LT(told_at - asked_at, 200ms);
    EXPECT_EQ(dialed({"2001:db8::1", "127.0.0.2"}, port.number()).cause, Cause::ConnectRefused);
  });
}

TEST_F(DialerInOwnNetwork, OurOwnRoutesThatForbidAreOurNetwork) {
  in_own_network([&] {
    start();
    for (const char* kind : {"unreachable", "prohibit", "blackhole"}) {
      const std::string route =
          std::string("ip route replace ") + kind + " 192.0.2.0/24 2>/dev/null";
      ASSERT_EQ(std::system(route.c_str()), 0);
      EXPECT_EQ(dialed({"192.0.2.1"}, 80).cause, Cause::LocalNetwork) << kind;
    }
  });
}

// Goal: whose word "unreachable" is decides whose fault it is. Method: a router that has no way to the address, one that may
// not let us, and one that has no answer from the last link say it by ICMP; our own kernel says it of a neighbour or gateway
// that answers no ARP (or neighbour solicitation). The error number is the same.
TEST_F(DialerInOwnNetwork, UnreachableByWordFromTheWayIsTheSites) {
  behind_a_router(
      {"unreachable 198.51.100.0/24", "prohibit 203.0.113.0/24", "unreachable 2001:db8:1::/48",
       "prohibit 2001:db8:2::/48"},
      [&] {
        for (const char* address : {"198.51.100.7", "203.0.113.7", "198.18.0.1", "2001:db8:1::7",
                                    "2001:db8:2::7", "2001:db8:3::7"}) {
          const Dialed& result = dialed({address}, 80);
          EXPECT_EQ(result.cause, Cause::ConnectUnreachable)
              << address << ": " << core::to_string(result.cause) << " " << result.detail;
          EXPECT_LT(result.took, 4s);
        }
      });
}

TEST_F(DialerInOwnNetwork, WhatTheRouterSwallowsIsATimeout) {
  behind_a_router({"blackhole 198.51.100.0/24"}, [&] {
    EXPECT_EQ(dialed({"198.51.100.7"}, 80, 600ms).cause, Cause::ConnectTimeout);
  });
}

// Who is asked on our own link and answers no ARP is dead: otherwise nothing there could ever be down.
TEST_F(DialerInOwnNetwork, ADeadHostOnOurLinkIsUnreachable) {
  behind_a_router({}, [&] {
    for (const char* address : {"192.0.2.77", "2001:db8::77"}) {
      const Dialed& result = dialed({address}, 80);
      EXPECT_EQ(result.cause, Cause::ConnectUnreachable) << address << ": " << result.detail;
      EXPECT_THAT(result.detail, HasSubstr("No route to host"));
      EXPECT_LT(result.took, 4s);
    }
  });
}

TEST_F(DialerInOwnNetwork, ADeadGatewayIsOurNetworkAndExplainsSilence) {
  behind_a_router({}, [&] {
    run("ip route replace default via 192.0.2.99");
    run("ip -6 route replace default via 2001:db8::99");
    for (const char* address : {"198.51.100.7", "2001:db8:1::7"}) {
      const Dialed& gone = dialed({address}, 80);
      EXPECT_EQ(gone.cause, Cause::LocalNetwork) << address << ": " << gone.detail;
      EXPECT_THAT(gone.detail, HasSubstr("our own network"));
      EXPECT_LT(gone.took, 4s);
    }
    // Eight addresses in two places: the first ones are dropped as silent before the kernel has given up.
    std::ofstream("/proc/sys/net/ipv4/neigh/near/retrans_time_ms") << "400";
    run("ip neighbour flush dev near");
    std::vector<std::string> many;
    for (int i = 1; i <= 8; ++i) many.push_back("198.51.100." + std::to_string(i));
    const Dialed& result = dialed(many, 80, 3s);
    EXPECT_EQ(result.cause, Cause::LocalNetwork) << result.detail;
  });
}

// A connection that stands must outlast such a message: only the attempt listens for it.
TEST_F(DialerInOwnNetwork, AConnectionThatStandsDoesNotListenForIt) {
  in_own_network([&] {
    const Port v4("127.0.0.1", Port::Kind::Listening);
    const Port v6("::1", Port::Kind::Listening, v4.number());
    start();
    int on = 1;
    socklen_t length = sizeof on;
    ::getsockopt(dialed({"127.0.0.1"}, v4.number()).fd, IPPROTO_IP, IP_RECVERR, &on, &length);
    EXPECT_EQ(on, 0);
    on = 1;
    ::getsockopt(dialed({"::1"}, v4.number()).fd, IPPROTO_IPV6, IPV6_RECVERR, &on, &length);
    EXPECT_EQ(on, 0);
  });
}

TEST_F(DialerInOwnNetwork, WithoutPortsItIsOurTrouble) {
  in_own_network([&] {
    std::ofstream("/proc/sys/net/ipv4/ip_local_port_range") << "50000 50000";
    const Port port("127.0.0.1", Port::Kind::Listening, 8080);
    start();
    ASSERT_EQ(dialed({"127.0.0.1"}, 8080).cause, Cause::Ok);
    EXPECT_EQ(dialed({"127.0.0.1"}, 8080).cause, Cause::LocalResources);
  });
}

}  // namespace
}  // namespace watchwheel::checker
