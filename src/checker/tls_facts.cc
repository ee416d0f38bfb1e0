// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_facts.h"

#include <openssl/asn1.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <cstring>
#include <ctime>

#include "checker/address.h"
#include "checker/safe_text.h"

namespace watchwheel::checker {
namespace {

constexpr std::size_t kNameBytesMax = 512;
constexpr std::size_t kSanBytesMax = 256;
constexpr std::size_t kSansMax = 32;
constexpr std::size_t kChainMax = 8;

std::string san_text(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) {
    const ASN1_STRING* text = name->d.dNSName;
    return printable({reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
                      static_cast<std::size_t>(ASN1_STRING_length(text))},
                     kSanBytesMax);
  }
  if (name->type == GEN_IPADD) {
    IpAddress ip;
    const auto length = static_cast<std::size_t>(ASN1_STRING_length(name->d.iPAddress));
    if (length != 4 && length != 16) return {};
    ip.v6 = length == 16;
    std::memcpy(ip.bytes.data(), ASN1_STRING_get0_data(name->d.iPAddress), length);
    return to_string(ip);
  }
  return {};
}

std::vector<std::string> sans_of(const X509* leaf) {
  std::vector<std::string> sans;
  auto* names =
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr));
  if (names == nullptr) return sans;
  for (int i = 0; i < sk_GENERAL_NAME_num(names) && sans.size() < kSansMax; ++i) {
    std::string text = san_text(sk_GENERAL_NAME_value(names, i));
    if (!text.empty()) sans.push_back(std::move(text));
  }
  GENERAL_NAMES_free(names);
  return sans;
}

std::string cipher_of(const SSL* session) {
  const SSL_CIPHER* cipher = SSL_get_current_cipher(session);
  if (cipher == nullptr) cipher = SSL_get_pending_cipher(session);
  return cipher == nullptr ? "" : SSL_CIPHER_get_name(cipher);
}

// "subject; issued by issuer; until TIME", of those above the leaf.
std::vector<std::string> chain_text(const PresentedChain& chain) {
  std::vector<std::string> lines;
  for (std::size_t i = 1; i < chain.certificates.size() && lines.size() < kChainMax; ++i) {
    const X509* certificate = chain.certificates[i];
    lines.push_back(name_text(X509_get_subject_name(certificate)) + "; issued by " +
                    name_text(X509_get_issuer_name(certificate)) + "; until " +
                    core::to_iso8601(to_wall(X509_get0_notAfter(certificate))));
  }
  return lines;
}

bool sha256(const void* bytes, std::size_t length, Digest& into) {
  return EVP_Q_digest(nullptr, "SHA256", nullptr, bytes, length, into.data(), nullptr) == 1;
}

}  // namespace

std::string name_text(const X509_name_st* name) {
  BIO* out = BIO_new(BIO_s_mem());
  if (out == nullptr) return {};
  X509_NAME_print_ex(out, name, 0,
                     XN_FLAG_RFC2253 & ~static_cast<unsigned long>(ASN1_STRFLGS_ESC_MSB));
  char* data = nullptr;
  const long length = BIO_get_mem_data(out, &data);
  std::string text =
      length > 0 ? std::string(data, static_cast<std::size_t>(length)) : std::string{};
  BIO_free(out);
  return safe_text(text, kNameBytesMax);
}

core::WallTime to_wall(const asn1_string_st* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return core::kNoWallTime;
  // A certificate may say the year 9999, which nanoseconds cannot count; the farthest they can is as good.
  constexpr std::time_t kFarthest = 9'000'000'000;
  const std::time_t seconds = std::min(timegm(&parts), kFarthest);
  return core::WallTime{std::chrono::seconds{seconds}};
}

std::string key_text(x509_st* certificate) {
  const EVP_PKEY* key = X509_get0_pubkey(certificate);
  if (key == nullptr) return "unknown";
  const char* name = EVP_PKEY_get0_type_name(key);
  std::string type = name == nullptr ? "unknown" : name;
  return type + " " + std::to_string(EVP_PKEY_get_bits(key));
}

std::optional<PresentedChain> read_chain(x509_store_ctx_st* context) {
  X509* leaf = X509_STORE_CTX_get0_cert(context);
  if (leaf == nullptr) return std::nullopt;
  PresentedChain chain;
  chain.certificates.push_back(leaf);
  const STACK_OF(X509)* sent = X509_STORE_CTX_get0_untrusted(context);
  for (int i = 0; i < sk_X509_num(sent); ++i) {  // The leaf is the first of them.
    if (X509* one = sk_X509_value(sent, i); one != leaf) chain.certificates.push_back(one);
  }
  chain.fingerprints.resize(chain.certificates.size());
  for (std::size_t i = 0; i < chain.certificates.size(); ++i) {
    unsigned int length = 0;
    if (X509_digest(chain.certificates[i], EVP_sha256(), chain.fingerprints[i].data(), &length) !=
            1 ||
        length != chain.fingerprints[i].size())
      return std::nullopt;
  }
  if (!sha256(chain.fingerprints.data(), chain.fingerprints.size() * sizeof(Digest),
              chain.together))
    return std::nullopt;
  return chain;
}

std::size_t TlsFactsCache::Hash::operator()(const Digest& digest) const noexcept {
  std::size_t h = 0;
  std::memcpy(&h, digest.data(), sizeof h);  // It is a cryptographic hash already.
  return h;
}

std::shared_ptr<const core::TlsFacts> TlsFactsCache::facts_of(const PresentedChain& chain,
                                                              ssl_st* session) {
  const char* version = SSL_get_version(session);
  const std::string cipher = cipher_of(session);

  const auto known = index_.find(chain.together);
  if (known != index_.end()) {
    entries_.splice(entries_.begin(), entries_, known->second);
    std::shared_ptr<const core::TlsFacts>& facts = entries_.front().facts;
    if (facts->version == version && facts->cipher == cipher) return facts;
    auto changed = std::make_shared<core::TlsFacts>(*facts);
    changed->version = version;
    changed->cipher = cipher;
    facts = std::move(changed);
    return facts;
  }

  X509* leaf = chain.certificates.front();
  auto made = std::make_shared<core::TlsFacts>();
  made->version = version;
  made->cipher = cipher;
  made->issuer = name_text(X509_get_issuer_name(leaf));
  made->subject = name_text(X509_get_subject_name(leaf));
  made->sans = sans_of(leaf);
  made->key_type = key_text(leaf);
  made->not_before = to_wall(X509_get0_notBefore(leaf));
  made->not_after = to_wall(X509_get0_notAfter(leaf));
  made->fingerprint = chain.fingerprints.front();
  made->chain = chain_text(chain);
  entries_.push_front({chain.together, std::move(made)});
  index_.emplace(chain.together, entries_.begin());
  if (entries_.size() > entries_max_) {
    index_.erase(entries_.back().chain);
    entries_.pop_back();
  }
  return entries_.front().facts;
}

}  // namespace watchwheel::checker
