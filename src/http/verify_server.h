// SPDX-License-Identifier: Apache-2.0
// http/verify_server.h - the verifier's listener: HTTP/1.1, with TLS where it has a certificate, on a thread of its own.
//
//   POST /v1/verify   a batch of checks; answered when they are done      token, or client certificate
//   GET /metrics                                                         the same
//   GET /-/healthy                                                        anyone who may connect
//
// Owns     the listening socket, the connections, and the thread "http" that serves them all.
// Thread   open, start, close_admission, stop and the destructor: the owner's. local_port, stats, unanswered: any. The desk is
//          called on the http thread; its answers come from any.
// Bounded  limits.connections connections, half of them of peers that have not said who they are; head, body and time of each
//          request. One request at a time a connection.
// Full     one connection more gets 503 with Retry-After and is closed.
// Time     from its first byte, a request must be there within limits.request, and its answer be taken in as long; what lies
//          between is the desk's. Idle connections end after limits.idle.
// Strangers  A peer without the token is answered from the head of its request: nothing of a body is read, and the connection ends.
//          Handshake, waiting and head have limits.stranger each.
// Fails    open(): the address, the certificate or its key. Later failures of a connection end that connection.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "http/stats.h"
#include "http/verify_desk_api.h"

namespace watchwheel::http {

struct VerifyServerLimits {
  std::size_t connections = 256;
  std::size_t head_bytes = 8 * 1024;
  std::size_t body_bytes = 4 * 1024 * 1024;
  core::Duration request = std::chrono::seconds{30};
  core::Duration idle = std::chrono::seconds{120};
  core::Duration stranger = std::chrono::seconds{10};
};

struct VerifyServerOptions {
  std::string listen = "127.0.0.1:9465";  // "IP:PORT" or "[IP]:PORT". Port 0: one that is free.
  std::string token{};                    // See load_token. Empty: none is asked for.
  std::string cert_file{};                // PEM, the certificate and its chain. Empty: plain HTTP.
  std::string key_file{};                 // PEM. Empty: in cert_file too.
  std::string client_ca_file{};  // PEM: whose certificates clients must show. Empty: none is asked for.
  VerifyServerLimits limits{};
};

class VerifyServer : core::Pinned {
 public:
  // Binds and listens; nothing is answered until start(). `desk` outlives the server.
  [[nodiscard]] static core::Result<std::unique_ptr<VerifyServer>> open(
      const VerifyServerOptions& options, VerifyDesk& desk);
  ~VerifyServer();  // As stop().

  void start();  // Once.
  // Takes the token, and reads certificate, key and authority anew, for connections that are accepted from now on. Whether there are
  // any stays as it was. When it is refused nothing is changed. The owner's thread.
  [[nodiscard]] core::Result<void> renew(const VerifyServerOptions& options);
  // No connection is accepted any more, and what is asked on those that are open gets 503.
  void close_admission();
  // Closes all connections, answers in progress included, and joins the thread. The desk answers no more by then. Can be repeated.
  void stop() noexcept;

  [[nodiscard]] std::uint16_t local_port() const noexcept;
  [[nodiscard]] const Stats& stats() const noexcept;
  // Requests that were read and whose answers are not sent yet.
  [[nodiscard]] std::size_t unanswered() const noexcept;

 private:
  struct Impl;
  explicit VerifyServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watchwheel::http
