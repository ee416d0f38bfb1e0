// SPDX-License-Identifier: Apache-2.0
#include "checker/handshake.h"

#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>

#include <array>
#include <chrono>
#include <cstring>

#include "checker/tls_trust.h"

namespace watchwheel::checker {
namespace {

// `value` is the alert's level and number. Up to TLS 1.2 a warning is a word by the way, like the unrecognized_name that some
// servers answer any name with; TLS 1.3 has but two that are no error, and no levels. Until the server has chosen a version it
// has chosen no cipher either, and a warning may be one of TLS 1.2.
bool is_refusal(const SSL* session, int value) {
  const int number = value & 0xff;
  if (number == SSL_AD_CLOSE_NOTIFY || number == SSL_AD_USER_CANCELLED) return false;
  const bool is_13 =
      SSL_get_current_cipher(session) != nullptr && SSL_version(session) >= TLS1_3_VERSION;
  return is_13 || (value >> 8) == SSL3_AL_FATAL;
}

// Where a session of a shared context keeps its handshake.
int session_index() {
  static const int index = SSL_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

SSL* session_of(X509_STORE_CTX* context) {
  return static_cast<SSL*>(
      X509_STORE_CTX_get_ex_data(context, SSL_get_ex_data_X509_STORE_CTX_idx()));
}

}  // namespace

void Handshake::begin(const ProbePlan& plan, std::string_view host,
                      const std::optional<IpAddress>& literal, bool at_origin) {
  seen_ = Seen{};
  seen_.plan = &plan;
  seen_.host = host;
  seen_.literal = literal;
  seen_.at_origin = at_origin;
}

core::Result<Handshake::Common> Handshake::set_up(ssl_ctx_st* context, const ProbePlan& plan,
                                                  bool at_origin, core::SteadyTime now,
                                                  core::WallTime wall) {
  if (plan.options.tls_verify) {
    if (auto installed = plan.trust->install(context, now, wall); !installed)
      return installed.error();
  }
  const Common common{.trust_generation = plan.trust->generation(),
                      .security_level = SSL_CTX_get_security_level(context)};
  SSL_CTX_set_cert_verify_callback(context, &Handshake::on_certificate, nullptr);
  // While it waits for the answer a session needs no buffers; they are two of 16 KiB.
  SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
  if (at_origin && plan.client && !plan.client->install(context))
    return core::Error{core::ErrorKind::Unavailable, "no memory for the client certificate"};
  // OpenSSL 3 allows the hashes of TLS 1.0 and 1.1 at level 0 only. Who asks for them gets them; certificates are judged at the
  // machine's level whatever the protocol.
  if (plan.tls_min < TlsVersion::V1_2) SSL_CTX_set_security_level(context, 0);
  return common;
}

core::Result<void> Handshake::install(ssl_ctx_st* context) {
  const auto common = set_up(context, *seen_.plan, seen_.at_origin, host_.now(), host_.wall());
  if (!common) {
    seen_.problem = common.error().message;
    return common.error();
  }
  seen_.common = *common;
  SSL_CTX_set_cert_verify_callback(context, &Handshake::on_certificate, this);
  SSL_CTX_set_cert_cb(context, &Handshake::on_certificate_asked, this);
  SSL_CTX_set_app_data(context, this);
  SSL_CTX_set_info_callback(context, &Handshake::on_state);
  return {};
}

bool Handshake::attach(ssl_st* session, const Common& common) {
  seen_.common = common;
  SSL_set_cert_cb(session, &Handshake::on_certificate_asked, this);
  SSL_set_info_callback(session, &Handshake::on_state);
  return SSL_set_ex_data(session, session_index(), this) == 1;
}

Handshake* Handshake::of(const ssl_st* session) {
  if (session == nullptr) return nullptr;
  if (void* attached = SSL_get_ex_data(session, session_index()); attached != nullptr)
    return static_cast<Handshake*>(attached);
  return static_cast<Handshake*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(session)));
}

CertProblem Handshake::certificate() const {
  if (!seen_.client_problem.empty()) return {core::Cause::LocalResources, seen_.client_problem};
  if (seen_.plan == nullptr) return {};
  return judge_certificate(seen_.certificate, seen_.facts.get(), seen_.host, host_.wall());
}

int Handshake::on_certificate(x509_store_ctx_st* context, void* self) noexcept {
  auto* handshake = static_cast<Handshake*>(self);
  if (handshake == nullptr) handshake = of(session_of(context));
  return handshake != nullptr && handshake->accept_certificate(context) ? 1 : 0;
}

bool Handshake::accept_certificate(x509_store_ctx_st* context) {
  const std::optional<PresentedChain> chain = read_chain(context);
  if (!chain) {
    X509_STORE_CTX_set_error(context, X509_V_ERR_OUT_OF_MEM);
    seen_.certificate.seen = true;
    seen_.certificate.trust_error = X509_V_ERR_OUT_OF_MEM;
    return false;
  }
  SSL* session = session_of(context);
  if (session != nullptr) seen_.facts = host_.facts().facts_of(*chain, session);
  if (seen_.plan->options.tls_verify) {
    seen_.certificate = verify(context, *chain);
  } else {
    seen_.certificate.seen = true;  // Nobody asks what may be wrong with it.
  }
  X509_STORE_CTX_set_error(context, alert_error(seen_.certificate));
  return seen_.certificate.good();
}

// By the clock of the lane, not OpenSSL's own: one check has one time, and a test may set it.
CertVerdict Handshake::verify(x509_store_ctx_st* context, const PresentedChain& chain) {
  TrustStore& trust = *seen_.plan->trust;
  const core::WallTime now = host_.wall();
  X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_auth_level(rules, seen_.common.security_level);
  const std::optional<Digest> hash = hash_with_rules(context, chain.together);
  X509_VERIFY_PARAM_set_time(
      rules, std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count());

  X509* leaf = chain.certificates.front();
  CertVerdict verdict;
  if (hash && trust.knows(*hash, now) && is_within_dates(leaf, now)) {
    verdict.seen = true;
    verdict.presented = static_cast<int>(chain.certificates.size());
  } else {
    verdict = examine_chain(context);
    if (hash && verdict.chain_good()) trust.remember(*hash, now, end_of_chain(context));
  }
  const std::optional<bool> fits =
      is_for_host(leaf, seen_.host, seen_.literal ? &*seen_.literal : nullptr);
  if (!fits) verdict.trust_error = X509_V_ERR_OUT_OF_MEM;
  verdict.wrong_host = fits == false;
  return verdict;
}

// All that the walk over a chain depends on, but the time: the certificates, whom we trust, and what is asked of them. The
// purpose is always that of a TLS server, as TLS clients ask.
std::optional<Digest> Handshake::hash_with_rules(x509_store_ctx_st* context,
                                                 const Digest& chain) const {
  const X509_VERIFY_PARAM* rules = X509_STORE_CTX_get0_param(context);
  const std::array<std::uint64_t, 4> also{
      seen_.common.trust_generation, X509_VERIFY_PARAM_get_flags(rules),
      static_cast<std::uint64_t>(X509_VERIFY_PARAM_get_auth_level(rules)),
      static_cast<std::uint64_t>(X509_VERIFY_PARAM_get_depth(rules))};
  std::array<std::uint8_t, sizeof(Digest) + sizeof also> all{};
  std::memcpy(all.data(), chain.data(), sizeof chain);
  std::memcpy(all.data() + sizeof chain, also.data(), sizeof also);
  Digest hash{};
  if (EVP_Q_digest(nullptr, "SHA256", nullptr, all.data(), all.size(), hash.data(), nullptr) != 1)
    return std::nullopt;
  return hash;
}

int Handshake::on_certificate_asked(ssl_st* /*session*/, void* self) noexcept {
  Handshake& handshake = *static_cast<Handshake*>(self);
  Seen& seen = handshake.seen_;
  seen.asked = true;
  if (seen.at_origin && seen.plan->client)
    seen.client_problem = seen.plan->client->ended(handshake.host_.wall());
  return seen.client_problem.empty() ? 1 : 0;
}

void Handshake::on_state(const ssl_st* session, int where, int value) noexcept {
  Handshake* handshake = of(session);
  if (handshake == nullptr) return;
  Seen& seen = handshake->seen_;
  if ((where & SSL_CB_HANDSHAKE_DONE) != 0 && !seen.done) {
    seen.done = handshake->host_.now();
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(session, &protocol, &size);
    seen.http2 = size == 2 && protocol[0] == 'h' && protocol[1] == '2';
  }
  if ((where & SSL_CB_READ_ALERT) == SSL_CB_READ_ALERT && is_refusal(session, value))
    seen.alert = value & 0xff;
}

}  // namespace watchwheel::checker
