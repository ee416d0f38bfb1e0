// SPDX-License-Identifier: Apache-2.0
// fleet/tls.h - the server side of TLS: which certificate, alert or silence a client hello gets.
//
// Owns     one SSL_CTX. The connections made from it are the caller's.
// Thread   the fleet's one thread.
// Fails    the constructor throws std::runtime_error; open() returns null when memory is short.
// Cost     a handshake is one P-256 signature and one key agreement; no client certificate, no
//          session cache.
#pragma once

#include <openssl/ssl.h>

#include <cstdint>
#include <memory>

#include "fleet/certs.h"
#include "fleet/faults.h"
#include "fleet/site_map.h"

namespace watchwheel::fleet {

struct FreeSsl {
  void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
};
using Ssl = std::unique_ptr<SSL, FreeSsl>;

// What the client hello told; lives as long as the connection it was given to.
struct TlsHello {
  std::uint32_t site = kNoSite;      // Set by the caller from the address, replaced by SNI.
  FaultKind kind = FaultKind::None;  // What was on when the hello came.
  bool seen = false;
};

class TlsServer {
 public:
  TlsServer(const CertSet& certs, const SiteMap& map, const FaultBoard& board,
            std::uint32_t tickets);

  // A connection over `fd` that waits for the client hello. Under TlsStall its handshake never
  // goes on (SSL_ERROR_WANT_CLIENT_HELLO_CB).
  [[nodiscard]] Ssl open(int fd, TlsHello& hello) const noexcept;

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  static int on_client_hello(SSL* ssl, int* alert, void* self) noexcept;
  [[nodiscard]] bool show_certificate(SSL* ssl, const TlsHello& hello) const noexcept;

  const CertSet& certs_;
  const SiteMap& map_;
  const FaultBoard& board_;
  std::unique_ptr<SSL_CTX, FreeContext> context_;
};

}  // namespace watchwheel::fleet
