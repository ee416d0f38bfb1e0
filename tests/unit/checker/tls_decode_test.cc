// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_decode.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/provider.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "support/certs.h"

namespace watchwheel::checker {
namespace {

using testing::Certificate;
using testing::CertSpec;
using testing::KeyKind;
using Der = std::vector<unsigned char>;

constexpr std::array<KeyKind, 8> kKinds{KeyKind::Ec256,   KeyKind::Ec384,     KeyKind::Ec521,
                                        KeyKind::Rsa512,  KeyKind::Rsa1024,   KeyKind::Rsa2048,
                                        KeyKind::Ed25519, KeyKind::RsaPss2048};

Der der_of(X509* certificate) {
  Der der(static_cast<std::size_t>(i2d_X509(certificate, nullptr)));
  unsigned char* at = der.data();
  i2d_X509(certificate, &at);
  return der;
}

std::shared_ptr<X509> decoded(const Der& der) {
  const unsigned char* at = der.data();
  return {d2i_X509(nullptr, &at, static_cast<long>(der.size())), X509_free};
}

// Everything that the checker reads of a key, and what it verifies with it.
struct Seen {
  std::string type;
  int bits = 0, strength = 0, good = 0, forged = 0;
  Der key;
  friend bool operator==(const Seen&, const Seen&) = default;
};

Seen look_at(Der der) {
  const auto good = decoded(der);
  der.back() ^= 1U;
  const auto forged = decoded(der);
  if (!good || !forged) return {};
  EVP_PKEY* key = X509_get0_pubkey(good.get());
  if (key == nullptr) return {};
  Seen seen{.type = EVP_PKEY_get0_type_name(key),
            .bits = EVP_PKEY_get_bits(key),
            .strength = EVP_PKEY_get_security_bits(key),
            .good = X509_verify(good.get(), key),
            .forged = X509_verify(forged.get(), key),
            .key = {}};
  seen.key.resize(static_cast<std::size_t>(i2d_PUBKEY(key, nullptr)));
  unsigned char* at = seen.key.data();
  i2d_PUBKEY(key, &at);
  return seen;
}

bool runs_on_an_openssl_that_needs_it() {
  return OpenSSL_version_num() >= 0x30000000UL && OpenSSL_version_num() < 0x30200000UL;
}

TEST(FastDecoding, IsChosenWhereOpensslNeedsItAndOnlyThere) {
  const FastDecoding decoding(true);
  EXPECT_EQ(decoding.on(), runs_on_an_openssl_that_needs_it()) << decoding.reason();
  if (runs_on_an_openssl_that_needs_it()) {
    EXPECT_EQ(decoding.reason(), "self_test_passed");
  }
}

TEST(FastDecoding, IsOffWhenSwitchedOff) {
  const FastDecoding decoding(false);
  EXPECT_FALSE(decoding.on());
  EXPECT_EQ(decoding.reason(), "switched_off");
}

TEST(FastDecoding, LeavesAloneWhatAnotherProviderServes) {
  OSSL_PROVIDER* other = OSSL_PROVIDER_load(nullptr, "null");
  ASSERT_NE(other, nullptr);
  {
    const FastDecoding decoding(true);
    EXPECT_FALSE(decoding.on());
    if (runs_on_an_openssl_that_needs_it()) {
      EXPECT_EQ(decoding.reason(), "provider_null");
    }
  }
  OSSL_PROVIDER_unload(other);
}

TEST(FastDecoding, LeavesAloneWhatAnEngineServesAndCanComeAgain) {
  if (!runs_on_an_openssl_that_needs_it()) GTEST_SKIP() << "not for this OpenSSL";
  {
    const FastDecoding first(true);
    ASSERT_TRUE(first.on()) << first.reason();
    const FastDecoding second(true);
    EXPECT_FALSE(second.on());
    EXPECT_EQ(second.reason(), "engine_present");
  }
  const FastDecoding again(true);
  EXPECT_TRUE(again.on()) << again.reason();
}

TEST(FastDecoding, EveryKindOfKeyIsTheSameWithAndWithout) {
  for (const KeyKind kind : kKinds) {
    const Certificate certificate =
        testing::self_signed({.dns_names = {"shop.example"}, .key = kind});
    const Der der = der_of(certificate.chain.front().get());
    const Seen before = look_at(der);
    EXPECT_EQ(before.good, kind == KeyKind::Rsa512 ? before.good : 1);
    EXPECT_NE(before.forged, 1);
    const FastDecoding decoding(true);
    EXPECT_EQ(look_at(der), before) << before.type << " " << before.bits;
  }
}

// The size of an RSA signature is asked for before it is made; with methods that lack a flag that question wrote to nowhere.
TEST(FastDecoding, KeysOfOurOwnSignAndSayHowLongTheSignatureWillBe) {
  const FastDecoding decoding(true);
  for (const KeyKind kind : {KeyKind::Ec256, KeyKind::Rsa2048}) {
    const Certificate certificate = testing::self_signed({.key = kind});
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                          &EVP_MD_CTX_free);
    ASSERT_EQ(
        EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, certificate.key.get()),
        1);
    std::size_t length = 0;
    const std::array<unsigned char, 3> message{1, 2, 3};
    ASSERT_EQ(EVP_DigestSign(context.get(), nullptr, &length, message.data(), message.size()), 1);
    Der signature(length);
    ASSERT_EQ(
        EVP_DigestSign(context.get(), signature.data(), &length, message.data(), message.size()),
        1);
    EXPECT_GT(length, 0U);
  }
}

TEST(FastDecoding, ThreadsMayDecodeAtTheSameTime) {
  const FastDecoding decoding(true);
  std::vector<Der> ders;
  for (const KeyKind kind : {KeyKind::Ec256, KeyKind::Rsa2048})
    ders.push_back(der_of(testing::self_signed({.key = kind}).chain.front().get()));
  std::vector<std::thread> threads;
  std::array<int, 2> sound{};
  for (std::size_t n = 0; n < sound.size(); ++n) {
    threads.emplace_back([&ders, &count = sound[n]] {
      for (int i = 0; i < 50; ++i) {
        for (const Der& der : ders) {
          const Seen seen = look_at(der);
          count += seen.good == 1 && seen.forged != 1 ? 1 : 0;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(sound, (std::array<int, 2>{100, 100}));
}

}  // namespace
}  // namespace watchwheel::checker
