// SPDX-License-Identifier: Apache-2.0
#include "support/certs.h"

#include <openssl/ec.h>
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

EVP_PKEY* rsa_pss_key() {
  EVP_PKEY_CTX* context = made(EVP_PKEY_CTX_new_from_name(nullptr, "RSA-PSS", nullptr), "context");
  EVP_PKEY* key = nullptr;
  const bool good = EVP_PKEY_keygen_init(context) == 1 &&
                    EVP_PKEY_CTX_set_rsa_keygen_bits(context, 2048) == 1 &&
                    EVP_PKEY_keygen(context, &key) == 1;
  EVP_PKEY_CTX_free(context);
  return good ? key : nullptr;
}

// By OpenSSL's own names of the curves: with FastDecoding on it does not know NIST's.
Key make_key(KeyKind kind) {
  EVP_PKEY* key = nullptr;
  switch (kind) {
    case KeyKind::Ec256:
      key = EVP_EC_gen("prime256v1");
      break;
    case KeyKind::Ec384:
      key = EVP_EC_gen("secp384r1");
      break;
    case KeyKind::Ec521:
      key = EVP_EC_gen("secp521r1");
      break;
    case KeyKind::Ed25519:
      key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      break;
    case KeyKind::Rsa512:
      key = EVP_RSA_gen(512);
      break;
    case KeyKind::Rsa1024:
      key = EVP_RSA_gen(1024);
      break;
    case KeyKind::Rsa2048:
      key = EVP_RSA_gen(2048);
      break;
    case KeyKind::RsaPss2048:
      key = rsa_pss_key();
      break;
  }
  return {made(key, "key"), EVP_PKEY_free};
}

const EVP_MD* hash_for(HashKind kind, const EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1) return nullptr;  // It brings its own.
  switch (kind) {
    case HashKind::Sha1:
      return EVP_sha1();
    case HashKind::Md5:
      return EVP_md5();
    case HashKind::Sha256:
      break;
  }
  return EVP_sha256();
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

std::string basic_constraints(const CertSpec& spec, bool authority) {
  if (!authority || !spec.authority) return "critical,CA:FALSE";
  return "critical,CA:TRUE" +
         (spec.path_length < 0 ? "" : ",pathlen:" + std::to_string(spec.path_length));
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
  add_extension(cert.get(), by, NID_basic_constraints, basic_constraints(spec, authority));
  if (authority && spec.authority)
    add_extension(cert.get(), by, NID_key_usage, "critical,keyCertSign,cRLSign");
  add_extension(cert.get(), by, NID_subject_key_identifier, "hash");
  add_extension(cert.get(), by, NID_authority_key_identifier, "keyid:always");
  if (const std::string names = alternative_names(spec); !names.empty()) {
    add_extension(cert.get(), by, NID_subject_alt_name, names);
  }
  for (const Extension& extension : spec.extensions)
    add_extension(cert.get(), by, OBJ_txt2nid(extension.name.c_str()), extension.value);
  EVP_PKEY* signer = issuer_key == nullptr ? key : issuer_key;
  must(X509_sign(cert.get(), signer, hash_for(spec.hash, signer)), "signature");
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

Authority::Authority(const std::string& common_name)
    : Authority(CertSpec{.common_name = common_name, .valid_for = std::chrono::hours{24 * 3650}}) {}

Authority::Authority(const CertSpec& spec) : impl_(std::make_unique<Impl>()) {
  impl_->key = make_key(spec.key);
  impl_->cert = make_cert(spec, impl_->key.get(), nullptr, nullptr, true);
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

Cert Authority::cross_sign(const Authority& other, const CertSpec& spec) const {
  return make_cert(spec, other.impl_->key.get(), impl_->cert.get(), impl_->key.get(), true);
}

Cert Authority::certificate() const {
  return impl_->cert;
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

void write_key(const Certificate& certificate, const std::string& path,
               const std::string& password) {
  std::FILE* file = made(std::fopen(path.c_str(), "w"), "open a file");
  must(PEM_write_PKCS8PrivateKey(file, certificate.key.get(),
                                 password.empty() ? nullptr : EVP_aes_256_cbc(),
                                 password.empty() ? nullptr : password.data(),
                                 static_cast<int>(password.size()), nullptr, nullptr),
       "write a key");
  std::fclose(file);
}

// OpenSSL compares public keys only, so a key with our private half and their public one passes for theirs. The interface for
// putting keys together by hand is the old one.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
Certificate without_its_key(const Certificate& certificate) {
  EC_KEY* theirs = made(EVP_PKEY_get1_EC_KEY(certificate.key.get()), "EC key of the certificate");
  EC_KEY* mixed = made(EC_KEY_dup(theirs), "copy of a key");
  EC_KEY* other = made(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1), "curve");
  must(EC_KEY_generate_key(other), "another key");
  must(EC_KEY_set_private_key(mixed, EC_KEY_get0_private_key(other)), "another's private half");
  EVP_PKEY* key = made(EVP_PKEY_new(), "key");
  must(EVP_PKEY_assign_EC_KEY(key, mixed), "key of two halves");
  EC_KEY_free(other);
  EC_KEY_free(theirs);
  return {.key = {key, EVP_PKEY_free}, .chain = certificate.chain};
}
#pragma GCC diagnostic pop

Cert forged(const Cert& certificate) {
  unsigned char* der = nullptr;
  const int length = i2d_X509(certificate.get(), &der);
  must(length, "encode");
  der[length - 1] ^= 1U;
  const unsigned char* at = der;
  Cert copy(d2i_X509(nullptr, &at, length), X509_free);
  OPENSSL_free(der);
  made(copy.get(), "decode");
  return copy;
}

}  // namespace watchwheel::testing
