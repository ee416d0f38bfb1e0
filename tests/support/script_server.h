// SPDX-License-Identifier: Apache-2.0
// support/script_server.h - thousands of scripted answers at once from one thread, plain and over TLS.
//
// A FaultServer has a thread for each connection and can do more; this one is for tests that ask random answers by the ten
// thousand. The scripts are the same.
//
// Owns     two listening ports of 127.0.0.1, one thread, the connections.
// Thread   every function may be called from any thread.
// Bounded  request heads of 64 KiB; what is kept of a path is its script and its first 16 requests. A connection that waits for
//          the client to leave waits kPatience.
// Fails    by exception in the constructor; later a connection that cannot go on is closed.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/certs.h"
#include "support/fault_server.h"

namespace watchwheel::testing {

class ScriptServer {
 public:
  static constexpr std::chrono::seconds kPatience{20};

  explicit ScriptServer(const Certificate& certificate);
  ~ScriptServer();
  ScriptServer(const ScriptServer&) = delete;
  ScriptServer& operator=(const ScriptServer&) = delete;

  // "http://127.0.0.1:PORT/path", or https.
  [[nodiscard]] std::string url(std::string_view path, bool tls) const;

  // What is done when a request for this path (without query) is there. The last word wins. Unknown paths: 404.
  // A Drip's bytes are sent one by one; Endless ends when the client leaves.
  void on(std::string_view path, Script script);
  void forget(std::string_view path);

  // The requests for this path, each with its body, in the order they came.
  [[nodiscard]] std::vector<std::string> requests(std::string_view path) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace watchwheel::testing
