// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_trust.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "checker/tls_facts.h"
#include "core/units.h"

namespace watchwheel::checker {
namespace {

using core::Cause;

// Debian's OpenSSL knows where its certificates are; an operator may point elsewhere by OpenSSL's own variable.
// A directory is read file by file, now: looked into at each handshake, as OpenSSL would, it would be read
// on the lane's thread, and one without certificates would pass for trust and call every site untrusted.
bool load_system(X509_STORE* store) {
  const char* chosen = std::getenv(
      X509_get_default_cert_file_env());  // NOLINT(concurrency-mt-unsafe): nobody sets it.
  if (chosen != nullptr) return X509_STORE_load_file(store, chosen) == 1;
  if (X509_STORE_load_file(store, X509_get_default_cert_file()) == 1) return true;
  if (X509_STORE_load_file(store, "/etc/ssl/certs/ca-certificates.crt") == 1) return true;
  std::error_code ignored;
  for (const auto& entry :
       std::filesystem::directory_iterator(X509_get_default_cert_dir(), ignored)) {
    (void)X509_STORE_load_file(store, entry.path().c_str());
  }
  ERR_clear_error();  // Of files that are no certificates.
  return sk_X509_OBJECT_num(X509_STORE_get0_objects(store)) > 0;
}

// The library could not look; the certificate is not to blame.
bool is_our_error(int error) {
  return error == X509_V_ERR_OUT_OF_MEM || error == X509_V_ERR_UNSPECIFIED ||
         error == X509_V_ERR_STORE_LOOKUP || error == X509_V_ERR_INVALID_CALL;
}

void note_problem(CertVerdict& verdict, int error, int depth, X509* certificate) {
  const bool expired = error == X509_V_ERR_CERT_HAS_EXPIRED;
  const bool early = error == X509_V_ERR_CERT_NOT_YET_VALID;
  if (!expired && !early) {
    if (verdict.trust_error == 0) {
      verdict.trust_error = error;
      verdict.trust_depth = depth;
    }
    return;
  }
  // The server's own certificate matters most; OpenSSL looks at the dates from the root down.
  if ((verdict.expired || verdict.not_yet_valid) && depth >= verdict.date_depth) return;
  verdict.expired = expired;
  verdict.not_yet_valid = early;
  verdict.date_depth = depth;
  if (certificate == nullptr) return;
  verdict.date =
      to_wall(expired ? X509_get0_notAfter(certificate) : X509_get0_notBefore(certificate));
  verdict.date_subject = name_text(X509_get_subject_name(certificate));
}

// Where note_and_go_on finds the verdict. Constant once taken.
int verdict_index() {
  static const int index = X509_STORE_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, nullptr);
  return index;
}

int note_and_go_on(int ok, X509_STORE_CTX* context) noexcept {
  auto* verdict = static_cast<CertVerdict*>(X509_STORE_CTX_get_ex_data(context, verdict_index()));
  if (ok == 0 && verdict != nullptr) {
    note_problem(*verdict, X509_STORE_CTX_get_error(context),
                 X509_STORE_CTX_get_error_depth(context), X509_STORE_CTX_get_current_cert(context));
  }
  return 1;
}

bool names(X509* leaf, std::string_view host, const IpAddress* literal) {
  if (literal != nullptr)
    return X509_check_ip(leaf, literal->bytes.data(), literal->v6 ? 16 : 4, 0) == 1;
  return X509_check_host(leaf, host.data(), host.size(), 0, nullptr) == 1;
}

std::string date_text(const CertVerdict& verdict, core::WallTime now) {
  const std::string whose = verdict.date_depth == 0 ? "certificate"
                                                    : "certificate of the issuer " +
                                                          verdict.date_subject + " (in the chain)";
  if (verdict.expired) {
    return whose + " expired " + core::humanize(now - verdict.date) + " ago (" +
           core::to_iso8601(verdict.date) + ")";
  }
  return whose + " is not valid before " + core::to_iso8601(verdict.date) + " (in " +
         core::humanize(verdict.date - now) + ")";
}

bool is_self_signed(int error) {
  return error == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT;
}

bool is_unknown_issuer(int error) {
  return error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT ||
         error == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
         error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE ||
         error == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN;
}

std::string trust_text(const CertVerdict& verdict, const core::TlsFacts* facts) {
  const std::string issuer =
      facts == nullptr || facts->issuer.empty() ? "its issuer" : facts->issuer;
  if (is_self_signed(verdict.trust_error)) return "certificate is self-signed (" + issuer + ")";
  if (is_unknown_issuer(verdict.trust_error)) {
    if (verdict.presented == 1) {
      return "certificate is issued by " + issuer +
             ", which is not trusted here, and the server sent no intermediate certificate that "
             "would lead to a trusted one";
    }
    return "certificate is issued by " + issuer + "; its chain does not lead to a trusted root";
  }
  return std::string("certificate chain is not acceptable: ") +
         X509_verify_cert_error_string(verdict.trust_error) +
         (verdict.trust_depth > 0 ? ", in the chain at depth " + std::to_string(verdict.trust_depth)
                                  : "");
}

std::string host_text(const core::TlsFacts* facts, std::string_view host) {
  std::string text = "certificate is not for " + std::string(host);
  if (facts == nullptr) return text;
  if (facts->sans.empty()) return text + " but for " + facts->subject;
  text += " but for ";
  for (std::size_t i = 0; i < facts->sans.size(); ++i) {
    if (i == 4) return text + " and " + std::to_string(facts->sans.size() - 4) + " more";
    text += (i == 0 ? "" : ", ") + facts->sans[i];
  }
  return text;
}

}  // namespace

void TrustStore::StoreDeleter::operator()(x509_store_st* store) const {
  X509_STORE_free(store);
}
TrustStore::~TrustStore() = default;

std::shared_ptr<TrustStore> TrustStore::system() {
  return std::shared_ptr<TrustStore>(new TrustStore);
}

core::Result<std::shared_ptr<TrustStore>> TrustStore::from_file(const std::string& path) {
  std::shared_ptr<TrustStore> made(new TrustStore);
  made->store_.reset(X509_STORE_new());
  if (!made->store_)
    return core::Error{core::ErrorKind::Unavailable, "ca_file: no memory for a trust store"};
  if (X509_STORE_load_file(made->store_.get(), path.c_str()) != 1) {
    ERR_clear_error();
    return core::Error{core::ErrorKind::Invalid,
                       "ca_file: " + path + " cannot be read or holds no PEM certificate"};
  }
  // Whom the operator names is trusted, whether a root, an intermediate or the server's own certificate.
  X509_STORE_set_flags(made->store_.get(), X509_V_FLAG_PARTIAL_CHAIN);
  return made;
}

core::Result<void> TrustStore::install(ssl_ctx_st* context) {
  if (!store_) {
    std::unique_ptr<x509_store_st, StoreDeleter> loaded(X509_STORE_new());
    if (!loaded || !load_system(loaded.get())) {
      ERR_clear_error();
      return core::Error{core::ErrorKind::Unavailable,
                         "no trusted certificates on this machine: is ca-certificates installed?"};
    }
    store_ = std::move(loaded);
  }
  SSL_CTX_set1_cert_store(context, store_.get());
  return {};
}

CertVerdict examine_chain(x509_store_ctx_st* context, std::string_view host,
                          const IpAddress* literal) {
  CertVerdict verdict;
  X509* leaf = X509_STORE_CTX_get0_cert(context);
  if (leaf == nullptr) return verdict;
  verdict.seen = true;
  verdict.presented = sk_X509_num(X509_STORE_CTX_get0_untrusted(context));
  X509_STORE_CTX_set_ex_data(context, verdict_index(), &verdict);
  X509_STORE_CTX_set_verify_cb(context, note_and_go_on);
  const int walked = X509_verify_cert(context);
  X509_STORE_CTX_set_ex_data(context, verdict_index(), nullptr);
  if (walked != 1 && verdict.good()) {  // It could not even be walked.
    verdict.trust_error = X509_STORE_CTX_get_error(context);
    if (verdict.trust_error == X509_V_OK) verdict.trust_error = X509_V_ERR_UNSPECIFIED;
  }
  verdict.wrong_host = !names(leaf, host, literal);
  return verdict;
}

CertProblem judge_certificate(const CertVerdict& verdict, const core::TlsFacts* facts,
                              std::string_view host, core::WallTime now) {
  if (!verdict.seen || verdict.good()) return {};
  if (is_our_error(verdict.trust_error)) {
    return {Cause::LocalResources, trust_text(verdict, facts)};
  }
  if (verdict.trust_error != 0) {
    return {
        is_self_signed(verdict.trust_error) ? Cause::TlsCertSelfSigned : Cause::TlsCertUntrusted,
        trust_text(verdict, facts)};
  }
  if (verdict.expired) return {Cause::TlsCertExpired, date_text(verdict, now)};
  if (verdict.not_yet_valid) return {Cause::TlsCertNotYetValid, date_text(verdict, now)};
  return {Cause::TlsCertHostname, host_text(facts, host)};
}

int alert_error(const CertVerdict& verdict) {
  if (verdict.trust_error != 0) return verdict.trust_error;
  if (verdict.expired) return X509_V_ERR_CERT_HAS_EXPIRED;
  if (verdict.not_yet_valid) return X509_V_ERR_CERT_NOT_YET_VALID;
  return verdict.wrong_host ? X509_V_ERR_HOSTNAME_MISMATCH : X509_V_OK;
}

}  // namespace watchwheel::checker
