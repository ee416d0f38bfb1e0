// SPDX-License-Identifier: Apache-2.0
// The stores of trusted certificates: shared, read again when they have changed, kept when they cannot be read.
#include "checker/tls_trust.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <unistd.h>

#include <filesystem>
#include <memory>

#include "support/certs.h"
#include "support/temp_dir.h"

namespace watchwheel::checker {
namespace {

using testing::Authority;
using testing::TempDir;
using testing::write_file;
using namespace std::chrono_literals;

class TrustStoreTest : public ::testing::Test {
 protected:
  void write(const Authority& authority) {
    testing::write_pem({.key = nullptr, .chain = {authority.certificate()}}, path);
  }
  // How many certificates a handshake would trust now.
  int install(TrustStore& store) {
    const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context(SSL_CTX_new(TLS_method()),
                                                                    &SSL_CTX_free);
    if (!store.install(context.get(), now, wall)) return -1;
    X509_STORE* installed = SSL_CTX_get_cert_store(context.get());
    return sk_X509_OBJECT_num(X509_STORE_get0_objects(installed));
  }
  void wait(core::Duration time) {
    now += time;
    wall += time;
  }

  TempDir dir;
  std::string path = dir.file("ca.pem");
  Authority one{"One"}, two{"Two"};
  Stats stats;
  TrustStores stores{&stats, 10};
  core::SteadyTime now{1h};
  // Well after the files of this test were written: they are quiet.
  core::WallTime wall = core::SystemClock().wall() + 1h;
};

TEST_F(TrustStoreTest, FileIsReadOnceForAllWhoNameIt) {
  write(one);
  const auto first = stores.file(path);
  const auto second = stores.file(path);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->get(), second->get());
  EXPECT_EQ(install(**first), 1);
  testing::write_pem({.key = nullptr, .chain = {two.certificate()}}, dir.file("other.pem"));
  const auto other = stores.file(dir.file("other.pem"));
  ASSERT_TRUE(other);
  EXPECT_EQ(install(**other), 1);
  EXPECT_NE((*other)->generation(), (*first)->generation());
}

TEST_F(TrustStoreTest, WhatIsNoCertificateIsRefused) {
  EXPECT_FALSE(stores.file(dir.file("absent.pem")));
  write_file(path, "");
  EXPECT_FALSE(stores.file(path));
  write_file(path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_FALSE(stores.file(path));
  EXPECT_FALSE(stores.file(dir.path()));
  const auto refused = stores.file(path);
  EXPECT_EQ(refused.error().kind, core::ErrorKind::Invalid);
  EXPECT_NE(refused.error().message.find("ca_file: " + path), std::string::npos);
}

TEST_F(TrustStoreTest, ChangedFileIsReadAgainAMinuteLaterAtMost) {
  write(one);
  const auto store = *stores.file(path);
  EXPECT_EQ(install(*store), 1);
  const std::uint64_t before = store->generation();
  testing::write_pem({.key = nullptr, .chain = {one.certificate(), two.certificate()}}, path);
  wait(59s);
  EXPECT_EQ(install(*store), 1);
  wait(1s);
  EXPECT_EQ(install(*store), 2);
  EXPECT_NE(store->generation(), before);
  EXPECT_EQ(stats.trust_reloads.value(), 1U);
  EXPECT_EQ(stats.trust_reload_failures.value(), 0U);
  wait(1min);
  EXPECT_EQ(install(*store), 2);
  EXPECT_EQ(stats.trust_reloads.value(), 1U);
}

TEST_F(TrustStoreTest, ReplacedFileIsReadAgain) {
  write(one);
  const auto store = *stores.file(path);
  EXPECT_EQ(install(*store), 1);
  const std::uint64_t before = store->generation();
  testing::write_pem({.key = nullptr, .chain = {two.certificate()}}, dir.file("new.pem"));
  std::filesystem::rename(dir.file("new.pem"), path);
  wait(1min);
  EXPECT_EQ(install(*store), 1);
  EXPECT_NE(store->generation(), before);
}

TEST_F(TrustStoreTest, FileThatCannotBeReadLeavesTheOldInForceAndIsCounted) {
  write(one);
  const auto store = *stores.file(path);
  EXPECT_EQ(install(*store), 1);
  const std::uint64_t before = store->generation();
  std::filesystem::remove(path);
  wait(1min);
  EXPECT_EQ(install(*store), 1);
  EXPECT_EQ(stats.trust_reload_failures.value(), 1U);
  write_file(path, "nothing of use\n");
  wait(1min);
  EXPECT_EQ(install(*store), 1);
  EXPECT_EQ(stats.trust_reload_failures.value(), 2U);
  EXPECT_EQ(store->generation(), before);
  testing::write_pem({.key = nullptr, .chain = {one.certificate(), two.certificate()}}, path);
  wait(1min);
  EXPECT_EQ(install(*store), 2);
  EXPECT_EQ(stats.trust_reloads.value(), 1U);
}

// Half a file is half the trust: sites would be called untrusted.
TEST_F(TrustStoreTest, FileThatWasWrittenJustNowIsLeftUntilItIsQuiet) {
  write(one);
  const auto store = *stores.file(path);
  wall = core::SystemClock().wall();
  EXPECT_EQ(install(*store), 1);
  testing::write_pem({.key = nullptr, .chain = {one.certificate(), two.certificate()}}, path);
  now += 1min;
  EXPECT_EQ(install(*store), 1);
  wait(3s);
  EXPECT_EQ(install(*store), 2);
  EXPECT_EQ(stats.trust_reload_failures.value(), 0U);
}

TEST_F(TrustStoreTest, StoreOfTheMachineIsOneAndFollowsItsFile) {
  write(one);
  ::setenv("SSL_CERT_FILE", path.c_str(), 1);
  TrustStores machine(&stats, 10);
  const auto store = machine.system();
  EXPECT_EQ(store.get(), machine.system().get());
  EXPECT_EQ(install(*store), 1);
  testing::write_pem({.key = nullptr, .chain = {one.certificate(), two.certificate()}}, path);
  wait(1min);
  EXPECT_EQ(install(*store), 2);
  ::unsetenv("SSL_CERT_FILE");
}

TEST_F(TrustStoreTest, MachineWithoutCertificatesIsOurTroubleUntilItHasSome) {
  ::setenv("SSL_CERT_FILE", path.c_str(), 1);
  TrustStores machine(&stats, 10);
  const auto store = machine.system();
  EXPECT_EQ(install(*store), -1);
  write(one);
  EXPECT_EQ(install(*store), -1);  // Not tried at each handshake.
  wait(1s);
  EXPECT_EQ(install(*store), 1);
  ::unsetenv("SSL_CERT_FILE");
}

TEST_F(TrustStoreTest, StoreOutlivesThoseWhoMadeIt) {
  write(one);
  std::shared_ptr<TrustStore> store;
  {
    TrustStores shortly(&stats, 10);
    store = *shortly.file(path);
  }
  EXPECT_EQ(install(*store), 1);
  EXPECT_FALSE(store->knows(Digest{}, wall));
  EXPECT_EQ(stats.tls_chain_misses.value(), 0U);  // Nobody counts any more.
}

}  // namespace
}  // namespace watchwheel::checker
