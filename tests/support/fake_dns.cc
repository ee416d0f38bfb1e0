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
#include <cstring>
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
  Bytes bytes;                   // The question section as it came.
  std::uint16_t edns_bytes = 0;  // 0: no OPT record behind it.
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
  // An OPT record: the root, type 41, and the size in the place of the class.
  const std::uint8_t* opt = data + at + 5;
  if (at + 10 <= size && data[11] == 1 && opt[0] == 0 && opt[2] == 41) {
    question.edns_bytes = static_cast<std::uint16_t>(opt[3] << 8 | opt[4]);
  }
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

using Kind = FakeDns::Kind;

bool truncates(Kind kind) {
  return kind == Kind::Truncated || kind == Kind::TruncatedTcpCloses ||
         kind == Kind::TruncatedTcpSilent || kind == Kind::TruncatedTcpGarbage;
}

bool refuses_edns(Kind kind) {
  return kind == Kind::NoEdns || kind == Kind::NoEdnsBare || kind == Kind::NoEdnsNotimp ||
         kind == Kind::NoEdnsSilent;
}

// What becomes of it once it is clear how it was asked.
Kind settled(const Question& question, Kind kind, bool tcp) {
  if (truncates(kind)) return tcp ? Kind::Records : Kind::Truncated;
  if (!refuses_edns(kind)) return kind;
  if (question.edns_bytes == 0) return Kind::Records;
  return kind == Kind::NoEdnsNotimp ? Kind::Notimp : kind == Kind::NoEdns ? Kind::Formerr : kind;
}

unsigned rcode_of(Kind kind) {
  switch (kind) {
    case Kind::Formerr:
    case Kind::NoEdnsBare:
      return 1;
    case Kind::Servfail:
      return 2;
    case Kind::Nxdomain:
      return 3;
    case Kind::Notimp:
      return 4;
    case Kind::Refused:
      return 5;
    default:
      return 0;
  }
}

bool gives_records(Kind kind) {
  return kind == Kind::Records || kind == Kind::WrongId || kind == Kind::WrongQuestion ||
         kind == Kind::WrongPort || kind == Kind::LyingCount || kind == Kind::OtherName ||
         kind == Kind::LongChain;
}

void put_alias(Bytes& out, std::string_view owner, std::string_view target, std::uint32_t ttl_s) {
  Bytes data;
  put_name(data, target);
  put_record(out, owner, 5, ttl_s, data);
}

// The answer section; returns how many records it holds.
unsigned put_answers(Bytes& out, const Question& question, const FakeDns::Answer& answer,
                     Kind kind) {
  unsigned count = 0;
  std::string owner = question.name;
  if (kind == Kind::CnameCircle) {
    put_alias(out, owner, answer.cname, answer.cname_ttl_s);
    put_alias(out, answer.cname, owner, answer.cname_ttl_s);
    return 2;
  }
  if (!gives_records(kind)) return 0;
  if (!answer.cname.empty()) {
    put_alias(out, owner, answer.cname, answer.cname_ttl_s);
    owner = answer.cname;
    ++count;
  }
  for (int i = 0; i < 20 && kind == Kind::LongChain; ++i, ++count) {
    const std::string next = "alias" + std::to_string(i) + ".example";
    put_alias(out, owner, next, answer.cname_ttl_s);
    owner = next;
  }
  if (kind == Kind::OtherName) owner = "elsewhere.example";
  for (const std::string& address : answer.addresses) {
    // What otherwise() says is for both types.
    const bool v6 = address.find(':') != std::string::npos;
    if (v6 != (question.type == static_cast<unsigned>(FakeDns::Type::Aaaa))) continue;
    put_record(out, owner, question.type, answer.ttl_s, rdata(address, question.type));
    ++count;
  }
  return count;
}

Bytes encode(const Question& question, const FakeDns::Answer& answer, bool tcp) {
  const Kind kind = settled(question, answer.kind, tcp);
  if (kind == Kind::ShortHeader) {
    return {static_cast<std::uint8_t>(question.id >> 8U),
            static_cast<std::uint8_t>(question.id),
            0x81,
            0x80,
            0,
            1,
            0};
  }
  Bytes records;
  unsigned count = put_answers(records, question, answer, kind);
  if (kind == Kind::LyingCount) count += 40;
  if (kind == Kind::Malformed) {
    records = {0xc0, 0xff, 0x07, 'g', 'a', 'r', 'b'};
    count = 3;
  }
  Bytes authority;
  if (kind == Kind::Referral) {
    Bytes server;
    put_name(server, "ns.example");
    put_record(authority, "example", 2, 60, server);
  } else if (answer.soa) {
    Bytes data(18);  // Two root names and five numbers, the last of which counts.
    put16(data, answer.negative_ttl_s >> 16U);
    put16(data, answer.negative_ttl_s & 0xffffU);
    put_record(authority, "example", 6, 86'400, data);
  }
  const bool bare = kind == Kind::NoEdnsBare;
  Bytes out;
  put16(out, kind == Kind::WrongId ? question.id ^ 0x5555U : question.id);
  put16(out, 0x8180U | rcode_of(kind) | (kind == Kind::Truncated ? 0x0200U : 0U));  // QR, RD, RA.
  put16(out, bare ? 0 : 1);
  put16(out, kind == Kind::PointerLoop ? 1 : count);
  put16(out, authority.empty() ? 0 : 1);
  put16(out, 0);
  if (bare) return out;
  if (kind == Kind::WrongQuestion) {
    put_name(out, "not." + question.name);
    put16(out, question.type);
    put16(out, 1);
  } else {
    out.insert(out.end(), question.bytes.begin(), question.bytes.end());
  }
  if (kind == Kind::PointerLoop) {
    put16(out, 0xc000U | static_cast<unsigned>(out.size()));
    put16(out, question.type);
    put16(out, 1);
    put32(out, 60);
    put16(out, 0);
  }
  out.insert(out.end(), records.begin(), records.end());
  out.insert(out.end(), authority.begin(), authority.end());
  return out;
}

// An address with a port, either family.
struct Peer {
  sockaddr_storage address{};
  socklen_t length = 0;
};

Peer peer_at(const std::string& address, std::uint16_t port) {
  Peer peer;
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  if (inet_pton(AF_INET, address.c_str(), &v4.sin_addr) == 1) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&peer.address, &v4, sizeof v4);
    peer.length = sizeof v4;
  } else if (inet_pton(AF_INET6, address.c_str(), &v6.sin6_addr) == 1) {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&peer.address, &v6, sizeof v6);
    peer.length = sizeof v6;
  } else {
    throw std::invalid_argument("fake_dns: no address: " + address);
  }
  return peer;
}

std::uint16_t port_of(const sockaddr_storage& address) {
  // At the same place in both families.
  sockaddr_in v4{};
  std::memcpy(&v4, &address, sizeof v4);
  return ntohs(v4.sin_port);
}

int bound_socket(int type, const Peer& at) {
  const int fd = ::socket(at.address.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&at.address), at.length) == 0)
    return fd;
  if (fd >= 0) ::close(fd);
  return -1;
}

std::uint16_t port_of(int fd) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return port_of(address);
}

struct Connection {
  int fd = -1;
  Bytes received;
};

struct Delayed {
  Clock::time_point at;
  Bytes answer;
  Peer to;
  int connection = -1;  // -1: over UDP. A closed one is recognised by its absence.
};

}  // namespace

struct FakeDns::Impl {
  Options options;
  int udp = -1;
  int other_port = -1;  // Where forged answers come from.
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
  std::vector<Seen> log;

  std::vector<Connection> connections;  // The thread's.
  std::vector<Delayed> delayed;         // The thread's.

  void open() {
    // The port of the UDP socket may be taken for TCP: then another one is tried. Without TCP it is held, so that it refuses.
    for (int i = 0; i < 50; ++i) {
      udp = bound_socket(SOCK_DGRAM, peer_at(options.address, 0));
      if (udp < 0) break;
      port = port_of(udp);
      listener = bound_socket(SOCK_STREAM, peer_at(options.address, port));
      if (listener >= 0 && (!options.tcp || ::listen(listener, 64) == 0)) break;
      if (listener >= 0) ::close(listener);
      ::close(udp);
      udp = listener = -1;
    }
    other_port = bound_socket(SOCK_DGRAM, peer_at(options.address, 0));
    wake = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (udp < 0 || listener < 0 || other_port < 0 || wake < 0)
      throw std::runtime_error("fake_dns: no sockets");
    const int bytes = 4 << 20;
    ::setsockopt(udp, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
  }

  // What to answer, or nothing. Counts the query.
  std::optional<Answer> decide(const Question& question, bool tcp, std::uint16_t from_port) {
    constexpr std::size_t kLogMax = 4096;
    const std::lock_guard lock(mutex);
    ++total;
    if (log.size() < kLogMax) log.push_back({question.id, from_port, tcp, question.edns_bytes});
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
    if (answer.kind == Kind::NoEdnsSilent && question.edns_bytes != 0) return std::nullopt;
    return answer;
  }

  bool knows(const std::string& name) const {
    const auto at = scripts.lower_bound({name, 0});
    return at != scripts.end() && at->first.first == name;
  }

  static void send_from(int fd, const Bytes& answer, const Peer& to) {
    ::sendto(fd, answer.data(), answer.size(), 0, reinterpret_cast<const sockaddr*>(&to.address),
             to.length);
  }

  void send(const Bytes& answer, const Peer& to, int connection) const {
    if (connection < 0) {
      send_from(udp, answer, to);
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

  void forge(const Question& question, const Answer& answer, const Peer& to) const {
    for (const Kind kind : answer.forged) {
      const bool v6 = question.type == static_cast<std::uint16_t>(Type::Aaaa);
      const Bytes bytes =
          encode(question, {.kind = kind, .addresses = {v6 ? "::66" : "127.0.0.66"}}, false);
      send_from(kind == Kind::WrongPort ? other_port : udp, bytes, to);
    }
  }

  // False when the connection is to be closed.
  bool serve(const std::uint8_t* data, std::size_t size, const Peer& from, int connection) {
    const auto question = parse_question(data, size);
    if (!question) return true;
    const bool tcp = connection >= 0;
    const auto answer = decide(*question, tcp, port_of(from.address));
    if (!answer) return true;
    if (tcp && answer->kind == Kind::TruncatedTcpCloses) return false;
    if (tcp && answer->kind == Kind::TruncatedTcpSilent) return true;
    if (tcp && answer->kind == Kind::TruncatedTcpGarbage) {
      ::send(connection, "\xff\xff????", 6, MSG_NOSIGNAL);
      return true;
    }
    if (!tcp) forge(*question, *answer, from);
    Bytes bytes = encode(*question, *answer, tcp);
    if (!tcp && answer->kind == Kind::WrongPort) {
      send_from(other_port, bytes, from);
    } else if (answer->delay.count() == 0) {
      send(bytes, from, connection);
    } else {
      delayed.push_back({Clock::now() + answer->delay, std::move(bytes), from, connection});
    }
    return true;
  }

  void read_udp() {
    std::array<std::uint8_t, 4096> buffer{};
    for (;;) {
      Peer from;
      from.length = sizeof from.address;
      const auto got = ::recvfrom(udp, buffer.data(), buffer.size(), 0,
                                  reinterpret_cast<sockaddr*>(&from.address), &from.length);
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
      if (!serve(all.data() + 2, size, {}, connection.fd)) return false;
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
      // One that does not listen would always be ready.
      std::vector<pollfd> ready{
          {udp, POLLIN, 0}, {options.tcp ? listener : -1, POLLIN, 0}, {wake, POLLIN, 0}};
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

FakeDns::FakeDns() : FakeDns(Options{}) {}

FakeDns::FakeDns(const Options& options) : impl_(std::make_unique<Impl>()) {
  impl_->options = options;
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
  ::close(impl_->other_port);
  ::close(impl_->wake);
}

std::uint16_t FakeDns::port() const {
  return impl_->port;
}

std::string FakeDns::endpoint() const {
  const std::string& address = impl_->options.address;
  const bool v6 = address.find(':') != std::string::npos;
  return (v6 ? "[" + address + "]" : address) + ":" + std::to_string(impl_->port);
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

std::vector<FakeDns::Seen> FakeDns::seen() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->log;
}

std::uint64_t FakeDns::tcp_queries() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->over_tcp;
}

}  // namespace watchwheel::testing
