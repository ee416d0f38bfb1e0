// SPDX-License-Identifier: Apache-2.0
// A fleet that runs on a thread of the test, and the plain clients that ask it: sockets, OpenSSL and
// hand-written DNS, so that what is seen is what is on the wire.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "fleet/control_client.h"
#include "fleet/fleet.h"

namespace watchwheel::fleet {

inline constexpr std::chrono::milliseconds kPatience{700};  // For what must time out.

inline Fd connected(std::uint32_t address, std::uint16_t port, int& error) {
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval limit{0, std::chrono::microseconds(kPatience).count()};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  ::setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(port);
  peer.sin_addr.s_addr = htonl(address);
  error = 0;
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&peer), sizeof(peer)) != 0) {
    error = errno;
  }
  return socket;
}

// What came back, and how it ended: 0 when the peer closed, else errno (EAGAIN: our patience ended).
struct Heard {
  std::string text;
  int error = 0;
};

inline Heard hear(int fd) {
  Heard heard;
  std::array<char, 4096> part;
  for (int i = 0; i < 10'000; ++i) {
    const ssize_t got = ::recv(fd, part.data(), part.size(), 0);
    if (got == 0) return heard;
    if (got < 0) {
      heard.error = errno;
      return heard;
    }
    heard.text.append(part.data(), static_cast<std::size_t>(got));
  }
  return heard;
}

inline std::string request_for(const std::string& host, const std::string& target = "/",
                               bool close = true) {
  return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" +
         (close ? "Connection: close\r\n" : "") + "\r\n";
}

inline Heard ask_plain(std::uint32_t address, std::uint16_t port, const std::string& request) {
  Heard heard;
  const Fd socket = connected(address, port, heard.error);
  if (heard.error != 0) return heard;
  if (::send(socket.get(), request.data(), request.size(), MSG_NOSIGNAL) < 0) {
    heard.error = errno;
    return heard;
  }
  return hear(socket.get());
}

struct TlsSeen {
  bool is_agreed = false;
  bool is_timed_out = false;
  bool got_alert = false;
  long verify = 0;
  std::string subject_names;
  std::string text;
};

// Shakes hands with the CA at `ca_file` trusted and, when that goes well, asks for /.
inline TlsSeen ask_tls(std::uint32_t address, std::uint16_t port, const std::string& host,
                       const std::string& ca_file) {
  TlsSeen seen;
  int error = 0;
  const Fd socket = connected(address, port, error);
  if (error != 0) return seen;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_client_method()),
                                                                  &SSL_CTX_free);
  SSL_CTX_load_verify_locations(context.get(), ca_file.c_str(), nullptr);
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  const Ssl ssl(SSL_new(context.get()));
  SSL_set_fd(ssl.get(), socket.get());
  SSL_set1_host(ssl.get(), host.c_str());
  SSL_ctrl(ssl.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
           const_cast<char*>(host.c_str()));
  ERR_clear_error();
  const int done = SSL_connect(ssl.get());
  seen.verify = SSL_get_verify_result(ssl.get());
  if (done != 1) {
    const int why = SSL_get_error(ssl.get(), done);
    seen.is_timed_out = why == SSL_ERROR_WANT_READ || (why == SSL_ERROR_SYSCALL && errno == EAGAIN);
    seen.got_alert = ERR_GET_REASON(ERR_peek_error()) == SSL_R_SSLV3_ALERT_HANDSHAKE_FAILURE;
    return seen;
  }
  seen.is_agreed = true;
  const std::string request = request_for(host);
  SSL_write(ssl.get(), request.data(), static_cast<int>(request.size()));
  std::array<char, 4096> part;
  for (int i = 0; i < 1000; ++i) {
    const int got = SSL_read(ssl.get(), part.data(), static_cast<int>(part.size()));
    if (got <= 0) break;
    seen.text.append(part.data(), static_cast<std::size_t>(got));
  }
  return seen;
}

struct DnsSeen {
  bool is_silent = false;
  int code = 0;
  int answers = 0;
  std::vector<std::uint8_t> message;
  [[nodiscard]] std::string last_address() const {
    if (answers == 0 || message.size() < 4) return "";
    std::uint32_t address = 0;
    for (std::size_t i = message.size() - 4; i < message.size(); ++i) {
      address = (address << 8U) | message[i];
    }
    return to_text(address);
  }
};

inline std::vector<std::uint8_t> dns_query(std::string name, std::uint8_t type) {
  std::vector<std::uint8_t> query{7, 9, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  name += '.';
  while (!name.empty()) {
    const std::size_t dot = name.find('.');
    query.push_back(static_cast<std::uint8_t>(dot));
    query.insert(query.end(), name.begin(), name.begin() + static_cast<std::ptrdiff_t>(dot));
    name.erase(0, dot + 1);
  }
  query.insert(query.end(), {0, 0, type, 0, 1});
  return query;
}

inline DnsSeen dns_seen(std::vector<std::uint8_t> message) {
  DnsSeen seen;
  seen.is_silent = message.size() < 12;
  if (seen.is_silent) return seen;
  seen.code = message[3] & 0x0f;
  seen.answers = message[7];
  seen.message = std::move(message);
  return seen;
}

inline DnsSeen ask_dns(std::uint16_t port, const std::string& name, std::uint8_t type = 1) {
  const Fd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const timeval limit{0, std::chrono::microseconds(kPatience).count()};
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  sockaddr_in peer{};
  peer.sin_family = AF_INET;
  peer.sin_port = htons(port);
  peer.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const auto query = dns_query(name, type);
  ::sendto(socket.get(), query.data(), query.size(), 0, reinterpret_cast<const sockaddr*>(&peer),
           sizeof(peer));
  std::vector<std::uint8_t> message(1024);
  const ssize_t got = ::recv(socket.get(), message.data(), message.size(), 0);
  message.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
  return dns_seen(std::move(message));
}

inline DnsSeen ask_dns_tcp(std::uint16_t port, const std::string& name) {
  const auto query = dns_query(name, 1);
  std::string framed{'\0', static_cast<char>(query.size())};
  framed.append(query.begin(), query.end());
  const Heard heard = ask_plain(INADDR_LOOPBACK, port, framed);
  if (heard.text.size() < 2) return dns_seen({});
  return dns_seen({heard.text.begin() + 2, heard.text.end()});
}

// A fleet on free ports, its certificates in a directory of its own. Stopped and joined at the end.
class RunningFleet {
 public:
  explicit RunningFleet(Config config) {
    std::string pattern = std::filesystem::temp_directory_path() / "fleet-test-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    config.http_port = config.https_port = config.dns.port = config.control.port = 0;
    config.cert_dir = directory_ + "/certs";
    fleet_ = std::make_unique<Fleet>(config);
    thread_ = std::thread([this] { fleet_->run(); });
  }
  RunningFleet(const RunningFleet&) = delete;
  RunningFleet& operator=(const RunningFleet&) = delete;
  ~RunningFleet() {
    fleet_->request_stop();
    thread_.join();
    std::filesystem::remove_all(directory_);
  }
  [[nodiscard]] const Fleet& operator*() const { return *fleet_; }
  [[nodiscard]] const Fleet* operator->() const { return fleet_.get(); }

  [[nodiscard]] Parsed<std::string> control(const std::string& method,
                                            const std::string& target) const {
    return ask_control({INADDR_LOOPBACK, fleet_->control_port()}, method, target,
                       std::chrono::seconds(5));
  }
  [[nodiscard]] Heard ask(std::uint32_t site, const std::string& target = "/") const {
    return ask_plain(fleet_->map().address(site), fleet_->http_port(),
                     request_for(fleet_->map().name(site), target));
  }
  [[nodiscard]] TlsSeen ask_https(std::uint32_t site) const {
    return ask_tls(fleet_->map().address(site), fleet_->https_port(), fleet_->map().name(site),
                   fleet_->ca_file());
  }
  [[nodiscard]] DnsSeen resolve(std::uint32_t site, std::uint8_t type = 1) const {
    return ask_dns(fleet_->dns_port(), fleet_->map().name(site), type);
  }

 private:
  std::string directory_;
  std::unique_ptr<Fleet> fleet_;
  std::thread thread_;
};

}  // namespace watchwheel::fleet
