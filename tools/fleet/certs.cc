// SPDX-License-Identifier: Apache-2.0
#include "fleet/certs.h"

#include <fcntl.h>
#include <openssl/conf.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>

#include <array>
#include <filesystem>
#include <future>
#include <stdexcept>

#include "fleet/net.h"

namespace watchwheel::fleet {
namespace {

constexpr long kDay = 86'400;

struct CloseFile {
  void operator()(std::FILE* file) const noexcept { std::fclose(file); }
};
struct FreeConf {
  void operator()(CONF* conf) const noexcept { NCONF_free(conf); }
};
using File = std::unique_ptr<std::FILE, CloseFile>;

[[noreturn]] void throw_openssl(const std::string& what) {
  std::array<char, 256> reason{};
  ERR_error_string_n(ERR_get_error(), reason.data(), reason.size());
  throw std::runtime_error(what + ": " + reason.data());
}

Key make_key() {
  Key key(EVP_EC_gen("P-256"));
  if (!key) throw_openssl("cannot make a P-256 key");
  return key;
}

enum class Role { Root, Intermediate, Leaf };

struct CertWish {
  Role role = Role::Leaf;
  std::string name;       // Common name; for a leaf also its only DNS name.
  long begins_s = -kDay;  // From now.
  long ends_s = 90 * kDay;
  EVP_PKEY* key = nullptr;
  X509* issuer = nullptr;  // None: signs itself.
  EVP_PKEY* issuer_key = nullptr;
};

void add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, issuer, cert, nullptr, nullptr, 0);
  // Policies ask for a configuration to look names up in, if only an empty one.
  const std::unique_ptr<CONF, FreeConf> empty(NCONF_new(nullptr));
  X509V3_set_nconf(&context, empty.get());
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  if (extension == nullptr) throw_openssl("cannot make the extension " + value);
  const int added = X509_add_ext(cert, extension, -1);
  X509_EXTENSION_free(extension);
  if (added != 1) throw_openssl("cannot add the extension " + value);
}

void add_extensions(X509* cert, X509* issuer, const CertWish& wish) {
  if (wish.role == Role::Leaf) {
    add_extension(cert, issuer, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(cert, issuer, NID_key_usage, "critical,digitalSignature");
    add_extension(cert, issuer, NID_ext_key_usage, "serverAuth,clientAuth");
    add_extension(cert, issuer, NID_subject_alt_name, "DNS:" + wish.name);
    // Never fetched; they give the leaf the size and the parsing cost of a public one.
    add_extension(cert, issuer, NID_info_access,
                  "OCSP;URI:http://ocsp.fleet.invalid,caIssuers;URI:http://ca.fleet.invalid/i.crt");
    add_extension(cert, issuer, NID_crl_distribution_points, "URI:http://crl.fleet.invalid/i.crl");
    add_extension(cert, issuer, NID_certificate_policies, "2.23.140.1.2.1");
  } else {
    add_extension(cert, issuer, NID_basic_constraints,
                  wish.role == Role::Root ? "critical,CA:TRUE" : "critical,CA:TRUE,pathlen:0");
    add_extension(cert, issuer, NID_key_usage, "critical,keyCertSign,cRLSign");
  }
  add_extension(cert, issuer, NID_subject_key_identifier, "hash");
  if (wish.issuer != nullptr) {
    add_extension(cert, issuer, NID_authority_key_identifier, "keyid:always");
  }
}

Cert make_cert(const CertWish& wish) {
  Cert cert(X509_new());
  if (!cert) throw_openssl("cannot make a certificate");
  std::uint64_t serial = 0;
  std::array<unsigned char, sizeof(serial)> random{};
  if (RAND_bytes(random.data(), static_cast<int>(random.size())) != 1) {
    throw_openssl("cannot make a serial number");
  }
  for (const unsigned char byte : random) serial = (serial << 8U) | byte;
  ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert.get()), serial >> 1U);
  X509_set_version(cert.get(), X509_VERSION_3);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), wish.begins_s);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), wish.ends_s);
  X509_set_pubkey(cert.get(), wish.key);

  X509_NAME* subject = X509_get_subject_name(cert.get());
  // A common name ends at 64 characters; the DNS name beside it does not.
  const std::string common = wish.name.substr(0, 64);
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0);
  X509* issuer = wish.issuer != nullptr ? wish.issuer : cert.get();
  X509_set_issuer_name(cert.get(), X509_get_subject_name(issuer));
  add_extensions(cert.get(), issuer, wish);
  EVP_PKEY* signer = wish.issuer_key != nullptr ? wish.issuer_key : wish.key;
  if (X509_sign(cert.get(), signer, EVP_sha256()) == 0) throw_openssl("cannot sign " + wish.name);
  return cert;
}

struct Authority {
  Key key;
  Cert cert;
};

Authority make_root(const std::string& name) {
  Authority root{make_key(), nullptr};
  root.cert = make_cert({Role::Root, name, -kDay, 3650 * kDay, root.key.get(), nullptr, nullptr});
  return root;
}

Authority make_intermediate(const std::string& name, const Authority& root) {
  Authority made{make_key(), nullptr};
  made.cert = make_cert({Role::Intermediate, name, -kDay, 1825 * kDay, made.key.get(),
                         root.cert.get(), root.key.get()});
  return made;
}

void write_root(const Authority& root, const std::string& cert_path, const std::string& key_path) {
  // The key first: a certificate without a key would be refused at the next start.
  Fd key_fd(::open(key_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const File key_file(key_fd ? ::fdopen(::dup(key_fd.get()), "w") : nullptr);
  if (!key_file) throw_errno("cannot write " + key_path + " (give a writable --cert-dir)");
  const int wrote_key =
      PEM_write_PrivateKey(key_file.get(), root.key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  const File cert_file(std::fopen(cert_path.c_str(), "w"));
  if (!cert_file) throw_errno("cannot write " + cert_path + " (give a writable --cert-dir)");
  const int wrote_cert = PEM_write_X509(cert_file.get(), root.cert.get());
  const bool flushed = std::fflush(key_file.get()) == 0 && std::fflush(cert_file.get()) == 0;
  if (wrote_key != 1 || wrote_cert != 1 || !flushed) throw_openssl("cannot write " + cert_path);
}

Authority read_root(const std::string& cert_path, const std::string& key_path) {
  const std::string remedy = " (delete the directory's ca.pem and ca-key.pem to have new ones)";
  const File cert_file(std::fopen(cert_path.c_str(), "r"));
  const File key_file(std::fopen(key_path.c_str(), "r"));
  if (!cert_file || !key_file) throw_errno("cannot read " + cert_path + " and its key" + remedy);
  Authority root;
  root.cert.reset(PEM_read_X509(cert_file.get(), nullptr, nullptr, nullptr));
  root.key.reset(PEM_read_PrivateKey(key_file.get(), nullptr, nullptr, nullptr));
  if (!root.cert || !root.key) throw_openssl("cannot understand " + cert_path + remedy);
  if (X509_check_private_key(root.cert.get(), root.key.get()) != 1) {
    throw_openssl(key_path + " does not belong to " + cert_path + remedy);
  }
  if (X509_cmp_current_time(X509_get0_notAfter(root.cert.get())) <= 0) {
    throw std::runtime_error(cert_path + " has expired" + remedy);
  }
  return root;
}

Authority load_or_make_root(const std::string& directory) {
  std::error_code error;
  std::filesystem::create_directories(directory, error);
  if (error) {
    throw std::runtime_error("cannot make the directory " + directory + ": " + error.message() +
                             " (give a writable --cert-dir)");
  }
  const std::string cert_path = directory + "/ca.pem";
  const std::string key_path = directory + "/ca-key.pem";
  if (std::filesystem::exists(cert_path)) return read_root(cert_path, key_path);
  Authority root = make_root("Fleet Test Root");
  write_root(root, cert_path, key_path);
  return root;
}

}  // namespace

CertSet::CertSet(const std::string& directory, CertMode mode, const SiteMap& map)
    : ca_file_(std::filesystem::absolute(directory + "/ca.pem").lexically_normal().string()),
      leaf_key_(make_key()) {
  const Authority root = load_or_make_root(directory);
  Authority intermediate = make_intermediate("Fleet Test Intermediate", root);
  intermediate_ = std::move(intermediate.cert);
  make_leaves(mode, map, intermediate.key.get());

  const Authority rogue_root = make_root("Rogue Root");
  Authority rogue = make_intermediate("Rogue Intermediate", rogue_root);
  const std::string wildcard = "*." + map.domain();
  unknown_issuer_ = make_cert(
      {Role::Leaf, wildcard, -kDay, 90 * kDay, leaf_key_.get(), rogue.cert.get(), rogue.key.get()});
  rogue_intermediate_ = std::move(rogue.cert);
}

void CertSet::make_leaves(CertMode mode, const SiteMap& map, EVP_PKEY* intermediate_key) {
  const std::string wildcard = "*." + map.domain();
  CertWish wish{Role::Leaf,          wildcard,        -kDay, 90 * kDay, leaf_key_.get(),
                intermediate_.get(), intermediate_key};
  shared_ = make_cert(wish);
  wish.begins_s = -93 * kDay;
  wish.ends_s = -3 * kDay;
  expired_ = make_cert(wish);
  wish.begins_s = 3 * kDay;
  wish.ends_s = 93 * kDay;
  not_yet_ = make_cert(wish);
  wish.begins_s = -kDay;
  wish.ends_s = 90 * kDay;
  wish.name = "elsewhere.invalid";
  wrong_host_ = make_cert(wish);
  self_signed_ =
      make_cert({Role::Leaf, wildcard, -kDay, 90 * kDay, leaf_key_.get(), nullptr, nullptr});
  if (mode == CertMode::Shared) return;
  leaves_.resize(map.https());
  const auto make_every_second = [this, &map, &wish](std::uint32_t first) {
    CertWish own = wish;
    for (std::uint32_t site = first; site < map.https(); site += 2) {
      own.name = map.name(site);
      leaves_[site] = make_cert(own);
    }
  };
  // The keys are only read; a certificate that cannot be made is told here by get().
  std::future<void> even = std::async(std::launch::async, make_every_second, 0U);
  make_every_second(1);
  even.get();
}

X509* CertSet::leaf(std::uint32_t site, FaultKind kind) const noexcept {
  switch (kind) {
    case FaultKind::TlsExpired:
      return expired_.get();
    case FaultKind::TlsNotYet:
      return not_yet_.get();
    case FaultKind::TlsWrongHost:
      return wrong_host_.get();
    case FaultKind::TlsSelfSigned:
      return self_signed_.get();
    case FaultKind::TlsUnknownIssuer:
      return unknown_issuer_.get();
    default:
      return site < leaves_.size() ? leaves_[site].get() : shared_.get();
  }
}

}  // namespace watchwheel::fleet
