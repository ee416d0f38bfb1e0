// SPDX-License-Identifier: Apache-2.0
#include "fleet/tls.h"

#include <csignal>
#include <stdexcept>
#include <string_view>

namespace watchwheel::fleet {
namespace {

// The first host name of the server_name extension; empty when there is none.
std::string_view server_name(SSL* ssl) noexcept {
  const unsigned char* data = nullptr;
  std::size_t size = 0;
  if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &data, &size) != 1) return {};
  // List length (2), name type 0 (1), name length (2), name.
  if (size < 5 || data[2] != TLSEXT_NAMETYPE_host_name) return {};
  const auto length = static_cast<std::size_t>((data[3] << 8U) | data[4]);
  if (length > size - 5) return {};
  return {reinterpret_cast<const char*>(data) + 5, length};
}

}  // namespace

TlsServer::TlsServer(const CertSet& certs, const SiteMap& map, const FaultBoard& board,
                     std::uint32_t tickets)
    : certs_(certs), map_(map), board_(board), context_(SSL_CTX_new(TLS_server_method())) {
  // OpenSSL writes with write(): a client that resets in the middle of an answer would end the process.
  std::signal(SIGPIPE, SIG_IGN);
  SSL_CTX* context = context_.get();
  if (context == nullptr) throw std::runtime_error("cannot make a TLS context");
  SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, tickets);
  if (tickets == 0) SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  const bool good = SSL_CTX_use_certificate(context, certs.leaf(kNoSite, FaultKind::None)) == 1 &&
                    SSL_CTX_use_PrivateKey(context, certs.leaf_key()) == 1 &&
                    SSL_CTX_add1_chain_cert(context, certs.intermediate()) == 1;
  if (!good) throw std::runtime_error("cannot use the certificates");
  SSL_CTX_set_client_hello_cb(context, &TlsServer::on_client_hello, this);
}

Ssl TlsServer::open(int fd, TlsHello& hello) const noexcept {
  Ssl ssl(SSL_new(context_.get()));
  if (!ssl) return ssl;
  if (SSL_set_fd(ssl.get(), fd) != 1 || SSL_set_ex_data(ssl.get(), 0, &hello) != 1) return nullptr;
  SSL_set_accept_state(ssl.get());
  return ssl;
}

int TlsServer::on_client_hello(SSL* ssl, int* alert, void* self) noexcept {
  const TlsServer& server = *static_cast<const TlsServer*>(self);
  TlsHello& hello = *static_cast<TlsHello*>(SSL_get_ex_data(ssl, 0));
  if (const auto site = server.map_.by_name(server_name(ssl))) hello.site = *site;
  hello.seen = true;
  if (hello.site == kNoSite) return SSL_CLIENT_HELLO_SUCCESS;
  hello.kind = server.board_.kind(hello.site);
  if (hello.kind == FaultKind::TlsStall) return SSL_CLIENT_HELLO_RETRY;
  if (hello.kind == FaultKind::TlsAlert) {
    *alert = SSL_AD_HANDSHAKE_FAILURE;
    return SSL_CLIENT_HELLO_ERROR;
  }
  if (server.show_certificate(ssl, hello)) return SSL_CLIENT_HELLO_SUCCESS;
  *alert = SSL_AD_INTERNAL_ERROR;
  return SSL_CLIENT_HELLO_ERROR;
}

bool TlsServer::show_certificate(SSL* ssl, const TlsHello& hello) const noexcept {
  X509* leaf = certs_.leaf(hello.site, hello.kind);
  // Every leaf has the same key, so the key and the chain of the context stay in force.
  if (leaf != certs_.leaf(kNoSite, FaultKind::None) && SSL_use_certificate(ssl, leaf) != 1) {
    return false;
  }
  if (hello.kind == FaultKind::TlsSelfSigned) return SSL_clear_chain_certs(ssl) == 1;
  if (hello.kind == FaultKind::TlsUnknownIssuer) {
    return SSL_clear_chain_certs(ssl) == 1 &&
           SSL_add1_chain_cert(ssl, certs_.rogue_intermediate()) == 1;
  }
  return true;
}

}  // namespace watchwheel::fleet
