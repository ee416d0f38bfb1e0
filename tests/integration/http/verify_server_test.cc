// SPDX-License-Identifier: Apache-2.0
// The verifier's listener over real sockets, with a desk that answers at once: who is heard, and what a stranger costs.
#include "http/verify_server.h"

#include <gtest/gtest.h>
#include <prometheus/metric_family.h>

#include <atomic>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "raw_client.h"
#include "support/eventually.h"

namespace watchwheel::http {
namespace {

using namespace std::chrono_literals;
using testing::eventually;

class CountingDesk final : public VerifyDesk {
 public:
  void verify(const std::string& body, Answered answered) override {
    asked.fetch_add(1);
    answered({200, "application/json", std::to_string(body.size()), {}});
  }
  std::vector<prometheus::MetricFamily> collect() override { return {}; }
  bool healthy(std::string&) override { return true; }

  std::atomic<int> asked{0};
};

class VerifyListener : public ::testing::Test {
 protected:
  void start(const std::string& token, VerifyServerLimits limits = {}) {
    auto opened =
        VerifyServer::open({.listen = "127.0.0.1:0", .token = token, .limits = limits}, desk);
    ASSERT_TRUE(opened) << opened.error().message;
    server = *std::move(opened);
    server->start();
  }
  [[nodiscard]] std::uint16_t port() const { return server->local_port(); }
  [[nodiscard]] std::uint64_t refused(Refused reason) const {
    return server->stats().refused[static_cast<std::size_t>(reason)].value();
  }
  static std::string head(std::size_t length, const std::string& more = "") {
    return "POST /v1/verify HTTP/1.1\r\nHost: v\r\nContent-Length: " + std::to_string(length) +
           "\r\n" + more + "\r\n";
  }
  static std::string with(const std::string& token) {
    return "Authorization: Bearer " + token + "\r\n";
  }

  CountingDesk desk;
  std::unique_ptr<VerifyServer> server;
};

// Goal: who has no token is answered from the head, and what they would send after it is nobody's. Method: heads that announce a
// body which never comes: an answer proves that none was waited for.
TEST_F(VerifyListener, AStrangerIsRefusedFromTheHead) {
  start("secret");
  for (const std::string& more :
       {std::string(), with("wrong"), std::string("Transfer-Encoding: chunked\r\n")}) {
    RawClient client(port());
    client.send(more.starts_with("Transfer")
                    ? "POST /v1/verify HTTP/1.1\r\nHost: v\r\n" + more + "\r\n"
                    : head(4'000'000, more));
    const auto answer = client.receive();
    ASSERT_TRUE(answer) << more;
    EXPECT_EQ(answer->status, 401U) << more;
    EXPECT_EQ(answer->headers.at("connection"), "close");
    EXPECT_TRUE(client.closed_by_peer());
  }
  // Larger than anybody may send: that too is not told to a stranger.
  RawClient large(port());
  large.send(head(5'000'000));
  const auto answer = large.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 401U);
  // Health is for all, and keeps nobody's connection.
  RawClient health(port());
  const auto well = health.get("/-/healthy?x=1");
  ASSERT_TRUE(well);
  EXPECT_EQ(well->status, 200U);
  EXPECT_TRUE(health.closed_by_peer());
  EXPECT_EQ(desk.asked.load(), 0);
}

TEST_F(VerifyListener, WhoIsKnownIsHeardAgainAndAgain) {
  start("secret");
  RawClient client(port());
  for (int i = 1; i <= 3; ++i) {
    client.send(head(5, with("secret")) + "hello");
    const auto answer = client.receive();
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->status, 200U);
    EXPECT_EQ(answer->body, "5");
    EXPECT_EQ(desk.asked.load(), i);
    const auto metrics = client.get("/metrics", with("secret"));
    ASSERT_TRUE(metrics);
    EXPECT_EQ(metrics->status, 200U);
  }
  // Its body is too long, and that is told; the rest of what it sends is no request.
  client.send(head(5'000'000, with("secret")));
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 413U);
  EXPECT_TRUE(client.closed_by_peer());
}

// Each request says who asks: a connection that was known once is no token.
TEST_F(VerifyListener, ATokenIsAskedForWithEachRequest) {
  start("secret");
  RawClient client(port());
  client.send(head(2, with("secret")) + "{}");
  ASSERT_TRUE(client.receive());
  client.send(head(2) + "{}");
  const auto answer = client.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 401U);
  EXPECT_EQ(desk.asked.load(), 1);
}

// Goal: strangers who say nothing do not take the room of those who are known, and do not stay. Method: as many silent connections as
// may be; one known from before goes on, one more is told; after their time new ones are heard.
TEST_F(VerifyListener, StrangersHaveHalfTheRoomAndAShortTime) {
  start("secret", {.connections = 8, .stranger = 500ms});
  RawClient known(port());
  known.send(head(2, with("secret")) + "{}");
  ASSERT_TRUE(known.receive());
  std::list<RawClient> silent;
  const bool is_full = eventually([&] {
    RawClient& one = silent.emplace_back(port());
    one.send("POST /v1/verify HTTP/1.1\r\n");
    return refused(Refused::TooManyConnections) > 0;
  });
  EXPECT_TRUE(is_full);
  known.send(head(2, with("secret")) + "{}");
  const auto answer = known.receive();
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 200U);
  EXPECT_TRUE(eventually([&] { return refused(Refused::Timeout) > 0; }));
  EXPECT_TRUE(eventually([&] {
    RawClient late(port());
    late.send(head(2, with("secret")) + "{}");
    const auto heard = late.receive();
    return heard && heard->status == 200U;
  }));
}

}  // namespace
}  // namespace watchwheel::http
