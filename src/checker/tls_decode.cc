// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_decode.h"

#include <openssl/crypto.h>
#include <openssl/opensslconf.h>
#include <openssl/opensslv.h>

#if OPENSSL_VERSION_NUMBER >= 0x30000000L && OPENSSL_VERSION_NUMBER < 0x30200000L && \
    !defined(OPENSSL_NO_ENGINE)
#define WATCHWHEEL_FAST_DECODING 1
#endif

#ifdef WATCHWHEEL_FAST_DECODING
#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstddef>
#include <memory>
#include <optional>
#include <vector>
#endif

namespace watchwheel::checker {

#ifdef WATCHWHEEL_FAST_DECODING
namespace {

// Signed by themselves; their private keys were thrown away.
constexpr std::string_view kEcCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBpDCCAUmgAwIBAgIUO43D204Gyl13sT3t2rtT65Q+mTAwCgYIKoZIzj0EAwIw\n"
    "JjEkMCIGA1UEAwwbV2F0Y2h3aGVlbCBkZWNvZGluZyB0ZXN0IEVDMCAXDTI2MTEy\n"
    "MTEzMjUyOVoYDzIxMjYxMDI4MTMyNTI5WjAmMSQwIgYDVQQDDBtXYXRjaHdoZWVs\n"
    "IGRlY29kaW5nIHRlc3QgRUMwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASNnWnH\n"
    "+WrDXCXb2tgYAsWRwTqtok/sVzQ/Jxpq4RhYA0VDDEmaibzWXfnVunqurQPlN1L+\n"
    "v8xEydKSrenzdRV3o1MwUTAdBgNVHQ4EFgQUSPLDJ7Wr2FXLgX5cFD/S6k94i38w\n"
    "HwYDVR0jBBgwFoAUSPLDJ7Wr2FXLgX5cFD/S6k94i38wDwYDVR0TAQH/BAUwAwEB\n"
    "/zAKBggqhkjOPQQDAgNJADBGAiEA74k2a5JSlxx5oFvR5mJuXepmUxlC/gVmIcD7\n"
    "xF3OYowCIQDi6ujq3LY/HLL84+HVul3riYtjBbzgAsazWztnYbW24g==\n"
    "-----END CERTIFICATE-----\n";
constexpr std::string_view kRsaCertificate =
    "-----BEGIN CERTIFICATE-----\n"
    "MIIDMTCCAhmgAwIBAgIUG7d2+1JD1RL03eN8daXAmTz8+NQwDQYJKoZIhvcNAQEL\n"
    "BQAwJzElMCMGA1UEAwwcV2F0Y2h3aGVlbCBkZWNvZGluZyB0ZXN0IFJTQTAgFw0y\n"
    "NjExMjExMzI1MzFaGA8yMTI2MTAyODEzMjUzMVowJzElMCMGA1UEAwwcV2F0Y2h3\n"
    "aGVlbCBkZWNvZGluZyB0ZXN0IFJTQTCCASIwDQYJKoZIhvcNAQEBBQADggEPADCC\n"
    "AQoCggEBAMX7lh67IYkzBeEs1DCLXnW/FYwhuMYWBe9XJwgZy05KndHH+Q8ht0Bv\n"
    "tjGSndIqaq1c/o7f4q8bNl9I+QF3FwieyUnGqsDnhYQwgukXzd2nrxQdYzP1D469\n"
    "fFlw6GdxjZDyDQW9Qk9dUXQv6cQFf7KBtaTaXqfGo0Jhi3xhdouV29MJr0um0M5j\n"
    "CVMdB4phPwTtQAE4IPxn20DZrdy534pdaUBAlk8gLxioPzNXgdxYNAQlNG3QSSn5\n"
    "3U8WMTNBQP9/NlmSWrRMgUivW4Px1iMHmA51vPtPmIn1qHeua9r0s0v4nvHI0Wsn\n"
    "P2W/5+0FZnaUB+nZXLaxq/sMqLJFetUCAwEAAaNTMFEwHQYDVR0OBBYEFFWps2PV\n"
    "4AodxXWr+jPqliZ8f71bMB8GA1UdIwQYMBaAFFWps2PV4AodxXWr+jPqliZ8f71b\n"
    "MA8GA1UdEwEB/wQFMAMBAf8wDQYJKoZIhvcNAQELBQADggEBABedEkG2/bZoRx9K\n"
    "XC4EPPDPGQb5ejLRWzhWLLjO73lQy1EbKcPUBw8x0Gvj46w1XktxSCDGioSYtkIH\n"
    "BBvNMOPf9orHEtaOeBTRCQWvB8WWed2yprqGhOu31HfmLyy/TYMPMQwY1vlODpiP\n"
    "U+mx37QRnStxBlMZm4WSvo61tvxuEyghfgTTyyP2FO7fQjqoRrplFRdbh2Dw/O4u\n"
    "AJw83G5QLE96aMv+en7a93veKhFsKTxpfKWMQz5WiIEmrMRibKzsJl6w1C4pCt9E\n"
    "1nUESoXwZhsLL8OnD8REbVKtqmvRHL/m7xF27rJ2oX2grDe8Dsh8311jYlYsjU6b\n"
    "Ip/HQOY=\n"
    "-----END CERTIFICATE-----\n";

using CertificateRef = std::unique_ptr<X509, decltype(&X509_free)>;

CertificateRef decode(const std::vector<unsigned char>& der) {
  const unsigned char* at = der.data();
  return {d2i_X509(nullptr, &at, static_cast<long>(der.size())), &X509_free};
}

std::vector<unsigned char> der_of(std::string_view pem) {
  BIO* in = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  unsigned char* bytes = nullptr;
  char* name = nullptr;
  char* header = nullptr;
  long length = 0;
  std::vector<unsigned char> der;
  if (in != nullptr && PEM_read_bio(in, &name, &header, &bytes, &length) == 1)
    der.assign(bytes, bytes + length);
  OPENSSL_free(name);
  OPENSSL_free(header);
  OPENSSL_free(bytes);
  BIO_free(in);
  return der;
}

// What a check uses of a certificate's key.
struct Decoded {
  std::vector<unsigned char> key;
  std::string type;
  int bits = 0;
  int strength = 0;
  int good_signature = -2;
  int forged_signature = -2;
  friend bool operator==(const Decoded&, const Decoded&) = default;
};

std::optional<Decoded> look_at(std::string_view pem) {
  std::vector<unsigned char> der = der_of(pem);
  if (der.empty()) return std::nullopt;
  const CertificateRef good = decode(der);
  der.back() ^= 1U;  // The last byte of the signature.
  const CertificateRef forged = decode(der);
  EVP_PKEY* key = good ? X509_get0_pubkey(good.get()) : nullptr;
  if (key == nullptr || !forged) return std::nullopt;
  Decoded seen;
  unsigned char* encoded = nullptr;
  const int length = i2d_PUBKEY(key, &encoded);
  if (length > 0) seen.key.assign(encoded, encoded + length);
  OPENSSL_free(encoded);
  const char* type = EVP_PKEY_get0_type_name(key);
  seen.type = type == nullptr ? "" : type;
  seen.bits = EVP_PKEY_get_bits(key);
  seen.strength = EVP_PKEY_get_security_bits(key);
  seen.good_signature = X509_verify(good.get(), key);
  seen.forged_signature = X509_verify(forged.get(), key);
  ERR_clear_error();
  const bool sound = seen.good_signature == 1 && seen.forged_signature == 0 && !seen.key.empty();
  return sound ? std::optional(std::move(seen)) : std::nullopt;
}

// ---- the engine ----
// EVP_PKEY_METHOD and ENGINE are deprecated since 3.0 and go with 4.0; this file compiles them for the two versions that need it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"

constexpr std::array<int, 2> kKeyTypes{NID_X9_62_id_ecPublicKey, NID_rsaEncryption};

// OpenSSL asks a plain function for them, so they are as global as the registration itself. Set before it, constant while it
// stands.
std::array<EVP_PKEY_METHOD*, kKeyTypes.size()>
    methods{};             // NOLINT(*-avoid-non-const-global-variables)
ENGINE* engine = nullptr;  // NOLINT(*-avoid-non-const-global-variables)

int give_method(ENGINE* /*engine*/, EVP_PKEY_METHOD** method, const int** types, int type) {
  if (method == nullptr) {
    *types = kKeyTypes.data();
    return static_cast<int>(kKeyTypes.size());
  }
  const auto* at = std::find(kKeyTypes.begin(), kKeyTypes.end(), type);
  if (at == kKeyTypes.end()) return 0;
  *method = methods[static_cast<std::size_t>(at - kKeyTypes.begin())];
  return 1;
}

bool copy_methods() {
  for (std::size_t i = 0; i < kKeyTypes.size(); ++i) {
    const EVP_PKEY_METHOD* built_in = EVP_PKEY_meth_find(kKeyTypes[i]);
    if (built_in == nullptr) return false;
    int type = 0;
    int flags = 0;
    EVP_PKEY_meth_get0_info(&type, &flags, built_in);
    // With the flags, which the copy leaves out: without them RSA writes a signature where it was asked for its size.
    methods[i] = EVP_PKEY_meth_new(type, flags);
    if (methods[i] == nullptr) return false;
    EVP_PKEY_meth_copy(methods[i], built_in);
  }
  return true;
}

bool open_engine() {
  if (!copy_methods()) return false;
  engine = ENGINE_new();
  return engine != nullptr && ENGINE_set_id(engine, "watchwheel-built-in") == 1 &&
         ENGINE_set_name(engine, "OpenSSL's own EC and RSA methods") == 1 &&
         ENGINE_set_pkey_meths(engine, &give_method) == 1 &&
         ENGINE_set_default_pkey_meths(engine) == 1;
}

void close_engine() {
  if (engine != nullptr) {
    ENGINE_unregister_pkey_meths(engine);
    ENGINE_free(engine);  // The methods go with it.
    methods = {};
  }
  engine = nullptr;
  for (EVP_PKEY_METHOD*& method : methods) {
    EVP_PKEY_meth_free(method);
    method = nullptr;
  }
  ERR_clear_error();
}

bool is_served_already() {
  for (const int type : kKeyTypes) {
    ENGINE* other = ENGINE_get_pkey_meth_engine(type);
    if (other == nullptr) continue;
    ENGINE_finish(other);
    return true;
  }
  return false;
}
#pragma GCC diagnostic pop

int note_provider(OSSL_PROVIDER* provider, void* names) {
  static_cast<std::vector<std::string>*>(names)->emplace_back(OSSL_PROVIDER_get0_name(provider));
  return 1;
}

// A word for a log line out of a name that somebody configured.
std::string word(std::string_view name) {
  std::string out;
  for (const char c : name.substr(0, 64))
    out += std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-' ? c : '_';
  return out;
}

// Why it is better left alone; "" when nothing speaks against it.
std::string objection() {
  const unsigned long running = OpenSSL_version_num();
  if (running < 0x30000000UL || running >= 0x30200000UL)
    return "openssl_" + word(OpenSSL_version(OPENSSL_VERSION_STRING));
  OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);
  if (EVP_default_properties_is_fips_enabled(nullptr) == 1) return "fips";
  std::vector<std::string> providers;
  OSSL_PROVIDER_do_all(nullptr, &note_provider, &providers);
  bool has_default = false;
  for (const std::string& name : providers) {
    has_default = has_default || name == "default";
    if (name != "default" && name != "legacy" && name != "base") return "provider_" + word(name);
  }
  if (!has_default) return "no_default_provider";
  return is_served_already() ? "engine_present" : "";
}

bool same_both_ways(const std::optional<Decoded>& before, std::string_view pem) {
  const std::optional<Decoded> after = look_at(pem);
  return before && after && *before == *after;
}

// Registers it and keeps it only when nothing differs but the time. Says why not, or "".
std::string try_it() {
  if (std::string why = objection(); !why.empty()) return why;
  const std::optional<Decoded> ec = look_at(kEcCertificate);
  const std::optional<Decoded> rsa = look_at(kRsaCertificate);
  if (!open_engine()) {
    close_engine();
    return "engine_refused";
  }
  if (same_both_ways(ec, kEcCertificate) && same_both_ways(rsa, kRsaCertificate)) return "";
  close_engine();
  return "self_test_failed";
}

}  // namespace
#endif  // WATCHWHEEL_FAST_DECODING

FastDecoding::FastDecoding(bool wanted) {
  if (!wanted) {
    reason_ = "switched_off";
    return;
  }
#ifdef WATCHWHEEL_FAST_DECODING
  reason_ = try_it();
  on_ = reason_.empty();
  if (on_) reason_ = "self_test_passed";
#else
  reason_ = "built_without_it";
#endif
}

FastDecoding::~FastDecoding() {
#ifdef WATCHWHEEL_FAST_DECODING
  if (on_) close_engine();
#endif
}

}  // namespace watchwheel::checker
