// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_client.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "checker/safe_text.h"
#include "checker/secret_file.h"
#include "checker/tls_facts.h"
#include "core/units.h"

namespace watchwheel::checker {
namespace {

template <auto Free>
struct Deleter {
  template <typename T>
  void operator()(T* thing) const {
    Free(thing);
  }
};
using CertificateRef = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyRef = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using BioRef = std::unique_ptr<BIO, Deleter<BIO_free>>;
using ContextRef = std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>>;

core::Error invalid(std::string_view option, std::string_view why) {
  ERR_clear_error();
  return {core::ErrorKind::Invalid, std::string(option) + ": " + std::string(why)};
}

// Wiped when it is no longer needed: a key may stand in it.
class PemText {
 public:
  PemText() = default;
  ~PemText() { OPENSSL_cleanse(text_.data(), text_.size()); }
  PemText(const PemText&) = delete;
  PemText& operator=(const PemText&) = delete;

  // What went wrong, or "".
  [[nodiscard]] std::string read(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    std::string problem = fd == -1 ? std::generic_category().message(errno) : read_open(fd);
    if (fd != -1) ::close(fd);
    return problem;
  }
  [[nodiscard]] BioRef reader() const {
    return BioRef(BIO_new_mem_buf(text_.data(), static_cast<int>(text_.size())));
  }

 private:
  [[nodiscard]] std::string read_open(int fd) {
    struct stat facts {};
    if (::fstat(fd, &facts) != 0) return std::generic_category().message(errno);
    if (!S_ISREG(facts.st_mode)) return "it is not a regular file";
    text_.resize(kClientFileBytesMax + 1);
    std::size_t filled = 0;
    while (filled < text_.size()) {
      const ssize_t got = ::read(fd, text_.data() + filled, text_.size() - filled);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return std::generic_category().message(errno);
      if (got == 0) break;
      filled += static_cast<std::size_t>(got);
    }
    if (filled > kClientFileBytesMax) return "it is longer than 64 KiB";
    text_.resize(filled);
    return "";
  }

  std::string text_;
};

core::Result<void> read_pem(std::string_view option, const std::string& name, std::string& path,
                            PemText& text) {
  const core::Result<std::string> found = secret_path(name);
  if (!found) return invalid(option, found.error().message);
  path = "\"" + printable(*found, 200) + "\"";
  if (const std::string problem = text.read(*found); !problem.empty())
    return invalid(option, "cannot read " + path + ": " + problem);
  return {};
}

// Called only for an encrypted key: there is no password to give.
int refuse_password(char* /*into*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

std::string ended_text(const std::string& path, core::WallTime ends, core::WallTime now) {
  return "the certificate in " + path + " expired " + core::humanize(now - ends) + " ago (" +
         core::to_iso8601(ends) + ")";
}

}  // namespace

struct ClientCertificate::Parts {
  std::vector<CertificateRef> chain;  // Ours first.
  KeyRef key;
  core::WallTime ends = core::kNoWallTime;
  std::string path;  // As it is shown.

  [[nodiscard]] bool install(SSL_CTX* context) const {
    bool good = SSL_CTX_use_certificate(context, chain.front().get()) == 1;
    for (std::size_t i = 1; good && i < chain.size(); ++i)
      good = SSL_CTX_add1_chain_cert(context, chain[i].get()) == 1;
    return good && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
  }
};

ClientCertificate::ClientCertificate(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
ClientCertificate::~ClientCertificate() = default;

core::Result<std::shared_ptr<const ClientCertificate>> ClientCertificate::load(
    const std::string& cert_file, const std::string& key_file, core::WallTime now) {
  constexpr std::string_view kCert = "client_cert_file";
  const std::string_view key_option = key_file.empty() ? kCert : "client_key_file";
  auto parts = std::make_unique<Parts>();

  PemText cert_text;
  std::string cert_path;
  if (auto read = read_pem(kCert, cert_file, cert_path, cert_text); !read) return read.error();
  bool encrypted = false;
  if (const BioRef in = cert_text.reader()) {
    while (X509* one = PEM_read_bio_X509(in.get(), nullptr, &refuse_password, &encrypted))
      parts->chain.emplace_back(one);
  }
  if (ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE)  // That is the file's end.
    return invalid(kCert, "a certificate in " + cert_path + " is broken");
  if (parts->chain.empty()) return invalid(kCert, cert_path + " holds no PEM certificate");

  PemText key_text;
  std::string key_path = cert_path;
  if (!key_file.empty()) {
    if (auto read = read_pem(key_option, key_file, key_path, key_text); !read) return read.error();
  }
  if (const BioRef in = key_file.empty() ? cert_text.reader() : key_text.reader())
    parts->key.reset(PEM_read_bio_PrivateKey(in.get(), nullptr, &refuse_password, &encrypted));
  if (encrypted) {
    return invalid(key_option, "the private key in " + key_path +
                                   " is encrypted, and nobody is there to type its password; "
                                   "write it without one (openssl pkey -in … -out …)");
  }
  if (!parts->key) {
    return invalid(key_option, key_path + " holds no PEM private key" +
                                   (key_file.empty() ? "; name its file by client_key_file" : ""));
  }
  if (X509_check_private_key(parts->chain.front().get(), parts->key.get()) != 1) {
    return invalid(key_option, "the private key in " + key_path +
                                   " is not that of the certificate in " + cert_path);
  }
  parts->ends = to_wall(X509_get0_notAfter(parts->chain.front().get()));
  if (parts->ends <= now) return invalid(kCert, ended_text(cert_path, parts->ends, now));
  parts->path = cert_path;
  const ContextRef trial(SSL_CTX_new(TLS_client_method()));
  if (!trial || !parts->install(trial.get())) {
    return invalid(kCert, "OpenSSL does not take the certificate in " + cert_path +
                              ": is its key or signature too weak for its security level?");
  }
  ERR_clear_error();  // The end of a PEM file is one.
  return std::shared_ptr<const ClientCertificate>(new ClientCertificate(std::move(parts)));
}

std::string ClientCertificate::ended(core::WallTime now) const {
  return parts_->ends <= now ? "client_cert_file: " + ended_text(parts_->path, parts_->ends, now)
                             : "";
}

bool ClientCertificate::same_as(const ClientCertificate& other) const {
  // A certificate holds its public key, and load() has held the private one against that.
  return this == &other ||
         std::equal(parts_->chain.begin(), parts_->chain.end(), other.parts_->chain.begin(),
                    other.parts_->chain.end(),
                    [](const auto& a, const auto& b) { return X509_cmp(a.get(), b.get()) == 0; });
}

bool ClientCertificate::install(ssl_ctx_st* context) const {
  return parts_->install(context);
}

}  // namespace watchwheel::checker
