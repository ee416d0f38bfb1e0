// SPDX-License-Identifier: Apache-2.0
// checker/tls_trust.h - whom we trust, and what exactly is wrong with a certificate.
//
// TrustStore   a set of trusted certificates, loaded once and shared by all handshakes of a lane: loading it for each one was
//              measured at 58 ms of CPU. Thread: the lane's.
// CertVerdict  every problem of a presented chain, gathered in one walk; the cause is chosen afterwards. OpenSSL alone stops at
//              the first problem it meets, which need not be the one that matters.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "checker/address.h"
#include "core/pinned.h"
#include "core/probe.h"
#include "core/result.h"

struct ssl_ctx_st;
struct x509_store_st;
struct x509_store_ctx_st;

namespace watchwheel::checker {

class TrustStore : core::Pinned {
 public:
  // The machine's store (SSL_CERT_FILE, else OpenSSL's default file or directory), read at first use.
  [[nodiscard]] static std::shared_ptr<TrustStore> system();
  // Only the certificates in this PEM file, roots or not. Invalid when it cannot be read or holds none.
  [[nodiscard]] static core::Result<std::shared_ptr<TrustStore>> from_file(const std::string& path);
  ~TrustStore();

  // Gives `context` this store. Unavailable when the machine has none that can be read.
  [[nodiscard]] core::Result<void> install(ssl_ctx_st* context);

 private:
  TrustStore() = default;
  struct StoreDeleter {
    void operator()(x509_store_st* store) const;
  };
  std::unique_ptr<x509_store_st, StoreDeleter> store_;
};

// The problems of one presented chain. Codes are OpenSSL's X509_V_ERR_*; 0 is none.
struct CertVerdict {
  bool seen = false;    // The server presented a certificate.
  int trust_error = 0;  // The first that is neither a date nor the name.
  int trust_depth = 0;  // 0 is the server's own certificate.
  int presented = 0;    // Certificates the server sent.
  bool expired = false;
  bool not_yet_valid = false;
  int date_depth = 0;                       // Of the certificate whose date it is.
  core::WallTime date = core::kNoWallTime;  // notAfter or notBefore of that one.
  std::string date_subject;                 // Its subject, for depth > 0.
  bool wrong_host = false;

  [[nodiscard]] bool good() const {
    return trust_error == 0 && !expired && !not_yet_valid && !wrong_host;
  }
};

// Walks the chain in `context` (as handed to a certificate verify callback) against its store and its time, and the name or
// address that was asked for. Never stops at a problem.
[[nodiscard]] CertVerdict examine_chain(x509_store_ctx_st* context, std::string_view host,
                                        const IpAddress* literal);

struct CertProblem {
  core::Cause cause = core::Cause::Ok;
  std::string detail;
};
// When several things are wrong: who vouches for it comes before its dates, and these before the name. Whoever repairs only the
// name of a certificate nobody vouches for has repaired nothing. `names` are the leaf's, for the detail.
[[nodiscard]] CertProblem judge_certificate(const CertVerdict& verdict, const core::TlsFacts* facts,
                                            std::string_view host, core::WallTime now);

// The X509_V_ERR_* for the alert that tells the server why we leave.
[[nodiscard]] int alert_error(const CertVerdict& verdict);

}  // namespace watchwheel::checker
