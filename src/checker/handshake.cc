// SPDX-License-Identifier: Apache-2.0
#include "checker/handshake.h"

#include <openssl/ssl.h>

namespace watchwheel::checker {

void Handshake::begin(const ProbePlan& plan, std::string_view host,
                      const std::optional<IpAddress>& literal) {
  seen_ = Seen{};
  seen_.plan = &plan;
  seen_.host = host;
  seen_.literal = literal;
}

core::Result<void> Handshake::install(ssl_ctx_st* context) {
  if (auto installed = seen_.plan->trust->install(context); !installed) {
    seen_.problem = installed.error().message;
    return installed;
  }
  SSL_CTX_set_cert_verify_callback(context, &Handshake::on_certificate, this);
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_info_callback(context, &Handshake::on_state);
  // OpenSSL 3 allows the hashes of TLS 1.0 and 1.1 at level 0 only. Who asks for them gets them.
  if (seen_.plan->tls_min < TlsVersion::V1_2) SSL_CTX_set_security_level(context, 0);
  return {};
}

CertProblem Handshake::certificate() const {
  if (seen_.plan == nullptr || !seen_.plan->options.tls_verify) return {};
  return judge_certificate(seen_.certificate, seen_.facts.get(), seen_.host, host_.wall());
}

int Handshake::on_certificate(x509_store_ctx_st* context, void* self) noexcept {
  return static_cast<Handshake*>(self)->accept_certificate(context) ? 1 : 0;
}

bool Handshake::accept_certificate(x509_store_ctx_st* context) {
  seen_.certificate = examine_chain(context, seen_.host, seen_.literal ? &*seen_.literal : nullptr);
  auto* session =
      static_cast<SSL*>(X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
  X509* leaf = X509_STORE_CTX_get0_cert(context);
  if (session != nullptr && leaf != nullptr) seen_.facts = host_.facts().facts_of(leaf, session);
  const bool accepted = seen_.certificate.good() || !seen_.plan->options.tls_verify;
  X509_STORE_CTX_set_error(context, accepted ? X509_V_OK : alert_error(seen_.certificate));
  return accepted;
}

void Handshake::on_state(const ssl_st* session, int where, int value) noexcept {
  auto* handshake = static_cast<Handshake*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)));
  if (handshake == nullptr) return;
  Seen& seen = handshake->seen_;
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0 && !seen.done) seen.done = handshake->host_.now();
  if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && (value & 0xff) != SSL_AD_CLOSE_NOTIFY)
    seen.alert = value & 0xff;
}

}  // namespace watchwheel::checker
