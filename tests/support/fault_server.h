// SPDX-License-Identifier: Apache-2.0
// support/fault_server.h - an HTTP server on loopback that does exactly what a test scripts, right
// or wrong, plain or over TLS.
//
// Owns     one listening port, one thread for it and one for each connection.
// Thread   every function may be called from any thread.
// Bounded  kConnectionsMax connections (further ones wait in the backlog); request heads of 64 KiB;
//          the log keeps the last 4096. A hold or an endless body ends when the client leaves or
//          the server is destroyed.
//
// FaultServer server; server.on("/", ok("hello")); server.on("/slow", {send("HTTP/1.1 200 OK\r\n"),
// pause(500ms), send("Content-Length: 0\r\n\r\n")}); server.otherwise({reset()});
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/certs.h"

namespace watchwheel::testing {

struct Step {
  enum class Kind {
    Send,       // `text`.
    Drip,       // `text`, a byte every `wait`.
    Endless,    // `text` again and again.
    Pause,      // `wait`.
    Hold,       // Nothing more, until the client leaves.
    HalfClose,  // No more from us (TLS: close_notify first); the connection stays.
    CutOff,     // FIN without close_notify.
    Reset,      // RST.
  };
  Kind kind = Kind::Send;
  std::string text{};
  std::chrono::milliseconds wait{0};
};
// A script that ends closes the connection in good order.
using Script = std::vector<Step>;

[[nodiscard]] Step send(std::string text);
[[nodiscard]] Step drip(std::string text, std::chrono::milliseconds every);
[[nodiscard]] Step endless(std::string text);
[[nodiscard]] Step pause(std::chrono::milliseconds wait);
[[nodiscard]] Step hold();
[[nodiscard]] Step half_close();
[[nodiscard]] Step cut_off();
[[nodiscard]] Step reset();

// "HTTP/1.1 200 OK" with Content-Length and this body. `headers`: whole lines, each with its \r\n.
[[nodiscard]] Script ok(std::string_view body,
                        std::string_view headers = "Content-Type: text/html\r\n");
[[nodiscard]] Script status(int code, std::string_view reason, std::string_view headers = "",
                            std::string_view body = "");
[[nodiscard]] Script redirect(int code, std::string_view location);

// How a TLS server behaves before HTTP begins.
struct TlsOptions {
  Certificate certificate{};
  int version_min = 0;  // TLS1_VERSION …; 0: OpenSSL's own.
  int version_max = 0;
  std::string ciphers{};       // TLS 1.2 and below; "": OpenSSL's own.
  std::string ciphersuites{};  // TLS 1.3; "": OpenSSL's own.
  std::string groups{};        // For the key exchange; "": OpenSSL's own.
  bool wants_client_certificate = false;
  // Who must have issued the client's certificate; null: it is asked for, and no one is good enough.
  std::shared_ptr<x509_st> client_authority{};
  bool refuses_names = false;  // Answers the client's server name with the alert unrecognized_name.
  bool warns_of_names = false;  // The same as a warning, up to TLS 1.2, and goes on.
  std::string alpn{};          // The one protocol it agrees to ("h2"); "": knows nothing of ALPN.
  // By the client's server name; `certificate` for all others, and for clients that send none.
  std::map<std::string, Certificate, std::less<>> by_name{};
  bool refuses_other_names = false;  // Those that are not in `by_name`, with the same alert.
  std::string address = "127.0.0.1";
};

class FaultServer {
 public:
  static constexpr std::size_t kConnectionsMax = 1500;

  FaultServer();  // Plain, 127.0.0.1.
  explicit FaultServer(TlsOptions tls);
  explicit FaultServer(std::string_view address);  // Plain, on this address (127.0.0.2, ::1).
  ~FaultServer();
  FaultServer(const FaultServer&) = delete;
  FaultServer& operator=(const FaultServer&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // "http://127.0.0.1:PORT/path", or https.
  [[nodiscard]] std::string url(std::string_view path = "/", std::string_view host = "") const;

  // After the head of a request (and its body, by Content-Length) for this path (without query). The last word wins.
  // The beginning of an HTTP/2 connection looks like a request for the path "*".
  void on(std::string_view path, Script script);
  // Only for requests that hold `text` somewhere; wins over the others of that path, the first such over the next.
  void on(std::string_view path, std::string_view text, Script script);
  void otherwise(Script script);  // For other paths. 404 until set.
  // TLS of the connections from now on. Only for a server that has been given some.
  void set_tls(const TlsOptions& tls);
  // As soon as a connection is there, before TLS, instead of everything else.
  void on_connect(Script script);
  // For connections from now on: the kernels at both ends hold little of what is not read.
  void take_little();
  // As soon as the client's first bytes are there, before TLS, instead of everything else.
  void on_first_bytes(Script script);

  [[nodiscard]] std::uint64_t connections() const;
  [[nodiscard]] std::uint64_t finished() const;  // Connections whose script has ended.
  // TLS handshakes that took up an earlier session.
  [[nodiscard]] std::uint64_t resumed() const;
  // Heads of requests, with the body after the empty line, in the order they came.
  [[nodiscard]] std::vector<std::string> requests() const;
  [[nodiscard]] std::string last_request() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A port that answers no SYN: its backlog is full. Connecting to it hangs.
class DeafPort {
 public:
  DeafPort();
  ~DeafPort();
  DeafPort(const DeafPort&) = delete;
  DeafPort& operator=(const DeafPort&) = delete;
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  std::vector<int> fds_;
  std::uint16_t port_ = 0;
};

// A port on which nobody listens, nor will any test program while this process lives. Not one that the kernel gives out: a
// connection to such a one can get the same number for its own end, and then it is connected, to itself.
[[nodiscard]] std::uint16_t closed_port();

}  // namespace watchwheel::testing
