// SPDX-License-Identifier: Apache-2.0
#include "support/fake_dns.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>

namespace watchwheel::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Bytes = std::vector<std::uint8_t>;
using Key = std::pair<std::string, std::uint16_t>;  // Name and type.

constexpr std::size_t kHeaderBytes = 12;
constexpr std::size_t kConnectionsMax = 64;

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return out;
}

void put16(Bytes& out, unsigned value) {
  out.push_back(static_cast<std::uint8_t>(value >> 8U));
  out.push_back(static_cast<std::uint8_t>(value & 0xffU));
}

void put32(Bytes& out, std::uint32_t value) {
  put16(out, value >> 16U);
  put16(out, value & 0xffffU);
}

void put_name(Bytes& out, std::string_view name) {
  while (!name.empty() && name != ".") {
    const auto dot = name.find('.');
    const std::string_view label = name.substr(0, dot);
    out.push_back(static_cast<std::uint8_t>(label.size()));
    out.insert(out.end(), label.begin(), label.end());
    name.remove_prefix(dot == std::string_view::npos ? name.size() : dot + 1);
  }
  out.push_back(0);
}

struct Question {
  std::uint16_t id = 0;
  std::string name;  // "." is the root.
  std::uint16_t type = 0;
  Bytes bytes;  // The question section as it came.
};

std::optional<Question> parse_question(const std::uint8_t* data, std::size_t size) {
  if (size < kHeaderBytes + 5) return std::nullopt;
  Question question;
  question.id = static_cast<std::uint16_t>(data[0] << 8 | data[1]);
  std::size_t at = kHeaderBytes;
  while (data[at] != 0) {
    const std::size_t length = data[at];
    if (length > 63 || at + 1 + length + 5 > size) return std::nullopt;
    if (!question.name.empty()) question.name += '.';
    question.name.append(reinterpret_cast<const char*>(data) + at + 1, length);
    at += 1 + length;
  }
  if (at + 5 > size) return std::nullopt;
  if (question.name.empty()) question.name = ".";
  question.name = lower(question.name);
  question.type = static_cast<std::uint16_t>(data[at + 1] << 8 | data[at + 2]);
  question.bytes.assign(data + kHeaderBytes, data + at + 5);
  return question;
}

void put_record(Bytes& out, std::string_view name, unsigned type, std::uint32_t ttl_s,
                const Bytes& data) {
  put_name(out, name);
  put16(out, type);
  put16(out, 1);
  put32(out, ttl_s);
  put16(out, static_cast<unsigned>(data.size()));
  out.insert(out.end(), data.begin(), data.end());
}

Bytes rdata(const std::string& address, unsigned type) {
  const bool v6 = type == static_cast<unsigned>(FakeDns::Type::Aaaa);
  Bytes data(v6 ? 16 : 4);
  if (inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), data.data()) != 1) {
    throw std::invalid_argument("fake_dns: no address of that type: " + address);
  }
  return data;
}

Bytes encode(const Question& question, const FakeDns::Answer& answer, bool tcp) {
  using Kind = FakeDns::Kind;
  const bool truncated = answer.kind == Kind::Truncated && !tcp;
  const bool records =
      !truncated && (answer.kind == Kind::Records || answer.kind == Kind::WrongId ||
                     answer.kind == Kind::Truncated);
  unsigned rcode = 0;
  if (answer.kind == Kind::Nxdomain) rcode = 3;
  if (answer.kind == Kind::Servfail) rcode = 2;
  if (answer.kind == Kind::Refused) rcode = 5;
  unsigned count = 0;
  if (records) {
    count = static_cast<unsigned>(answer.addresses.size()) + (answer.cname.empty() ? 0U : 1U);
  }
  if (answer.kind == Kind::Malformed) count = 3;

  Bytes out;
  put16(out, answer.kind == Kind::WrongId ? question.id ^ 0x5555U : question.id);
  put16(out, 0x8180U | rcode | (truncated ? 0x0200U : 0U));  // QR, RD, RA.
  put16(out, 1);
  put16(out, count);
  put16(out, 0);
  put16(out, 0);
  out.insert(out.end(), question.bytes.begin(), question.bytes.end());
  if (answer.kind == Kind::Malformed) {
    out.insert(out.end(), {0xc0, 0xff, 0x07, 'g', 'a', 'r', 'b'});
    return out;
  }
  if (!records) return out;
  std::string owner = question.name;
  if (!answer.cname.empty()) {
    Bytes target;
    put_name(target, answer.cname);
    put_record(out, owner, 5, answer.cname_ttl_s, target);
    owner = answer.cname;
  }
  for (const std::string& address : answer.addresses) {
    put_record(out, owner, question.type, answer.ttl_s, rdata(address, question.type));
  }
  return out;
}

int bound_socket(int type, std::uint16_t port) {
  const int fd = ::socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (fd >= 0 && ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

std::uint16_t port_of(int fd) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

struct Connection {
  int fd = -1;
  Bytes received;
};

struct Delayed {
  Clock::time_point at;
  Bytes answer;
  sockaddr_in to{};
  int connection = -1;  // -1: over UDP. A closed one is recognised by its absence.
};

}  // namespace

struct FakeDns::Impl {
  int udp = -1;
  int listener = -1;
  int wake = -1;
  std::uint16_t port = 0;
  std::thread thread;
  std::atomic<bool> stopping{false};

  mutable std::mutex mutex;  // Guards what stands below, up to the blank line.
  std::map<Key, std::vector<Answer>> scripts;
  std::map<Key, std::uint64_t> counts;
  Answer fallback{.kind = Kind::Nxdomain};
  bool silent = false;
  std::uint64_t total = 0;
  std::uint64_t over_tcp = 0;

  std::vector<Connection> connections;  // The thread's.
  std::vector<Delayed> delayed;         // The thread's.

  void open() {
    // The port of the UDP socket may be taken for TCP: then another one is tried.
    for (int i = 0; i < 50; ++i) {
      udp = bound_socket(SOCK_DGRAM, 0);
      if (udp < 0) break;
      port = port_of(udp);
      listener = bound_socket(SOCK_STREAM, port);
      if (listener >= 0 && ::listen(listener, 64) == 0) break;
      if (listener >= 0) ::close(listener);
      ::close(udp);
      udp = listener = -1;
    }
    wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (udp < 0 || listener < 0 || wake < 0) throw std::runtime_error("fake_dns: no sockets");
    const int bytes = 4 << 20;
    ::setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }

  // What to answer, or nothing. Counts the query.
  std::optional<Answer> decide(const Question& question, bool tcp) {
    const std::lock_guard lock(mutex);
    ++total;
    if (tcp) ++over_tcp;
    const Key key{question.name, question.type};
    ++counts[key];
    if (silent) return std::nullopt;
    Answer answer = fallback;
    if (const auto found = scripts.find(key); found != scripts.end()) {
      answer = found->second.front();
      if (found->second.size() > 1) found->second.erase(found->second.begin());
    } else if (question.name == "." || knows(question.name)) {
      answer = Answer{.kind = Kind::Nodata};
    }
    if (answer.kind == Kind::Silence) return std::nullopt;
    return answer;
  }

  bool knows(const std::string& name) const {
    const auto at = scripts.lower_bound({name, 0});
    return at != scripts.end() && at->first.first == name;
  }

  void send(const Bytes& answer, const sockaddr_in& to, int connection) const {
    if (connection < 0) {
      ::sendto(udp, answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&to),
               sizeof to);
      return;
    }
    const bool open = std::any_of(connections.begin(), connections.end(),
                                  [&](const Connection& c) { return c.fd == connection; });
    if (!open) return;
    Bytes framed;
    put16(framed, static_cast<unsigned>(answer.size()));
    framed.insert(framed.end(), answer.begin(), answer.end());
    ::send(connection, framed.data(), framed.size(), MSG_NOSIGNAL);
  }

  void serve(const std::uint8_t* data, std::size_t size, const sockaddr_in& from, int connection) {
    const auto question = parse_question(data, size);
    if (!question) return;
    const auto answer = decide(*question, connection >= 0);
    if (!answer) return;
    Bytes bytes = encode(*question, *answer, connection >= 0);
    if (answer->delay.count() == 0) {
      send(bytes, from, connection);
    } else {
      delayed.push_back({Clock::now() + answer->delay, std::move(bytes), from, connection});
    }
  }

  void read_udp() {
    std::array<std::uint8_t, 4096> buffer{};
    for (;;) {
      sockaddr_in from{};
      socklen_t length = sizeof from;
      const auto got = ::recvfrom(udp, buffer.data(), buffer.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from), &length);
      if (got < 0) return;
      serve(buffer.data(), static_cast<std::size_t>(got), from, -1);
    }
  }

  // False when the connection is over.
  bool read_tcp(Connection& connection) {
    std::array<std::uint8_t, 4096> buffer{};
    const auto got = ::recv(connection.fd, buffer.data(), buffer.size(), 0);
    if (got <= 0) return got < 0 && errno == EAGAIN;
    connection.received.insert(connection.received.end(), buffer.begin(), buffer.begin() + got);
    Bytes& all = connection.received;
    while (all.size() >= 2) {
      const std::size_t size = static_cast<std::size_t>(all[0] << 8 | all[1]);
      if (all.size() < 2 + size) break;
      serve(all.data() + 2, size, {}, connection.fd);
      all.erase(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(2 + size));
    }
    return true;
  }

  void send_due() {
    const auto now = Clock::now();
    for (const Delayed& one : delayed) {
      if (one.at <= now) send(one.answer, one.to, one.connection);
    }
    std::erase_if(delayed, [now](const Delayed& one) { return one.at <= now; });
  }

  int wait_ms() const {
    if (delayed.empty()) return -1;
    const auto first = std::min_element(delayed.begin(), delayed.end(), [](auto& a, auto& b) {
                         return a.at < b.at;
                       })->at;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - Clock::now()).count();
    return static_cast<int>(std::clamp<std::int64_t>(left, 0, 10'000));
  }

  void run() noexcept {
    while (!stopping) {
      std::vector<pollfd> ready{{udp, POLLIN, 0}, {listener, POLLIN, 0}, {wake, POLLIN, 0}};
      for (const Connection& c : connections) ready.push_back({c.fd, POLLIN, 0});
      ::poll(ready.data(), ready.size(), wait_ms());
      if (ready[0].revents != 0) read_udp();
      std::vector<int> over;
      for (std::size_t i = 3; i < ready.size(); ++i) {
        if (ready[i].revents != 0 && !read_tcp(connections[i - 3])) over.push_back(ready[i].fd);
      }
      for (const int fd : over) ::close(fd);
      std::erase_if(connections, [&over](const Connection& c) {
        return std::find(over.begin(), over.end(), c.fd) != over.end();
      });
      if (ready[1].revents != 0) {
        const int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0 && connections.size() < kConnectionsMax)
          connections.push_back({fd, {}});
        else if (fd >= 0)
          ::close(fd);
      }
      send_due();
    }
  }
};

FakeDns::FakeDns() : impl_(std::make_unique<Impl>()) {
  impl_->open();
  impl_->thread = std::thread([impl = impl_.get()]() noexcept { impl->run(); });
}

FakeDns::~FakeDns() {
  impl_->stopping = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const auto written = ::write(impl_->wake, &one, sizeof one);
  impl_->thread.join();
  for (const Connection& c : impl_->connections) ::close(c.fd);
  ::close(impl_->udp);
  ::close(impl_->listener);
  ::close(impl_->wake);
}

std::uint16_t FakeDns::port() const {
  return impl_->port;
}

std::string FakeDns::endpoint() const {
  return "127.0.0.1:" + std::to_string(impl_->port);
}

void FakeDns::script(std::string_view name, Type type, std::vector<Answer> answers) {
  if (answers.empty()) throw std::invalid_argument("fake_dns: a script without answers");
  for (const Answer& answer : answers) {
    for (const std::string& address : answer.addresses) {
      rdata(address, static_cast<unsigned>(type));  // Throws here and not in the thread.
    }
  }
  const std::lock_guard lock(impl_->mutex);
  impl_->scripts[{lower(name), static_cast<std::uint16_t>(type)}] = std::move(answers);
}

void FakeDns::a(std::string_view name, std::vector<std::string> addresses, std::uint32_t ttl_s) {
  script(name, Type::A, {Answer{.addresses = std::move(addresses), .ttl_s = ttl_s}});
}

void FakeDns::aaaa(std::string_view name, std::vector<std::string> addresses, std::uint32_t ttl_s) {
  script(name, Type::Aaaa, {Answer{.addresses = std::move(addresses), .ttl_s = ttl_s}});
}

void FakeDns::fail(std::string_view name, Kind kind) {
  script(name, Type::A, {Answer{.kind = kind}});
  script(name, Type::Aaaa, {Answer{.kind = kind}});
}

void FakeDns::otherwise(Answer answer) {
  const std::lock_guard lock(impl_->mutex);
  impl_->fallback = std::move(answer);
}

void FakeDns::silence(bool on) {
  const std::lock_guard lock(impl_->mutex);
  impl_->silent = on;
}

std::uint64_t FakeDns::queries() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->total;
}

std::uint64_t FakeDns::queries(std::string_view name, Type type) const {
  const std::lock_guard lock(impl_->mutex);
  const auto found = impl_->counts.find({lower(name), static_cast<std::uint16_t>(type)});
  return found == impl_->counts.end() ? 0 : found->second;
}

std::uint64_t FakeDns::tcp_queries() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->over_tcp;
}

}  // namespace watchwheel::testing
