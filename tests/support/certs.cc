// SPDX-License-Identifier: Apache-2.0
#include "support/certs.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <filesystem>
#include <stdexcept>

namespace watchwheel::testing {
namespace {

using Key = std::shared_ptr<EVP_PKEY>;
using Cert = std::shared_ptr<X509>;

template <typename T>
T* made(T* thing, const char* what) {
  if (thing == nullptr) throw std::runtime_error(std::string("certs: ") + what);
  return thing;
}
void must(int ok, const char* what) {
  if (ok <= 0) throw std::runtime_error(std::string("certs: ") + what);
}

Key make_key(KeyKind kind) {
  EVP_PKEY* key = nullptr;
  switch (kind) {
    case KeyKind::Ec256:
      key = EVP_EC_gen("P-256");
      break;
    case KeyKind::Rsa1024:
      key = EVP_RSA_gen(1024);
      break;
    case KeyKind::Rsa2048:
      key = EVP_RSA_gen(2048);
      break;
  }
  return {made(key, "key"), EVP_PKEY_free};
}

void add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* extension =
      made(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()), "extension");
  must(X509_add_ext(cert, extension, -1), "add extension");
  X509_EXTENSION_free(extension);
}

std::string alternative_names(const CertSpec& spec) {
  std::string names;
  for (const std::string& name : spec.dns_names) names += (names.empty() ? "DNS:" : ",DNS:") + name;
  for (const std::string& ip : spec.ips) names += (names.empty() ? "IP:" : ",IP:") + ip;
  return names;
}

// `issuer` null: signed by itself.
Cert make_cert(const CertSpec& spec, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
               bool authority) {
  static std::atomic<long> serial{1000};
  Cert cert(made(X509_new(), "certificate"), X509_free);
  must(X509_set_version(cert.get(), 2), "version");
  must(ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), ++serial), "serial");
  using Seconds = std::chrono::seconds;
  made(X509_gmtime_adj(X509_getm_notBefore(cert.get()), Seconds(spec.valid_from).count()),
       "notBefore");
  made(X509_gmtime_adj(X509_getm_notAfter(cert.get()), Seconds(spec.valid_for).count()),
       "notAfter");
  must(X509_set_pubkey(cert.get(), key), "public key");
  X509_NAME* name = X509_get_subject_name(cert.get());
  must(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                  reinterpret_cast<const unsigned char*>(spec.common_name.c_str()),
                                  -1, -1, 0),
       "subject");
  X509* by = issuer == nullptr ? cert.get() : issuer;
  must(X509_set_issuer_name(cert.get(), X509_get_subject_name(by)), "issuer");
  add_extension(cert.get(), by, NID_basic_constraints,
                authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  if (authority) add_extension(cert.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(cert.get(), by, NID_subject_key_identifier, "hash");
  add_extension(cert.get(), by, NID_authority_key_identifier, "keyid:always");
  if (const std::string names = alternative_names(spec); !names.empty()) {
    add_extension(cert.get(), by, NID_subject_alt_name, names);
  }
  must(X509_sign(cert.get(), issuer_key == nullptr ? key : issuer_key, EVP_sha256()), "signature");
  return cert;
}

}  // namespace

struct Authority::Impl {
  Key key;
  Cert cert;
  std::vector<Cert> chain;  // From this one up to, not including, the root.
  mutable std::string file;
  ~Impl() {
    if (!file.empty()) std::remove(file.c_str());
  }
};

Authority::Authority(const std::string& common_name) : impl_(std::make_unique<Impl>()) {
  impl_->key = make_key(KeyKind::Ec256);
  impl_->cert = make_cert({.common_name = common_name,
                           .dns_names = {},
                           .ips = {},
                           .valid_for = std::chrono::hours{24 * 3650}},
                          impl_->key.get(), nullptr, nullptr, true);
}

Authority::Authority(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Authority::~Authority() = default;

std::unique_ptr<Authority> Authority::intermediate(const CertSpec& spec) const {
  auto impl = std::make_unique<Impl>();
  impl->key = make_key(spec.key);
  impl->cert = make_cert(spec, impl->key.get(), impl_->cert.get(), impl_->key.get(), true);
  impl->chain.push_back(impl->cert);
  impl->chain.insert(impl->chain.end(), impl_->chain.begin(), impl_->chain.end());
  return std::unique_ptr<Authority>(new Authority(std::move(impl)));
}

Certificate Authority::issue(const CertSpec& spec) const {
  Certificate certificate = issue_without_chain(spec);
  certificate.chain.insert(certificate.chain.end(), impl_->chain.begin(), impl_->chain.end());
  return certificate;
}

Certificate Authority::issue_without_chain(const CertSpec& spec) const {
  Certificate certificate{.key = make_key(spec.key), .chain = {}};
  certificate.chain.push_back(
      make_cert(spec, certificate.key.get(), impl_->cert.get(), impl_->key.get(), false));
  return certificate;
}

const std::string& Authority::ca_file() const {
  static std::atomic<int> count{0};
  if (impl_->file.empty()) {
    impl_->file =
        std::filesystem::temp_directory_path() /
        ("watchwheel-ca-" + std::to_string(getpid()) + "-" + std::to_string(++count) + ".pem");
    write_pem({.key = impl_->key, .chain = {impl_->cert}}, impl_->file);
  }
  return impl_->file;
}

Certificate self_signed(const CertSpec& spec) {
  Certificate certificate{.key = make_key(spec.key), .chain = {}};
  certificate.chain.push_back(make_cert(spec, certificate.key.get(), nullptr, nullptr, false));
  return certificate;
}

void write_pem(const Certificate& certificate, const std::string& path) {
  std::FILE* file = made(std::fopen(path.c_str(), "w"), "open a file");
  for (const Cert& cert : certificate.chain) must(PEM_write_X509(file, cert.get()), "write");
  std::fclose(file);
}

}  // namespace watchwheel::testing
