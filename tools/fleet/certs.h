// SPDX-License-Identifier: Apache-2.0
// fleet/certs.h - the certificates of the fleet: a root, an intermediate, good leaves and bad ones.
//
// Only the root lives in a directory (`ca.pem`, `ca-key.pem`), so that whoever trusts it goes on
// doing so after a restart. All else is made at start: one P-256 key for every leaf, which makes a
// leaf cost one signature (tens of microseconds).
//
// Owns     every key and certificate it made.
// Thread   constant after the constructor.
// Bounded  one leaf a site for CertMode::Distinct, kHttpsDistinctMax of them.
// Fails    the constructor throws std::runtime_error with the reason and a remedy.
#pragma once

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "fleet/config.h"
#include "fleet/faults.h"
#include "fleet/site_map.h"

namespace watchwheel::fleet {

struct FreeKey {
  void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
struct FreeCert {
  void operator()(X509* cert) const noexcept { X509_free(cert); }
};
using Key = std::unique_ptr<EVP_PKEY, FreeKey>;
using Cert = std::unique_ptr<X509, FreeCert>;

class CertSet {
 public:
  CertSet(const std::string& directory, CertMode mode, const SiteMap& map);

  // The leaf that `site` shows while `kind` is on.
  [[nodiscard]] X509* leaf(std::uint32_t site, FaultKind kind) const noexcept;
  [[nodiscard]] EVP_PKEY* leaf_key() const noexcept { return leaf_key_.get(); }
  [[nodiscard]] X509* intermediate() const noexcept { return intermediate_.get(); }

  // Signed by a root that is thrown away: for TlsUnknownIssuer.
  [[nodiscard]] X509* rogue_intermediate() const noexcept { return rogue_intermediate_.get(); }

  [[nodiscard]] const std::string& ca_file() const noexcept { return ca_file_; }

 private:
  void make_leaves(CertMode mode, const SiteMap& map, EVP_PKEY* intermediate_key);

  std::string ca_file_;
  Key leaf_key_;
  Cert intermediate_;
  Cert rogue_intermediate_;
  Cert shared_, expired_, not_yet_, wrong_host_, self_signed_, unknown_issuer_;
  std::vector<Cert> leaves_;  // By site; empty unless Distinct.
};

}  // namespace watchwheel::fleet
