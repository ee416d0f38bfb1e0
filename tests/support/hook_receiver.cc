// SPDX-License-Identifier: Apache-2.0
#include "support/hook_receiver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <thread>

namespace watchwheel::testing {
namespace {

using namespace std::chrono_literals;

std::string header(const std::string& text, const std::string& name) {
  const std::size_t at = text.find("\r\n" + name + ": ");
  if (at == std::string::npos) return "";
  const std::size_t from = at + name.size() + 4;
  return text.substr(from, text.find("\r\n", from) - from);
}

}  // namespace

struct HookReceiver::Impl {
  struct Connection {
    std::string text;
    std::optional<core::SteadyTime> answer_at;
    int status = 0;
  };

  explicit Impl(Rule how) : rule(std::move(how)) {
    listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = ::htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const raw = reinterpret_cast<sockaddr*>(&address);
    if (listener < 0 || ::bind(listener, raw, size) != 0 || ::listen(listener, 512) != 0 ||
        ::getsockname(listener, raw, &size) != 0)
      throw std::runtime_error("no socket to listen on");
    port = ::ntohs(address.sin_port);
    thread = std::thread([this] { run(); });
  }
  ~Impl() {
    stop = true;
    thread.join();
    for (const auto& [fd, connection] : connections) ::close(fd);
    ::close(listener);
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void run() {
    while (!stop) {
      std::vector<pollfd> waits{{.fd = listener, .events = POLLIN, .revents = 0}};
      const core::SteadyTime now = clock.steady();
      core::Duration wait = 20ms;
      for (const auto& [fd, connection] : connections) {
        waits.push_back({.fd = fd, .events = POLLIN, .revents = 0});
        if (connection.answer_at)
          wait = std::clamp<core::Duration>(*connection.answer_at - now, 1ms, wait);
      }
      ::poll(waits.data(), waits.size(),
             static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(wait).count()));
      for (const pollfd& one : waits) {
        if (one.revents == 0) continue;
        one.fd == listener ? accept() : read(one.fd);
      }
      answer(all_now.exchange(false) ? core::SteadyTime::max() : clock.steady());
    }
  }
  void accept() {
    int fd = -1;
    while ((fd = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)) >= 0)
      connections.try_emplace(fd);
  }
  void read(int fd) {
    std::array<char, 16384> bytes{};
    const ssize_t got = ::recv(fd, bytes.data(), bytes.size(), 0);
    if (got <= 0) {
      ::close(fd);
      connections.erase(fd);
      return;
    }
    Connection& connection = connections.at(fd);
    connection.text.append(bytes.data(), static_cast<std::size_t>(got));
    const std::string& text = connection.text;
    const std::size_t head = text.find("\r\n\r\n");
    if (connection.answer_at || head == std::string::npos) return;
    const std::size_t length = std::strtoul(header(text, "Content-Length").c_str(), nullptr, 10);
    if (text.size() < head + 4 + length) return;
    const std::size_t path = text.find(' ') + 1;
    Arrival arrival{.id = header(text, "webhook-id"),
                    .sender = header(text, "User-Agent"),
                    .path = text.substr(path, text.find(' ', path) - path),
                    .body = text.substr(head + 4),
                    .at = core::to_seconds(clock.steady().time_since_epoch())};
    const Reply reply = rule(arrival);
    connection.status = reply.status;
    connection.answer_at = clock.steady() + reply.takes;
    const std::lock_guard lock(mutex);
    arrivals.push_back(std::move(arrival));
  }
  void answer(core::SteadyTime now) {
    for (auto& [fd, connection] : connections) {
      if (!connection.answer_at || *connection.answer_at > now) continue;
      const std::string taken = "HTTP/1.1 " + std::to_string(connection.status) + " Said\r\n" +
                                (connection.status == 204 ? "" : "Content-Length: 0\r\n") +
                                "Connection: close\r\n\r\n";
      (void)::send(fd, taken.data(), taken.size(), MSG_NOSIGNAL);
      (void)::shutdown(fd, SHUT_WR);  // It is closed when the other end is.
      connection.answer_at.reset();
      connection.text.clear();
    }
  }

  const Rule rule;
  const core::SystemClock clock{};
  int listener = -1;
  int port = 0;
  std::map<int, Connection> connections;
  std::atomic<bool> stop{false};
  std::atomic<bool> all_now{false};
  mutable std::mutex mutex;
  std::vector<Arrival> arrivals;  // Guarded by mutex.
  std::thread thread;
};

HookReceiver::HookReceiver(Rule rule) : impl_(std::make_unique<Impl>(std::move(rule))) {}
HookReceiver::~HookReceiver() = default;

int HookReceiver::port() const {
  return impl_->port;
}
std::vector<HookReceiver::Arrival> HookReceiver::arrivals() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->arrivals;
}
std::size_t HookReceiver::count() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->arrivals.size();
}
void HookReceiver::answer_all() {
  impl_->all_now = true;
}

}  // namespace watchwheel::testing
