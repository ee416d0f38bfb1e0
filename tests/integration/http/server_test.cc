// SPDX-License-Identifier: Apache-2.0
// The listener over real sockets: what is served, and what each limit does.
#include "http/server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "raw_client.h"
#include "support/fake_engine_view.h"

namespace watchwheel::http {
namespace {

using namespace std::chrono_literals;
using testing::FakeEngineView;

constexpr const char* kGet = "GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\n";

class HttpServer : public ::testing::Test {
 protected:
  void start(ServerLimits limits = {}, const std::string& token = "",
             const std::string& listen = "127.0.0.1:0", StoreDesk* desk = nullptr) {
    auto opened = Server::open({.listen = listen, .token = token, .limits = limits}, engine, desk);
    ASSERT_TRUE(opened) << opened.error().message;
    server = *std::move(opened);
    server->start();
  }
  [[nodiscard]] std::uint16_t port() const { return server->local_port(); }
  [[nodiscard]] std::uint64_t refused(Refused reason) const {
    return server->stats().refused[static_cast<std::size_t>(reason)].value();
  }
  // Counters are written by the http thread a moment after the client saw the effect.
  [[nodiscard]] bool eventually(const std::function<bool()>& condition) const {
    for (int i = 0; i < 2000; ++i) {
      if (condition()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }

  FakeEngineView engine;
  std::unique_ptr<Server> server;
};

// Goal: what we may start one day gets none of our sockets. Method: every stream socket of this process that is bound to the
// listener's port, the listener and the connection that it took, with the other end of the latter as the one that is left out.
TEST_F(HttpServer, ItsSocketsAreClosedOnExec) {
  start();
  RawClient client(port());
  ASSERT_TRUE(client.get("/-/ready"));
  int seen = 0;
  for (int fd = 3; fd < 1024; ++fd) {
    sockaddr_in local{};
    socklen_t size = sizeof local;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&local), &size) != 0) continue;
    if (local.sin_family != AF_INET || ntohs(local.sin_port) != port()) continue;
    ++seen;
    EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
  }
  EXPECT_EQ(seen, 2);
}

TEST_F(HttpServer, ServesMetricsOnItsOwnThread) {
  start();
  RawClient client(port());
  const auto response = client.get("/metrics");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200u);
  EXPECT_EQ(response->headers.at("content-type"), "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_EQ(response->headers.at("cache-control"), "no-store");
  EXPECT_EQ(response->headers.at("x-content-type-options"), "nosniff");
  EXPECT_NE(response->body.find("watchwheel_sites{state=\"up\"} 3\n"), std::string::npos);
  server->stop();
  EXPECT_EQ(engine.asked_on_thread, "http");
}

TEST_F(HttpServer, ListensOnIpv6) {
  start({}, "", "[::1]:0");
  RawClient client(port(), /*ipv6=*/true);
  const auto response = client.get("/-/healthy");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->body, "healthy\n");
}

TEST_F(HttpServer, HeadHasTheLengthOfGetAndNoBody) {
  start();
  RawClient client(port());
  const auto get = client.get("/metrics");
  ASSERT_TRUE(get);
  client.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  const auto head = client.receive(/*head=*/true);
  ASSERT_TRUE(head);
  EXPECT_EQ(head->headers.at("content-length"), std::to_string(get->body.size()));
  // Had a body followed, it would stand before the next status line.
  const auto next = client.get("/-/ready");
  ASSERT_TRUE(next);
  EXPECT_EQ(next->status, 200u);
  EXPECT_EQ(next->body, "ready\n");
}

TEST_F(HttpServer, ConnectionsAreKeptUntilTheClientSaysOtherwise) {
  start();
  RawClient client(port());
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(client.get("/-/ready")) << i;
  const auto last = client.get("/-/ready", "Connection: close\r\n");
  ASSERT_TRUE(last);
  EXPECT_EQ(last->headers.at("connection"), "close");
  EXPECT_TRUE(client.closed_by_peer());

  RawClient old(port());
  old.send("GET /-/ready HTTP/1.0\r\n\r\n");  // No Host, and no keep-alive, in 1.0.
  const auto response = old.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200u);
  EXPECT_TRUE(old.closed_by_peer());
}

TEST_F(HttpServer, RequestsSentAheadAreAnsweredInOrder) {
  start();
  RawClient client(port());
  client.send(
      "GET /-/ready HTTP/1.1\r\nHost: x\r\n\r\nGET /nothing HTTP/1.1\r\nHost: x\r\n\r\nHEAD "
      "/-/healthy HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client.receive()->status, 200u);
  EXPECT_EQ(client.receive()->status, 404u);
  EXPECT_EQ(client.receive(true)->status, 200u);
}

TEST_F(HttpServer, ARequestMayArriveByteByByte) {
  start();
  RawClient client(port());
  for (const char* c = kGet; *c != '\0'; ++c) ASSERT_TRUE(client.send({c, 1}));
  ASSERT_TRUE(client.receive());
}

TEST_F(HttpServer, AHeadAboveTheLimitIsToldSo) {
  start();
  RawClient client(port());
  client.send("GET /-/ready HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(9000, 'a') + "\r\n\r\n");
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 431u);
  EXPECT_EQ(response->headers.at("connection"), "close");
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(refused(Refused::HeadTooLarge), 1u);

  // One that never ends is cut off as well.
  RawClient endless(port());
  endless.send("GET / HTTP/1.1\r\n");
  for (int i = 0; i < 100'000 && endless.send("X-More: 0123456789abcdef0123456789abcdef\r\n");
       ++i) {
  }
  EXPECT_TRUE(endless.closed_by_peer());
  EXPECT_EQ(refused(Refused::HeadTooLarge), 2u);
}

TEST_F(HttpServer, AHeadJustBelowTheLimitIsServed) {
  start();
  RawClient client(port());
  const auto response = client.get("/-/ready", "X-Long: " + std::string(8000, 'a') + "\r\n");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200u);
}

TEST_F(HttpServer, ABodyAboveTheLimitIsToldSo) {
  start();
  RawClient announced(port());
  announced.send("POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n");
  const auto first = announced.receive();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->status, 413u);
  EXPECT_TRUE(announced.closed_by_peer());

  RawClient chunked(port());
  chunked.send("POST /-/reload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  const std::string chunk = "1000\r\n" + std::string(4096, 'b') + "\r\n";
  for (int i = 0; i < 17; ++i) chunked.send(chunk);
  const auto second = chunked.receive();
  ASSERT_TRUE(second);
  EXPECT_EQ(second->status, 413u);
  EXPECT_EQ(refused(Refused::BodyTooLarge), 2u);
  EXPECT_EQ(engine.reloads, 0);
}

TEST_F(HttpServer, ABodyWithinTheLimitIsReadAndIgnored) {
  start();
  RawClient client(port());
  client.send("POST /-/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n" +
              std::string(65536, 'b'));
  const auto response = client.receive();
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200u);
  EXPECT_EQ(client.get("/-/ready")->status, 200u);
}

TEST_F(HttpServer, WhatIsNoHttpIsToldSoAndClosed) {
  start();
  std::uint64_t count = 0;
  for (const std::string& bytes : std::vector<std::string>{
           "hello\r\n\r\n", "GET / HTTP/9.9\r\nHost: x\r\n\r\n", "GET  HTTP/1.1\r\nHost: x\r\n\r\n",
           "GET / HTTP/1.1\r\nHost x\r\n\r\n",
           "GET / HTTP/1.1\r\n\r\n",  // No Host.
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
           std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 15),  // A TLS hello.
       }) {
    RawClient client(port());
    client.send(bytes);
    const auto response = client.receive();
    ASSERT_TRUE(response) << bytes;
    EXPECT_EQ(response->status, 400u) << bytes;
    EXPECT_TRUE(client.closed_by_peer()) << bytes;
    EXPECT_EQ(refused(Refused::Malformed), ++count) << bytes;
  }
}

// Goal: a client that drips its request holds a connection for a bounded time. Method: a byte every 20 ms, far
// fewer than the request has within its limit.
TEST_F(HttpServer, ASlowRequestIsCutOff) {
  ServerLimits limits;
  limits.request = 300ms;
  start(limits);
  RawClient client(port());
  const std::string request = "GET /-/ready HTTP/1.1\r\nX: " + std::string(1000, 'a');
  bool taken = true;
  for (std::size_t i = 0; i < request.size() && taken; ++i) {
    taken = client.send({&request[i], 1});
    std::this_thread::sleep_for(20ms);
  }
  EXPECT_FALSE(taken);
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(eventually([&] { return refused(Refused::Timeout) == 1; }));
  EXPECT_TRUE(RawClient(port()).get("/-/ready"));
}

// Goal: a client that does not read its answer is cut off too. Method: an answer larger than all socket buffers.
TEST_F(HttpServer, AnAnswerThatIsNotReadIsCutOff) {
  std::vector<std::pair<std::string, double>> many;
  for (int i = 0; i < 100'000; ++i) many.emplace_back(std::string(200, 'x') + std::to_string(i), 1);
  engine.more.push_back(gauge("watchwheel_many", "Many.", by("l", many)));
  ServerLimits limits;
  limits.request = 500ms;
  start(limits);
  RawClient client(port());
  client.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(eventually([&] { return refused(Refused::Timeout) == 1; }));
  EXPECT_FALSE(client.receive());
  EXPECT_TRUE(eventually([&] { return server->stats().connections.value() == 0; }));
}

TEST_F(HttpServer, AnIdleConnectionIsClosed) {
  ServerLimits limits;
  limits.idle = 100ms;
  start(limits);
  RawClient silent(port());
  EXPECT_TRUE(silent.closed_by_peer());
  RawClient client(port());
  ASSERT_TRUE(client.get("/-/ready"));
  EXPECT_TRUE(client.closed_by_peer());
  EXPECT_EQ(refused(Refused::Timeout), 0u);  // Being idle is no fault.
}

TEST_F(HttpServer, ConnectionsAboveTheLimitGet503AndRoomComesBack) {
  ServerLimits limits;
  limits.connections = 4;
  start(limits);
  std::list<RawClient> clients;
  for (std::size_t i = 0; i < limits.connections; ++i) {
    ASSERT_TRUE(clients.emplace_back(port()).get("/-/ready"));
  }
  EXPECT_EQ(server->stats().connections.value(), 4);
  {
    RawClient fifth(port());
    fifth.send(kGet);
    const auto response = fifth.receive();
    ASSERT_TRUE(response);
    EXPECT_EQ(response->status, 503u);
    EXPECT_EQ(response->headers.at("connection"), "close");
    EXPECT_EQ(response->headers.at("retry-after"), "1");
    EXPECT_TRUE(fifth.closed_by_peer());
  }
  EXPECT_EQ(refused(Refused::TooManyConnections), 1u);
  EXPECT_TRUE(clients.front().get("/-/ready"));  // Those inside are served as before.

  clients.pop_front();
  EXPECT_TRUE(eventually([&] { return server->stats().connections.value() == 3; }));
  const auto response = RawClient(port()).get("/-/ready");
  ASSERT_TRUE(response);
  EXPECT_EQ(response->status, 200u);
}

// A flood beyond what can be told 503 is closed unanswered; nothing grows, and the listener goes on.
TEST_F(HttpServer, AFloodIsClosedUnanswered) {
  ServerLimits limits;
  limits.connections = 2;
  start(limits);
  std::list<RawClient> inside;
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(inside.emplace_back(port()).get("/-/ready"));
  std::list<RawClient> flood;
  for (int i = 0; i < 100; ++i) flood.emplace_back(port());
  EXPECT_TRUE(eventually([&] { return refused(Refused::TooManyConnections) == 100; }));
  EXPECT_EQ(server->stats().connections.value(), 2);
  for (RawClient& client : flood) EXPECT_TRUE(client.closed_by_peer());
  EXPECT_TRUE(inside.front().get("/-/ready"));
}

// Goal: without a descriptor to accept with, the listener waits and goes on. Method: the process's limit is lowered to
// what is open while a client connects.
TEST_F(HttpServer, SurvivesHavingNoDescriptorLeft) {
  start();
  ASSERT_TRUE(RawClient(port()).get("/-/ready"));
  ASSERT_TRUE(eventually([&] { return server->stats().connections.value() == 0; }));
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  std::list<int>
      plugs;  // Fill every hole below the highest descriptor, so that the next one is above the limit.
  RawClient client(port());
  ASSERT_TRUE(client.get("/-/ready"));
  for (int fd = open("/dev/null", O_RDONLY | O_CLOEXEC); fd >= 0;
       fd = open("/dev/null", O_RDONLY | O_CLOEXEC)) {
    plugs.push_back(fd);
    if (plugs.size() > 64) break;
  }
  const rlimit tight{static_cast<rlim_t>(plugs.back()) + 1, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  close(plugs.back());  // One is left: the client takes it, and the server finds none.
  plugs.pop_back();
  RawClient waiting(port());
  EXPECT_TRUE(waiting.connected());
  const bool noticed = eventually([&] { return server->stats().accept_errors.value() >= 2; });
  EXPECT_TRUE(client.get("/-/ready"));  // Connections that are open are served meanwhile.
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  for (const int fd : plugs) close(fd);
  EXPECT_TRUE(noticed);
  EXPECT_TRUE(waiting.get("/-/ready"));
}

TEST_F(HttpServer, ATokenIsAskedForOverTheWire) {
  start({}, "s3cret");
  RawClient client(port());
  const auto stranger = client.get("/metrics");
  ASSERT_TRUE(stranger);
  EXPECT_EQ(stranger->status, 401u);
  EXPECT_EQ(stranger->headers.at("www-authenticate"), "Bearer realm=\"watchwheel\"");
  EXPECT_EQ(client.get("/metrics", "Authorization: Bearer s3cret\r\n")->status, 200u);
  EXPECT_EQ(client.get("/-/healthy")->status, 200u);
}

TEST_F(HttpServer, APageElsewhereCannotReload) {
  start();
  RawClient client(port());
  client.send(
      "POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nOrigin: "
      "http://evil.example\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(client.receive()->status, 403u);
  EXPECT_EQ(engine.reloads, 0);
  client.send("POST /-/reload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n");
  EXPECT_EQ(client.receive()->status, 200u);
  EXPECT_EQ(engine.reloads, 1);
}

TEST_F(HttpServer, ManyClientsAtOnceAreAllAnswered) {
  start();
  std::atomic<int> answered{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&answered, port = port()] {
      for (int i = 0; i < 5; ++i) {
        RawClient client(port);
        for (int k = 0; k < 10; ++k) {
          const auto response = client.get(k % 2 == 0 ? "/metrics" : "/api/v1/status");
          if (response && response->status == 200) ++answered;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(answered, 400);
  EXPECT_EQ(server->stats().answers[2].value(), 400u);
}

TEST_F(HttpServer, AClientThatVanishesHurtsNobody) {
  start();
  for (int i = 0; i < 50; ++i) {
    RawClient client(port());
    client.send(i % 2 == 0 ? "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" : "GET /metr");
  }
  EXPECT_TRUE(RawClient(port()).get("/-/ready"));
  EXPECT_TRUE(eventually([&] { return server->stats().connections.value() == 0; }));
}

TEST_F(HttpServer, StoppingClosesEverythingAndFreesThePort) {
  start();
  const std::uint16_t used = port();
  RawClient idle(used);
  ASSERT_TRUE(idle.get("/-/ready"));
  RawClient half(used);
  half.send("GET /-/re");
  server->stop();
  EXPECT_TRUE(idle.closed_by_peer());
  EXPECT_TRUE(half.closed_by_peer());
  EXPECT_FALSE(RawClient(used).connected());
  server->stop();  // Harmless.
  start({}, "", "127.0.0.1:" + std::to_string(used));
  EXPECT_TRUE(RawClient(used).get("/-/ready"));
}

TEST_F(HttpServer, NeverStartedItStopsToo) {
  auto opened = Server::open({.listen = "127.0.0.1:0", .token = {}, .limits = {}}, engine);
  ASSERT_TRUE(opened);
  (*opened)->stop();
}

TEST_F(HttpServer, AnAddressThatCannotBeListenedOnIsNamedWithItsRemedy) {
  start();
  const auto message = [&](const std::string& listen) {
    const auto opened = Server::open({.listen = listen, .token = {}, .limits = {}}, engine);
    return opened ? std::string("opened") : opened.error().message;
  };
  const std::string taken = "127.0.0.1:" + std::to_string(port());
  EXPECT_EQ(message(taken),
            "cannot listen on " + taken +
                ": Address already in use; another program listens there: stop it, or set "
                "http.listen to another port");
  EXPECT_NE(message("192.0.2.1:9464").find("this machine does not have that address"),
            std::string::npos);
  for (const char* wrong : {"", ":", "9464", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                            "127.0.0.1:65536", "127.0.0.1:-1", "127.0.0.1: 80", "localhost:9464",
                            "::1:9464", "[127.0.0.1]:1", "[::1]", "[::1:1", "127.0.0.1:80 "}) {
    EXPECT_NE(message(wrong).find("is not IP:PORT or [IP]:PORT"), std::string::npos) << wrong;
  }
}

// Keeps what it is asked until the test answers, from another thread than the listener's.
class SlowDesk final : public StoreDesk {
 public:
  [[nodiscard]] const std::vector<StoreRoute>& routes() const override { return routes_; }
  void ask(std::size_t /*route*/, StoreRequest request, Answered answered) override {
    const std::lock_guard lock(mutex_);
    bodies.push_back(std::move(request.body));
    waiting_.push_back(std::move(answered));
  }
  [[nodiscard]] std::size_t waiting() {
    const std::lock_guard lock(mutex_);
    return waiting_.size();
  }
  void answer_all() {
    std::list<Answered> all;
    {
      const std::lock_guard lock(mutex_);
      all.swap(waiting_);
    }
    for (const Answered& one : all) one({.status = 200, .body = "{}"});
  }
  std::vector<std::string> bodies;

 private:
  const std::vector<StoreRoute> routes_{
      {.path = "/api/v1/slow", .method = "GET"},
      {.path = "/api/v1/slow", .method = "POST"},
  };
  std::mutex mutex_;
  std::list<Answered> waiting_;
};

TEST_F(HttpServer, WhatTheDeskIsAskedHoldsNobodyUpAndHasNoTimeLimitOfOurs) {
  SlowDesk desk;
  start({.request = 300ms, .idle = 300ms}, "", "127.0.0.1:0", &desk);
  RawClient asking(port());
  RawClient posting(port());
  ASSERT_TRUE(asking.send("GET /api/v1/slow HTTP/1.1\r\nHost: x\r\n\r\n"));
  ASSERT_TRUE(
      posting.send("POST /api/v1/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody"));
  {
    RawClient closes(port());
    ASSERT_TRUE(closes.send("GET /api/v1/slow HTTP/1.1\r\nHost: x\r\n\r\n"));
    ASSERT_TRUE(eventually([&] { return desk.waiting() == 3; }));
  }
  RawClient other(port());
  ASSERT_TRUE(other.get("/-/healthy"));
  // Longer than a request of ours may take: seen by a connection that is idle for so long.
  EXPECT_TRUE(other.closed_by_peer());
  desk.answer_all();
  EXPECT_EQ(asking.receive()->status, 200u);
  EXPECT_EQ(posting.receive()->status, 200u);
  // The connection goes on.
  ASSERT_TRUE(asking.get("/-/healthy"));
  EXPECT_NE(std::find(desk.bodies.begin(), desk.bodies.end(), "body"), desk.bodies.end());
}

}  // namespace
}  // namespace watchwheel::http
