// SPDX-License-Identifier: Apache-2.0
#include "fleet/control_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/time.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "fleet/net.h"

namespace watchwheel::fleet {
namespace {

constexpr std::size_t kAnswerMax = 16U << 20U;

Fd connect_to(const Endpoint& endpoint, Duration timeout) noexcept {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return socket;
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(timeout).count();
  const timeval limit{us / 1'000'000, us % 1'000'000};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(endpoint.address);
  const auto* generic = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(socket.get(), generic, sizeof(address)) != 0) return Fd();
  return socket;
}

}  // namespace

Parsed<std::string> ask_control(const Endpoint& control, std::string_view method,
                                std::string_view target, Duration timeout) {
  using Answer = Parsed<std::string>;
  const std::string where = to_text(control);
  const Fd socket = connect_to(control, timeout);
  if (!socket) {
    return Answer::bad("cannot reach " + where + ": " + std::strerror(errno) +
                       " (is the fleet running, with this --control?)");
  }
  const std::string request = std::string(method) + " " + std::string(target) +
                              " HTTP/1.1\r\nHost: " + where + "\r\nConnection: close\r\n\r\n";
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(request.size())) {
    return Answer::bad("cannot ask " + where + ": " + std::strerror(errno));
  }
  std::string answer;
  std::array<char, 65'536> part;
  while (answer.size() < kAnswerMax) {
    const ssize_t got = ::recv(socket.get(), part.data(), part.size(), 0);
    if (got < 0) return Answer::bad("no answer from " + where + ": " + std::strerror(errno));
    if (got == 0) break;
    answer.append(part.data(), static_cast<std::size_t>(got));
  }
  const std::size_t head_end = answer.find("\r\n\r\n");
  if (head_end == std::string::npos) return Answer::bad(where + " did not answer with HTTP");
  std::string body = answer.substr(head_end + 4);
  if (!answer.starts_with("HTTP/1.1 200 ")) return Answer::bad(where + " says: " + body);
  return Answer::good(std::move(body));
}

}  // namespace watchwheel::fleet
