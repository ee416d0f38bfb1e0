// SPDX-License-Identifier: Apache-2.0
#include "support/tcp_proxy.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>
#include <vector>

#include "core/ensure.h"

namespace watchwheel::testing {
namespace {

sockaddr_in here(int port) {
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  at.sin_port = htons(static_cast<std::uint16_t>(port));
  return at;
}

// One connection: both ends, closed together.
struct Pair {
  std::array<int, 2> ends{-1, -1};
  bool over = false;
};

void close_pair(const Pair& pair, bool reset) {
  for (const int end : pair.ends) {
    if (end < 0) continue;
    if (reset) {
      const linger now{.l_onoff = 1, .l_linger = 0};
      (void)setsockopt(end, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    ::close(end);
  }
}

bool carry(int from, int to) {
  std::array<char, 65536> bytes;
  const ssize_t got = ::recv(from, bytes.data(), bytes.size(), 0);
  if (got <= 0) return false;
  for (ssize_t sent = 0; sent < got;) {
    const ssize_t now =
        ::send(to, bytes.data() + sent, static_cast<std::size_t>(got - sent), MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += now;
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(int to_port) : to_port_(to_port) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at = here(0);
  socklen_t size = sizeof at;
  const bool bound = ::bind(listener_, reinterpret_cast<sockaddr*>(&at), sizeof at) == 0 &&
                     ::listen(listener_, 64) == 0 &&
                     ::getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size) == 0;
  ENSURE(bound, "a proxy finds no port");
  port_ = ntohs(at.sin_port);
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stopping_.store(true);
  thread_.join();
  ::close(listener_);
}

void TcpProxy::run() noexcept {
  std::vector<Pair> pairs;
  while (!stopping_.load()) {
    const Network network = network_.load();
    std::vector<pollfd> ready{{listener_, POLLIN, 0}};
    for (const Pair& pair : pairs)
      for (const int end : pair.ends) ready.push_back({end, POLLIN, 0});
    // Silent: what is sent waits in the kernel, as it would in a router.
    const nfds_t watched = network == Network::Silent ? 0 : ready.size();
    if (::poll(ready.data(), watched, 20) < 0) continue;
    if (network == Network::Silent) continue;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
      for (std::size_t end = 0; end < 2; ++end) {
        if (pairs[i].over || ready[1 + 2 * i + end].revents == 0) continue;
        pairs[i].over = !carry(pairs[i].ends[end], pairs[i].ends[1 - end]);
      }
    }
    if (ready[0].revents != 0) {
      Pair pair;
      pair.ends[0] = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      pair.ends[1] = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const sockaddr_in to = here(to_port_);
      pair.over = ::connect(pair.ends[1], reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0;
      pairs.push_back(pair);
    }
    std::erase_if(pairs, [&](const Pair& pair) {
      const bool cut = network == Network::Cut;
      if (cut || pair.over) close_pair(pair, cut);
      return cut || pair.over;
    });
  }
  for (const Pair& pair : pairs) close_pair(pair, false);
}

}  // namespace watchwheel::testing
