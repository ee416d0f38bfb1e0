// SPDX-License-Identifier: Apache-2.0
#include "checker/tls_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <memory>

#include "checker/tls_decode.h"
#include "support/certs.h"
#include "support/temp_dir.h"

namespace watchwheel::checker {
namespace {

using ::testing::AllOf;
using testing::Authority;
using testing::Certificate;
using ::testing::HasSubstr;
using testing::KeyKind;
using ::testing::Not;
using ::testing::StartsWith;
using testing::TempDir;
using testing::write_file;

std::string content(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ClientCertificateTest : public ::testing::Test {
 protected:
  ClientCertificateTest() {
    write_pem(ours, cert);
    write_key(ours, key);
  }
  // Why it is refused; "" when it is not.
  static std::string problem(const std::string& cert_file, const std::string& key_file) {
    const auto loaded = ClientCertificate::load(cert_file, key_file, core::SystemClock{}.wall());
    if (loaded) return "";
    EXPECT_EQ(loaded.error().kind, core::ErrorKind::Invalid);
    EXPECT_THAT(loaded.error().message, Not(HasSubstr("BEGIN")));
    return loaded.error().message;
  }

  TempDir dir;
  std::string cert = dir.file("client.pem"), key = dir.file("client.key");
  Authority root{"Client Root"};
  Certificate ours = root.intermediate({.common_name = "Client Middle"})->issue({});
};

TEST_F(ClientCertificateTest, IsReadWithItsChainAndInstalled) {
  const auto loaded = ClientCertificate::load(cert, key, core::SystemClock{}.wall());
  ASSERT_TRUE(loaded) << loaded.error().message;
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()),
                                                                  &SSL_CTX_free);
  ASSERT_TRUE((*loaded)->install(context.get()));
  EXPECT_EQ(SSL_CTX_check_private_key(context.get()), 1);
  STACK_OF(X509)* chain = nullptr;
  SSL_CTX_get0_chain_certs(context.get(), &chain);
  EXPECT_EQ(sk_X509_num(chain), static_cast<int>(ours.chain.size()) - 1);
}

TEST_F(ClientCertificateTest, IsRefusedAfterItsEndAndSaysSoLater) {
  const core::WallTime now = core::SystemClock{}.wall();
  const Certificate brief = root.issue({.valid_for = std::chrono::hours{1}});
  write_pem(brief, cert);
  write_key(brief, key);
  const auto loaded = ClientCertificate::load(cert, key, now);
  ASSERT_TRUE(loaded) << loaded.error().message;
  EXPECT_EQ((*loaded)->ended(now), "");
  EXPECT_THAT((*loaded)->ended(now + std::chrono::hours{2}), HasSubstr("expired"));
  const auto late = ClientCertificate::load(cert, key, now + std::chrono::hours{2});
  ASSERT_FALSE(late);
  EXPECT_THAT(late.error().message, AllOf(StartsWith("client_cert_file: "), HasSubstr("expired")));
}

TEST_F(ClientCertificateTest, KeyMayStandInTheSameFile) {
  write_file(cert, content(cert) + content(key));
  EXPECT_EQ(problem(cert, ""), "");
  write_file(cert, content(key) + content(cert));
  EXPECT_EQ(problem(cert, ""), "");
}

TEST_F(ClientCertificateTest, EveryKindOfKeyIsTakenWithAndWithoutFastDecoding) {
  for (const bool fast : {false, true}) {
    const FastDecoding decoding(fast);
    const Authority issuer("Client Root");  // Keys from before sign no certificates under it.
    for (const KeyKind kind : {KeyKind::Ec256, KeyKind::Ec384, KeyKind::Ec521, KeyKind::Rsa2048,
                               KeyKind::RsaPss2048, KeyKind::Ed25519}) {
      const Certificate other = issuer.issue({.key = kind});
      write_pem(other, cert);
      write_key(other, key);
      EXPECT_EQ(problem(cert, key), "") << static_cast<int>(kind) << fast;
    }
  }
}

TEST_F(ClientCertificateTest, NameWithoutASlashIsACredential) {
  EXPECT_THAT(problem("client.pem", "client.key"), HasSubstr("client_cert_file: "));
  ::setenv("CREDENTIALS_DIRECTORY", dir.path().c_str(), 1);
  EXPECT_EQ(problem("client.pem", "client.key"), "");
  ::unsetenv("CREDENTIALS_DIRECTORY");
}

TEST_F(ClientCertificateTest, WhatCannotBeReadIsNamedByItsOption) {
  EXPECT_THAT(problem(dir.file("absent"), key),
              AllOf(StartsWith("client_cert_file: "), HasSubstr("absent")));
  EXPECT_THAT(problem(cert, dir.file("absent")),
              AllOf(StartsWith("client_key_file: "), HasSubstr("absent")));
  EXPECT_THAT(problem(dir.path(), key), StartsWith("client_cert_file: "));
  EXPECT_THAT(problem(key, key), HasSubstr("holds no PEM certificate"));
  EXPECT_THAT(problem(cert, cert), HasSubstr("holds no PEM private key"));
  EXPECT_THAT(problem(cert, ""), HasSubstr("name its file by client_key_file"));
  write_file(cert,
             content(cert) + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_THAT(problem(cert, key), HasSubstr("is broken"));
  write_file(cert, std::string(kClientFileBytesMax + 1, 'x'));
  EXPECT_THAT(problem(cert, key), HasSubstr("longer than 64 KiB"));
}

TEST_F(ClientCertificateTest, KeyOfAnotherCertificateIsRefused) {
  write_key(root.issue({}), key);
  EXPECT_THAT(problem(cert, key), HasSubstr("is not that of the certificate in"));
  write_key(root.issue({.key = KeyKind::Rsa2048}), key);
  EXPECT_THAT(problem(cert, key), HasSubstr("is not that of the certificate in"));
}

// Nobody would be asked for the password: OpenSSL would wait at a terminal.
TEST_F(ClientCertificateTest, EncryptedKeyIsRefused) {
  write_key(ours, key, "hidden words");
  EXPECT_THAT(problem(cert, key), AllOf(HasSubstr("is encrypted"), Not(HasSubstr("hidden words"))));
}

TEST_F(ClientCertificateTest, KeyTooWeakForOpensslIsRefused) {
  const Certificate weak = root.issue({.key = KeyKind::Rsa512});
  write_pem(weak, cert);
  write_key(weak, key);
  EXPECT_THAT(problem(cert, key), HasSubstr("too weak"));
}

}  // namespace
}  // namespace watchwheel::checker
