// SPDX-License-Identifier: Apache-2.0
#include "checker/stream.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>

namespace watchwheel::checker {
namespace {

// Two ends of a connection over loopback. `mine` is the stream's.
struct Pair {
  Pair() {
    const int listening = ::socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    EXPECT_EQ(::bind(listening, address, length), 0);
    EXPECT_EQ(::listen(listening, 1), 0);
    EXPECT_EQ(::getsockname(listening, address, &length), 0);
    mine = ::socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(::connect(mine, address, length), 0);
    theirs = ::accept(listening, nullptr, nullptr);
    ::close(listening);
  }
  ~Pair() { ::close(theirs); }
  [[nodiscard]] bool sends_without_delay() const {
    int on = 0;
    socklen_t length = sizeof on;
    EXPECT_EQ(::getsockopt(mine, IPPROTO_TCP, TCP_NODELAY, &on, &length), 0);
    return on != 0;
  }
  int mine = -1;
  int theirs = -1;
};

// Goal: nothing that we send waits for a server's acknowledgement, and a request in one piece costs no system call for that.
TEST(Stream, SendsWithoutDelayWhereMoreThanOnePieceIsSent) {
  const auto sends_without_delay = [](std::size_t bytes) {
    const Pair pair;
    Stream stream;
    stream.open(pair.mine);
    const std::string request(bytes, 'x');
    std::string_view left = request;
    EXPECT_EQ(stream.send(left), Stream::Step::Done);
    return pair.sends_without_delay();
  };
  EXPECT_FALSE(sends_without_delay(200));
  EXPECT_TRUE(sends_without_delay(2000));
}

TEST(Stream, SendsWithoutDelayThroughTls) {
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  const Pair pair;
  Stream stream;
  stream.open(pair.mine);
  ASSERT_TRUE(stream.begin_tls(context.get(), "shop.example"));
  EXPECT_TRUE(pair.sends_without_delay());
}

}  // namespace
}  // namespace watchwheel::checker
