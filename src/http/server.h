// SPDX-License-Identifier: Apache-2.0
// http/server.h - the operator's listener: HTTP/1.1 on one address, on a thread of its own.
//
// Owns     the listening socket, the connections, and the thread "http" that serves them all.
// Thread   open, start, stop and the destructor: the owner's. local_port, stats: any. Routes and
//          EngineView: the http thread.
// Bounded  limits.connections connections, head, body and time of each request. One request at a
//          time a connection.
// Full     one connection more gets 503 and is closed; beyond kBeingRefusedMax of those at once
//          they are closed unanswered.
// Time     from its first byte, a request and its answer have limits.request together, but for the time that the desk takes; before
//          that, a connection may be idle for limits.idle: longer than the usual scrape interval, so that
//          Prometheus keeps its connection.
// Fails    open(): the address is wrong, taken, not ours or not allowed. Later failures of a
//          connection end that connection; when no descriptor is left to accept with, it tries
//          again every 100 ms.
// Cost     nothing while nobody asks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/clock.h"
#include "core/pinned.h"
#include "core/result.h"
#include "http/engine_view_api.h"
#include "http/stats.h"
#include "http/store_desk_api.h"

namespace watchwheel::http {

struct ServerLimits {
  std::size_t connections = 64;
  std::size_t head_bytes = 8 * 1024;
  std::size_t body_bytes = 64 * 1024;
  core::Duration request = std::chrono::seconds{10};
  core::Duration idle = std::chrono::seconds{75};
};

struct ServerOptions {
  std::string listen = "127.0.0.1:9464";  // "IP:PORT" or "[IP]:PORT". Port 0: one that is free.
  std::string token;                      // See load_token. Empty: none is asked for.
  ServerLimits limits;
};

class Server : core::Pinned {
 public:
  static constexpr std::size_t kBeingRefusedMax = 16;

  // Binds and listens; nothing is answered until start(). `engine` and `desk` outlive the server. The desk has to be stopped
  // before the server is: whom it still owes an answer is a connection of ours.
  [[nodiscard]] static core::Result<std::unique_ptr<Server>> open(const ServerOptions& options,
                                                                  EngineView& engine,
                                                                  StoreDesk* desk = nullptr);
  ~Server();  // As stop().

  void start();  // Once.
  // Closes the listener and all connections, answers in progress included, and joins the thread. Can be repeated.
  void stop() noexcept;

  [[nodiscard]] std::uint16_t local_port() const noexcept;
  [[nodiscard]] const Stats& stats() const noexcept;

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace watchwheel::http
