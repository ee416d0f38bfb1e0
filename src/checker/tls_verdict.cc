// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_verdict.h"

#include <openssl/objects.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>

#include "checker/tls_facts.h"
#include "core/units.h"

namespace watchwheel::checker {
namespace {

using core::Cause;

// The library could not look; the certificate is not to blame.
bool is_our_error(int error) {
  return error == X509_V_ERR_OUT_OF_MEM || error == X509_V_ERR_UNSPECIFIED ||
         error == X509_V_ERR_STORE_LOOKUP || error == X509_V_ERR_INVALID_CALL;
}

std::string signature_name(const X509* certificate) {
  const char* name = OBJ_nid2sn(X509_get_signature_nid(certificate));
  return name == nullptr ? "unknown" : name;
}

void note_trust_error(CertVerdict& verdict, int error, int depth, X509* certificate) {
  if (verdict.trust_error != 0) return;
  verdict.trust_error = error;
  verdict.trust_depth = depth;
  if (certificate == nullptr) return;
  verdict.trust_subject = name_text(X509_get_subject_name(certificate));
  verdict.trust_issuer = name_text(X509_get_issuer_name(certificate));
  verdict.key_type = key_text(certificate);
  verdict.signature = signature_name(certificate);
  verdict.tells_issuer = X509_get_ext_by_NID(certificate, NID_info_access, -1) >= 0;
}

void note_problem(CertVerdict& verdict, int error, int depth, X509* certificate) {
  const bool expired = error == X509_V_ERR_CERT_HAS_EXPIRED;
  const bool early = error == X509_V_ERR_CERT_NOT_YET_VALID;
  if (!expired && !early) return note_trust_error(verdict, error, depth, certificate);
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

// ---- sentences ----

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
         error == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE;
}

// An issuer that is unknown, or one that is known and whose certificate the server forgot to send: seen from here it is the same
// until somebody tells. A certificate that says where its issuer's is to be fetched has one that is no root.
std::string unknown_issuer_text(const CertVerdict& verdict) {
  const std::string& issuer = verdict.trust_issuer;
  if (verdict.trust_depth > 0) {
    return "the chain ends at " + verdict.trust_subject + ", issued by " + issuer +
           ", whose certificate the server did not send and which is not trusted here";
  }
  const std::string issued = "certificate is issued by " + issuer;
  if (verdict.presented > 1) {
    return issued + ", whose certificate is missing among the " +
           std::to_string(verdict.presented) +
           " that the server sent: the intermediate certificate is missing or another's";
  }
  if (verdict.tells_issuer) {
    return issued +
           ", whose certificate the server did not send: an intermediate certificate is "
           "missing (browsers may fetch it, other clients refuse)";
  }
  return issued +
         ", which is not trusted here, and the server sent no intermediate certificate that "
         "would lead to a trusted one";
}

std::string whose(const CertVerdict& verdict) {
  return verdict.trust_depth == 0
             ? "certificate"
             : "certificate of the issuer " + verdict.trust_subject + " (in the chain)";
}

std::string level_text(const CertVerdict& verdict) {
  // Bits of strength, and the RSA key that has them.
  struct Least {
    int bits, rsa;
  };
  static constexpr std::array<Least, 6> kLeast{
      {{0, 0}, {80, 1024}, {112, 2048}, {128, 3072}, {192, 7680}, {256, 15360}}};
  const auto level = static_cast<std::size_t>(std::clamp(verdict.security_level, 0, 5));
  return "OpenSSL's security level " + std::to_string(level) + " here asks for " +
         std::to_string(kLeast[level].bits) + " bits of strength (RSA " +
         std::to_string(kLeast[level].rsa) + ", SHA-2)";
}

// Only of what the standard sentences say badly.
std::string particular_text(const CertVerdict& verdict) {
  switch (verdict.trust_error) {
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return "the chain leads to the root " + verdict.trust_subject + ", which is not trusted here";
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL:
      return whose(verdict) + " has a weak key (" + verdict.key_type + "): " + level_text(verdict);
    case X509_V_ERR_CA_MD_TOO_WEAK:
      return whose(verdict) + " has a weak signature (" + verdict.signature +
             "): " + level_text(verdict);
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
      return "a name of the " + whose(verdict) +
             " is one that the name constraints of its issuers do not allow";
    case X509_V_ERR_INVALID_PURPOSE:
      return verdict.trust_depth == 0
                 ? "certificate is not one for servers: its key usage does not allow it"
                 : whose(verdict) +
                       " may not issue certificates for servers: its key usage "
                       "does not allow it";
    case X509_V_ERR_INVALID_CA:
      return whose(verdict) +
             " is not one of an authority (CA:FALSE), so it cannot vouch for others";
    case X509_V_ERR_PATH_LENGTH_EXCEEDED:
      return whose(verdict) + " allows fewer authorities below it than there are (path length)";
    case X509_V_ERR_KEYUSAGE_NO_CERTSIGN:
      return whose(verdict) + " may not sign certificates (key usage)";
    case X509_V_ERR_CERT_SIGNATURE_FAILURE:
      return whose(verdict) + " has a signature that is not of " + verdict.trust_issuer +
             ": it was altered or forged";
    default:
      return "certificate chain is not acceptable: " +
             std::string(X509_verify_cert_error_string(verdict.trust_error)) +
             (verdict.trust_depth > 0
                  ? ", in the chain at depth " + std::to_string(verdict.trust_depth)
                  : "");
  }
}

std::string trust_text(const CertVerdict& verdict) {
  if (is_self_signed(verdict.trust_error))
    return "certificate is self-signed (" + verdict.trust_issuer + ")";
  if (is_unknown_issuer(verdict.trust_error)) return unknown_issuer_text(verdict);
  return particular_text(verdict);
}

std::string host_text(const core::TlsFacts* facts, std::string_view host) {
  std::string text = "certificate is not for " + std::string(host);
  if (facts == nullptr) return text;
  if (facts->sans.empty())
    return text + ": it has no subject alternative names, only the subject " + facts->subject;
  text += " but for ";
  for (std::size_t i = 0; i < facts->sans.size(); ++i) {
    if (i == 4) return text + " and " + std::to_string(facts->sans.size() - 4) + " more";
    text += (i == 0 ? "" : ", ") + facts->sans[i];
  }
  return text;
}

}  // namespace

CertVerdict examine_chain(x509_store_ctx_st* context) {
  CertVerdict verdict;
  if (X509_STORE_CTX_get0_cert(context) == nullptr) return verdict;
  verdict.seen = true;
  verdict.presented = sk_X509_num(X509_STORE_CTX_get0_untrusted(context));
  verdict.security_level = X509_VERIFY_PARAM_get_auth_level(X509_STORE_CTX_get0_param(context));
  X509_STORE_CTX_set_ex_data(context, verdict_index(), &verdict);
  X509_STORE_CTX_set_verify_cb(context, note_and_go_on);
  const int walked = X509_verify_cert(context);
  X509_STORE_CTX_set_ex_data(context, verdict_index(), nullptr);
  if (walked != 1 && verdict.chain_good()) {  // It could not even be walked.
    verdict.trust_error = X509_STORE_CTX_get_error(context);
    if (verdict.trust_error == X509_V_OK) verdict.trust_error = X509_V_ERR_UNSPECIFIED;
  }
  return verdict;
}

core::WallTime end_of_chain(x509_store_ctx_st* context) {
  core::WallTime end = core::WallTime::max();
  const STACK_OF(X509)* chain = X509_STORE_CTX_get0_chain(context);
  for (int i = 0; i < sk_X509_num(chain); ++i)
    end = std::min(end, to_wall(X509_get0_notAfter(sk_X509_value(chain, i))));
  return sk_X509_num(chain) > 0 ? end : core::kNoWallTime;
}

std::optional<bool> is_for_host(x509_st* leaf, std::string_view host, const IpAddress* literal) {
  constexpr unsigned kRules =
      X509_CHECK_FLAG_NEVER_CHECK_SUBJECT | X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
  const int fits = literal != nullptr
                       ? X509_check_ip(leaf, literal->bytes.data(), literal->v6 ? 16 : 4, 0)
                       : X509_check_host(leaf, host.data(), host.size(), kRules, nullptr);
  if (fits == -1) return std::nullopt;
  return fits == 1;
}

bool is_within_dates(x509_st* leaf, core::WallTime now) {
  std::time_t seconds = std::chrono::floor<std::chrono::seconds>(now.time_since_epoch()).count();
  return X509_cmp_time(X509_get0_notBefore(leaf), &seconds) < 0 &&
         X509_cmp_time(X509_get0_notAfter(leaf), &seconds) > 0;
}

CertProblem judge_certificate(const CertVerdict& verdict, const core::TlsFacts* facts,
                              std::string_view host, core::WallTime now) {
  if (!verdict.seen || verdict.good()) return {};
  if (is_our_error(verdict.trust_error)) return {Cause::LocalResources, trust_text(verdict)};
  if (verdict.trust_error != 0) {
    return {
        is_self_signed(verdict.trust_error) ? Cause::TlsCertSelfSigned : Cause::TlsCertUntrusted,
        trust_text(verdict)};
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
