// SPDX-License-Identifier: Apache-2.0
// checker/tls_verdict.h - what exactly is wrong with a certificate.
//
// CertVerdict  every problem of a presented chain, gathered in one walk; the cause is chosen afterwards. OpenSSL alone stops at
//              the first problem it meets, which need not be the one that matters.
//
// Pure but for the context it is given; any thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "checker/address.h"
#include "core/probe.h"

struct x509_st;
struct x509_store_ctx_st;

namespace watchwheel::checker {

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

  // Of the certificate with the trust error.
  std::string trust_subject, trust_issuer;
  std::string key_type;       // "RSA 1024"
  std::string signature;      // "RSA-SHA1"
  bool tells_issuer = false;  // It says where its issuer's certificate can be fetched.
  int security_level = 0;     // By which keys and signatures were judged.

  [[nodiscard]] bool chain_good() const { return trust_error == 0 && !expired && !not_yet_valid; }
  [[nodiscard]] bool good() const { return chain_good() && !wrong_host; }
};

// Walks the chain in `context` (as handed to a certificate verify callback) against its store, at the time and security level set
// in its parameters. Never stops at a problem. The name is not looked at.
[[nodiscard]] CertVerdict examine_chain(x509_store_ctx_st* context);
// When the first certificate of the chain that was just walked ends, trust anchor included.
[[nodiscard]] core::WallTime end_of_chain(x509_store_ctx_st* context);

// Whether the certificate is for this name, or for the address when the URL has one. Wildcards stand for a whole label, as
// browsers have it. Nothing: it could not be looked at.
[[nodiscard]] std::optional<bool> is_for_host(x509_st* leaf, std::string_view host, const IpAddress* literal);
[[nodiscard]] bool is_within_dates(x509_st* leaf, core::WallTime now);

struct CertProblem {
  core::Cause cause = core::Cause::Ok;
  std::string detail;
};
// When several things are wrong: who vouches for it comes before its dates, and these before the name. Whoever repairs only the
// name of a certificate nobody vouches for has repaired nothing. `facts` are the leaf's, for the detail.
[[nodiscard]] CertProblem judge_certificate(const CertVerdict& verdict, const core::TlsFacts* facts,
                                            std::string_view host, core::WallTime now);

// The X509_V_ERR_* for the alert that tells the server why we leave.
[[nodiscard]] int alert_error(const CertVerdict& verdict);

}  // namespace watchwheel::checker
